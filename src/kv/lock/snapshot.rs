//! All locks of a place as they were at one moment, with their verdicts and their past, to be looked
//! at later and elsewhere.
//!
//! A copy of a place holds the records of its locks and sessions as they were, and in a bucket of its
//! own what was found of each lock: nobody beats in a copy, so that it can't be found out again.
//! Where the copy is kept is not known here.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::KEY_PREFIX;
use super::observer::{Freshness, Lock, Report};
use super::session::SESSION_PREFIX;
use crate::kv::backend::{Backend, BucketConfig, Consistency};
use crate::kv::{
    BucketName, Entry, Error, Filter, Key, Operation, Revision, WatchEvent, WatchFrom, WatchOptions,
};

/// The bucket of a copy that holds what was found.
pub const BUCKET: &str = "kvscope-snapshot";
/// The key in it that tells of the whole.
const WHOLE: &str = "snapshot";
/// What the keys in it begin with that hold a lock each.
const LOCKS: &str = "lock.";
/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;
/// How long one bucket's records may take to be read: a copy of a place that is in trouble is better
/// than none.
const PATIENCE: Duration = Duration::from_secs(20);

/// All locks of a place at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When, by the clock of the machine that looked.
    pub taken: OffsetDateTime,
    /// What the place is called.
    pub place: String,
    /// What was found.
    pub report: Report,
}

/// What there is to tell beside the locks.
#[derive(Debug, Serialize, Deserialize)]
struct Whole {
    v: u64,
    #[serde(with = "nanos")]
    taken: OffsetDateTime,
    place: String,
    boot: Duration,
    buckets: Vec<(BucketName, Freshness)>,
}

/// The contents of a copy, and the buckets whose records could not be read, with the reasons.
#[derive(Debug)]
pub struct Contents {
    /// Each bucket with its entries.
    pub buckets: Vec<(BucketConfig, Vec<Entry>)>,
    /// What is missing.
    pub unread: Vec<(BucketName, String)>,
}

impl Snapshot {
    /// That of a copy which can't be read: nothing is known of its locks.
    pub fn unreadable(taken: OffsetDateTime, bucket: BucketName, reason: String) -> Self {
        let buckets = vec![(bucket, Freshness::Failed { reason })];
        Self {
            taken,
            place: String::new(),
            report: Report::restored(Vec::new(), buckets, Duration::ZERO),
        }
    }

    /// Reads the records that belong to it, from the place that it is of. What can't be read is told
    /// and left out; what was found of its locks is there all the same. Cancel-safe: it only reads.
    ///
    /// # Errors
    /// A lock that can't be written down, which none of ours is.
    pub async fn contents(&self, place: &dyn Backend) -> Result<Contents, Error> {
        let mut contents = Contents {
            buckets: vec![self.own_bucket()?],
            unread: Vec::new(),
        };
        for (name, _) in &self.report.buckets {
            if name.as_str() == BUCKET {
                continue;
            }
            let reading = tokio::time::timeout(PATIENCE, self.records(place, name));
            match reading.await {
                Ok(Ok(bucket)) => contents.buckets.push(bucket),
                Ok(Err(error)) => contents.unread.push((name.clone(), error.to_string())),
                Err(_) => {
                    let reason = format!("no answer within {} s", PATIENCE.as_secs());
                    contents.unread.push((name.clone(), reason));
                }
            }
        }
        Ok(contents)
    }

    /// The bucket with what was found.
    fn own_bucket(&self) -> Result<(BucketConfig, Vec<Entry>), Error> {
        let mut config = BucketConfig::new(BucketName::new(BUCKET).map_err(Error::from)?);
        config.description = format!("Locks of {} with their verdicts", self.place);
        let whole = Whole {
            v: VERSION,
            taken: self.taken,
            place: self.place.clone(),
            boot: self.report.boot(),
            buckets: self.report.buckets.clone(),
        };
        let mut entries = vec![self.entry(WHOLE.to_owned(), 1, &whole)?];
        for (revision, lock) in (2..).zip(&self.report.locks) {
            let key = format!("{LOCKS}{}.{}", lock.bucket, lock.key);
            entries.push(self.entry(key, revision, &**lock)?);
        }
        Ok((config, entries))
    }

    fn entry(&self, key: String, revision: u64, value: &impl Serialize) -> Result<Entry, Error> {
        let value = serde_json::to_vec(value).map_err(|error| senseless(&key, &error))?;
        Ok(Entry {
            key: Key::from_stored(key),
            revision: Revision(revision),
            created: self.taken,
            operation: Operation::Put,
            size: value.len() as u64,
            value: Some(value.into()),
            ttl: None,
            expires: None,
        })
    }

