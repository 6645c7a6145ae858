//! Whether anything can have vanished from a bucket unseen. Pure; `watch` asks.
//!
//! A watcher is told of what is written. It is not told when a stream is purged, made anew or
//! rolled back. All that can be seen of those are the counts that a stream keeps, and they *prove*
//! that nothing is missing only where every message that was written since is still there. Where a
//! key was overwritten meanwhile, they look as if another had been purged and a third made: what
//! tells those apart is how many different keys were told (`census`).

use std::collections::BTreeMap;

use async_nats::jetstream::stream::Info;
use time::{Duration, OffsetDateTime};

/// How far from its time an entry can be dropped by the server, with what the two clocks differ.
const LATE: Duration = Duration::seconds(20);
const EARLY: Duration = Duration::seconds(5);

/// The counts of a stream at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// When the stream was made.
    created: OffsetDateTime,
    /// The sequence of the newest message, and when it was stored.
    pub(super) last: u64,
    pub(super) last_stored: OffsetDateTime,
    /// How many messages are kept.
    messages: u64,
    /// Of how many subjects.
    pub(super) subjects: u64,
    /// How many are kept per subject, at most.
    history: u64,
    /// Whether messages can go of themselves.
    expiring: bool,
}

/// How a stream went on from a mark.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Every message of then is still there, and every one written since.
    Whole,
    /// Messages are gone, no more than the newer ones can have replaced.
    Trimmed,
    /// More is gone than what was written explains.
    Shrunk,
    /// It is not that stream any more, or an earlier state of it.
    Replaced,
}

impl Mark {
    pub(super) fn of(info: &Info) -> Self {
        let config = &info.config;
        Self {
            created: info.created,
            last: info.state.last_sequence,
            last_stored: info.state.last_timestamp,
            messages: info.state.messages,
            subjects: info.state.subjects_count,
            history: u64::try_from(config.max_messages_per_subject).unwrap_or(u64::MAX),
            expiring: !config.max_age.is_zero() || config.allow_message_ttl,
        }
    }

    /// How the stream went on since, to what it is `now`.
    ///
    /// `expired` is how many messages can have gone of themselves, where they do. An exchange of
    /// the newest message for another at the same sequence shows here; one further back has to be
    /// looked up.
    pub(super) fn progress(&self, now: &Self, expired: u64) -> Progress {
        let same_end = now.last != self.last || now.last_stored == self.last_stored;
        if now.created != self.created || now.last < self.last || !same_end {
            return Progress::Replaced;
        }
        let written = now.last - self.last;
        let gone = (self.messages + written).saturating_sub(now.messages);
        // Each write drops one older message of its key, or, as a purge, all of them.
        let mut explained = written.saturating_mul(self.history.max(1));
        if now.expiring {
            explained = explained.saturating_add(expired);
        }
        if gone == 0 {
            Progress::Whole
        } else if gone <= explained {
            Progress::Trimmed
        } else {
            Progress::Shrunk
        }
    }
}

/// How many different keys had been told at some moment, and how many of those can have gone of
/// themselves before now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) keys: u64,
    pub(super) expired: u64,
}

impl Known {
    /// Whether some of them are not there any more, in a stream as it was seen later.
    pub(super) fn has_lost(self, now: &Mark) -> bool {
        let explained = if now.expiring { self.expired } else { 0 };
        self.keys > now.subjects.saturating_add(explained)
    }
}

/// When the messages that were told will go of themselves, as far as that is known.
///
/// Without it a purge could hide among them: nothing is written when a message expires, and the
/// server's purge leaves no marker either. What can be proved with it is that more is gone than
/// that; a small purge among many expiries stays unseen.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    /// How many end in each second. Those that were replaced before are still counted.
    ends: BTreeMap<i64, u64>,
    /// How many of them were due in all before those.
    past: u64,
    /// How far the server's clock is known to be ahead of ours.
    ahead: Duration,
}

impl Expiries {
    /// Takes in a message that was told, and the time of its end if it has one. `now` is our time.
    pub(super) fn note(
        &mut self,
        created: OffsetDateTime,
        end: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) {
        self.ahead = self.ahead.max(created - now);
        if let Some(end) = end {
            *self.ends.entry(end.unix_timestamp()).or_default() += 1;
        }
    }

