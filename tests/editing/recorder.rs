//! What lies between an editor and the store: it takes down every write that the store takes, whether
//! the editor hears of it or not.

use std::sync::{Arc, Mutex};
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
use serde_json::Value;
use tokio::sync::watch;

use crate::storm::Accepted;

/// Everything that was taken, by all editors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording(Arc<Mutex<Vec<Accepted>>>);

impl Recording {
    pub(crate) fn taken(&self) -> Vec<Accepted> {
        self.0.lock().unwrap().clone()
    }
}

/// What one editor means to change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mind(Arc<Mutex<Vec<(String, Value)>>>);

impl Mind {
    pub(crate) fn set(&self, meant: &[(String, Value)]) {
        meant.clone_into(&mut self.0.lock().unwrap());
    }
}

/// The store of one editor.
#[derive(Debug)]
pub(crate) struct Recorder<T: ?Sized> {
    mind: Mind,
    recording: Recording,
    inner: Arc<T>,
}

impl<T: ?Sized> Recorder<T> {
    pub(crate) fn new(inner: Arc<T>, recording: &Recording) -> Self {
        Self {
            mind: Mind::default(),
            recording: recording.clone(),
            inner,
        }
    }

    pub(crate) fn mind(&self) -> Mind {
        self.mind.clone()
    }
}

#[async_trait]
impl Backend for Recorder<dyn Backend> {
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
        Ok(Arc::new(Recorder {
            mind: self.mind.clone(),
            recording: self.recording.clone(),
            inner: self.inner.bucket(name).await?,
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

#[async_trait]
impl BucketBackend for Recorder<dyn BucketBackend> {
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
        let Change::Put(value) = write.change.clone() else {
            panic!("nobody deletes");
        };
        let revision = self.inner.write(write).await?;
        self.recording.0.lock().unwrap().push(Accepted {
            revision: revision.0,
            value: String::from_utf8(value.to_vec()).unwrap(),
            meant: self.mind.0.lock().unwrap().clone(),
        });
        Ok(revision)
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
