//! Whether everybody who waits is served in the end.
//!
//! The library's own check for that does not follow cycles, and time that passes is one. So the
//! graph of all worlds is built here, and it is asked from which of them a world in which nobody
//! waits can be reached by nothing but progress: no mishap, no new wish, no luck. Where that is so
//! of every world that can be reached at all, every run ends well that does not put off for ever
//! what can be done again and again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::Model;

use super::events::Event;
use super::steps::Setup;
use super::world::{Place, World};

/// What was found.
#[derive(Debug)]
pub(super) struct Graph {
    /// How many worlds there are.
    pub(super) worlds: usize,
    /// How many steps lead from one to another.
    pub(super) steps: usize,
    /// The way to a world from which there is no good end.
    pub(super) stuck: Option<Vec<Event>>,
}

struct Node {
    reached_by: Option<(u32, Event)>,
    /// From where progress leads here.
    before: Vec<u32>,
    is_good: bool,
}

fn is_good(world: &World) -> bool {
    world.people.iter().all(|person| {
        let waits = matches!(person.place, Place::Asking | Place::Leaving);
        !person.up || person.dead.is_some() || !waits
    })
}

fn print(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Builds the graph and looks for worlds without a good end.
pub(super) fn explore(setup: &Setup) -> Graph {
    let mut nodes: Vec<Node> = Vec::new();
    let mut known: HashMap<u64, u32> = HashMap::new();
    let mut open: Vec<(u32, World)> = Vec::new();
    let mut steps = 0;
    for world in setup.init_states() {
        known.insert(print(&world), 0);
        nodes.push(Node {
            reached_by: None,
            before: Vec::new(),
            is_good: is_good(&world),
        });
        open.push((0, world));
    }
    let mut events = Vec::new();
    let mut next = Vec::new();
    while !open.is_empty() {
        for (from, world) in open.drain(..) {
            setup.actions(&world, &mut events);
            for event in events.drain(..) {
                let Some(after) = setup.next_state(&world, event) else {
                    continue;
                };
                steps += 1;
                let to = match known.entry(print(&after)) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) => {
                        let to = *entry.insert(u32::try_from(nodes.len()).unwrap());
                        nodes.push(Node {
                            reached_by: Some((from, event)),
                            before: Vec::new(),
                            is_good: is_good(&after),
                        });
                        next.push((to, after));
                        to
                    }
                };
                if to != from && event.is_progress(&world) {
                    nodes[to as usize].before.push(from);
                }
            }
        }
        std::mem::swap(&mut open, &mut next);
    }
    Graph {
        worlds: nodes.len(),
        steps,
        stuck: stuck(&mut nodes),
    }
}

fn stuck(nodes: &mut [Node]) -> Option<Vec<Event>> {
    let numbers = 0..u32::try_from(nodes.len()).unwrap();
    let mut open: Vec<u32> = numbers
        .filter(|node| nodes[*node as usize].is_good)
        .collect();
    while let Some(node) = open.pop() {
        for before in std::mem::take(&mut nodes[node as usize].before) {
            let before_node = &mut nodes[before as usize];
            if !before_node.is_good {
                before_node.is_good = true;
                open.push(before);
            }
        }
    }
    let mut node = nodes.iter().find(|node| !node.is_good)?;
    let mut way = Vec::new();
    while let Some((from, event)) = node.reached_by {
        way.push(event);
        node = &nodes[from as usize];
    }
    way.reverse();
    Some(way)
}
