//! What becomes of one line of an import.
//!
//! Every write expects a revision: that the key is not there, or the one that was just read. So
//! nobody's write is ever lost by an import, and one whose acknowledgement was lost can be made
//! again: of two that expect the same, only one lands.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::line::Told;
use super::ranges::Ranges;
use crate::kv::backend::{Change, Write};
use crate::kv::{Entry, Error, Key, Operation, Revision, Store, WriteError};

/// How long a write is tried again while the store is away.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause before the first and the last of those tries.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a key is followed that others create and delete meanwhile.
const TURNS: u32 = 8;

/// What to do with keys that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Leave every key that has a value
    Create,
    /// Write over it, if nobody else wrote since it was read
    Overwrite,
    /// Leave every key that differs, and one that was deleted later; say which
    Merge,
}

/// What became of a line.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is written, or would be.
    Written,
    /// The store has just that.
    Same,
    /// The key stays as it is, at this revision.
    Left(Why, Revision),
    /// Its time was over before it was imported.
    Expired,
    /// It deletes a key that is not there.
    NothingThere,
    /// The store can't have it.
    Refused(Error),
}

/// Why a key was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// It has a value.
    Exists,
    /// It was written or deleted after the entry was.
    Newer,
    /// It has another value.
    Differs,
    /// Somebody wrote between the look and the write.
    Moved,
}

impl Why {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Newer => "newer",
            Self::Differs => "differs",
            Self::Moved => "moved",
        }
    }
}

/// How lines land.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) store: Store,
    pub(super) mode: Mode,
    /// Only look.
    pub(super) dry: bool,
    /// Whether the bucket lets entries have a time to live of their own.
    pub(super) keeps_ttl: bool,
    /// What this import has written.
    pub(super) ours: Mutex<Ranges>,
    /// Where an earlier run of this import may have written what it could not keep in mind.
    pub(super) earlier: Option<Earlier>,
}

/// The revisions among which are those of an earlier run that ended too soon to keep them all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Earlier {
    /// Behind this one.
    pub(super) after: Revision,
    /// Up to this one.
    pub(super) until: Revision,
}

impl Earlier {
    fn contains(self, revision: Revision) -> bool {
        self.after < revision && revision <= self.until
    }
}

/// What a try came to, when it came to something.
enum Tried {
    Done(Outcome),
    /// The key is not as it was just seen: look again.
    Again,
}

