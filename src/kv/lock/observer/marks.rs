//! Which locks of a bucket have to be judged again.

use std::collections::HashSet;

use crate::kv::Key;

/// The marks since they were taken last.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    /// All of them: how fresh the bucket is, or what it consists of, is another.
    is_all: bool,
    locks: HashSet<Key>,
}

impl Marks {
    /// One lock.
    pub(super) fn lock(&mut self, key: &Key) {
        if !self.is_all && !self.locks.contains(key) {
            self.locks.insert(key.clone());
        }
    }

    /// All locks.
    pub(super) fn all(&mut self) {
        self.is_all = true;
        self.locks.clear();
    }

    /// Takes the marks away; `None`: all locks are marked.
    pub(super) fn take(&mut self) -> Option<HashSet<Key>> {
        if std::mem::take(&mut self.is_all) {
            return None;
        }
        Some(std::mem::take(&mut self.locks))
    }
}
