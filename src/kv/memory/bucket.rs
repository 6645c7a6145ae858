//! One bucket in memory: the log of its writes, and what a write does to it. No watches, no locks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeFrom;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::kv::backend::{BucketConfig, BucketInfo, Change, Write};
use crate::kv::{Entry, Error, Filter, Key, Operation, Revision, WriteError};

#[derive(Debug)]
pub(super) struct Bucket {
    info: BucketInfo,
    incarnation: u64,
    log: BTreeMap<Revision, Entry>,
    /// The revisions in the log, by key.
    by_key: HashMap<Key, BTreeSet<Revision>>,
    /// What will expire, by time.
    expiring: BTreeSet<(OffsetDateTime, Revision)>,
}

impl Bucket {
    pub(super) fn new(config: BucketConfig, incarnation: u64, now: OffsetDateTime) -> Self {
        Self {
            info: BucketInfo::new(config, now),
            incarnation,
            log: BTreeMap::new(),
            by_key: HashMap::new(),
            expiring: BTreeSet::new(),
        }
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(super) fn last_revision(&self) -> Revision {
        self.info.last_revision
    }

    pub(super) fn info(&self) -> BucketInfo {
        let mut info = self.info.clone();
        info.keys = self.by_key.len() as u64;
        info.entries = self.log.len() as u64;
        info
    }

    pub(super) fn at(&self, revision: Revision) -> Option<&Entry> {
        self.log.get(&revision)
    }

    pub(super) fn newest(&self, key: &Key) -> Option<&Entry> {
        self.log.get(self.by_key.get(key)?.last()?)
    }

    /// The newest entry of each key, in the order of their revisions.
    pub(super) fn newest_of_each(&self, filter: &Filter) -> Vec<Entry> {
        let matching = self
            .by_key
            .iter()
            .filter(|(key, _)| filter.matches(key.as_str()));
        let newest: BTreeSet<&Revision> = matching.filter_map(|(_, all)| all.last()).collect();
        newest.into_iter().map(|at| self.log[at].clone()).collect()
    }

    /// The entries from a revision on, in order.
    pub(super) fn since(&self, from: Revision, filter: &Filter) -> Vec<Entry> {
        let range: RangeFrom<Revision> = from..;
        self.log
            .range(range)
            .map(|(_, entry)| entry)
            .filter(|entry| filter.matches(entry.key.as_str()))
            .cloned()
            .collect()
    }

    pub(super) fn change(&mut self, config: BucketConfig) {
        self.info.config = config;
        let keys: Vec<Key> = self.by_key.keys().cloned().collect();
        for key in keys {
            self.trim(&key, self.info.config.history);
        }
    }

    pub(super) fn write(
        &mut self,
        write: Write,
        now: OffsetDateTime,
    ) -> Result<Revision, WriteError> {
        self.check(&write)?;
        let at = self.newest(&write.key).map(|entry| entry.revision);
        let current = at.unwrap_or(Revision::ABSENT);
        if let Some(expected) = write.expected.filter(|expected| *expected != current) {
            return Err(WriteError::Conflict {
                key: write.key,
                expected,
                current: Some(current),
            });
        }
        let (operation, value) = match write.change {
            Change::Put(value) => (Operation::Put, value),
            Change::Delete => (Operation::Delete, Bytes::new()),
            Change::Purge => (Operation::Purge, Bytes::new()),
        };
        Ok(self.append(&write.key, operation, value, write.ttl, now))
    }

    fn check(&self, write: &Write) -> Result<(), Error> {
        let config = &self.info.config;
        if let Change::Put(value) = &write.change {
            write.key.check_writable()?;
            let size = value.len() as u64;
            let place = super::Memory::CAPABILITIES.max_value_size;
            if let Some(limit) = [config.max_value_size, place].into_iter().flatten().min()
                && size > limit
            {
                return Err(Error::TooLarge { size, limit });
            }
            if config
                .max_bytes
                .is_some_and(|max| self.info.bytes + size > max)
            {
                return Err(Error::NoSpace {
                    what: write.key.to_string(),
                    reason: format!("the bucket {} is full", config.name),
                });
            }
        }
        let Some(ttl) = write.ttl else { return Ok(()) };
        if config.marker_ttl.is_none() {
            return Err(Error::Unsupported {
                what: "a time to live",
                reason: format!("the bucket {} has no marker TTL", config.name),
            });
        }
        if ttl.subsec_nanos() != 0 || ttl.is_zero() {
            return Err(Error::Unsupported {
                what: "a time to live",
                reason: "it is not in whole seconds".to_owned(),
            });
        }
        Ok(())
    }

    fn append(
        &mut self,
        key: &Key,
        operation: Operation,
        value: Bytes,
        ttl: Option<Duration>,
        now: OffsetDateTime,
    ) -> Revision {
        let revision = Revision(self.info.last_revision.0 + 1);
        self.info.last_revision = revision;
        self.info.last_write = Some(now);
        self.info.bytes += size(key, &value);
        let life = [ttl, self.info.config.ttl].into_iter().flatten().min();
        let expires = life.map(|life| now + life);
        if let Some(expires) = expires {
            self.expiring.insert((expires, revision));
        }
        self.by_key.entry(key.clone()).or_default().insert(revision);
        let entry = Entry {
            key: key.clone(),
            revision,
            created: now,
            operation,
            size: value.len() as u64,
            value: Some(value),
            ttl,
            expires,
        };
        self.log.insert(revision, entry);
        let keep = match operation {
            Operation::Purge => 1,
            Operation::Put | Operation::Delete | Operation::Expire => self.info.config.history,
        };
        self.trim(key, keep);
        revision
    }

    /// Leaves only the newest entries of a key.
    fn trim(&mut self, key: &Key, keep: u64) {
        while let Some(all) = self.by_key.get(key)
            && all.len() as u64 > keep
            && let Some(oldest) = all.first()
        {
            self.remove(*oldest);
        }
    }

    fn remove(&mut self, revision: Revision) -> Option<Entry> {
        let entry = self.log.remove(&revision)?;
        if let Some(expires) = entry.expires {
            self.expiring.remove(&(expires, revision));
        }
        if let Some(value) = &entry.value {
            self.info.bytes -= size(&entry.key, value);
        }
        if let Some(all) = self.by_key.get_mut(&entry.key) {
            all.remove(&revision);
            if all.is_empty() {
                self.by_key.remove(&entry.key);
            }
        }
        Some(entry)
    }

    /// Removes a marker and what came before it.
    pub(super) fn forget(&mut self, key: &Key, marker: Revision) -> bool {
        let is_marker = self
            .at(marker)
            .is_some_and(|entry| entry.key == *key && entry.is_marker());
        while is_marker
            && let Some(all) = self.by_key.get(key)
            && let Some(oldest) = all.first().copied().filter(|oldest| *oldest <= marker)
        {
            self.remove(oldest);
        }
        is_marker
    }

    /// Drops what has run out, and leaves markers where the bucket wants them.
    pub(super) fn expire(&mut self, now: OffsetDateTime) {
        while let Some(&(expires, revision)) = self.expiring.first()
            && expires <= now
        {
            self.expiring.pop_first();
            let Some(entry) = self.remove(revision) else {
                continue;
            };
            let gone = self.newest(&entry.key).is_none();
            if let Some(ttl) = self.info.config.marker_ttl
                && gone
                && !entry.is_marker()
            {
                self.append(
                    &entry.key,
                    Operation::Expire,
                    Bytes::new(),
                    Some(ttl),
                    expires,
                );
            }
        }
    }

    /// The time until the next entry expires.
    pub(super) fn next_expiry(&self, now: OffsetDateTime) -> Option<Duration> {
        let (expires, _) = self.expiring.first()?;
        Some((*expires - now).try_into().unwrap_or(Duration::ZERO))
    }
}

fn size(key: &Key, value: &Bytes) -> u64 {
    (key.as_str().len() + value.len()) as u64
}
