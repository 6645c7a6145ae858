//! Writing a snapshot of all locks to files: one to open with `--local`, and JSON lines beside it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::kv::Error;
use crate::kv::backend::Backend;
use crate::kv::local::archive;
use crate::kv::lock::listing::LockRecord;
use crate::kv::lock::observer::{Freshness, Report};
use crate::kv::lock::snapshot::Snapshot;
use crate::ui::message::Written;

/// The ending of the files that are lines of JSON.
const JSON: &str = "json";

/// Writes a snapshot of a place to a file, and the same as JSON beside it; a name that ends in
/// `.json` asks for that alone. Never writes over a file.
pub(super) async fn write(
    place: &dyn Backend,
    taken: &Snapshot,
    path: &Path,
) -> Result<Written, Error> {
    let path = at_home(path);
    let lines = path.with_extension(JSON);
    let mut written = Written {
        files: Vec::new(),
        locks: taken.report.locks.len(),
        missing: doubts(&taken.report),
    };
    if path.extension() == Some(OsStr::new(JSON)) {
        write_lines(taken, &lines).await?;
        written.files.push(lines);
        return Ok(written);
    }
    if place.capabilities().as_of.is_some() {
        return Err(failed(
            &path,
            "this place is a snapshot already: copy its file".to_owned(),
        ));
    }
    // Before anything is written: both or none.
    if lines.exists() {
        return Err(failed(&lines, there_already()));
    }
    let contents = taken.contents(place).await?;
    let unread = contents.unread.iter();
    written
        .missing
        .extend(unread.map(|(bucket, reason)| format!("the records of {bucket}: {reason}")));
    archive(&path, taken.taken, contents.buckets).await?;
    written.files.push(path);
    write_lines(taken, &lines).await?;
    written.files.push(lines);
    Ok(written)
}

/// The path, with the user's own folder in the place of a `~`.
fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    }
}

async fn write_lines(taken: &Snapshot, path: &Path) -> Result<(), Error> {
    let (report, path) = (taken.report.clone(), path.to_owned());
    let shown = path.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let done = lines(&report, &path);
        if done
            .as_ref()
            .is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists)
        {
            // Half of it would be taken for the whole.
            let _ = std::fs::remove_file(&path);
        }
        done
    });
    let done = writing.await.map_err(|_| Error::Closed)?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => failed(&shown, there_already()),
        io::ErrorKind::StorageFull => Error::NoSpace {
            what: shown.display().to_string(),
            reason: "the disk is full".to_owned(),
        },
        _ => failed(&shown, format!("it can't be written: {error}")),
    })
}

fn lines(report: &Report, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::options().write(true).create_new(true).open(path)?);
    for lock in &report.locks {
        serde_json::to_writer(&mut file, &LockRecord::new(lock))?;
        file.write_all(b"\n")?;
    }
    file.into_inner()?.sync_all()
}

fn there_already() -> String {
    "there is a file already, which was left as it is".to_owned()
}

fn failed(path: &Path, detail: String) -> Error {
    Error::File {
        path: path.to_owned(),
        detail,
    }
}

/// The buckets whose locks are not told of as they were at that moment.
fn doubts(report: &Report) -> Vec<String> {
    let buckets = report.buckets.iter();
    let doubts = buckets.filter_map(|(bucket, freshness)| match freshness {
        Freshness::Live => None,
        Freshness::Loading => Some(format!("{bucket} was still being read")),
        Freshness::Stale { reason, .. } => Some(format!("{bucket} was out of date: {reason}")),
        Freshness::Failed { reason } => Some(format!("{bucket} can't be read: {reason}")),
    });
    doubts.collect()
}
