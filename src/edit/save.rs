//! A save, from the revision that was seen to exactly one ending.
//!
//! [`Save`] is pure: it is told what was read and written, and says what to do next. It writes on
//! the revision that it was opened at and on no other; it repeats no write on its own. After a lost
//! acknowledgement it looks at the key's history: a write that expected a revision can only have
//! become the very next entry after it, so that entry tells whether it landed. A write that may
//! still land stays in mind until something else stands on its revision.
//!
//! [`carry_out`] does the reading and writing.

mod drive;
mod ending;
mod settle;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use crate::kv::backend::{Change, Write};
use crate::kv::{Entry, Error, Key, Revision, WriteError};

use super::proposal::{Approved, Warning};
use super::undo::Undoable;

pub use drive::{Patience, carry_out};
pub use ending::{Ending, Proof};

use settle::{Verdict, is_made_by};

/// What a key holds at some moment: what an edit starts from.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Base {
    /// The revision of its newest entry; [`Revision::ABSENT`] if it has none.
    pub revision: Revision,
    /// Its value; `None` if the key is gone or never was.
    pub value: Option<Bytes>,
    /// The time to live that its writer gave it.
    pub ttl: Option<Duration>,
}

impl Base {
    /// What an entry says, or that there is none.
    pub fn of(entry: Option<&Entry>) -> Self {
        entry.map_or_else(Self::default, |entry| Self {
            revision: entry.revision,
            value: entry.live_value().cloned(),
            ttl: entry.ttl.filter(|_| !entry.is_marker()),
        })
    }

    /// The time to live for a new value, so that it keeps the one it has, counted anew from the
    /// save: a write without one would take it away.
    ///
    /// # Errors
    /// [`Warning::LosesTtl`] where entries can't have one (see
    /// [`Capabilities::entry_ttl`](crate::kv::backend::Capabilities)).
    pub fn kept_ttl(&self, entries_can_have_one: bool) -> Result<Option<Duration>, Warning> {
        match self.ttl {
            Some(ttl) if !entries_can_have_one => Err(Warning::LosesTtl(ttl)),
            ttl => Ok(ttl),
        }
    }
}

/// Says nothing of the value: it may be secret.
impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base")
            .field("revision", &self.revision)
            .field("bytes", &self.value.as_ref().map(Bytes::len))
            .field("ttl", &self.ttl)
            .finish()
    }
}

/// One key, from the moment it was opened on, through one save after another.
#[derive(Clone)]
pub struct Save {
    key: Key,
    base: Base,
    /// Whether the value of the base was never read.
    is_blind: bool,
    /// Writes on the base's revision that may have landed or may still land.
    doubts: Vec<Change>,
    under_way: Option<UnderWay>,
    undoable: Option<Undoable>,
}

#[derive(Clone)]
struct UnderWay {
    change: Change,
    ttl: Option<Duration>,
    /// How the write ended, once it has.
    ended: Option<Ended>,
}

#[derive(Debug, Clone)]
enum Ended {
    /// Nothing was written, as the base is what it would make.
    Needless,
    Conflict,
    Unknown(String),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Write this, and tell [`Save::written`].
    Write(Write),
    /// Read the newest entry from the leader and the history, and tell [`Save::read`].
    Read,
    /// It is over.
    Ended(Ending),
}

/// What was read of a key before it is said that nothing has to be written, and after a write ended
/// in a conflict or in not knowing.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// The newest entry, from the leader.
    pub newest: Option<Entry>,
    /// All that is kept, read after that.
    pub history: Vec<Entry>,
}

impl Save {
    /// Opens a key at what it holds.
    pub fn new(key: Key, base: Base) -> Self {
        Self {
            key,
            base,
            is_blind: false,
            doubts: Vec::new(),
            under_way: None,
            undoable: None,
        }
    }

    /// Opens a key that was seen at a revision, without its value. What is saved can't be undone,
    /// unless it [learns](Self::learn) the value before.
    pub fn blind(key: Key, revision: Revision) -> Self {
        let base = Base {
            revision,
            ..Base::default()
        };
        Self {
            is_blind: true,
            ..Self::new(key, base)
        }
    }