impl Landing {
    /// Brings one line home.
    ///
    /// # Errors
    /// What ends the import: the store is away for long, is full, or lets us write no more.
    pub(super) async fn land(&self, told: &Told) -> Result<Outcome, WriteError> {
        if let Err(fault) = told.key.check_writable()
            && told.operation.is_put()
        {
            return Ok(Outcome::Refused(fault.into()));
        }
        if told.operation.is_put()
            && told
                .expires
                .is_some_and(|at| at <= OffsetDateTime::now_utc())
        {
            return Ok(Outcome::Expired);
        }
        let until = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        // Whether an earlier try may have landed.
        let mut is_in_doubt = false;
        let mut turns = 0;
        loop {
            let error = match self.attempt(told, is_in_doubt).await {
                Ok(Tried::Done(outcome)) => return Ok(outcome),
                Ok(Tried::Again) if turns < TURNS => {
                    turns += 1;
                    continue;
                }
                Ok(Tried::Again) => {
                    return Ok(Outcome::Left(Why::Moved, Revision::ABSENT));
                }
                Err(error) => error,
            };
            match &error {
                WriteError::Unknown { .. } => is_in_doubt = true,
                WriteError::Failed(Error::Unreachable { .. } | Error::NoAnswer { .. }) => {}
                WriteError::Failed(Error::TooLarge { .. } | Error::InvalidKey(_)) => {
                    let WriteError::Failed(error) = error else {
                        return Err(error);
                    };
                    return Ok(Outcome::Refused(error));
                }
                _ => return Err(error),
            }
            if Instant::now() + pause > until {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, told: &Told, is_in_doubt: bool) -> Result<Tried, WriteError> {
        if told.operation.is_put() && !self.dry && !is_in_doubt {
            // Most keys of most imports are new: a look before would cost as much as the write.
            match self.write(told, Revision::ABSENT).await {
                Err(WriteError::Conflict { .. }) => {}
                Ok(revision) => return Ok(self.written(revision)),
                Err(error) => return Err(error),
            }
        }
        let Some(there) = self.store.get(&told.key).await? else {
            return match (told.operation.is_put(), self.dry) {
                (false, _) => Ok(Tried::Done(Outcome::NothingThere)),
                (true, true) => Ok(Tried::Done(Outcome::Written)),
                (true, false) if is_in_doubt => match self.write(told, Revision::ABSENT).await {
                    Ok(revision) => Ok(self.written(revision)),
                    Err(WriteError::Conflict { .. }) => Ok(Tried::Again),
                    Err(error) => Err(error),
                },
                (true, false) => Ok(Tried::Again),
            };
        };
        if let Some(written) = self.written_earlier(told, &there).await? {
            return Ok(self.written(written));
        }
        let is_same = is_same(told, &there);
        // What landed without our knowing is not among ours.
        let is_ours = self.ours().contains(there.revision.0);
        if !is_ours {
            if is_same && is_in_doubt {
                return Ok(self.written(there.revision));
            }
            if is_same {
                return Ok(Tried::Done(Outcome::Same));
            }
            if let Some(why) = self.objection(told, &there) {
                return Ok(Tried::Done(Outcome::Left(why, there.revision)));
            }
        }
        if self.dry {
            return Ok(Tried::Done(Outcome::Written));
        }
        match self.write(told, there.revision).await {
            Ok(revision) => Ok(self.written(revision)),
            // A marker runs out by itself, and nobody wrote.
            Err(WriteError::Conflict { .. }) if there.is_marker() => Ok(Tried::Again),
            Err(WriteError::Conflict { current, .. }) => Ok(Tried::Done(Outcome::Left(
                Why::Moved,
                current.unwrap_or_default(),
            ))),
            Err(error) => Err(error),
        }
    }

    /// Where an earlier run has written this very line, if it did and could not keep it: the first
    /// entry of that time that is the same and of which no line is known.
    async fn written_earlier(
        &self,
        told: &Told,
        there: &Entry,
    ) -> Result<Option<Revision>, WriteError> {
        let Some(earlier) = self.earlier.filter(|_| !self.dry) else {
            return Ok(None);
        };
        if !earlier.contains(there.revision) || self.ours().contains(there.revision.0) {
            return Ok(None);
        }
        let entries = self.store.history(&told.key).await?;
        let ours = self.ours();
        let mut unknown = entries
            .iter()
            .filter(|entry| earlier.contains(entry.revision) && !ours.contains(entry.revision.0));
        let found = unknown.find(|entry| is_same(told, entry));
        Ok(found.map(|entry| entry.revision))
    }

    /// Why a key that somebody else wrote is left as it is.
    fn objection(&self, told: &Told, there: &Entry) -> Option<Why> {
        let is_newer = told.created.is_some_and(|created| there.created > created);
        match (self.mode, there.is_marker()) {
            (Mode::Overwrite, _) => None,
            // What was deleted has no value, so nothing is overwritten.
            (Mode::Create, true) => None,
            (Mode::Create, false) => Some(Why::Exists),
            (Mode::Merge, _) if is_newer => Some(Why::Newer),
            (Mode::Merge, true) => None,
            (Mode::Merge, false) => Some(Why::Differs),
        }
    }

    fn written(&self, revision: Revision) -> Tried {
        self.ours().insert(revision.0);
        Tried::Done(Outcome::Written)
    }

    fn ours(&self) -> std::sync::MutexGuard<'_, Ranges> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, told: &Told, expected: Revision) -> Result<Revision, WriteError> {
        let change = match told.operation {
            Operation::Put => Change::Put(told.value.clone()),
            Operation::Delete | Operation::Expire => Change::Delete,
            Operation::Purge => Change::Purge,
        };
        let write = Write {
            key: Key::clone(&told.key),
            change,
            expected: Some(expected),
            ttl: told.lifetime().filter(|_| self.keeps_ttl),
        };
        self.store.write(write).await
    }
}

impl Told {
    /// What is left of the time to live that its writer gave it, in whole seconds.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        let own = self.ttl.filter(|_| self.operation.is_put())?;
        let left = match self.expires {
            Some(at) => Duration::try_from(at - OffsetDateTime::now_utc()).unwrap_or_default(),
            None => own,
        };
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Some(Duration::from_secs(seconds.max(1)))
    }
}

