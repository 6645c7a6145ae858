//! Every way in which a save can end, and that what it says is true.

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::kv::Operation;

/// One key of a store that keeps so many entries, and knows who wrote which.
struct World {
    log: Vec<(Entry, Author)>,
    kept: usize,
    /// Writes that are still on their way.
    late: Vec<(Write, usize)>,
    writes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    /// The write of the save with that number.
    Ours(usize),
    Other,
}

/// What happens to a write.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Acknowledged,
    AckLost,
    Dropped,
    /// It lands when nobody waits for it any more, if the store takes it then.
    Late,
    Fails,
}

impl World {
    fn new(kept: usize) -> Self {
        Self {
            log: Vec::new(),
            kept,
            late: Vec::new(),
            writes: 0,
        }
    }

    fn newest(&self) -> Option<&Entry> {
        self.log.last().map(|(entry, _)| entry)
    }

    fn revision(&self) -> Revision {
        self.newest()
            .map_or(Revision::ABSENT, |entry| entry.revision)
    }

    fn history(&self) -> Vec<Entry> {
        let purged = self
            .log
            .iter()
            .rposition(|(entry, _)| entry.operation == Operation::Purge);
        let from = self
            .log
            .len()
            .saturating_sub(self.kept)
            .max(purged.unwrap_or(0));
        self.log[from..]
            .iter()
            .map(|(entry, _)| entry.clone())
            .collect()
    }

    fn take(&mut self, write: &Write, author: Author) -> Result<Revision, WriteError> {
        if let Some(expected) = write
            .expected
            .filter(|expected| *expected != self.revision())
        {
            return Err(WriteError::Conflict {
                key: write.key.clone(),
                expected,
                current: None,
            });
        }
        let revision = Revision(self.log.len() as u64 * 10 + 10);
        let (operation, value) = match &write.change {
            Change::Put(value) => (Operation::Put, value.clone()),
            Change::Delete => (Operation::Delete, Bytes::new()),
            Change::Purge => (Operation::Purge, Bytes::new()),
        };
        let entry = Entry {
            key: write.key.clone(),
            revision,
            created: OffsetDateTime::UNIX_EPOCH,
            operation,
            size: value.len() as u64,
            value: Some(value),
            ttl: write.ttl,
            expires: None,
        };
        self.log.push((entry, author));
        Ok(revision)
    }

    fn other_writes(&mut self, value: &str) {
        let write = Write::put(key(), Bytes::copy_from_slice(value.as_bytes()));
        self.take(&write, Author::Other).unwrap();
    }

    fn late_ones_land(&mut self) {
        for (write, number) in std::mem::take(&mut self.late) {
            let _ = self.take(&write, Author::Ours(number));
        }
    }

    fn write(&mut self, write: &Write, fate: Fate) -> Result<Revision, WriteError> {
        let number = self.writes;
        self.writes += 1;
        let unknown = || WriteError::Unknown {
            key: key(),
            reason: "cut".to_owned(),
        };
        match fate {
            Fate::Acknowledged => self.take(write, Author::Ours(number)),
            Fate::AckLost => {
                let _ = self.take(write, Author::Ours(number));
                Err(unknown())
            }
            Fate::Dropped => Err(unknown()),
            Fate::Late => {
                self.late.push((write.clone(), number));
                Err(unknown())
            }
            Fate::Fails => Err(WriteError::Failed(Error::Closed)),
        }
    }

    /// Lets a save come to its end. `meanwhile` happens between its write and its look, `fates` to
    /// its writes.
    fn run(&mut self, save: &mut Save, first: Step, fates: &[Fate], meanwhile: &[&str]) -> Ending {
        let (mut step, mut fates) = (first, fates.iter());
        let mut meanwhile = Some(meanwhile);
        loop {
            step = match step {
                Step::Ended(ending) => return ending,
                Step::Write(write) => {
                    let fate = fates.next().copied().unwrap_or(Fate::Acknowledged);
                    let result = self.write(&write, fate);
                    save.written(result)
                }
                Step::Read => {
                    for value in meanwhile.take().into_iter().flatten() {
                        self.other_writes(value);
                    }
                    save.read(Ok(Look {
                        newest: self.newest().cloned(),
                        history: self.history(),
                    }))
                }
            };
        }
    }

    fn open(&self) -> Save {
        Save::new(key(), Base::of(self.newest()))
    }
}

