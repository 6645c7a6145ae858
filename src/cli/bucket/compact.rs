//! `bucket compact`: removing what deleted keys and crashed processes have left behind.

use std::io::{IsTerminal as _, Write as _};

use time::OffsetDateTime;

use crate::cli::CliError;
use crate::cli::args::BucketCompactArgs;
use crate::cli::connection::Connection;
use crate::cli::output::Output;
use crate::cli::record::CompactRecord;
use crate::cli::write::{Beforehand, confirm, refuse_if_read_only};
use crate::kv::compact::{Compacted, compact, survey};
use crate::kv::lock::Clock;
use crate::kv::lock::leftovers::{self, Leftovers, Swept};
use crate::kv::{Error, Store};
use crate::ui::text::figures;

/// After how many markers the progress is told anew.
const STEP: u64 = 100;

pub(super) async fn run(
    connection: &Connection,
    args: &BucketCompactArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = connection.store(&args.bucket).await?;
    if !args.dry_run {
        let action = format!("compacting the bucket {}", args.bucket);
        refuse_if_read_only(store.capabilities(), &action)?;
    }
    let before = store.info().await?;
    let now = OffsetDateTime::now_utc();
    let found = survey(&store, args.older_than, now).await?;
    let left = leftovers::survey(&store, args.older_than, now).await?;
    let old = found.old.len() as u64;
    let age = humantime::format_duration(args.older_than);
    let mut done = Compacted::default();
    let mut swept = Swept::default();
    if !args.dry_run && old + left.len() > 0 {
        confirm(
            &question(old, &age.to_string(), left.len()),
            Beforehand::force(args.force),
        )?;
        let is_watched = std::io::stderr().is_terminal();
        let progress = |done: u64| {
            if is_watched && (done.is_multiple_of(STEP) || done == old) {
                let end = if done == old { "\n" } else { "" };
                // Only for whoever looks: that it can't be written harms nothing.
                let _ = write!(std::io::stderr(), "\r{done} of {old} markers{end}");
            }
        };
        done = compact(&store, &found, std::future::pending(), progress).await?;
        swept = sweep(&store, &left).await?;
    }
    let after = if args.dry_run {
        before.clone()
    } else {
        store.info().await?
    };
    if output.is_json() {
        return output.record(&CompactRecord {
            bucket: &args.bucket,
            dry_run: args.dry_run,
            markers: found.markers(),
            old,
            young: found.young,
            removed: done.removed,
            passed_over: done.passed_over,
            sessions: left.len(),
            sessions_removed: swept.removed,
            bytes_before: before.bytes,
            bytes: after.bytes,
        });
    }
    let spared = match found.young {
        0 => String::new(),
        young => format!("; {young} younger ones stay"),
    };
    if args.dry_run {
        output.line(&format!(
            "{old} markers are older than {age} and would go{spared}"
        ))?;
        return match left.len() {
            0 => Ok(()),
            left => output.line(&format!("{} would go", sessions(left))),
        };
    }
    let passed = match done.passed_over {
        0 => String::new(),
        passed => format!("; {passed} had been written over meanwhile and were left alone"),
    };
    output.line(&format!(
        "{} markers removed{spared}{passed}; {} before, {} now",
        done.removed,
        figures::size(before.bytes),
        figures::size(after.bytes),
    ))?;
    if left.is_empty() {
        return Ok(());
    }
    let beat = match swept.passed_over {
        0 => String::new(),
        beat => format!("; {beat} have beaten meanwhile or went by themselves"),
    };
    output.line(&format!("{} removed{beat}", sessions(swept.removed)))
}

fn question(old: u64, age: &str, left: u64) -> String {
    let markers =
        format!("the {old} markers that are older than {age}, and the history of their keys");
    match (old, left) {
        (_, 0) => format!("Remove {markers}?"),
        (0, left) => format!("Remove {}?", sessions(left)),
        (_, left) => format!("Remove {markers}; and {}?", sessions(left)),
    }
}

async fn sweep(store: &Store, left: &Leftovers) -> Result<Swept, Error> {
    let silence = left.silence().as_secs();
    if silence > 0 && std::io::stderr().is_terminal() {
        let _ = writeln!(
            std::io::stderr(),
            "looking for {silence} s whether any of the sessions beats …"
        );
    }
    leftovers::sweep(store, left, Clock::boot()).await
}

fn sessions(count: u64) -> String {
    match count {
        1 => "1 session that a crashed process left".to_owned(),
        count => format!("{count} sessions that crashed processes left"),
    }
}
