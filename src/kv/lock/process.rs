//! Processes: which one this is, and whether another one of this machine is gone.
//!
//! A process that is gone can't use its guards any more, so nobody has to wait for its lease. It
//! is only ever concluded that one is gone, never that one is alive: a process number that exists
//! proves nothing about a program that hangs.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use super::session::{Process, Session};

impl Process {
    /// The process that this code runs in. What the system does not tell is empty or zero; then
    /// nobody takes it for a neighbour.
    pub fn current() -> &'static Self {
        static CURRENT: OnceLock<Process> = OnceLock::new();
        CURRENT.get_or_init(|| {
            let pid = std::process::id();
            Self {
                host: rustix::system::uname()
                    .nodename()
                    .to_string_lossy()
                    .into_owned(),
                boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
                    .map(|id| id.trim().to_owned())
                    .unwrap_or_default(),
                pid,
                pidns: pid_namespace().unwrap_or_default(),
                start: stat_of(pid).map(|stat| stat.start).unwrap_or_default(),
            }
        })
    }

    /// Whether the process of a session is certainly gone. Only a neighbour can tell, and it
    /// reads the system's own files: not for a place that must not wait.
    pub fn sees_gone(&self, session: &Session) -> bool {
        if self.boot_id.is_empty() || self.pidns == 0 || !session.is_neighbour_of(self) {
            return false;
        }
        match stat_of(session.pid) {
            // Another one has its number.
            Ok(stat) => stat.start != session.start || stat.is_over,
            // Where processes of others are hidden, one that is there can't be read either.
            Err(_) => is_no_process(session.pid),
        }
    }
}

fn pid_namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    let name = link.to_str()?;
    name.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

fn is_no_process(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

struct Stat {
    /// In ticks since boot.
    start: u64,
    /// It has ended, and only its parent has not asked how.
    is_over: bool,
}

/// What the kernel tells of a process, by proc(5).
fn stat_of(pid: u32) -> io::Result<Stat> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat"))?;
    // The second field is the program's name, in brackets, and can hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let start = fields.get(19).and_then(|field| field.parse().ok());
    let start = start.ok_or(io::ErrorKind::InvalidData)?;
    let has_ended = matches!(fields.first(), Some(&("Z" | "X")));
    // The first thread can end before the others.
    let is_over = has_ended && fs::read_dir(folder.join("task"))?.count() <= 1;
    Ok(Stat { start, is_over })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::kv::lock::lease::Lease;

    fn session_of(pid: u32) -> Session {
        let process = Process {
            pid,
            start: stat_of(pid).unwrap().start,
            ..Process::current().clone()
        };
        Session::new(process, Lease::default())
    }

    #[test]
    fn only_a_process_that_ended_is_gone() {
        let me = Process::current();
        assert!(!me.sees_gone(&session_of(std::process::id())));

        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let session = session_of(child.id());
        assert!(!me.sees_gone(&session));
        child.kill().unwrap();
        // Nobody has asked how it ended, and yet it has.
        while !stat_of(child.id()).unwrap().is_over {
            std::thread::yield_now();
        }
        assert!(me.sees_gone(&session));
        child.wait().unwrap();
        assert!(me.sees_gone(&session));
    }

    #[test]
    fn another_process_of_the_same_number_is_another_one() {
        let mut session = session_of(std::process::id());
        session.start += 1;
        assert!(Process::current().sees_gone(&session));
    }

    #[test]
    fn nothing_is_known_of_other_machines() {
        let mut session = session_of(std::process::id());
        session.start += 1;
        session.boot_id = "another".to_owned();
        assert!(!Process::current().sees_gone(&session));
        let mut session = session_of(std::process::id());
        session.start += 1;
        session.pidns += 1;
        assert!(!Process::current().sees_gone(&session));
    }
}
