//! Whether anything can have vanished from a bucket unseen. Pure; `watch` asks.
//!
//! A watcher is told of what is written. It is not told when a stream is purged, made anew or
//! rolled back. All that can be seen of those are the counts that a stream keeps, and they *prove*
//! that nothing is missing only where every message that was written since is still there.

use async_nats::jetstream::stream::Info;
use time::OffsetDateTime;

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
            history: u64::try_from(config.max_messages_per_subject).unwrap_or(u64::MAX),
            expiring: !config.max_age.is_zero() || config.allow_message_ttl,
        }
    }

    /// How the stream went on since, to what it is `now`.
    ///
    /// An exchange of the newest message for another at the same sequence shows here; one further
    /// back has to be looked up.
    pub(super) fn progress(&self, now: &Self) -> Progress {
        let same_end = now.last != self.last || now.last_stored == self.last_stored;
        if now.created != self.created || now.last < self.last || !same_end {
            return Progress::Replaced;
        }
        let written = now.last - self.last;
        let gone = (self.messages + written).saturating_sub(now.messages);
        // Each write drops one older message of its key, or, as a purge, all of them.
        let explained = written.saturating_mul(self.history.max(1));
        if gone == 0 {
            Progress::Whole
        } else if gone <= explained || now.expiring {
            Progress::Trimmed
        } else {
            Progress::Shrunk
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    fn mark(last: u64, messages: u64) -> Mark {
        Mark {
            created: OffsetDateTime::UNIX_EPOCH,
            last,
            last_stored: OffsetDateTime::UNIX_EPOCH + Duration::seconds(last.cast_signed()),
            messages,
            history: 1,
            expiring: false,
        }
    }

    #[test]
    fn only_growth_without_loss_is_whole() {
        let then = mark(10, 8);
        assert_eq!(then.progress(&then), Progress::Whole);
        assert_eq!(then.progress(&mark(13, 11)), Progress::Whole);
        assert_eq!(then.progress(&mark(13, 8)), Progress::Trimmed);
        assert_eq!(then.progress(&mark(13, 7)), Progress::Shrunk);
        assert_eq!(then.progress(&mark(10, 7)), Progress::Shrunk);
    }

    #[test]
    fn another_stream_is_no_progress() {
        let then = mark(10, 8);
        assert_eq!(then.progress(&mark(9, 8)), Progress::Replaced);
        let anew = Mark {
            created: then.created + Duration::seconds(1),
            ..mark(20, 18)
        };
        assert_eq!(then.progress(&anew), Progress::Replaced);
        let other_end = Mark {
            last_stored: then.last_stored + Duration::nanoseconds(1),
            ..mark(10, 8)
        };
        assert_eq!(then.progress(&other_end), Progress::Replaced);
    }

    #[test]
    fn messages_that_may_expire_prove_nothing() {
        let now = Mark {
            expiring: true,
            ..mark(10, 5)
        };
        assert_eq!(mark(10, 8).progress(&now), Progress::Trimmed);
    }
}
