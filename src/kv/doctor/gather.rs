//! Finding out what there is to judge by. Only reads, and not more than is asked for.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::facts::{BucketFacts, Facts, Looked, ShizukuRecord, Synced};
use super::versions::Version;
use crate::kv::backend::{Backend, BucketBackend};
use crate::kv::lock::KEY_PREFIX;
use crate::kv::lock::session::SESSION_PREFIX;
use crate::kv::lock::shizuku::Shizuku;
use crate::kv::{BucketName, Entry, Error, Filter, WatchEvent, WatchOptions};

/// How long to wait for the next values.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many locks are enough to know that there are some.
const LOCKS: usize = 64;

/// The time of day by this machine's clock.
pub type Clock = fn() -> OffsetDateTime;

/// What to look at.
pub struct Look<'a> {
    /// One bucket alone.
    pub bucket: Option<BucketName>,
    /// How many values of each bucket to look into.
    pub values: usize,
    /// Whether an entry looks like it holds a secret.
    pub is_secret: &'a (dyn Fn(&Entry) -> bool + Send + Sync),
    /// When what is acknowledged is safe, where somebody could find out.
    pub synced: Synced,
    /// The clock that the store's is compared with.
    pub clock: Clock,
}

/// Looks at a place.
///
/// # Errors
/// The place can't be asked anything, or the bucket that was named is not there. What else can't
/// be seen stands in [`Facts::unseen`].
pub async fn gather(backend: &dyn Backend, look: &Look<'_>) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let report = backend.report().await?;
    facts.place.remote = backend.capabilities().remote;
    facts.place.version = report.version.as_deref().and_then(Version::parse);
    facts.place.usage = report.usage;
    facts.place.synced = look.synced.clone();
    let names = match &look.bucket {
        Some(name) => vec![name.clone()],
        None => match backend.buckets().await {
            Ok(infos) => infos.into_iter().map(|info| info.config.name).collect(),
            Err(error) => {
                facts.unseen.push((None, error.to_string()));
                Vec::new()
            }
        },
    };
    for name in names {
        match bucket(backend, &name, look).await {
            Ok(bucket) => {
                if let Some(reason) = &bucket.report.unseen {
                    facts.unseen.push((Some(name), reason.clone()));
                }
                facts.buckets.push(bucket);
            }
            // It went away while we looked, unless it is the one that was asked for.
            Err(Error::NoSuchBucket { .. }) if look.bucket.is_none() => {}
            Err(error @ Error::NoSuchBucket { .. }) => return Err(error),
            Err(error) => facts.unseen.push((Some(name), error.to_string())),
        }
    }
    Ok(facts)
}

async fn bucket(
    backend: &dyn Backend,
    name: &BucketName,
    look: &Look<'_>,
) -> Result<BucketFacts, Error> {
    let handle = backend.bucket(name).await?;
    let info = handle.info().await?;
    let begun = (look.clock)();
    let report = handle.report().await?;
    let ended = (look.clock)();
    let mut facts = BucketFacts {
        clock: report.clock.map(|theirs| {
            let half = (ended - begun) / 2;
            let ahead = theirs - (begun + half);
            let milliseconds =
                |time: time::Duration| i64::try_from(time.whole_milliseconds()).unwrap_or(i64::MAX);
            (milliseconds(ahead), milliseconds(half).unsigned_abs() + 1)
        }),
        looked: Looked {
            values: 0,
            of: info.keys,
        },
        info,
        report,
        locks: 0,
        shizuku: Vec::new(),
        secrets: Vec::new(),
    };
    for prefix in [KEY_PREFIX, SESSION_PREFIX] {
        let locks = Filter::new(format!("{prefix}>"))?;
        let seen = entries(&handle, WatchOptions::new(locks).without_values(), LOCKS).await?;
        facts.locks += seen.iter().filter(|entry| !entry.is_marker()).count() as u64;
    }
    let now = (look.clock)();
    let seen = entries(&handle, WatchOptions::new(Filter::all()), look.values).await?;
    facts.looked.values = seen.len() as u64;
    for entry in seen.iter().filter(|entry| !entry.is_marker()) {
        let key = entry.key.as_str();
        if key.starts_with(KEY_PREFIX) || key.starts_with(SESSION_PREFIX) {
            continue;
        }
        let value = entry.value.as_deref().unwrap_or_default();
        if let Some(record) = Shizuku::from_bytes(value) {
            facts.shizuku.push(ShizukuRecord {
                key: entry.key.clone(),
                fault: record.fault(since_1970(entry.created), since_1970(now)),
            });
        } else if (look.is_secret)(entry) {
            facts.secrets.push(entry.key.clone());
        }
    }
    Ok(facts)
}

/// The first entries that a watch tells, at most so many.
async fn entries(
    bucket: &Arc<dyn BucketBackend>,
    options: WatchOptions,
    most: usize,
) -> Result<Vec<Entry>, Error> {
    let watch = bucket.watch(options).await?;
    let mut entries = Vec::new();
    while entries.len() < most {
        let event = tokio::time::timeout(PATIENCE, watch.next()).await;
        match event.map_err(|_| Error::NoAnswer {
            what: format!("reading {}", bucket.name()),
            after: PATIENCE,
        })? {
            Some(WatchEvent::Entry(entry)) => entries.push(entry),
            Some(WatchEvent::Ready) | None => break,
            Some(WatchEvent::Interrupted { .. } | WatchEvent::Resumed { .. }) => {}
        }
    }
    Ok(entries)
}

fn since_1970(time: OffsetDateTime) -> Duration {
    Duration::try_from(time - OffsetDateTime::UNIX_EPOCH).unwrap_or_default()
}
