//! All processes below this one, to be ended together.
//!
//! By who started whom, and not by process groups: the command stays in ours, so that the terminal
//! and the shell treat both as one job. Who loses its parent becomes a child of this process, which
//! is a subreaper, and so is found all the same.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::kv::lock::process::proc::{self, Stat};

/// How often it is looked whether all are gone.
const PACE: Duration = Duration::from_millis(20);
/// After this time a process that was killed and is still there is left to the kernel.
const LAST: Duration = Duration::from_secs(2);

/// One process. A number can come again; with its start it can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    pid: i32,
    start: u64,
}

/// All those below a process that were ever seen.
#[derive(Debug)]
pub(super) struct Tree {
    root: i32,
    known: Vec<Member>,
}

impl Tree {
    /// Those below this process. `None` where the system does not tell who they are.
    pub(super) fn below_this() -> Option<Self> {
        let own = i32::try_from(std::process::id()).ok()?;
        proc::is_of_this_namespace().then(|| Self::below(own))
    }

    fn below(root: i32) -> Self {
        Self {
            root,
            known: Vec::new(),
        }
    }

    /// Ends them: asks them to, and after `grace` makes them. The numbers of those that are there
    /// all the same.
    pub(super) async fn end(mut self, grace: Duration) -> Vec<i32> {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            // One that is stopped hears nothing before it goes on.
            self.signal(Signal::CONT);
            if self.gone(Signal::TERM, grace).await {
                return Vec::new();
            }
        }
        self.signal(Signal::KILL);
        self.gone(Signal::KILL, LAST).await;
        self.rest()
    }

    /// Waits until all are gone, for that long at most. Those that come meanwhile get the signal
    /// too.
    async fn gone(&mut self, signal: Signal, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let new = self.grow();
            send(&new, signal);
            if new.is_empty() && self.rest().is_empty() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Sends a signal to all that are there.
    fn signal(&mut self, signal: Signal) {
        self.grow();
        send(&self.known, signal);
    }

    /// Looks for new ones.
    fn grow(&mut self) -> Vec<Member> {
        let processes = Processes::read();
        let mut found = Vec::new();
        let mut parents = vec![self.root];
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

    /// Those that are there still.
    fn rest(&self) -> Vec<i32> {
        let alive = Processes::read();
        let rest = self.known.iter().filter(|member| alive.has(**member));
        rest.map(|member| member.pid).collect()
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

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn the_whole_tree_ends() {
        let script = "sh -c 'sleep 60 & sleep 60 & wait' & sleep 60";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .spawn()
            .unwrap();
        let mut tree = Tree::below(i32::try_from(child.id()).unwrap());
        while tree.known.len() < 4 {
            tree.grow();
            std::thread::yield_now();
        }
        assert_eq!(tree.rest().len(), 4);
        assert_eq!(tree.end(Duration::from_secs(20)).await, [0; 0]);
        child.wait().unwrap();
    }
}
