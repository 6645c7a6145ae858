//! Ages on this screen: counted on from the last report, all of them at the same moments.
//!
//! A lock in which nothing happened tells ages of before the report, which is made up for.
//!
//! Every age steps at whole seconds after the report that it came with, however many there are, so
//! that one deadline serves them all.

use std::time::Duration;

use crate::kv::lock::observer::Lock;
use crate::ui::canvas::Canvas;
use crate::ui::message::{LockReport, Millis};
use crate::ui::text::figures::{next_countdown_change, next_span_change, span};

/// How far ages have gone on since the report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ages {
    /// When the report was made.
    report_at: Millis,
    /// Whether anything goes on.
    goes_on: bool,
    /// Whole seconds since then.
    seconds: u64,
    /// The report's time since boot.
    boot: Duration,
    /// How long before the report the ages were counted.
    behind: Duration,
}

impl Ages {
    /// At this time, since the report.
    pub(super) fn new(seen: Option<&LockReport>, as_of: Millis) -> Self {
        let at = seen.map_or(as_of, |seen| seen.at);
        Self {
            report_at: at,
            goes_on: true,
            seconds: u64::try_from((as_of - at) / 1000).unwrap_or(0),
            boot: seen.map_or(Duration::ZERO, |seen| seen.boot),
            behind: Duration::ZERO,
        }
    }

    /// The same for one lock: of one that is out of date nothing goes on.
    pub(super) fn of(self, lock: &Lock) -> Self {
        let goes_on = super::table::is_live(lock);
        Self {
            seconds: if goes_on { self.seconds } else { 0 },
            goes_on,
            behind: lock.ages_by(self.boot),
            ..self
        }
    }

    /// The time of day of the report, to count ages from that it does not tell.
    pub(super) fn report_at(self) -> Millis {
        self.report_at
    }

    fn since(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long it is now, of something that goes on.
    pub(super) fn now(self, then: Duration) -> Duration {
        then + self.behind + self.since()
    }

    /// A time that grows.
    pub(super) fn growing(self, canvas: &mut Canvas<'_, '_>, then: Duration) -> String {
        let now = self.now(then);
        self.changes_in(canvas, next_span_change(now));
        span(now)
    }

    /// A time that runs out.
    pub(super) fn shrinking(self, canvas: &mut Canvas<'_, '_>, then: Duration) -> String {
        let left = then.saturating_sub(self.behind + self.since());
        if let Some(next) = next_countdown_change(left) {
            self.changes_in(canvas, next);
        }
        span(left)
    }

    fn changes_in(self, canvas: &mut Canvas<'_, '_>, time: Duration) {
        if !self.goes_on {
            return;
        }
        let whole = time.as_nanos().div_ceil(1_000_000_000);
        let step = u64::try_from(whole).unwrap_or(u64::MAX / 2_000).max(1);
        let steps = Millis::try_from(self.seconds.saturating_add(step)).unwrap_or(0);
        let at = self.report_at.saturating_add(steps.saturating_mul(1000));
        // Where the time stands still it never comes.
        if at > canvas.now {
            canvas.changes_at(at);
        }
    }
}

/// The time of day at something that a report tells by the time since boot.
pub(super) fn time_of(seen: &LockReport, since_boot: Duration) -> Millis {
    let ago = seen.boot.saturating_sub(since_boot);
    seen.at - Millis::try_from(ago.as_millis()).unwrap_or(0)
}
