//! How a lane reads and writes its record.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::error::LockError;
use super::super::notice::News;
use super::super::record::{DecodeError, Record};
use super::Lane;
use super::news::Notices;
use crate::kv::backend::{Consistency, Write};
use crate::kv::{Entry, Error, Revision, WriteError};

impl Lane {
    pub(super) async fn read(&mut self) {
        self.pace.begin();
        let entry = self
            .parts
            .bucket
            .get(&self.parts.key, Consistency::Leader)
            .await;
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                self.line.failed();
                self.store_failed(error);
                return;
            }
        };
        self.failing_since = None;
        let revision = entry
            .as_ref()
            .map_or(Revision::ABSENT, |entry| entry.revision);
        match record_of(entry.as_ref().and_then(Entry::live_value)) {
            Ok(record) => self.line.read(record, revision),
            Err(error) => {
                self.line.failed();
                let key = self.parts.key.clone();
                let malformed = LockError::Malformed { key, error };
                self.tell_who_lets_go(&malformed);
                self.give_up(&malformed);
            }
        }
    }

    pub(super) async fn write(&mut self, record: &Record, base: Revision) {
        let bytes = match record.to_bytes() {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                tracing::error!(key = %self.parts.key, %error, "a lock record can't be written");
                self.line.failed();
                self.pace.failed();
                return;
            }
        };
        self.pace.begin();
        let queue = self.queue();
        let write = Write::put(self.parts.key.clone(), bytes.clone()).expecting(base);
        match self.parts.bucket.write(write).await {
            Ok(revision) => {
                if let Some((_, before)) = self.line.known() {
                    let news = News::of(before, record, bytes, revision);
                    self.news = Some(news.after(self.news.take()));
                    if !(self.returns && self.line.makes_room()) {
                        self.tell_others().await;
                    }
                }
                if self.line.makes_room() {
                    self.left_at = Some(Instant::now());
                    self.distrust = self.distrust.saturating_sub(1);
                }
                self.pace.landed();
                self.failing_since = None;
                self.line.written(revision);
            }
            Err(WriteError::Conflict { .. }) => {
                self.line.conflict();
                let makes_room = self.line.makes_room();
                let hears = self.watch.is_some() || self.notices == Notices::Proven;
                self.pace.conflict(makes_room, hears, queue);
            }
            Err(WriteError::Unknown { reason, .. }) => {
                tracing::debug!(key = %self.parts.key, reason, "a write in doubt");
                self.line.unknown();
            }
            Err(WriteError::Failed(error)) => {
                self.line.failed();
                self.store_failed(error);
            }
        }
    }

    /// The store did not do what it was asked. Who let go is told when that lasts: by then nobody
    /// can lean on a guard of this session any more, or the store refuses this record alone.
    fn store_failed(&mut self, error: Error) {
        let is_for_good = matches!(error, Error::NoSuchBucket { .. } | Error::Denied { .. });
        let error = LockError::Store(Arc::new(error));
        self.failing_since.get_or_insert_with(Instant::now);
        if self.fails_for_long() {
            self.tell_who_lets_go(&error);
            if is_for_good {
                self.tell_who_waits(&error);
            }
        }
        self.give_up(&error);
    }

    /// Whether the store has not done what it was asked for as long as a lease.
    pub(super) fn fails_for_long(&self) -> bool {
        let lease = self.parts.lease.length();
        self.failing_since
            .is_some_and(|since| since.elapsed() >= lease)
    }

    /// Tells those who have let go how it is. What was begun is gone on with.
    fn tell_who_lets_go(&mut self, error: &LockError) {
        for told in self.releasing.drain().flat_map(|(_, told)| told) {
            let _ = told.send(Err(error.clone()));
        }
        for (_, told) in self.downgrading.drain() {
            let _ = told.send(Err(error.clone()));
        }
    }

    /// Ends every wait. An outage is waited out, but this is none.
    fn tell_who_waits(&mut self, error: &LockError) {
        for (id, told) in std::mem::take(&mut self.acquiring) {
            self.granted.retain(|(granted, _)| *granted != id);
            self.line.release(&id);
            let _ = told.send(Err(error.clone()));
        }
    }

    /// The store failed or the record can't be read: whoever is not in the record yet is told, and
    /// the others are tried for again later.
    fn give_up(&mut self, error: &LockError) {
        for id in self.line.abandon() {
            if let Some(told) = self.acquiring.remove(&id) {
                let _ = told.send(Err(error.clone()));
            }
            self.releasing.remove(&id);
        }
        self.pace.failed();
    }

    /// How many wait, as far as is known.
    pub(super) fn queue(&self) -> u32 {
        let waiters = self
            .line
            .known()
            .map(|(_, record)| record.waiters().count());
        u32::try_from(waiters.unwrap_or_default()).unwrap_or(u32::MAX)
    }
}

pub(super) fn record_of(value: Option<&Bytes>) -> Result<Record, DecodeError> {
    match value {
        Some(value) => Record::from_bytes(value),
        None => Ok(Record::default()),
    }
}
