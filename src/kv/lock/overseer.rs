//! Watching over the sessions that a waiter waits for, so that a dead one blocks nobody for ever.
//!
//! Each waiter watches over the claim before its own, the first over those who hold. When that one
//! is quiet it may have looked after nobody either: then all who are before it are watched too, so
//! that those who died together are found out together. Time is this process's own, and only time
//! in which the store could be read counts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use super::lease::{Lease, Silence};
use super::record::Record;
use super::session::{Cause, Process, Session};
use crate::kv::backend::{BucketBackend, Consistency, Write};
use crate::kv::{Entry, Revision, WriteError};

/// The most sessions that are read in one round.
const MOST_READS: usize = 32;
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
    /// Where the next round of reads begins.
    turn: usize,
}

#[derive(Debug)]
struct Watched {
    silence: Silence,
    session: Option<Session>,
    /// Since when it is known to be dead by an operator's hand: its guards run out from then on.
    broken_since: Option<Duration>,
    /// When its record was read last.
    read_at: Duration,
    /// Whether its claims are to be taken out.
    doomed: bool,
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
            turn: 0,
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
            tokio::time::sleep(self.reading_pace().min(PROCESS_PACE)).await;
        }
    }

    /// How long one waits before anybody need be looked after.
    pub(super) fn first_look(lease: Lease) -> Duration {
        reading_pace(lease).min(PROCESS_PACE / 2)
    }

    fn reading_pace(&self) -> Duration {
        reading_pace(self.lease)
    }

    /// The store could not be read: what was silent so far may have been our own deafness.
    fn outage(&mut self) {
        let now = self.clock.now();
        for watched in self.watched.values_mut() {
            watched.silence.outage(now);
        }
    }

    /// Looks after the sessions that this one waits for. Returns those whose claims are to be
    /// taken out.
    async fn look(&mut self, record: &Record) -> Vec<String> {
        let targets = self.targets(record);
        self.watched
            .retain(|session, _| targets.contains(&session.as_str()));
        self.find_gone(&targets).await;
        let many = targets.len();
        for at in 0..many.min(MOST_READS) {
            let Some(session) = targets.get((self.turn + at) % many) else {
                break;
            };
            if !self.is_due(session) {
                continue;
            }
            if !self.read(session).await {
                self.outage();
                break;
            }
        }
        self.turn = (self.turn + MOST_READS) % many.max(1);
        self.dead()
    }

    /// The sessions to look after now.
    fn targets<'a>(&self, record: &'a Record) -> Vec<&'a str> {
        let (mut nearest, others) = blockers(record, &self.own_session);
        if nearest.iter().any(|session| self.is_quiet(session)) {
            nearest.extend(others);
        }
        nearest
    }

    /// Whether it has not beaten when it should have.
    fn is_quiet(&self, session: &str) -> bool {
        self.watched.get(session).is_some_and(|watched| {
            let Some(session) = &watched.session else {
                return true;
            };
            let lease = session.lease().unwrap_or(self.lease);
            session.dead.is_some() || watched.silence.lasts(self.clock.now()) >= lease.length() / 2
        })
    }

    fn is_due(&self, session: &str) -> bool {
        let since = |watched: &Watched| self.clock.now().saturating_sub(watched.read_at);
        self.watched
            .get(session)
            .is_none_or(|watched| !watched.doomed && since(watched) >= self.reading_pace())
    }

    /// Neighbours whose process is gone need no lease to run out.
    async fn find_gone(&mut self, targets: &[&str]) {
        for &target in targets {
            let Some(watched) = self.watched.get(target) else {
                continue;
            };
            let Some(session) = &watched.session else {
                continue;
            };
            if session.dead.is_none() && Process::current().sees_gone(session) {
                let revision = watched.silence.revision();
                let session = session.clone();
                self.kill(target, &session, revision, Cause::Gone).await;
            }
        }
    }

    /// Reads one session's record, and kills it if it was silent for too long. False when the
    /// store gave no answer.
    async fn read(&mut self, id: &str) -> bool {
        let Ok(key) = Session::key_of(id) else {
            return true;
        };
        let sent = self.clock.now();
        let read = self.bucket.get(&key, Consistency::Leader);
        let Ok(Ok(entry)) = tokio::time::timeout(self.lease.length() / 4, read).await else {
            return false;
        };
        let now = self.clock.now();
        let revision = entry
            .as_ref()
            .map_or(Revision::ABSENT, |entry| entry.revision);
        let session = entry
            .as_ref()
            .and_then(Entry::live_value)
            .and_then(|value| Session::from_bytes(value).ok());
        let watched = self.watched.entry(id.to_owned()).or_insert(Watched {
            silence: Silence::begin(revision, now),
            session: None,
            broken_since: None,
            read_at: now,
            doomed: false,
        });
        if sent.saturating_sub(watched.read_at) > self.lease.length() / 4 {
            // Nobody looked for a while: the store may have been down meanwhile.
            watched.silence.outage(now);
        }
        watched.read_at = now;
        watched.silence.read(revision, now);
        let lease = session
            .as_ref()
            .and_then(Session::lease)
            .unwrap_or(self.lease);
        let over = watched.silence.is_over(lease, sent);
        match &session {
            Some(found) => match &found.dead {
                Some(death) if death.why == Cause::Broken => {
                    let since = *watched.broken_since.get_or_insert(now);
                    watched.doomed = sent.saturating_sub(since) >= lease.silence();
                }
                Some(_) => watched.doomed = true,
                None => {}
            },
            // Nobody can beat on a record that is not there, nor make it again under this name.
            None => watched.doomed = over.is_some(),
        }
        watched.session.clone_from(&session);
        if let (Some(session), Some(revision)) = (session, over)
            && session.dead.is_none()
        {
            self.kill(id, &session, revision, Cause::Silent).await;
        }
        true
    }

    /// Kills a session on the revision that was seen. A beat that lands first defeats it.
    async fn kill(&mut self, id: &str, session: &Session, revision: Revision, why: Cause) {
        let Some(dead) = session.killed(why, &self.own_session) else {
            return;
        };
        let (Ok(key), Ok(bytes)) = (Session::key_of(id), dead.to_bytes()) else {
            return;
        };
        let write = Write::put(key, bytes).expecting(revision);
        let written = tokio::time::timeout(self.lease.length() / 4, self.bucket.write(write)).await;
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        match written {
            Ok(Ok(revision)) => {
                tracing::info!(session = id, ?why, "killed a session");
                watched.silence.read(revision, self.clock.now());
                watched.session = Some(dead);
                watched.doomed = true;
            }
            // It lives, or somebody else killed it: the next round tells.
            Ok(Err(WriteError::Conflict { .. })) => {}
            Ok(Err(error)) => tracing::debug!(session = id, %error, "not killed"),
            Err(_) => tracing::debug!(session = id, "no answer to a kill"),
        }
    }

    fn dead(&self) -> Vec<String> {
        let doomed = self.watched.iter().filter(|(_, watched)| watched.doomed);
        doomed.map(|(id, _)| id.clone()).collect()
    }
}

/// How often a session's record is read.
fn reading_pace(lease: Lease) -> Duration {
    (lease.length() / 16).clamp(Duration::from_millis(40), Duration::from_secs(1))
}

/// The sessions that keep one from the lock: the nearest, and those that they wait for in turn.
fn blockers<'a>(record: &'a Record, own: &str) -> (Vec<&'a str>, Vec<&'a str>) {
    let waiters: Vec<_> = record
        .waiters()
        .take_while(|claim| claim.session != own)
        .collect();
    let mut seen = HashSet::from([own]);
    let mut nearest: Vec<&str> = Vec::new();
    let mut others: Vec<&str> = Vec::new();
    for claim in waiters.into_iter().rev() {
        if seen.insert(&claim.session) {
            let them = if nearest.is_empty() {
                &mut nearest
            } else {
                &mut others
            };
            them.push(&claim.session);
        }
    }
    let holders = record.holders().map(|claim| claim.session.as_str());
    let holders = holders.filter(|session| seen.insert(session));
    let them = if nearest.is_empty() {
        &mut nearest
    } else {
        &mut others
    };
    them.extend(holders);
    (nearest, others)
}
