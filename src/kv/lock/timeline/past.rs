//! Reading a lock's past from the bucket.

use std::collections::{BTreeSet, HashMap};

use super::{Killed, Timeline, timeline};
use crate::kv::backend::BucketBackend;
use crate::kv::lock::record::Record;
use crate::kv::lock::session::Session;
use crate::kv::{Entry, Error, Key};

/// The most sessions whose beats are looked at: those that hold, then those first in line.
const SESSIONS: usize = 8;

/// The past of the lock at a key: what its record tells, and where the sessions that hold and wait
/// now did not renew their leases in time. `deaths` as for [`timeline`]. Cancel-safe: it only reads.
///
/// # Errors
/// Those of reading.
pub async fn past<S: std::hash::BuildHasher + Sync>(
    bucket: &dyn BucketBackend,
    key: &Key,
    deaths: &HashMap<String, Killed, S>,
) -> Result<Timeline, Error> {
    let history = bucket.history(key).await?;
    let mut past = timeline(&history, deaths);
    let newest = history.last().and_then(Entry::live_value);
    let Some(Ok(record)) = newest.map(|value| Record::from_bytes(value)) else {
        return Ok(past);
    };
    let mut known = BTreeSet::new();
    let claims = record.holders().chain(record.waiters());
    let sessions = claims.filter(|claim| known.insert(claim.session.clone()));
    for claim in sessions.take(SESSIONS) {
        if let Ok(key) = Session::key_of(&claim.session) {
            past.add_lapses(&claim.session, &bucket.history(&key).await?);
        }
    }
    Ok(past)
}
