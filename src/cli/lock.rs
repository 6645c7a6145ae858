//! `lock`: who holds locks, who waits, and what is the matter. Here the looking and `ls`; `show`,
//! `run`, `break` and the JSON are in files of their own.

mod breaking;
mod child;
mod orders;
mod run;
mod show;
mod signals;
mod supervisor;
mod tree;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::kv::backend::{Backend, originals};
use crate::kv::lock::diagnosis::span;
use crate::kv::lock::listing::LockRecord;
use crate::kv::lock::observer::{Freshness, Lock, LockMode, Party, Report};
use crate::kv::lock::record::Mode;
use crate::kv::lock::snapshot::Snapshot;
use crate::kv::lock::{ObserveOptions, Observer, observe};
use crate::kv::{BucketName, Error};
use crate::ui::text::visible;

use super::args::{LockCommand, LockLsArgs, LookArgs};
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;
use super::record::timestamp;
use super::table::{self, Align};
use super::text::sentence;

pub(super) use run::run as command;
pub(super) use signals::ignored;
pub(super) use supervisor::{become_command, supervise};

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(
    connection: &Connection,
    command: LockCommand,
    output: &mut Output,
) -> Result<(), CliError> {
    match command {
        LockCommand::Ls(args) => list(connection, args, output).await,
        LockCommand::Show(args) => show::run(connection, args, output).await,
        LockCommand::Break(args) => breaking::run(connection, args, output).await,
        // They end with a code of their own, and come by another way.
        LockCommand::Run(_) | LockCommand::Supervise(_) | LockCommand::Exec(_) => Ok(()),
    }
}

async fn list(
    connection: &Connection,
    args: LockLsArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let backend = connection.backend().await?;
    let bucket = args.bucket.as_deref().map(BucketName::new).transpose();
    let bucket = bucket.map_err(Error::from)?;
    let observer = look(connection, &backend, bucket.as_ref(), &args.look).await?;
    let report = report(&*backend, &observer).await?;
    tell_of_failures(&report, bucket.as_ref())?;
    let is_wanted = |lock: &&Lock| bucket.as_ref().is_none_or(|bucket| lock.bucket == *bucket);
    let locks = report.locks.iter().map(|lock| &**lock);
    let locks: Vec<&Lock> = locks.filter(is_wanted).collect();
    if output.is_json() {
        for lock in locks {
            output.record(&LockRecord::new(lock))?;
        }
        return Ok(());
    }
    if locks.is_empty() {
        return Ok(());
    }
    table::print(
        output,
        [
            ("RESOURCE", Align::Left),
            ("BUCKET", Align::Left),
            ("MODE", Align::Left),
            ("HOLDERS", Align::Left),
            ("WRITERS", Align::Right),
            ("READERS", Align::Right),
            ("LONGEST WAIT", Align::Right),
            ("HELD FOR", Align::Right),
            ("LAST BEAT", Align::Right),
            ("VERDICT", Align::Left),
        ],
        locks.iter().map(|lock| row(lock)),
    )?;
    for lock in locks.iter().filter(|lock| lock.verdict.is_fault()) {
        output.line("")?;
        output.line(&sentence(&format!(
            "{} in {}: {}",
            lock.resource, lock.bucket, lock.verdict
        )))?;
        output.line(&format!("  {}", sentence(&lock.reason)))?;
    }
    Ok(())
}

fn row(lock: &Lock) -> [String; 10] {
    let waiting = |mode| match lock.waiting(mode).count() {
        0 => String::new(),
        count => count.to_string(),
    };
    let beat = lock.holders.iter().filter_map(|party| party.last_beat);
    let beat = beat.max_by_key(|beat| beat.ago);
    [
        sentence(&lock.resource),
        lock.bucket.to_string(),
        lock.mode().map_or("?", LockMode::as_str).to_owned(),
        holders(lock),
        waiting(Mode::Write),
        waiting(Mode::Read),
        lock.longest_waiter().map_or_else(String::new, lasted),
        lock.longest_holder().map_or_else(String::new, lasted),
        beat.map_or_else(String::new, |beat| span(beat.ago)),
        lock.verdict.to_string(),
    ]
}

