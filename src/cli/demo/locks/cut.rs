//! A bucket that a service can be cut off from: nothing is answered until it is restored.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::kv::backend::{
    BucketBackend, BucketInfo, BucketReport, Capabilities, Consistency, Write,
};
use crate::kv::{
    BucketName, Entry, Error, Key, Notices, Revision, Store, Watch, WatchOptions, WriteError,
};

/// The way to a bucket: open or cut.
#[derive(Debug)]
pub(super) struct Cut(watch::Sender<bool>);

impl Cut {
    pub(super) fn cut(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn restore(&self) {
        self.0.send_replace(false);
    }
}

/// The same bucket, by a way that can be cut.
pub(super) fn cuttable(store: &Store) -> (Store, Cut) {
    let (sender, is_cut) = watch::channel(false);
    let bucket = Cuttable {
        inner: store.clone(),
        is_cut,
    };
    (Store::new(Arc::new(bucket)), Cut(sender))
}

#[derive(Debug)]
struct Cuttable {
    inner: Store,
    is_cut: watch::Receiver<bool>,
}

impl Cuttable {
    async fn way(&self) -> &dyn BucketBackend {
        // Whoever could cut it is gone: it stays open.
        let _ = self.is_cut.clone().wait_for(|is_cut| !is_cut).await;
        self.inner.backend()
    }
}

#[async_trait]
impl BucketBackend for Cuttable {
    fn name(&self) -> &BucketName {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.way().await.info().await
    }

    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error> {
        self.way().await.get(key, consistency).await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.way().await.get_revision(key, revision).await
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.way().await.history(key).await
    }

    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        self.way().await.forget(key, marker).await
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        self.way().await.write(write).await
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.way().await.watch(options).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.way().await.report().await
    }

    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error> {
        self.way().await.restore(entries).await
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.way().await.listen(name).await
    }

    async fn notify(&self, name: &str, notice: Bytes) {
        self.way().await.notify(name, notice).await;
    }
}
