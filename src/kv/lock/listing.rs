//! Locks as JSON for programs, one object each. Names, types and order of the fields are a promise.

use std::time::Duration;

use serde::Serialize;

use super::observer::{Lock, LockMode, Party};

/// A lock.
#[derive(Debug, Serialize)]
pub struct LockRecord<'a> {
    bucket: &'a str,
    resource: &'a str,
    revision: u64,
    format: &'static str,
    /// `null` for what can't be read.
    mode: Option<&'static str>,
    holders: Vec<HolderRecord<'a>>,
    waiters: Vec<WaiterRecord<'a>>,
    verdict: &'static str,
    reason: &'a str,
}

/// One who holds. Host and process are `null` where there is no record of its session.
#[derive(Debug, Serialize)]
struct HolderRecord<'a> {
    session: &'a str,
    label: &'a str,
    host: Option<&'a str>,
    pid: Option<u32>,
    mode: &'static str,
    held_ms: u64,
    fence: Option<u64>,
    state: &'static str,
}

/// One who waits.
#[derive(Debug, Serialize)]
struct WaiterRecord<'a> {
    session: &'a str,
    label: &'a str,
    host: Option<&'a str>,
    pid: Option<u32>,
    mode: &'static str,
    position: Option<usize>,
    waiting_ms: u64,
    state: &'static str,
}

impl<'a> LockRecord<'a> {
    /// A lock as it is told to programs.
    pub fn new(lock: &'a Lock) -> Self {
        Self {
            bucket: lock.bucket.as_str(),
            resource: &lock.resource,
            revision: lock.revision.0,
            format: lock.format(),
            mode: lock.mode().map(LockMode::as_str),
            holders: lock.holders.iter().map(HolderRecord::new).collect(),
            waiters: lock.waiters.iter().map(WaiterRecord::new).collect(),
            verdict: lock.verdict.as_str(),
            reason: &lock.reason,
        }
    }
}

impl<'a> HolderRecord<'a> {
    fn new(party: &'a Party) -> Self {
        Self {
            session: &party.session,
            label: &party.label,
            host: party.host.as_deref(),
            pid: party.pid,
            mode: party.mode.as_str(),
            held_ms: millis(party.lasted),
            fence: party.fence,
            state: party.standing.as_str(),
        }
    }
}

impl<'a> WaiterRecord<'a> {
    fn new(party: &'a Party) -> Self {
        Self {
            session: &party.session,
            label: &party.label,
            host: party.host.as_deref(),
            pid: party.pid,
            mode: party.mode.as_str(),
            position: party.position,
            waiting_ms: millis(party.lasted),
            state: party.standing.as_str(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
