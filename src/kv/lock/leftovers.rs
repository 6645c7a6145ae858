//! What crashed processes left in a bucket: sessions that are over, in no lock, and that nobody
//! takes away.
//!
//! A session that ends in order takes its record away itself. One that was killed stays: as long as
//! a claim of it is in some lock, whoever waits there reads in that record that it is dead. So it
//! can't be taken away by the one who took it out of one lock; without the record the others would
//! have to wait for the longest lease that there can be. Only who has looked at all locks of a
//! bucket may do it, and long after the death, when no write of the session can be on its way any
//! more that would put it in a lock again.
//!
//! First comes a [`survey`], which changes nothing; then [`sweep`] takes away what it found, each
//! session only as it was seen.

use std::collections::HashSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::clock::Clock;
use super::name::KEY_PREFIX;
use super::record::Record;
use super::session::{SESSION_PREFIX, Session};
use crate::kv::backend::Write;
use crate::kv::{Entry, Error, Filter, Key, Revision, Store, WriteError};

/// How old the last word of a session must be at least.
pub const LEAST_AGE: Duration = Duration::from_secs(3600);
/// The longest silence that is waited for.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// How often the store is asked meanwhile, so that it is known to be there.
const PACE: Duration = Duration::from_secs(1);

/// The sessions that can go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Those that were killed.
    dead: Vec<Leftover>,
    /// Those that have not beaten for long, and that nobody has missed.
    silent: Vec<Leftover>,
    /// For how long these must be seen to be silent.
    silence: Duration,
}

/// The record of a session that can go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leftover {
    key: Key,
    revision: Revision,
}

/// What became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions of which nothing is left now.
    pub removed: u64,
    /// Sessions that have beaten since, or were taken away by others.
    pub passed_over: u64,
}

impl Leftovers {
    /// How many sessions they are.
    pub fn len(&self) -> u64 {
        (self.dead.len() + self.silent.len()) as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how long [`sweep`] looks first whether those that were not killed are silent.
    pub fn silence(&self) -> Duration {
        self.silence
    }
}

/// Looks for sessions whose last word is older than that at this time, and than [`LEAST_AGE`], and
/// that are in no lock of the bucket: not those with a lease of more than about a minute that were
/// not killed, nor those that can't be read.
///
/// Cancel-safe.
///
/// # Errors
/// Those of a watch; [`Error::Closed`] if it ended before all was told.
pub async fn survey(
    store: &Store,
    older_than: Duration,
    now: OffsetDateTime,
) -> Result<Leftovers, Error> {
    let age = older_than.max(LEAST_AGE);
    let sessions = store.contents(Filter::new(format!("{SESSION_PREFIX}>"))?);
    let mut old = sessions.await?;
    old.retain(|entry| now - entry.created >= age);
    if old.is_empty() {
        return Ok(Leftovers::default());
    }
    // After the sessions, or one of them could come into a lock in between.
    let locks = store.contents(Filter::new(format!("{KEY_PREFIX}>"))?);
    let locks = locks.await?;
    let in_locks = InLocks::of(&locks);
    let mut found = Leftovers::default();
    for entry in old {
        let session = entry.live_value().map(|value| Session::from_bytes(value));
        let id = Session::id_of(entry.key.as_str());
        let (Some(Ok(session)), Some(id)) = (session, id) else {
            continue;
        };
        if in_locks.may_have(id) {
            continue;
        }
        let left = Leftover {
            revision: entry.revision,
            key: entry.key.clone(),
        };
        let silence = session.lease().map(super::lease::Lease::silence);
        match silence.filter(|silence| *silence <= LONGEST_SILENCE) {
            _ if session.dead.is_some() => found.dead.push(left),
            Some(silence) => {
                found.silence = found.silence.max(silence);
                found.silent.push(left);
            }
            None => {}
        }
    }
    Ok(found)
}

/// Takes away the sessions that a survey found, with their markers. Those that were not killed only
/// after it was seen, by this process's own clock, that they don't beat: the time of day of the
/// store and of this machine may be far apart.
///
/// Why that is safe: a session that was killed never beats again, and one that is taken away can't.
/// Both are in no lock, and have been silent for so long that no guard of theirs is valid and no
/// write of theirs is on its way. One that beats after all has another revision, and is left alone.
///
/// Cancel-safe: what was taken away is, and doing the rest later is as good.
///
/// # Errors
/// The first failure; what was taken away before it stays so.
pub async fn sweep(store: &Store, found: &Leftovers, clock: Clock) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    for left in &found.dead {
        take_away(store, left, &mut swept).await?;
    }
    if let Some(first) = found.silent.first() {
        let mut before = clock.now();
        let mut watched = Duration::ZERO;
        while watched < found.silence {
            tokio::time::sleep(PACE).await;
            store.get(&first.key).await?;
            let now = clock.now();
            // A machine that slept has not watched.
            watched += now.saturating_sub(before).min(PACE * 2);
            before = now;
        }
    }
    for left in &found.silent {
        take_away(store, left, &mut swept).await?;
    }
    Ok(swept)
}

async fn take_away(store: &Store, left: &Leftover, swept: &mut Swept) -> Result<(), Error> {
    let purge = Write::purge(left.key.clone()).expecting(left.revision);
    match store.write(purge).await {
        Ok(marker) => {
            store.backend().forget(&left.key, marker).await?;
            swept.removed += 1;
        }
        // What became of one in doubt the next survey tells.
        Err(WriteError::Conflict { .. } | WriteError::Unknown { .. }) => swept.passed_over += 1,
        Err(WriteError::Failed(error)) => return Err(error),
    }
    Ok(())
}

