//! Breaking a lock: an operator takes it from a session that others wait for.
//!
//! In steps, so that a screen can show each and never waits: [`Sight::take`] tells what is there
//! and what breaking would do; [`Sight::begin`] acts on it, if it is still so, and kills the
//! session; [`Breaking::left`] counts the quarantine down; [`Breaking::finish`] takes the session
//! out of every lock of the bucket and tells who holds them now.
//!
//! The session is killed first, whatever else happens: a session that is taken out of a lock while
//! it lives would go on as if it held. Killing and beating are compare-and-sets on one record, so
//! that a dead session stays dead. The guards that it gave out run out in the quarantine, by which
//! time nobody needs to ask the process anything.
//!
//! A lock that many wait for is written all the time. What an operator decided on is not the
//! record's bytes but whose claim is broken and who comes next: as long as these are what was shown,
//! the lock may have moved on. See [`Sight::is_as_shown`].
//!
//! Who stops between two steps leaves a lock that the next waiter frees by itself, after a
//! quarantine of its own.

mod error;
mod evicting;
mod reset;
#[cfg(test)]
mod tests;

use std::time::Duration;

use time::OffsetDateTime;

pub use self::error::BreakError;
pub use self::evicting::{Broken, Elsewhere, Freed};
pub use self::reset::{Reset, reset_shizuku};

use super::clock::Clock;
use super::key_of;
use super::kill::Kill;
use super::lease::Lease;
use super::record::{Claim, DecodeError, Mode, Record, State, Step};
use super::session::{Cause, Death, Process, Session};
use crate::kv::{Entry, Error, Key, Revision, Store, WriteError};

/// How often a step is tried that meets others, or whose end is not known.
const MOST_TRIES: u32 = 24;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A session at a lock as it was seen: what an operator decides on.
#[derive(Debug, Clone)]
pub struct Sight {
    store: Store,
    clock: Clock,
    resource: String,
    key: Key,
    revision: Revision,
    record: Record,
    id: String,
    session: Found,
    elsewhere: Vec<Elsewhere>,
    must_be_silent: bool,
}

/// The record of a session as it was found.
#[derive(Debug, Clone)]
struct Found {
    revision: Revision,
    /// When the store took it.
    created: Option<OffsetDateTime>,
    content: Result<Option<Session>, DecodeError>,
}

/// How it stands with a session, as far as one look can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulse {
    /// It was not killed. Whether it beats, one look can't tell.
    Alive,
    /// It was not killed, but its process is gone from this very machine.
    Gone,
    /// It was killed.
    Dead(Death),
    /// It has no record, and so it can't beat.
    Missing,
    /// Its record can't be read, and so it can't be killed.
    Unreadable(DecodeError),
}

/// How to take a lock away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// After a quarantine in which the session's guards run out.
    Quarantined,
    /// At once. For [`Sight::overlap`] two may hold.
    Forced,
}

impl Sight {
    /// Looks at a session in the lock of a resource, and at the other locks of the bucket that
    /// would be freed with it. Cancel-safe: it only reads.
    ///
    /// # Errors
    /// [`BreakError::NoClaim`] when the session neither holds the lock nor waits for it,
    /// [`BreakError::Malformed`] for a lock that can't be read, and what the store fails with.
    pub async fn take(store: &Store, resource: &str, session: &str) -> Result<Self, BreakError> {
        Self::take_by(store, resource, session, Clock::boot()).await
    }

    pub(super) async fn take_by(
        store: &Store,
        resource: &str,
        session: &str,
        clock: Clock,
    ) -> Result<Self, BreakError> {
        let key = key_of(resource)?;
        let (record, revision) = read_record(store, &key).await?;
        let is_in = |claim: &Claim| claim.session == session;
        if !record.claims().iter().any(is_in) {
            return Err(BreakError::NoClaim {
                resource: resource.to_owned(),
                session: session.to_owned(),
                record: Box::new(record),
            });
        }
        let elsewhere = evicting::locks_of(store, session).await?;
        let elsewhere = elsewhere.into_iter();
        Ok(Self {
            session: Found::read(store, session).await?,
            elsewhere: elsewhere
                .filter(|other| other.resource != resource)
                .collect(),
            store: store.clone(),
            clock,
            resource: resource.to_owned(),
            key,
            revision,
            record,
            id: session.to_owned(),
            must_be_silent: false,
        })
    }

