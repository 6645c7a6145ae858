//! `export`: from a bucket to lines.
//!
//! The entries come from a watch, as the store tells them: nothing is kept but what is on its way.
//! What has begun can't be taken back, so whatever may be missing at the end makes it fail. Where the
//! lines go is in `sink`, what an earlier run left of them in `kept`.

mod kept;
mod sink;

use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use self::sink::Sink;
use super::line::{End, EntryLine, Head};
use super::progress::Progress;
use crate::cli::args::ExportArgs;
use crate::cli::connection::Connection;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::watch::{interruption, note};
use crate::kv::backend::BucketInfo;
use crate::kv::{
    Error, Filter, Interruption, Revision, Store, Watch, WatchEvent, WatchFrom, WatchOptions,
};

/// How long to wait for the next entries before giving up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The bucket was made anew or lost entries meanwhile.
    #[error(
        "{bucket} was made anew, or lost entries, while it was exported: what was written is not whole"
    )]
    Broken {
        /// The bucket.
        bucket: String,
    },
    /// The store was away for too long.
    #[error("{bucket} is not exported: {cause}, for {} ms", .after.as_millis())]
    Lost {
        /// The bucket.
        bucket: String,
        /// What became of the watch.
        cause: Interruption,
        /// For how long.
        after: Duration,
    },
    /// Somebody wanted it to stop.
    #[error("interrupted; what was written is not whole")]
    Interrupted,
    /// What is in the file is not the beginning of this export.
    #[error("{} can't be gone on with: {reason}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What speaks against it.
        reason: String,
    },
}

impl ExportError {
    /// What to do about it.
    pub(in crate::cli) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Lost { .. } | Self::Interrupted => {
                Some("With -o FILE --resume what was written stays, and the same command goes on.")
            }
            Self::Unfit { .. } => Some("Without --resume the file is written anew."),
            Self::Broken { .. } => None,
        }
    }
}

pub(in crate::cli) async fn run(
    connection: &Connection,
    args: ExportArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let stop = interruption()?;
    tokio::select! {
        biased;
        // What is dropped takes a file with it that is not whole, or leaves it with what it has.
        () = stop => Err(CliError::Export(ExportError::Interrupted)),
        done = export(connection, args, output) => done,
    }
}

async fn export(
    connection: &Connection,
    args: ExportArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let filter = match &args.filter {
        Some(pattern) => Filter::new(pattern).map_err(Error::from)?,
        None => Filter::all(),
    };
    let store = connection.store(&args.bucket).await?;
    let info = store.info().await?;
    let head = Head::new(
        &info,
        filter.as_str(),
        args.history,
        OffsetDateTime::now_utc(),
    );
    let path = args
        .output
        .as_deref()
        .filter(|path| path.as_os_str() != "-");
    let (mut sink, kept) = match path {
        None => (Sink::Stdout(output), None),
        Some(path) if args.resume => Sink::resumed(path, &head, info.last_revision)?,
        Some(path) => (Sink::file(path)?, None),
    };
    if kept.as_ref().is_some_and(|kept| kept.is_whole) {
        note("the file is whole already");
        return Ok(());
    }
    let progress = Progress::new("exported", expected(&info, &args));
    let mut told = 0;
    let mut first = Revision(args.from_revision);
    match kept {
        None => sink.record(&head)?,
        Some(kept) => {
            told = kept.entries;
            first = first.max(Revision(kept.last.0 + 1));
            progress.skip(told);
            note(&format!(
                "going on behind revision {}; what was removed since without a marker stays in the file",
                kept.last
            ));
        }
    }
    let watch = store.watch(options(filter, &info, &args, first)).await?;
    let export = Export {
        store: &store,
        watch,
        first,
        timeout: connection.timeout(),
        progress,
    };
    export.run(&mut sink, told).await?;
    sink.finish()
}

/// How many entries there will be, where that is known.
fn expected(info: &BucketInfo, args: &ExportArgs) -> Option<u64> {
    let of_all = if args.history {
        info.entries
    } else {
        info.keys
    };
    (args.filter.is_none() && args.from_revision == 0).then_some(of_all)
}

fn options(filter: Filter, info: &BucketInfo, args: &ExportArgs, first: Revision) -> WatchOptions {
    let is_every_entry = args.history || info.config.history == 1;
    let from = match first {
        Revision::ABSENT if args.history => WatchFrom::History,
        Revision::ABSENT => WatchFrom::Newest,
        first if is_every_entry => WatchFrom::Revision(first),
        // From a revision on there is every entry; those from before are passed over.
        _ => WatchFrom::Newest,
    };
    WatchOptions::new(filter).from(from)
}

/// An export that has begun.
struct Export<'a> {
    store: &'a Store,
    watch: Watch,
    /// The first revision that is told.
    first: Revision,
    /// How long the store may be away.
    timeout: Duration,
    progress: Progress,
}

impl Export<'_> {
    /// Writes everything to the end, behind so many entries that were told before.
    async fn run(self, sink: &mut Sink<'_>, mut told: u64) -> Result<(), CliError> {
        // While the watch is interrupted, nothing comes until the store is back.
        let mut interrupted: Option<(Instant, Interruption)> = None;
        loop {
            let (since, limit) = match &interrupted {
                Some((since, _)) => (*since, self.timeout),
                None => (Instant::now(), PATIENCE),
            };
            let batch = tokio::time::timeout_at(since + limit, self.watch.next_batch()).await;
            let Ok(batch) = batch else {
                return Err(self.silent(interrupted.map(|(_, cause)| cause), limit));
            };
            for event in batch.ok_or(Error::Closed)? {
                match event {
                    WatchEvent::Entry(entry) if entry.revision >= self.first => {
                        sink.record(&EntryLine::new(&entry))?;
                        told += 1;
                        if told.is_multiple_of(1024) {
                            self.progress.add(1024);
                        }
                    }
                    WatchEvent::Entry(_) => {}
                    WatchEvent::Ready => return sink.record(&End { end: told }),
                    WatchEvent::Interrupted { cause } => {
                        self.progress
                            .note(&format!("interrupted: {cause}; waiting to go on"));
                        let since = interrupted.map_or_else(Instant::now, |(since, _)| since);
                        interrupted = Some((since, cause));
                    }
                    WatchEvent::Resumed { gap: false } => interrupted = None,
                    WatchEvent::Resumed { gap: true } => {
                        return Err(CliError::Export(ExportError::Broken {
                            bucket: self.store.name().to_string(),
                        }));
                    }
                }
            }
        }
    }

    /// Nothing came any more.
    fn silent(&self, cause: Option<Interruption>, after: Duration) -> CliError {
        let bucket = self.store.name().to_string();
        match cause {
            Some(cause) => CliError::Export(ExportError::Lost {
                bucket,
                cause,
                after,
            }),
            None => CliError::Engine(Error::NoAnswer {
                what: format!("exporting {bucket}"),
                after,
            }),
        }
    }
}
