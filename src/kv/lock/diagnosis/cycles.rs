//! Who waits for whom in a circle, over any number of locks.
//!
//! Pure graph work on numbers: a node is whoever can wait, a task or a process. What a waiter needs
//! before it can go on is every holder that it can't share with, and whoever comes before it: for a
//! writer the writers ahead of it, for a reader every waiting writer that goes first. All of them must let go, so
//! that any circle is one that nobody in it can leave.
//!
//! The graph is kept linear in the number of claims: a waiter points at the one right before it,
//! who points on, and at a node that stands for all holders of the lock.

use std::collections::{HashMap, HashSet, VecDeque};

/// Who holds one lock and who waits for it, each by its node.
#[derive(Debug, Clone, Default)]
pub(in crate::kv::lock) struct Queue {
    /// Those who hold.
    pub holders: Vec<u32>,
    /// The writers who wait, in their order.
    pub writers: Vec<u32>,
    /// The readers who wait.
    pub readers: Vec<u32>,
    /// After how many of these writers all waiting readers are let in; `None`: after all of them.
    pub readers_after: Option<usize>,
}

/// A circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kv::lock) struct Cycle {
    /// One round, as short as can be: each node and the lock (by its place in the list) that it
    /// waits for, held or wanted before it by the next one; the last waits for the first.
    pub round: Vec<(u32, usize)>,
    /// Everybody who can't go on: the nodes of all circles that are bound up with this one.
    pub members: Vec<u32>,
}

/// All circles, each set of nodes that are bound up with each other once.
pub(in crate::kv::lock) fn cycles(locks: &[Queue]) -> Vec<Cycle> {
    let graph = Graph::new(locks);
    let mut found: Vec<Cycle> = graph
        .components()
        .into_iter()
        .filter_map(|component| graph.cycle(&component))
        .collect();
    found.sort_by(|a, b| a.members.cmp(&b.members));
    found
}

struct Graph {
    /// Whom each node waits for, and at which lock.
    edges: Vec<Vec<(usize, usize)>>,
    /// What the caller calls a node; `None` for one that stands for the holders of a lock.
    names: Vec<Option<u32>>,
}

impl Graph {
    fn new(locks: &[Queue]) -> Self {
        let mut graph = Self {
            edges: Vec::new(),
            names: Vec::new(),
        };
        let mut nodes: HashMap<u32, usize> = HashMap::new();
        for (at, lock) in locks.iter().enumerate() {
            if lock.writers.is_empty() && lock.readers.is_empty() {
                continue;
            }
            let mut node = |graph: &mut Self, name: u32| {
                *nodes.entry(name).or_insert_with(|| graph.add(Some(name)))
            };
            let all_holders = graph.add(None);
            for holder in &lock.holders {
                let holder = node(&mut graph, *holder);
                graph.join(all_holders, holder, at);
            }
            let turn = lock.readers_after.unwrap_or(usize::MAX);
            let all_readers = (turn < lock.writers.len()).then(|| graph.add(None));
            let mut before = all_holders;
            let mut before_readers = all_holders;
            for (place, writer) in lock.writers.iter().enumerate() {
                let writer = node(&mut graph, *writer);
                graph.join(writer, all_holders, at);
                graph.join(writer, before, at);
                if let Some(all_readers) = all_readers.filter(|_| place == turn) {
                    graph.join(writer, all_readers, at);
                }
                before = writer;
                if place < turn {
                    before_readers = writer;
                }
            }
            for reader in &lock.readers {
                let reader = node(&mut graph, *reader);
                // Readers inside keep a reader out only where a writer comes before it, who waits
                // for them.
                graph.join(reader, before_readers, at);
                if let Some(all_readers) = all_readers {
                    graph.join(all_readers, reader, at);
                }
            }
        }
        graph
    }

    fn add(&mut self, name: Option<u32>) -> usize {
        self.names.push(name);
        self.edges.push(Vec::new());
        self.names.len() - 1
    }

    fn join(&mut self, from: usize, to: usize, lock: usize) {
        if let Some(edges) = self.edges.get_mut(from)
            && edges.last() != Some(&(to, lock))
        {
            edges.push((to, lock));
        }
    }

    fn edges(&self, node: usize) -> &[(usize, usize)] {
        self.edges.get(node).map_or(&[], Vec::as_slice)
    }

