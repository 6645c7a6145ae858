//! When a lane goes to the store: at once where nobody else is in the way, and the later the more
//! there are.
//!
//! At a lock that many want the writes of those who queue meet those of the ones that let go, for
//! whom everybody waits. So whoever makes room hurries, and whoever only joins the queue gives way.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest and the longest wait after a write that met another.
const BACK_OFF: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(200));
/// How often one who queues gives way: whoever has lost more often hurries.
const MOST_CONFLICTS: u32 = 6;
/// How long a watch may take to tell what a write met, before it is read.
const NEWS: Duration = Duration::from_millis(2);
/// How long one who comes lets those before it pass, for each of them, before it queues.
const PASS: Duration = Duration::from_millis(1);
/// The wait after a store that failed.
const RETRY: Duration = Duration::from_millis(500);

/// When to go to the store next.
#[derive(Debug, Default)]
pub(super) struct Pace {
    until: Option<Instant>,
    /// To rest no longer than until something is heard.
    for_news: bool,
    /// To rest because the store failed.
    for_failure: bool,
    /// To read the record after the rest, however new what is known may be.
    reads_after: bool,
    /// When the present attempt to write began, with the reading before it.
    begun: Option<Instant>,
    /// How many writes in a row met others.
    conflicts: u32,
}

/// A rest that is over, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rested {
    /// Whether the record is to be read first.
    pub(super) reads: bool,
}

impl Pace {
    /// Until when to rest.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether it may go to the store now.
    pub(super) fn rested(&mut self) -> Option<Rested> {
        if self.until.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        self.until = None;
        let reads = std::mem::take(&mut self.reads_after);
        Some(Rested { reads })
    }

    /// Somebody asks who wants to hear at once how the store is. After a conflict that one gives way
    /// like the others of its process.
    pub(super) fn asked(&mut self) {
        if self.for_failure {
            self.until = None;
        }
    }

    /// Something is to be written that makes room: what rests after a conflict is in nobody's way,
    /// this is.
    pub(super) fn makes_room(&mut self) {
        if self.conflicts > 0 {
            self.until = None;
        }
    }

    /// A newer record was heard of.
    pub(super) fn heard(&mut self) {
        if self.for_news {
            self.until = None;
        }
    }

    /// A read or a write begins.
    pub(super) fn begin(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// What was read asks for no write.
    pub(super) fn nothing_to_do(&mut self) {
        self.begun = None;
    }

    /// A write landed.
    pub(super) fn landed(&mut self) {
        self.conflicts = 0;
        self.begun = None;
    }

    /// The store failed, or has something that can't be used.
    pub(super) fn failed(&mut self) {
        self.begun = None;
        self.rest(RETRY);
        self.for_failure = true;
    }

    /// Somebody else wrote in between. Whoever makes room goes on as soon as it is known what was
    /// written; others take their time, longer and longer, until it has been enough.
    pub(super) fn conflict(&mut self, makes_room: bool, hears: bool, queue: u32) {
        self.conflicts = self.conflicts.saturating_add(1);
        let took = self.begun.take().map(|begun| begun.elapsed());
        if makes_room {
            if hears {
                self.rest(NEWS);
                self.for_news = true;
            }
            return;
        }
        // What takes longer meets others more often.
        let (shortest, longest) = BACK_OFF;
        let took = took.unwrap_or_default().min(longest);
        let shortest = shortest.max(took);
        let most = if self.conflicts > MOST_CONFLICTS {
            shortest
        } else {
            let most = shortest * 2u32.pow(self.conflicts);
            most.max(PASS * queue).min(longest.max(took * 2))
        };
        self.rest(most.mul_f64(fastrand::f64()));
        self.reads_after = true;
    }

    /// Who comes to a queue need not hurry: it is the turn of others, and a write between theirs
    /// would only be in their way.
    pub(super) fn let_pass(&mut self, queue: u32) {
        if queue > 1 {
            let most = (PASS * queue).min(BACK_OFF.1);
            self.rest(most.mul_f64(fastrand::f64()));
            self.reads_after = true;
        }
    }

    fn rest(&mut self, time: Duration) {
        self.for_news = false;
        self.for_failure = false;
        self.until = Some(Instant::now() + time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(pace: &Pace) -> Duration {
        pace.until()
            .map_or(Duration::ZERO, |until| until - Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_is_as_long_as_itself() {
        let mut pace = Pace::default();
        pace.begin();
        pace.landed();
        // What happened long ago is no measure of how long a write takes.
        tokio::time::advance(Duration::from_secs(60)).await;
        pace.begin();
        pace.conflict(false, true, 0);
        assert!(rest(&pace) <= BACK_OFF.0 * 2, "{:?}", rest(&pace));
    }

    #[tokio::test(start_paused = true)]
    async fn who_makes_room_rests_for_news_alone() {
        let mut pace = Pace::default();
        pace.begin();
        pace.conflict(true, true, 30);
        assert_eq!(rest(&pace), NEWS);
        pace.heard();
        assert_eq!(pace.rested(), Some(Rested { reads: false }));
        pace.conflict(true, false, 30);
        assert_eq!(pace.rested(), Some(Rested { reads: false }));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_gives_way_for_ever() {
        let mut pace = Pace::default();
        for _ in 0..1000 {
            pace.begin();
            pace.conflict(false, true, 1024);
            assert!(rest(&pace) <= BACK_OFF.1);
        }
        assert!(rest(&pace) <= BACK_OFF.0);
    }
}
