//! Which faults to make, and when: the control that tests hold.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::cut::Link;
use crate::kv::backend::{BucketBackend, Capabilities, Connection, Write};
use crate::kv::{Error, Revision, WriteError};

/// What can become of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// It fails, definitely: it was not done and will not be.
    Fail,
    /// It is done, and the acknowledgement is lost: [`WriteError::Unknown`].
    LoseAck,
    /// It is not done, and nobody says so: [`WriteError::Unknown`].
    Drop,
    /// It is [`WriteError::Unknown`] now, and done by [`Faults::deliver_late`].
    Late,
}

/// How likely each fault of a write is, out of 1. What is left goes well.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Odds {
    /// Of [`WriteFault::Fail`].
    pub fail: f64,
    /// Of [`WriteFault::LoseAck`].
    pub lose_ack: f64,
    /// Of [`WriteFault::Drop`].
    pub drop: f64,
    /// Of [`WriteFault::Late`].
    pub late: f64,
}

/// The control of the faults of a [`Faulty`](super::Faulty) backend. Clones control the same.
///
/// What becomes of a write is decided by the first of these that has a say: the list of
/// [`next_writes`](Self::next_writes), [`every_nth_write`](Self::every_nth_write),
/// [`at_random`](Self::at_random).
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Mutex<Plan>,
    link: watch::Sender<Link>,
    connection: watch::Sender<Connection>,
}

#[derive(Debug, Default)]
struct Plan {
    delay: Duration,
    failing_reads: u32,
    next_writes: VecDeque<Option<WriteFault>>,
    every: Option<Every>,
    lost_notices: u64,
    notices: u64,
    random: Option<(fastrand::Rng, Odds)>,
    late: VecDeque<(Arc<dyn BucketBackend>, Write)>,
    writes: u64,
    is_far: bool,
}

#[derive(Debug)]
struct Every {
    nth: u64,
    fault: WriteFault,
    seen: u64,
}

impl Plan {
    fn decide(&mut self) -> Option<WriteFault> {
        self.writes += 1;
        if let Some(fault) = self.next_writes.pop_front() {
            return fault;
        }
        if let Some(every) = &mut self.every {
            every.seen += 1;
            if every.seen.is_multiple_of(every.nth) {
                return Some(every.fault);
            }
        }
        let (random, odds) = self.random.as_mut()?;
        let mut dice = random.f64();
        for (odds, fault) in [
            (odds.fail, WriteFault::Fail),
            (odds.lose_ack, WriteFault::LoseAck),
            (odds.drop, WriteFault::Drop),
            (odds.late, WriteFault::Late),
        ] {
            if dice < odds {
                return Some(fault);
            }
            dice -= odds;
        }
        None
    }
}