fn key() -> Key {
    Key::from_stored("k")
}

fn approved(text: &str) -> Approved {
    Approved::again(Bytes::copy_from_slice(text.as_bytes()))
}

fn opened(kept: usize) -> (World, Save) {
    let mut world = World::new(kept);
    world.other_writes("base");
    let save = world.open();
    (world, save)
}

#[test]
fn that_nothing_has_to_be_written_is_said_of_now() {
    let (mut world, mut save) = opened(5);
    let step = save.put(approved("base"), None);
    let ending = world.run(&mut save, step, &[], &["other"]);
    assert!(
        matches!(&ending, Ending::Conflict { newest } if newest.value.as_deref() == Some(b"other")),
        "{ending:?}"
    );
    assert_eq!(save.base().revision, Revision(10), "what was seen");

    // Whoever wrote just this has done it.
    let step = save.put(approved("base"), None);
    let ending = world.run(&mut save, step, &[], &["base"]);
    assert!(matches!(ending, Ending::Unchanged), "{ending:?}");
    assert_eq!(save.base().revision, world.revision());

    let mut gone = Save::new(Key::from_stored("gone"), Base::default());
    assert!(matches!(gone.delete(), Step::Read));
    let unread = Error::Closed;
    assert!(matches!(
        gone.read(Err(unread)),
        Step::Ended(Ending::Failed(Error::Closed))
    ));
}

#[test]
fn what_is_acknowledged_is_saved_and_the_next_save_is_on_it() {
    let (mut world, mut save) = opened(5);
    let step = save.put(approved("base"), None);
    let ending = world.run(&mut save, step, &[], &[]);
    assert!(matches!(ending, Ending::Unchanged));
    for (text, revision) in [("one", 20), ("two", 30)] {
        let step = save.put(approved(text), None);
        let ending = world.run(&mut save, step, &[], &[]);
        assert!(matches!(
            ending,
            Ending::Saved { revision: saved, proof: Proof::Acknowledged } if saved == Revision(revision)
        ));
    }
    let undoable = save.undoable().unwrap();
    assert_eq!(
        (undoable.revision(), undoable.before().revision),
        (Revision(30), Revision(20))
    );
    let (mut undo, step) = undoable.undo();
    world.run(&mut undo, step, &[], &[]);
    assert_eq!(
        world.newest().unwrap().value.as_deref(),
        Some(b"one".as_slice())
    );
    let (mut late, step) = undoable.undo();
    assert!(matches!(
        world.run(&mut late, step, &[], &[]),
        Ending::Conflict { .. }
    ));
}

#[test]
fn a_key_that_has_moved_is_a_conflict_until_it_is_merged() {
    let (mut world, mut save) = opened(5);
    world.other_writes("theirs");
    assert!(save.is_news(world.newest().unwrap()));
    let step = save.put(approved("mine"), None);
    let Ending::Conflict { newest } = world.run(&mut save, step, &[], &[]) else {
        panic!("no conflict");
    };
    assert_eq!(newest.value.as_deref(), Some(b"theirs".as_slice()));
    save.rebase(newest);
    let step = save.put(approved("merged"), None);
    assert!(matches!(
        world.run(&mut save, step, &[], &[]),
        Ending::Saved { .. }
    ));
    assert!(!save.is_news(world.newest().unwrap()));
}

#[test]
fn a_key_that_was_deleted_meanwhile_is_a_conflict_with_nothing() {
    let (mut world, mut save) = opened(5);
    world.take(&Write::delete(key()), Author::Other).unwrap();
    let step = save.put(approved("mine"), None);
    let Ending::Conflict { newest } = world.run(&mut save, step, &[], &[]) else {
        panic!("no conflict");
    };
    assert_eq!(
        (newest.value.clone(), newest.revision),
        (None, Revision(20))
    );
    save.rebase(newest);
    let step = save.put(approved("mine"), None);
    assert!(matches!(
        world.run(&mut save, step, &[], &[]),
        Ending::Saved { .. }
    ));
}

