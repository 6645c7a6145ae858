//! `lock show`: one lock with its queue as a tree, its clocks, and its past.

use crate::kv::lock::diagnosis::span;
use crate::kv::lock::listing::LockRecord;
use crate::kv::lock::observer::{ClockOf, Content, Lock, LockMode, Party};
use crate::kv::lock::record::Mode;
use crate::kv::lock::timeline::{Timeline, past, percentile};
use crate::kv::{BucketName, Error};

use super::super::args::LockShowArgs;
use super::super::connection::Connection;
use super::super::error::CliError;
use super::super::output::Output;
use super::super::record::timestamp;
use super::super::table::{self, Align};
use super::super::text::sentence;
use super::{lasted, look, report, tell_of_failures};

/// How deep the tree goes before it goes on straight down.
const DEPTH: usize = 8;

pub(super) async fn run(
    connection: &Connection,
    args: LockShowArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let bucket = BucketName::new(&args.bucket).map_err(Error::from)?;
    let backend = connection.backend().await?;
    let observer = look(connection, &backend, Some(&bucket), &args.look).await?;
    let report = report(&*backend, &observer).await?;
    tell_of_failures(&report, Some(&bucket))?;
    let is_it = |lock: &&Lock| lock.bucket == bucket && lock.resource == args.resource;
    let locks = report.locks.iter().map(|lock| &**lock);
    let locks: Vec<&Lock> = locks.filter(is_it).collect();
    if locks.is_empty() {
        return Err(CliError::NoLock {
            bucket: args.bucket,
            resource: args.resource,
        });
    }
    if output.is_json() {
        for lock in locks {
            output.record(&LockRecord::new(lock))?;
        }
        return Ok(());
    }
    let deaths = observer.picture().deaths(&bucket);
    let handle = backend.bucket(&bucket).await?;
    for lock in locks {
        output.line(&sentence(&format!(
            "{} in {}, revision {}: {}, {}",
            lock.resource,
            lock.bucket,
            lock.revision,
            lock.mode().map_or("unreadable", LockMode::as_str),
            lock.verdict
        )))?;
        output.line(&sentence(&lock.reason))?;
        queue(lock, output)?;
        if lock.content == Content::Record {
            tell_past(&past(&*handle, &lock.key, &deaths).await?, output)?;
        }
    }
    Ok(())
}

/// Everybody who holds or waits, each below whoever it waits for.
fn queue(lock: &Lock, output: &mut Output) -> Result<(), CliError> {
    if lock.holders.is_empty() && lock.waiters.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let writers = lock.waiting(Mode::Write).count();
    let holders = lock.holders.iter().map(|party| ("■".to_owned(), party));
    let waiters = lock.waiters.iter().enumerate().map(|(at, party)| {
        let depth = at.min(writers).min(DEPTH);
        let place = format!("{}└─ {}", "   ".repeat(depth), at + 1);
        (place, party)
    });
    let rows: Vec<[String; 8]> = holders
        .chain(waiters)
        .map(|(place, party)| row(&place, party))
        .collect();
    table::print(
        output,
        [
            ("QUEUE", Align::Left),
            ("PID", Align::Right),
            ("SESSION", Align::Left),
            ("HELD / WAITING", Align::Right),
            ("RENEWED", Align::Right),
            ("LEASE LEFT", Align::Right),
            ("FENCE", Align::Right),
            ("STATE", Align::Left),
        ],
        rows.iter().cloned(),
    )?;
    let parties = lock.holders.iter().chain(&lock.waiters);
    let mut beats = parties.filter_map(|party| party.last_beat);
    if beats.any(|beat| beat.clock == ClockOf::Store) {
        output.line("~ by the store's clock: it was before this look")?;
    }
    Ok(())
}

fn row(place: &str, party: &Party) -> [String; 8] {
    let role = party.mode.role();
    let renewed = party.last_beat.map(|beat| {
        let sign = match beat.clock {
            ClockOf::Ours => "",
            ClockOf::Store => "~ ",
        };
        format!("{sign}{}", span(beat.ago))
    });
    [
        format!("{place} {role} {}", sentence(&party.name())),
        party.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        sentence(&party.session),
        lasted(party),
        renewed.unwrap_or_default(),
        party.lease_left.map(span).unwrap_or_default(),
        party
            .fence
            .map(|fence| fence.to_string())
            .unwrap_or_default(),
        party.standing.as_str().to_owned(),
    ]
}

/// What is kept of the lock's past.
fn tell_past(timeline: &Timeline, output: &mut Output) -> Result<(), CliError> {
    if timeline.events.is_empty() {
        return Ok(());
    }
    output.line("")?;
    table::print(
        output,
        [
            ("TIMELINE", Align::Left),
            ("REVISION", Align::Right),
            ("WHAT", Align::Left),
        ],
        timeline.events.iter().map(|event| {
            [
                timestamp(event.at),
                event.revision.to_string(),
                sentence(&event.to_string()),
            ]
        }),
    )?;
    for (name, times) in [("held", timeline.holds()), ("waited", timeline.waits())] {
        if let (Some(half), Some(most)) = (percentile(&times, 50), percentile(&times, 99)) {
            output.line(&format!(
                "{name}: median {}, 99 of 100 within {}, {} in all",
                span(half),
                span(most),
                times.len()
            ))?;
        }
    }
    Ok(())
}
