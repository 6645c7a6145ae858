//! `lock run`: a command under a lock.
//!
//! Whatever happens, the command has ended before the lock is let go, and the lock is let go before
//! this program ends. Should this program be killed, the lock is nobody's before its lease is over,
//! and the command's supervisor has the time until then.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::kv::lock::lease::Lease;
use crate::kv::lock::record::Refusal;
use crate::kv::lock::{Acquire, Clock, Guard, GuardState, Kind, LockError, Locks, Settings};
use crate::kv::{Error, Store};

use super::super::args::LockRunArgs;
use super::super::connection::Connection;
use super::super::error::CliError;
use super::child::{self, Running, note};
use super::signals::Signals;

/// Runs the command; the code is the one to end with.
pub(in crate::cli) async fn run(
    connection: &Connection,
    args: LockRunArgs,
) -> Result<ExitCode, CliError> {
    let lease = Lease::new(args.lease).map_err(|error| CliError::Usage(error.to_string()))?;
    let mut signals = Signals::new().map_err(CliError::Command)?;
    let open = async {
        let backend = connection.backend().await?;
        Store::open(&*backend, &args.bucket)
            .await
            .map_err(CliError::from)
    };
    let store = tokio::select! {
        biased;
        caught = signals.next() => return Ok(ended_by(caught.number)),
        store = open => store?,
    };
    if store.capabilities().read_only {
        let action = format!("taking the lock {:?}", args.resource);
        return Err(Error::ReadOnly { action }.into());
    }
    let label = args.label.clone().unwrap_or_else(|| name_of(&args.command));
    let settings = Settings::default().lease(lease).label(label);
    let locks = Locks::new(&store, settings.outlived_by_its_work());
    let run = Run {
        args: &args,
        lease,
        patience: connection.timeout(),
    };
    let is_try = args.wait.is_some_and(|wait| wait.is_zero());
    let resource = args.resource.as_str();
    let ended = match (args.read, is_try) {
        (true, false) => run.under(locks.read(resource), &mut signals).await,
        (true, true) => run.under(locks.try_read(resource), &mut signals).await,
        (false, false) => run.under(locks.write(resource), &mut signals).await,
        (false, true) => run.under(locks.try_write(resource), &mut signals).await,
    };
    if tokio::time::timeout(run.patience, locks.close())
        .await
        .is_err()
    {
        note("the session could not be ended in order: others see it as silent, then as dead");
    }
    ended
}

/// The command's name, without its folder.
fn name_of(command: &[OsString]) -> String {
    let name = command.first().and_then(|word| Path::new(word).file_name());
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn ended_by(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(signal + 128).unwrap_or(u8::MAX))
}

/// How a command ended.
enum End {
    /// With this code.
    Code(u8),
    /// It was stopped, because the lock was not held any more.
    Stopped(GuardState),
}

struct Run<'a> {
    args: &'a LockRunArgs,
    lease: Lease,
    /// How long to wait for a store that does not answer.
    patience: Duration,
}

