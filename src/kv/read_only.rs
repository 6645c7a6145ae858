//! A wrapper that refuses every write: the one place that decides what read-only means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
pub struct ReadOnly<B: ?Sized> {
    inner: Arc<B>,
    switch: ReadOnlySwitch,
}

impl<B: ?Sized> ReadOnly<B> {
    /// The backend, without its writes.
    pub fn new(inner: Arc<B>) -> Self {
        Self::switched(inner, ReadOnlySwitch::new(true))
    }

    /// The backend, without its writes while the switch is on. What is read-only inside stays so.
    pub fn switched(inner: Arc<B>, switch: ReadOnlySwitch) -> Self {
        Self { inner, switch }
    }
}

/// Whether writes are refused. It is looked at by every single write, so that handles that were
/// taken before obey it too; what is under way already is not called back.
#[derive(Debug, Clone, Default)]
pub struct ReadOnlySwitch(Arc<AtomicBool>);

impl ReadOnlySwitch {
    /// A switch that is on or off.
    pub fn new(on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(on)))
    }

    /// Turns it on or off, for everything that has it.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Refuses an action while it is on.
    fn check(&self, action: impl FnOnce() -> String) -> Result<(), Error> {
        if self.is_on() {
            return Err(Error::ReadOnly { action: action() });
        }
        Ok(())
    }
}

#[async_trait]
impl<B: Backend + ?Sized> Backend for ReadOnly<B> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.switch.is_on() || self.inner.capabilities().read_only,
            ..self.inner.capabilities()
        }
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.inner.connection()
    }

    async fn ping(&self) -> Result<Duration, Error> {
        self.inner.ping().await
    }

    async fn overview(&self) -> Result<Overview, Error> {
        self.inner.overview().await
    }

    async fn report(&self) -> Result<PlaceReport, Error> {
        self.inner.report().await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        self.inner.buckets().await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error> {
        let inner = self.inner.bucket(name).await?;
        Ok(Arc::new(ReadOnlyBucket {
            inner,
            switch: self.switch.clone(),
        }))
    }

    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        self.switch
            .check(|| format!("making the bucket {}", config.name))?;
        self.inner.create_bucket(config).await
    }

    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        self.switch
            .check(|| format!("changing the bucket {}", config.name))?;
        self.inner.change_bucket(config).await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        self.switch
            .check(|| format!("deleting the bucket {name}"))?;
        self.inner.delete_bucket(name).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// One bucket of a [`ReadOnly`] backend.
#[derive(Debug)]
struct ReadOnlyBucket {
    inner: Arc<dyn BucketBackend>,
    switch: ReadOnlySwitch,
}

#[async_trait]
impl BucketBackend for ReadOnlyBucket {
    fn name(&self) -> &BucketName {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.switch.is_on() || self.inner.capabilities().read_only,
            ..self.inner.capabilities()
        }
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.inner.info().await
    }

    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error> {
        self.inner.get(key, consistency).await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.inner.get_revision(key, revision).await
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.inner.history(key).await
    }

    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        self.switch
            .check(|| format!("removing the marker of {key}"))?;
        self.inner.forget(key, marker).await
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        let verb = match write.change {
            Change::Put(_) => "putting",
            Change::Delete => "deleting",
            Change::Purge => "purging",
        };
        self.switch.check(|| format!("{verb} {}", write.key))?;
        self.inner.write(write).await
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.inner.watch(options).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.inner.report().await
    }

    async fn clock(&self) -> Result<Option<OffsetDateTime>, Error> {
        self.inner.clock().await
    }

    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error> {
        self.switch.check(|| format!("restoring {}", self.name()))?;
        self.inner.restore(entries).await
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.inner.listen(name).await
    }

    /// Whoever can't write has nothing to tell of.
    async fn notify(&self, name: &str, notice: Bytes) {
        if !self.switch.is_on() {
            self.inner.notify(name, notice).await;
        }
    }
}