impl Faults {
    pub(super) fn none() -> Self {
        Self {
            shared: Arc::new(Shared {
                plan: Mutex::default(),
                link: watch::Sender::new(Link::default()),
                connection: watch::Sender::new(Connection::Connected),
            }),
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        let plan = self.shared.plan.lock();
        plan.unwrap_or_else(PoisonError::into_inner)
    }

    /// Every call takes so much longer, by tokio's clock.
    pub fn delay(&self, delay: Duration) {
        self.plan().delay = delay;
    }

    /// What becomes of the next writes, one by one; `None` lets one pass. Added to what was
    /// listed before.
    pub fn next_writes(&self, faults: impl IntoIterator<Item = Option<WriteFault>>) {
        self.plan().next_writes.extend(faults);
    }

    /// What becomes of the next write that has nothing listed for it yet.
    pub fn next_write(&self, fault: WriteFault) {
        self.next_writes([Some(fault)]);
    }

    /// What becomes of each `nth` write from now on. Zero ends it.
    pub fn every_nth_write(&self, nth: u64, fault: WriteFault) {
        let seen = 0;
        self.plan().every = (nth > 0).then_some(Every { nth, fault, seen });
    }

    /// What becomes of writes from now on, by these odds. The same seed gives the same faults to
    /// the same order of writes.
    pub fn at_random(&self, seed: u64, odds: Odds) {
        self.plan().random = Some((fastrand::Rng::with_seed(seed), odds));
    }

    /// Each `nth` notice is lost from now on: with 1 all of them, with 0 none.
    pub fn lose_notices(&self, nth: u64) {
        self.plan().lost_notices = nth;
    }

    /// The next reads fail: so many calls of any kind but writes to keys.
    pub fn fail_reads(&self, count: u32) {
        self.plan().failing_reads = count;
    }

    /// The store counts as one on another machine from now on.
    pub fn far_away(&self) {
        self.plan().is_far = true;
    }

    pub(super) fn capabilities(&self, inner: Capabilities) -> Capabilities {
        Capabilities {
            remote: inner.remote || self.plan().is_far,
            ..inner
        }
    }

    /// No more faults from now on. Late writes stay late, and a cut stays until it is restored.
    pub fn clear(&self) {
        let mut plan = self.plan();
        *plan = Plan {
            late: std::mem::take(&mut plan.late),
            writes: plan.writes,
            is_far: plan.is_far,
            ..Plan::default()
        };
    }

    /// How many writes were asked for so far, with or without a fault.
    pub fn writes(&self) -> u64 {
        self.plan().writes
    }

    /// How many writes are late.
    pub fn late(&self) -> usize {
        self.plan().late.len()
    }

    /// Makes the writes that are late, in their order, and says how they ended. Nobody else hears.
    pub async fn deliver_late(&self) -> Vec<Result<Revision, WriteError>> {
        let late = std::mem::take(&mut self.plan().late);
        let mut ended = Vec::with_capacity(late.len());
        for (bucket, write) in late {
            ended.push(bucket.write(write).await);
        }
        ended
    }

    /// Cuts the connection: watches are interrupted, calls find nobody, and nothing is sent.
    pub fn cut(&self) {
        let cut = self.shared.link.send_if_modified(Link::cut);
        if cut {
            self.shared
                .connection
                .send_replace(Connection::Reconnecting {
                    since: SystemTime::now(),
                    attempts: 0,
                    reason: REASON.to_owned(),
                });
        }
    }

    /// Restores the connection. Watches go on where they were and miss nothing.
    pub fn restore(&self) {
        self.restored(false);
    }

    /// Restores the connection after so long that watches can't tell what they missed: each has a
    /// gap, and begins anew.
    pub fn restore_with_gap(&self) {
        self.restored(true);
    }

    fn restored(&self, gap: bool) {
        if self.shared.link.send_if_modified(|link| link.restore(gap)) {
            self.shared.connection.send_replace(Connection::Connected);
        }
    }

    pub(super) fn connection(&self) -> watch::Receiver<Connection> {
        self.shared.connection.subscribe()
    }

    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    pub(super) fn hold_back(&self, bucket: Arc<dyn BucketBackend>, write: Write) {
        self.plan().late.push_back((bucket, write));
    }

    /// Delays, and fails if it has to, whatever is no write to a key.
    pub(super) async fn before_read(&self, what: &str) -> Result<(), Error> {
        self.pass().await?;
        let mut plan = self.plan();
        if plan.failing_reads == 0 {
            return Ok(());
        }
        plan.failing_reads -= 1;
        Err(Error::NoAnswer {
            what: what.to_owned(),
            after: plan.delay,
        })
    }

    /// Delays, and decides what becomes of a write.
    pub(super) async fn before_write(&self) -> Result<Option<WriteFault>, Error> {
        self.pass().await?;
        Ok(self.plan().decide())
    }

    /// Whether a notice arrives. Over a connection that is cut none does.
    pub(super) fn passes_notice(&self) -> bool {
        let mut plan = self.plan();
        plan.notices += 1;
        let is_lost = plan.lost_notices > 0 && plan.notices.is_multiple_of(plan.lost_notices);
        !is_lost && self.shared.link.borrow().is_up()
    }

    async fn pass(&self) -> Result<(), Error> {
        let delay = self.plan().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if self.shared.link.borrow().is_up() {
            return Ok(());
        }
        Err(Error::Unreachable {
            place: "the store".to_owned(),
            reason: REASON.to_owned(),
        })
    }
}

const REASON: &str = "the connection was cut on purpose";
