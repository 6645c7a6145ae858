//! The world of the model check: one store, and processes at one lock in it.
//!
//! What a process decides it decides by the program's own code: [`Line`] at the lock, [`Session`]
//! and [`Lease`] for its life, [`Silence`] for those of others. Here are only the things around it:
//! what is stored, what is on its way, and what each process believes.

use std::sync::Arc;
use std::time::Duration;

use super::super::lease::{Lease, Silence};
use super::super::line::Line;
use super::super::record::{Mode, Record, Request, State};
use super::super::session::{Cause, Process, Session};
use crate::kv::Revision;

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// The lock's record, and the revision it is at.
    pub(super) stored: At,
    /// What was stored before, for a leader that does not know yet that it is none any more.
    pub(super) before: Option<At>,
    /// Writes that nobody waits for any more, and that may land yet or never.
    pub(super) late: Vec<Sent>,
    /// Claims that were entrusted to others who have not heard of it, and perhaps never will.
    pub(super) entrusted: Vec<Entrusted>,
    pub(super) people: Vec<Person>,
    /// How many mishaps may still happen.
    pub(super) left: Mishaps,
    /// The first rule that a write broke.
    pub(super) fault: Option<Rule>,
    /// Whether somebody who was dead was taken out.
    pub(super) evicted: bool,
}

/// A record at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct At {
    pub(super) revision: u64,
    pub(super) record: Arc<Record>,
}

/// A write on its way: a record, and the revision that it expects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    pub(super) by: usize,
    pub(super) base: u64,
    pub(super) after: Arc<Record>,
}

/// Claims for somebody to add.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entrusted {
    pub(super) to: usize,
    pub(super) base: u64,
    pub(super) requests: Vec<Request>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Person {
    /// It was not killed, nor did it crash.
    pub(super) up: bool,
    pub(super) line: Line,
    /// How many attempts it has begun.
    pub(super) asked: u8,
    pub(super) place: Place,
    pub(super) flight: Flight,
    /// Why its session is dead, in the store.
    pub(super) dead: Option<Cause>,
    /// For how many ticks the session's record has stood still.
    pub(super) quiet: u8,
    /// How many ticks ago its last acknowledged beat was sent.
    pub(super) sent: u8,
    pub(super) beat: Option<Beat>,
    /// It knows that its session is lost.
    pub(super) lost: bool,
}

/// What a process believes of its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// It has none.
    Outside,
    /// It has asked.
    Asking,
    /// It has a guard.
    Inside(Mode),
    /// It has given it up, and sees to it that nothing of it stays.
    Leaving,
}

/// A read or write that a process waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Flight {
    None,
    Read,
    Write {
        sent: Sent,
        /// The revision that it got, or that it conflicts; `None` while it is on its way.
        end: Option<Result<u64, ()>>,
    },
}

/// A beat on its way. One that was not acknowledged is sent again with the same bytes until it is
/// known what became of it, which is the same as an acknowledgement that takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Beat {
    /// How many ticks ago it was sent.
    pub(super) age: u8,
    /// Whether it landed or was refused.
    pub(super) landed: Option<bool>,
}

/// How often each mishap may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Mishaps {
    /// A process is gone from one moment to the next.
    pub(super) crashes: u8,
    /// An operator breaks a session.
    pub(super) breaks: u8,
    /// Nobody learns how a write ended, and it may land late.
    pub(super) unknowns: u8,
    /// A read or write fails, and the attempts with it.
    pub(super) failures: u8,
    /// A future is dropped before it is ready.
    pub(super) cancels: u8,
    /// A read is answered with what was there before.
    pub(super) stale_reads: u8,
    /// A watch is interrupted: what is known is to be read again.
    pub(super) outages: u8,
    /// A live session is silent for so long that it is killed.
    pub(super) stalls: u8,
    /// Somebody leaves it to the one who holds to write for it. No mishap, but it may go wrong.
    pub(super) entrusts: u8,
}

/// What no write may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// 2 and 3: what is stored keeps the rules of the record, promotion and ids among them.
    Record(&'static str),
    /// 4: fences rise.
    Fences,
    /// 5: writers first.
    WritersFirst,
    /// 7: a dead session never beats.
    DeadBeats,
}