/// The sessions that are in some lock.
struct InLocks<'a> {
    sessions: HashSet<String>,
    /// Records that can't be read can hold any session whose name is in them.
    unreadable: Vec<&'a [u8]>,
}

impl<'a> InLocks<'a> {
    fn of(locks: &'a [Entry]) -> Self {
        let mut found = Self {
            sessions: HashSet::new(),
            unreadable: Vec::new(),
        };
        for value in locks.iter().filter_map(Entry::live_value) {
            match Record::from_bytes(value) {
                Ok(record) => {
                    let claims = record.claims().iter();
                    let sessions = claims.map(|claim| claim.session.clone());
                    found.sessions.extend(sessions);
                }
                Err(_) => found.unreadable.push(value),
            }
        }
        found
    }

    fn may_have(&self, session: &str) -> bool {
        let name = session.as_bytes();
        let has = |record: &&[u8]| record.windows(name.len()).any(|part| part == name);
        self.sessions.contains(session) || self.unreadable.iter().any(has)
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use crate::kv::BucketName;
    use crate::kv::backend::BucketConfig;
    use crate::kv::lock::lease::Lease;
    use crate::kv::lock::session::{Cause, Process};
    use crate::kv::lock::{Locks, Settings, key_of};
    use crate::kv::memory::Memory;

    async fn store() -> Store {
        let config = BucketConfig::new(BucketName::new("b").unwrap());
        Memory::with_bucket(&config).await.unwrap().1
    }

    async fn leave(store: &Store, id: &str, dead: bool) -> Session {
        let session = Session::new(Process::current().clone(), Lease::default());
        let killed = session.killed(Cause::Silent, "other").filter(|_| dead);
        let session = killed.unwrap_or(session);
        let key = Session::key_of(id).unwrap();
        let put = store.put(key, session.to_bytes().unwrap()).await;
        put.unwrap();
        session
    }

    async fn keys(store: &Store) -> Vec<String> {
        let entries = store.entries(Filter::all()).await.unwrap();
        let mut keys: Vec<String> = entries
            .iter()
            .map(|entry| entry.key.as_str().to_owned())
            .collect();
        keys.sort();
        keys
    }

    /// The store's time of day now: it is that of the newest write.
    async fn now(store: &Store) -> OffsetDateTime {
        store.put("now", "").await.unwrap();
        store.get("now").await.unwrap().unwrap().created
    }

    #[tokio::test(start_paused = true)]
    async fn what_crashed_processes_left_goes_and_nothing_else() {
        let store = store().await;
        for (id, dead) in [("s_dead", true), ("s_idle", false), ("s_beats", false)] {
            leave(&store, id, dead).await;
        }
        let hour_long = Lease::new(LEAST_AGE).unwrap();
        let long = Session::new(Process::current().clone(), hour_long);
        store
            .put("_session.s_long", long.to_bytes().unwrap())
            .await
            .unwrap();
        store.put("_session.s_newer", r#"{"v":9}"#).await.unwrap();
        // One that is in a lock still, for nobody has come there since; and one that may be.
        let process = Locks::new(&store, Settings::default().clock(Clock::tokio()));
        let held = process.write("held").await.unwrap();
        let id = held.session().to_owned();
        leave(&store, "s_perhaps", true).await;
        let record = r#"{"v":7,"who":["s_perhaps"]}"#;
        store.put(key_of("new").unwrap(), record).await.unwrap();
        tokio::time::sleep(LEAST_AGE).await;
        leave(&store, "s_young", true).await;

        let now = now(&store).await;
        let found = survey(&store, Duration::ZERO, now).await.unwrap();
        assert_eq!(
            (found.len(), found.silence()),
            (3, Lease::default().silence())
        );
        let before = keys(&store).await.len();
        // One that was slow beats while it is watched.
        let beats = async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            leave(&store, "s_beats", false).await;
        };
        let (swept, ()) = tokio::join!(sweep(&store, &found, Clock::tokio()), beats);
        let told = Swept {
            removed: 2,
            passed_over: 1,
        };
        assert_eq!(swept.unwrap(), told);
        let left = keys(&store).await;
        assert_eq!(left.len(), before - 2);
        for id in ["s_beats", "s_long", "s_newer", "s_perhaps", "s_young", &id] {
            assert!(left.contains(&format!("_session.{id}")), "{id}: {left:?}");
        }
        assert_eq!(
            store.get("_session.s_dead").await.unwrap(),
            None,
            "no marker"
        );
        held.check().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_in_a_lock_stays_until_it_is_out_of_it() {
        let store = store().await;
        let process = Locks::new(&store, Settings::default().clock(Clock::tokio()));
        let held = process.write("held").await.unwrap();
        let id = held.session().to_owned();
        leave(&store, &id, true).await;
        tokio::time::sleep(LEAST_AGE * 2).await;
        let found = survey(&store, Duration::ZERO, now(&store).await).await;
        assert!(found.unwrap().is_empty());
        // Whoever comes to the lock reads that it is dead, and need not wait.
        let next = Locks::new(&store, Settings::default().clock(Clock::tokio()));
        let next = next.write("held").within(Duration::from_secs(5)).await;
        next.unwrap().release().await.unwrap();
        let found = survey(&store, Duration::ZERO, now(&store).await).await;
        assert_eq!(found.unwrap().dead.len(), 1);
        drop(held);
    }
}
