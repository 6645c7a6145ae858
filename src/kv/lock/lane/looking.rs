//! What a lane looks at while an attempt waits: its record, and those it waits for.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::overseer::Overseer;
use super::super::record::Record;
use super::news::Notices;
use super::{LINGER, Lane, poll_pace};
use crate::kv::{Filter, WatchOptions};

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

impl Lane {
    /// While an attempt waits: the watch, and the oversight of those it waits for.
    pub(super) async fn look_around(&mut self) {
        let watches = self.notices != Notices::Proven;
        if !watches {
            self.watch = None;
        }
        if !self.line.waits() {
            self.oversight = None;
            self.poll_at = None;
            self.waits_since = None;
            if self.waited_at.elapsed() >= LINGER {
                self.watch = None;
            }
            return;
        }
        self.waited_at = Instant::now();
        self.waits_since.get_or_insert(self.waited_at);
        self.poll_at.get_or_insert(self.waited_at + poll_pace());
        if watches
            && self.watch.is_none()
            && let Ok(filter) = Filter::new(self.parts.key.as_str())
        {
            // Without a watch the polling has to do.
            self.watch = self
                .parts
                .bucket
                .watch(WatchOptions::new(filter))
                .await
                .ok();
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
