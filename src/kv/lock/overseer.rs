//! Watching over the sessions that a waiter waits for, so that a dead one blocks nobody for ever.
//!
//! Each waiter watches over the claim before its own, the first over those who hold. When that one
//! is quiet it may have looked after nobody either: then all who are before it are watched too, so
//! that those who died together are found out together. They are watched now and then also when
//! nothing moves for several leases, for one who lives need not do its duty.
//!
//! Time is this process's own, and only time in which the store could be reached counts. Two reads
//! that find a session at the same revision prove that it did not beat between them, however far
//! they are apart; that it *could* have beaten is shown by whatever the store answered meanwhile.
//! So a few reads a second are enough for any number of sessions, as long as the first sight of a
//! revision comes soon: where there are many, a watch tells of it, and a session is read only when
//! that would decide something.

mod before;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
mod watched;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{mpsc, watch};

use self::before::Before;
use self::watched::{Told, Watched};
use super::clock::Clock;
use super::kill::Kill;
use super::lease::Lease;
use super::record::Record;
use super::session::{Cause, Process, SESSION_PREFIX, Session};
use crate::kv::backend::{BucketBackend, Consistency};
use crate::kv::{Entry, Error, Filter, Watch, WatchEvent, WatchOptions, WriteError};

/// The most requests that are under way at a time: with a round trip of 200 ms a thousand sessions
/// that died together are read and killed in less than two seconds.
const MOST_AT_ONCE: usize = 256;
/// How many sessions are read one by one all the time, before a watch takes the place of that.
const FEW: usize = 32;
/// How often neighbours are asked for, at the longest: a process that is gone is to be noticed
/// within a second.
const PROCESS_PACE: Duration = Duration::from_millis(250);

/// What one waiter knows of those it waits for.
#[derive(Debug)]
pub(super) struct Overseer {
    bucket: Arc<dyn BucketBackend>,
    own_session: String,
    lease: Lease,
    clock: Clock,
    watched: HashMap<String, Watched>,
    /// Whom it waits for, and since when for these.
    before: Before,
    all_before: HashSet<String>,
    same_since: Duration,
    /// When the store answered last.
    answered_at: Option<Duration>,
    news: News,
}

/// What is told of all sessions.
#[derive(Debug, Default)]
struct News {
    watch: Option<Watch>,
    /// Everything that there is was told, and what comes is told at once.
    is_complete: bool,
    /// When the watch is, or was to be, complete, or is tried for again.
    due_at: Duration,
}

/// What a read found.
struct Answer {
    id: String,
    sent: Duration,
    now: Duration,
    /// `None` when the store gave no answer.
    told: Option<Told>,
}

impl Overseer {
    pub(super) fn new(
        bucket: Arc<dyn BucketBackend>,
        own_session: String,
        lease: Lease,
        clock: Clock,
    ) -> Self {
        Self {
            bucket,
            own_session,
            lease,
            clock,
            watched: HashMap::new(),
            before: Before::default(),
            all_before: HashSet::new(),
            same_since: clock.now(),
            answered_at: None,
            news: News::default(),
        }
    }

    /// Looks after those that the newest record names, and tells which sessions are to be taken
    /// out, until nobody wants to hear it.
    pub(super) async fn run(
        mut self,
        records: watch::Receiver<Record>,
        dead: mpsc::UnboundedSender<String>,
    ) {
        loop {
            let record = records.borrow().clone();
            for session in self.look(&record).await {
                if dead.send(session).is_err() {
                    return;
                }
            }
            let pace = self.watched.values().map(Watched::lease);
            let pace = pace.map(reading_pace).min().unwrap_or(PROCESS_PACE);
            self.listen(pace.min(PROCESS_PACE)).await;
        }
    }

    /// How long one waits before anybody need be looked after.
    pub(super) fn first_look(lease: Lease) -> Duration {
        reading_pace(lease).min(PROCESS_PACE / 2)
    }

    /// How long a request may take.
    fn patience(&self) -> Duration {
        self.lease.length() / 4
    }

    /// Looks after the sessions that this one waits for. Returns those whose claims are to be
    /// taken out.
    async fn look(&mut self, record: &Record) -> Vec<String> {
        let targets = self.targets(record);
        self.hear_of_many(targets.len()).await;
        let gone = self.gone(&targets);
        self.kill(gone, Cause::Gone).await;
        let silent = self.read(self.due(&targets)).await;
        self.kill(silent, Cause::Silent).await;
        let doomed = self.watched.iter().filter(|(_, w)| w.is_doomed());
        doomed.map(|(id, _)| id.clone()).collect()
    }

