//! The command that runs under a lock, as `lock run` sees it: started below a supervisor,
//! signalled, and stopped with all that is below it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::super::text::sentence;
use super::orders::{Order, Teller};
use super::tree::Tree;
use crate::kv::lock::Clock;

/// The longest that a command may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a shell ends with when a command is there and can't be run.
const NOT_RUN: u8 = 126;
/// What a shell ends with when a command is not there.
const NOT_FOUND: u8 = 127;

/// This program, whatever became of its file.
pub(super) const SELF: &str = "/proc/self/exe";

/// How long a command may take to end when it has to. A guard is invalid a quarter of the lease
/// before anybody else can hold the lock; by then all has to be over, for whoever comes late to it
/// too.
pub(super) fn grace(lease: Duration) -> Duration {
    PATIENCE.min(lease / 6)
}

/// How often the supervisor is told until when the lock is held, and how much later than at that
/// time it acts.
pub(super) fn pace(lease: Duration) -> Duration {
    lease / 24
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// To the supervisor, where there is one: the child is it then.
    teller: Option<Teller>,
    lease: Duration,
    /// What the supervisor knows.
    held_until: Duration,
}

impl Running {
    /// Starts a command with these variables besides our own, under a lock that is held until
    /// then by the time since boot.
    ///
    /// On Linux it is started below a [supervisor](super::supervisor), so that neither it nor what
    /// it has started goes on when this process is killed or stopped. What loses its parent all
    /// the same, should that one be killed, becomes a child of this process.
    pub(super) fn start(
        command: &[OsString],
        variables: &[(&str, String)],
        lease: Duration,
        held_until: Duration,
    ) -> io::Result<Self> {
        // Where this signal is ignored, nobody can be told how a child ended. A process that was
        // started so ignores it until somebody listens; a child is started without that.
        drop(signal(SignalKind::child())?);
        become_subreaper();
        let mut teller = is_visible_to_others().then(Teller::new).transpose()?;
        let mut start = match &mut teller {
            Some(teller) => {
                teller.tell(Order::Until(held_until));
                let mut start = Command::new(SELF);
                start.arg0("kvscope");
                start.args(["lock", "supervise"]);
                start.args(["--parent", &std::process::id().to_string()]);
                start.args(["--orders", &teller.number().to_string()]);
                start.args(["--lease", &format!("{}ms", lease.as_millis()), "--"]);
                start.args(command);
                start
            }
            None => {
                let mut words = command.iter();
                let program = words.next().map_or(OsStr::new(""), OsString::as_os_str);
                let mut start = Command::new(program);
                start.args(words);
                start
            }
        };
        let child = start.envs(variables.iter().map(|(k, v)| (k, v))).spawn()?;
        Ok(Self {
            child,
            teller,
            lease,
            held_until,
        })
    }

    /// Waits until it has ended. Cancel-safe.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Whether the supervisor will have ended the command, because it was not told in time that
    /// the lock is still held: this process did not run.
    pub(super) fn has_lapsed(&self) -> bool {
        self.teller.is_some() && Clock::boot().now() > self.held_until + pace(self.lease)
    }

    /// Whether it was the supervisor that was killed. Else it tells of a signal by its code.
    pub(super) fn has_lost_supervisor(&self, status: ExitStatus) -> bool {
        self.teller.is_some() && status.signal().is_some()
    }

    /// The lock is held until then.
    pub(super) fn held_until(&mut self, time: Duration) {
        // Not for a difference that only comes from how it is measured.
        if time > self.held_until + pace(self.lease)
            && let Some(teller) = &mut self.teller
        {
            teller.tell(Order::Until(time));
            self.held_until = time;
        }
    }

    /// Sends it a signal.
    pub(super) fn signal(&mut self, signal: Signal) {
        match &mut self.teller {
            Some(teller) => teller.tell(Order::Signal(signal)),
            None => self.send(signal),
        }
    }

    fn send(&self, signal: Signal) {
        // Once it has ended and was waited for, its number may be another's.
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ends it and all that it has started: asks them to, and after a while makes them. When this
    /// returns they are gone, but for those that were told of.
    pub(super) async fn stop(&mut self) {
        let grace = grace(self.lease);
        if let Some(teller) = &mut self.teller {
            teller.tell(Order::Gone(Clock::boot().now() + grace));
        }
        match Tree::below_this() {
            Some(tree) => {
                tell_rest(&tree.end(grace).await);
                // Those that came to this process when they lost their parent; how the command
                // ended is not asked for any more.
                while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
            }
            None => self.stop_alone(grace).await,
        }
    }

    /// The same for it alone, where the system does not tell who is below whom.
    async fn stop_alone(&mut self, grace: Duration) {
        self.send(Signal::TERM);
        // One that is stopped hears nothing before it goes on.
        self.send(Signal::CONT);
        if tokio::time::timeout(grace, self.child.wait())
            .await
            .is_err()
        {
            // It may have ended by now.
            let _ = self.child.kill().await;
        }
    }
}

/// Whether a supervisor can be started from this program's file and open files of this process.
/// Neither is so for a program that may be run and not read.
fn is_visible_to_others() -> bool {
    #[cfg(target_os = "linux")]
    {
        use crate::kv::lock::process::proc;
        use rustix::process::{DumpableBehavior, dumpable_behavior};
        let is_readable = dumpable_behavior() == Ok(DumpableBehavior::Dumpable);
        is_readable && proc::is_of_this_namespace() && Path::new(SELF).exists()
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Has those below this process that lose their parent become its children, so that they are
/// found.
pub(super) fn become_subreaper() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!(%error, "what detaches itself from the command will not be found");
    }
}

/// The code that this program ends with when a command has ended so, as a shell does.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| signal + 128);
    let code = status.code().or(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The same for a command that was not started.
pub(super) fn code_of_failure(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_RUN,
    }
}

/// Tells that a command can't be run.
pub(super) fn tell_failure(program: &OsStr, error: &io::Error) {
    note(&format!(
        "{} can't be run: {error}",
        program.to_string_lossy()
    ));
}

/// Tells of processes that could not be ended.
pub(super) fn tell_rest(pids: &[i32]) {
    if pids.is_empty() {
        return;
    }
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    note(&format!(
        "not all that the command started could be stopped, and goes on: pid {}",
        pids.join(", ")
    ));
}

/// Tells something beside the output, which is the command's.
pub(super) fn note(text: &str) {
    // Where there is no standard error, there is nobody to tell.
    let _ = writeln!(io::stderr(), "kvscope: {}", sentence(text));
}
