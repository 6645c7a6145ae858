//! demo
use super::args::DemoArgs;
use super::connection::Connection;
use super::error::CliError;
pub(super) async fn run(connection: &Connection, args: DemoArgs) -> Result<(), CliError> {
    let _ = (connection, args);
    Ok(())
}
