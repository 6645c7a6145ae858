//! The record of one lock, and every step that can happen to it: pure functions, one
//! compare-and-set each.
//!
//! No store, no clock, no waiting: whoever takes a step reads the record, calls it, and writes what
//! it returns on the revision that was read. Promotion ends every step, so that whoever
//! can hold the lock next does so by the same write that made room: one write for each hand-off,
//! and nothing to poll for.
//!
//! The rules:
//! 1. At most one writer holds, or any number of readers.
//! 2. While a writer waits, no reader is let in, except by the bound below. Writers come in the
//!    order of their tickets.
//! 3. Promotion of what a step returned changes nothing.
//! 4. A claim's fence is higher than every fence that was given on this lock by an earlier write.
//!    It is one more than the revision that was written on, or than the highest fence so far, which
//!    the record keeps: in another bucket, restored from an export, revisions begin anew.
//!
//! By rule 2 writers can starve readers. A bound on the writers in a row ends that: when so many
//! were granted one after the other while a reader waited, the readers that wait have the next
//! turn, all together; those that come later wait for the next writer as ever. The bound stands in
//! the record, for whoever promotes must decide alike. The last to ask with a bound sets it; who
//! asks without one leaves it as it is; it goes with the last claim of the queue.

mod codec;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::codec::DecodeError;
pub(super) use self::codec::check_version;
use crate::kv::Revision;

/// The state of one lock: who holds it, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Record {
    /// The ticket of the next claim.
    next: u64,
    /// Everybody who holds or waits, in the order of their tickets. Shared by the copies of a record
    /// until one of them is changed: steps are tried far more often than they change anything.
    queue: Arc<Vec<Claim>>,
    /// After how many writers in a row the readers have a turn.
    max_writer_streak: Option<NonZeroU32>,
    /// How many writers were granted in a row while a reader waited. Counted only under a bound.
    writer_streak: u32,
    /// The highest fence that was ever given; 0 before the first.
    last_fence: u64,
}

/// One attempt to hold a lock: waiting, or successful.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Unique for every attempt, so that a write whose acknowledgement was lost can be found.
    pub id: String,
    /// The session of the process that asked.
    pub session: String,
    /// What for.
    pub mode: Mode,
    /// Whether it holds.
    pub state: State,
    /// The place in line.
    pub ticket: u64,
    /// The task that asked, as its process names it: a cycle over owners is a deadlock.
    pub owner: String,
    /// What people call the one who asked.
    pub label: String,
    /// When it asked, in milliseconds since 1970 by its own clock. For people; nothing is ever
    /// decided by it.
    pub asked_ms: u64,
}

/// What a lock is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Reading, beside other readers.
    Read,
    /// Writing, alone.
    Write,
}

impl Mode {
    /// The word that programs read, in records too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// What people call who holds or waits in this mode.
    pub fn role(self) -> &'static str {
        match self {
            Self::Read => "reader",
            Self::Write => "writer",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits.
    Waiting,
    /// It holds, with this fencing token.
    Held {
        /// Rises with every grant: what the lock guards should refuse a lower one.
        fence: u64,
    },
}

impl State {
    /// Whether the claim holds.
    pub fn is_held(self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

/// What a claim brings with it; the rest the record gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Unique for every attempt.
    pub id: String,
    /// The session of the process that asks.
    pub session: String,
    /// What for.
    pub mode: Mode,
    /// The task that asks.
    pub owner: String,
    /// What people call it.
    pub label: String,
    /// When it asks, in milliseconds since 1970.
    pub asked_ms: u64,
    /// After how many writers in a row the readers that wait have a turn: for the whole lock, until
    /// somebody asks with another bound or nobody is in the queue.
    pub max_writer_streak: Option<NonZeroU32>,
}

/// What a step makes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is to be written on the revision that was read.
    Write(Record),
    /// There is nothing to write: what was wanted is so already.
    Nothing,
}

/// Why a step is refused. The record stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The same task holds or waits already: it would wait for itself.
    #[error("the same task already {} this lock: locks are not re-entrant", held_or_waits(*.is_held))]
    Reentry {
        /// Whether it holds; else it waits.
        is_held: bool,
    },
    /// The same task reads and asks to write: two that do so would wait for each other.
    #[error("the same task reads under this lock: release it before asking to write")]
    Upgrade,
    /// The queue is full.
    #[error(
        "{} hold or wait for this lock already, and no more are let in",
        Record::MOST_CLAIMS
    )]
    Full,
    /// The record would be too large for the store.
    #[error(
        "the lock's record would take more than {most} bytes: the queue is long, or its labels are"
    )]
    TooLarge {
        /// The most that it may take.
        most: usize,
    },
    /// It can't be granted at once.
    #[error("the lock can't be had at once")]
    WouldWait,
    /// There is no such claim: it was released, cancelled or evicted.
    #[error("the claim is not there any more")]
    Gone,
    /// The claim does not hold the lock for writing.
    #[error("the claim does not hold the lock for writing")]
    NotWriting,
}

