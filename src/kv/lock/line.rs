//! One process at one lock: what it wants there, what it knows, and so what it is to do next.
//!
//! Pure: it is told what was asked of it, read and written, and says what to read or write next.
//! Whoever drives it does the waiting, the watching and the timing. The model check drives this
//! very code through lost acknowledgements, late writes and crashes.
//!
//! All wishes that are there become one write. Nothing is ever concluded from how a write ended
//! but by what the record holds: every attempt has an id of its own, so that one that landed
//! unseen is found, and one that nobody wants any more is taken out again. After a write that may
//! still land (`in doubt`), the record is read from the leader, and as long as it is at the
//! revision that this write expected, something is written over it, be it the record as it is: a
//! write that comes late would otherwise leave a claim that blocks for ever.
//!
//! A claim can be entrusted to the writer who holds: that one adds it when it writes on the revision
//! that both know. To the one who asks this is a write in doubt like any other.

mod outcome;
mod plan;
#[cfg(test)]
mod renumber;
#[cfg(test)]
mod tests;

pub(crate) use self::outcome::Outcome;
use super::record::{Claim, Mode, Record, Request};
use crate::kv::Revision;

/// The wishes of one session at one lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    session: String,
    /// The most bytes that the store keeps in a value.
    most: usize,
    /// A revision of the bucket that is newer than everything that can be gone without a trace:
    /// where there is no record, fences count from it.
    floor: Revision,
    attempts: Vec<Attempt>,
    /// Sessions whose death is certain, to be taken out.
    evictions: Vec<String>,
    known: Option<Known>,
    /// The newest revision that was heard of.
    newest: Revision,
    /// The revision that something has to be written over: a write that expected it may still
    /// land.
    doubt: Option<Revision>,
    /// The revision that was read although a newer one was there already. Only a write proves it.
    rewound: Option<Revision>,
    /// The revision at which what is to be added was entrusted to the one who holds.
    entrusted: Option<Revision>,
    /// What others entrusted to this one.
    favours: Option<Favours>,
    /// How many reads and writes were begun.
    steps: u64,
    /// What was begun and has not ended.
    under_way: Option<UnderWay>,
}

/// The record as it was at some revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Known {
    revision: Revision,
    record: Record,
    /// The step that brought it, for telling whether it is newer than a wish.
    step: u64,
}

/// Claims of others, to be added by a write on this revision or never.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Favours {
    base: Revision,
    requests: Vec<Request>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum UnderWay {
    Read,
    Write { after: Record, base: Revision },
}

/// One attempt to hold the lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Attempt {
    request: Request,
    wish: Wish,
    /// Whether to wait in the queue.
    waits: bool,
    /// The step after which it was asked for.
    asked: u64,
    /// Whether the record was seen to hold its claim.
    seen: bool,
    /// Whether it was told that it holds.
    granted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wish {
    Hold,
    Downgrade,
    Release,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read the record from the leader, and tell [`Line::read`].
    Read,
    /// Write this record on that revision, and tell [`Line::written`], [`Line::conflict`],
    /// [`Line::unknown`] or [`Line::failed`].
    Write {
        /// The record to write.
        record: Record,
        /// The revision to expect.
        base: Revision,
    },
    /// Something is under way, or there is nothing to do until something else happens.
    Rest,
}

impl Line {
    /// No wishes yet.
    pub(crate) fn new(session: impl Into<String>) -> Self {
        Self {
            session: session.into(),
            most: Record::MOST_BYTES,
            floor: Revision::ABSENT,
            attempts: Vec::new(),
            evictions: Vec::new(),
            known: None,
            newest: Revision::ABSENT,
            doubt: None,
            rewound: None,
            entrusted: None,
            favours: None,
            steps: 0,
            under_way: None,
        }
    }