    /// The records of a bucket's locks and sessions, with all that is kept of the locks.
    async fn records(
        &self,
        place: &dyn Backend,
        name: &BucketName,
    ) -> Result<(BucketConfig, Vec<Entry>), Error> {
        let bucket = place.bucket(name).await?;
        let config = bucket.info().await?.config;
        let mut entries = Vec::new();
        for (prefix, from) in [
            (KEY_PREFIX, WatchFrom::History),
            (SESSION_PREFIX, WatchFrom::Newest),
        ] {
            let options = WatchOptions::new(Filter::new(format!("{prefix}>"))?).from(from);
            let watch = bucket.watch(options).await?;
            let mut found = Vec::new();
            loop {
                match watch.next().await {
                    Some(WatchEvent::Entry(entry)) => found.push(entry),
                    Some(WatchEvent::Ready) => break,
                    // The whole comes again.
                    Some(WatchEvent::Resumed { gap: true }) => found.clear(),
                    Some(_) => {}
                    None => return Err(Error::Closed),
                }
            }
            entries.extend(found);
        }
        let locks = self.report.locks.iter();
        for lock in locks.filter(|lock| lock.bucket == *name && lock.format() == "shizuku") {
            entries.extend(bucket.history(&lock.key).await?);
        }
        Ok((config, entries))
    }

    /// What was found when a copy was taken. `None` for a place that is no copy. Cancel-safe: it only
    /// reads.
    ///
    /// # Errors
    /// [`Error::Protocol`] for a copy that does not tell, or tells what does not decode or is of a newer
    /// program, and those of reading.
    pub async fn of(place: &dyn Backend) -> Result<Option<Self>, Error> {
        if place.capabilities().as_of.is_none() {
            return Ok(None);
        }
        let name = BucketName::new(BUCKET).map_err(Error::from)?;
        let bucket = match place.bucket(&name).await {
            Ok(bucket) => bucket,
            // To judge the locks of a copy would be to call everybody in it dead.
            Err(Error::NoSuchBucket { .. }) => {
                return Err(Error::Protocol {
                    what: "opening a snapshot".to_owned(),
                    detail: "it does not say what was found of the locks".to_owned(),
                });
            }
            Err(error) => return Err(error),
        };
        let key = Key::new(WHOLE).map_err(Error::from)?;
        let whole = bucket.get(&key, Consistency::Leader).await?;
        let value = whole.as_ref().and_then(Entry::live_value);
        let whole: Whole = decoded(WHOLE, value.map_or(&[], |value| &**value))?;
        if whole.v != VERSION {
            return Err(Error::Protocol {
                what: "opening a snapshot".to_owned(),
                detail: format!(
                    "it is of version {}, which this program does not know",
                    whole.v
                ),
            });
        }
        let options = WatchOptions::new(Filter::new(format!("{LOCKS}>"))?);
        let watch = bucket.watch(options).await?;
        let mut locks = Vec::new();
        loop {
            match watch.next().await {
                Some(WatchEvent::Entry(entry)) => {
                    let value = entry.live_value().map_or(&[][..], |value| value);
                    let lock: Lock = decoded(entry.key.as_str(), value)?;
                    locks.push(Arc::new(lock));
                }
                Some(WatchEvent::Ready) => break,
                Some(_) => {}
                None => return Err(Error::Closed),
            }
        }
        locks.sort_by(|a, b| (&a.bucket, &a.key).cmp(&(&b.bucket, &b.key)));
        Ok(Some(Self {
            taken: whole.taken,
            place: whole.place,
            report: Report::restored(locks, whole.buckets, whole.boot),
        }))
    }
}

fn decoded<'a, T: Deserialize<'a>>(key: &str, value: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|error| senseless(key, &error))
}

fn senseless(key: &str, error: &serde_json::Error) -> Error {
    Error::Protocol {
        what: format!("{key} of a snapshot"),
        detail: error.to_string(),
    }
}

/// What a lock is held for, by its name.
pub(super) mod mode {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::kv::lock::record::Mode;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(in crate::kv::lock) fn serialize<S: Serializer>(
        mode: &Mode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(mode)
    }

    pub(in crate::kv::lock) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Mode, D::Error> {
        match &*String::deserialize(deserializer)? {
            "read" => Ok(Mode::Read),
            "write" => Ok(Mode::Write),
            other => Err(serde::de::Error::unknown_variant(other, &["read", "write"])),
        }
    }
}

/// A time as nanoseconds since 1970.
pub(super) mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};
    use time::OffsetDateTime;

    pub(in crate::kv::lock) fn serialize<S: Serializer>(
        time: &OffsetDateTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let nanos = i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX);
        serializer.serialize_i64(nanos)
    }

    pub(in crate::kv::lock) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OffsetDateTime, D::Error> {
        let nanos = i64::deserialize(deserializer)?;
        OffsetDateTime::from_unix_timestamp_nanos(nanos.into()).map_err(serde::de::Error::custom)
    }
}