    /// Breaks only a session that has not beaten since this sight was taken: for an operator who
    /// decides to break it because it is silent.
    #[must_use]
    pub fn only_if_silent(self) -> Self {
        Self {
            must_be_silent: true,
            ..self
        }
    }

    /// The resource.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The session's name.
    pub fn session_id(&self) -> &str {
        &self.id
    }

    /// The revision of the lock that was seen.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The lock as it was seen.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the session holds and waits for in this lock.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        let claims = self.record.claims().iter();
        claims.filter(|claim| claim.session == self.id)
    }

    /// The session's record, where there is one.
    pub fn session(&self) -> Option<&Session> {
        self.session.content.as_ref().ok()?.as_ref()
    }

    /// When the session beat last, or was killed, by the store's clock.
    pub fn beaten_at(&self) -> Option<OffsetDateTime> {
        self.session.created
    }

    /// How it stands with the session. Reads this system's own files.
    pub fn pulse(&self) -> Pulse {
        self.session.pulse()
    }

    /// What else the session holds and waits for in this bucket, and loses with it.
    pub fn elsewhere(&self) -> &[Elsewhere] {
        &self.elsewhere
    }

    /// Who holds the lock once the session is out of it, of those who don't hold it now.
    pub fn next(&self) -> Vec<Claim> {
        next_in(&self.record, &self.id)
    }

    /// Whether what was shown is so in a later state of the lock: the session has the very claims
    /// that it had, by their ids, each for the same and still held or still waiting; and breaking
    /// it lets in whom it would have let in. Others may have come and gone behind them, and more
    /// readers may come in beside those that were shown.
    pub fn is_as_shown(&self, now: &Record) -> bool {
        let claims = |record: &Record| -> Vec<(String, Mode, State)> {
            let claims = record.claims().iter();
            claims
                .filter(|claim| claim.session == self.id)
                .map(|claim| (claim.id.clone(), claim.mode, claim.state))
                .collect()
        };
        let (shown, next) = (self.next(), next_in(now, &self.id));
        let is_in = |claim: &Claim| next.iter().any(|next| next.id == claim.id);
        let are_alike = shown.is_empty() == next.is_empty() && shown.iter().all(is_in);
        claims(&self.record) == claims(now) && are_alike
    }

    /// How long the quarantine will be: none for a session that can hold no valid guard any more,
    /// and longer than an hour for one whose lease nobody knows, for its record is gone.
    pub fn quarantine(&self) -> Duration {
        match self.pulse() {
            Pulse::Gone => Duration::ZERO,
            Pulse::Dead(death) if death.why != Cause::Broken => Duration::ZERO,
            Pulse::Alive | Pulse::Dead(_) | Pulse::Missing | Pulse::Unreadable(_) => {
                self.lease().silence()
            }
        }
    }

    /// For how long, after a forced break, the session's guards may still be taken for valid where
    /// it runs, so that two may hold. `None` when there is no end to that: a session whose record
    /// can't be read can't be killed, and goes on beating as long as it lives.
    pub fn overlap(&self) -> Option<Duration> {
        if let Pulse::Unreadable(_) = self.pulse() {
            return None;
        }
        if self.quarantine().is_zero() {
            return Some(Duration::ZERO);
        }
        Some(self.lease().valid_until(Duration::ZERO))
    }

    /// The lease that its guards run out by: the longest that there can be where its own is not
    /// known.
    fn lease(&self) -> Lease {
        let lease = self.session().and_then(Session::lease);
        lease.unwrap_or(Lease::longest())
    }

    /// Kills the session, if the lock is still [as it was shown](Self::is_as_shown). `by` is what people will read as the
    /// one who did it.
    ///
    /// Dropping the future may leave the session killed; taking another sight tells.
    ///
    /// # Errors
    /// [`BreakError::Moved`] when the lock is another by now in what matters, [`BreakError::Beats`] where that was
    /// asked for, [`BreakError::Unreadable`] for a session that can't be killed,
    /// [`BreakError::Unknown`] when nobody knows whether it was, and what the store fails with,
    /// [`Error::ReadOnly`] before anything else.
    pub async fn begin(self, manner: Manner, by: &str) -> Result<Breaking, BreakError> {
        if self.store.capabilities().read_only {
            let action = format!("breaking the lock {:?}", self.resource);
            return Err(Error::ReadOnly { action }.into());
        }
        let sight = self.looked_again().await?;
        let quarantine = match manner {
            Manner::Quarantined => sight.quarantine(),
            Manner::Forced => Duration::ZERO,
        };
        let death = sight.kill(manner, by).await?;
        let sight = match death {
            // It ended by itself, just now: most likely it has let the lock go as well.
            None if sight.session().is_some() => sight.looked_again().await?,
            _ => sight,
        };
        Ok(Breaking {
            // From now on, when it is certain that no beat can land any more.
            until: sight.clock.now() + quarantine,
            sight,
            death,
        })
    }

    /// The same with the lock as it is now, if that is still what was shown.
    async fn looked_again(self) -> Result<Self, BreakError> {
        let (record, current) = read_record(&self.store, &self.key).await?;
        if current == self.revision {
            return Ok(self);
        }
        if !self.is_as_shown(&record) {
            return Err(self.moved(record, current));
        }
        Ok(Self {
            record,
            revision: current,
            ..self
        })
    }

    fn moved(&self, record: Record, current: Revision) -> BreakError {
        BreakError::Moved {
            key: self.key.clone(),
            expected: self.revision,
            current,
            record: Some(Box::new(record)),
        }
    }

    /// Kills the session, unless there is nothing to kill. Returns how it died.
    async fn kill(&self, manner: Manner, by: &str) -> Result<Option<Death>, BreakError> {
        let key = Session::key_of(&self.id)?;
        let mut found = self.session.clone();
        let mut doubt = None;
        for tries in 1..=MOST_TRIES {
            let why = match found.pulse() {
                Pulse::Alive => Cause::Broken,
                Pulse::Gone => Cause::Gone,
                Pulse::Dead(death) => return Ok(Some(death)),
                Pulse::Missing => return Ok(None),
                // Nothing can be written over what is not understood.
                Pulse::Unreadable(_) if manner == Manner::Forced => return Ok(None),
                Pulse::Unreadable(error) => return Err(BreakError::Unreadable { key, error }),
            };
            let session = found.content.as_ref().ok().and_then(Option::as_ref);
            let kill = session.map(|session| {
                let kill = Kill::of(key.clone(), session, found.revision, why, by);
                kill.map_err(BreakError::encoding)
            });
            let Some(Kill { dead, write }) = kill.transpose()?.flatten() else {
                return Ok(None);
            };
            match self.store.write(write).await {
                Ok(_) => return Ok(dead.dead),
                Err(WriteError::Failed(error)) if doubt.is_none() => return Err(error.into()),
                Err(WriteError::Failed(_) | WriteError::Conflict { .. }) => {}
                Err(WriteError::Unknown { reason, .. }) => doubt = Some(reason),
            }
            // Only what is there now tells how it ended.
            match Found::read(&self.store, &self.id).await {
                Ok(now) => {
                    let has_beaten = now.revision != found.revision && now.pulse() == Pulse::Alive;
                    if has_beaten && self.must_be_silent {
                        return Err(BreakError::Beats {
                            session: self.id.clone(),
                            expected: self.session.revision,
                            current: now.revision,
                        });
                    }
                    if now.revision != found.revision {
                        doubt = None;
                    }
                    found = now;
                }
                Err(error) if doubt.is_none() => return Err(error),
                Err(_) => {}
            }
            pause(tries).await;
        }
        let reason = doubt.unwrap_or_else(|| "others keep writing it".to_owned());
        Err(BreakError::Unknown { key, reason })
    }
}