/// Time, in ticks of some length, as the program's code sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    pub(super) lease: Lease,
    pub(super) tick: Duration,
    /// After so many ticks no guard is valid.
    pub(super) invalid: u8,
    /// After so many ticks every session is silent.
    pub(super) silent: u8,
}

impl Time {
    /// Nobody's clock shows another time: only differences of it are in the state.
    const NOW: Duration = Duration::from_secs(10_000);

    /// A lease of eight seconds, and ticks of so many: with one second a guard is valid for seven
    /// ticks and silence lasts nine; with seven seconds it is one and two.
    pub(super) fn in_ticks_of(seconds: u64) -> Self {
        let lease = Lease::with_beat(Duration::from_secs(8), Duration::from_secs(1)).unwrap();
        let mut time = Self {
            lease,
            tick: Duration::from_secs(seconds),
            invalid: 0,
            silent: 0,
        };
        time.invalid = (0..99).find(|age| !time.is_valid(*age)).unwrap();
        time.silent = (0..99).find(|age| time.is_silent(*age)).unwrap();
        time
    }

    fn ago(self, age: u8) -> Duration {
        Self::NOW.saturating_sub(self.tick * u32::from(age))
    }

    /// Whether a guard is valid by a beat that was sent so long ago.
    pub(super) fn is_valid(self, sent: u8) -> bool {
        Self::NOW < self.lease.valid_until(self.ago(sent))
    }

    fn silence(self, quiet: u8) -> Silence {
        Silence::begin(Revision(1), self.ago(quiet))
    }

    /// Whether somebody who saw the session's last change at once may act now. Those who saw it
    /// later may only later: whatever they do, this one can do.
    pub(super) fn is_silent(self, quiet: u8) -> bool {
        self.silence(quiet).is_over(self.lease, Self::NOW).is_some()
    }

    /// For how long a session is silent whose record has changed.
    pub(super) fn after_change(self, quiet: u8) -> u8 {
        let mut silence = self.silence(quiet);
        silence.read(Revision(2), Self::NOW);
        let ticks = silence.lasts(Self::NOW).as_secs() / self.tick.as_secs();
        u8::try_from(ticks).unwrap()
    }
}

impl Person {
    pub(super) fn new(number: usize) -> Self {
        Self {
            up: true,
            line: Line::new(name(number)),
            asked: 0,
            place: Place::Outside,
            flight: Flight::None,
            dead: None,
            quiet: 0,
            sent: 0,
            beat: None,
            lost: false,
        }
    }

    /// Its session's record, as far as it matters here.
    pub(super) fn session(&self, time: Time) -> Session {
        let process = Process {
            host: String::new(),
            boot_id: String::new(),
            pid: 1,
            pidns: 1,
            start: 1,
        };
        let session = Session::new(process, time.lease);
        match self.dead {
            None => session,
            Some(why) => session.killed(why, "").unwrap(),
        }
    }

    /// What its guard is for, if it has one and that is valid.
    pub(super) fn holds(&self, time: Time) -> Option<Mode> {
        match self.place {
            Place::Inside(mode) if self.up && !self.lost && time.is_valid(self.sent) => Some(mode),
            _ => None,
        }
    }

    /// Whether nothing that it does can matter any more.
    pub(super) fn is_done(&self, attempts: u8) -> bool {
        self.place == Place::Outside && self.line.is_idle() && (self.asked >= attempts || self.lost)
    }

    pub(super) fn kill(&mut self, why: Cause, time: Time) {
        let Some(session) = self.session(time).killed(why, "other") else {
            return;
        };
        self.dead = session.dead.map(|death| death.why);
        self.quiet = time.after_change(self.quiet);
        if let Some(beat) = &mut self.beat
            && beat.landed.is_none()
        {
            beat.landed = Some(false);
        }
    }
}

