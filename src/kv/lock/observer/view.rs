//! What an observer tells: locks with their holders and waiters, and what is known of each.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::kv::lock::diagnosis::{Circled, Found, Subject, Summary, Thresholds, Verdict, diagnose};
use crate::kv::lock::record::{Mode, Record};
use crate::kv::lock::session::{Cause, Death, Session};
use crate::kv::lock::shizuku::{Shizuku, ShizukuMode};
use crate::kv::lock::snapshot::{mode, nanos};
use crate::kv::lock::timeline::{Basis, Since};
use crate::kv::{BucketName, Key, Revision};

/// The time, for a look at a picture: it reads no clock itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time since boot, sleep included: what silence is measured by.
    pub boot: Duration,
    /// The time of day of this machine: what ages are measured by until the store's own clock is
    /// known from what it writes.
    pub wall: OffsetDateTime,
}

/// All locks that are watched, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The locks. Those in which nothing happened are the very same ones as in the report before.
    /// The verdict of each is of this moment; its ages may be of an earlier one, which
    /// [`Report::of_now`] makes up for.
    pub locks: Vec<Arc<Lock>>,
    /// How many there are of what.
    pub summary: Summary,
    /// How fresh the picture of each bucket is.
    pub buckets: Vec<(BucketName, Freshness)>,
    /// The time since boot that it is of.
    pub(super) boot: Duration,
    pub(super) thresholds: Thresholds,
    pub(super) found: Arc<Found>,
}

impl Report {
    /// A report of another time: of locks whose ages and sentences are all of that time.
    pub(in crate::kv::lock) fn restored(
        locks: Vec<Arc<Lock>>,
        buckets: Vec<(BucketName, Freshness)>,
        boot: Duration,
    ) -> Self {
        Self {
            summary: Summary::of(&locks, boot),
            locks,
            buckets,
            boot,
            ..Self::default()
        }
    }

    /// The time since boot that it is of, by the clock of the machine that looked.
    pub fn boot(&self) -> Duration {
        self.boot
    }

    /// One of its locks, with ages and sentence as of the report.
    pub fn of_now(&self, lock: &Arc<Lock>) -> Arc<Lock> {
        let by = lock.ages_by(self.boot);
        let circled = self.found.of(&lock.bucket, &lock.key);
        if by.is_zero() && lock.circled == circled {
            return Arc::clone(lock);
        }
        Arc::new(lock.aged(by, circled, &self.thresholds))
    }
}

/// When a lock was judged: what its ages are counted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// In time since boot.
    pub boot: Duration,
    /// By the clock of the lock's store.
    #[serde(with = "nanos")]
    pub store: OffsetDateTime,
}

/// How far a picture can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freshness {
    /// Not everything that is there has been told yet.
    Loading,
    /// It is as the store is, but for the way from there.
    Live,
    /// It is as the store was then. Ages and verdicts are those of that time.
    Stale {
        /// When it was last true, in time since boot.
        since: Duration,
        /// Why it is not any more, for people.
        reason: String,
    },
    /// It could not be read at all.
    Failed {
        /// Why not, for people.
        reason: String,
    },
}

/// One lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The bucket.
    pub bucket: BucketName,
    /// What is locked.
    pub resource: String,
    /// Where its record is kept.
    pub key: Key,
    /// The record's revision: what a write that breaks the lock expects.
    pub revision: Revision,
    /// When that revision was written, by the store's clock.
    #[serde(with = "nanos")]
    pub created: OffsetDateTime,
    /// What the record is.
    pub content: Content,
    /// Those who hold, in the order in which they asked.
    pub holders: Vec<Party>,
    /// Those who wait, in the order in which they will be let in: writers first, unless their
    /// number in a row is bounded.
    pub waiters: Vec<Party>,
    /// How many of the waiting writers at most come before the waiting readers; `None`: all.
    pub writers_before_readers: Option<usize>,
    /// How long the turns took that were seen to begin and to end, the median of the last ones.
    pub turn: Option<Duration>,
    /// How fresh this is.
    pub freshness: Freshness,
    /// What is the matter with it.
    pub verdict: Verdict,
    /// Why, in a sentence. It quotes names that others chose.
    pub reason: String,
    /// When all this was so.
    pub judged: Judged,
    /// The record itself, where it is one of ours.
    #[serde(skip)]
    pub(in crate::kv::lock) record: Option<Arc<Record>>,
    /// The circles of waiting that it has a part in.
    #[serde(skip)]
    pub(in crate::kv::lock) circled: Circled,
}

