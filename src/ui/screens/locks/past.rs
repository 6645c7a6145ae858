//! The past of the selected lock: when to read it, and what its events are called.

use std::time::Duration;

use super::LockId;
use crate::kv::lock::diagnosis::Verdict;
use crate::kv::lock::observer::{Content, Lock};
use crate::kv::lock::timeline::{Event, Timeline, percentile};
use crate::kv::{Error, Revision};
use crate::ui::context::Context;
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::remote::Remote;
use crate::ui::text::figures::span;

/// A lock that changes all the time is read again no more often than this.
const EVERY: Millis = 1_000;
/// The signs of a chart, the lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many bars a chart has.
const BINS: usize = 10;

/// The past of a lock.
#[derive(Debug)]
pub(super) struct Past {
    of: Option<LockId>,
    /// What the lock was when it was asked for.
    state: Option<(Revision, Verdict)>,
    asked: Option<RequestId>,
    asked_at: Millis,
    again: Option<Millis>,
    timeline: Remote<Timeline>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            of: None,
            state: None,
            asked: None,
            asked_at: 0,
            again: None,
            timeline: Remote::Idle,
        }
    }
}

impl Past {
    /// The selected lock is this one: asks for its past where what is known is of another state.
    pub(super) fn follow(&mut self, lock: Option<&Lock>, ctx: &mut Context<'_>) {
        let is_kept =
            |lock: &&Lock| matches!(lock.content, Content::Record | Content::Unreadable { .. });
        // A record of a `shizuku` service says nothing of who was there.
        let Some(lock) = lock.filter(is_kept) else {
            *self = Self::default();
            return;
        };
        let id = (lock.bucket.clone(), lock.key.clone());
        if self.of.as_ref() != Some(&id) {
            *self = Self {
                of: Some(id),
                ..Self::default()
            };
        }
        let state = Some((lock.revision, lock.verdict));
        if self.state == state {
            self.again = None;
            return;
        }
        let earliest = self.asked_at + EVERY;
        if self.asked.is_some() || ctx.now < earliest {
            self.again = Some(earliest.max(ctx.now + 1));
            return;
        }
        self.again = None;
        self.state = state;
        self.asked_at = ctx.now;
        self.timeline.ask();
        let (bucket, key) = (lock.bucket.clone(), lock.key.clone());
        self.asked = Some(ctx.request(|id| Effect::Timeline(id, bucket, key)));
    }

    /// Takes the answer, if it is to the question that was asked last.
    pub(super) fn answer(&mut self, id: RequestId, answer: Result<Timeline, Error>) {
        if self.asked == Some(id) {
            self.asked = None;
            self.timeline.answer(answer);
        }
    }

    /// When it is to be asked for again.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.again.filter(|_| self.asked.is_none())
    }

    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        self.timeline().map_or(0, |timeline| timeline.events.len())
    }

    /// An event, the newest first.
    pub(super) fn event(&self, at: usize) -> Option<&Event> {
        self.timeline()?.events.iter().rev().nth(at)
    }

    /// The events, the newest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        let timeline = self.timeline().into_iter();
        timeline.flat_map(|timeline| timeline.events.iter().rev())
    }

    fn timeline(&self) -> Option<&Timeline> {
        self.timeline.value()
    }

    /// Why there is nothing to show, if there is not.
    pub(super) fn words(&self) -> Option<String> {
        match &self.timeline {
            Remote::Idle => None,
            Remote::Loading => Some("reading …".to_owned()),
            Remote::Failed(reason) => Some(format!("can't be read: {reason}")),
            Remote::Ready(_) | Remote::Stale(_) if self.len() == 0 => {
                Some("nothing is kept".to_owned())
            }
            Remote::Ready(_) | Remote::Stale(_) => None,
        }
    }

    /// How long turns and waits took, in words and with a chart: one line each.
    pub(super) fn figures(&self) -> Vec<Figures> {
        let Some(timeline) = self.timeline() else {
            return Vec::new();
        };
        let all = [("held", timeline.holds()), ("waited", timeline.waits())];
        let known = all.into_iter();
        known
            .filter_map(|(name, times)| Figures::of(name, &times))
            .collect()
    }
}

/// How long something took, of all times that are kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) name: &'static str,
    pub(super) median: Duration,
    pub(super) most: Duration,
    pub(super) count: usize,
    /// How many took how long, on a scale whose steps double or more.
    pub(super) chart: String,
    pub(super) ends: (Duration, Duration),
}

impl Figures {
    /// `times`: the shortest first.
    fn of(name: &'static str, times: &[Duration]) -> Option<Self> {
        let (first, last) = (*times.first()?, *times.last()?);
        Some(Self {
            name,
            median: percentile(times, 50)?,
            most: percentile(times, 99)?,
            count: times.len(),
            chart: chart(times),
            ends: (first, last),
        })
    }

    /// `held p50 0.8 s · p99 6.1 s`
    pub(super) fn words(&self) -> String {
        let (median, most) = (span(self.median), span(self.most));
        format!("{} p50 {median} · p99 {most}", self.name)
    }
}

/// How many times fall into each part of the scale from the shortest to the longest, which is
/// logarithmic.
fn chart(times: &[Duration]) -> String {
    // What is shorter than a tenth of a second is all the same to an operator.
    let scale = |time: &Duration| time.as_secs_f64().max(0.1).ln();
    let (Some(low), Some(high)) = (times.first().map(scale), times.last().map(scale)) else {
        return String::new();
    };
    let mut bins = [0_usize; BINS];
    for time in times {
        let share = (scale(time) - low) / (high - low).max(f64::MIN_POSITIVE);
        let wanted = (share * BINS as f64).clamp(0.0, (BINS - 1) as f64);
        // Between zero and the number of bins.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the number of bins"
        )]
        let bin = wanted as usize;
        if let Some(count) = bins.get_mut(bin) {
            *count += 1;
        }
    }
    let tallest = bins.iter().copied().max().unwrap_or(1).max(1);
    let bar = |count: &usize| match count {
        0 => ' ',
        count => {
            let height = (count * BARS.len()).div_ceil(tallest);
            BARS.get(height.saturating_sub(1)).copied().unwrap_or(' ')
        }
    };
    bins.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_where_most_times_lie() {
        let seconds = |times: &[u64]| -> Vec<Duration> {
            times.iter().copied().map(Duration::from_secs).collect()
        };
        assert_eq!(chart(&seconds(&[])), "");
        assert_eq!(chart(&seconds(&[3])), "█         ");
        assert_eq!(chart(&seconds(&[1, 1, 1, 1, 1024])), "█        ▂");
        let figures = Figures::of("held", &seconds(&[1, 2, 3])).unwrap();
        assert_eq!(figures.words(), "held p50 2 s · p99 3 s");
    }
}
