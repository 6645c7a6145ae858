//! What has been seen of one session, and what that says of it now.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::view::{ClockOf, LastBeat, Standing};
use crate::kv::Revision;
use crate::kv::lock::lease::{Lease, Silence};
use crate::kv::lock::record::DecodeError;
use crate::kv::lock::session::{Cause, Session};

/// A session's record, and when it was seen to change.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) revision: Revision,
    pub(super) created: OffsetDateTime,
    pub(super) content: Result<Arc<Session>, DecodeError>,
    silence: Silence,
    /// When a change of the record was seen, by our clock.
    beat: Option<Duration>,
    /// When it was first seen dead, by our clock; only if it had been seen alive before.
    died: Option<Duration>,
    /// Whether it has not beaten since nothing could be read for a while. It could not beat
    /// either, perhaps: only what is watched from then on counts.
    is_after_outage: bool,
    /// Whether its process was found to be gone.
    pub(super) is_gone: bool,
}

/// The times that a session is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Our clock: the time since boot.
    pub(super) boot: Duration,
    /// The store's clock, as well as we know it.
    pub(super) store: OffsetDateTime,
    /// The store's clock can't be behind this.
    pub(super) store_at_least: Option<OffsetDateTime>,
    /// Whether `store` is good enough to suspect somebody.
    pub(super) trusts_store: bool,
}

impl Seen {
    pub(super) fn first(
        revision: Revision,
        created: OffsetDateTime,
        content: Result<Arc<Session>, DecodeError>,
        now: Duration,
    ) -> Self {
        Self {
            revision,
            created,
            content,
            silence: Silence::begin(revision, now),
            beat: None,
            died: None,
            is_after_outage: false,
            is_gone: false,
        }
    }

    /// Its record was told again.
    pub(super) fn read(
        &mut self,
        revision: Revision,
        created: OffsetDateTime,
        content: Result<Arc<Session>, DecodeError>,
        now: Duration,
    ) {
        if revision == self.revision {
            return;
        }
        let is_dead = |content: &Result<Arc<Session>, DecodeError>| {
            content.as_ref().is_ok_and(|session| session.dead.is_some())
        };
        if is_dead(&content) {
            if !is_dead(&self.content) {
                self.died = Some(now);
            }
        } else {
            self.died = None;
            self.beat = Some(now);
            self.is_gone = false;
        }
        self.silence.read(revision, now);
        self.is_after_outage = false;
        self.revision = revision;
        self.created = created;
        self.content = content;
    }

    /// Nothing could be read: what was silent so far does not count.
    pub(super) fn outage(&mut self, now: Duration) {
        self.silence.outage(now);
        self.beat = None;
        self.is_after_outage = true;
    }

    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        self.content.as_ref().ok()
    }

    /// Its lease; the usual one where its own makes no sense.
    pub(super) fn lease(&self) -> Lease {
        let own = |session: &Arc<Session>| Lease::new(Duration::from_millis(session.lease_ms)).ok();
        self.session().and_then(own).unwrap_or_default()
    }

    /// Its last sign of life. A time that we saw ourselves is better than one of the store's.
    pub(super) fn last_beat(&self, times: Times) -> LastBeat {
        match self.beat {
            Some(beat) => LastBeat {
                ago: times.boot.saturating_sub(beat),
                clock: ClockOf::Ours,
            },
            None => LastBeat {
                ago: age(self.created, times.store),
                clock: ClockOf::Store,
            },
        }
    }

    /// How much is left of its lease, as far as can be told: none of one that is dead.
    pub(super) fn lease_left(&self, times: Times) -> Option<Duration> {
        let session = self.session()?;
        if session.dead.is_some() || self.is_gone {
            return Some(Duration::ZERO);
        }
        let length = self.lease().length();
        Some(length.saturating_sub(self.last_beat(times).ago))
    }

    /// How it is.
    pub(super) fn standing(&self, times: Times) -> Standing {
        if let Some(death) = self.session().and_then(|session| session.dead.clone()) {
            let by_store = age(self.created, times.store);
            let by_us = self.died.map(|died| times.boot.saturating_sub(died));
            let ago = by_us.unwrap_or(by_store);
            let left = self.lease().silence().saturating_sub(ago);
            let runs = death.why == Cause::Broken && !left.is_zero();
            return Standing::Killed {
                ago,
                lease: self.lease().length(),
                quarantine: runs.then_some(left),
                death,
            };
        }
        if self.is_gone {
            return Standing::Gone;
        }
        match self.silent(times) {
            Some(beat) => Standing::Silent(beat),
            None => Standing::Live,
        }
    }

    /// Its last sign of life, if that was too long ago: by our own clock, or by what the store
    /// itself has written since. The store's clock as this machine guesses it is trusted only
    /// where there is nothing better, and a quarter of the lease later.
    fn silent(&self, times: Times) -> Option<LastBeat> {
        let lease = self.lease();
        let valid = lease.valid_until(Duration::ZERO);
        let watched = self.silence.lasts(times.boot);
        let by_store = |at| age(self.created, at);
        let store = LastBeat {
            ago: by_store(times.store),
            clock: ClockOf::Store,
        };
        if watched > valid {
            // What was written before we looked may be older still.
            let ours = LastBeat {
                ago: watched,
                clock: ClockOf::Ours,
            };
            let begun_before = self.beat.is_none() && store.ago > ours.ago;
            return Some(if begun_before { store } else { ours });
        }
        if self.beat.is_some() || self.is_after_outage {
            return None;
        }
        let is_certain = times.store_at_least.is_some_and(|at| by_store(at) > valid);
        let is_likely = times.trusts_store && store.ago > lease.silence();
        (is_certain || is_likely).then_some(store)
    }
}

impl Seen {
    /// When, in time since boot, its standing may become another one by time alone.
    pub(super) fn turns(&self, times: Times) -> impl Iterator<Item = Duration> + use<> {
        let lease = self.lease();
        let is_dead = self.session().is_some_and(|session| session.dead.is_some());
        let turns = if is_dead {
            [self.after_death(lease.silence(), times), None, None]
        } else if self.is_gone {
            [None; 3]
        } else {
            let valid = lease.valid_until(Duration::ZERO);
            let is_by_store = self.beat.is_none() && !self.is_after_outage;
            let certain = times.epoch_at_least().filter(|_| is_by_store);
            let likely = Some(times.epoch()).filter(|_| is_by_store && times.trusts_store);
            [
                Some(self.silence.since() + valid),
                certain.and_then(|epoch| since(epoch, self.created + valid)),
                likely.and_then(|epoch| since(epoch, self.created + lease.silence())),
            ]
        };
        turns.into_iter().flatten()
    }

    /// So long after its death, in time since boot.
    pub(super) fn after_death(&self, time: Duration, times: Times) -> Option<Duration> {
        match self.died {
            Some(died) => Some(died + time),
            None => since(times.epoch(), self.created + time),
        }
    }
}

/// A time of the store's as time since boot; `None` where it was before.
pub(super) fn since(epoch: OffsetDateTime, at: OffsetDateTime) -> Option<Duration> {
    (at - epoch).try_into().ok()
}

impl Times {
    /// The store's clock when this machine booted.
    pub(super) fn epoch(self) -> OffsetDateTime {
        self.store - self.boot
    }

    /// The same at the least.
    pub(super) fn epoch_at_least(self) -> Option<OffsetDateTime> {
        self.store_at_least.map(|at| at - self.boot)
    }
}

fn age(then: OffsetDateTime, now: OffsetDateTime) -> Duration {
    Duration::try_from(now - then).unwrap_or_default()
}
