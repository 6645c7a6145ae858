//! Opening the console: the one place where the command line hands over to [`crate::ui`], and what
//! the console is told when it asks where it can go.

mod looks;

use std::io::IsTerminal as _;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{self, ConfigError, Place, connect};
use crate::kv::Error;
use crate::ui;
use crate::ui::app::Settings;
use crate::ui::message::{Brand, Target};
use crate::ui::screens::browse::Looks;
use crate::ui::theme::Paint;
use crate::ui::worker::{Connector, Drafts, Guard, Session};

use super::connection::Connection;
use super::demo;
use super::error::CliError;

/// Opens the console at the place that the command line names, perhaps at a bucket and a key.
///
/// It does not connect first: a place that can't be reached is something that the console shows.
pub(super) fn open(
    connection: &Connection,
    bucket: Option<String>,
    key: Option<String>,
) -> Result<(), CliError> {
    run(connection, connection.place()?, bucket, key, false)
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
pub(super) fn run(
    connection: &Connection,
    place: Place,
    bucket: Option<String>,
    key: Option<String>,
    tour: bool,
) -> Result<(), CliError> {
    check_terminal()?;
    let config = &connection.config;
    let settings = Settings {
        given: in_words(&place),
        contexts: connection.contexts.in_words(),
        bucket,
        key,
        theme: looks::theme(config, connection.no_color)?,
        keymap: looks::keymap(config)?,
        screen: looks::screen(config)?,
        looks: Looks {
            tree: config.defaults.tree,
            deleted: config.defaults.deleted,
        },
        tour,
        drafts: Drafts::new(config::Drafts::of_user(config)),
        config: config.clone(),
    };
    // A colour that is none is told before the console opens, not on arriving there.
    for context in config.contexts.values() {
        looks::brand(config, context)?;
    }
    let masks = connection.masks();
    let places = Places {
        connection: connection.clone(),
        given: place,
    };
    let ended = ui::run(Arc::new(places), settings, masks);
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
        let names = tokio::task::spawn_blocking(move || {
            let (mut names, selected) = (contexts.names(), contexts.selected());
            // The one that the nats CLI would take comes first; the others stay in their order.
            names.sort_by_key(|name| Some(name) != selected.as_ref());
            names
        })
        .await;
        let names = names.unwrap_or_default().into_iter();
        names.map(Target::Context).collect()
    }

    async fn connect(&self, target: &Target) -> Result<Session, Error> {
        let (place, guard) = match target {
            Target::Given => (self.given.clone(), None),
            Target::Context(name) => (self.context(name).await?, None),
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
        let read_only = self.connection.is_read_only(&place);
        Ok(Session {
            backend: connect(&place, read_only).await?,
            label: match target {
                Target::Demo => "demo".to_owned(),
                Target::Given | Target::Context(_) | Target::File(_) => place.name(),
            },
            address: place.address(),
            command: place.command(),
            brand: self.brand(&place),
            guard,
        })
    }
}

impl Places {
    /// The place of a context. It may have to ask a program for credentials, which takes a moment.
    async fn context(&self, name: &str) -> Result<Place, Error> {
        let (connection, context) = (self.connection.clone(), name.to_owned());
        let place = tokio::task::spawn_blocking(move || connection.place_of_context(&context));
        let place = place.await.map_err(|_| Error::Closed)?;
        place.map_err(|error| unusable(name, &error))
    }

    /// How the place's context is to look: as the user's file says, else in the colour that the
    /// nats CLI gives it.
    fn brand(&self, place: &Place) -> Option<Brand> {
        let of_file = self.connection.context_config(place);
        let brand = of_file.and_then(|of| looks::brand(&self.connection.config, of).ok()?);
        brand.or_else(|| {
            let scheme = place.context()?.color_scheme.as_deref()?;
            let paint = Paint::named(scheme).ok();
            paint.map(|paint| Brand {
                label: None,
                paint: Some(paint),
            })
        })
    }
}

fn unusable(context: &str, error: &ConfigError) -> Error {
    Error::Unreachable {
        place: format!("the context {context}"),
        reason: error.to_string(),
    }
}
