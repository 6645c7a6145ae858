//! What lies between a simulated process and the one store that all of them share: a process that
//! dies or freezes takes its store with it, and everything that lands is looked at.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kvscope::kv::backend::{
    Backend, BucketBackend, BucketConfig, BucketInfo, BucketReport, Capabilities, Change,
    Connection, Consistency, Overview, PlaceReport, Write,
};
use kvscope::kv::{
    BucketName, Entry, Error, Key, Notices, Revision, Watch, WatchOptions, WriteError,
};
use tokio::sync::watch;

/// Whether a process can reach anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// It can.
    Beating,
    /// What it asks for is done when it thaws.
    Frozen,
    /// It never hears of anything again.
    Dead,
}

/// The store of one process: gone when the process is. A call that is under way when the process
/// dies may land, as in life.
#[derive(Debug)]
pub(crate) struct Mortal {
    pub(crate) inner: Arc<dyn BucketBackend>,
    pub(crate) pulse: watch::Receiver<Pulse>,
}

impl Mortal {
    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        let mut pulse = self.pulse.clone();
        // Nobody thaws the dead; nor is anybody waited for who has left.
        if pulse
            .wait_for(|pulse| *pulse == Pulse::Beating)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
        let done = call.await;
        if pulse
            .wait_for(|pulse| *pulse == Pulse::Beating)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
        done
    }
}

#[async_trait]
impl BucketBackend for Mortal {
    fn name(&self) -> &BucketName {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.call(self.inner.info()).await
    }

    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error> {
        self.call(self.inner.get(key, consistency)).await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.call(self.inner.get_revision(key, revision)).await
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.call(self.inner.history(key)).await
    }

    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        self.call(self.inner.forget(key, marker)).await
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        self.call(self.inner.write(write)).await
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.call(self.inner.watch(options)).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.call(self.inner.report()).await
    }

    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error> {
        self.call(self.inner.restore(entries)).await
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.call(self.inner.listen(name)).await
    }

    async fn notify(&self, name: &str, notice: Bytes) {
        self.call(self.inner.notify(name, notice)).await;
    }
}

/// Looks at every write that lands.
pub(crate) trait Witness: Send + Sync + 'static {
    /// A value was put on that base.
    fn landed(&self, key: &Key, base: Option<Revision>, at: Revision, value: Option<&[u8]>);
}

/// The store with a witness, under everything that can fail.
pub(crate) struct Witnessed<W> {
    pub(crate) inner: Arc<dyn Backend>,
    pub(crate) witness: Arc<W>,
}

impl<W> fmt::Debug for Witnessed<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witnessed")
    }
}

#[async_trait]
impl<W: Witness> Backend for Witnessed<W> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
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
        Ok(Arc::new(WitnessedBucket {
            inner: self.inner.bucket(name).await?,
            witness: Arc::clone(&self.witness),
        }))
    }

    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        self.inner.create_bucket(config).await
    }

    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        self.inner.change_bucket(config).await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        self.inner.delete_bucket(name).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

struct WitnessedBucket<W> {
    inner: Arc<dyn BucketBackend>,
    witness: Arc<W>,
}

impl<W> fmt::Debug for WitnessedBucket<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WitnessedBucket")
    }
}

#[async_trait]
impl<W: Witness> BucketBackend for WitnessedBucket<W> {
    fn name(&self) -> &BucketName {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
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
        self.inner.forget(key, marker).await
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        let (key, base, change) = (write.key.clone(), write.expected, write.change.clone());
        let at = self.inner.write(write).await?;
        let value = match &change {
            Change::Put(value) => Some(&**value),
            Change::Delete | Change::Purge => None,
        };
        self.witness.landed(&key, base, at, value);
        Ok(at)
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.inner.watch(options).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.inner.report().await
    }

    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error> {
        self.inner.restore(entries).await
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.inner.listen(name).await
    }

    async fn notify(&self, name: &str, notice: Bytes) {
        self.inner.notify(name, notice).await;
    }
}
