//! A place whose entries are what a test says: keys that no client could write, at times that
//! never change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kvscope::kv::backend::{
    Backend, BucketBackend, BucketConfig, BucketInfo, BucketReport, Capabilities, Connection,
    Consistency, Fact, FactValue, Origin, Overview, PlaceReport, Section, Write,
};
use kvscope::kv::{
    BucketName, Entry, Error, Key, Notices, Operation, Revision, Watch, WatchEvent, WatchFrom,
    WatchOptions, WatchSender, WriteError, watch_channel,
};
use time::OffsetDateTime;

/// The place. Clones share the entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planted {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    buckets: Mutex<Vec<Bed>>,
}

/// A bucket.
#[derive(Debug)]
struct Bed {
    info: BucketInfo,
    entries: Vec<Entry>,
    watches: Vec<WatchSender>,
}

impl Planted {
    fn buckets(&self) -> MutexGuard<'_, Vec<Bed>> {
        let buckets = self.shared.buckets.lock();
        buckets.unwrap_or_else(PoisonError::into_inner)
    }

    /// Plants an entry, at a time in milliseconds since 1970; its bucket is made where it is
    /// missing.
    pub(crate) fn plant(&self, bucket: &str, key: &str, value: impl AsRef<[u8]>, at: i64) {
        self.grow(bucket, key, Operation::Put, value.as_ref(), at);
    }

    /// Plants a marker.
    pub(crate) fn delete(&self, bucket: &str, key: &str, at: i64) {
        self.grow(bucket, key, Operation::Delete, b"", at);
    }

    /// Makes a bucket a copy of another one.
    pub(crate) fn mirror(&self, bucket: &str, of: &str) {
        let mut buckets = self.buckets();
        let mut beds = buckets.iter_mut();
        let bed = beds.find(|bed| bed.info.config.name.as_str() == bucket);
        bed.unwrap().info.config.mirror = Some(Origin {
            bucket: BucketName::new(of).unwrap(),
            domain: None,
        });
    }

    fn grow(&self, bucket: &str, key: &str, operation: Operation, value: &[u8], at: i64) {
        let created = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
        let created = created.unwrap();
        let name = BucketName::new(bucket).unwrap();
        let mut buckets = self.buckets();
        let revision = 8_000
            + buckets
                .iter()
                .map(|bed| bed.entries.len() as u64)
                .sum::<u64>();
        if !buckets.iter().any(|bed| bed.info.config.name == name) {
            let mut config = BucketConfig::new(name.clone());
            config.history = 5;
            buckets.push(Bed {
                info: BucketInfo::new(config, created),
                entries: Vec::new(),
                watches: Vec::new(),
            });
        }
        let bed = buckets.iter_mut().find(|bed| bed.info.config.name == name);
        let bed = bed.unwrap();
        let entry = Entry {
            key: Key::from_stored(key),
            revision: Revision(revision),
            created,
            operation,
            size: value.len() as u64,
            value: Some(value.to_vec().into()),
            ttl: None,
            expires: None,
        };
        let told = Entry {
            value: None,
            ..entry.clone()
        };
        bed.watches
            .iter()
            .for_each(|watch| watch.send(WatchEvent::Entry(told.clone())));
        bed.info.keys += u64::from(!bed.entries.iter().any(|before| before.key == entry.key));
        bed.info.bytes += entry.size;
        bed.entries.push(entry);
    }
}

#[async_trait]
impl Backend for Planted {
    fn capabilities(&self) -> Capabilities {
        Capabilities::minimal()
    }

    fn connection(&self) -> tokio::sync::watch::Receiver<Connection> {
        // The last value stays readable when the sender is gone.
        tokio::sync::watch::channel(Connection::Connected).1
    }

    async fn ping(&self) -> Result<Duration, Error> {
        Ok(Duration::from_micros(400))
    }

    async fn overview(&self) -> Result<Overview, Error> {
        let count = |used, limit| FactValue::Count { used, limit };
        Ok(Overview {
            address: "planted".to_owned(),
            engine: "a test".to_owned(),
            sections: vec![Section {
                title: "Limits",
                facts: vec![
                    Fact {
                        name: "streams",
                        value: count(3, Some(10)),
                    },
                    Fact {
                        name: "storage",
                        value: FactValue::Bytes {
                            used: 1 << 20,
                            limit: None,
                        },
                    },
                ],
            }],
        })
    }

    async fn report(&self) -> Result<PlaceReport, Error> {
        Ok(PlaceReport::default())
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        let buckets = self.buckets();
        Ok(buckets.iter().map(|bed| bed.info.clone()).collect())
    }

    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error> {
        Ok(Arc::new(PlantedBucket {
            planted: self.clone(),
            name: name.clone(),
        }))
    }

    async fn create_bucket(&self, _: &BucketConfig) -> Result<BucketInfo, Error> {
        Err(Error::Closed)
    }

    async fn change_bucket(&self, _: &BucketConfig) -> Result<BucketInfo, Error> {
        Err(Error::Closed)
    }

    async fn delete_bucket(&self, _: &BucketName) -> Result<(), Error> {
        Err(Error::Closed)
    }

    async fn close(&self) {}
}

#[derive(Debug)]
struct PlantedBucket {
    planted: Planted,
    name: BucketName,
}

impl PlantedBucket {
    fn bed<T>(&self, look: impl FnOnce(&mut Bed) -> T) -> Result<T, Error> {
        let mut buckets = self.planted.buckets();
        let bed = buckets
            .iter_mut()
            .find(|bed| bed.info.config.name == self.name);
        bed.map(look).ok_or_else(|| Error::NoSuchBucket {
            bucket: self.name.to_string(),
        })
    }
}

#[async_trait]
impl BucketBackend for PlantedBucket {
    fn name(&self) -> &BucketName {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::minimal()
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.bed(|bed| bed.info.clone())
    }

    async fn get(&self, key: &Key, _: Consistency) -> Result<Option<Entry>, Error> {
        self.bed(|bed| bed.entries.iter().rfind(|entry| entry.key == *key).cloned())
    }

    async fn get_revision(&self, _: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.bed(|bed| bed.entries.iter().find(|e| e.revision == revision).cloned())
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.bed(|bed| {
            let entries = bed.entries.iter();
            entries.filter(|entry| entry.key == *key).cloned().collect()
        })
    }

    async fn forget(&self, _: &Key, _: Revision) -> Result<bool, Error> {
        Err(Error::Closed)
    }

    async fn write(&self, _: Write) -> Result<Revision, WriteError> {
        Err(Error::Closed.into())
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        let (sender, watch) = watch_channel();
        self.bed(|bed| {
            if options.from != WatchFrom::Now {
                sender.send_all(bed.entries.iter().map(|entry| {
                    WatchEvent::Entry(Entry {
                        value: None,
                        ..entry.clone()
                    })
                }));
            }
            sender.send(WatchEvent::Ready);
            bed.watches.push(sender);
        })?;
        Ok(watch)
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        Ok(BucketReport::default())
    }

    async fn restore(&self, _: Vec<Entry>) -> Result<(), Error> {
        Err(Error::Closed)
    }

    async fn listen(&self, _: &str) -> Result<Option<Notices>, Error> {
        Ok(None)
    }

    async fn notify(&self, _: &str, _: Bytes) {}
}
