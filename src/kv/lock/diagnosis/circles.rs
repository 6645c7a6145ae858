//! Circles of waiting, from locks with their holders and waiters.
//!
//! Over tasks a circle is a deadlock: each of them waits, and lets go of nothing while it does.
//! Over processes alone it is only a possible one, for one task of a process can let go while
//! another waits.

use std::collections::{HashMap, HashSet};

use super::Thresholds;
use super::cycles::{Cycle, Queue, cycles};
use crate::kv::BucketName;
use crate::kv::lock::observer::{Lock, Party};
use crate::kv::lock::record::Mode;

/// All circles, and where their members hold and wait.
#[derive(Debug, Default)]
pub(in crate::kv::lock) struct Circles {
    /// Over tasks: deadlocks.
    pub(super) tasks: Vec<Circle>,
    /// Over processes.
    pub(super) processes: Vec<Circle>,
    /// Which of `tasks` a lock has a part in, by the lock's place.
    task_of: HashMap<usize, usize>,
    process_of: HashMap<usize, usize>,
}

/// One circle.
#[derive(Debug)]
pub(super) struct Circle {
    /// One round of it, in order.
    pub(super) round: Vec<Link>,
    /// How many can't go on, those beside the round included.
    pub(super) members: usize,
    /// The session whose break frees most waiters, as its name, and how many.
    pub(super) best_break: Option<(String, usize)>,
}

/// One who waits, in a circle.
#[derive(Debug)]
pub(super) struct Link {
    /// What to call it.
    pub(super) who: String,
    /// The lock that it waits for, by its place.
    pub(super) waits_for: usize,
    /// Whether the next in the circle holds that lock, or only waits for it before this one.
    pub(super) is_held_by_next: bool,
}

/// By whom a party is taken to be the same as another.
type Names = HashMap<(BucketName, String), u32>;

impl Circles {
    /// All circles. `processes` numbers the process of each session.
    pub(in crate::kv::lock) fn find(
        locks: &[Lock],
        processes: &Names,
        limits: &Thresholds,
    ) -> Self {
        let process = |lock: &Lock, party: &Party| {
            let key = (lock.bucket.clone(), party.session.clone());
            processes.get(&key).copied()
        };
        // A circle is of at least two waits, or of one who waits for itself.
        let mut owners: HashMap<(u32, &str), u32> = HashMap::new();
        let mut tasks: Vec<Vec<(Option<u32>, &Party)>> = Vec::with_capacity(locks.len());
        for lock in locks {
            let parties = lock.holders.iter().chain(&lock.waiters);
            let nodes = parties.map(|party| {
                let next = u32::try_from(owners.len()).unwrap_or(u32::MAX);
                let node = process(lock, party)
                    .filter(|_| !party.owner.is_empty())
                    .map(|process| *owners.entry((process, &party.owner)).or_insert(next));
                (node, party)
            });
            tasks.push(nodes.collect());
        }
        let whole: Vec<Vec<(Option<u32>, &Party)>> = locks
            .iter()
            .map(|lock| {
                let parties = lock.holders.iter().chain(&lock.waiters);
                parties.map(|party| (process(lock, party), party)).collect()
            })
            .collect();
        let (tasks, task_of) = circles(locks, &tasks, limits, 1);
        let (processes, process_of) = circles(locks, &whole, limits, 2);
        Self {
            tasks,
            processes,
            task_of,
            process_of,
        }
    }

    /// The deadlock that a lock has a part in.
    pub(super) fn deadlock(&self, lock: usize) -> Option<&Circle> {
        self.tasks.get(*self.task_of.get(&lock)?)
    }

    /// The circle of processes that a lock has a part in.
    pub(super) fn possible(&self, lock: usize) -> Option<&Circle> {
        self.processes.get(*self.process_of.get(&lock)?)
    }
}

/// The circles over nodes, and for each lock the one that one of its holders or waiters is in.
fn circles(
    locks: &[Lock],
    nodes: &[Vec<(Option<u32>, &Party)>],
    limits: &Thresholds,
    fewest: usize,
) -> (Vec<Circle>, HashMap<usize, usize>) {
    let queues: Vec<Queue> = locks
        .iter()
        .zip(nodes)
        .map(|(lock, parties)| Queue {
            readers_after: lock.writers_before_readers,
            ..queue(parties)
        })
        .collect();
    let mut found = Vec::new();
    let mut of_lock = HashMap::new();
    for cycle in cycles(&queues) {
        if cycle.members.len() < fewest || !is_settled(&cycle, locks, nodes, limits) {
            continue;
        }
        let members: HashSet<u32> = cycle.members.iter().copied().collect();
        for (at, parties) in nodes.iter().enumerate() {
            let mut parties = living(parties);
            if parties.any(|(node, _)| members.contains(&node)) {
                of_lock.entry(at).or_insert(found.len());
            }
        }
        found.push(circle(&cycle, &members, locks, nodes));
    }
    (found, of_lock)
}

/// Those who will not be taken out, by their nodes.
fn living<'a>(
    parties: &'a [(Option<u32>, &'a Party)],
) -> impl Iterator<Item = (u32, &'a Party)> + 'a {
    let parties = parties.iter();
    parties.filter_map(|(node, party)| (!party.standing.is_dead()).then_some(((*node)?, *party)))
}

fn queue(parties: &[(Option<u32>, &Party)]) -> Queue {
    let mut queue = Queue::default();
    for (node, party) in living(parties) {
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
    locks: &[Lock],
    nodes: &[Vec<(Option<u32>, &Party)>],
    limits: &Thresholds,
) -> bool {
    let mut places = cycle.round.iter().filter_map(|(_, at)| locks.get(*at));
    let first = places.next().map(|lock| &lock.bucket);
    if places.all(|lock| Some(&lock.bucket) == first) {
        return true;
    }
    let members: HashSet<u32> = cycle.members.iter().copied().collect();
    cycle.round.iter().all(|(_, at)| {
        let parties = nodes.get(*at).map_or(&[][..], Vec::as_slice);
        living(parties)
            .filter(|(node, _)| members.contains(node))
            .all(|(_, party)| party.lasted >= limits.circle_across_buckets)
    })
}

fn circle(
    cycle: &Cycle,
    members: &HashSet<u32>,
    locks: &[Lock],
    nodes: &[Vec<(Option<u32>, &Party)>],
) -> Circle {
    let parties = |at: usize| nodes.get(at).map_or(&[][..], Vec::as_slice);
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
    for (lock, parties) in locks.iter().zip(nodes) {
        let holders =
            living(parties).filter(|(node, party)| party.fence.is_some() && members.contains(node));
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
