//! What the user set: kvscope's own file, the contexts of the nats CLI, the environment, and how
//! they add up to the place to connect to.
//!
//! No arguments are parsed here, and nothing is shown.

mod context;
mod drafts;
mod error;
mod file;
mod place;
mod settings;

pub use context::{Context, ContextMeta, Contexts};
pub use drafts::{Drafts, Keeping, state_folder};
pub use error::ConfigError;
pub use file::{Config, ContextConfig, Defaults, Look};
pub use place::{LocalPlace, NatsPlace, Place, connect};
pub use settings::{Environment, Settings};