    /// The sets of nodes that reach each other: Tarjan's algorithm, on a stack of our own, for a
    /// queue can be longer than a thread's stack is deep.
    fn components(&self) -> Vec<Vec<usize>> {
        const UNSEEN: usize = usize::MAX;
        let count = self.names.len();
        let mut order = vec![UNSEEN; count];
        let mut lowest = vec![UNSEEN; count];
        let mut is_open = vec![false; count];
        let mut open: Vec<usize> = Vec::new();
        let mut next = 0;
        let mut found = Vec::new();
        for root in 0..count {
            if order[root] != UNSEEN {
                continue;
            }
            // A node, and how many of its edges were followed.
            let mut path = vec![(root, 0)];
            while let Some((node, followed)) = path.pop() {
                if followed == 0 && order[node] == UNSEEN {
                    order[node] = next;
                    lowest[node] = next;
                    next += 1;
                    open.push(node);
                    is_open[node] = true;
                }
                if let Some(&(to, _)) = self.edges(node).get(followed) {
                    path.push((node, followed + 1));
                    if order[to] == UNSEEN {
                        path.push((to, 0));
                    } else if is_open[to] {
                        lowest[node] = lowest[node].min(order[to]);
                    }
                    continue;
                }
                if let Some(&(parent, _)) = path.last() {
                    lowest[parent] = lowest[parent].min(lowest[node]);
                }
                if lowest[node] == order[node] {
                    let mut component = Vec::new();
                    while let Some(member) = open.pop() {
                        is_open[member] = false;
                        component.push(member);
                        if member == node {
                            break;
                        }
                    }
                    found.push(component);
                }
            }
        }
        found
    }

    /// The circle in a component; `None` if it is a single node that does not wait for itself.
    fn cycle(&self, component: &[usize]) -> Option<Cycle> {
        if let [node] = component {
            // Nearly every node of a healthy place.
            self.edges(*node).iter().find(|(to, _)| to == node)?;
        }
        let is_member: HashSet<usize> = component.iter().copied().collect();
        let mut members: Vec<u32> = component
            .iter()
            .filter_map(|node| *self.names.get(*node)?)
            .collect();
        members.sort_unstable();
        let first = component
            .iter()
            .copied()
            .filter(|node| self.names.get(*node).is_some_and(Option::is_some))
            .min_by_key(|node| self.names.get(*node).copied())?;
        let round = self.shortest_round(first, &is_member)?;
        Some(Cycle { round, members })
    }

