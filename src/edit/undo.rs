//! Undoing one's own last write, if nobody wrote since.

use crate::kv::{Key, Revision};

use super::proposal::Approved;
use super::save::{Base, Save, Step};

/// A write of ours that can be undone: what was there before, and what is there since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoable {
    key: Key,
    before: Base,
    after: Base,
}

impl Undoable {
    pub(super) fn new(key: Key, before: Base, after: Base) -> Self {
        Self { key, before, after }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The revision of our write. It is undone only while the key is at it.
    pub fn revision(&self) -> Revision {
        self.after.revision
    }

    /// What the key held before, and would hold again.
    pub fn before(&self) -> &Base {
        &self.before
    }

    /// What our write made of it.
    pub fn after(&self) -> &Base {
        &self.after
    }

    /// Begins to undo it: the value that was there is put back, or the key deleted that was not. If
    /// somebody wrote since, it ends in a conflict like any save.
    pub fn undo(&self) -> (Save, Step) {
        let mut save = Save::new(self.key.clone(), self.after.clone());
        let step = match &self.before.value {
            Some(value) => save.put(Approved::again(value.clone()), self.before.ttl),
            None => save.delete(),
        };
        (save, step)
    }
}
