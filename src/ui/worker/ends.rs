//! What a worker is given, and where its messages come out.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use crate::kv::Error;
use crate::kv::backend::Backend;
use crate::ui::message::{Brand, LockReport, Message, RequestId, Target};

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
    /// How `kvscope` is called to come here, for commands to copy.
    pub command: String,
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

/// What comes back from the worker's tasks.
#[derive(Debug)]
pub enum Delivery {
    /// A message for the console.
    Message(Message),
    /// A place is connected: [`Worker::adopt`](super::Worker::adopt) makes a message of it.
    Session(RequestId, Session),
}

/// The receiving ends of a worker.
#[derive(Debug)]
pub struct Deliveries {
    /// Answers, and changes of the connection: few, and wanted soon.
    pub replies: mpsc::UnboundedReceiver<Delivery>,
    /// What watches bring: bounded, so that a console that looks away makes them wait. They don't
    /// lose anything by it: see [`Watch`](crate::kv::Watch).
    pub watches: mpsc::Receiver<Message>,
    /// How it stands with all locks.
    pub locks: LockReports,
}

/// Reports on locks: the latest only.
#[derive(Debug)]
pub struct LockReports(pub(super) watch::Receiver<Option<Arc<LockReport>>>);

impl LockReports {
    /// The latest report, once there is one that was not looked at yet.
    ///
    /// Cancel-safe.
    pub async fn next(&mut self) -> Message {
        loop {
            if self.0.changed().await.is_err() {
                // The worker is gone, and nothing more comes.
                std::future::pending::<()>().await;
            }
            let latest = self.0.borrow_and_update().clone();
            if let Some(report) = latest {
                return Message::Locks(report);
            }
        }
    }
}
