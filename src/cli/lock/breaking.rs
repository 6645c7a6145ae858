//! `lock break`: a lock is taken from a session, which an operator is asked about before.

mod reset;
mod told;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use time::OffsetDateTime;

use crate::kv::lock::breaking::{BreakError, Breaking, Manner, Pulse, Sight};
use crate::kv::lock::diagnosis::span;
use crate::kv::lock::record::{Claim, Record, State};
use crate::kv::lock::session::{Process, Session};
use crate::kv::{Error, Revision, Store};

use super::super::args::LockBreakArgs;
use super::super::connection::Connection;
use super::super::error::CliError;
use super::super::output::Output;
use super::super::text::sentence;
use super::super::write::{Beforehand, confirm, refuse_if_read_only};

pub(super) async fn run(
    connection: &Connection,
    args: LockBreakArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = connection.store(&args.bucket).await?;
    let done = match &args.session {
        Some(session) => break_session(&store, &args, session, output).await,
        None => reset::reset(&store, &args, output).await,
    };
    done.map_err(|error| with_present_state(&args.bucket, error))
}

/// Who does it, for people who read it later.
fn by() -> String {
    let variable = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let process = Process::current();
    format!(
        "{}@{}, kvscope lock break, pid {}",
        user.as_deref().unwrap_or("somebody"),
        process.host,
        process.pid
    )
}

async fn break_session(
    store: &Store,
    args: &LockBreakArgs,
    session: &str,
    output: &mut Output,
) -> Result<(), CliError> {
    refuse_if_read_only(
        store.capabilities(),
        &format!("breaking the lock {:?}", args.resource),
    )?;
    let sight = Sight::take(store, &args.resource, session).await?;
    if let Some(expected) = args.revision.map(Revision)
        && expected != sight.revision()
    {
        return Err(BreakError::Moved {
            key: crate::kv::lock::key_of(&args.resource).map_err(Error::from)?,
            expected,
            current: sight.revision(),
            record: Some(Box::new(sight.record().clone())),
        }
        .into());
    }
    let manner = if args.force {
        Manner::Forced
    } else {
        Manner::Quarantined
    };
    ask(&sight, manner, args)?;
    let breaking = sight.begin(manner, &by()).await?;
    told::killed(&args.bucket, &breaking, output)?;
    wait(&args.bucket, &breaking, output).await?;
    let broken = breaking.finish().await?;
    told::broken(&args.bucket, &broken, output)
}

/// Tells what will happen, and asks whether it shall.
fn ask(sight: &Sight, manner: Manner, args: &LockBreakArgs) -> Result<(), CliError> {
    let has_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if manner == Manner::Forced {
        let typed = match &args.yes_resource {
            Some(name) => name.clone(),
            None if has_terminal => {
                explain(sight, manner);
                prompt("Type the resource's name to evict it at once: ")?
            }
            None => {
                return Err(CliError::Usage(
                    "--force needs a terminal to ask at, or the resource's name in --yes-resource"
                        .to_owned(),
                ));
            }
        };
        return match typed == args.resource {
            true => Ok(()),
            false if args.yes_resource.is_some() => Err(CliError::Usage(
                "--yes-resource names another resource".to_owned(),
            )),
            false => Err(CliError::Declined),
        };
    }
    if has_terminal && !args.yes {
        explain(sight, manner);
    }
    confirm(
        &format!(
            "Break the lock {} of {}?",
            args.resource,
            sight.session_id()
        ),
        Beforehand::yes(args.yes),
    )
}

