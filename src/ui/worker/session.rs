//! Getting to a place, and what it takes to be there.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::kv::Error;
use crate::kv::backend::Backend;
use crate::ui::message::{Brand, Target};

/// Whoever knows how to get from a name to a backend: the command line.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync {
    /// The places to choose from, the likeliest first.
    async fn places(&self) -> Vec<Target>;

    /// Goes to a place. With read-only asked for, the backend is wrapped already.
    async fn connect(&self, target: &Target) -> Result<Session, Error>;
}

/// A connection to a place.
#[derive(Debug)]
pub struct Session {
    /// The place.
    pub backend: Arc<dyn Backend>,
    /// What the user calls it.
    pub label: String,
    /// Where it is, without credentials.
    pub address: String,
    /// How it is to look, if the user said so.
    pub brand: Option<Brand>,
    /// Whatever must live as long as the session does, such as the demonstration's services.
    pub guard: Option<Guard>,
}

/// Something that is kept for its `Drop` alone.
pub struct Guard(pub Box<dyn Any + Send + Sync>);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
