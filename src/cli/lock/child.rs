//! The command that runs under a lock: started so that it does not outlive this process, signalled,
//! and stopped with all that is below it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::super::args::LockExecArgs;
use super::super::text::sentence;
use super::tree::Tree;

/// How long a command may take to end when it is asked to.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether all are gone.
const PACE: Duration = Duration::from_millis(20);
/// After this time a process that was killed and is still there is left to the kernel.
const LAST: Duration = Duration::from_secs(2);

/// What a shell ends with when a command is there and can't be run.
const NOT_RUN: u8 = 126;
/// What a shell ends with when a command is not there.
const NOT_FOUND: u8 = 127;

/// This program, whatever became of its file.
const SELF: &str = "/proc/self/exe";

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pid: Option<Pid>,
}

impl Running {
    /// Starts a command with these variables besides our own.
    ///
    /// On Linux it is started through this very program, which asks the kernel to be killed when
    /// its parent ends and then becomes the command: so that a command does not go on when this
    /// process is killed and its lock is free for others at once. The kernel takes the thread that
    /// starts it for the parent. It is to be the main thread, which lives as long as the process.
    pub(super) fn start(command: &[OsString], variables: &[(&str, String)]) -> io::Result<Self> {
        let mut start = if cfg!(target_os = "linux") && Path::new(SELF).exists() {
            let mut start = Command::new(SELF);
            let parent = std::process::id().to_string();
            start.as_std_mut().arg0("kvscope");
            start.args(["lock", "exec", "--parent", &parent, "--"]);
            start.args(command);
            start
        } else {
            let mut words = command.iter();
            let mut start = Command::new(words.next().map_or(OsStr::new(""), OsString::as_os_str));
            start.args(words);
            start
        };
        let child = start.envs(variables.iter().map(|(k, v)| (k, v))).spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            pid: pid.and_then(Pid::from_raw),
            child,
        })
    }

    /// Waits until it has ended. Cancel-safe.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        // Once it has ended and was waited for, its number may be another's.
        if self.child.id().is_some()
            && let Some(pid) = self.pid
        {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ends it and all that is below it: asks them to, and after `grace` makes them. When this
    /// returns they are gone.
    pub(super) async fn stop(&mut self, grace: Duration) {
        let Some(pid) = self.pid.filter(|_| self.child.id().is_some()) else {
            return;
        };
        let mut tree = Tree::new(pid);
        // One that is stopped hears nothing before it goes on.
        tree.signal(Signal::TERM);
        tree.signal(Signal::CONT);
        if self.gone(&mut tree, Signal::TERM, grace).await {
            return;
        }
        tree.signal(Signal::KILL);
        if !self.gone(&mut tree, Signal::KILL, LAST).await {
            tracing::error!(%pid, "a command that was killed is still there");
        }
    }

    /// Waits until it and all below it are gone, for that long at most. Those that come meanwhile
    /// get the signal too.
    async fn gone(&mut self, tree: &mut Tree, signal: Signal, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut has_ended = false;
        loop {
            has_ended = has_ended || tokio::time::timeout(PACE, self.child.wait()).await.is_ok();
            if has_ended && !tree.has_rest() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            tree.signal_new(signal);
            if has_ended {
                tokio::time::sleep(PACE).await;
            }
        }
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

/// Becomes a command that the kernel kills when its parent ends. Returns only if that fails.
pub(in crate::cli) fn become_command(args: LockExecArgs) -> ExitCode {
    #[cfg(target_os = "linux")]
    {
        // Without it the command runs as it would elsewhere.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let parent = rustix::process::getppid();
        if parent.is_none_or(|parent| parent.as_raw_nonzero().get() != args.parent) {
            // It ended before the kernel was asked.
            return ExitCode::FAILURE;
        }
    }
    let mut words = args.command.into_iter();
    let program = words.next().unwrap_or_default();
    let error = std::process::Command::new(&program).args(words).exec();
    tell_failure(&program, &error);
    ExitCode::from(code_of_failure(&error))
}

/// Tells that a command can't be run.
pub(super) fn tell_failure(program: &OsStr, error: &io::Error) {
    let told = format!("{} can't be run: {error}", program.to_string_lossy());
    // Where there is no standard error, there is nobody to tell.
    let _ = writeln!(io::stderr(), "kvscope: {}", sentence(&told));
}
