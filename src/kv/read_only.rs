//! A wrapper that refuses every write: the one place that decides what read-only means.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::backend::{
    Backend, BucketBackend, BucketConfig, BucketInfo, BucketReport, Capabilities, Change,
    Connection, Consistency, Overview, PlaceReport, Write,
};
use super::{BucketName, Entry, Error, Key, Notices, Revision, Watch, WatchOptions, WriteError};

/// A backend that reads and watches like the one inside, and refuses every write with
/// [`Error::ReadOnly`] before anything is sent.
#[derive(Debug)]
pub struct ReadOnly<B: ?Sized>(Arc<B>);

impl<B: ?Sized> ReadOnly<B> {
    /// The backend, without its writes.
    pub fn new(inner: Arc<B>) -> Self {
        Self(inner)
    }
}

fn refused<T>(action: impl Into<String>) -> Result<T, Error> {
    Err(Error::ReadOnly {
        action: action.into(),
    })
}

#[async_trait]
impl<B: Backend + ?Sized> Backend for ReadOnly<B> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: true,
            ..self.0.capabilities()
        }
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.0.connection()
    }

    async fn ping(&self) -> Result<Duration, Error> {
        self.0.ping().await
    }

    async fn overview(&self) -> Result<Overview, Error> {
        self.0.overview().await
    }

    async fn report(&self) -> Result<PlaceReport, Error> {
        self.0.report().await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        self.0.buckets().await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error> {
        let inner = self.0.bucket(name).await?;
        Ok(Arc::new(ReadOnlyBucket(inner)))
    }

    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        refused(format!("making the bucket {}", config.name))
    }

    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        refused(format!("changing the bucket {}", config.name))
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        refused(format!("deleting the bucket {name}"))
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// One bucket of a [`ReadOnly`] backend.
#[derive(Debug)]
struct ReadOnlyBucket(Arc<dyn BucketBackend>);

#[async_trait]
impl BucketBackend for ReadOnlyBucket {
    fn name(&self) -> &BucketName {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: true,
            ..self.0.capabilities()
        }
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.0.info().await
    }

    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error> {
        self.0.get(key, consistency).await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.0.get_revision(key, revision).await
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.0.history(key).await
    }

    async fn forget(&self, key: &Key, _: Revision) -> Result<bool, Error> {
        refused(format!("removing the marker of {key}"))
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        let verb = match write.change {
            Change::Put(_) => "putting",
            Change::Delete => "deleting",
            Change::Purge => "purging",
        };
        Ok(refused(format!("{verb} {}", write.key))?)
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.0.watch(options).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.0.report().await
    }

    async fn clock(&self) -> Result<Option<OffsetDateTime>, Error> {
        self.0.clock().await
    }

    async fn restore(&self, _entries: Vec<Entry>) -> Result<(), Error> {
        refused(format!("restoring {}", self.name()))
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.0.listen(name).await
    }

    /// Whoever can't write has nothing to tell of.
    async fn notify(&self, _: &str, _: Bytes) {}
}
