//! The store on which scenarios are played, what must be seen of each, and the table of that.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use kvscope::kv::backend::BucketConfig;
use kvscope::kv::lock::key_of;
use kvscope::kv::lock::record::Record;
use kvscope::kv::{BucketName, Store};
use tokio::sync::watch;
use tokio::time::error::Elapsed;

use crate::eyes::{Eye, Eyes, Seen};
use crate::support::{eventually, soon};
use crate::worker::{BUCKET, Orders, Worker, connect};

/// How long a verdict may take to appear; the slowest is certain of a session that has no record
/// only after 17 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// What stands in the place of a verdict that was not asked for.
const NOT_ASKED: &str = "not asked";

/// A store, and those who look at it.
pub(crate) struct Stage {
    pub(crate) engine: &'static str,
    pub(crate) place: String,
    pub(crate) store: Store,
    eyes: Option<Eyes>,
    /// When they began to look.
    opened: Instant,
    /// What has to live as long as anybody looks.
    kept: Mutex<Vec<Box<dyn std::any::Any + Send>>>,
}

/// What a scenario must come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) name: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) verdict: &'static str,
    /// What may be said of it before or after; with a word and a colon in front only by one of them.
    pub(crate) on_the_way: &'static [&'static str],
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    engine: &'static str,
    wanted: Wanted,
    json: String,
    screen: String,
    took: [Option<Duration>; 2],
    /// Faults that it was said to have and had not.
    false_alarms: Vec<String>,
}

pub(crate) const fn wanted(
    name: &'static str,
    resource: &'static str,
    verdict: &'static str,
    on_the_way: &'static [&'static str],
) -> Wanted {
    Wanted {
        name,
        resource,
        verdict,
        on_the_way,
    }
}

impl Stage {
    pub(crate) async fn new(engine: &'static str, place: String) -> Self {
        let backend = connect(&place).await;
        let mut config = BucketConfig::new(BucketName::new(BUCKET).unwrap());
        config.history = 16;
        backend.create_bucket(&config).await.unwrap();
        Self {
            engine,
            store: Store::open(&*backend, BUCKET).await.unwrap(),
            place,
            eyes: None,
            opened: Instant::now(),
            kept: Mutex::default(),
        }
    }

    /// Begins to look; returns when both do.
    pub(crate) async fn open(&mut self) {
        let eyes = Eyes::open(&self.place);
        self.opened = Instant::now();
        let mut seen = eyes.seen();
        let look = |seen: &Seen| {
            [Eye::Json, Eye::Screen]
                .iter()
                .all(|eye| seen.looked(*eye).is_some())
        };
        soon("both look", seen.wait_for(look)).await.unwrap();
        self.eyes = Some(eyes);
    }

    /// When it was begun to look.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Keeps something until nobody looks any more.
    pub(crate) fn keep(&self, thing: impl std::any::Any + Send) {
        self.kept.lock().unwrap().push(Box::new(thing));
    }

    pub(crate) async fn worker(&self, lease: u64) -> Worker {
        let orders = Orders::lease(Duration::from_secs(lease));
        Worker::start(&self.place, &orders).await
    }

    /// A process of another machine, as far as it tells.
    pub(crate) async fn worker_elsewhere(&self, lease: u64) -> Worker {
        let orders = Orders::lease(Duration::from_secs(lease)).elsewhere();
        Worker::start(&self.place, &orders).await
    }

    /// Waits until so many wait for a lock.
    pub(crate) async fn waiters(&self, resource: &str, count: usize) {
        eventually("they wait", async || {
            self.waiting(resource).await == Some(count)
        })
        .await;
    }

    /// Whether somebody waits for a lock, as far as the store answers.
    pub(crate) async fn has_waiter(&self, resource: &str) -> bool {
        self.waiting(resource).await.is_some_and(|count| count > 0)
    }

    async fn waiting(&self, resource: &str) -> Option<usize> {
        let entry = self.store.get(key_of(resource).unwrap()).await.ok()??;
        let record = Record::from_bytes(entry.live_value()?).ok()?;
        Some(record.waiters().count())
    }

    /// What is seen.
    pub(crate) fn seen(&self) -> watch::Receiver<Seen> {
        self.eyes.as_ref().unwrap().seen()
    }

