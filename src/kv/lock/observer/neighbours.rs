//! Which processes of this machine are gone: a sign of death that needs no lease to wait for.
//!
//! Only where the kernel tells it beyond doubt. That a number is in use says nothing: it may be
//! another process by now, which its start time shows, and even the right one may be stuck.

use std::io;
use std::path::Path;

use crate::kv::lock::session::Session;

/// This machine, as one that can tell whether a process is gone.
#[derive(Debug, Clone)]
pub(super) struct Neighbours {
    boot_id: String,
    pidns: u64,
}

impl Neighbours {
    /// This machine; `None` where it can't tell.
    pub(super) fn of_this_machine() -> Option<Self> {
        // Where other users' processes are hidden, an absent one proves nothing.
        Path::new("/proc/1").exists().then_some(())?;
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        let namespace = namespace.to_str()?.strip_prefix("pid:[")?;
        Some(Self {
            boot_id: boot_id.trim().to_owned(),
            pidns: namespace.strip_suffix(']')?.parse().ok()?,
        })
    }

    /// Whether a session's process ran here and does not any more. `false` where that is not
    /// certain.
    pub(super) fn is_gone(&self, session: &Session) -> bool {
        if session.boot_id != self.boot_id || session.pidns != self.pidns {
            return false;
        }
        match std::fs::read_to_string(format!("/proc/{}/stat", session.pid)) {
            Ok(stat) => start(&stat).is_some_and(|start| start != session.start),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// When a process started, from the kernel's line on it. Its name is in brackets and may hold
/// anything.
fn start(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::kv::lock::lease::Lease;
    use crate::kv::lock::session::Process;

    #[test]
    fn a_process_is_gone_by_number_and_start_and_only_from_here() {
        let here = Neighbours::of_this_machine().unwrap();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let session = |boot_id: &str, pid, start| {
            let process = Process {
                host: "here".to_owned(),
                boot_id: boot_id.to_owned(),
                pid,
                pidns: here.pidns,
                start,
            };
            Session::new(process, Lease::default())
        };
        let (own, own_start) = (std::process::id(), start(&stat).unwrap());
        assert!(!here.is_gone(&session(&here.boot_id, own, own_start)));
        assert!(here.is_gone(&session(&here.boot_id, own, own_start - 1)));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(here.is_gone(&session(&here.boot_id, child.id(), own_start)));
        assert!(!here.is_gone(&session("elsewhere", child.id(), own_start)));
    }

    #[test]
    fn a_name_can_hold_anything() {
        let stat = "12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start(stat), Some(4711));
        assert_eq!(start("12 (x"), None);
    }
}
