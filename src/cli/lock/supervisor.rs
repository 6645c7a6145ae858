//! The supervisor of a command that runs under a lock: a process between `lock run` and the command,
//! which ends the command and all that it has started when `lock run` can't.
//!
//! It hears from `lock run` over a pipe until when the lock is held. When the pipe ends, because
//! that one was killed, or when the time is over and nothing more is heard, because it was stopped,
//! whatever there is below this process is ended. What has lost its parent is below it too: it is
//! what the kernel calls a subreaper.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::signal::unix::{SignalKind, signal};

use super::super::args::{LockExecArgs, LockSuperviseArgs};
use super::super::error::CliError;
use super::child::{self, SELF};
use super::orders::{Order, Orders};
use super::signals::Signals;
use super::tree::Tree;
use crate::kv::lock::Clock;

/// How often it is looked at the clock and at the children, should nothing else be heard.
const PACE: Duration = Duration::from_millis(500);

/// Runs the command to its end, and ends with its code.
pub(in crate::cli) async fn supervise(args: LockSuperviseArgs) -> Result<ExitCode, CliError> {
    // Whoever sends one of them to all of the job has sent it to the command too. One that is for
    // the command alone comes as an order.
    let mut signals = Signals::new().map_err(CliError::Command)?;
    let mut children = signal(SignalKind::child()).map_err(CliError::Command)?;
    child::become_subreaper();
    let mut orders = Orders::open(args.parent, args.orders).map_err(CliError::Command)?;
    if !is_child_of(args.parent) {
        // It ended before it could be heard.
        return Ok(ExitCode::FAILURE);
    }
    let command = match start(&args.command) {
        Ok(command) => command,
        Err(error) => {
            let program = args.command.first().cloned().unwrap_or_default();
            child::tell_failure(&program, &error);
            return Ok(ExitCode::from(child::code_of_failure(&error)));
        }
    };
    // It was not there yet to hear them.
    for signal in signals.so_far() {
        let _ = rustix::process::kill_process(command, signal);
    }
    let clock = Clock::boot();
    let mut limit = Limit::default();
    let grace = loop {
        tokio::select! {
            biased;
            _ = children.recv() => {}
            _ = signals.next() => {}
            order = orders.next() => match order {
                Some(Order::Until(time)) => limit.held_until = Some(time),
                Some(Order::Gone(time)) => limit.gone_by = Some(time),
                Some(Order::Signal(signal)) => {
                    // It was not waited for: its number is still its own.
                    let _ = rustix::process::kill_process(command, signal);
                }
                None => break limit.grace_of_orphans(clock.now(), args.lease),
            },
            () = tokio::time::sleep(PACE.min(child::pace(args.lease))) => {}
        }
        if let Some(status) = reap(command) {
            return Ok(ExitCode::from(child::code_of(status)));
        }
        if let Some(grace) = limit.grace(clock.now(), args.lease) {
            break grace;
        }
    };
    if let Some(tree) = Tree::below_this() {
        child::tell_rest(&tree.end(grace).await);
    }
    let code = reap(command).map_or(u8::MAX, child::code_of);
    Ok(ExitCode::from(code))
}

/// Until when the command may be there.
#[derive(Debug, Default)]
struct Limit {
    held_until: Option<Duration>,
    gone_by: Option<Duration>,
}

impl Limit {
    /// How long the command may take to end when nobody is there any more to hold the lock for it.
    fn grace_of_orphans(&self, now: Duration, lease: Duration) -> Duration {
        let grace = child::grace(lease);
        self.gone_by
            .map_or(grace, |time| time.saturating_sub(now).min(grace))
    }

    /// How long the command may take to end from now on, if it has to. `lock run` has had a moment
    /// to see to it.
    fn grace(&self, now: Duration, lease: Duration) -> Option<Duration> {
        let is_over = |time: Duration| now > time + child::pace(lease);
        match self {
            Self {
                gone_by: Some(time),
                ..
            } => is_over(*time).then_some(Duration::ZERO),
            Self {
                held_until: Some(time),
                ..
            } => is_over(*time).then(|| child::grace(lease)),
            _ => None,
        }
    }
}

fn is_child_of(parent: i32) -> bool {
    let now = rustix::process::getppid();
    now.is_some_and(|now| now.as_raw_nonzero().get() == parent)
}

/// Starts the command, so that the kernel kills it should this process be killed: see
/// [`become_command`].
fn start(command: &[OsString]) -> io::Result<Pid> {
    let mut start = Command::new(SELF);
    let parent = std::process::id().to_string();
    start.arg0("kvscope");
    start.args(["lock", "exec", "--parent", &parent, "--"]);
    let id = start.args(command).spawn()?.id();
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Takes note of all that have ended, orphans that have come to this process among them. How the
/// command ended, if it did.
fn reap(command: Pid) -> Option<ExitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == command {
            ended = Some(ExitStatus::from_raw(status.as_raw()));
        }
    }
    ended
}

/// Becomes a command that the kernel kills when its parent ends: a safe way to what would else
/// need code between fork and exec. Returns only if that fails.
///
/// The kernel takes the thread that started this process for the parent. It is to be the main
/// thread, which lives as long as its process.
pub(in crate::cli) fn become_command(args: LockExecArgs) -> ExitCode {
    #[cfg(target_os = "linux")]
    {
        // Without it the command runs as it would elsewhere.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        if !is_child_of(args.parent) {
            // It ended before the kernel was asked.
            return ExitCode::FAILURE;
        }
    }
    let mut words = args.command.into_iter();
    let program = words.next().unwrap_or_default();
    let error = Command::new(&program).args(words).exec();
    child::tell_failure(&program, &error);
    ExitCode::from(child::code_of_failure(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_heard_of_in_time_is_stepped_in_for() {
        let lease = Duration::from_secs(24);
        let second = Duration::from_secs(1);
        let mut limit = Limit::default();
        assert_eq!(limit.grace(second * 99, lease), None);
        limit.held_until = Some(second * 30);
        assert_eq!(limit.grace(second * 31, lease), None);
        assert_eq!(limit.grace(second * 32, lease), Some(second * 4));
        // It is being stopped; only if that comes to nothing.
        limit.gone_by = Some(second * 34);
        assert_eq!(limit.grace(second * 35, lease), None);
        assert_eq!(limit.grace(second * 36, lease), Some(Duration::ZERO));
        assert_eq!(limit.grace_of_orphans(second * 32, lease), second * 2);
        // All of it is over before others may hold the lock.
        let over = second * 30 + child::pace(lease) + child::grace(lease);
        assert!(over < second * 30 + lease / 4);
    }
}