    /// Takes the value of a key that was opened blind, if the entry is the one that it was seen at.
    /// What is saved from there on can be undone.
    pub fn learn(&mut self, entry: &Entry) {
        if self.is_blind && entry.key == self.key && entry.revision == self.base.revision {
            self.base = Base::of(Some(entry));
            self.is_blind = false;
        }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What the next save is on: what the key was opened at, saved as, or last merged with.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Whether a write of ours may still land on the base.
    pub fn is_in_doubt(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// Whether an entry that a watch told is news: somebody else's change since the base.
    pub fn is_news(&self, entry: &Entry) -> bool {
        let ours = self.under_way.iter().map(|under_way| &under_way.change);
        entry.key == self.key
            && entry.revision > self.base.revision
            && !ours
                .chain(&self.doubts)
                .any(|change| is_made_by(entry, change))
    }

    /// Saves a value on the base. A value that is there already is not written; whether it still is
    /// is looked up.
    pub fn put(&mut self, value: Approved, ttl: Option<Duration>) -> Step {
        let value = value.into_bytes();
        // A write that may still land must be written over.
        if self.base.value.as_ref() == Some(&value) && self.doubts.is_empty() {
            return self.needless(Change::Put(value));
        }
        self.begin(Change::Put(value), ttl)
    }

    /// Deletes the key at the base. What is gone already is not deleted.
    pub fn delete(&mut self) -> Step {
        if self.base.value.is_none() && self.doubts.is_empty() && !self.is_blind {
            return self.needless(Change::Delete);
        }
        self.begin(Change::Delete, None)
    }

    /// Deletes the key and its history at the base.
    pub fn purge(&mut self) -> Step {
        if self.base.revision == Revision::ABSENT && self.doubts.is_empty() {
            return self.needless(Change::Purge);
        }
        self.begin(Change::Purge, None)
    }

    /// Saves on what the key holds by now, after a conflict: what is put next must be the result of
    /// a merge with it.
    pub fn rebase(&mut self, newest: Base) {
        if newest.revision != self.base.revision {
            self.doubts.clear();
        }
        self.base = newest;
        self.is_blind = false;
    }

    /// Takes up again what ended in [`Ending::Unknown`] or [`Ending::NotLanded`], to find out.
    pub fn look_again(&mut self) -> Step {
        Step::Read
    }

    /// How to undo the last save.
    pub fn undoable(&self) -> Option<&Undoable> {
        self.undoable.as_ref()
    }

    /// How the write ended.
    pub fn written(&mut self, result: Result<Revision, WriteError>) -> Step {
        let Some(mut under_way) = self.under_way.take() else {
            return Step::Read;
        };
        match result {
            Ok(revision) => self.landed(&under_way, revision, Proof::Acknowledged),
            Err(WriteError::Failed(error)) => Step::Ended(Ending::Failed(error)),
            Err(WriteError::Conflict { .. }) => {
                under_way.ended = Some(Ended::Conflict);
                self.under_way = Some(under_way);
                Step::Read
            }
            Err(WriteError::Unknown { reason, .. }) => {
                self.doubts.push(under_way.change.clone());
                under_way.ended = Some(Ended::Unknown(reason));
                self.under_way = Some(under_way);
                Step::Read
            }
        }
    }

    /// What was read, or why nothing was.
    pub fn read(&mut self, look: Result<Look, Error>) -> Step {
        let Some(under_way) = self.under_way.clone() else {
            return Step::Ended(Ending::Unchanged);
        };
        let reason = match under_way.ended.clone() {
            Some(Ended::Needless) => return self.looked_up(&under_way.change, look),
            Some(Ended::Unknown(reason)) => Some(reason),
            Some(Ended::Conflict) => None,
            // It has not ended: whether it is there can't be said yet.
            None => return Step::Ended(Ending::Unchanged),
        };
        let look = match (look, reason.clone()) {
            (Ok(look), _) => look,
            (Err(error), Some(reason)) => return Step::Ended(Ending::Unknown { reason, error }),
            (Err(error), None) => return Step::Ended(Ending::Failed(error)),
        };
        match settle::judge(self.base.revision, &self.doubts, &look) {
            Verdict::Untouched => Step::Ended(match reason {
                Some(reason) => Ending::NotLanded { reason },
                None => Ending::Conflict {
                    newest: self.base.clone(),
                },
            }),
            Verdict::Refused(newest) => {
                self.doubts.clear();
                Step::Ended(Ending::Conflict { newest })
            }
            Verdict::Unclear(newest) => Step::Ended(match reason {
                Some(reason) => Ending::Unclear { reason, newest },
                None => Ending::Conflict { newest },
            }),
            Verdict::HoldsTheSame { which, newest } => {
                self.holds(under_way, which, newest, Proof::SameValue)
            }
            Verdict::Landed {
                which,
                revision,
                newest,
            } if newest.revision == revision => {
                self.holds(under_way, which, newest, Proof::ReadBack)
            }
            Verdict::Landed {
                which,
                revision,
                newest,
            } => {
                let is_this = self.doubts[which] == under_way.change;
                self.base = Base {
                    revision,
                    value: value_of(&self.doubts[which]),
                    ttl: under_way.ttl,
                };
                self.doubts.clear();
                Step::Ended(if is_this {
                    Ending::Overwritten {
                        landed: revision,
                        newest,
                    }
                } else {
                    Ending::Conflict { newest }
                })
            }
        }
    }

    /// Looks whether the key still is what a change would make of the base.
    fn needless(&mut self, change: Change) -> Step {
        self.under_way = Some(UnderWay {
            change,
            ttl: None,
            ended: Some(Ended::Needless),
        });
        Step::Read
    }

    fn looked_up(&mut self, change: &Change, look: Result<Look, Error>) -> Step {
        self.under_way = None;
        let newest = match look {
            Ok(look) => Base::of(look.newest.as_ref()),
            Err(error) => return Step::Ended(Ending::Failed(error)),
        };
        if newest.revision == self.base.revision {
            return Step::Ended(Ending::Unchanged);
        }
        // Where nothing was, there is something to purge now, be it a marker.
        if newest.value != value_of(change) || *change == Change::Purge {
            return Step::Ended(Ending::Conflict { newest });
        }
        // Somebody wrote the same.
        self.rebase(newest);
        Step::Ended(Ending::Unchanged)
    }

    /// The key holds what one of our writes made of it. If that was an earlier one, whose
    /// acknowledgement was lost, the one that was asked for now is made on top of it.
    fn holds(&mut self, under_way: UnderWay, which: usize, newest: Base, proof: Proof) -> Step {
        if self.doubts[which] == under_way.change {
            return self.landed(&under_way, newest.revision, proof);
        }
        self.rebase(newest);
        self.begin(under_way.change, under_way.ttl)
    }

    fn begin(&mut self, change: Change, ttl: Option<Duration>) -> Step {
        self.under_way = Some(UnderWay {
            change: change.clone(),
            ttl,
            ended: None,
        });
        Step::Write(Write {
            key: self.key.clone(),
            change,
            expected: Some(self.base.revision),
            ttl,
        })
    }

    fn landed(&mut self, under_way: &UnderWay, revision: Revision, proof: Proof) -> Step {
        let after = Base {
            revision,
            ttl: under_way.ttl,
            value: value_of(&under_way.change),
        };
        let before = std::mem::replace(&mut self.base, after.clone());
        self.doubts.clear();
        let was_read = !std::mem::take(&mut self.is_blind);
        self.undoable = was_read.then(|| Undoable::new(self.key.clone(), before, after));
        Step::Ended(Ending::Saved { revision, proof })
    }
}

/// Says nothing of the values: they may be secret.
impl std::fmt::Debug for Save {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Save")
            .field("key", &self.key)
            .field("base", &self.base)
            .field("doubts", &self.doubts.len())
            .field("is_under_way", &self.under_way.is_some())
            .finish_non_exhaustive()
    }
}

/// The value that a change leaves.
fn value_of(change: &Change) -> Option<Bytes> {
    match change {
        Change::Put(value) => Some(value.clone()),
        Change::Delete | Change::Purge => None,
    }
}
