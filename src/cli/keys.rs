//! Reading keys: `ls`, `get` and `history`.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

use crate::kv::{Entry, Error, Filter, Key, Operation, Revision, Store, WatchEvent, WatchOptions};
use crate::query::Query;
use crate::ui::text::{figures, visible};

use super::args::{GetArgs, HistoryArgs, LsArgs};
use super::bucket;
use super::choose::{self, Choice};
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;
use super::patience::Patience;
use super::preview::Preview;
use super::record::{EntryRecord, KeyRecord, ResultRecord, timestamp};
use super::table::{self, Align};
use super::text::{age, visible_lines};

/// What a listing keeps of an entry: little, for there can be millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    revision: Revision,
    created: OffsetDateTime,
    size: u64,
    operation: Operation,
}

pub(super) async fn list(
    connection: &Connection,
    args: LsArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let Some(name) = &args.bucket else {
        return bucket::list(connection, args.names, output).await;
    };
    let filter = match args.filter {
        Some(pattern) => Filter::new(pattern).map_err(Error::from)?,
        None => Filter::all(),
    };
    let store = connection.store(name).await?;
    let query = args.query.as_deref().map(Query::new).transpose()?;
    let mut choice = match query {
        Some(query) => Some(Choice::new(query)?),
        None => None,
    };
    let rows = collect(
        &store,
        filter,
        args.all,
        connection.timeout(),
        choice.as_mut(),
    )
    .await?;
    if let Some(choice) = choice {
        choice.tell();
    }
    if output.is_json() {
        for (key, row) in &rows {
            output.record(&KeyRecord {
                key: key.as_str(),
                revision: row.revision.0,
                created: row.created,
                size: row.size,
                operation: row.operation.as_str(),
            })?;
        }
        return Ok(());
    }
    if args.names {
        for key in rows.keys() {
            output.line(&visible(key.as_str()))?;
        }
        return Ok(());
    }
    if rows.is_empty() {
        return Ok(());
    }
    let now = OffsetDateTime::now_utc();
    table::print(
        output,
        [
            ("KEY", Align::Left),
            ("REVISION", Align::Right),
            ("AGE", Align::Right),
            ("SIZE", Align::Right),
            ("OPERATION", Align::Left),
        ],
        rows.iter().map(|(key, row)| {
            [
                visible(key.as_str()).into_owned(),
                row.revision.to_string(),
                age(row.created, now),
                figures::size(row.size),
                row.operation.as_str().to_owned(),
            ]
        }),
    )
}

/// The newest entries of all keys that match, by key.
async fn collect(
    store: &Store,
    filter: Filter,
    with_markers: bool,
    timeout: Duration,
    mut choice: Option<&mut Choice>,
) -> Result<BTreeMap<Key, Row>, CliError> {
    let mut options = WatchOptions::new(filter);
    options.values = choice.is_some();
    let watch = store.watch(options).await?;
    let mut rows = BTreeMap::new();
    let what = format!("listing the keys of {}", store.name());
    let mut patience = Patience::new(what, timeout);
    loop {
        for event in patience.next_batch(&watch).await? {
            match event {
                WatchEvent::Entry(entry) if entry.is_marker() && !with_markers => {
                    rows.remove(&entry.key);
                    if let Some(choice) = &mut choice {
                        choice.forget(&entry.key);
                    }
                }
                WatchEvent::Entry(entry) => {
                    let row = Row {
                        revision: entry.revision,
                        created: entry.created,
                        size: entry.size,
                        operation: entry.operation,
                    };
                    match &mut choice {
                        Some(choice) => {
                            // What an earlier entry of the key came to counts no more.
                            rows.remove(&entry.key);
                            choice.offer(entry, row, &mut rows).await?;
                        }
                        None => {
                            rows.insert(entry.key, row);
                        }
                    }
                }
                WatchEvent::Ready => {
                    if let Some(choice) = &mut choice {
                        choice.decide(&mut rows).await?;
                    }
                    return Ok(rows);
                }
                WatchEvent::Interrupted { .. } | WatchEvent::Resumed { gap: false } => {}
                WatchEvent::Resumed { gap: true } => rows.clear(),
            }
        }
    }
}

