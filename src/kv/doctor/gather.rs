//! Finding out what there is to judge by. Only reads, and not more than is asked for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::facts::{BucketFacts, Facts, Looked, ShizukuRecord, Synced};
use super::versions::Version;
use crate::kv::backend::{Backend, BucketBackend, BucketInfo, originals};
use crate::kv::lock::KEY_PREFIX;
use crate::kv::lock::session::SESSION_PREFIX;
use crate::kv::lock::shizuku::Shizuku;
use crate::kv::{BucketName, Entry, Error, Filter, WatchEvent, WatchOptions};

/// How long to wait for the next values.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many locks are enough to know that there are some.
const LOCKS: usize = 64;
/// Values that are larger than this, in bytes, are not looked into.
const LARGE: u64 = 256 << 10;

/// The time of day by this machine's clock.
pub type Clock = fn() -> OffsetDateTime;

/// What to look at.
pub struct Look<'a> {
    /// How `kvscope` is called for the place, for the commands that are proposed.
    pub command: &'a str,
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
    look.command.clone_into(&mut facts.place.command);
    facts.place.remote = backend.capabilities().remote;
    facts.place.clustered = backend.capabilities().replicas;
    facts.place.version = report.version.as_deref().and_then(Version::parse);
    facts.place.usage = report.usage;
    facts.place.synced = look.synced.clone();
    let infos = match &look.bucket {
        Some(_) => Vec::new(),
        None => backend.buckets().await.unwrap_or_else(|error| {
            facts.unseen.push((None, error.to_string()));
            Vec::new()
        }),
    };
    let names = infos.iter().map(|info| &info.config.name);
    for name in look.bucket.iter().chain(names) {
        let name = name.clone();
        match bucket(backend, &name, look).await {
            Ok(mut bucket) => {
                let is_original = |info: &BucketInfo| info.config.name == name;
                bucket.repeats = !infos.is_empty() && !originals(&infos).any(is_original);
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
        repeats: false,
        locks: 0,
        shizuku: Vec::new(),
        secrets: Vec::new(),
    };
    for prefix in [KEY_PREFIX, SESSION_PREFIX] {
        let locks = WatchOptions::new(Filter::new(format!("{prefix}>"))?).without_values();
        each(&handle, locks, LOCKS, |entry| {
            facts.locks += u64::from(!entry.is_marker());
        })
        .await?;
    }
    let now = (look.clock)();
    let mut looked = HashSet::new();
    let options = WatchOptions::new(Filter::all());
    each(&handle, options, look.values, |entry| {
        if entry.size > LARGE {
            return;
        }
        looked.insert(entry.key.clone());
        judge(&entry, &mut facts, look, now);
    })
    .await?;
    facts.looked.values = looked.len() as u64;
    Ok(facts)
}

/// Takes in an entry; what an earlier one of its key came to counts no more.
fn judge(entry: &Entry, facts: &mut BucketFacts, look: &Look<'_>, now: OffsetDateTime) {
    facts.shizuku.retain(|record| record.key != entry.key);
    facts.secrets.retain(|key| *key != entry.key);
    let key = entry.key.as_str();
    let is_ours = key.starts_with(KEY_PREFIX) || key.starts_with(SESSION_PREFIX);
    let Some(value) = entry.live_value().filter(|_| !is_ours) else {
        return;
    };
    if let Some(record) = Shizuku::from_bytes(value) {
        facts.shizuku.push(ShizukuRecord {
            key: entry.key.clone(),
            fault: record.fault(since_1970(entry.created), since_1970(now)),
        });
    } else if (look.is_secret)(entry) {
        facts.secrets.push(entry.key.clone());
    }
}

/// Hands on the first entries that a watch tells, at most so many.
async fn each(
    bucket: &Arc<dyn BucketBackend>,
    options: WatchOptions,
    most: usize,
    mut take: impl FnMut(Entry),
) -> Result<(), Error> {
    let watch = bucket.watch(options).await?;
    let mut taken = 0;
    while taken < most {
        let event = tokio::time::timeout(PATIENCE, watch.next()).await;
        match event.map_err(|_| Error::NoAnswer {
            what: format!("reading {}", bucket.name()),
            after: PATIENCE,
        })? {
            Some(WatchEvent::Entry(entry)) => {
                taken += 1;
                take(entry);
            }
            Some(WatchEvent::Ready) | None => break,
            Some(WatchEvent::Interrupted { .. } | WatchEvent::Resumed { .. }) => {}
        }
    }
    Ok(())
}

fn since_1970(time: OffsetDateTime) -> Duration {
    Duration::try_from(time - OffsetDateTime::UNIX_EPOCH).unwrap_or_default()
}