impl World {
    /// A write reaches the store. The revision it gets, if it expects the one that is there.
    pub(super) fn land(&mut self, sent: &Sent, keeps_before: bool) -> Option<u64> {
        if sent.base != self.stored.revision {
            return None;
        }
        let revision = sent.base + 1;
        if self.fault.is_none() {
            self.fault = broken(&self.stored, &sent.after);
        }
        let stored = At {
            revision,
            record: Arc::clone(&sent.after),
        };
        let before = std::mem::replace(&mut self.stored, stored);
        self.before = keeps_before.then_some(before);
        self.late.retain(|late| late.base == revision);
        self.entrusted
            .retain(|entrusted| entrusted.base == revision);
        for person in &mut self.people {
            if let Flight::Write { sent, end } = &mut person.flight
                && end.is_none()
                && sent.base != revision
            {
                *end = Some(Err(()));
            }
        }
        Some(revision)
    }

    /// The same with the smallest numbers that stand in the same order: worlds that differ only in
    /// how often something was written are one. Numbers that follow each other still do.
    pub(super) fn renumber(&mut self) {
        let mut numbers = vec![0];
        self.numbers(&mut |number| numbers.push(number));
        numbers.sort_unstable();
        numbers.dedup();
        let mut smallest = Vec::with_capacity(numbers.len());
        let mut last = (0, 0);
        for number in &numbers {
            last = (*number, last.1 + (number - last.0).min(2));
            smallest.push(last.1);
        }
        self.give(&|number| smallest[numbers.partition_point(|other| *other < number)]);
    }

    fn numbers(&self, add: &mut dyn FnMut(u64)) {
        let records = self.late.iter().map(|late| (late.base, &late.after));
        let stored = [Some(&self.stored), self.before.as_ref()];
        let stored = stored
            .into_iter()
            .flatten()
            .map(|at| (at.revision, &at.record));
        self.entrusted
            .iter()
            .for_each(|entrusted| add(entrusted.base));
        for (revision, record) in stored.chain(records) {
            add(revision);
            record.fences().for_each(&mut *add);
        }
        for person in &self.people {
            person.line.numbers(add);
            if let Flight::Write { sent, end } = &person.flight {
                add(sent.base);
                sent.after.fences().for_each(&mut *add);
                if let Some(Ok(revision)) = end {
                    add(*revision);
                }
            }
        }
    }

    fn give(&mut self, number: &dyn Fn(u64) -> u64) {
        let record = |record: &mut Arc<Record>| {
            let mut fences = record.fences();
            if record.last_fence() != 0 || fences.any(|fence| number(fence) != fence) {
                drop(fences);
                Arc::make_mut(record).renumber(number);
            }
        };
        for at in [Some(&mut self.stored), self.before.as_mut()]
            .into_iter()
            .flatten()
        {
            at.revision = number(at.revision);
            record(&mut at.record);
        }
        for late in &mut self.late {
            late.base = number(late.base);
            record(&mut late.after);
        }
        for entrusted in &mut self.entrusted {
            entrusted.base = number(entrusted.base);
        }
        for person in &mut self.people {
            person.line.renumber(number);
            if let Flight::Write { sent, end } = &mut person.flight {
                sent.base = number(sent.base);
                record(&mut sent.after);
                if let Some(Ok(revision)) = end {
                    *revision = number(*revision);
                }
            }
        }
    }
}

/// The rule that a write breaks.
fn broken(before: &At, after: &Record) -> Option<Rule> {
    if let Some(rule) = after.broken_rule() {
        return Some(Rule::Record(rule));
    }
    let earlier = |id: &str| {
        before
            .record
            .claim(id)
            .map(|claim| (claim.mode, claim.state))
    };
    let mut reader = false;
    for claim in after.holders() {
        if earlier(&claim.id).is_some_and(|(_, state)| state.is_held()) {
            continue;
        }
        // Every fence so far is at most the revision before this write.
        let State::Held { fence } = claim.state else {
            continue;
        };
        if fence <= before.revision {
            return Some(Rule::Fences);
        }
        reader |= claim.mode == Mode::Read;
    }
    let waits = after
        .waiters()
        .any(|claim| earlier(&claim.id) == Some((Mode::Write, State::Waiting)));
    (waits && reader && !before.record.is_readers_turn()).then_some(Rule::WritersFirst)
}

pub(super) fn name(person: usize) -> String {
    format!("s{person}")
}
