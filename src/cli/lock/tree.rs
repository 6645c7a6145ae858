//! A process and everything below it, to be ended as one.
//!
//! By who started whom, and not by process groups: the command stays in ours, so that the terminal
//! and the shell treat both as one job. What detaches itself from its parents before is not found.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::kv::lock::process::proc::{self, Stat};

/// One process. A number can come again; with its start it can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    pid: i32,
    start: u64,
}

/// A process with all those below it that were ever seen.
#[derive(Debug)]
pub(super) struct Tree {
    root: Pid,
    known: Vec<Member>,
}

impl Tree {
    /// That process, which must be a child of this one that nobody has waited for.
    pub(super) fn new(root: Pid) -> Self {
        Self {
            root,
            known: Vec::new(),
        }
    }

    /// Sends a signal to all that are there.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.grow();
        // One that is gone needs none.
        let _ = kill_process(self.root, signal);
        send(&self.known, signal);
    }

    /// Sends a signal to those that have come since the last look.
    pub(super) fn signal_new(&mut self, signal: Signal) {
        send(&self.grow(), signal);
    }

    /// Looks for new ones.
    fn grow(&mut self) -> Vec<Member> {
        let processes = Processes::read();
        let mut found = Vec::new();
        let mut parents = vec![self.root.as_raw_nonzero().get()];
        let known = self.known.iter().filter(|member| processes.has(**member));
        parents.extend(known.map(|member| member.pid));
        while let Some(parent) = parents.pop() {
            for &child in processes.below(parent) {
                if !self.known.contains(&child) && !found.contains(&child) {
                    found.push(child);
                    parents.push(child.pid);
                }
            }
        }
        self.known.extend(&found);
        found
    }

    /// Whether any of those below is there still.
    pub(super) fn has_rest(&self) -> bool {
        let alive = Processes::read();
        self.known.iter().any(|member| alive.has(*member))
    }
}

fn send(members: &[Member], signal: Signal) {
    if members.is_empty() {
        return;
    }
    let alive = Processes::read();
    for member in members.iter().filter(|member| alive.has(**member)) {
        if let Some(pid) = Pid::from_raw(member.pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The processes that run, by proc(5). Empty where the system does not tell, and where it tells of
/// those of another namespace: their numbers are those of others here.
#[derive(Debug, Default)]
struct Processes {
    starts: HashMap<i32, u64>,
    below: HashMap<i32, Vec<Member>>,
}

impl Processes {
    fn read() -> Self {
        let mut processes = Self::default();
        if !proc::is_of_this_namespace() {
            return processes;
        }
        let Ok(folder) = fs::read_dir("/proc") else {
            return processes;
        };
        for entry in folder.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that ends meanwhile is none.
            let Ok(stat) = Stat::read(&entry.path()) else {
                continue;
            };
            if stat.has_ended {
                continue;
            }
            let Stat { parent, start, .. } = stat;
            processes.starts.insert(pid, start);
            let below = processes.below.entry(parent).or_default();
            below.push(Member { pid, start });
        }
        processes
    }

    fn has(&self, member: Member) -> bool {
        self.starts.get(&member.pid) == Some(&member.start)
    }

    fn below(&self, parent: i32) -> &[Member] {
        self.below.get(&parent).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_whole_tree_ends() {
        let script = "sh -c 'sleep 60 & sleep 60 & wait' & sleep 60";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .spawn()
            .unwrap();
        let root = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let mut tree = Tree::new(root);
        while tree.known.len() < 4 {
            tree.grow();
            std::thread::yield_now();
        }
        assert!(tree.has_rest());
        tree.signal(Signal::TERM);
        child.wait().unwrap();
        while tree.has_rest() {
            std::thread::yield_now();
        }
    }
}
