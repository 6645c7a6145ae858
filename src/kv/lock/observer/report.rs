//! From what was told to what is shown: sessions joined, circles found, verdicts given.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::bucket::{BucketPicture, Foreign, Stored};
use super::seen::Times;
use super::view::{Content, Freshness, Lock, Now, Party, Report};
use crate::kv::lock::diagnosis::{Circles, Subject, Summary, Thresholds, Verdict, diagnose};
use crate::kv::lock::record::{Claim, Mode, Record, State};
use crate::kv::lock::timeline::{Basis, Since};
use crate::kv::{BucketName, Key};

pub(super) fn report(
    buckets: &BTreeMap<BucketName, BucketPicture>,
    now: Now,
    trusts_wall: bool,
    thresholds: &Thresholds,
) -> Report {
    let mut locks = Vec::new();
    let mut clocks = HashMap::new();
    for (name, bucket) in buckets {
        let times = bucket.times(now, trusts_wall);
        let freshness = bucket.freshness();
        clocks.insert(name.clone(), times.store);
        for (key, stored) in bucket.shown_locks() {
            locks.push(ours(name, bucket, key, stored, times, &freshness));
        }
        for (key, stored) in bucket.shown_foreign() {
            locks.push(foreign(name, key, stored, &freshness));
        }
    }
    let processes = processes(buckets);
    let circles = Circles::find(&locks, &processes, thresholds);
    let diagnoses: Vec<_> = locks
        .iter()
        .enumerate()
        .map(|(at, lock)| {
            diagnose(&Subject {
                lock,
                now: clocks.get(&lock.bucket).copied().unwrap_or(now.wall),
                circles: &circles,
                at,
                locks: &locks,
                thresholds,
            })
        })
        .collect();
    for (lock, (verdict, reason)) in locks.iter_mut().zip(diagnoses) {
        lock.verdict = verdict;
        lock.reason = reason;
    }
    let summary = Summary::of(&locks);
    let longest = |lock: &Lock| lock.longest_waiter().map(|party| party.lasted);
    // Stable, so that equals stay in the order of buckets and keys.
    locks.sort_by(|a, b| {
        let by_fault = b.verdict.is_fault().cmp(&a.verdict.is_fault());
        by_fault
            .then(a.verdict.cmp(&b.verdict))
            .then_with(|| longest(b).cmp(&longest(a)))
    });
    Report {
        locks,
        summary,
        buckets: buckets
            .iter()
            .map(|(name, bucket)| (name.clone(), bucket.freshness()))
            .collect(),
    }
}

fn ours(
    name: &BucketName,
    bucket: &BucketPicture,
    key: &Key,
    stored: &Stored,
    times: Times,
    freshness: &Freshness,
) -> Lock {
    let content = match &stored.record {
        Ok(_) => Content::Record,
        Err(error) => Content::Unreadable {
            reason: error.to_string(),
        },
    };
    let party = |claim: &Claim| party(bucket, stored, claim, times);
    let claims = || stored.record.iter().flat_map(Record::claims);
    let waiting = |mode| claims().filter(move |claim| !claim.state.is_held() && claim.mode == mode);
    let first = stored.record.as_ref().ok().and_then(writers_before_readers);
    let ahead = first.unwrap_or(usize::MAX);
    let waiters = waiting(Mode::Write)
        .take(ahead)
        .chain(waiting(Mode::Read))
        .chain(waiting(Mode::Write).skip(ahead));
    Lock {
        bucket: name.clone(),
        resource: stored.resource.clone(),
        key: key.clone(),
        revision: stored.revision,
        created: stored.created,
        content,
        holders: claims()
            .filter(|claim| claim.state.is_held())
            .map(party)
            .collect(),
        waiters: waiters
            .enumerate()
            .map(|(at, claim)| Party {
                position: Some(at + 1),
                ..party(claim)
            })
            .collect(),
        writers_before_readers: first,
        turn: stored.turn(),
        freshness: freshness.clone(),
        verdict: Verdict::Idle,
        reason: String::new(),
    }
}

fn writers_before_readers(record: &Record) -> Option<usize> {
    let most = record.max_writer_streak()?.get();
    usize::try_from(most.saturating_sub(record.writer_streak())).ok()
}

