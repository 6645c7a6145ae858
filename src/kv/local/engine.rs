//! What all handles on one open file share: its threads, and the way to give them jobs.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rusqlite::Connection as Sqlite;
use tokio::sync::{oneshot, watch};

use super::OpenOptions;
use super::changes::{Changes, Notifier};
use super::fault::Fault;
use super::file::DbFile;
use super::worker::{KeyWrite, Order, Readers, Writer};
use crate::kv::backend::{Connection, Write};
use crate::kv::{BucketName, Error, Revision, WriteError};

/// One open file. Dropping it ends its threads, in the order of the fields, and closes the file.
pub(super) struct Engine {
    /// Started with the first watch: who only reads and writes needs none.
    notifier: OnceLock<Option<Notifier>>,
    readers: Readers,
    /// None where the file is only read. It ends after those that read: the last to close the
    /// file moves the log into it, and of two that close it at once neither may be the last.
    writer: Option<Writer>,
    changes: Arc<Changes>,
    file: Arc<DbFile>,
}

impl Engine {
    /// Opens the file. It blocks on the disk.
    pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let (file, link) = DbFile::open(path, options)?;
        let file = Arc::new(file);
        let changes = Arc::new(Changes::new());
        let no_threads = |error: std::io::Error| Error::File {
            path: path.to_owned(),
            detail: format!("no threads can be started for it: {error}"),
        };
        let (writer, readers) = if file.is_read_only() {
            (None, Readers::start(&file, Some(link)))
        } else {
            let writer = Writer::start(&file, link, Arc::clone(&changes));
            (
                Some(writer.map_err(no_threads)?),
                Readers::start(&file, None),
            )
        };
        Ok(Self {
            notifier: OnceLock::new(),
            readers: readers.map_err(no_threads)?,
            writer,
            changes,
            file,
        })
    }

    /// The file.
    pub(super) fn file(&self) -> &DbFile {
        &self.file
    }

    /// Whether every write is refused.
    pub(super) fn is_read_only(&self) -> bool {
        self.writer.is_none()
    }

    /// Something that changes whenever the file was written to, by whomever.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.notifier();
        self.changes.subscribe()
    }

    /// Whether the file is there.
    pub(super) fn connection(&self) -> watch::Receiver<Connection> {
        self.notifier();
        self.changes.connection()
    }

    /// Why others' writes are found by polling, if they are.
    pub(super) fn polls_because(&self) -> Option<&str> {
        self.notifier()?.polls_because()
    }

    fn notifier(&self) -> Option<&Notifier> {
        let started = self.notifier.get_or_init(|| {
            let orders = self.writer.as_ref().and_then(Writer::orders);
            Notifier::start(&self.file, Arc::clone(&self.changes), orders)
                .inspect_err(|error| tracing::error!(%error, "no thread to look for changes"))
                .ok()
        });
        started.as_ref()
    }

    /// Reads, on a thread for that. Dropping the future leaves nothing behind.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        what: String,
        job: impl FnOnce(&Sqlite) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.readers.submit(Box::new(move |session| {
            if !reply.is_closed() {
                // Nobody waits any more if this fails.
                let _ = reply.send(session.run(&what, |connection| job(connection)));
            }
        }))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Writes something other than a key, on the thread for that.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        action: String,
        job: impl FnOnce(&mut Sqlite) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let Some(writer) = &self.writer else {
            return Err(Error::ReadOnly { action });
        };
        let (reply, answer) = oneshot::channel();
        writer.submit(Order::Job(Box::new(move |session| {
            // Nobody waits any more if this fails.
            let _ = reply.send(session.run(&action, job));
        })))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Writes a key, on the thread for that.
    pub(super) async fn write(
        &self,
        bucket: BucketName,
        write: Write,
    ) -> Result<Revision, WriteError> {
        let key = write.key.clone();
        let Some(writer) = &self.writer else {
            return Err(WriteError::Failed(Error::ReadOnly {
                action: format!("writing {key}"),
            }));
        };
        let (reply, answer) = oneshot::channel();
        writer.submit(Order::Write(KeyWrite {
            bucket,
            write,
            reply,
        }))?;
        answer.await.map_err(|_| WriteError::Unknown {
            key,
            reason: "the thread that writes ended".to_owned(),
        })?
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("file", &self.file).finish()
    }
}
