//! Which files this process has open, and whether one that it has not is ours. SQLite has no part
//! in this: it would make files beside one that isn't.
//!
//! Closing any descriptor of a file drops *all* POSIX locks that the process has on it, SQLite's
//! included. So a file is looked at only while this process has it open nowhere else, which the
//! list of [`Claim`]s tells.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::OpenOptions;
use crate::kv::Error;

/// Marks the file as ours, in its header: "KVSC".
pub(super) const APPLICATION_ID: i32 = 0x4b56_5343;
/// The newest format that this program knows, in the header too.
pub(super) const FORMAT: i32 = 2;

/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the header keeps its marks, and its length.
const PAGE_SIZE_AT: usize = 16;
const CHANGES_AT: usize = 24;
const PAGE_COUNT_AT: usize = 28;
const PAGE_COUNT_CHANGES_AT: usize = 92;
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;
const HEADER: usize = 100;

/// Says, as long as it lives, that this process has a file open.
#[derive(Debug)]
pub(super) struct Claim {
    identity: Identity,
    /// Whether there was no file before.
    is_new: bool,
}

/// What tells a file from another one at the same path: its device and its number there.
pub(super) type Identity = (u64, u64);

static CLAIMS: Mutex<Option<HashMap<Identity, usize>>> = Mutex::new(None);

fn claims() -> MutexGuard<'static, Option<HashMap<Identity, usize>>> {
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Claim {
    /// The file that it is on.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether there was no file before.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claims) = claims().as_mut()
            && let Some(count) = claims.get_mut(&self.identity)
        {
            *count -= 1;
            if *count == 0 {
                claims.remove(&self.identity);
            }
        }
    }
}

/// Finds the file, makes an empty one where that was asked, and refuses one that isn't ours
/// before SQLite gets to see it.
pub(super) fn claim(path: &Path, options: &OpenOptions) -> Result<(PathBuf, Claim), Error> {
    let failed = |detail: String| Error::File {
        path: path.to_owned(),
        detail,
    };
    let mut claims = claims();
    let claims = claims.get_or_insert_default();
    let mut is_new = false;
    if options.create && !options.read_only {
        let made = fs::File::options().write(true).create_new(true).open(path);
        match made {
            Ok(_) => is_new = true,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            // A file that is there in a place where none can be made is fine.
            Err(_) if path.exists() => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(failed(what_is_missing(path)));
            }
            Err(error) => return Err(failed(format!("it can't be made: {error}"))),
        }
    }
    let path = fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(what_is_missing(path)),
        _ => failed(format!("it can't be found: {error}")),
    })?;
    let metadata =
        fs::metadata(&path).map_err(|error| failed(format!("it can't be looked at: {error}")))?;
    if metadata.is_dir() {
        return Err(not_ours(&path, "it is a folder"));
    }
    if !metadata.is_file() {
        return Err(not_ours(&path, "it is no regular file"));
    }
    let identity = identity(&metadata);
    if !claims.contains_key(&identity) {
        look(&path, options)?;
    }
    *claims.entry(identity).or_insert(0) += 1;
    Ok((path, Claim { identity, is_new }))
}

/// Why a path leads nowhere.
fn what_is_missing(path: &Path) -> String {
    if fs::symlink_metadata(path).is_ok() {
        return "it is a link to a file that is not there".to_owned();
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            format!("there is no folder {}", folder.display())
        }
        _ => super::NO_SUCH_FILE.to_owned(),
    }
}

/// Reads the header.
fn look(path: &Path, options: &OpenOptions) -> Result<(), Error> {
    let mut header = Vec::with_capacity(HEADER);
    fs::File::open(path)
        .and_then(|file| file.take(HEADER as u64).read_to_end(&mut header))
        .map_err(|error| Error::File {
            path: path.to_owned(),
            detail: format!("it can't be read: {error}"),
        })?;
    if header.is_empty() {
        return if options.create && !options.read_only {
            Ok(())
        } else {
            Err(not_ours(path, "it is empty"))
        };
    }
    let mark = |at: usize| -> Option<i32> {
        let bytes = header.get(at..at + 4)?.try_into().ok()?;
        Some(i32::from_be_bytes(bytes))
    };
    match (mark(APPLICATION_ID_AT), mark(USER_VERSION_AT)) {
        (Some(application), Some(format)) if header.starts_with(MAGIC) => {
            check_marks(path, application, format)?;
            check_length(path, &header)
        }
        _ => Err(not_ours(path, "it is no SQLite database")),
    }
}

/// Refuses a file that is shorter than its header says. SQLite would make files beside it before
/// it found out, and take what is missing of the last page for zeros. A log may hold the rest.
fn check_length(path: &Path, header: &[u8]) -> Result<(), Error> {
    let number = |at: usize, length: usize| {
        let bytes = header.get(at..at + length).unwrap_or_default();
        bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
    };
    let page_size = match number(PAGE_SIZE_AT, 2) {
        // The largest size doesn't fit.
        1 => 65_536,
        size => size,
    };
    if number(CHANGES_AT, 4) != number(PAGE_COUNT_CHANGES_AT, 4) {
        // Another program wrote it last, which didn't count.
        return Ok(());
    }
    let expected = page_size * number(PAGE_COUNT_AT, 4);
    let length = || fs::metadata(path).map_or(0, |found| found.len());
    // What was in the log may have been moved into the file between the two looks.
    if length() < expected && is_log_empty(path) && length() < expected {
        let length = length();
        return Err(Error::Corrupt {
            path: path.to_owned(),
            detail: format!("it was cut off: {length} of its {expected} bytes are there"),
        });
    }
    Ok(())
}

#[cfg(unix)]
pub(super) fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere an open file can't be replaced, and locks belong to handles.
#[cfg(not(unix))]
pub(super) fn identity(_: &fs::Metadata) -> Identity {
    (0, 0)
}

pub(super) fn not_ours(path: &Path, found: impl Into<String>) -> Error {
    Error::NotOurs {
        path: path.to_owned(),
        found: found.into(),
    }
}

pub(super) fn check_marks(path: &Path, application: i32, format: i32) -> Result<(), Error> {
    if application != APPLICATION_ID {
        return Err(not_ours(path, "it is another program's SQLite database"));
    }
    if format > FORMAT {
        return Err(Error::File {
            path: path.to_owned(),
            detail: format!(
                "it has format {format}, and this program knows formats up to {FORMAT}. \
                 It was left as it is; a newer kvscope opens it"
            ),
        });
    }
    if format < 1 {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            detail: format!("it has format {format}, which no program ever wrote"),
        });
    }
    Ok(())
}

pub(super) fn path_beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub(super) fn is_log_empty(path: &Path) -> bool {
    match fs::metadata(path_beside(path, "-wal")) {
        Ok(log) => log.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