fn party(bucket: &BucketPicture, stored: &Stored, claim: &Claim, times: Times) -> Party {
    let seen = bucket.seen(&claim.session);
    let session = seen.and_then(|seen| seen.session());
    let since = stored.tracker.since(claim).unwrap_or(Since {
        at: stored.created,
        basis: Basis::Kept,
    });
    Party {
        claim: claim.id.clone(),
        session: claim.session.clone(),
        owner: claim.owner.clone(),
        label: claim.label.clone(),
        host: session.map(|session| session.host.clone()),
        pid: session.map(|session| session.pid),
        mode: claim.mode,
        fence: match claim.state {
            State::Held { fence } => Some(fence),
            State::Waiting => None,
        },
        position: None,
        since,
        lasted: since.age(times.store),
        last_beat: seen.map(|seen| seen.last_beat(times)),
        lease_left: seen.and_then(|seen| seen.lease_left(times)),
        standing: bucket.standing(&claim.session, times),
    }
}

fn foreign(name: &BucketName, key: &Key, stored: &Foreign, freshness: &Freshness) -> Lock {
    Lock {
        bucket: name.clone(),
        resource: key.as_str().to_owned(),
        key: key.clone(),
        revision: stored.revision,
        created: stored.created,
        content: match stored.content {
            Ok(lock) => Content::Shizuku(lock),
            Err(size) => Content::NoLongerShizuku { size },
        },
        holders: Vec::new(),
        waiters: Vec::new(),
        writers_before_readers: None,
        turn: None,
        freshness: freshness.clone(),
        verdict: Verdict::Idle,
        reason: String::new(),
    }
}

/// A process on some machine, whatever its sessions are called in different buckets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process<'a> {
    boot: &'a str,
    namespace: u64,
    number: u32,
    start: u64,
}

/// A number for the process of each session, by bucket and session. A process has one session in
/// each bucket; where several of a bucket claim to be of one process, that claim joins nothing.
fn processes(buckets: &BTreeMap<BucketName, BucketPicture>) -> HashMap<(BucketName, String), u32> {
    let mut sessions = Vec::new();
    for (name, bucket) in buckets {
        let claims = bucket.shown_locks().values();
        for claim in claims.flat_map(|lock| lock.record.iter().flat_map(Record::claims)) {
            sessions.push((name, claim.session.as_str()));
        }
    }
    sessions.sort_unstable();
    sessions.dedup();
    let process = |name: &BucketName, id: &str| {
        let session = buckets.get(name)?.seen(id)?.session()?;
        Some(Process {
            boot: &session.boot_id,
            namespace: session.pidns,
            number: session.pid,
            start: session.start,
        })
    };
    let mut in_bucket: HashMap<(&BucketName, Process<'_>), usize> = HashMap::new();
    let mut is_unclear: HashMap<Process<'_>, bool> = HashMap::new();
    for (name, id) in &sessions {
        if let Some(process) = process(name, id) {
            let count = in_bucket.entry((name, process.clone())).or_default();
            *count += 1;
            *is_unclear.entry(process).or_default() |= *count > 1;
        }
    }
    let mut numbers: HashMap<Process<'_>, u32> = HashMap::new();
    let mut next = 0;
    let mut number = || {
        next += 1;
        next
    };
    sessions
        .iter()
        .map(|(name, id)| {
            let known = process(name, id).filter(|process| is_unclear.get(process) == Some(&false));
            let number = match known {
                Some(process) => *numbers.entry(process).or_insert_with(&mut number),
                None => number(),
            };
            (((*name).clone(), (*id).to_owned()), number)
        })
        .collect()
}

impl Summary {
    fn of(locks: &[Lock]) -> Self {
        let mut summary = Self::default();
        for lock in locks {
            summary.locks += 1;
            summary.faults += usize::from(lock.verdict.is_fault());
            summary.holding += lock.holders.len();
            summary.waiting += lock.waiters.len();
            *summary.verdicts.entry(lock.verdict).or_default() += 1;
            let longest = lock.longest_waiter().map(|party| party.lasted);
            summary.longest_wait = summary.longest_wait.max(longest);
        }
        summary
    }

    /// The longest wait, zero where nobody waits.
    pub fn longest_wait(&self) -> Duration {
        self.longest_wait.unwrap_or_default()
    }
}