/// A lock that is being broken: the session is dead, and still in it.
///
/// Cheap to drop: who waits for the lock finishes it then.
#[derive(Debug)]
pub struct Breaking {
    sight: Sight,
    /// When the quarantine is over, by the clock of [`Sight`].
    until: Duration,
    death: Option<Death>,
}

impl Breaking {
    /// What was acted on.
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// How the session died: by this hand, or by another's before. `None` for one that had no
    /// record to kill.
    pub fn death(&self) -> Option<&Death> {
        self.death.as_ref()
    }

    /// What is left of the quarantine.
    pub fn left(&self) -> Duration {
        self.until.saturating_sub(self.sight.clock.now())
    }

    /// Waits until the quarantine is over. Cancel-safe.
    pub async fn quarantine(&self) {
        // A timer sleeps with the machine, the quarantine does not: it is asked again.
        while !self.left().is_zero() {
            tokio::time::sleep(self.left().min(Duration::from_secs(1))).await;
        }
    }

    /// Waits for the rest of the quarantine, then takes the session out of this lock and all others
    /// of the bucket.
    ///
    /// Can be called again after it failed or was dropped: what is done stays done.
    ///
    /// # Errors
    /// [`BreakError::Alive`] when the session lives after all, which a store that was rolled back
    /// can bring about; [`BreakError::Unknown`], and what the store fails with.
    pub async fn finish(&self) -> Result<Broken, BreakError> {
        self.quarantine().await;
        let sight = &self.sight;
        let found = Found::read(&sight.store, &sight.id).await?;
        if let Pulse::Alive | Pulse::Gone = found.pulse() {
            return Err(BreakError::Alive {
                session: sight.id.clone(),
                revision: found.revision,
            });
        }
        evicting::evict_everywhere(sight).await
    }
}