    /// The store keeps no more bytes than that in a value.
    pub(crate) fn within(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The bucket has reached this revision.
    pub(crate) fn reached(&mut self, revision: Revision) {
        self.floor = revision;
    }

    /// Asks for the lock, and to wait for it in the queue if `waits`.
    pub(crate) fn acquire(&mut self, request: Request, waits: bool) {
        self.attempts.push(Attempt {
            request,
            wish: Wish::Hold,
            waits,
            asked: self.steps,
            seen: false,
            granted: false,
        });
    }

    /// Gives up an attempt, whether it holds, waits, or was not even sent.
    pub(crate) fn release(&mut self, id: &str) {
        self.wish(id, Wish::Release);
    }

    /// Goes on as a reader.
    pub(crate) fn downgrade(&mut self, id: &str) {
        self.wish(id, Wish::Downgrade);
    }

    fn wish(&mut self, id: &str, wish: Wish) {
        let step = self.steps;
        self.take_back();
        if let Some(attempt) = self.attempt(id) {
            attempt.wish = wish;
            attempt.asked = step;
        }
    }

    /// Takes out a session. Only one whose death is certain, and whose guards have run out.
    pub(crate) fn evict(&mut self, session: &str) {
        self.take_back();
        if !self.evictions.iter().any(|other| other == session) {
            self.evictions.push(session.to_owned());
        }
    }

    /// Whether nothing is wanted, nothing in doubt and nothing under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.attempts.is_empty() && !self.is_in_doubt() && self.under_way.is_none()
    }

    /// Whether the record may not be, or not stay, as it was read.
    fn is_in_doubt(&self) -> bool {
        self.doubt.is_some() || self.rewound.is_some()
    }