/// Whether the store has just what the line tells.
fn is_same(told: &Told, there: &Entry) -> bool {
    match there.live_value() {
        Some(value) => told.operation.is_put() && *value == told.value,
        None => !told.operation.is_put() && there.is_marker(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kv::BucketName;
    use crate::kv::backend::{Backend as _, BucketConfig};
    use crate::kv::faulty::{Faults, Faulty, WriteFault};
    use crate::kv::memory::Memory;

    async fn landing(mode: Mode) -> (Landing, Faults) {
        let (backend, faults) = Faulty::new(Arc::new(Memory::new()));
        let mut config = BucketConfig::new(BucketName::new("b").unwrap());
        config.history = 5;
        backend.create_bucket(&config).await.unwrap();
        let landing = Landing {
            store: Store::open(&backend, "b").await.unwrap(),
            mode,
            dry: false,
            keeps_ttl: false,
            ours: Mutex::default(),
            earlier: None,
        };
        (landing, faults)
    }

    fn told(key: &str, value: &'static str) -> Told {
        Told {
            key: Key::from_stored(key),
            revision: Revision(1),
            created: Some(OffsetDateTime::UNIX_EPOCH),
            operation: Operation::Put,
            value: value.into(),
            ttl: None,
            expires: None,
        }
    }

    fn gone(key: &str) -> Told {
        Told {
            operation: Operation::Delete,
            value: "".into(),
            ..told(key, "")
        }
    }

    async fn value(landing: &Landing, key: &str) -> Option<String> {
        let entry = landing.store.get(key).await.unwrap()?;
        let value = entry.live_value()?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }

    async fn outcome(landing: &Landing, told: &Told) -> String {
        match landing.land(told).await.unwrap() {
            Outcome::Left(why, _) => why.as_str().to_owned(),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    #[tokio::test]
    async fn each_mode_treats_what_is_there_in_its_way() {
        for (mode, newer, older, deleted, marker) in [
            (Mode::Create, "exists", "exists", "written", "exists"),
            (Mode::Overwrite, "written", "written", "written", "written"),
            (Mode::Merge, "newer", "differs", "newer", "differs"),
        ] {
            let (landing, _) = landing(mode).await;
            let store = &landing.store;
            for key in ["newer", "older", "deleted", "same", "marker"] {
                store.put(key, "there").await.unwrap();
            }
            store.delete("deleted", None).await.unwrap();
            let later = OffsetDateTime::now_utc() + Duration::from_secs(60);
            let late = |told| Told {
                created: Some(later),
                ..told
            };
            assert_eq!(outcome(&landing, &told("none", "new")).await, "written");
            assert_eq!(outcome(&landing, &told("newer", "new")).await, newer);
            assert_eq!(outcome(&landing, &late(told("older", "new"))).await, older);
            assert_eq!(outcome(&landing, &told("deleted", "new")).await, deleted);
            assert_eq!(outcome(&landing, &told("same", "there")).await, "same");
            assert_eq!(outcome(&landing, &late(gone("marker"))).await, marker);
            assert_eq!(outcome(&landing, &gone("nowhere")).await, "nothingthere");
            let expected = |outcome| if outcome == "written" { "new" } else { "there" };
            assert_eq!(value(&landing, "newer").await.unwrap(), expected(newer));
            assert_eq!(value(&landing, "older").await.unwrap(), expected(older));
        }
    }

    #[tokio::test]
    async fn later_lines_of_a_key_go_over_our_own_and_over_nobody_elses() {
        let (landing, _) = landing(Mode::Create).await;
        for value in ["1", "2", "2", "3"] {
            assert_eq!(outcome(&landing, &told("k", value)).await, "written");
        }
        assert_eq!(landing.store.history("k").await.unwrap().len(), 4);
        assert_eq!(outcome(&landing, &gone("k")).await, "written");
        assert_eq!(outcome(&landing, &told("k", "4")).await, "written");
        landing.store.put("k", "somebody's").await.unwrap();
        assert_eq!(outcome(&landing, &told("k", "5")).await, "exists");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_acknowledgement_is_looked_into_and_never_doubles() {
        for fault in [WriteFault::LoseAck, WriteFault::Drop] {
            let (landing, faults) = landing(Mode::Create).await;
            faults.next_writes([Some(fault)]);
            assert_eq!(outcome(&landing, &told("k", "1")).await, "written");
            assert_eq!(landing.store.history("k").await.unwrap().len(), 1);
            faults.next_writes([None, Some(fault)]);
            assert_eq!(outcome(&landing, &told("k", "2")).await, "written");
            assert_eq!(landing.store.history("k").await.unwrap().len(), 2);
        }
    }

    #[tokio::test]
    async fn what_a_killed_run_wrote_is_known_for_ours_and_gone_over() {
        let (mut landing, _) = landing(Mode::Create).await;
        let lines = ["1", "2", "2", "3"].map(|value| told("k", value));
        landing.store.put("before", "1").await.unwrap();
        for line in &lines[..2] {
            assert_eq!(outcome(&landing, line).await, "written");
        }
        // Killed: what it wrote behind revision 1 is in no file.
        landing.ours = Mutex::default();
        landing.earlier = Some(Earlier {
            after: Revision(1),
            until: Revision(3),
        });
        for line in &lines {
            assert_eq!(outcome(&landing, line).await, "written");
        }
        let past = landing.store.history("k").await.unwrap();
        let values: Vec<_> = past.iter().filter_map(|entry| entry.live_value()).collect();
        assert_eq!(values, ["1", "2", "2", "3"]);
        // What was there before, and what came since, is nobody's but others'.
        landing.store.put("k", "theirs").await.unwrap();
        assert_eq!(outcome(&landing, &told("k", "4")).await, "exists");
        assert_eq!(outcome(&landing, &told("before", "2")).await, "exists");
    }

    #[tokio::test]
    async fn nothing_is_written_on_trial() {
        let (mut landing, _) = landing(Mode::Overwrite).await;
        landing.dry = true;
        landing.store.put("k", "there").await.unwrap();
        assert_eq!(outcome(&landing, &told("k", "new")).await, "written");
        assert_eq!(outcome(&landing, &told("none", "new")).await, "written");
        assert_eq!(value(&landing, "k").await.unwrap(), "there");
        assert_eq!(value(&landing, "none").await, None);
    }

    #[test]
    fn what_is_left_of_a_life_is_counted_in_whole_seconds() {
        let expires = OffsetDateTime::now_utc() + Duration::from_millis(90_500);
        let mut entry = told("k", "v");
        assert_eq!(entry.lifetime(), None);
        entry.ttl = Some(Duration::from_secs(600));
        assert_eq!(entry.lifetime().unwrap().as_secs(), 600);
        entry.expires = Some(expires);
        assert_eq!(entry.lifetime().unwrap().as_secs(), 91);
    }
}
