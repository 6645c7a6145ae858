//! A wrapper that makes what can go wrong go wrong on purpose: for tests of everything above.
//!
//! What to do when is in [`Faults`]; how a watch is cut and goes on is in `cut.rs`. Nothing is
//! random but by a seed.

mod cut;
mod faults;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::watch;

pub use self::faults::{Faults, Odds, WriteFault};
use super::backend::{
    Backend, BucketBackend, BucketConfig, BucketInfo, BucketReport, Capabilities, Connection,
    Consistency, Overview, PlaceReport, Write,
};
use super::{BucketName, Entry, Error, Key, Notices, Revision, Watch, WatchOptions, WriteError};

/// A backend that does what the one inside does, but for the faults that it was told to make.
///
/// Its [`connection`](Backend::connection) shows the cuts that were made here, not those inside.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Backend>,
    faults: Faults,
}

impl Faulty {
    /// The backend without any faults yet, and what to set them with.
    pub fn new(inner: Arc<dyn Backend>) -> (Self, Faults) {
        let control = Faults::none();
        let faults = control.clone();
        (Self { inner, faults }, control)
    }
}

#[async_trait]
impl Backend for Faulty {
    fn capabilities(&self) -> Capabilities {
        self.faults.capabilities(self.inner.capabilities())
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.faults.connection()
    }

    async fn ping(&self) -> Result<Duration, Error> {
        self.faults.before_read("a ping").await?;
        self.inner.ping().await
    }

    async fn overview(&self) -> Result<Overview, Error> {
        self.faults.before_read("an overview").await?;
        self.inner.overview().await
    }

    async fn report(&self) -> Result<PlaceReport, Error> {
        self.faults.before_read("a report").await?;
        self.inner.report().await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        self.faults.before_read("the buckets").await?;
        self.inner.buckets().await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error> {
        self.faults.before_read("a bucket").await?;
        Ok(Arc::new(FaultyBucket {
            inner: self.inner.bucket(name).await?,
            faults: self.faults.clone(),
        }))
    }

    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        self.faults.before_read("making a bucket").await?;
        self.inner.create_bucket(config).await
    }

    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        self.faults.before_read("changing a bucket").await?;
        self.inner.change_bucket(config).await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        self.faults.before_read("deleting a bucket").await?;
        self.inner.delete_bucket(name).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[derive(Debug)]
struct FaultyBucket {
    inner: Arc<dyn BucketBackend>,
    faults: Faults,
}

#[async_trait]
impl BucketBackend for FaultyBucket {
    fn name(&self) -> &BucketName {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.faults.capabilities(self.inner.capabilities())
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.faults.before_read("the bucket's state").await?;
        self.inner.info().await
    }

    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error> {
        self.faults.before_read("a key").await?;
        self.inner.get(key, consistency).await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.faults.before_read("a revision").await?;
        self.inner.get_revision(key, revision).await
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.faults.before_read("a history").await?;
        self.inner.history(key).await
    }

    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        self.faults.before_read("removing a marker").await?;
        self.inner.forget(key, marker).await
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        let fault = self.faults.before_write().await?;
        let key = write.key.clone();
        let unknown = |reason: &str| {
            Err(WriteError::Unknown {
                key: key.clone(),
                reason: reason.to_owned(),
            })
        };
        match fault {
            None => self.inner.write(write).await,
            Some(WriteFault::Fail) => Err(WriteError::Failed(Error::Refused {
                what: format!("writing {key}"),
                code: 503,
                message: "a fault was asked for".to_owned(),
            })),
            Some(WriteFault::LoseAck) => {
                // Whatever came of it, nobody hears of it.
                self.inner.write(write).await.ok();
                unknown("the acknowledgement was lost on purpose")
            }
            Some(WriteFault::Drop) => unknown("the request was lost on purpose"),
            Some(WriteFault::Late) => {
                self.faults.hold_back(Arc::clone(&self.inner), write);
                unknown("the request is late on purpose")
            }
        }
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.faults.before_read("a watch").await?;
        cut::watch(Arc::clone(&self.inner), options, self.faults.link()).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.faults.before_read("a report").await?;
        self.inner.report().await
    }

    async fn clock(&self) -> Result<Option<OffsetDateTime>, Error> {
        self.faults.before_read("the store's clock").await?;
        self.inner.clock().await
    }

    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error> {
        self.faults.before_read("restoring entries").await?;
        self.inner.restore(entries).await
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.faults.before_read("listening").await?;
        self.inner.listen(name).await
    }

    async fn notify(&self, name: &str, notice: Bytes) {
        if self.faults.passes_notice() {
            self.inner.notify(name, notice).await;
        }
    }
}