    /// Whether an attempt waits in the queue.
    pub(crate) fn waits(&self) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.any(|attempt| attempt.seen && !attempt.granted && attempt.wish == Wish::Hold)
    }

    /// Whether something is to be taken out that others may wait for.
    pub(crate) fn makes_room(&self) -> bool {
        let mut attempts = self.attempts.iter();
        !self.evictions.is_empty()
            || attempts.any(|attempt| attempt.granted && attempt.wish != Wish::Hold)
    }

    /// The record as far as it is known, and at which revision.
    pub(crate) fn known(&self) -> Option<(Revision, &Record)> {
        let known = self.known.as_ref()?;
        Some((known.revision, &known.record))
    }

    /// The ids of the attempts that may have a claim in the record now or later.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = &str> {
        self.attempts
            .iter()
            .map(|attempt| attempt.request.id.as_str())
    }

    /// What is known may be out of date: it is to be read again before the next write.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }

    /// Leaves it to the writer who holds to add what is asked for here, if there is nothing else to
    /// write: its revision and the claims. They may be added by any write on that revision from then
    /// on, until [`Line::take_back`] has this line write for itself.
    pub(crate) fn entrust(&mut self) -> Option<(Revision, Vec<Request>)> {
        let known = self.known.as_ref()?;
        let is_settled = !self.is_in_doubt() && self.under_way.is_none();
        let mut holders = known.record.holders();
        let holds = |claim: &Claim| claim.mode == Mode::Write && claim.session != self.session;
        if !is_settled || !self.evictions.is_empty() || !holders.any(holds) {
            return None;
        }
        let (new, others): (Vec<&Attempt>, _) =
            self.attempts.iter().partition(|attempt| !attempt.seen);
        let is_new = |attempt: &&Attempt| attempt.wish == Wish::Hold && attempt.waits;
        let rests = |attempt: &Attempt| attempt.wish == Wish::Hold;
        if new.is_empty() || !new.iter().all(is_new) || !others.into_iter().all(rests) {
            return None;
        }
        if !self.unwanted(&known.record).is_empty() {
            return None;
        }
        let requests = new.iter().map(|attempt| attempt.request.clone()).collect();
        let base = known.revision;
        self.entrusted = Some(base);
        self.doubt = Some(base);
        Some((base, requests))
    }

    /// Whether it waits for somebody else to write.
    pub(crate) fn is_entrusted(&self) -> bool {
        let known = self.known.as_ref().map(|known| known.revision);
        self.entrusted
            .is_some_and(|base| known.is_none_or(|known| known == base))
    }

    /// Waits for nobody else any more.
    pub(crate) fn take_back(&mut self) {
        self.entrusted = None;
    }

    /// Others ask this one, who holds, to add their claims when it writes on that revision.
    pub(crate) fn oblige(&mut self, base: Revision, requests: Vec<Request>) {
        self.favours = Some(Favours { base, requests });
    }

    /// What to do next. Reads and writes that it names are under way from then on.
    pub(crate) fn next(&mut self) -> Next {
        if self.under_way.is_some() {
            return Next::Rest;
        }
        let Some(known) = &self.known else {
            if self.attempts.is_empty() && !self.is_in_doubt() && self.evictions.is_empty() {
                return Next::Rest;
            }
            return self.begin(UnderWay::Read);
        };
        let base = known.revision;
        if self.entrusted == Some(base) {
            return Next::Rest;
        }
        let mut planned = self.planned(known);
        if !planned.is_certain {
            return self.begin(UnderWay::Read);
        }
        let must_write = [self.doubt, self.rewound].contains(&Some(base));
        if planned.record != known.record || must_write {
            self.favour(&mut planned, base);
            let after = planned.record;
            return self.begin(UnderWay::Write { after, base });
        }
        Next::Rest
    }

    fn begin(&mut self, what: UnderWay) -> Next {
        self.steps += 1;
        let next = match &what {
            UnderWay::Read => Next::Read,
            UnderWay::Write { after, base } => Next::Write {
                record: after.clone(),
                base: *base,
            },
        };
        self.under_way = Some(what);
        next
    }

    /// The leader has the record at this revision; [`Revision::ABSENT`] and an empty one for none.
    pub(crate) fn read(&mut self, record: Record, revision: Revision) {
        self.under_way = None;
        // A leader that does not know yet that it is none any more, or a store that was rolled
        // back. The first says nothing of a write that is in doubt.
        self.rewound = (revision < self.newest).then_some(revision);
        if self.rewound.is_none() && self.doubt.is_some_and(|base| base != revision) {
            self.doubt = None;
        }
        self.learn(record, revision, self.steps);
    }

    /// Somebody told that the record was at this revision at some time; perhaps it is older than
    /// what is known.
    pub(crate) fn told(&mut self, record: Record, revision: Revision) {
        if revision <= self.newest {
            return;
        }
        self.doubt = None;
        self.rewound = None;
        let step = self.known.as_ref().map_or(0, |known| known.step);
        self.learn(record, revision, step);
    }

    /// The write landed at this revision.
    pub(crate) fn written(&mut self, revision: Revision) {
        let Some(UnderWay::Write { after, base }) = self.under_way.take() else {
            return;
        };
        // A claim that landed and is gone by now was taken out: it is not to be asked for again.
        for attempt in &mut self.attempts {
            attempt.seen |= after.claim(&attempt.request.id).is_some();
        }
        // Somebody else may have written since, and we have heard of it already.
        let is_overtaken = self
            .known
            .as_ref()
            .is_some_and(|known| known.revision > base);
        if !is_overtaken {
            self.doubt = None;
            self.rewound = None;
            self.newest = revision;
            self.learn(after, revision, self.steps);
        }
    }

    fn learn(&mut self, record: Record, revision: Revision, step: u64) {
        self.newest = self.newest.max(revision);
        self.entrusted = self.entrusted.filter(|base| *base == revision);
        self.favours = self
            .favours
            .take()
            .filter(|favours| favours.base == revision);
        self.known = Some(Known {
            revision,
            record,
            step,
        });
    }

    /// The write did not land: the record is at another revision.
    pub(crate) fn conflict(&mut self) {
        let Some(base) = self.end_write() else {
            return;
        };
        // Perhaps by the very write that was in doubt: that stays so until the record is read, and
        // an answer that still has it at this revision is out of date.
        self.newest = self.newest.max(Revision(base.0.saturating_add(1)));
        self.known = self.known.take().filter(|known| known.revision > base);
    }

    /// Nobody knows whether the write landed, or will.
    pub(crate) fn unknown(&mut self) {
        if let Some(base) = self.end_write() {
            self.doubt = self.doubt.max(Some(base));
        }
        self.known = None;
    }

    /// What was under way did not happen and never will. Perhaps for what it did for others.
    pub(crate) fn failed(&mut self) {
        self.under_way = None;
        self.favours = None;
    }

    fn end_write(&mut self) -> Option<Revision> {
        match self.under_way.take() {
            Some(UnderWay::Write { base, .. }) => Some(base),
            Some(UnderWay::Read) | None => None,
        }
    }

    /// Fails every attempt that has no claim in the record and can't get one by a write that is in
    /// doubt. Their ids.
    pub(crate) fn abandon(&mut self) -> Vec<String> {
        if self.is_in_doubt() || self.under_way.is_some() {
            return Vec::new();
        }
        let mut abandoned = Vec::new();
        self.attempts.retain(|attempt| {
            if !attempt.seen {
                abandoned.push(attempt.request.id.clone());
            }
            attempt.seen
        });
        abandoned
    }

    fn attempt(&mut self, id: &str) -> Option<&mut Attempt> {
        self.attempts
            .iter_mut()
            .find(|attempt| attempt.request.id == id)
    }
}