    /// Forgets all messages, for a snapshot that tells them again.
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.past = 0;
    }

    /// How many can have gone in all, since the snapshot began.
    pub(super) fn ever(&mut self, now: OffsetDateTime) -> u64 {
        self.until(now) + self.past
    }

    /// How many can have gone lately, of those that were told.
    pub(super) fn until(&mut self, now: OffsetDateTime) -> u64 {
        let now = now + self.ahead;
        let ends = self.ends.split_off(&(now - LATE).unix_timestamp());
        self.past += self.ends.values().sum::<u64>();
        self.ends = ends;
        let due = self.ends.range(..=(now + EARLY).unix_timestamp());
        due.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(last: u64, messages: u64) -> Mark {
        Mark {
            created: OffsetDateTime::UNIX_EPOCH,
            last,
            last_stored: OffsetDateTime::UNIX_EPOCH + Duration::seconds(last.cast_signed()),
            messages,
            subjects: messages,
            history: 1,
            expiring: false,
        }
    }

    #[test]
    fn only_growth_without_loss_is_whole() {
        let then = mark(10, 8);
        assert_eq!(then.progress(&then, 0), Progress::Whole);
        assert_eq!(then.progress(&mark(13, 11), 0), Progress::Whole);
        assert_eq!(then.progress(&mark(13, 8), 0), Progress::Trimmed);
        assert_eq!(then.progress(&mark(13, 7), 0), Progress::Shrunk);
        assert_eq!(then.progress(&mark(10, 7), 0), Progress::Shrunk);
    }

    #[test]
    fn another_stream_is_no_progress() {
        let then = mark(10, 8);
        assert_eq!(then.progress(&mark(9, 8), 0), Progress::Replaced);
        let anew = Mark {
            created: then.created + Duration::seconds(1),
            ..mark(20, 18)
        };
        assert_eq!(then.progress(&anew, 0), Progress::Replaced);
        let other_end = Mark {
            last_stored: then.last_stored + Duration::nanoseconds(1),
            ..mark(10, 8)
        };
        assert_eq!(then.progress(&other_end, 0), Progress::Replaced);
    }

    #[test]
    fn messages_that_may_have_expired_explain_as_many() {
        let now = Mark {
            expiring: true,
            ..mark(10, 5)
        };
        assert_eq!(mark(10, 8).progress(&now, u64::MAX), Progress::Trimmed);
        assert_eq!(mark(10, 8).progress(&now, 3), Progress::Trimmed);
        assert_eq!(mark(10, 8).progress(&now, 2), Progress::Shrunk);
    }

    #[test]
    fn fewer_subjects_than_keys_were_told_are_a_loss() {
        let told = |keys, expired| Known { keys, expired };
        let now = mark(10, 5);
        assert!(!told(5, 0).has_lost(&now));
        assert!(told(6, 0).has_lost(&now));
        assert!(told(6, 1).has_lost(&now), "nothing expires there");
        let expiring = Mark {
            expiring: true,
            ..now
        };
        assert!(!told(6, 1).has_lost(&expiring));
        assert!(told(7, 1).has_lost(&expiring));
    }

    #[test]
    fn only_what_is_due_can_have_expired() {
        let at = |second| OffsetDateTime::UNIX_EPOCH + Duration::seconds(second);
        let mut expiries = Expiries::default();
        for end in [100, 100, 110, 1000] {
            expiries.note(at(50), Some(at(end)), at(50));
        }
        expiries.note(at(50), None, at(50));
        assert_eq!(expiries.until(at(60)), 0);
        assert_eq!(expiries.until(at(96)), 2, "a little early");
        assert_eq!(expiries.until(at(120)), 3);
        assert_eq!(expiries.until(at(125)), 1, "none can be so late");
        assert_eq!(expiries.until(at(500)), 0);
        assert_eq!(expiries.ever(at(500)), 3);
        assert_eq!(expiries.ever(at(1000)), 4);
        assert_eq!(expiries.ever(at(2000)), 4);
        expiries.clear();
        assert_eq!(expiries.ever(at(2000)), 0);
        expiries.note(at(50), Some(at(1000)), at(50));
        // A message from our future: their clock is ahead, and what is due there comes sooner.
        expiries.note(at(960), None, at(560));
        assert_eq!(expiries.until(at(600)), 1);
    }
}
