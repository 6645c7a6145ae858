//! Removing many keys, each guarded by the revision that it was seen at.

use crate::kv::{Key, Revision};

use super::save::{Ending, Save, Step};
use super::undo::Undoable;

/// What becomes of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// They are gone; what the bucket keeps of their history stays.
    Delete,
    /// They are gone with their history.
    Purge,
}

/// Many keys to remove. It can be stopped at any point and taken up again.
#[derive(Debug)]
pub struct Bulk {
    removal: Removal,
    items: Vec<Item>,
    /// All before it were begun.
    next: usize,
}

/// One key of a [`Bulk`].
#[derive(Debug)]
pub struct Item {
    save: Save,
    state: State,
}

/// How far a key is.
#[derive(Debug)]
pub enum State {
    /// Not begun.
    Waiting,
    /// Begun.
    UnderWay,
    /// Over. [`Ending::Saved`] and [`Ending::Unchanged`] mean removed.
    Ended(Ending),
}

/// How many keys are how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Not begun, or begun and not over.
    pub open: usize,
    /// Removed.
    pub removed: usize,
    /// Left alone, because they have moved since they were seen.
    pub moved: usize,
    /// Not known, or known to have failed.
    pub failed: usize,
}

impl Bulk {
    /// Plans to remove keys, each with the revision that it was seen at. Nothing is done yet: the
    /// plan's [`Bulk::items`] are what a dry run counts.
    pub fn plan(removal: Removal, keys: impl IntoIterator<Item = (Key, Revision)>) -> Self {
        let item = |(key, revision)| Item {
            save: Save::blind(key, revision),
            state: State::Waiting,
        };
        Self {
            removal,
            items: keys.into_iter().map(item).collect(),
            next: 0,
        }
    }

    /// What becomes of the keys.
    pub fn removal(&self) -> Removal {
        self.removal
    }

    /// The keys, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many keys are how far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for item in &self.items {
            match &item.state {
                State::Waiting | State::UnderWay => counts.open += 1,
                State::Ended(Ending::Saved { .. } | Ending::Unchanged) => counts.removed += 1,
                State::Ended(Ending::Conflict { .. } | Ending::Overwritten { .. }) => {
                    counts.moved += 1;
                }
                State::Ended(_) => counts.failed += 1,
            }
        }
        counts
    }

    /// Begins the next key: its number, and a save with its first step to carry out. Several may be
    /// under way at once. `None` when all were begun.
    pub fn begin(&mut self) -> Option<(usize, Save, Step)> {
        let waits = |item: &Item| matches!(item.state, State::Waiting);
        let at = self.next + self.items[self.next..].iter().position(waits)?;
        self.next = at + 1;
        let item = &mut self.items[at];
        item.state = State::UnderWay;
        let step = match self.removal {
            Removal::Delete => item.save.delete(),
            Removal::Purge => item.save.purge(),
        };
        Some((at, item.save.clone(), step))
    }

    /// A key that was begun has come to its end.
    pub fn ended(&mut self, at: usize, save: Save, ending: Ending) {
        if let Some(item) = self.items.get_mut(at) {
            *item = Item {
                save,
                state: State::Ended(ending),
            };
        }
    }

    /// Takes it up again: what was begun without coming to an end, is not known or has failed is
    /// begun once more, on the same revision. What was removed or has moved stays so.
    pub fn resume(&mut self) {
        self.next = 0;
        for item in &mut self.items {
            let is_over = matches!(
                item.state,
                State::Ended(
                    Ending::Saved { .. }
                        | Ending::Unchanged
                        | Ending::Conflict { .. }
                        | Ending::Overwritten { .. }
                )
            );
            if !is_over {
                item.state = State::Waiting;
            }
        }
    }
}

impl Item {
    /// The key.
    pub fn key(&self) -> &Key {
        self.save.key()
    }

    /// The revision that guards it.
    pub fn revision(&self) -> Revision {
        self.save.base().revision
    }

    /// How to undo its removal, where that is known.
    pub fn undoable(&self) -> Option<&Undoable> {
        self.save.undoable()
    }

    /// How far it is.
    pub fn state(&self) -> &State {
        &self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::save::{Base, Proof};
    use crate::kv::Error;

    fn plan() -> Bulk {
        let keys = (1..=4).map(|at| (Key::from_stored(format!("k{at}")), Revision(at)));
        Bulk::plan(Removal::Delete, keys)
    }

    fn saved() -> Ending {
        Ending::Saved {
            revision: Revision(9),
            proof: Proof::Acknowledged,
        }
    }

    #[test]
    fn each_key_is_guarded_by_the_revision_that_was_seen() {
        let mut bulk = plan();
        assert_eq!(bulk.counts().open, 4);
        while let Some((at, save, step)) = bulk.begin() {
            let Step::Write(write) = step else {
                panic!("{step:?}")
            };
            assert_eq!(write.expected, Some(Revision(at as u64 + 1)));
            bulk.ended(at, save, saved());
        }
        assert_eq!((bulk.counts().removed, bulk.counts().open), (4, 0));
    }

    #[test]
    fn it_can_be_stopped_and_taken_up_again() {
        let mut bulk = plan();
        let (first, save, _) = bulk.begin().unwrap();
        bulk.ended(first, save, saved());
        let (second, save, _) = bulk.begin().unwrap();
        bulk.ended(second, save, Ending::Failed(Error::Closed));
        let (third, save, _) = bulk.begin().unwrap();
        let newest = Base::default();
        bulk.ended(third, save, Ending::Conflict { newest });
        bulk.begin().unwrap();
        assert!(bulk.begin().is_none());
        let counts = Counts {
            open: 1,
            removed: 1,
            moved: 1,
            failed: 1,
        };
        assert_eq!(bulk.counts(), counts);
        bulk.resume();
        let again: Vec<_> = std::iter::from_fn(|| bulk.begin().map(|(at, ..)| at)).collect();
        assert_eq!(again, [second, 3]);
    }
}