    /// Waits until both have seen a verdict.
    pub(crate) async fn sees(&self, wanted: Wanted, since: Instant) -> Outcome {
        let mut seen = self.seen();
        let found = async {
            loop {
                let when = {
                    let seen = seen.borrow_and_update();
                    [Eye::Json, Eye::Screen]
                        .map(|eye| seen.when(eye, wanted.resource, wanted.verdict, since))
                };
                if when.iter().all(Option::is_some) || seen.changed().await.is_err() {
                    return when;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        let when = found.unwrap_or_default();
        let last = |eye| {
            let seen = self.seen();
            let seen = seen.borrow();
            seen.now(eye, wanted.resource)
                .unwrap_or("nothing")
                .to_owned()
        };
        let said = |eye, when: Option<Instant>| match when {
            Some(_) => wanted.verdict.to_owned(),
            None => last(eye),
        };
        Outcome {
            engine: self.engine,
            wanted,
            json: said(Eye::Json, when[0]),
            screen: said(Eye::Screen, when[1]),
            took: when.map(|at| at.map(|at| at.saturating_duration_since(since))),
            false_alarms: Vec::new(),
        }
    }

    /// The same for one that had the verdict before: it must be told again after a time.
    pub(crate) async fn sees_anew(&self, wanted: Wanted, since: Instant) -> Outcome {
        // Where it does not come, what is looked for next does not either.
        let _ = self.both_since(since, Seen::looked).await;
        let mut outcome = self.sees(wanted, Instant::now()).await;
        let took = since.elapsed();
        outcome.took = outcome.took.map(|time| time.map(|_| took));
        outcome
    }

    /// Waits until both have found that the store does not answer: nothing that was read of it
    /// before is judged any more.
    pub(crate) async fn is_unanswered(&self, since: Instant) {
        let both = self.both_since(since, Seen::unanswered).await;
        both.unwrap();
    }

    /// Waits until what both do was done after a time.
    async fn both_since(
        &self,
        since: Instant,
        when: impl Fn(&Seen, Eye) -> Option<Instant>,
    ) -> Result<(), Elapsed> {
        let mut seen = self.seen();
        let done = |seen: &Seen| {
            [Eye::Json, Eye::Screen]
                .iter()
                .all(|eye| when(seen, *eye) > Some(since))
        };
        let both = tokio::time::timeout(PATIENCE, seen.wait_for(done)).await;
        both.map(|_| ())
    }

    /// The same for what only who has looked before can tell.
    pub(crate) async fn screen_sees(&self, wanted: Wanted, since: Instant) -> Outcome {
        let mut seen = self.seen();
        let found = async {
            loop {
                let when = seen.borrow_and_update().when(
                    Eye::Screen,
                    wanted.resource,
                    wanted.verdict,
                    since,
                );
                if when.is_some() || seen.changed().await.is_err() {
                    return when;
                }
            }
        };
        let when = tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_default();
        let said = when.map_or("nothing", |_| wanted.verdict).to_owned();
        Outcome {
            engine: self.engine,
            wanted,
            json: NOT_ASKED.to_owned(),
            screen: said,
            took: [None, when.map(|at| at.saturating_duration_since(since))],
            false_alarms: Vec::new(),
        }
    }

    /// Ends the looking, and finds what was said without a reason.
    pub(crate) async fn close(mut self, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let seen = self.eyes.take().unwrap().close().await;
        for outcome in &mut outcomes {
            let wanted = outcome.wanted;
            for eye in [Eye::Json, Eye::Screen] {
                let said = seen.of(eye, wanted.resource).iter().map(|(said, _)| said);
                let alarms = said.filter(|said| {
                    let is_fault = !["idle", "healthy", "contended"].contains(&said.as_str());
                    let by_one = format!("{eye:?}:{said}");
                    let may_be = |way: &&str| *way == said.as_str() || *way == by_one;
                    let is_meant =
                        said.as_str() == wanted.verdict || wanted.on_the_way.iter().any(may_be);
                    is_fault && !is_meant
                });
                let alarms = alarms.map(|said| format!("{eye:?}: {said}"));
                outcome.false_alarms.extend(alarms);
            }
        }
        outcomes
    }
}

/// Prints the table, and fails where anything is wrong.
pub(crate) fn report(outcomes: &[Outcome], took: Duration) {
    println!(
        "\n{:<6}{:<44}{:<16}{:<16}{:<16}{:>10}{:>10}",
        "on", "scenario", "expected", "JSON", "screen", "JSON", "screen"
    );
    let mut right = 0;
    for outcome in outcomes {
        let Outcome {
            engine,
            wanted,
            json,
            screen,
            ..
        } = outcome;
        let time = |time: Option<Duration>| {
            time.map_or("never".to_owned(), |time| {
                format!("{} ms", time.as_millis())
            })
        };
        let is_json_right = json == wanted.verdict || json == NOT_ASKED;
        let is_right = is_json_right && screen == wanted.verdict;
        right += usize::from(is_right);
        let alarms = match outcome.false_alarms.join(", ") {
            none if none.is_empty() => none,
            alarms => format!("  FALSE ALARM {alarms}"),
        };
        println!(
            "{engine:<6}{:<44}{:<16}{json:<16}{screen:<16}{:>10}{:>10}  {}{}",
            wanted.name,
            wanted.verdict,
            time(outcome.took[0]),
            time(outcome.took[1]),
            if is_right { "ok" } else { "WRONG" },
            alarms
        );
    }
    let alarms: usize = outcomes
        .iter()
        .map(|outcome| outcome.false_alarms.len())
        .sum();
    let total = outcomes.len();
    println!(
        "verdicts right: {right} of {total}, false alarms: {alarms}, in {:.1} s",
        took.as_secs_f64()
    );
    assert_eq!((right, alarms), (total, 0));
}
