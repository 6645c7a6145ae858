//! The engine over an SQLite file. The only place that imports `rusqlite`.
//!
//! Several processes can have the file open at once; each sees the others' writes at once. A file
//! keeps several buckets, with the semantics of JetStream's: revisions, history, markers and times
//! to live. The parts:
//! - `claim`: is it ours. `file`: open it, is it still there. `schema`: its tables.
//! - `read`, `write`, `buckets`: what is done in one transaction, without threads.
//! - `worker`: the threads that do it. `engine`: handing them jobs.
//! - `changes`: learning of others' writes. `feed`: telling a watch.
//! - `archive`: a file that is a copy of another place.
//! - `fault`: SQLite's errors in the engine's words.

mod archive;
mod bucket;
mod buckets;
mod changes;
mod claim;
mod engine;
mod fault;
mod feed;
mod file;
mod read;
mod schema;
mod worker;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub use self::archive::archive;
use self::bucket::LocalBucket;
use self::engine::Engine;
use self::fault::Fault;
use self::schema::BucketRow;
use super::backend::{
    Backend, BucketBackend, BucketConfig, BucketInfo, Capabilities, Connection, Fact, FactValue,
    MAX_HISTORY, Overview, PlaceReport, Section, Write,
};
use super::{BucketName, Error, Key, Revision, WriteError};

/// The largest value in bytes, the most that a NATS server can be set up to take too.
const MAX_VALUE_SIZE: u64 = 64 << 20;

/// How [`Error::File`] tells that there is no file to open.
pub(crate) const NO_SUCH_FILE: &str = "there is no such file";

/// How to open a file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Make the file if there is none, or if there is an empty one.
    pub create: bool,
    /// Never write to it. Every write is refused with [`Error::ReadOnly`].
    pub read_only: bool,
    /// How long to wait while another process writes.
    pub busy_timeout: Duration,
}

