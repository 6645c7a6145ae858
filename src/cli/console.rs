//! Opening the console: the one place where the command line hands over to [`crate::ui`], and what
//! the console is told when it asks where it can go.

use std::io::IsTerminal as _;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{self, ConfigError, Place, connect};
use crate::kv::Error;
use crate::ui;
use crate::ui::app::Settings;
use crate::ui::keymap::Keymap;
use crate::ui::message::Target;
use crate::ui::theme::Theme;
use crate::ui::worker::{Connector, Drafts, Guard, Session};

use super::connection::Connection;
use super::demo;
use super::error::CliError;

/// Opens the console at the place that the command line names, perhaps at a bucket and a key.
///
/// It does not connect first: a place that can't be reached is something that the console shows.
pub(super) async fn open(
    connection: &Connection,
    bucket: Option<String>,
    key: Option<String>,
) -> Result<(), CliError> {
    run(connection, connection.place()?, bucket, key).await
}

/// Fails where there is no terminal for the console.
pub(super) fn check_terminal() -> Result<(), CliError> {
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(CliError::Usage(
        "the console needs a terminal; `kvscope --help` lists the commands that don't".to_owned(),
    ))
}

/// Runs the console at a place until it is left.
pub(super) async fn run(
    connection: &Connection,
    place: Place,
    bucket: Option<String>,
    key: Option<String>,
) -> Result<(), CliError> {
    check_terminal()?;
    let theme = match &connection.config.theme {
        _ if connection.no_color => "plain",
        Some(name) => name,
        None => "dark",
    };
    let settings = Settings {
        given: in_words(&place),
        bucket,
        key,
        theme: Theme::built_in(theme)?,
        keymap: Keymap::built_in()?,
        drafts: Drafts::new(config::Drafts::of_user(&connection.config)),
        config: connection.config.clone(),
    };
    let masks = connection.masks();
    let places = Places {
        connection: connection.clone(),
        given: place,
    };
    let ended = ui::run(Arc::new(places), settings, masks).await;
    ended.map_err(CliError::Terminal)
}

/// The place as the console names it when it can't be reached.
fn in_words(place: &Place) -> String {
    match place.context() {
        Some(context) => format!("the context {} ({})", context.name, place.address()),
        None => place.address(),
    }
}

/// Where the console can go.
#[derive(Debug)]
struct Places {
    connection: Connection,
    given: Place,
}

#[async_trait]
impl Connector for Places {
    async fn places(&self) -> Vec<Target> {
        let contexts = self.connection.contexts.clone();
        let names = tokio::task::spawn_blocking(move || contexts.names()).await;
        let names = names.unwrap_or_default().into_iter();
        names.map(Target::Context).collect()
    }

    async fn connect(&self, target: &Target) -> Result<Session, Error> {
        let (place, guard) = match target {
            Target::Given => (self.given.clone(), None),
            Target::Context(name) => {
                let place = Place::of_context(name, &self.connection.contexts);
                (place.map_err(|error| unusable(name, &error))?, None)
            }
            Target::File(path) => (Place::local(path), None),
            Target::Demo => {
                let demo = demo::start(None).await.map_err(|error| match error {
                    CliError::Engine(error) => error,
                    other => Error::Unreachable {
                        place: "the demo".to_owned(),
                        reason: other.to_string(),
                    },
                })?;
                (Place::local(&demo.path), Some(Guard(Box::new(demo))))
            }
        };
        Ok(Session {
            backend: connect(&place, self.connection.read_only).await?,
            label: match target {
                Target::Demo => "demo".to_owned(),
                Target::Given | Target::Context(_) | Target::File(_) => place.name(),
            },
            address: place.address(),
            guard,
        })
    }
}

fn unusable(context: &str, error: &ConfigError) -> Error {
    Error::Unreachable {
        place: format!("the context {context}"),
        reason: error.to_string(),
    }
}