/// What a lock's record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A record of ours.
    Record,
    /// It stands where a record of ours belongs, and is none that we can read.
    Unreadable {
        /// What was found.
        reason: String,
    },
    /// A record of a `shizuku` service, which knows neither names nor a queue.
    Shizuku(Shizuku),
    /// It was a record of a `shizuku` service, and is none any more.
    NoLongerShizuku {
        /// How many bytes it has now.
        size: u64,
    },
}

/// Who is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Nobody.
    Idle,
    /// Readers.
    Read,
    /// A writer.
    Write,
}

impl LockMode {
    /// Its name in output for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Lock {
    /// One of which nothing is known but where it is.
    pub(crate) fn blank(
        bucket: BucketName,
        key: Key,
        freshness: Freshness,
        judged: Judged,
    ) -> Self {
        Self {
            bucket,
            resource: String::new(),
            key,
            revision: Revision::ABSENT,
            created: judged.store,
            content: Content::Record,
            holders: Vec::new(),
            waiters: Vec::new(),
            writers_before_readers: None,
            turn: None,
            freshness,
            verdict: Verdict::Idle,
            reason: String::new(),
            judged,
            record: None,
            circled: Circled::default(),
        }
    }

    /// Whose format it is of.
    pub fn format(&self) -> &'static str {
        match self.content {
            Content::Record | Content::Unreadable { .. } => "kvscope",
            Content::Shizuku(_) | Content::NoLongerShizuku { .. } => "shizuku",
        }
    }

    /// Who is inside; `None` for what can't be read.
    pub fn mode(&self) -> Option<LockMode> {
        match &self.content {
            Content::Record => Some(match self.holders.first() {
                None => LockMode::Idle,
                Some(holder) if holder.mode == Mode::Write => LockMode::Write,
                Some(_) => LockMode::Read,
            }),
            Content::Shizuku(lock) => Some(match lock.mode {
                ShizukuMode::Idle => LockMode::Idle,
                ShizukuMode::Read => LockMode::Read,
                ShizukuMode::Write => LockMode::Write,
            }),
            Content::Unreadable { .. } | Content::NoLongerShizuku { .. } => None,
        }
    }

    /// Those who wait to do that.
    pub fn waiting(&self, mode: Mode) -> impl Iterator<Item = &Party> {
        self.waiters.iter().filter(move |party| party.mode == mode)
    }

    /// Who has waited longest.
    pub fn longest_waiter(&self) -> Option<&Party> {
        self.waiters.iter().max_by_key(|party| party.lasted)
    }

    /// Who has held longest.
    pub fn longest_holder(&self) -> Option<&Party> {
        self.holders.iter().max_by_key(|party| party.lasted)
    }

    /// The record as it was told; `None` for what is none of ours.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// How much older everything is at a time since boot: not at all where the lock is out of
    /// date, for then nobody knows.
    pub fn ages_by(&self, boot: Duration) -> Duration {
        match self.freshness {
            Freshness::Live | Freshness::Loading | Freshness::Failed { .. } => {
                boot.saturating_sub(self.judged.boot)
            }
            Freshness::Stale { .. } => Duration::ZERO,
        }
    }

    /// The same lock so much later, if nothing happens to it in between.
    fn aged(&self, by: Duration, circled: Circled, thresholds: &Thresholds) -> Self {
        let mut lock = self.clone();
        lock.circled = circled;
        lock.judged = Judged {
            boot: self.judged.boot + by,
            store: self.judged.store + by,
        };
        let parties = lock.holders.iter_mut().chain(&mut lock.waiters);
        parties.for_each(|party| party.age(by));
        lock.judge(thresholds);
        lock
    }

    /// Gives the verdict and its sentence on everything else that stands in the lock.
    pub(super) fn judge(&mut self, thresholds: &Thresholds) {
        let (verdict, reason) = diagnose(&Subject {
            lock: self,
            now: self.judged.store,
            circled: &self.circled,
            thresholds,
        });
        self.verdict = verdict;
        self.reason = reason;
    }
}

