//! `export`: from a bucket to lines.
//!
//! The entries come from a watch, as the store tells them: nothing is kept but what is on its way.
//! What has begun can't be taken back, so whatever may be missing at the end makes it fail, and a
//! file takes its name only when it is whole.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;
use time::OffsetDateTime;

use super::line::{End, EntryLine, Head};
use super::progress::Progress;
use crate::cli::args::ExportArgs;
use crate::cli::connection::Connection;
use crate::cli::error::CliError;
use crate::cli::output::{Output, write_record};
use crate::cli::patience::Patience;
use crate::kv::{Entry, Error, Filter, Revision, WatchEvent, WatchFrom, WatchOptions};

pub(in crate::cli) async fn run(
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
    let mut sink = match &args.output {
        Some(path) => Sink::file(path)?,
        None => Sink::Stdout(output),
    };
    let begun = OffsetDateTime::now_utc();
    sink.record(&Head::new(&info, filter.as_str(), args.history, begun))?;
    let expected = if args.history {
        info.entries
    } else {
        info.keys
    };
    let progress = Progress::new("exported", filter.is_all().then_some(expected));
    let from = if args.history {
        WatchFrom::History
    } else {
        WatchFrom::Newest
    };
    let watch = store.watch(WatchOptions::new(filter).from(from)).await?;
    let mut told = 0;
    let what = format!("exporting {}", store.name());
    let mut patience = Patience::new(what, connection.timeout());
    loop {
        for event in patience.next_batch(&watch).await? {
            match event {
                WatchEvent::Entry(entry) if entry.revision >= Revision(args.from_revision) => {
                    sink.entry(&entry)?;
                    told += 1;
                    if told % 1024 == 0 {
                        progress.add(1024);
                    }
                }
                WatchEvent::Entry(_) => {}
                WatchEvent::Ready => {
                    sink.record(&End { end: told })?;
                    return sink.finish();
                }
                WatchEvent::Interrupted { cause } => {
                    progress.note(&format!("interrupted: {cause}; waiting to go on"));
                }
                WatchEvent::Resumed { gap: false } => {}
                WatchEvent::Resumed { gap: true } => {
                    return Err(CliError::ExportBroken {
                        bucket: args.bucket,
                    });
                }
            }
        }
    }
}

/// Where the lines go.
#[derive(Debug)]
enum Sink<'a> {
    Stdout(&'a mut Output),
    /// Beside the file that it becomes.
    File(BufWriter<NamedTempFile>, &'a Path),
}

impl<'a> Sink<'a> {
    fn file(path: &'a Path) -> Result<Self, CliError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let failed = |error| CliError::Input {
            what: path.display().to_string(),
            error,
        };
        let file = NamedTempFile::new_in(folder).map_err(failed)?;
        Ok(Self::File(BufWriter::with_capacity(64 << 10, file), path))
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), CliError> {
        self.record(&EntryLine::new(entry))
    }

    fn record(&mut self, record: &impl Serialize) -> Result<(), CliError> {
        match self {
            Self::Stdout(output) => output.record(record),
            Self::File(writer, _) => Ok(write_record(writer, record)?),
        }
    }

    /// Everything has been told.
    fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Stdout(output) => output.flush(),
            Self::File(mut writer, path) => {
                writer.flush()?;
                let file = writer
                    .into_inner()
                    .map_err(std::io::IntoInnerError::into_error)?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}
