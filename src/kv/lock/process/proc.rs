//! What the system tells of processes, by proc(5).
//!
//! Numbers mean something only where `/proc` shows the processes of one's own namespace: see
//! [`is_of_this_namespace`].

use std::fs;
use std::io;
use std::path::Path;

/// What is told of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Who started it, or took it over.
    pub(crate) parent: i32,
    /// When it started, in ticks since boot as the reader's time namespace counts them.
    pub(crate) start: u64,
    /// Its first thread has ended, and its parent has not asked how. Others may go on.
    pub(crate) has_ended: bool,
}

impl Stat {
    /// What stands in a process's folder.
    ///
    /// # Errors
    /// Those of reading a file; `InvalidData` for one that is not as it should be.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let stat = fs::read_to_string(folder.join("stat"))?;
        Self::parse(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name, in brackets, and can hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let has_ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let start = fields.nth(17)?.parse().ok()?;
        Some(Self {
            parent,
            start,
            has_ended,
        })
    }
}

/// Whether `/proc` shows the processes of this one's namespace by the numbers that they have in it.
/// A sandbox can have the `/proc` of the system around it, in which every number is another one's.
pub(crate) fn is_of_this_namespace() -> bool {
    let status = fs::read_to_string("/proc/self/status");
    status.is_ok_and(|status| has_only_the_number(&status, std::process::id()))
}

/// Whether a process has one number alone: it has one for each namespace from that of `/proc` down
/// to its own.
fn has_only_the_number(status: &str, number: u32) -> bool {
    let mut lines = status.lines();
    let numbers = lines.find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.trim().parse() == Ok(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let fields = "S 17 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        let stat = format!("99 (a ) (b) {fields}");
        let told = Stat {
            parent: 17,
            start: 4711,
            has_ended: false,
        };
        assert_eq!(Stat::parse(&stat), Some(told));
        let ended = Stat::parse(&stat.replace("S 17", "Z 17"));
        assert!(ended.unwrap().has_ended);
        assert_eq!(Stat::parse("99 (sh) S"), None);
        assert_eq!(Stat::parse("99 (sh"), None);
    }

    #[test]
    fn numbers_of_another_namespace_are_known_as_such() {
        let status =
            |numbers: &str| format!("Name:\tsh\nPid:\t7\nNSpid:\t{numbers}\nVmRSS:\t1 kB\n");
        assert!(has_only_the_number(&status("7"), 7));
        assert!(
            !has_only_the_number(&status("7\t7"), 7),
            "the same by chance"
        );
        assert!(!has_only_the_number(&status("4711\t7"), 7));
        assert!(!has_only_the_number(&status("4711"), 7), "not this process");
        assert!(!has_only_the_number("Name:\tsh\nPid:\t7\n", 7));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_tests_run_where_processes_are_seen() {
        assert!(is_of_this_namespace());
    }
}