impl Run<'_> {
    async fn under<K: Kind>(
        &self,
        acquire: Acquire<'_, K>,
        signals: &mut Signals,
    ) -> Result<ExitCode, CliError> {
        let acquire = match self.args.wait {
            Some(wait) if !wait.is_zero() => acquire.within(wait),
            _ => acquire,
        };
        let guard = tokio::select! {
            biased;
            // The place in the queue is given up by what is dropped here.
            caught = signals.next() => return Ok(ended_by(caught.number)),
            guard = acquire => guard.map_err(|error| self.not_granted(error))?,
        };
        let code = match self.command(&guard, signals).await? {
            End::Code(code) => code,
            // Letting go is left to the end of the session, which waits for it.
            End::Stopped(state) => return Err(self.lost(&state, "The command was stopped")),
        };
        // Asked before the release: a command that ended under a valid guard was under the lock.
        let state = guard.state();
        // A store that does not take it is told of after a lease, with its reason.
        let limit = self.lease.length() + self.patience;
        let released = tokio::time::timeout(limit, guard.release()).await;
        match (state, released) {
            (_, Ok(Err(LockError::Lost(loss)))) => {
                Err(self.lost(&GuardState::Lost(loss), &ended_with(code)))
            }
            (GuardState::Valid { .. }, released) => {
                match released {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => note(&kept(&error)),
                    Err(_) => note(
                        "the store does not answer: the lock is let go when its lease runs out",
                    ),
                }
                Ok(ExitCode::from(code))
            }
            (state, _) => Err(self.lost(&state, &ended_with(code))),
        }
    }

    fn not_granted(&self, error: LockError) -> CliError {
        let waited = self.args.wait.unwrap_or_default();
        match error {
            LockError::TimedOut { .. }
            | LockError::Refused {
                refusal: Refusal::WouldWait,
                ..
            } => CliError::LockWait {
                bucket: self.args.bucket.clone(),
                resource: self.args.resource.clone(),
                waited,
            },
            other => CliError::Lock(other),
        }
    }

    fn lost(&self, state: &GuardState, end: &str) -> CliError {
        let how = match state {
            GuardState::Lost(loss) => loss.to_string(),
            GuardState::Suspect | GuardState::Valid { .. } => {
                "its lease ran out before it could be renewed".to_owned()
            }
        };
        CliError::LockLost {
            resource: self.args.resource.clone(),
            how,
            end: end.to_owned(),
        }
    }

    /// Runs the command to its end, or stops it when the guard is not valid any more.
    async fn command<K: Kind>(
        &self,
        guard: &Guard<K>,
        signals: &mut Signals,
    ) -> Result<End, CliError> {
        let variables = [
            ("KVSCOPE_FENCE", guard.fence().to_string()),
            ("KVSCOPE_LOCK_BUCKET", self.args.bucket.clone()),
            ("KVSCOPE_LOCK_RESOURCE", self.args.resource.clone()),
            ("KVSCOPE_LOCK_SESSION", guard.session().to_owned()),
        ];
        let until = held_until(guard);
        let started = Running::start(
            &self.args.command,
            &variables,
            self.lease.length(),
            until.unwrap_or_default(),
        );
        let mut running = match started {
            Ok(running) => running,
            Err(error) => {
                let program = self.args.command.first().cloned().unwrap_or_default();
                child::tell_failure(&program, &error);
                return Ok(End::Code(child::code_of_failure(&error)));
            }
        };
        // They came before there was anybody to hear them.
        for signal in signals.so_far() {
            running.signal(signal);
        }
        let pace = child::pace(self.lease.length());
        loop {
            tokio::select! {
                biased;
                status = running.ended() => {
                    let status = status.map_err(CliError::Command)?;
                    if running.has_lost_supervisor(status) {
                        // Whatever it looked after is ours now.
                        running.stop().await;
                    }
                    return Ok(if running.has_lapsed() {
                        End::Stopped(guard.state())
                    } else {
                        End::Code(child::code_of(status))
                    });
                }
                state = guard.invalid() => {
                    running.stop().await;
                    return Ok(End::Stopped(state));
                }
                caught = signals.next() => {
                    if let Some(signal) = caught.signal().filter(|_| !caught.reaches_all) {
                        running.signal(signal);
                    }
                }
                () = tokio::time::sleep(pace) => {
                    if running.has_lapsed() {
                        running.stop().await;
                        return Ok(End::Stopped(guard.state()));
                    }
                    if let Some(time) = held_until(guard) {
                        running.held_until(time);
                    }
                }
            }
        }
    }
}

/// Until when the lock is held for certain, by the time since boot.
fn held_until<K: Kind>(guard: &Guard<K>) -> Option<Duration> {
    // The clock first: whatever comes between makes it earlier, not later.
    let now = Clock::boot().now();
    match guard.state() {
        GuardState::Valid { left } => Some(now + left),
        GuardState::Suspect | GuardState::Lost(_) => None,
    }
}

/// What to tell when the command has ended under the lock, and the lock could not be let go.
fn kept(error: &LockError) -> String {
    let then = match error {
        LockError::Malformed { .. } => "nobody can have it before its record is mended",
        LockError::Store(error) if matches!(**error, Error::NoSuchBucket { .. }) => {
            "it is gone with its bucket"
        }
        _ => "others can have it when its lease has run out",
    };
    format!("the lock could not be let go: {error}; {then}")
}

fn ended_with(code: u8) -> String {
    format!("The command had ended with {code} by then; whether under the lock is not known")
}
