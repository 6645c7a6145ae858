//! Circles of waiting, from locks with their holders and waiters, and the sentences on them.
//!
//! Over tasks a circle is a deadlock: each of them waits, and lets go of nothing while it does.
//! Over processes alone it is only a possible one, for one task of a process can let go while
//! another waits.
//!
//! A search takes time where there are many locks. It needs nothing but the locks, so that it can
//! run beside everything else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Thresholds;
use super::cycles::{Cycle, Queue, cycles};
use super::words::count;
use crate::kv::lock::observer::{Lock, Party};
use crate::kv::lock::record::Mode;
use crate::kv::lock::session::Session;
use crate::kv::{BucketName, Key};

/// The sentences on the circles that a lock has a part in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::kv::lock) struct Circled {
    /// Over tasks.
    pub(in crate::kv::lock) deadlock: Option<Arc<str>>,
    /// Over processes alone: a note, no verdict.
    pub(in crate::kv::lock) possible: Option<Arc<str>>,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub(in crate::kv::lock) struct Found {
    /// The locks that have a part in a circle, by where they are kept.
    pub(in crate::kv::lock) circled: HashMap<(BucketName, Key), Circled>,
    /// Whether there is a circle that has not stood for long enough yet: time alone makes it one.
    pub(in crate::kv::lock) is_unsettled: bool,
}

impl Found {
    /// What there is to say at a lock.
    pub(in crate::kv::lock) fn of(&self, bucket: &BucketName, key: &Key) -> Circled {
        if self.circled.is_empty() {
            return Circled::default();
        }
        let id = (bucket.clone(), key.clone());
        self.circled.get(&id).cloned().unwrap_or_default()
    }
}

/// One circle.
#[derive(Debug)]
struct Circle {
    /// One round of it, in order.
    round: Vec<Link>,
    /// How many can't go on, those beside the round included.
    members: usize,
    /// The session whose break frees most waiters, as its name, and how many.
    best_break: Option<(String, usize)>,
}

/// One who waits, in a circle.
#[derive(Debug)]
struct Link {
    /// What to call it.
    who: String,
    /// The lock that it waits for, by its place.
    waits_for: usize,
    /// Whether the next in the circle holds that lock, or only waits for it before this one.
    is_held_by_next: bool,
}

/// A lock, and the node of each who holds or waits: of its task, or of its process.
struct Nodes<'a> {
    lock: &'a Lock,
    nodes: Vec<(Option<u32>, &'a Party)>,
}

/// Who is taken to be the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Tasks,
    Processes,
}

/// Looks for circles over all locks. `at`: the time since boot.
pub(in crate::kv::lock) fn search(locks: &[Arc<Lock>], at: Duration, limits: &Thresholds) -> Found {
    let processes = processes(locks);
    let mut found = Found::default();
    for over in [Over::Tasks, Over::Processes] {
        let nodes = nodes(locks, &processes, over);
        look(&nodes, over, at, limits, &mut found);
    }
    found
}

/// The nodes of those locks that can have a part in a circle. A circle leads through several locks,
/// or twice through one: it needs somebody who is in a queue twice, and goes only through locks
/// that such a one is in.
fn nodes<'a>(
    locks: &'a [Arc<Lock>],
    processes: &HashMap<(&BucketName, &str), u32>,
    over: Over,
) -> Vec<Nodes<'a>> {
    let mut owners: HashMap<(u32, &str), u32> = HashMap::new();
    let mut times: Vec<u32> = Vec::new();
    let mut all: Vec<Nodes<'a>> = Vec::with_capacity(locks.len());
    for lock in locks {
        let parties = lock.holders.iter().chain(&lock.waiters);
        let nodes = parties.map(|party| {
            let process = processes.get(&(&lock.bucket, party.session.as_str()));
            let node = match over {
                Over::Processes => process.copied(),
                Over::Tasks => process.filter(|_| !party.owner.is_empty()).map(|process| {
                    let next = u32::try_from(owners.len()).unwrap_or(u32::MAX);
                    *owners.entry((*process, &party.owner)).or_insert(next)
                }),
            };
            if let Some(node) = node.and_then(|node| usize::try_from(node).ok()) {
                if times.len() <= node {
                    times.resize(node + 1, 0);
                }
                times[node] += 1;
            }
            (node, party)
        });
        all.push(Nodes {
            lock,
            nodes: nodes.collect(),
        });
    }
    let is_often = |node: &Option<u32>| {
        let node = node.and_then(|node| usize::try_from(node).ok());
        node.and_then(|node| times.get(node))
            .is_some_and(|times| *times > 1)
    };
    all.retain(|lock| lock.nodes.iter().any(|(node, _)| is_often(node)));
    all
}

