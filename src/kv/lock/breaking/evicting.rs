//! Taking a dead session out of every lock in which it holds or waits.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::notice::News;
use super::super::record::{Claim, Record, Step};
use super::super::{KEY_PREFIX, key_of, resource_of};
use super::{BreakError, MOST_TRIES, Sight, pause, read_record};
use crate::kv::backend::Write;
use crate::kv::{Entry, Error, Filter, Revision, Store, WriteError};

/// What a session has in another lock of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The resource.
    pub resource: String,
    /// What it holds and waits for there.
    pub claims: Vec<Claim>,
}

/// What became of a broken lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The session that is dead.
    pub session: String,
    /// The locks that it is out of, the one that was asked for first. Not those that it had let go
    /// by itself before it was killed.
    pub freed: Vec<Freed>,
}

/// A lock that a session was taken out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freed {
    /// The resource.
    pub resource: String,
    /// What the session had there, as far as it was seen.
    pub claims: Vec<Claim>,
    /// Whether somebody else took it out, or itself, before this could.
    pub by_others: bool,
    /// The lock as it is now: who holds it, and who waits.
    pub record: Record,
    /// The revision of that.
    pub revision: Revision,
}

/// All locks of the bucket in which a session holds or waits.
pub(super) async fn locks_of(store: &Store, session: &str) -> Result<Vec<Elsewhere>, BreakError> {
    let filter = Filter::new(format!("{KEY_PREFIX}>")).map_err(Error::from)?;
    let locks = store.contents(filter).await?.into_iter();
    let found = locks.filter_map(|entry| {
        let resource = resource_of(entry.key.as_str())?;
        let claims = claims_in(&entry, session);
        (!claims.is_empty()).then_some((resource, claims))
    });
    // By their names.
    let found: BTreeMap<_, _> = found.collect();
    let found = found.into_iter();
    Ok(found
        .map(|(resource, claims)| Elsewhere { resource, claims })
        .collect())
}

/// A record that can't be read holds nothing that could be taken out.
fn claims_in(entry: &Entry, session: &str) -> Vec<Claim> {
    let record = entry
        .live_value()
        .and_then(|value| Record::from_bytes(value).ok());
    record.map_or_else(Vec::new, |record| claims_of(&record, session))
}

fn claims_of(record: &Record, session: &str) -> Vec<Claim> {
    let claims = record.claims().iter();
    claims
        .filter(|claim| claim.session == session)
        .cloned()
        .collect()
}

/// Takes the session out of the lock that was seen, of those that it was in then, and of those that
/// it is in by now.
pub(super) async fn evict_everywhere(sight: &Sight) -> Result<Broken, BreakError> {
    let seen = Elsewhere {
        resource: sight.resource.clone(),
        claims: sight.claims().cloned().collect(),
    };
    let mut locks: Vec<Elsewhere> = std::iter::once(seen)
        .chain(sight.elsewhere.iter().cloned())
        .collect();
    for now in locks_of(&sight.store, &sight.id).await? {
        if !locks.iter().any(|lock| lock.resource == now.resource) {
            locks.push(now);
        }
    }
    let mut freed = Vec::new();
    for lock in locks {
        freed.push(evict(&sight.store, &sight.id, lock).await?);
    }
    Ok(Broken {
        session: sight.id.clone(),
        freed,
    })
}

/// Takes the session out of one lock, by compare-and-set until nothing of it is left there.
async fn evict(store: &Store, session: &str, seen: Elsewhere) -> Result<Freed, BreakError> {
    let key = key_of(&seen.resource)?;
    let mut doubt = None;
    let mut by_others = true;
    for tries in 1..=MOST_TRIES {
        let read = read_record(store, &key).await;
        let (record, revision) = match read {
            Ok(read) => read,
            Err(error) if doubt.is_none() => return Err(error),
            Err(_) => {
                pause(tries).await;
                continue;
            }
        };
        let Step::Write(after) = record.evict(session, revision) else {
            return Ok(Freed {
                resource: seen.resource,
                claims: seen.claims,
                by_others,
                record,
                revision,
            });
        };
        let bytes = after.to_bytes().map_err(BreakError::encoding)?;
        // One that lands late is right as well: it lands on the record that it was made of.
        let bytes = Bytes::from(bytes);
        let write = Write::put(key.clone(), bytes.clone()).expecting(revision);
        match store.write(write).await {
            Ok(revision) => {
                by_others = false;
                let news = News::of(&record, &after, bytes, revision);
                news.tell(store.backend(), &key, session).await;
            }
            Err(WriteError::Conflict { .. }) => pause(tries).await,
            Err(WriteError::Unknown { reason, .. }) => {
                (doubt, by_others) = (Some(reason), false);
                pause(tries).await;
            }
            Err(WriteError::Failed(error)) if doubt.is_none() => return Err(error.into()),
            Err(WriteError::Failed(_)) => pause(tries).await,
        }
    }
    let reason = doubt.unwrap_or_else(|| "others keep writing it".to_owned());
    Err(BreakError::Unknown { key, reason })
}
