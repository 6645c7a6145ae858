//! `bucket compact`: removing what deleted keys have left behind.

use std::io::{IsTerminal as _, Write as _};

use time::OffsetDateTime;

use crate::cli::CliError;
use crate::cli::args::BucketCompactArgs;
use crate::cli::connection::Connection;
use crate::cli::output::Output;
use crate::cli::record::CompactRecord;
use crate::cli::write::confirm;
use crate::kv::Error;
use crate::kv::compact::{Compacted, compact, survey};
use crate::ui::text::figures;

/// After how many markers the progress is told anew.
const STEP: u64 = 100;

pub(super) async fn run(
    connection: &Connection,
    args: &BucketCompactArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = connection.store(&args.bucket).await?;
    if store.capabilities().read_only && !args.dry_run {
        let action = format!("compacting the bucket {}", args.bucket);
        return Err(Error::ReadOnly { action }.into());
    }
    let before = store.info().await?;
    let found = survey(&store, args.older_than, OffsetDateTime::now_utc()).await?;
    let old = found.old.len() as u64;
    let age = humantime::format_duration(args.older_than);
    let mut done = Compacted::default();
    if !args.dry_run && old > 0 {
        confirm(
            &format!(
                "Remove the {old} markers that are older than {age}, and the history of their keys?"
            ),
            args.force,
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
            bytes_before: before.bytes,
            bytes: after.bytes,
        });
    }
    let spared = match found.young {
        0 => String::new(),
        young => format!("; {young} younger ones stay"),
    };
    if args.dry_run {
        return output.line(&format!(
            "{old} markers are older than {age} and would go{spared}"
        ));
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
    ))
}