fn held_or_waits(is_held: bool) -> &'static str {
    if is_held { "holds" } else { "waits for" }
}

impl Record {
    /// The most claims that a record holds.
    pub const MOST_CLAIMS: usize = 1024;

    /// Everybody who holds or waits, in the order of their tickets.
    pub fn claims(&self) -> &[Claim] {
        &self.queue
    }

    /// The ticket of the next claim: how many there have ever been.
    pub fn next_ticket(&self) -> u64 {
        self.next
    }

    /// Those who hold.
    pub fn holders(&self) -> impl Iterator<Item = &Claim> {
        self.queue.iter().filter(|claim| claim.state.is_held())
    }

    /// Those who wait, in the order of their tickets.
    pub fn waiters(&self) -> impl Iterator<Item = &Claim> {
        self.queue.iter().filter(|claim| !claim.state.is_held())
    }

    /// One claim.
    pub fn claim(&self, id: &str) -> Option<&Claim> {
        self.queue.iter().find(|claim| claim.id == id)
    }

    /// After how many writers in a row the readers that wait have a turn, if that is bounded.
    pub fn max_writer_streak(&self) -> Option<NonZeroU32> {
        self.max_writer_streak
    }

    /// How many writers were granted in a row while a reader waited; 0 without a bound.
    pub fn writer_streak(&self) -> u32 {
        self.writer_streak
    }

    /// The highest fence that was ever given on this lock; 0 before the first.
    pub fn last_fence(&self) -> u64 {
        self.last_fence
    }

    /// Takes a place in the queue, and with it the lock if it is free for this. `base` is the
    /// revision that the record was read at, [`Revision::ABSENT`] for one that is not there yet.
    /// The record never takes more than [`Record::MOST_BYTES`].
    ///
    /// # Errors
    /// [`Refusal::Reentry`], [`Refusal::Upgrade`], [`Refusal::Full`] and [`Refusal::TooLarge`].
    pub fn acquire(&self, request: Request, base: Revision) -> Result<Step, Refusal> {
        self.acquire_within(request, base, Self::MOST_BYTES)
    }

    /// The same in a store that keeps values of so many bytes at the most.
    ///
    /// # Errors
    /// Those of [`Record::acquire`].
    pub fn acquire_within(
        &self,
        request: Request,
        base: Revision,
        most: usize,
    ) -> Result<Step, Refusal> {
        if self.claim(&request.id).is_some() {
            return Ok(Step::Nothing);
        }
        let is_own =
            |claim: &&Claim| claim.session == request.session && claim.owner == request.owner;
        if let Some(own) = self.queue.iter().find(is_own) {
            let is_held = own.state.is_held();
            return Err(match (own.mode, request.mode) {
                (Mode::Read, Mode::Write) if is_held => Refusal::Upgrade,
                _ => Refusal::Reentry { is_held },
            });
        }
        let next = self.next.checked_add(1).ok_or(Refusal::Full)?;
        if self.queue.len() >= Self::MOST_CLAIMS {
            return Err(Refusal::Full);
        }
        let mut after = self.clone();
        Arc::make_mut(&mut after.queue).push(Claim {
            id: request.id,
            session: request.session,
            mode: request.mode,
            state: State::Waiting,
            ticket: self.next,
            owner: request.owner,
            label: request.label,
            asked_ms: request.asked_ms,
        });
        after.next = next;
        after.max_writer_streak = request.max_writer_streak.or(self.max_writer_streak);
        let most = most.min(Self::MOST_BYTES);
        if !after.fits(most) {
            return Err(Refusal::TooLarge { most });
        }
        Ok(Step::Write(after.promoted(base)))
    }

    /// The same, but only if the lock is granted at once.
    ///
    /// # Errors
    /// [`Refusal::WouldWait`] otherwise, and those of [`Record::acquire`].
    pub fn try_acquire_within(
        &self,
        request: Request,
        base: Revision,
        most: usize,
    ) -> Result<Step, Refusal> {
        let id = request.id.clone();
        let step = self.acquire_within(request, base, most)?;
        let after = match &step {
            Step::Write(after) => after,
            Step::Nothing => self,
        };
        match after.claim(&id) {
            Some(claim) if claim.state.is_held() => Ok(step),
            _ => Err(Refusal::WouldWait),
        }
    }

    /// Gives up a claim, whether it holds or waits. One that is gone is given up already.
    #[must_use]
    pub fn release(&self, id: &str, base: Revision) -> Step {
        self.without(|claim| claim.id == id, base)
    }

