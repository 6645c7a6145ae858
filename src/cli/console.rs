//! Opening the console: the one place where the command line hands over to it.

use super::connection::Connection;
use super::error::CliError;

/// Opens the console at a place, perhaps at a bucket and a key.
///
/// It does not connect first: a place that can't be reached is something that the console shows.
pub(super) async fn open(
    connection: &Connection,
    bucket: Option<String>,
    key: Option<String>,
) -> Result<(), CliError> {
    run(connection, connection.place()?, bucket, key).await
}

/// Runs the console until it is left.
pub(super) async fn run(
    connection: &Connection,
    place: crate::config::Place,
    bucket: Option<String>,
    key: Option<String>,
) -> Result<(), CliError> {
    let _ = (connection, place, bucket, key);
    Err(CliError::Usage("the console is not built in".to_owned()))
}
