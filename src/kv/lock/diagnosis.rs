//! What is the matter with a lock: one verdict and the sentence that says why.
//!
//! Pure: from a decoded lock with its sessions joined, what is known of circles of waiting that it
//! has a part in, and the time. Each verdict has a check of its own in `checks.rs`; the first that applies gives verdict
//! and sentence, in the order in which [`Verdict`] lists them: what can't be trusted at all before
//! what stands still for ever, that before what stands still for a while, and the ordinary last.
//! Nothing is ever done to a lock because of a verdict: acting has rules of its own.

mod checks;
mod circles;
pub(in crate::kv::lock) mod cycles;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(in crate::kv::lock) use self::circles::{Circled, Found, search};
pub use self::words::span;
use super::observer::Lock;

/// What is the matter with a lock. The first that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The record can't be read, or contradicts itself.
    Malformed,
    /// Somebody here waits in a circle of tasks and will wait for ever.
    Deadlock,
    /// Somebody holds whose session is dead, and nobody took it out.
    DeadHolder,
    /// An operator broke a session, whose guards may still be valid for a moment.
    Quarantined,
    /// Somebody holds who has not beaten for longer than the lease allows.
    SuspectHolder,
    /// Somebody waits whose session is dead, in the way of others.
    GhostWaiter,
    /// The lock of a `shizuku` service is over its time: the next who asks walks in.
    Expired,
    /// Somebody waits for long, and the holders are alive.
    LongHeld,
    /// Somebody waits, not for long.
    Contended,
    /// It is held, and nobody waits.
    Healthy,
    /// Nobody holds it, and nobody waits.
    Idle,
}

impl Verdict {
    /// Its name, for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Deadlock => "deadlock",
            Self::DeadHolder => "dead-holder",
            Self::Quarantined => "quarantined",
            Self::SuspectHolder => "suspect-holder",
            Self::GhostWaiter => "ghost-waiter",
            Self::Expired => "expired",
            Self::LongHeld => "long-held",
            Self::Contended => "contended",
            Self::Healthy => "healthy",
            Self::Idle => "idle",
        }
    }

    /// Whether somebody should look at it.
    pub fn is_fault(self) -> bool {
        self < Self::Contended
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// From when on something is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thresholds {
    /// A wait longer than this is `long-held`. A minute by default.
    pub long_wait: Duration,
    /// A dead session's claims that stay longer than this after its death are a fault; before, the
    /// one who killed it is about to take them out. Two seconds by default.
    pub eviction: Duration,
    /// A circle through several buckets must have stood for this long: their watches are not told
    /// at the same moment. One second by default.
    pub circle_across_buckets: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            long_wait: Duration::from_secs(60),
            eviction: Duration::from_secs(2),
            circle_across_buckets: Duration::from_secs(1),
        }
    }
}

/// How many locks there are of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// All locks.
    pub locks: usize,
    /// Those that somebody should look at.
    pub faults: usize,
    /// How many hold.
    pub holding: usize,
    /// How many wait.
    pub waiting: usize,
    /// How many locks have each verdict.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// The longest wait.
    pub(in crate::kv::lock) longest_wait: Option<Duration>,
}

impl fmt::Display for Summary {
    /// `37 locks, 2 at fault (1 suspect-holder, 1 long-held), 5 waiting`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::count(self.locks, "lock"))?;
        if self.faults > 0 {
            let faults = self
                .verdicts
                .iter()
                .filter(|(verdict, _)| verdict.is_fault());
            let faults: Vec<String> = faults
                .map(|(verdict, count)| format!("{count} {verdict}"))
                .collect();
            write!(f, ", {} at fault ({})", self.faults, faults.join(", "))?;
        }
        if self.waiting > 0 {
            write!(f, ", {} waiting", self.waiting)?;
        }
        Ok(())
    }
}

/// What a verdict is given on.
pub(in crate::kv::lock) struct Subject<'a> {
    /// The lock.
    pub(in crate::kv::lock) lock: &'a Lock,
    /// The time by the clock of the lock's store.
    pub(in crate::kv::lock) now: OffsetDateTime,
    /// The circles of waiting that it has a part in.
    pub(in crate::kv::lock) circled: &'a Circled,
    /// From when on something is worth telling.
    pub(in crate::kv::lock) thresholds: &'a Thresholds,
}

/// The verdict on a lock, and the sentence that says why.
pub(in crate::kv::lock) fn diagnose(subject: &Subject<'_>) -> (Verdict, String) {
    let found = checks::CHECKS
        .iter()
        .find_map(|(verdict, check)| check(subject).map(|reason| (*verdict, reason)));
    let (verdict, mut reason) = found.unwrap_or((Verdict::Idle, "Nobody holds it.".to_owned()));
    if verdict != Verdict::Deadlock
        && let Some(note) = &subject.circled.possible
    {
        reason.push(' ');
        reason.push_str(note);
    }
    (verdict, reason)
}
