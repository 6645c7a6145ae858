//! Opening the file, its connections, and whether it is still what was opened. No buckets here.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use time::OffsetDateTime;

use super::claim::{
    APPLICATION_ID, Claim, FORMAT, Identity, check_marks, claim, identity, is_log_empty, not_ours,
    path_beside,
};
use super::fault::{Fault, error_of};
use super::schema;
use super::{OpenOptions, archive};
use crate::kv::Error;

/// A file that was found to be ours, or was made so.
#[derive(Debug)]
pub(super) struct DbFile {
    path: PathBuf,
    read_only: bool,
    busy_timeout: Duration,
    claim: Claim,
    /// The files beside it that connections of this process have open. One of the connections
    /// stays open, so nobody who plays by the rules replaces them.
    beside: OnceLock<Beside>,
    /// When the copy was taken that it is, if it is one. Such a file is only read.
    taken: Option<OffsetDateTime>,
}

impl DbFile {
    /// Opens the file at this path, or makes it, and gives the connection that did.
    pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<(Self, Link), Error> {
        let (path, claim) = claim(path, options)?;
        let is_new = claim.is_new();
        let opened = Self::open_claimed(path.clone(), claim, options);
        if let (Err(Error::NoSpace { .. }), true) = (&opened, is_new)
            && fs::metadata(&path).is_ok_and(|found| found.len() == 0)
        {
            // Nobody could make anything of what is left.
            for ending in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(path_beside(&path, ending));
            }
        }
        opened
    }

    fn open_claimed(
        path: PathBuf,
        claim: Claim,
        options: &OpenOptions,
    ) -> Result<(Self, Link), Error> {
        let mut file = Self {
            path,
            read_only: options.read_only,
            busy_timeout: options.busy_timeout,
            claim,
            beside: OnceLock::new(),
            taken: None,
        };
        let mut link = file
            .connect()
            .map_err(|error| error_of(&error, &file.path, "opening it"))?;
        file.identify(&mut link.connection, options.create)?;
        let taken = archive::taken(&link.connection)
            .map_err(|error| error_of(&error, &file.path, "opening it"))?;
        if taken.is_some() && !file.read_only {
            drop(link);
            file.read_only = true;
            link = file
                .connect()
                .map_err(|error| error_of(&error, &file.path, "opening it"))?;
        }
        file.taken = taken;
        file.note_beside(&link);
        Ok((file, link))
    }

    /// Where it is, without symbolic links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// When the copy was taken that it is, if it is one.
    pub(super) fn taken(&self) -> Option<OffsetDateTime> {
        self.taken
    }

    /// Whether it was opened to be read only, or can only be read.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The path of the write-ahead log beside it.
    pub(super) fn log_path(&self) -> PathBuf {
        path_beside(&self.path, "-wal")
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

    /// A new connection to it, which has read the first page. For a file that only has to be
    /// read, this is where it shows that the folder can't hold the files beside it that SQLite
    /// needs.
    pub(super) fn connect(&self) -> rusqlite::Result<Link> {
        match self.connect_by(false) {
            Ok(connection) => Ok(Link {
                connection,
                alone_since: None,
            }),
            Err(error) if self.read_only && self.log_is_empty() => {
                let alone_since = Some(self.stamp());
                let connection = self.connect_by(true).map_err(|_| error)?;
                Ok(Link {
                    connection,
                    alone_since,
                })
            }
            Err(error) => Err(error),
        }
    }

    fn connect_by(&self, immutable: bool) -> rusqlite::Result<Connection> {
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        flags |= if self.read_only {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        };
        let connection = if immutable {
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
        header_mark(&connection, "application_id")?;
        Ok(connection)
    }

    /// Fails unless the path still leads to the file that was opened, and to the log beside it.
    /// Without this, writes could be acknowledged that go to a deleted file.
    pub(super) fn check_in_place(&self) -> Result<(), Error> {
        self.look_in_place().map_err(Absence::into_error)
    }

    /// The same, and says whether it may come back.
    pub(super) fn look_in_place(&self) -> Result<(), Absence> {
        let gone = |detail: &str| Error::File {
            path: self.path.clone(),
            detail: detail.to_owned(),
        };
        match fs::metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.claim.identity() => {
                self.check_beside().map_err(Absence::ForGood)
            }
            Ok(_) => Err(Absence::ForGood(gone(
                "another file was put in its place while it was open; open it again",
            ))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Absence::ForNow(
                gone("it was deleted or moved while it was open; nothing can be read or written"),
            )),
            Err(error) => {
                let why = format!("it can't be looked at: {error}");
                Err(Absence::ForNow(gone(&why)))
            }
        }
    }

    /// Notes which files a connection that was just made shares with other processes.
    pub(super) fn note_beside(&self, link: &Link) {
        if link.alone_since.is_none()
            && let Some(beside) = self.find_beside()
        {
            self.beside.get_or_init(|| beside);
        }
    }

    fn find_beside(&self) -> Option<Beside> {
        let look = |ending: &str| {
            let found = fs::metadata(path_beside(&self.path, ending)).ok()?;
            Some(identity(&found))
        };
        Some(Beside {
            log: look("-wal")?,
            index: look("-shm")?,
        })
    }

    /// Fails if the log or its index was taken away under an open connection.
    ///
    /// SQLite would go on with the deleted ones, while a connection that came later would make
    /// new ones: neither would see what the other writes, and both would write over it.
    fn check_beside(&self) -> Result<(), Error> {
        match self.beside.get() {
            Some(opened) if self.find_beside().as_ref() != Some(opened) => Err(Error::File {
                path: self.path.clone(),
                detail: "its -wal or -shm file was deleted or replaced while it was open. Close \
                         it in every program, which saves what was written, and open it again"
                    .to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether what a connection has read may be out of date for good.
    pub(super) fn has_outrun(&self, link: &Link) -> bool {
        let since = link.alone_since.as_ref();
        since.is_some_and(|since| !self.log_is_empty() || self.stamp() != *since)
    }

    fn stamp(&self) -> Stamp {
        let found = fs::metadata(&self.path).ok();
        Stamp(found.and_then(|found| Some((found.len(), found.modified().ok()?))))
    }

    fn log_is_empty(&self) -> bool {
        is_log_empty(&self.path)
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
        if !schema::is_whole(connection)? {
            return Err(Error::Corrupt {
                path: self.path.clone(),
                detail: "it is marked as a kvscope file and has not the tables of one".to_owned(),
            }
            .into());
        }
        if !self.read_only && archive::taken(connection)?.is_none() {
            bring_up(connection)?;
            self.use_log(connection)?;
            header_mark(connection, "application_id")?;
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

/// Why a file is not there that was opened.
#[derive(Debug)]
pub(super) enum Absence {
    /// It can come back, as when somebody moves it back.
    ForNow(Error),
    /// It has to be opened again.
    ForGood(Error),
}

impl Absence {
    fn into_error(self) -> Error {
        match self {
            Self::ForNow(error) | Self::ForGood(error) => error,
        }
    }
}

/// Brings a file that an older program made up to the format of this one.
fn bring_up(connection: &mut Connection) -> rusqlite::Result<()> {
    if header_mark(connection, "user_version")? >= FORMAT {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been first.
    let format = header_mark(&transaction, "user_version")?;
    if format < FORMAT {
        schema::bring_up(&transaction, format)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    transaction.commit()
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
    /// Set where nothing can be kept beside the file, and no log is there: SQLite reads it as one
    /// that nobody writes, without locks. Whoever has more rights may write it all the same.
    alone_since: Option<Stamp>,
}

/// The log beside the file, and the log's index.
#[derive(Debug, PartialEq, Eq)]
struct Beside {
    log: Identity,
    index: Identity,
}

/// The length of a file and when it was last written to.
#[derive(Debug, PartialEq, Eq)]
struct Stamp(Option<(u64, SystemTime)>);

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
