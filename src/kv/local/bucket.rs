//! The handle on one bucket of a file.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::buckets::is_entry_ttl;
use super::engine::Engine;
use super::feed::Feed;
use super::write::forget_key;
use super::{read, write};
use crate::kv::backend::{
    BucketBackend, BucketInfo, BucketReport, Capabilities, Change, Consistency, Write,
};
use crate::kv::{
    BucketName, Entry, Error, Key, Notices, Revision, Watch, WatchOptions, WriteError,
    watch_channel,
};

/// One bucket of a file.
#[derive(Debug)]
pub(super) struct LocalBucket {
    engine: Arc<Engine>,
    name: BucketName,
}

impl LocalBucket {
    pub(super) fn new(engine: Arc<Engine>, name: BucketName) -> Self {
        Self { engine, name }
    }
}

#[async_trait]
impl BucketBackend for LocalBucket {
    fn name(&self) -> &BucketName {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        super::capabilities(&self.engine)
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        let name = self.name.clone();
        self.engine
            .read(format!("reading the bucket {name}"), move |connection| {
                Ok(read::bucket(connection, &name)?.info)
            })
            .await
    }

    async fn get(&self, key: &Key, _: Consistency) -> Result<Option<Entry>, Error> {
        let (name, key) = (self.name.clone(), key.clone());
        self.engine
            .read(format!("reading {key}"), move |connection| {
                read::newest(connection, &name, &key)
            })
            .await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        let (name, key) = (self.name.clone(), key.clone());
        self.engine
            .read(
                format!("reading {key} at revision {revision}"),
                move |connection| read::at_revision(connection, &name, &key, revision),
            )
            .await
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        let (name, key) = (self.name.clone(), key.clone());
        self.engine
            .read(format!("reading the history of {key}"), move |connection| {
                read::history(connection, &name, &key)
            })
            .await
    }

    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        let (name, key) = (self.name.clone(), key.clone());
        self.engine
            .change(format!("removing the marker of {key}"), move |connection| {
                forget_key(connection, &name, key.as_str(), marker)
            })
            .await
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        if matches!(write.change, Change::Put(_)) {
            write.key.check_writable()?;
        }
        if let Some(ttl) = write.ttl
            && !is_entry_ttl(ttl)
        {
            return Err(WriteError::Failed(Error::Unsupported {
                what: "this time to live",
                reason: format!(
                    "{} s is not a number of whole seconds, from 1 to those of 100 years",
                    ttl.as_secs_f64()
                ),
            }));
        }
        self.engine.write(self.name.clone(), write).await
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        let (sender, watch) = watch_channel();
        let (engine, name) = (Arc::clone(&self.engine), self.name.clone());
        let feed = Feed::begin(engine, name, options, sender).await?;
        Ok(watch.fed_by(tokio::spawn(feed.run())))
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.info().await?;
        Ok(BucketReport::default())
    }

    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error> {
        let name = self.name.clone();
        self.engine
            .change(format!("restoring {name}"), move |connection| {
                write::restore(connection, &name, &entries)
            })
            .await
    }

    async fn listen(&self, _: &str) -> Result<Option<Notices>, Error> {
        Ok(None)
    }

    async fn notify(&self, _: &str, _: Bytes) {}
}