fn prompt(question: &str) -> Result<String, CliError> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// What an operator should know before.
fn explain(sight: &Sight, manner: Manner) {
    let mut lines = Vec::new();
    for claim in sight.claims() {
        lines.push(format!("{} {}", words(claim), sight.resource()));
    }
    let place = sight.session().map_or_else(String::new, |session| {
        format!("pid {} on {}: ", session.pid, session.host)
    });
    lines.push(match sight.pulse() {
        Pulse::Alive => format!("{place}its session {}", beat(sight)),
        Pulse::Gone => format!("{place}the process is gone"),
        Pulse::Dead(death) => format!("{place}killed already, by {}", death.by),
        Pulse::Missing => "its session has no record any more".to_owned(),
        Pulse::Unreadable(error) => format!("its session can't be read: {error}"),
    });
    for other in sight.elsewhere() {
        for claim in &other.claims {
            lines.push(format!("also frees {}: {}", other.resource, words(claim)));
        }
    }
    let next = sight.next();
    lines.push(match next.as_slice() {
        [] => "nobody is let in by it".to_owned(),
        next => {
            let names: Vec<String> = next.iter().map(name).collect();
            format!("next: {}", names.join(", "))
        }
    });
    lines.push(match manner {
        Manner::Quarantined if sight.quarantine().is_zero() => {
            "at once: its guards have run out".to_owned()
        }
        Manner::Quarantined => format!("after a quarantine of {}", span(sight.quarantine())),
        Manner::Forced => match sight.overlap() {
            None => "it can't be killed: TWO MAY HOLD for as long as its process lives".to_owned(),
            Some(Duration::ZERO) => "its guards have run out".to_owned(),
            Some(overlap) => format!("two may hold for up to {}", span(overlap)),
        },
    });
    let fence = sight.claims().find_map(|claim| match claim.state {
        State::Held { fence } => Some(fence),
        State::Waiting => None,
    });
    if let Some(fence) = fence {
        lines.push(format!(
            "what it writes later is stopped only where its fence, {fence}, is checked"
        ));
    }
    lines.push(format!("acts on revision {}", sight.revision()));
    let mut stderr = io::stderr();
    for line in lines {
        let _ = writeln!(stderr, "  {}", sentence(&line));
    }
}

/// When a session that was not killed beat last, in words.
fn beat(sight: &Sight) -> String {
    let Some(at) = sight.beaten_at() else {
        return "has not beaten".to_owned();
    };
    // The store's clock can be ahead of ours.
    let ago = Duration::try_from(OffsetDateTime::now_utc() - at).unwrap_or_default();
    let lease = sight.session().and_then(Session::lease).unwrap_or_default();
    let alive = if ago < lease.length() {
        "it is ALIVE"
    } else {
        "it may be dead"
    };
    format!("beat {} ago by the store's clock: {alive}", span(ago))
}

/// A claim in words: `writer deploy (s_1qpz) holds`.
fn words(claim: &Claim) -> String {
    let holds = if claim.state.is_held() {
        "holds"
    } else {
        "waits for"
    };
    format!("{} {holds}", name(claim))
}

fn name(claim: &Claim) -> String {
    let role = claim.mode.role();
    format!("{role} {} ({})", claim.label, claim.session)
}

/// Waits the quarantine out, and counts it down where somebody looks.
async fn wait(bucket: &str, breaking: &Breaking, output: &mut Output) -> Result<(), CliError> {
    let shows = !output.is_json() && io::stderr().is_terminal();
    while !breaking.left().is_zero() {
        if output.is_json() {
            told::step(bucket, breaking, "quarantine", output)?;
        } else if shows {
            let _ = write!(io::stderr(), "\r\u{1b}[K  {} left", span(breaking.left()));
        }
        let pause = breaking.left().min(Duration::from_secs(1));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Err(CliError::BreakLeft);
            }
        }
    }
    if shows {
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
    Ok(())
}

/// Who holds a lock, in words.
fn state(record: &Record) -> String {
    let names: Vec<String> = record.holders().map(name).collect();
    let waiting = match record.waiters().count() {
        0 => String::new(),
        count => format!(", {count} waiting"),
    };
    match names.as_slice() {
        [] => format!("nobody holds it{waiting}"),
        names => format!("held by {}{waiting}", names.join(", ")),
    }
}

/// A lock that moved is shown as it is now.
fn with_present_state(bucket: &str, error: CliError) -> CliError {
    match error {
        CliError::Break(BreakError::Moved {
            key,
            expected,
            current,
            record,
        }) => CliError::LockMoved {
            bucket: bucket.to_owned(),
            now: record.map_or_else(
                || "Look at it again".to_owned(),
                |record| format!("Now: {}", state(&record)),
            ),
            key,
            expected,
            current,
        },
        other => other,
    }
}