    /// The sessions to look after now.
    fn targets(&mut self, record: &Record) -> Vec<String> {
        let now = self.clock.now();
        let before = Before::of(record, &self.own_session);
        if before != self.before {
            self.all_before = before.all().cloned().collect();
            self.watched
                .retain(|session, _| self.all_before.contains(session));
            self.before = before;
            self.same_since = now;
        }
        let is_quiet = |session: &String| {
            let watched = self.watched.get(session);
            watched.is_some_and(|watched| watched.is_quiet(now))
        };
        let lasted = now.saturating_sub(self.same_since);
        if self.before.nearest.iter().any(is_quiet) || self.before.is_turn(lasted, self.lease) {
            return self.before.all().cloned().collect();
        }
        self.before.nearest.clone()
    }

    /// Neighbours whose process is gone need no lease to run out.
    fn gone(&self, targets: &[String]) -> Vec<String> {
        let sees_gone = |id: &&String| {
            let session = self.watched.get(*id).and_then(Watched::living);
            session.is_some_and(|(session, _)| Process::current().sees_gone(session))
        };
        targets.iter().filter(sees_gone).cloned().collect()
    }

    /// Those to be read now. All of them as often as they need it; but where all news of them come
    /// by the watch only those of which reading decides something, and one to see whether the
    /// store can be reached.
    fn due(&self, targets: &[String]) -> Vec<String> {
        let now = self.clock.now();
        let is_paced = |since: Option<Duration>, lease: Lease| {
            since.is_none_or(|since| now.saturating_sub(since) >= reading_pace(lease))
        };
        let is_due = |id: &&String| match self.watched.get(*id) {
            None => Session::key_of(id).is_ok() && self.has_told_all(now),
            Some(watched) => {
                let matters = !self.news.is_complete || watched.is_ripe(now);
                matters && !watched.is_doomed() && is_paced(watched.read_at(), watched.lease())
            }
        };
        let due: Vec<String> = targets.iter().filter(is_due).cloned().collect();
        if !due.is_empty() {
            return due;
        }
        let living = targets
            .iter()
            .filter_map(|id| Some((id, self.watched.get(id)?)));
        let living = living.filter(|(_, watched)| !watched.is_doomed());
        let (probes, leases): (Vec<_>, Vec<_>) = living
            .map(|(id, watched)| ((watched.read_at(), id), watched.lease()))
            .unzip();
        let shortest = leases.into_iter().min_by_key(|lease| lease.length());
        let is_due = shortest.is_some_and(|lease| is_paced(self.answered_at, lease));
        let probe = probes.into_iter().min().filter(|_| is_due);
        probe.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Whether who was not told of yet will not be.
    fn has_told_all(&self, now: Duration) -> bool {
        let News {
            watch,
            is_complete,
            due_at,
        } = &self.news;
        watch.is_none() || *is_complete || now >= *due_at
    }

    /// Reads the records of sessions. Returns those that were silent for too long.
    async fn read(&mut self, due: Vec<String>) -> Vec<String> {
        if due.is_empty() {
            return due;
        }
        let (clock, patience) = (self.clock, self.patience());
        let reads = due.into_iter().filter_map(|id| {
            let (key, bucket) = (Session::key_of(&id).ok()?, Arc::clone(&self.bucket));
            Some(async move {
                let sent = clock.now();
                let read = bucket.get(&key, Consistency::Leader);
                let told = match tokio::time::timeout(patience, read).await {
                    Ok(Ok(entry)) => Some(Told::of(entry.as_ref())),
                    Ok(Err(_)) | Err(_) => None,
                };
                let now = clock.now();
                Answer {
                    id,
                    sent,
                    now,
                    told,
                }
            })
        });
        let answers = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(MOST_AT_ONCE);
        let answers: Vec<Answer> = answers.collect().await;
        if !answers.is_empty() && answers.iter().all(|answer| answer.told.is_none()) {
            self.outage(Duration::MAX, self.clock.now());
            return Vec::new();
        }
        let answers = answers.into_iter();
        let silent = answers.filter_map(|answer| self.answer(answer));
        silent.collect()
    }

    /// Takes in what was read, and tells whether the session is to be killed for it.
    fn answer(&mut self, answer: Answer) -> Option<String> {
        let Answer {
            id,
            sent,
            now,
            told,
        } = answer;
        let told = told?;
        self.answered(sent, now);
        let watched = match self.watched.entry(id.clone()) {
            std::collections::hash_map::Entry::Occupied(known) => {
                let known = known.into_mut();
                known.told(told, now);
                known
            }
            std::collections::hash_map::Entry::Vacant(none) => none.insert(Watched::new(told, now)),
        };
        watched.was_read(sent);
        (watched.living().is_some() && watched.is_ripe(sent)).then_some(id)
    }

    /// The store has answered what was sent then. If that, or the time before, took long, it may not
    /// have been there, or this process was stopped and does not know.
    fn answered(&mut self, sent: Duration, now: Duration) {
        let silent = self.answered_at.map(|at| sent.saturating_sub(at));
        let unheard = silent.unwrap_or_default().max(now.saturating_sub(sent));
        self.outage(unheard, now);
        self.answered_at = self.answered_at.max(Some(now));
    }

    /// The store was not heard of for so long: what was silent may have been our own deafness.
    fn outage(&mut self, lasted: Duration, now: Duration) {
        if lasted <= Lease::SHORTEST / 4 {
            return;
        }
        for watched in self.watched.values_mut() {
            watched.outage(lasted, now);
        }
    }

    /// Kills sessions on the revision that was seen. A beat that lands first defeats it.
    async fn kill(&mut self, ids: Vec<String>, why: Cause) {
        let (clock, patience) = (self.clock, self.patience());
        let kills = ids.into_iter().filter_map(|id| {
            let (session, seen) = self.watched.get(&id)?.living()?;
            let key = Session::key_of(&id).ok()?;
            let kill = Kill::of(key, session, seen, why, &self.own_session);
            let Kill { dead, write } = kill.ok()??;
            let bucket = Arc::clone(&self.bucket);
            Some(async move {
                let sent = clock.now();
                let written = tokio::time::timeout(patience, bucket.write(write)).await;
                (id, dead, sent, clock.now(), written)
            })
        });
        let kills = stream::iter(kills.collect::<Vec<_>>()).buffer_unordered(MOST_AT_ONCE);
        for (id, dead, sent, now, written) in kills.collect::<Vec<_>>().await {
            match written {
                Ok(Ok(revision)) => {
                    tracing::info!(session = id, ?why, "killed a session");
                    self.answered(sent, now);
                    if let Some(watched) = self.watched.get_mut(&id) {
                        watched.was_killed(dead, revision, now);
                    }
                }
                // It lives, or somebody else killed it: the next round tells.
                Ok(Err(WriteError::Conflict { .. })) => self.answered(sent, now),
                Ok(Err(error)) => tracing::debug!(session = id, %error, "not killed"),
                Err(_) => tracing::debug!(session = id, "no answer to a kill"),
            }
        }
    }

    /// Begins to watch all sessions where many are to be looked after, and ends it.
    async fn hear_of_many(&mut self, targets: usize) {
        if targets <= FEW {
            self.news = News::default();
            return;
        }
        let now = self.clock.now();
        if self.news.watch.is_some() || now < self.news.due_at {
            return;
        }
        let watch = async {
            let filter = Filter::new(format!("{SESSION_PREFIX}>")).map_err(Error::from)?;
            self.bucket.watch(WatchOptions::new(filter)).await
        };
        // Without it they are read one by one.
        let watch = tokio::time::timeout(self.patience(), watch).await;
        self.news = News {
            watch: watch.ok().and_then(Result::ok),
            is_complete: false,
            due_at: self.clock.now() + self.patience(),
        };
    }

    /// Takes in what the watch tells, for a while.
    async fn listen(&mut self, time: Duration) {
        let pause = tokio::time::sleep(time);
        tokio::pin!(pause);
        loop {
            let event = tokio::select! {
                () = &mut pause => return,
                event = next_event(self.news.watch.as_ref()) => event,
            };
            match event {
                Some(WatchEvent::Entry(entry)) => self.told(&entry),
                Some(WatchEvent::Ready | WatchEvent::Resumed { gap: false }) => {
                    self.news.is_complete = true;
                }
                Some(WatchEvent::Interrupted { .. } | WatchEvent::Resumed { gap: true }) => {
                    self.news.is_complete = false;
                }
                None => self.news = News::default(),
            }
        }
    }

    /// The watch tells of a session. It can be behind what was read.
    fn told(&mut self, entry: &Entry) {
        let Some(id) = Session::id_of(entry.key.as_str()) else {
            return;
        };
        let now = self.clock.now();
        let told = Told::of(Some(entry));
        match self.watched.get_mut(id) {
            Some(watched) if watched.revision() < told.revision => watched.told(told, now),
            Some(_) => {}
            None if self.all_before.contains(id) => {
                self.watched.insert(id.to_owned(), Watched::new(told, now));
            }
            None => {}
        }
    }
}

async fn next_event(watch: Option<&Watch>) -> Option<WatchEvent> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

/// How often a session's record is read, with that lease.
fn reading_pace(lease: Lease) -> Duration {
    (lease.length() / 16).clamp(Duration::from_millis(40), Duration::from_secs(1))
}
