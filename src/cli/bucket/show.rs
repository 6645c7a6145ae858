//! `bucket info`: one bucket, a fact a line.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cli::CliError;
use crate::cli::args::BucketInfoArgs;
use crate::cli::connection::Connection;
use crate::cli::output::Output;
use crate::cli::record::{BucketRecord, timestamp};
use crate::cli::text::sentence;
use crate::kv::backend::{BucketInfo, Capabilities, Setting};
use crate::kv::compact::survey;
use crate::ui::bucket::{facts, shown};
use crate::ui::overlays::bucket::QUICK_TO_COUNT;
use crate::ui::text::figures;

pub(super) async fn info(
    connection: &Connection,
    args: &BucketInfoArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = connection.store(&args.bucket).await?;
    let info = store.info().await?;
    let now = OffsetDateTime::now_utc();
    let deleted = if args.count {
        Some(survey(&store, Duration::ZERO, now).await?.markers())
    } else if info.keys <= QUICK_TO_COUNT {
        // Who may look at a bucket may perhaps not watch it: then it is not known. Nor is it where
        // the watch does not get on.
        let found = survey(&store, Duration::ZERO, now);
        let found = tokio::time::timeout(connection.timeout(), found).await;
        found.ok().and_then(Result::ok).map(|found| found.markers())
    } else {
        None
    };
    show(&info, store.capabilities(), deleted, output)
}

/// Shows a bucket, and how many of its keys are deleted, where that was counted.
pub(super) fn show(
    info: &BucketInfo,
    capabilities: Capabilities,
    deleted: Option<u64>,
    output: &mut Output,
) -> Result<(), CliError> {
    if output.is_json() {
        return output.record(&BucketRecord::new(info, capabilities).with_deleted(deleted));
    }
    let config = &info.config;
    let read_only = if capabilities.read_only { "yes" } else { "no" };
    let mut lines = vec![("bucket", config.name.to_string())];
    lines.push(("keys", info.keys.to_string()));
    if let Some(deleted) = deleted {
        lines.push(("of them deleted", deleted.to_string()));
    }
    lines.push(("entries", info.entries.to_string()));
    lines.push(("size", figures::size(info.bytes)));
    lines.push(("last revision", info.last_revision.to_string()));
    lines.push(("created", timestamp(info.created)));
    let last_write = info.last_write;
    lines.push((
        "last write",
        last_write.map_or_else(|| "none".to_owned(), timestamp),
    ));
    for setting in Setting::ALL {
        let text = match setting {
            Setting::MaxBytes => facts::limit(config.max_bytes, Some(info.bytes)),
            Setting::MaxValueSize => facts::limit(config.max_value_size, None),
            _ => shown(config, setting),
        };
        let is_plain = matches!(setting, Setting::Ttl | Setting::MarkerTtl);
        if !text.is_empty() {
            lines.push((setting.name(), text));
        } else if is_plain {
            lines.push((setting.name(), "none".to_owned()));
        }
    }
    lines.push(("read-only here", read_only.to_owned()));
    lines.extend(facts::copies(info));
    for (name, fact) in lines {
        output.line(&format!("{name:<15} {}", sentence(&fact)))?;
    }
    Ok(())
}