#[test]
fn a_lost_acknowledgement_is_cleared_up() {
    let end = |kept, fate, meanwhile: &[&str]| {
        let (mut world, mut save) = opened(kept);
        let step = save.put(approved("mine"), None);
        let ending = world.run(&mut save, step, &[fate], meanwhile);
        (format!("{ending:?}"), save)
    };
    let (told, save) = end(5, Fate::AckLost, &[]);
    assert!(
        told.starts_with("Saved { revision: Revision(20), proof: ReadBack"),
        "{told}"
    );
    assert_eq!(save.base().revision, Revision(20));
    let (told, save) = end(5, Fate::Dropped, &[]);
    assert!(
        told.starts_with("NotLanded") && save.is_in_doubt(),
        "{told}"
    );
    let (told, save) = end(5, Fate::Dropped, &["theirs"]);
    assert!(
        told.starts_with("Conflict") && !save.is_in_doubt(),
        "{told}"
    );
    let (told, _) = end(5, Fate::AckLost, &["theirs"]);
    assert!(
        told.starts_with("Overwritten { landed: Revision(20)"),
        "{told}"
    );
    // A bucket that keeps no history can't prove it.
    let (told, _) = end(1, Fate::AckLost, &[]);
    assert!(
        told.starts_with("Saved { revision: Revision(20), proof: SameValue"),
        "{told}"
    );
    for fate in [Fate::AckLost, Fate::Dropped] {
        let (told, _) = end(1, fate, &["theirs"]);
        assert!(told.starts_with("Unclear"), "{told}");
    }
    let (told, save) = end(5, Fate::Fails, &[]);
    assert!(told.starts_with("Failed") && !save.is_in_doubt(), "{told}");
}

#[test]
fn saving_again_after_a_doubt_is_safe_whatever_became_of_the_first() {
    // It never lands, it landed just after the look, or somebody wrote over it.
    for (lands, foreign, wanted) in [
        (false, None, "Saved"),
        (true, None, "Saved"),
        (true, Some("theirs"), "Conflict"),
    ] {
        let (mut world, mut save) = opened(5);
        let step = save.put(approved("first"), None);
        let ending = world.run(&mut save, step, &[Fate::Late], &[]);
        assert!(matches!(ending, Ending::NotLanded { .. }));
        if lands {
            world.late_ones_land();
            assert!(!save.is_news(world.newest().unwrap()));
        }
        if let Some(value) = foreign {
            world.other_writes(value);
        }
        let step = save.put(approved("second"), None);
        let ending = world.run(&mut save, step, &[], &[]);
        assert!(format!("{ending:?}").starts_with(wanted), "{ending:?}");
        if foreign.is_some() {
            // What ours was, is the base of the merge: it is no change of theirs.
            assert_eq!(save.base().value.as_deref(), Some(b"first".as_slice()));
        }
    }
}

#[test]
fn going_back_to_the_base_writes_over_what_may_still_land() {
    let (mut world, mut save) = opened(5);
    let step = save.put(approved("mine"), None);
    world.run(&mut save, step, &[Fate::Late], &[]);
    let step = save.put(approved("base"), None);
    assert!(matches!(
        world.run(&mut save, step, &[], &[]),
        Ending::Saved { .. }
    ));
    world.late_ones_land();
    assert_eq!(
        world.newest().unwrap().value.as_deref(),
        Some(b"base".as_slice())
    );
}

#[test]
fn when_nothing_can_be_read_it_is_said_and_asked_again_later() {
    let (mut world, mut save) = opened(5);
    let Step::Write(write) = save.put(approved("mine"), None) else {
        panic!("no write");
    };
    let result = world.write(&write, Fate::AckLost);
    assert!(matches!(save.written(result), Step::Read));
    let ending = save.read(Err(Error::Closed));
    assert!(matches!(ending, Step::Ended(Ending::Unknown { .. })));
    let step = save.look_again();
    let ending = world.run(&mut save, step, &[], &[]);
    assert!(
        matches!(
            ending,
            Ending::Saved {
                proof: Proof::ReadBack,
                ..
            }
        ),
        "{ending:?}"
    );
}

#[test]
fn removals_end_like_saves() {
    for purge in [false, true] {
        let (mut world, mut save) = opened(5);
        let step = if purge { save.purge() } else { save.delete() };
        let ending = world.run(&mut save, step, &[Fate::AckLost], &[]);
        assert!(matches!(ending, Ending::Saved { .. }), "{ending:?}");
        let (mut undo, step) = save.undoable().unwrap().undo();
        world.run(&mut undo, step, &[], &[]);
        assert_eq!(world.newest().unwrap().live_value().unwrap(), "base");
        let mut blind = Save::blind(key(), world.revision());
        let step = if purge { blind.purge() } else { blind.delete() };
        assert!(matches!(
            world.run(&mut blind, step, &[], &[]),
            Ending::Saved { .. }
        ));
        assert!(blind.undoable().is_none());
    }
}

