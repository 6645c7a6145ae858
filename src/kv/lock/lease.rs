//! Leases: how long a session may be trusted without a word from it, by nobody's clock but one's
//! own.
//!
//! Pure: time comes in as the time since boot, sleep included (`CLOCK_BOOTTIME`). A clock that
//! stops while the machine sleeps would let a guard outlive its lease.

use std::time::Duration;

use crate::kv::Revision;

/// How long a session lives without a beat, and how often it beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    length: Duration,
    beat: Duration,
}

impl Default for Lease {
    /// 15 seconds, with a beat every 5.
    fn default() -> Self {
        Self {
            length: Duration::from_secs(15),
            beat: Duration::from_secs(5),
        }
    }
}

/// A lease that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SenselessLease {
    /// Too short for a network to keep up with.
    #[error("a lease of {} ms is too short: at least {} ms", .0.as_millis(), Lease::SHORTEST.as_millis())]
    TooShort(Duration),
    /// So long that nobody would wait for it.
    #[error("a lease of {} s is too long: at most {} s", .0.as_secs(), Lease::LONGEST.as_secs())]
    TooLong(Duration),
    /// One lost beat would end the lease.
    #[error("a beat every {} ms is too seldom for a lease of {} ms: at least two must fit into it", .beat.as_millis(), .lease.as_millis())]
    BeatTooSeldom {
        /// The lease.
        lease: Duration,
        /// The time between two beats.
        beat: Duration,
    },
    /// The beats would be most of what the store does.
    #[error("a beat every {} ms is too often for a lease of {} ms: at most 30 in it", .beat.as_millis(), .lease.as_millis())]
    BeatTooOften {
        /// The lease.
        lease: Duration,
        /// The time between two beats.
        beat: Duration,
    },
}

impl Lease {
    /// The shortest lease.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// The longest lease.
    pub const LONGEST: Duration = Duration::from_secs(3600);

    /// The longest lease, for a session whose own is not known.
    pub(super) const fn longest() -> Self {
        Self {
            length: Self::LONGEST,
            beat: Duration::from_secs(Self::LONGEST.as_secs() / 3),
        }
    }

    /// A lease, with a beat after every third of it.
    ///
    /// # Errors
    /// [`SenselessLease`].
    pub fn new(length: Duration) -> Result<Self, SenselessLease> {
        Self::with_beat(length, length / 3)
    }

    /// A lease, and how often to beat.
    ///
    /// # Errors
    /// [`SenselessLease`].
    pub fn with_beat(length: Duration, beat: Duration) -> Result<Self, SenselessLease> {
        if length < Self::SHORTEST {
            return Err(SenselessLease::TooShort(length));
        }
        if length > Self::LONGEST {
            return Err(SenselessLease::TooLong(length));
        }
        if beat < length / 30 {
            return Err(SenselessLease::BeatTooOften {
                lease: length,
                beat,
            });
        }
        if beat * 2 > length {
            return Err(SenselessLease::BeatTooSeldom {
                lease: length,
                beat,
            });
        }
        Ok(Self { length, beat })
    }

    /// How long a session lives without a beat.
    pub fn length(self) -> Duration {
        self.length
    }

    /// The time between two beats.
    pub fn beat(self) -> Duration {
        self.beat
    }

    /// Until when a guard is valid after a beat that was *sent* at this time and acknowledged. The
    /// eighth that is missing keeps a guard from being valid when others may act already.
    pub fn valid_until(self, sent: Duration) -> Duration {
        sent + self.length / 8 * 7
    }

    /// For how long an observer must have seen no beat before it may kill the session. Also the
    /// quarantine after a session was broken: by then every guard of it has run out.
    pub fn silence(self) -> Duration {
        self.length / 8 * 9
    }
}

/// What an observer has seen of one session: since when its record stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    revision: Revision,
    since: Duration,
}

impl Silence {
    /// The session's record was read for the first time, at this revision.
    pub fn begin(revision: Revision, now: Duration) -> Self {
        Self {
            revision,
            since: now,
        }
    }

    /// It was read again. Any other revision, higher or lower, is a sign of life.
    pub fn read(&mut self, revision: Revision, now: Duration) {
        if revision != self.revision {
            *self = Self::begin(revision, now);
        }
    }

    /// Nothing could be read: a beat may have been missed by *us*. What was silent so far does not
    /// count.
    pub fn outage(&mut self, now: Duration) {
        self.since = now;
    }

    /// Whether the session may be killed, on the revision that was seen.
    pub fn is_over(&self, lease: Lease, now: Duration) -> Option<Revision> {
        (now.saturating_sub(self.since) >= lease.silence()).then_some(self.revision)
    }

    /// The revision that the record stands still at.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Since when it stands still, as far as was watched.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// How long it has been silent.
    pub fn lasts(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn senseless_leases_are_refused() {
        assert_eq!(Lease::new(s(15)), Ok(Lease::default()));
        assert_eq!(Lease::new(s(0)), Err(SenselessLease::TooShort(s(0))));
        assert_eq!(Lease::new(s(7200)), Err(SenselessLease::TooLong(s(7200))));
        assert!(matches!(
            Lease::with_beat(s(10), Duration::from_millis(333)),
            Err(SenselessLease::BeatTooOften { .. })
        ));
        let seldom = SenselessLease::BeatTooSeldom {
            lease: s(10),
            beat: s(6),
        };
        assert_eq!(Lease::with_beat(s(10), s(6)), Err(seldom));
    }

    #[test]
    fn a_guard_runs_out_before_anybody_may_act() {
        // A beat sent at 100 can't have been seen before it was sent.
        let lease = Lease::default();
        let mut silence = Silence::begin(Revision(1), s(0));
        silence.read(Revision(2), s(100));
        let acts = (100..200)
            .map(s)
            .find(|now| silence.is_over(lease, *now).is_some());
        assert!(lease.valid_until(s(100)) < acts.unwrap());
    }

    #[test]
    fn silence_is_only_what_was_watched() {
        let lease = Lease::default();
        let mut silence = Silence::begin(Revision(7), s(0));
        silence.outage(s(16));
        assert_eq!(silence.is_over(lease, s(17)), None);
        assert_eq!(silence.is_over(lease, s(33)), Some(Revision(7)));
        silence.read(Revision(3), s(33));
        assert_eq!(
            silence.is_over(lease, s(34)),
            None,
            "a store that was rolled back is no death"
        );
        assert_eq!(silence.lasts(s(35)), s(2));
    }
}
