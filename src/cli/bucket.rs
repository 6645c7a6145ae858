//! `bucket`: listing, making, changing and removing buckets. Showing one is in `show`, compacting
//! in `compact`.

mod compact;
mod show;

use time::OffsetDateTime;

use crate::kv::backend::{BucketConfig, Setting};
use crate::kv::doctor::counted;
use crate::kv::{BucketName, Error};
use crate::ui::bucket::shown;
use crate::ui::text::figures;

use self::show::show;
use super::args::{BucketAddArgs, BucketCommand, BucketEditArgs};
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;
use super::record::{BucketRecord, ChangeRecord, RemovedRecord};
use super::table::{self, Align};
use super::text::{age, sentence};
use super::write::{Beforehand, confirm_by_name, refuse_if_read_only};

pub(super) async fn run(
    connection: &Connection,
    command: BucketCommand,
    output: &mut Output,
) -> Result<(), CliError> {
    match command {
        BucketCommand::Ls => list(connection, false, output).await,
        BucketCommand::Info(args) => show::info(connection, &args, output).await,
        BucketCommand::Add(args) => add(connection, &args, output).await,
        BucketCommand::Edit(args) => edit(connection, &args, output).await,
        BucketCommand::Compact(args) => compact::run(connection, &args, output).await,
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
                figures::at_most(info.keys),
                figures::size(info.bytes),
                info.config.history.to_string(),
                info.config.ttl.map_or_else(|| "-".to_owned(), figures::age),
                info.last_write
                    .map_or_else(|| "-".to_owned(), |then| age(then, now)),
                sentence(&about(&info.config)),
            ]
        }),
    )
}

/// What it is for, and that it is a mirror if it is one.
fn about(config: &BucketConfig) -> String {
    let mirror = config.mirror.as_ref();
    let mirror = mirror.map(|of| format!("mirror of {}", of.bucket));
    let description = Some(config.description.clone()).filter(|text| !text.is_empty());
    let parts: Vec<String> = mirror.into_iter().chain(description).collect();
    parts.join(" · ")
}

async fn add(
    connection: &Connection,
    args: &BucketAddArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let name = BucketName::new(&args.bucket).map_err(Error::from)?;
    let mut config = BucketConfig::new(name);
    args.apply(&mut config)?;
    let backend = connection.backend_or_new_file().await?;
    let info = backend.create_bucket(&config).await?;
    show(&info, backend.capabilities(), None, output)
}

async fn edit(
    connection: &Connection,
    args: &BucketEditArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let backend = connection.backend().await?;
    let name = BucketName::new(&args.bucket).map_err(Error::from)?;
    let before = backend.bucket(&name).await?.info().await?.config;
    let mut after = before.clone();
    args.settings.apply(&mut after)?;
    if !args.dry_run {
        let info = if after == before {
            backend.bucket(&name).await?.info().await?
        } else {
            backend.change_bucket(&after).await?
        };
        return show(&info, backend.capabilities(), None, output);
    }
    backend
        .capabilities()
        .settings
        .check_change(&before, &after)?;
    let mut is_same = true;
    for setting in Setting::ALL {
        if setting.is_same(&before, &after) {
            continue;
        }
        is_same = false;
        let [was, becomes] = [&before, &after].map(|config| shown(config, setting));
        if output.is_json() {
            output.record(&ChangeRecord {
                bucket: name.as_str(),
                setting: setting.name(),
                before: was,
                after: becomes,
            })?;
        } else {
            let or_none = |text: String| {
                if text.is_empty() {
                    "none".to_owned()
                } else {
                    text
                }
            };
            let [was, becomes] = [was, becomes].map(or_none);
            let line = format!("{:<15} {was} → {becomes}", setting.name());
            output.line(&sentence(&line))?;
        }
    }
    if is_same && !output.is_json() {
        output.line("nothing would change")?;
    }
    Ok(())
}

async fn remove(
    connection: &Connection,
    bucket: &str,
    force: bool,
    output: &mut Output,
) -> Result<(), CliError> {
    let name = BucketName::new(bucket).map_err(Error::from)?;
    let backend = connection.backend().await?;
    refuse_if_read_only(
        backend.capabilities(),
        &format!("deleting the bucket {name}"),
    )?;
    let keys = backend.bucket(&name).await?.info().await?.keys;
    let keys = counted(usize::try_from(keys).unwrap_or(usize::MAX), "key");
    confirm_by_name(
        &format!("This deletes the bucket {name} with its {keys}, for good."),
        name.as_str(),
        Beforehand::force(force),
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
