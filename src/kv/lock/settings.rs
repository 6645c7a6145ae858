//! How a process wants its locks: lease, label, fairness.

use std::num::NonZeroU32;

use super::clock::Clock;
use super::lease::Lease;
use super::session::Process;

/// How a process wants its locks. The defaults are right for a service on a network.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) lease: Lease,
    pub(super) label: String,
    pub(super) max_writer_streak: Option<NonZeroU32>,
    pub(super) clock: Clock,
    pub(super) process: Process,
}

impl Default for Settings {
    /// A lease of 15 seconds, the program's name as label, and writers before readers whatever
    /// comes.
    fn default() -> Self {
        Self {
            lease: Lease::default(),
            label: program().unwrap_or_default(),
            max_writer_streak: None,
            clock: Clock::boot(),
            process: Process::current().clone(),
        }
    }
}

impl Settings {
    /// How long this process may be silent before others may take its locks away.
    #[must_use]
    pub fn lease(self, lease: Lease) -> Self {
        Self { lease, ..self }
    }

    /// What people call this process; each claim can have a label of its own.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        let label = label.into();
        Self { label, ..self }
    }

    /// Lets all waiting readers in after so many writers in a row, while readers wait. Without it
    /// writers that never end starve readers. It counts for the lock, for everybody.
    #[must_use]
    pub fn max_writer_streak(self, writers: NonZeroU32) -> Self {
        let max_writer_streak = Some(writers);
        Self {
            max_writer_streak,
            ..self
        }
    }

    /// Has others wait until the lease has run out even where they can see that this process is
    /// gone. For one whose work is done by other processes: they can be there for a while after
    /// this one was killed.
    #[must_use]
    pub fn outlived_by_its_work(self) -> Self {
        // Of no namespace that anybody could look into.
        let pidns = 0;
        Self {
            process: Process {
                pidns,
                ..self.process
            },
            ..self
        }
    }

    /// Judges leases by another clock.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Says in its session that it is another process, so that a test can be of two machines.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn process(self, process: Process) -> Self {
        Self { process, ..self }
    }
}

fn program() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::lock::session::Session;

    #[test]
    fn who_is_outlived_by_its_work_is_never_seen_to_be_gone() {
        let me = Process::current();
        let gone = |settings: Settings| {
            let mut session = Session::new(settings.process, Lease::default());
            // Another process has the number by now.
            session.start += 1;
            me.sees_gone(&session)
        };
        assert!(gone(Settings::default()));
        assert!(!gone(Settings::default().outlived_by_its_work()));
    }
}