    /// Takes out all claims of a session. Only for a session that is known to be dead.
    #[must_use]
    pub fn evict(&self, session: &str, base: Revision) -> Step {
        self.without(|claim| claim.session == session, base)
    }

    /// A writer goes on as a reader, and lets other readers in.
    ///
    /// # Errors
    /// [`Refusal::Gone`], and [`Refusal::NotWriting`] for a claim that waits. For one that reads
    /// there is nothing to do.
    pub fn downgrade(&self, id: &str, base: Revision) -> Result<Step, Refusal> {
        let claim = self.claim(id).ok_or(Refusal::Gone)?;
        match (claim.mode, claim.state) {
            (_, State::Waiting) => Err(Refusal::NotWriting),
            (Mode::Read, State::Held { .. }) => Ok(Step::Nothing),
            (Mode::Write, State::Held { .. }) => {
                let mut after = self.clone();
                after.change(|claim| claim.id == id, |claim| claim.mode = Mode::Read);
                Ok(Step::Write(after.promoted(base)))
            }
        }
    }

    /// The fences of those who hold.
    pub(super) fn fences(&self) -> impl Iterator<Item = u64> {
        self.queue.iter().filter_map(|claim| match claim.state {
            State::Held { fence } => Some(fence),
            State::Waiting => None,
        })
    }

    /// Gives every fence another number, so that the model check knows states that differ in
    /// nothing else as one. In its world revisions only rise, so that the highest fence so far is
    /// never what a grant counts from: it is left out.
    #[cfg(test)]
    pub(super) fn renumber(&mut self, number: &dyn Fn(u64) -> u64) {
        for claim in Arc::make_mut(&mut self.queue) {
            if let State::Held { fence } = &mut claim.state {
                *fence = number(*fence);
            }
        }
        self.last_fence = 0;
    }

    fn without(&self, goes: impl Fn(&Claim) -> bool, base: Revision) -> Step {
        if !self.queue.iter().any(&goes) {
            return Step::Nothing;
        }
        let stay = self.queue.iter().filter(|claim| !goes(claim));
        let after = Self {
            queue: Arc::new(stay.cloned().collect()),
            ..self.clone()
        };
        Step::Write(after.promoted(base))
    }

    /// Changes some claims, and tells whether there are any. The queue stays shared where there are
    /// none.
    fn change(&mut self, which: impl Fn(&Claim) -> bool, how: impl Fn(&mut Claim)) -> bool {
        let is_any = self.queue.iter().any(&which);
        if is_any {
            let queue = Arc::make_mut(&mut self.queue).iter_mut();
            queue.filter(|claim| which(claim)).for_each(how);
        }
        is_any
    }

    /// Lets in whoever can be let in. A grant's fence is one more than the revision that the record
    /// was read at: the write gets that revision or, in a bucket with other keys, a higher one, and
    /// the next write to this record expects what this one got. The highest fence so far matters
    /// where the record came from elsewhere.
    fn promoted(mut self, base: Revision) -> Self {
        if self.queue.is_empty() {
            self.max_writer_streak = None;
            self.writer_streak = 0;
            return self;
        }
        let fence = base.0.max(self.last_fence).saturating_add(1);
        let held = State::Held { fence };
        if self.holders().any(|claim| claim.mode == Mode::Write) {
            return self;
        }
        let is_free = self.holders().next().is_none();
        let readers_wait = self.waiters().any(|claim| claim.mode == Mode::Read);
        let writers_turn = !(readers_wait && self.is_readers_turn());
        let max_writer_streak = self.max_writer_streak;
        let waits = |mode: Mode| move |claim: &Claim| claim.mode == mode && !claim.state.is_held();
        let first_writer = self.queue.iter().find(|claim| waits(Mode::Write)(claim));
        match first_writer.map(|writer| writer.ticket) {
            Some(ticket) if is_free && writers_turn => {
                self.change(|claim| claim.ticket == ticket, |claim| claim.state = held);
                self.last_fence = fence;
                self.writer_streak = match max_writer_streak {
                    Some(_) if readers_wait => self.writer_streak.saturating_add(1),
                    _ => 0,
                };
            }
            // The readers inside finish; nobody else comes in before the writer.
            Some(_) if !is_free => {}
            _ => {
                if self.change(waits(Mode::Read), |claim| claim.state = held) {
                    self.last_fence = fence;
                }
                self.writer_streak = 0;
            }
        }
        self
    }

    /// Whether the readers that wait go before the writers that wait.
    pub(super) fn is_readers_turn(&self) -> bool {
        self.max_writer_streak
            .is_some_and(|most| self.writer_streak >= most.get())
    }
}
