//! What the time is where the store is.
//!
//! Entries are stamped and run out by the store's clock. This machine's may differ from it by any
//! amount, and may be set at any time: what is older than it seems, or has run out, is told by the
//! store's alone. Nothing here asks for the time; it is given.

use std::time::Duration;

use time::OffsetDateTime;

use super::context::Context;
use super::message::{Effect, Millis, RequestId};
use super::shown;
use super::text::figures;
use crate::kv::BucketName;

/// For so long a measurement is enough to say that something has run out.
const FRESH: Millis = 5_000;
/// An answer that took longer says nothing.
const LONGEST: Millis = 30_000;
/// How long to wait after the store did not tell.
const PAUSE: Millis = 30_000;
/// From this difference on it is told everywhere: ages are seen to be wrong by the minute.
const FAR_OFF: Millis = 5_000;

/// The store's clock, as far as it is known.
#[derive(Debug, Default)]
pub struct StoreClock {
    /// Whether the store has a clock of its own: a file has this machine's.
    is_its_own: bool,
    /// How far it is ahead of this machine's.
    ahead: Millis,
    /// By how much that may be wrong, either way.
    doubt: Millis,
    /// When that was measured.
    measured: Option<Millis>,
    /// The question that is under way, and when it was asked.
    asked: Option<(RequestId, Millis)>,
    /// Not before this it is asked again.
    not_before: Option<Millis>,
}

impl StoreClock {
    /// The clock of another store, of which nothing is known yet.
    pub fn of(is_far: bool) -> Self {
        Self {
            is_its_own: is_far,
            ..Self::default()
        }
    }

    /// Asks for the time, if it is another clock and nobody is asking yet.
    pub fn ask(&mut self, bucket: &BucketName, ctx: &mut Context<'_>) {
        if self.is_its_own && self.asked.is_none() {
            let id = ctx.request(|id| Effect::Clock(id, bucket.clone()));
            self.asked = Some((id, ctx.now));
        }
    }

    /// Takes the answer to a question, if it was the one that is under way. It may be none.
    pub fn answer(&mut self, id: RequestId, answer: Option<OffsetDateTime>, now: Millis) {
        let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        let took = now - asked;
        match answer {
            Some(theirs) if (0..=LONGEST).contains(&took) => {
                self.ahead = shown::millis(theirs) - (asked + took / 2);
                self.doubt = took / 2 + 1;
                self.measured = Some(now);
                self.not_before = None;
            }
            // This machine's clock was set meanwhile: nothing was measured.
            Some(_) => self.measured = None,
            None => self.not_before = Some(now + PAUSE),
        }
    }

    /// How far it is ahead of this machine's, as well as that is known.
    pub fn ahead(&self) -> Millis {
        self.ahead
    }

    /// The time that it is there at least, where that is known well enough to say that something
    /// has run out.
    pub fn at_least(&self, now: Millis) -> Option<Millis> {
        if !self.is_its_own {
            return Some(now);
        }
        let since = now - self.measured?;
        let is_fresh = (0..=FRESH).contains(&since);
        is_fresh.then_some(now + self.ahead - self.doubt)
    }

    /// When to look whether something has run out that does so at this time there; not while the
    /// store is being asked.
    pub fn deadline(&self, expiry: Millis) -> Option<Millis> {
        if self.asked.is_some() {
            return None;
        }
        let at = expiry.saturating_sub(self.ahead).saturating_add(self.doubt);
        Some(self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// In a few words how far this machine's clock is off, where that is far.
    pub fn words(&self) -> Option<String> {
        let is_far = self.measured.is_some() && self.ahead.abs() - self.doubt > FAR_OFF;
        let way = if self.ahead < 0 { "fast" } else { "slow" };
        is_far.then(|| {
            let off = Duration::from_secs((self.ahead.unsigned_abs() + 500) / 1000);
            let off = figures::age(off);
            format!("this clock is {off} {way}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::context::Ids;

    const NOW: Millis = 1_000_000_000;

    fn asked(clock: &mut StoreClock, now: Millis) -> RequestId {
        let (mut ids, mut effects, mut notice) = (Ids::default(), Vec::new(), None);
        let bucket = BucketName::new("b").unwrap();
        clock.ask(
            &bucket,
            &mut Context::new(now, &mut ids, &mut effects, &mut notice),
        );
        match effects.as_slice() {
            [Effect::Clock(id, _)] => *id,
            other => panic!("{other:?}"),
        }
    }

    fn moment(at: Millis) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).unwrap()
    }

    #[test]
    fn a_file_has_this_clock() {
        let clock = StoreClock::of(false);
        assert_eq!(clock.at_least(NOW), Some(NOW));
        assert_eq!(clock.deadline(NOW + 10), Some(NOW + 10));
        assert_eq!(clock.words(), None);
    }

    #[test]
    fn it_is_as_sure_as_the_answer_was_quick_and_not_for_long() {
        let mut clock = StoreClock::of(true);
        assert_eq!(clock.at_least(NOW), None);
        let id = asked(&mut clock, NOW);
        assert_eq!(clock.deadline(NOW), None, "it is being asked");
        clock.answer(id, Some(moment(NOW + 20 - 180_000)), NOW + 40);
        assert_eq!(clock.ahead(), -180_000);
        assert_eq!(clock.at_least(NOW + 100), Some(NOW + 100 - 180_000 - 21));
        assert_eq!(clock.at_least(NOW + 40 + FRESH + 1), None);
        assert_eq!(clock.at_least(NOW), None, "this clock was set back");
        assert_eq!(clock.deadline(NOW), Some(NOW + 180_000 + 21));
        assert_eq!(clock.words().unwrap(), "this clock is 3 m fast");
    }

    #[test]
    fn who_does_not_tell_is_not_asked_all_the_time() {
        let mut clock = StoreClock::of(true);
        let id = asked(&mut clock, NOW);
        clock.answer(RequestId(99), Some(moment(NOW)), NOW);
        assert_eq!(clock.at_least(NOW), None, "another question's answer");
        clock.answer(id, None, NOW + 5);
        assert_eq!(clock.at_least(NOW + 5), None);
        assert_eq!(clock.deadline(NOW), Some(NOW + 5 + PAUSE));
        assert_eq!(clock.words(), None);
    }
}
