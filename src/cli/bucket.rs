//! `bucket`: listing, showing, making and removing buckets.

use time::OffsetDateTime;

use crate::kv::backend::{BucketConfig, BucketInfo, Capabilities, Storage};
use crate::kv::{BucketName, Error};
use crate::ui::text::figures;

use super::args::{BucketAddArgs, BucketCommand, StorageArg};
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;
use super::record::{BucketRecord, RemovedRecord, timestamp};
use super::table::{self, Align};
use super::text::{age, sentence};
use super::write::confirm;

pub(super) async fn run(
    connection: &Connection,
    command: BucketCommand,
    output: &mut Output,
) -> Result<(), CliError> {
    match command {
        BucketCommand::Ls => list(connection, false, output).await,
        BucketCommand::Info { bucket } => info(connection, &bucket, output).await,
        BucketCommand::Add(args) => add(connection, args, output).await,
        BucketCommand::Rm { bucket, force } => remove(connection, &bucket, force, output).await,
    }
}

pub(super) async fn list(
    connection: &Connection,
    names: bool,
    output: &mut Output,
) -> Result<(), CliError> {
    let backend = connection.backend().await?;
    let mut buckets = backend.buckets().await?;
    buckets.sort_unstable_by(|a, b| a.config.name.cmp(&b.config.name));
    if names {
        for info in &buckets {
            output.line(info.config.name.as_str())?;
        }
        return Ok(());
    }
    if output.is_json() {
        for info in &buckets {
            output.record(&BucketRecord::new(info, backend.capabilities()))?;
        }
        return Ok(());
    }
    if buckets.is_empty() {
        return Ok(());
    }
    let now = OffsetDateTime::now_utc();
    table::print(
        output,
        [
            ("BUCKET", Align::Left),
            ("KEYS", Align::Right),
            ("SIZE", Align::Right),
            ("HISTORY", Align::Right),
            ("TTL", Align::Right),
            ("LAST WRITE", Align::Right),
            ("DESCRIPTION", Align::Left),
        ],
        buckets.iter().map(|info| {
            [
                info.config.name.to_string(),
                info.keys.to_string(),
                figures::size(info.bytes),
                info.config.history.to_string(),
                info.config.ttl.map_or_else(|| "-".to_owned(), figures::age),
                info.last_write
                    .map_or_else(|| "-".to_owned(), |then| age(then, now)),
                sentence(&info.config.description),
            ]
        }),
    )
}

async fn info(connection: &Connection, bucket: &str, output: &mut Output) -> Result<(), CliError> {
    let store = connection.store(bucket).await?;
    show(&store.info().await?, store.capabilities(), output)
}

async fn add(
    connection: &Connection,
    args: BucketAddArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let name = BucketName::new(&args.bucket).map_err(Error::from)?;
    let mut config = BucketConfig::new(name);
    config.description = args.description;
    config.history = args.history;
    config.ttl = args.ttl;
    config.marker_ttl = args.marker_ttl;
    config.max_bytes = args.max_bucket_size;
    config.max_value_size = args.max_value_size;
    config.storage = match args.storage {
        StorageArg::File => Storage::File,
        StorageArg::Memory => Storage::Memory,
    };
    config.replicas = args.replicas;
    config.compression = args.compress;
    let backend = connection.backend_or_new_file().await?;
    let info = backend.create_bucket(&config).await?;
    show(&info, backend.capabilities(), output)
}

async fn remove(
    connection: &Connection,
    bucket: &str,
    force: bool,
    output: &mut Output,
) -> Result<(), CliError> {
    let name = BucketName::new(bucket).map_err(Error::from)?;
    let backend = connection.backend().await?;
    let keys = backend.bucket(&name).await?.info().await?.keys;
    confirm(
        &format!("Delete the bucket {name} with its {keys} keys?"),
        force,
    )?;
    backend.delete_bucket(&name).await?;
    if output.is_json() {
        return output.record(&RemovedRecord {
            bucket,
            removed: true,
        });
    }
    output.line(&format!("{name} removed"))
}

/// One bucket, a fact a line.
fn show(
    info: &BucketInfo,
    capabilities: Capabilities,
    output: &mut Output,
) -> Result<(), CliError> {
    if output.is_json() {
        return output.record(&BucketRecord::new(info, capabilities));
    }
    let config = &info.config;
    let yes_no = |is| if is { "yes" } else { "no" };
    let time = |time: Option<_>| time.map_or_else(|| "none".to_owned(), humantime_text);
    let limit = |limit: Option<_>| limit.map_or_else(|| "none".to_owned(), figures::size);
    let facts = [
        ("bucket", config.name.to_string()),
        ("description", sentence(&config.description)),
        ("keys", info.keys.to_string()),
        ("entries", info.entries.to_string()),
        ("size", figures::size(info.bytes)),
        ("last revision", info.last_revision.to_string()),
        ("created", timestamp(info.created)),
        (
            "last write",
            info.last_write
                .map_or_else(|| "unknown".to_owned(), timestamp),
        ),
        ("history", config.history.to_string()),
        ("ttl", time(config.ttl)),
        ("marker ttl", time(config.marker_ttl)),
        ("max size", limit(config.max_bytes)),
        ("max value size", limit(config.max_value_size)),
        ("storage", config.storage.as_str().to_owned()),
        ("replicas", config.replicas.to_string()),
        ("compression", yes_no(config.compression).to_owned()),
        ("read-only here", yes_no(capabilities.read_only).to_owned()),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        output.line(&format!("{name:<15} {fact}"))?;
    }
    Ok(())
}

fn humantime_text(time: std::time::Duration) -> String {
    humantime::format_duration(time).to_string()
}