pub(super) async fn get(
    connection: &Connection,
    args: GetArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = connection.store(&args.bucket).await?;
    let entry = match args.revision {
        None => store.get(&args.key).await?,
        Some(revision) => {
            let revision = Revision(revision);
            let entry = store.get_revision(&args.key, revision).await?;
            Some(entry.ok_or_else(|| CliError::NoRevision {
                bucket: args.bucket.clone(),
                key: Key::from_stored(args.key.as_str()),
                revision,
            })?)
        }
    };
    let no_key = |gone| CliError::NoKey {
        bucket: args.bucket.clone(),
        key: Key::from_stored(args.key.as_str()),
        gone,
    };
    let entry = entry.ok_or_else(|| no_key(None))?;
    let Some(value) = entry.live_value() else {
        return Err(no_key(Some((entry.operation, entry.revision))));
    };
    if let Some(query) = &args.query {
        let results = choose::results(query, value.clone()).await?;
        return print_results(&args, &entry, &results, output);
    }
    if output.is_json() {
        return output.record(&EntryRecord::new(&args.bucket, &entry));
    }
    if args.raw || !output.is_terminal() {
        return output.bytes(value);
    }
    output.line(&heading(&entry))?;
    output.line("")?;
    output.line(visible_lines(value).trim_end_matches('\n'))
}

/// Prints what a query gives for a value: an object each for programs, a line each for people.
fn print_results(
    args: &GetArgs,
    entry: &Entry,
    results: &str,
    output: &mut Output,
) -> Result<(), CliError> {
    for result in results.lines() {
        if output.is_json() {
            output.record(&ResultRecord::new(&args.bucket, entry, result))?;
            continue;
        }
        match serde_json::from_str::<String>(result) {
            Ok(string) if args.raw => {
                output.bytes(string.as_bytes())?;
                output.bytes(b"\n")?;
            }
            _ => output.line(&visible_lines(result.as_bytes()))?,
        }
    }
    Ok(())
}

/// The entry in one line.
fn heading(entry: &Entry) -> String {
    format!(
        "{}  revision {}  {} {} ago  {}",
        visible(entry.key.as_str()),
        entry.revision,
        entry.operation,
        age(entry.created, OffsetDateTime::now_utc()),
        figures::size(entry.size),
    )
}

pub(super) async fn history(
    connection: &Connection,
    args: HistoryArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = connection.store(&args.bucket).await?;
    let entries = store.history(&args.key).await?;
    if entries.is_empty() {
        return Err(CliError::NoKey {
            bucket: args.bucket,
            key: Key::from_stored(args.key),
            gone: None,
        });
    }
    if output.is_json() {
        for entry in &entries {
            output.record(&EntryRecord::new(&args.bucket, entry))?;
        }
        return Ok(());
    }
    let preview = Preview::new(connection.masks(), args.secrets.reveal);
    // What the other columns take, and no less than says something.
    let room = |columns: usize| columns.saturating_sub(62).max(16);
    let room = output.columns().map_or(PREVIEW, room);
    table::print(
        output,
        [
            ("REVISION", Align::Right),
            ("CREATED", Align::Left),
            ("OPERATION", Align::Left),
            ("SIZE", Align::Right),
            ("VALUE", Align::Left),
        ],
        entries.iter().map(|entry| {
            [
                entry.revision.to_string(),
                timestamp(entry.created),
                entry.operation.as_str().to_owned(),
                figures::size(entry.size),
                preview.of(entry, Some(room)),
            ]
        }),
    )
}

/// How many columns a value gets beside the others in a table.
const PREVIEW: usize = 60;
