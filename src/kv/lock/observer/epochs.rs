//! What the store's clock was when this machine booted, as far as entries tell.

use std::time::Duration;

use time::OffsetDateTime;

use super::seen::Times;
use super::view::Now;

/// The store's clock when this machine booted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Epochs {
    /// As entries show that came right after they were written.
    likely: Option<OffsetDateTime>,
    /// The same at the least: no entry is told before it is written.
    at_least: Option<OffsetDateTime>,
}

impl Epochs {
    /// An entry of that time was told, live or as a part of what was there.
    pub(super) fn learn(&mut self, created: OffsetDateTime, is_live: bool, now: Duration) {
        let epoch = created - now;
        let later = |known: Option<OffsetDateTime>| known.map_or(epoch, |known| known.max(epoch));
        self.at_least = Some(later(self.at_least));
        if is_live {
            self.likely = Some(later(self.likely));
        }
    }

    /// What comes after an outage may have been on its way for long.
    pub(super) fn interrupted(&mut self) {
        self.likely = None;
    }

    /// A store that was rolled back or made anew can have gone back in time.
    pub(super) fn set_aside(&mut self) {
        self.at_least = None;
    }

    /// The times at a moment that may lie before now.
    pub(super) fn times(self, boot: Duration, now: Now, trusts_wall: bool) -> Times {
        let wall = now.wall - now.boot.saturating_sub(boot);
        let store_at_least = self.at_least.map(|epoch| epoch + boot);
        let store = match self.likely {
            Some(epoch) => epoch + boot,
            // An entry can't have been written later than now.
            None => store_at_least.map_or(wall, |at_least| wall.max(at_least)),
        };
        Times {
            boot,
            store,
            store_at_least,
            trusts_store: trusts_wall,
        }
    }
}