impl Default for OpenOptions {
    /// To read and write a file that is there, waiting 5 seconds for others.
    fn default() -> Self {
        Self {
            create: false,
            read_only: false,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

impl OpenOptions {
    /// To read and write a file that is there or is made.
    pub fn create() -> Self {
        Self {
            create: true,
            ..Self::default()
        }
    }

    /// To read a file that is there.
    pub fn read_only() -> Self {
        Self {
            read_only: true,
            ..Self::default()
        }
    }
}

/// A file of buckets.
///
/// The file is closed, and its threads have ended, when this and every bucket and watch that came
/// from it have been dropped. Dropping the last one waits for the write that is under way.
#[derive(Debug)]
pub struct LocalBackend {
    engine: Arc<Engine>,
}

impl LocalBackend {
    /// Opens a file, or makes one.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for what is no file of ours, which is then left as it is;
    /// [`Error::Corrupt`] for a damaged one; [`Error::File`] for one that can't be opened as the
    /// options ask or has a newer format; [`Error::NoSpace`] where it can't be made.
    ///
    /// Cancel-safe: a file whose opening was given up is closed again.
    pub async fn open(path: impl AsRef<Path>, options: OpenOptions) -> Result<Arc<Self>, Error> {
        let path = path.as_ref().to_owned();
        let no_thread = |path: &Path, detail: String| Error::File {
            path: path.to_owned(),
            detail,
        };
        let (reply, answer) = oneshot::channel();
        let opening = {
            let path = path.clone();
            worker::spawn("kvscope-open", move || {
                let _ = reply.send(Engine::open(&path, &options));
            })
        };
        opening.map_err(|error| no_thread(&path, format!("no thread to open it: {error}")))?;
        let engine = answer
            .await
            .map_err(|_| no_thread(&path, "opening it ended early".to_owned()))??;
        Ok(Arc::new(Self {
            engine: Arc::new(engine),
        }))
    }

    /// Where the file is, without symbolic links.
    pub fn path(&self) -> &Path {
        self.engine.file().path()
    }

    /// Writes a value to a key that [`Key::new`] may refuse, as another program could have.
    #[doc(hidden)]
    pub async fn plant(
        &self,
        bucket: &BucketName,
        key: &str,
        value: impl Into<Bytes>,
    ) -> Result<Revision, WriteError> {
        let write = Write::put(Key::from_stored(key), value);
        self.engine.write(bucket.clone(), write).await
    }

    async fn file_section(&self) -> Result<Section, Error> {
        let (pages, free, page_size) = self
            .engine
            .read("measuring the file".to_owned(), |connection| {
                let mark = |name: &str| -> Result<u64, Fault> {
                    let number = connection.pragma_query_value(None, name, |row| row.get(0))?;
                    Ok(schema::count(number))
                };
                Ok((
                    mark("page_count")?,
                    mark("freelist_count")?,
                    mark("page_size")?,
                ))
            })
            .await?;
        let log = std::fs::metadata(self.engine.file().log_path());
        Ok(Section {
            title: "File",
            facts: vec![
                bytes("size", pages * page_size),
                bytes("of it free", free * page_size),
                bytes("write-ahead log", log.map_or(0, |log| log.len())),
                bytes("page size", page_size),
                text("format", claim::FORMAT.to_string()),
            ],
        })
    }
}

fn bytes(name: &'static str, used: u64) -> Fact {
    Fact {
        name,
        value: FactValue::Bytes { used, limit: None },
    }
}

fn text(name: &'static str, words: impl Into<String>) -> Fact {
    Fact {
        name,
        value: FactValue::Text(words.into()),
    }
}

fn capabilities(engine: &Engine) -> Capabilities {
    Capabilities {
        entry_ttl: true,
        settings: buckets::SETTINGS,
        max_history: MAX_HISTORY,
        max_value_size: Some(MAX_VALUE_SIZE),
        restores: true,
        read_only: engine.is_read_only(),
        as_of: engine.file().taken(),
        ..Capabilities::minimal()
    }
}

#[async_trait]
impl Backend for LocalBackend {
    fn capabilities(&self) -> Capabilities {
        capabilities(&self.engine)
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.engine.connection()
    }

    async fn ping(&self) -> Result<Duration, Error> {
        let begun = Instant::now();
        self.engine
            .read("reading the file's header".to_owned(), |connection| {
                Ok(connection.pragma_query_value(None, "schema_version", |_| Ok(()))?)
            })
            .await?;
        Ok(begun.elapsed())
    }

    async fn overview(&self) -> Result<Overview, Error> {
        let file = self.file_section().await?;
        let buckets = self.buckets().await?;
        let sum = |of: fn(&BucketInfo) -> u64| buckets.iter().map(of).sum();
        let count = |name, used| Fact {
            name,
            value: FactValue::Count { used, limit: None },
        };
        let changes = match self.engine.polls_because() {
            None => "by file notifications".to_owned(),
            Some(reason) => format!("by polling, because there are no notifications: {reason}"),
        };
        Ok(Overview {
            address: self.path().display().to_string(),
            engine: format!("SQLite {}", rusqlite::version()),
            sections: vec![
                file,
                Section {
                    title: "Buckets",
                    facts: vec![
                        count("buckets", buckets.len() as u64),
                        count("keys", sum(|bucket| bucket.keys)),
                        count("entries", sum(|bucket| bucket.entries)),
                        bytes("keys and values", sum(|bucket| bucket.bytes)),
                    ],
                },
                Section {
                    title: "Access",
                    facts: vec![
                        text(
                            "opened for",
                            if self.engine.is_read_only() {
                                "reading"
                            } else {
                                "reading and writing"
                            },
                        ),
                        text("durability", "each write is synced to disk"),
                        text("others' writes are seen", changes),
                    ],
                },
            ],
        })
    }

    async fn report(&self) -> Result<PlaceReport, Error> {
        Ok(PlaceReport::default())
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        let rows = self
            .engine
            .read("listing the buckets".to_owned(), |connection| {
                Ok(BucketRow::all(connection)?)
            })
            .await?;
        Ok(rows.into_iter().map(|row| row.info).collect())
    }

    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error> {
        let bucket = LocalBucket::new(Arc::clone(&self.engine), name.clone());
        bucket.info().await?;
        Ok(Arc::new(bucket))
    }

    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        buckets::check(config)?;
        let action = format!("making the bucket {}", config.name);
        let config = config.clone();
        self.engine
            .change(action, move |connection| {
                buckets::create(connection, &config)
            })
            .await
    }

    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        buckets::check(config)?;
        let action = format!("changing the bucket {}", config.name);
        let config = config.clone();
        self.engine
            .change(action, move |connection| {
                buckets::change(connection, &config)
            })
            .await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        let action = format!("deleting the bucket {name}");
        let name = name.clone();
        self.engine
            .change(action, move |connection| buckets::delete(connection, &name))
            .await
    }

    /// A watch ends here with its handle.
    async fn close(&self) {}
}
