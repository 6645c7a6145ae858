//! What a lane looks at while an attempt waits: its record, and those it waits for.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::overseer::Overseer;
use super::super::record::Record;
use super::news::Notices;
use super::{LINGER, Lane, poll_pace};
use crate::kv::{Filter, Watch, WatchOptions};

#[derive(Debug)]
pub(super) struct Oversight {
    pub(super) records: watch::Sender<Record>,
    pub(super) dead: mpsc::UnboundedReceiver<String>,
    pub(super) task: JoinHandle<()>,
}

impl Drop for Oversight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A watch that is being set up.
#[derive(Debug)]
pub(super) struct Starting(JoinHandle<Option<Watch>>);

impl Starting {
    /// The watch, or none where the store did not give one. Cancel-safe.
    pub(super) async fn watch(&mut self) -> Option<Watch> {
        (&mut self.0).await.ok().flatten()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Lane {
    /// While an attempt waits: the watch, and the oversight of those it waits for.
    pub(super) fn look_around(&mut self) {
        let watches = self.notices != Notices::Proven;
        if !watches {
            self.watch = None;
            self.starting = None;
        }
        if !self.line.waits() {
            self.oversight = None;
            self.poll_at = None;
            self.waits_since = None;
            self.starting = None;
            if self.waited_at.elapsed() >= LINGER {
                self.watch = None;
            }
            return;
        }
        self.waited_at = Instant::now();
        self.waits_since.get_or_insert(self.waited_at);
        self.poll_at.get_or_insert(self.waited_at + poll_pace());
        if watches && self.watch.is_none() && self.starting.is_none() {
            self.starting = self.start_watching();
        }
        let Some((_, record)) = self.line.known() else {
            return;
        };
        match &self.oversight {
            Some(oversight) => {
                oversight.records.send_if_modified(|known| {
                    let is_new = known != record;
                    if is_new {
                        known.clone_from(record);
                    }
                    is_new
                });
            }
            None if self.oversight_at().is_some_and(|at| at <= self.waited_at) => {
                self.oversight = Some(self.oversee(record.clone()));
            }
            None => {}
        }
    }

    /// Begins to watch beside everything else: a store that does not answer holds up nobody who lets
    /// go.
    fn start_watching(&mut self) -> Option<Starting> {
        if self.watch_at.is_some_and(|at| at > Instant::now()) {
            return None;
        }
        let filter = Filter::new(self.parts.key.as_str()).ok()?;
        let bucket = Arc::clone(&self.parts.bucket);
        let watch = async move { bucket.watch(WatchOptions::new(filter)).await.ok() };
        Some(Starting(tokio::spawn(watch)))
    }

    /// The watch is there, or was not to be had: then the polling has to do for a while.
    pub(super) fn watches(&mut self, watch: Option<Watch>) {
        self.starting = None;
        self.watch_at = watch.is_none().then(|| Instant::now() + poll_pace());
        self.watch = watch;
    }

    /// When to begin looking after those it waits for: most waits are over before.
    pub(super) fn oversight_at(&self) -> Option<Instant> {
        // Without a record there is nobody to look after, and a moment that has passed would spin.
        self.line.known()?;
        let since = self.waits_since.filter(|_| self.oversight.is_none())?;
        Some(since + Overseer::first_look(self.parts.lease))
    }

    fn oversee(&self, record: Record) -> Oversight {
        let overseer = Overseer::new(
            Arc::clone(&self.parts.bucket),
            self.parts.session.clone(),
            self.parts.lease,
            self.parts.clock,
        );
        let (records, newest) = watch::channel(record);
        let (tell, dead) = mpsc::unbounded_channel();
        Oversight {
            records,
            dead,
            task: tokio::spawn(overseer.run(newest, tell)),
        }
    }
}
