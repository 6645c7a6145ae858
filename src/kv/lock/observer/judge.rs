//! Judging one lock: what was told of it, with the sessions of who holds and waits joined, and the
//! verdict on that.

use std::sync::Arc;
use std::time::Duration;

use super::bucket::BucketPicture;
use super::seen::{Times, since};
use super::told::{Foreign, Stored};
use super::view::{Content, Freshness, Judged, Lock, Party, Standing};
use crate::kv::lock::diagnosis::{Circled, Thresholds};
use crate::kv::lock::record::{Claim, Mode, Record, State};
use crate::kv::lock::shizuku::EXPIRY;
use crate::kv::lock::timeline::{Basis, Since};
use crate::kv::{BucketName, Key};

/// What a bucket's locks are judged by, all at the same moment.
pub(super) struct Judge<'a> {
    pub(super) name: &'a BucketName,
    pub(super) bucket: &'a BucketPicture,
    pub(super) times: Times,
    pub(super) freshness: Freshness,
    pub(super) thresholds: &'a Thresholds,
}

impl Judge<'_> {
    /// The lock at a key, if one is shown there.
    pub(super) fn lock(&self, key: &Key, circled: Circled) -> Option<Lock> {
        let mut lock = match self.bucket.shown_lock(key) {
            Some(stored) => self.ours(key, stored),
            None => self.foreign(key, self.bucket.shown_foreign_lock(key)?),
        };
        lock.circled = circled;
        lock.judge(self.thresholds);
        Some(lock)
    }

    fn blank(&self, key: &Key) -> Lock {
        let judged = Judged {
            boot: self.times.boot,
            store: self.times.store,
        };
        Lock::blank(
            self.name.clone(),
            key.clone(),
            self.freshness.clone(),
            judged,
        )
    }

    fn ours(&self, key: &Key, stored: &Stored) -> Lock {
        let content = match &stored.record {
            Ok(_) => Content::Record,
            Err(error) => Content::Unreadable {
                reason: error.to_string(),
            },
        };
        let party = |claim: &Claim| self.party(stored, claim);
        let claims = || stored.record.iter().flat_map(|record| record.claims());
        let waiting =
            |mode| claims().filter(move |claim| !claim.state.is_held() && claim.mode == mode);
        let first = stored
            .record
            .as_deref()
            .ok()
            .and_then(writers_before_readers);
        let ahead = first.unwrap_or(usize::MAX);
        let waiters = waiting(Mode::Write)
            .take(ahead)
            .chain(waiting(Mode::Read))
            .chain(waiting(Mode::Write).skip(ahead));
        Lock {
            resource: stored.resource.clone(),
            revision: stored.revision,
            created: stored.created,
            content,
            holders: claims()
                .filter(|claim| claim.state.is_held())
                .map(party)
                .collect(),
            waiters: waiters
                .enumerate()
                .map(|(at, claim)| Party {
                    position: Some(at + 1),
                    ..party(claim)
                })
                .collect(),
            writers_before_readers: first,
            turn: stored.turn(),
            record: stored.record.as_ref().ok().cloned(),
            ..self.blank(key)
        }
    }

    fn party(&self, stored: &Stored, claim: &Claim) -> Party {
        let seen = self.bucket.seen(&claim.session);
        let session = seen.and_then(|seen| seen.session());
        let since = stored.tracker.since(claim).unwrap_or(Since {
            at: stored.created,
            basis: Basis::Kept,
        });
        Party {
            claim: claim.id.clone(),
            owner: claim.owner.clone(),
            label: claim.label.clone(),
            host: session.map(|session| session.host.clone()),
            pid: session.map(|session| session.pid),
            fence: match claim.state {
                State::Held { fence } => Some(fence),
                State::Waiting => None,
            },
            lasted: since.age(self.times.store),
            last_beat: seen.map(|seen| seen.last_beat(self.times)),
            lease_left: seen.and_then(|seen| seen.lease_left(self.times)),
            standing: self.bucket.standing(&claim.session, self.times),
            record: session.cloned(),
            ..Party::blank(&claim.session, claim.mode, since)
        }
    }

    fn foreign(&self, key: &Key, stored: &Foreign) -> Lock {
        Lock {
            resource: key.as_str().to_owned(),
            revision: stored.revision,
            created: stored.created,
            content: match stored.content {
                Ok(lock) => Content::Shizuku(lock),
                Err(size) => Content::NoLongerShizuku { size },
            },
            ..self.blank(key)
        }
    }

    /// When, in time since boot, the verdict on a lock may become another one by time alone.
    pub(super) fn turns(&self, lock: &Lock) -> Option<Duration> {
        if matches!(self.freshness, Freshness::Stale { .. }) {
            return None;
        }
        let mut turns = Vec::new();
        for party in lock.holders.iter().chain(&lock.waiters) {
            turns.extend(self.bucket.turns(&party.session, self.times));
            if let (Standing::Killed { .. }, Some(seen)) =
                (&party.standing, self.bucket.seen(&party.session))
            {
                turns.extend(seen.after_death(self.thresholds.eviction, self.times));
            }
            if party.position.is_some() {
                turns.extend(self.at(party.since.at + self.thresholds.long_wait));
            }
        }
        if let Content::Shizuku(record) = lock.content {
            turns.extend(self.at(lock.created + EXPIRY));
            let acquired = record.acquired_at.and_then(|at| i64::try_from(at).ok());
            let acquired = acquired.and_then(|at| {
                time::OffsetDateTime::from_unix_timestamp(at)
                    .ok()?
                    .checked_add(time::Duration::try_from(EXPIRY).ok()?)
            });
            turns.extend(acquired.and_then(|at| self.at(at)));
        }
        let now = self.times.boot;
        // Some things are so from a moment on, others only after it.
        let moments = turns.into_iter().flat_map(|turn| [turn, turn + TICK]);
        moments.filter(|moment| *moment > now).min()
    }

    fn at(&self, store: time::OffsetDateTime) -> Option<Duration> {
        since(self.times.epoch(), store)
    }
}

/// A time after a moment, as short as can be.
const TICK: Duration = Duration::from_nanos(1);

fn writers_before_readers(record: &Record) -> Option<usize> {
    let most = record.max_writer_streak()?.get();
    usize::try_from(most.saturating_sub(record.writer_streak())).ok()
}

/// Whether two states of one lock are the same to who looks for circles of waiting.
pub(super) fn is_same_queue(a: &Lock, b: &Lock) -> bool {
    let same = |a: &[Party], b: &[Party]| {
        let mut pairs = a.iter().zip(b);
        a.len() == b.len() && pairs.all(|(a, b)| is_same_party(a, b))
    };
    a.writers_before_readers == b.writers_before_readers
        && same(&a.holders, &b.holders)
        && same(&a.waiters, &b.waiters)
}

fn is_same_party(a: &Party, b: &Party) -> bool {
    let is_same_process = match (&a.record, &b.record) {
        (Some(a), Some(b)) => {
            Arc::ptr_eq(a, b)
                || (a.pid, a.pidns, a.start) == (b.pid, b.pidns, b.start) && a.boot_id == b.boot_id
        }
        (None, None) => true,
        _ => false,
    };
    a.claim == b.claim
        && a.session == b.session
        && a.owner == b.owner
        && a.mode == b.mode
        && a.fence.is_some() == b.fence.is_some()
        && a.standing.is_dead() == b.standing.is_dead()
        && is_same_process
}