#[test]
fn a_time_to_live_is_kept_or_its_loss_is_said() {
    let ttl = Duration::from_secs(60);
    let base = Base {
        ttl: Some(ttl),
        ..Base::default()
    };
    assert_eq!(base.kept_ttl(true), Ok(Some(ttl)));
    assert_eq!(base.kept_ttl(false), Err(Warning::LosesTtl(ttl)));
    assert_eq!(Base::default().kept_ttl(false), Ok(None));
}

fn fate() -> impl Strategy<Value = Fate> {
    prop::sample::select(vec![
        Fate::Acknowledged,
        Fate::AckLost,
        Fate::Dropped,
        Fate::Late,
        Fate::Fails,
    ])
}

#[derive(Debug, Clone)]
struct Round {
    text: u8,
    fates: Vec<Fate>,
    before: Vec<u8>,
    meanwhile: Vec<u8>,
    late: bool,
}

fn round() -> impl Strategy<Value = Round> {
    let foreign = || prop::collection::vec(0_u8..4, 0..3);
    (
        0_u8..4,
        prop::collection::vec(fate(), 0..3),
        foreign(),
        foreign(),
        any::<bool>(),
    )
        .prop_map(|(text, fates, before, meanwhile, late)| Round {
            text,
            fates,
            before,
            meanwhile,
            late,
        })
}

proptest! {
    #[test]
    fn what_a_save_says_is_true(kept in 1_usize..5, rounds in prop::collection::vec(round(), 1..6)) {
        let mut world = World::new(kept);
        world.other_writes("0");
        let mut save = world.open();
        for round in rounds {
            for value in &round.before {
                world.other_writes(&value.to_string());
            }
            if round.late {
                world.late_ones_land();
            }
            let mine = round.text.to_string();
            let first_of_ours = world.writes;
            let meanwhile: Vec<String> = round.meanwhile.iter().map(u8::to_string).collect();
            let meanwhile: Vec<&str> = meanwhile.iter().map(String::as_str).collect();
            let step = save.put(approved(&mine), None);
            let ending = world.run(&mut save, step, &round.fates, &meanwhile);
            let at = |revision: Revision| {
                let found = world.log.iter().find(|(entry, _)| entry.revision == revision);
                found.and_then(|(entry, _)| entry.live_value().cloned())
            };
            let landed = world.log.iter().any(|(entry, author)| {
                matches!(author, Author::Ours(number) if *number >= first_of_ours)
                    && entry.live_value().is_some_and(|value| *value == mine)
            });
            match ending {
                Ending::Unchanged => {
                    let now = save.base().revision;
                    prop_assert_eq!(now, world.revision());
                    prop_assert_eq!(at(now), Some(mine.clone().into()));
                    prop_assert!(!landed);
                }
                Ending::Saved { revision, .. } => {
                    prop_assert_eq!(at(revision), Some(mine.clone().into()));
                    prop_assert_eq!(save.base().revision, revision);
                }
                Ending::Overwritten { landed, newest } => {
                    prop_assert_eq!(at(landed), Some(mine.clone().into()));
                    prop_assert_eq!(newest.revision, world.revision());
                    prop_assert!(newest.revision > landed);
                    save.rebase(newest);
                }
                Ending::Conflict { newest } => {
                    prop_assert!(!landed, "it is there: {:?}", world.log);
                    prop_assert_eq!(newest.revision, world.revision());
                    save.rebase(newest);
                }
                Ending::NotLanded { .. } => {
                    prop_assert!(!landed);
                    prop_assert_eq!(world.revision(), save.base().revision);
                }
                Ending::Unclear { newest, .. } => {
                    let reaches_back = |entry: &Entry| entry.revision == save.base().revision;
                    prop_assert!(!world.history().iter().any(reaches_back));
                    save.rebase(newest);
                }
                Ending::Failed(_) => prop_assert!(!landed),
                Ending::Unknown { .. } => prop_assert!(false, "everything could be read"),
            }
            // A write of ours never stands on a revision of somebody else's that it had not seen.
            for pair in world.log.windows(2) {
                if let ((before, _), (after, Author::Ours(_))) = (&pair[0], &pair[1]) {
                    prop_assert!(before.revision < after.revision);
                }
            }
        }
    }
}