/// One who holds or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The attempt, by its id.
    pub claim: String,
    /// The session of its process.
    pub session: String,
    /// The task that asked, as its process names it. Empty where it does not.
    pub owner: String,
    /// What people call it.
    pub label: String,
    /// The machine, if the session's record is known.
    pub host: Option<String>,
    /// The process, if the session's record is known.
    pub pid: Option<u32>,
    /// What for.
    #[serde(with = "mode")]
    pub mode: Mode,
    /// The fencing token of one who holds.
    pub fence: Option<u64>,
    /// The place among those who wait, from 1: in the order in which they will be let in.
    pub position: Option<usize>,
    /// Since when it holds or waits.
    pub since: Since,
    /// For how long, by the store's clock. At least so long where [`Since::basis`] is
    /// [`Basis::Kept`].
    pub lasted: Duration,
    /// Its session's last sign of life.
    pub last_beat: Option<LastBeat>,
    /// How much is left of its session's lease.
    pub lease_left: Option<Duration>,
    /// How its session is.
    pub standing: Standing,
    /// The record of its session.
    #[serde(skip)]
    pub(in crate::kv::lock) record: Option<Arc<Session>>,
}

impl Party {
    /// One of whom nothing is known but that it waits.
    pub(crate) fn blank(session: &str, mode: Mode, since: Since) -> Self {
        Self {
            claim: String::new(),
            session: session.to_owned(),
            owner: String::new(),
            label: String::new(),
            host: None,
            pid: None,
            mode,
            fence: None,
            position: None,
            since,
            lasted: Duration::ZERO,
            last_beat: None,
            lease_left: None,
            standing: Standing::Unknown,
            record: None,
        }
    }

    fn age(&mut self, by: Duration) {
        self.lasted += by;
        if let Some(beat) = &mut self.last_beat {
            beat.ago += by;
        }
        if let Some(left) = &mut self.lease_left {
            *left = left.saturating_sub(by);
        }
        match &mut self.standing {
            Standing::Silent(beat) => beat.ago += by,
            Standing::Killed {
                ago, quarantine, ..
            } => {
                *ago += by;
                let left = quarantine.map(|left| left.saturating_sub(by));
                *quarantine = left.filter(|left| !left.is_zero());
            }
            Standing::Live | Standing::Gone | Standing::Absent { .. } | Standing::Unknown => {}
        }
    }

    /// What to call it: `deploy@web-3`. Names that others chose; not fit for a screen as it is.
    pub fn name(&self) -> String {
        let label = if self.label.is_empty() {
            &self.session
        } else {
            &self.label
        };
        match &self.host {
            Some(host) if !label.contains('@') => format!("{label}@{host}"),
            _ => label.clone(),
        }
    }

    /// Whether its time is only a lower bound.
    pub fn lasted_longer(&self) -> bool {
        self.since.basis == Basis::Kept
    }
}

/// A session's last sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBeat {
    /// How long ago.
    pub ago: Duration,
    /// By whose clock.
    pub clock: ClockOf,
}

/// Whose clock a time was measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockOf {
    /// Ours: we saw it happen.
    Ours,
    /// The store's: it happened before we looked.
    Store,
}

/// How a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It beats.
    Live,
    /// It has not beaten for longer than its lease allows: paused, cut off or dead.
    Silent(LastBeat),
    /// Its record says that it is dead.
    Killed {
        /// Why, and by whom.
        death: Death,
        /// How long ago.
        ago: Duration,
        /// Its lease.
        lease: Duration,
        /// How long its guards may still be valid, after it was broken by an operator.
        quarantine: Option<Duration>,
    },
    /// Its process is not on this machine any more, where it ran.
    Gone,
    /// There is no record of it.
    Absent {
        /// Whether that is certain, or it may just not have been told yet.
        is_certain: bool,
    },
    /// Not known yet.
    Unknown,
}

impl Standing {
    /// Whether it is dead for certain.
    pub fn is_dead(&self) -> bool {
        matches!(
            self,
            Self::Killed { .. } | Self::Gone | Self::Absent { is_certain: true }
        )
    }

    /// Whether it is dead, and nobody waits for a quarantine to end.
    pub(in crate::kv::lock) fn is_to_be_evicted(&self) -> bool {
        self.is_dead() && self.quarantine().is_none()
    }

    /// How long a quarantine still runs.
    pub fn quarantine(&self) -> Option<Duration> {
        match self {
            Self::Killed {
                death, quarantine, ..
            } if death.why == Cause::Broken => *quarantine,
            _ => None,
        }
    }

    /// Its name in output for programs. What is not known is not taken for alive.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Silent(_) | Self::Unknown | Self::Absent { is_certain: false } => "suspect",
            Self::Killed { .. } | Self::Gone | Self::Absent { is_certain: true } => "dead",
        }
    }
}
