//! Processes: which one this is, and whether another one of this machine is gone.
//!
//! A process that is gone can't use its guards any more, so nobody has to wait for its lease. It
//! is only ever concluded that one is gone, never that one is alive: a process number that exists
//! proves nothing about a program that hangs. And it is concluded only where everything proves that
//! both see the same processes by the same numbers and the same clock; else the lease has to do.

pub(crate) mod proc;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use self::proc::Stat;
use super::session::{Process, Session};

impl Process {
    /// The process that this code runs in. What the system does not tell is empty or zero; then
    /// nobody takes it for a neighbour.
    pub fn current() -> &'static Self {
        static CURRENT: OnceLock<Process> = OnceLock::new();
        CURRENT.get_or_init(|| {
            let sees = proc::is_of_this_namespace();
            Self::told(
                sees.then(|| Stat::read(Path::new("/proc/self")).ok())
                    .flatten(),
            )
        })
    }

    /// This process, with what the system tells of it if that can be trusted.
    fn told(stat: Option<Stat>) -> Self {
        Self {
            host: host(),
            boot_id: boot().unwrap_or_default(),
            pid: std::process::id(),
            // A number that nobody can look up is of no namespace.
            pidns: stat.and_then(|_| pid_namespace()).unwrap_or_default(),
            start: stat.map(|stat| stat.start).unwrap_or_default(),
        }
    }

    /// Whether the process of a session is certainly gone. Only a neighbour can tell, and it
    /// reads the system's own files: not for a place that must not wait.
    pub fn sees_gone(&self, session: &Session) -> bool {
        // A copy of a running machine has another name soon, and all else in common.
        if !session.is_neighbour_of(self) || host() != session.host {
            return false;
        }
        let folder = folder_of(session.pid);
        match Stat::read(&folder) {
            // Another one has its number.
            Ok(stat) if stat.start != session.start => true,
            // The first thread can end before the others.
            Ok(stat) => stat.has_ended && has_no_other_thread(&folder).unwrap_or(false),
            // Where processes of others are hidden, one that is there can't be read either.
            Err(_) => is_no_process(session.pid),
        }
    }
}

/// The machine's name, which can change while it runs.
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// The machine's boot, as this process's time namespace counts the time since: a start is told in
/// that time. Systems without such namespaces have one time for all.
fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot = boot.trim();
    match fs::read_link("/proc/self/ns/time") {
        Ok(time) => Some(format!("{boot}/{}", time.to_str()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(boot.to_owned()),
        Err(_) => None,
    }
}

fn folder_of(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
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

fn has_no_other_thread(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder.join("task"))?.count() <= 1)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::kv::lock::lease::Lease;

    fn session_of(pid: u32) -> Session {
        let process = Process {
            pid,
            start: Stat::read(&folder_of(pid)).unwrap().start,
            ..Process::current().clone()
        };
        Session::new(process, Lease::default())
    }

    /// A session whose process is gone, if what it says of itself is so.
    fn gone(change: impl FnOnce(&mut Session)) -> bool {
        let mut session = session_of(std::process::id());
        session.start += 1;
        change(&mut session);
        Process::current().sees_gone(&session)
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
        while !Stat::read(&folder_of(child.id())).unwrap().has_ended {
            std::thread::yield_now();
        }
        assert!(me.sees_gone(&session));
        child.wait().unwrap();
        assert!(me.sees_gone(&session));
    }

    #[test]
    fn another_process_of_the_same_number_is_another_one() {
        assert!(gone(|_| {}));
    }

    #[test]
    fn nothing_is_known_of_others_than_neighbours() {
        assert!(!gone(|session| session.host.push('2')), "a copy of it");
        assert!(!gone(|session| session.boot_id = "another".to_owned()));
        assert!(!gone(|session| session.pidns += 1));
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let elsewhen = format!("{}/time:[1]", boot.trim());
        assert!(!gone(|session| session.boot_id = elsewhen), "another time");
        let untold = boot.trim().to_owned();
        assert!(!gone(|session| session.boot_id = untold), "whichever time");
    }

    #[test]
    fn a_start_that_is_not_known_is_no_other_start() {
        assert!(!gone(|session| session.start = 0));
    }

    #[test]
    fn who_can_not_trust_what_is_told_is_nobodys_neighbour() {
        let blind = Process::told(None);
        assert_eq!((blind.pidns, blind.start), (0, 0));
        let session = Session::new(blind.clone(), Lease::default());
        assert!(!session.is_neighbour_of(&blind));
        assert!(!session.is_neighbour_of(Process::current()));
        assert!(!blind.sees_gone(&session));
        // Nor does it judge others, not even where the numbers are alike by chance.
        let other = session_of(std::process::id());
        assert!(other.is_neighbour_of(Process::current()));
        assert!(!other.is_neighbour_of(&blind));
    }

    #[test]
    fn an_empty_boot_is_no_common_one() {
        let lost = Process {
            boot_id: String::new(),
            ..Process::current().clone()
        };
        let session = Session::new(lost.clone(), Lease::default());
        assert!(!session.is_neighbour_of(&lost));
    }
}
