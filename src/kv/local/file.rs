//! The file itself: whether it is ours, opening it, and whether it is still there. No buckets here.
//!
//! Closing any descriptor of a file drops *all* POSIX locks that the process has on it, SQLite's
//! included. So a file is looked at without SQLite only while this process has it open nowhere
//! else, which the list of [`Claim`]s tells.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::OpenOptions;
use super::fault::{Fault, error_of};
use super::schema;
use crate::kv::Error;

/// Marks the file as ours, in its header: "KVSC".
pub(super) const APPLICATION_ID: i32 = 0x4b56_5343;
/// The newest format that this program knows, in the header too.
pub(super) const FORMAT: i32 = 1;

/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the header keeps its marks, and its length.
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;
const HEADER: usize = 100;

/// A file that was found to be ours, or was made so.
#[derive(Debug)]
pub(super) struct DbFile {
    path: PathBuf,
    read_only: bool,
    /// Nobody can write it, and there is no log: SQLite needs no locks, and could make none.
    immutable: bool,
    busy_timeout: Duration,
    claim: Claim,
}

impl DbFile {
    /// Opens the file at this path, or makes it, and gives the connection that did.
    pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<(Self, Connection), Error> {
        let (path, claim) = claim(path, options)?;
        let mut file = Self {
            path,
            read_only: options.read_only,
            immutable: false,
            busy_timeout: options.busy_timeout,
            claim,
        };
        let mut connection = match file.connect_and_look() {
            Ok(connection) => connection,
            Err(_) if options.read_only && file.log_is_empty() => {
                file.immutable = true;
                file.connect_and_look()
                    .map_err(|error| error_of(&error, &file.path, "opening it"))?
            }
            Err(error) => return Err(error_of(&error, &file.path, "opening it")),
        };
        file.identify(&mut connection, options.create)?;
        Ok((file, connection))
    }

    /// Where it is, without symbolic links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was opened to be read only.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The path of the write-ahead log beside it.
    pub(super) fn log_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        name.into()
    }

    /// Touches the log after a commit has become visible, so that other processes look again.
    /// By its path: see above for what closing it would do.
    pub(super) fn touch_log(&self) {
        #[cfg(unix)]
        {
            use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            };
            let times = Timestamps {
                last_access: now,
                last_modification: now,
            };
            if let Err(error) = utimensat(CWD, self.log_path(), &times, AtFlags::empty()) {
                tracing::debug!(%error, "the log can't be touched");
            }
        }
    }

    /// A new connection to it.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        flags |= if self.read_only {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        };
        let connection = if self.immutable {
            flags |= OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable_uri(&self.path), flags)?
        } else {
            Connection::open_with_flags(&self.path, flags)?
        };
        connection.busy_timeout(self.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON;
             PRAGMA journal_size_limit = 67108864;",
        )?;
        Ok(connection)
    }

    /// Fails unless the path still leads to the file that was opened. Without this, writes could
    /// be acknowledged that go to a deleted file.
    pub(super) fn check_in_place(&self) -> Result<(), Error> {
        let gone = |detail: &str| Error::File {
            path: self.path.clone(),
            detail: detail.to_owned(),
        };
        match fs::metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.claim.0 => Ok(()),
            Ok(_) => Err(gone(
                "another file was put in its place while it was open; open it again",
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(gone(
                "it was deleted or moved while it was open; nothing can be read or written",
            )),
            Err(error) => Err(gone(&format!("it can't be looked at: {error}"))),
        }
    }

    /// A connection that has read the first page. For a file that only has to be read, this is
    /// where it shows that the folder can't hold the files beside it that SQLite needs.
    fn connect_and_look(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect()?;
        header_mark(&connection, "application_id")?;
        Ok(connection)
    }

    fn log_is_empty(&self) -> bool {
        fs::metadata(self.log_path()).is_ok_and(|log| log.len() == 0) || !self.log_path().exists()
    }

    /// Makes sure that the file is one of ours, initialising an empty one where that was asked.
    fn identify(&self, connection: &mut Connection, create: bool) -> Result<(), Error> {
        self.try_identify(connection, create)
            .map_err(|fault| fault.into_error(&self.path, "opening it"))
    }

    fn try_identify(&self, connection: &mut Connection, create: bool) -> Result<(), Fault> {
        if !self.read_only && connection.is_readonly("main")? {
            return Err(Error::File {
                path: self.path.clone(),
                detail: "it can't be written. Open it read-only, or change its permissions"
                    .to_owned(),
            }
            .into());
        }
        if is_blank(connection)? {
            if !create || self.read_only {
                return Err(not_ours(&self.path, "it is empty").into());
            }
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been first.
            if is_blank(&transaction)? {
                transaction.execute_batch(schema::CREATE)?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.pragma_update(None, "user_version", FORMAT)?;
            }
            transaction.commit()?;
        }
        check_marks(
            &self.path,
            header_mark(connection, "application_id")?,
            header_mark(connection, "user_version")?,
        )?;
        if !self.read_only {
            self.use_log(connection)?;
        }
        Ok(())
    }

    /// Changes the file to write-ahead logging, which it then keeps.
    fn use_log(&self, connection: &Connection) -> rusqlite::Result<()> {
        let begun = std::time::Instant::now();
        loop {
            // SQLite doesn't wait for locks here by itself.
            match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
                Err(error)
                    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
                        && begun.elapsed() < self.busy_timeout =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                done => return done,
            }
        }
    }
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(byte.into());
        } else {
            // Writing to a string can't fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn header_mark(connection: &Connection, mark: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, mark, |row| row.get(0))
}

/// Whether nobody has made anything of the file yet.
fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 && header_mark(connection, "application_id")? == 0)
}

fn not_ours(path: &Path, found: impl Into<String>) -> Error {
    Error::NotOurs {
        path: path.to_owned(),
        found: found.into(),
    }
}

fn check_marks(path: &Path, application: i32, format: i32) -> Result<(), Error> {
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

/// Says, as long as it lives, that this process has a file open.
#[derive(Debug)]
struct Claim(Identity);

/// What tells a file from another one at the same path: its device and its number there.
type Identity = (u64, u64);

static CLAIMS: Mutex<Option<HashMap<Identity, usize>>> = Mutex::new(None);

fn claims() -> MutexGuard<'static, Option<HashMap<Identity, usize>>> {
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claims) = claims().as_mut()
            && let Some(count) = claims.get_mut(&self.0)
        {
            *count -= 1;
            if *count == 0 {
                claims.remove(&self.0);
            }
        }
    }
}

/// Finds the file, makes an empty one where that was asked, and refuses one that isn't ours
/// before SQLite gets to see it.
fn claim(path: &Path, options: &OpenOptions) -> Result<(PathBuf, Claim), Error> {
    let failed = |detail: String| Error::File {
        path: path.to_owned(),
        detail,
    };
    let mut claims = claims();
    let claims = claims.get_or_insert_default();
    if options.create && !options.read_only {
        let made = fs::File::options().write(true).create_new(true).open(path);
        match made {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            // A file that is there in a place where none can be made is fine.
            Err(_) if path.exists() => {}
            Err(error) => return Err(failed(format!("it can't be made: {error}"))),
        }
    }
    let path = fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed("there is no such file".to_owned()),
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
    Ok((path, Claim(identity)))
}

/// Reads the header without SQLite, which would make files beside one that isn't ours.
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
            check_marks(path, application, format)
        }
        _ => Err(not_ours(path, "it is no SQLite database")),
    }
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere an open file can't be replaced, and locks belong to handles.
#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Identity {
    (0, 0)
}