    /// The shortest way from a node back to itself among members.
    fn shortest_round(
        &self,
        first: usize,
        is_member: &HashSet<usize>,
    ) -> Option<Vec<(u32, usize)>> {
        let mut came_from: HashMap<usize, (usize, usize)> = HashMap::new();
        let mut queue = VecDeque::from([first]);
        while let Some(node) = queue.pop_front() {
            for &(to, lock) in self.edges(node) {
                if !is_member.contains(&to) || came_from.contains_key(&to) {
                    continue;
                }
                came_from.insert(to, (node, lock));
                if to == first {
                    queue.clear();
                    break;
                }
                queue.push_back(to);
            }
        }
        let mut round = Vec::new();
        let mut at = first;
        loop {
            let &(from, lock) = came_from.get(&at)?;
            if let Some(name) = *self.names.get(from)? {
                round.push((name, lock));
            }
            at = from;
            if at == first {
                break;
            }
        }
        round.reverse();
        Some(round)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(holder: u32, writers: &[u32]) -> Queue {
        Queue {
            holders: vec![holder],
            writers: writers.to_vec(),
            ..Queue::default()
        }
    }

    fn rounds(locks: &[Queue]) -> Vec<Vec<(u32, usize)>> {
        cycles(locks).into_iter().map(|cycle| cycle.round).collect()
    }

    #[test]
    fn two_and_three_in_a_circle_are_named_in_order() {
        assert_eq!(
            rounds(&[written(1, &[2]), written(2, &[1])]),
            [[(1, 1), (2, 0)]]
        );
        let three = [written(1, &[3]), written(2, &[1]), written(3, &[2])];
        assert_eq!(rounds(&three), [[(1, 1), (2, 2), (3, 0)]]);
        let itself = [written(1, &[1])];
        assert_eq!(rounds(&itself), [[(1, 0)]]);
    }

    #[test]
    fn a_queue_is_no_circle() {
        let long: Vec<u32> = (2..50_000).collect();
        assert_eq!(cycles(&[written(1, &long)]), []);
        assert_eq!(cycles(&[written(1, &[2]), written(2, &[3])]), []);
        let readers = Queue {
            holders: vec![1, 2],
            readers: vec![3],
            writers: vec![4],
            ..Queue::default()
        };
        assert_eq!(cycles(std::slice::from_ref(&readers)), []);
        assert_eq!(
            cycles(&[
                readers,
                Queue {
                    holders: vec![4],
                    ..Queue::default()
                }
            ]),
            []
        );
    }

    #[test]
    fn places_in_the_queue_count() {
        // 3 waits behind writer 2, who waits for the lock that 3 holds.
        let behind = [written(1, &[2, 3]), written(3, &[2])];
        assert_eq!(rounds(&behind), [[(2, 1), (3, 0)]]);
        // A reader waits for a writer that came later, and not for readers.
        let lock = Queue {
            holders: vec![1],
            writers: vec![2],
            readers: vec![3],
            ..Queue::default()
        };
        let circle = [lock.clone(), written(3, &[2])];
        assert_eq!(rounds(&circle), [[(2, 1), (3, 0)]]);
        let none = [lock.clone(), written(3, &[1])];
        assert_eq!(
            rounds(&none),
            [[(1, 1), (3, 0), (2, 0)]],
            "through the writer ahead"
        );
        // The readers come first: then it is the writer who waits for them.
        let passing = Queue {
            readers_after: Some(0),
            ..lock
        };
        assert_eq!(cycles(&[passing.clone(), written(3, &[2])]), []);
        assert_eq!(rounds(&[passing, written(2, &[3])]), [[(2, 0), (3, 1)]]);
    }

    /// Every pair of who waits for whom, spelled out, and its closure.
    fn reaches(locks: &[Queue], nodes: usize) -> Vec<Vec<bool>> {
        let mut reach = vec![vec![false; nodes]; nodes];
        let mut add = |from: u32, to: u32| reach[from as usize][to as usize] = true;
        for lock in locks {
            for (place, writer) in lock.writers.iter().enumerate() {
                lock.holders.iter().for_each(|holder| add(*writer, *holder));
                lock.writers[..place]
                    .iter()
                    .for_each(|ahead| add(*writer, *ahead));
            }
            let turn = lock.readers_after.unwrap_or(usize::MAX);
            let (before, after) = lock.writers.split_at(turn.min(lock.writers.len()));
            for reader in &lock.readers {
                lock.holders.iter().for_each(|holder| add(*reader, *holder));
                for writer in before {
                    add(*reader, *writer);
                }
                for writer in after {
                    add(*writer, *reader);
                }
            }
        }
        for via in 0..nodes {
            for from in 0..nodes {
                for to in 0..nodes {
                    reach[from][to] |= reach[from][via] && reach[via][to];
                }
            }
        }
        reach
    }

    proptest! {
        #[test]
        fn whoever_waits_for_itself_is_found_and_nobody_else(
            locks in prop::collection::vec(
                (
                    prop::collection::vec(0..8_u32, 1..3),
                    prop::collection::vec(0..8_u32, 0..3),
                    prop::collection::vec(0..8_u32, 0..3),
                    prop::option::of(0..3_usize),
                ),
                1..5,
            )
        ) {
            let locks: Vec<Queue> = locks
                .into_iter()
                .map(|(holders, writers, readers, readers_after)| {
                    Queue { holders, writers, readers, readers_after }
                })
                .collect();
            let reach = reaches(&locks, 8);
            let wanted: Vec<u32> = (0..8).filter(|node| reach[*node as usize][*node as usize]).collect();
            let found = cycles(&locks);
            let mut members: Vec<u32> = found.iter().flat_map(|cycle| cycle.members.clone()).collect();
            members.sort_unstable();
            prop_assert_eq!(members, wanted);
            for cycle in found {
                for (place, (from, lock)) in cycle.round.iter().enumerate() {
                    let (to, _) = cycle.round[(place + 1) % cycle.round.len()];
                    let waits = &locks[*lock];
                    prop_assert!(waits.writers.contains(from) || waits.readers.contains(from));
                    prop_assert!(reach[*from as usize][to as usize]);
                }
            }
        }
    }
}