impl Found {
    async fn read(store: &Store, id: &str) -> Result<Self, BreakError> {
        let entry = store.get(Session::key_of(id)?).await?;
        let content = entry.as_ref().and_then(Entry::live_value);
        Ok(Self {
            revision: revision_of(entry.as_ref()),
            created: entry.as_ref().map(|entry| entry.created),
            content: content.map(|value| Session::from_bytes(value)).transpose(),
        })
    }

    fn pulse(&self) -> Pulse {
        match &self.content {
            Err(error) => Pulse::Unreadable(error.clone()),
            Ok(None) => Pulse::Missing,
            Ok(Some(session)) => match &session.dead {
                Some(death) => Pulse::Dead(death.clone()),
                None if Process::current().sees_gone(session) => Pulse::Gone,
                None => Pulse::Alive,
            },
        }
    }
}

/// Whom taking a session out of a lock lets in.
fn next_in(record: &Record, session: &str) -> Vec<Claim> {
    // What fence they would get is not asked.
    let Step::Write(after) = record.evict(session, Revision::ABSENT) else {
        return Vec::new();
    };
    let held_before = |claim: &Claim| {
        let before = record.claim(&claim.id);
        before.is_some_and(|before| before.state.is_held())
    };
    let holders = after.holders();
    holders
        .filter(|claim| !held_before(claim))
        .cloned()
        .collect()
}

fn revision_of(entry: Option<&Entry>) -> Revision {
    entry.map_or(Revision::ABSENT, |entry| entry.revision)
}

/// A lock as the leader has it; an empty one where there is none.
async fn read_record(store: &Store, key: &Key) -> Result<(Record, Revision), BreakError> {
    let entry = store.get(key).await?;
    let revision = revision_of(entry.as_ref());
    let Some(value) = entry.as_ref().and_then(Entry::live_value) else {
        return Ok((Record::default(), revision));
    };
    match Record::from_bytes(value) {
        Ok(record) => Ok((record, revision)),
        Err(error) => Err(BreakError::Malformed {
            key: key.clone(),
            error,
        }),
    }
}

/// A pause before the next try, longer each time, and never the same for two.
async fn pause(tries: u32) {
    let most = Duration::from_millis(5) * 2u32.saturating_pow(tries.min(10));
    tokio::time::sleep(most.min(LONGEST_PAUSE).mul_f64(0.5 + fastrand::f64() / 2.0)).await;
}