/// The first holder, and how many there are beside it.
fn holders(lock: &Lock) -> String {
    match lock.holders.as_slice() {
        [] => String::new(),
        [only] => sentence(&only.name()),
        [first, others @ ..] => format!("{} +{}", sentence(&first.name()), others.len()),
    }
}

/// For how long, with a sign where that is a lower bound.
fn lasted(party: &Party) -> String {
    let sign = if party.lasted_longer() { "≥ " } else { "" };
    format!("{sign}{}", span(party.lasted))
}

/// Looks at the locks of all buckets, for deadlocks go through several; at those of `shizuku`
/// services only where they are asked for.
async fn look(
    connection: &Connection,
    backend: &Arc<dyn Backend>,
    bucket: Option<&BucketName>,
    args: &LookArgs,
) -> Result<Observer, CliError> {
    if let Some(bucket) = bucket {
        // One that is not there is not to be waited for.
        backend.bucket(bucket).await?;
    }
    let options = ObserveOptions {
        buckets: bucket.map(|bucket| vec![bucket.clone()]),
        foreign: !args.no_shizuku,
        trusts_wall: args.watch.is_none(),
        ..ObserveOptions::default()
    };
    let mut observer = observe(Arc::clone(backend), options).await?;
    if bucket.is_some() {
        // Who may not list the buckets may still look at one.
        for other in originals(&backend.buckets().await.unwrap_or_default()) {
            observer.add_without_foreign(&other.config.name);
        }
    }
    let begun = Instant::now();
    let mut interrupted: Option<Instant> = None;
    // One watch can be lost to what another one brings.
    while !observer.is_loaded() || observer.picture().is_interrupted() {
        let limit = interrupted.map_or(PATIENCE, |_| connection.timeout());
        let deadline = interrupted.unwrap_or(begun) + limit;
        let news = tokio::time::timeout_at(deadline, observer.changed()).await;
        let is_open = match news {
            Ok(is_open) => is_open,
            // What is out of date is told as that.
            Err(_) if observer.is_loaded() => break,
            Err(_) => {
                return Err(Error::NoAnswer {
                    what: "looking at the locks".to_owned(),
                    after: limit,
                }
                .into());
            }
        };
        if !is_open {
            return Err(Error::Closed.into());
        }
        if observer.picture().is_interrupted() {
            interrupted.get_or_insert_with(Instant::now);
        } else {
            interrupted = None;
        }
    }
    if let Some(time) = args.watch {
        let until = Instant::now() + time;
        while let Ok(is_open) = tokio::time::timeout_at(until, observer.changed()).await {
            if !is_open {
                return Err(Error::Closed.into());
            }
        }
    }
    observer.make_certain().await?;
    Ok(observer)
}

/// What there is to tell: of a snapshot what was found when it was taken.
async fn report(backend: &dyn Backend, observer: &Observer) -> Result<Report, CliError> {
    let Some(copy) = Snapshot::of(backend).await? else {
        return Ok(observer.report());
    };
    let text = format!(
        "a snapshot of {}, taken at {}: everything is as it was then",
        copy.place,
        timestamp(copy.taken)
    );
    // Where there is no standard error, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "kvscope: {}", visible(&text));
    Ok(copy.report.whole())
}

/// Tells of buckets that could not be read: a failure where it was the one that was asked for.
fn tell_of_failures(report: &Report, wanted: Option<&BucketName>) -> Result<(), CliError> {
    let mut read = 0;
    let mut failed = Vec::new();
    for (bucket, freshness) in &report.buckets {
        match freshness {
            Freshness::Failed { reason } if Some(bucket) == wanted => {
                return Err(CliError::Locks {
                    bucket: bucket.to_string(),
                    reason: reason.clone(),
                });
            }
            Freshness::Failed { reason } => failed.push(format!("{bucket}: {reason}")),
            Freshness::Stale { reason, .. } => {
                failed.push(format!("{bucket}: out of date, {reason}"));
            }
            Freshness::Live | Freshness::Loading => read += 1,
        }
    }
    if !failed.is_empty() {
        let text = format!(
            "{read} of {} buckets were looked at; {}",
            report.buckets.len(),
            failed.join("; ")
        );
        // Where there is no standard error, there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "kvscope: {}", visible(&text));
    }
    Ok(())
}