/// The circles over nodes, and for each lock the one that one of its holders or waiters is in.
fn look(locks: &[Nodes<'_>], over: Over, at: Duration, limits: &Thresholds, found: &mut Found) {
    let queues: Vec<Queue> = locks.iter().map(queue).collect();
    // A circle is of at least two waits, or of one task that waits for itself.
    let fewest = match over {
        Over::Tasks => 1,
        Over::Processes => 2,
    };
    let mut is_taken: HashSet<usize> = HashSet::new();
    for cycle in cycles(&queues) {
        if cycle.members.len() < fewest {
            continue;
        }
        let members: HashSet<u32> = cycle.members.iter().copied().collect();
        if !is_settled(&cycle, &members, locks, at, limits) {
            found.is_unsettled = true;
            continue;
        }
        let circle = circle(&cycle, &members, locks);
        let mut sentences: HashMap<&BucketName, Arc<str>> = HashMap::new();
        for (place, lock) in locks.iter().enumerate() {
            let mut nodes = living(&lock.nodes);
            if !nodes.any(|(node, _)| members.contains(&node)) || !is_taken.insert(place) {
                continue;
            }
            let bucket = &lock.lock.bucket;
            let sentence = sentences
                .entry(bucket)
                .or_insert_with(|| circle.sentence(over, locks, bucket).into());
            let id = (bucket.clone(), lock.lock.key.clone());
            let circled = found.circled.entry(id).or_default();
            match over {
                Over::Tasks => circled.deadlock = Some(Arc::clone(sentence)),
                Over::Processes => circled.possible = Some(Arc::clone(sentence)),
            }
        }
    }
}

/// Those who will not be taken out, by their nodes.
fn living<'a>(
    parties: &'a [(Option<u32>, &'a Party)],
) -> impl Iterator<Item = (u32, &'a Party)> + 'a {
    let parties = parties.iter();
    parties.filter_map(|(node, party)| (!party.standing.is_dead()).then_some(((*node)?, *party)))
}

fn queue(lock: &Nodes<'_>) -> Queue {
    let mut queue = Queue {
        readers_after: lock.lock.writers_before_readers,
        ..Queue::default()
    };
    for (node, party) in living(&lock.nodes) {
        match (party.fence.is_some(), party.mode) {
            (true, _) => queue.holders.push(node),
            (false, Mode::Write) => queue.writers.push(node),
            (false, Mode::Read) => queue.readers.push(node),
        }
    }
    queue
}

/// Whether a circle is one of a single moment: all of one bucket are told in their order, but two
/// buckets are not told together.
fn is_settled(
    cycle: &Cycle,
    members: &HashSet<u32>,
    locks: &[Nodes<'_>],
    at: Duration,
    limits: &Thresholds,
) -> bool {
    let mut places = cycle.round.iter().filter_map(|(_, at)| locks.get(*at));
    let first = places.next().map(|nodes| &nodes.lock.bucket);
    if places.all(|nodes| Some(&nodes.lock.bucket) == first) {
        return true;
    }
    let mut places = cycle.round.iter().filter_map(|(_, at)| locks.get(*at));
    places.all(|nodes| {
        let since = nodes.lock.ages_by(at);
        living(&nodes.nodes)
            .filter(|(node, _)| members.contains(node))
            .all(|(_, party)| party.lasted + since >= limits.circle_across_buckets)
    })
}

fn circle(cycle: &Cycle, members: &HashSet<u32>, locks: &[Nodes<'_>]) -> Circle {
    let parties = |at: usize| locks.get(at).map_or(&[][..], |lock| &lock.nodes);
    let next = cycle.round.iter().cycle().skip(1);
    let round = cycle.round.iter().zip(next).map(|((node, at), (next, _))| {
        let who = living(parties(*at)).find(|(who, party)| who == node && party.fence.is_none());
        Link {
            who: who.map(|(_, party)| party.name()).unwrap_or_default(),
            waits_for: *at,
            is_held_by_next: living(parties(*at))
                .any(|(who, party)| who == *next && party.fence.is_some()),
        }
    });
    // A break takes a session out of every lock: all who wait there are a step closer.
    let mut frees: HashMap<(&BucketName, &str), (String, usize)> = HashMap::new();
    for Nodes { lock, nodes } in locks {
        let holders =
            living(nodes).filter(|(node, party)| party.fence.is_some() && members.contains(node));
        for (_, party) in holders {
            let key = (&lock.bucket, party.session.as_str());
            let (_, count) = frees.entry(key).or_insert_with(|| (party.name(), 0));
            *count += lock.waiters.len();
        }
    }
    Circle {
        round: round.collect(),
        members: cycle.members.len(),
        best_break: frees
            .into_values()
            .max_by(|(a, fewer), (b, more)| fewer.cmp(more).then_with(|| b.cmp(a))),
    }
}

impl Circle {
    /// What to say of it at a lock of that bucket.
    fn sentence(&self, over: Over, locks: &[Nodes<'_>], bucket: &BucketName) -> String {
        let round = self.words(locks, bucket);
        if over == Over::Processes {
            return format!(
                "Possibly a deadlock, if these processes wait with what they hold: {round}."
            );
        }
        let beside = self.members.saturating_sub(self.round.len());
        let more = if beside == 0 {
            String::new()
        } else {
            format!(" ({beside} more in circles with them)")
        };
        let advice = match &self.best_break {
            Some((name, waiters)) => format!(
                " Breaking {name} frees most: {} behind it.",
                count(*waiters, "waiter")
            ),
            None => String::new(),
        };
        format!("Deadlock: {round}{more}. None of them can go on.{advice}")
    }

    /// `a waits for x, held by b; b waits for y, held by a`
    fn words(&self, locks: &[Nodes<'_>], bucket: &BucketName) -> String {
        let next = self.round.iter().cycle().skip(1);
        let links = self.round.iter().zip(next).map(|(link, next)| {
            let lock = locks.get(link.waits_for);
            let place = lock.map_or_else(String::new, |lock| place(lock.lock, bucket));
            let how = if link.is_held_by_next {
                "held by"
            } else {
                "in line behind"
            };
            let whom = if self.round.len() == 1 {
                "itself"
            } else {
                &next.who
            };
            format!("{} waits for {place}, {how} {whom}", link.who)
        });
        links.collect::<Vec<_>>().join("; ")
    }
}

/// A lock's name, with its bucket where that is another.
fn place(lock: &Lock, seen_from: &BucketName) -> String {
    if lock.bucket == *seen_from {
        lock.resource.clone()
    } else {
        format!("{} (in {})", lock.resource, lock.bucket)
    }
}

/// A process on some machine, whatever its sessions are called in different buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process<'a> {
    boot: &'a str,
    namespace: u64,
    number: u32,
    start: u64,
}

impl<'a> Process<'a> {
    /// `None` where the session does not tell it from others.
    fn of(session: &'a Session) -> Option<Self> {
        let is_told = session.pidns != 0 && session.start != 0;
        is_told.then(|| Self {
            boot: &session.boot_id,
            namespace: session.pidns,
            number: session.pid,
            start: session.start,
        })
    }
}

/// A number for the process of each session, by bucket and session. A process has one session in
/// each bucket; where several of a bucket claim to be of one process, that claim joins nothing.
fn processes(locks: &[Arc<Lock>]) -> HashMap<(&BucketName, &str), u32> {
    let mut sessions: HashMap<(&BucketName, &str), Option<Process<'_>>> = HashMap::new();
    for lock in locks {
        for party in lock.holders.iter().chain(&lock.waiters) {
            sessions
                .entry((&lock.bucket, &party.session))
                .or_insert_with(|| party.record.as_deref().and_then(Process::of));
        }
    }
    let mut in_bucket: HashMap<(&BucketName, Process<'_>), usize> = HashMap::new();
    let mut is_unclear: HashSet<Process<'_>> = HashSet::new();
    for ((bucket, _), process) in &sessions {
        let Some(process) = *process else { continue };
        let count = in_bucket.entry((*bucket, process)).or_default();
        *count += 1;
        if *count > 1 {
            is_unclear.insert(process);
        }
    }
    // In order, so that the same locks make the same circles.
    let mut sessions: Vec<_> = sessions.into_iter().collect();
    sessions.sort_unstable_by_key(|(session, _)| *session);
    let mut numbers: HashMap<Process<'_>, u32> = HashMap::new();
    let mut next = 0;
    let mut number = || {
        next += 1;
        next
    };
    sessions
        .into_iter()
        .map(|(session, process)| {
            let known = process.filter(|process| !is_unclear.contains(process));
            let number = match known {
                Some(process) => *numbers.entry(process).or_insert_with(&mut number),
                None => number(),
            };
            (session, number)
        })
        .collect()
}
