//! What can happen next in the world.

use super::super::record::Mode;
use super::super::session::Cause;
use super::steps::{Mistake, Setup};
use super::world::{Flight, Person, Place, World, name};

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Time passes.
    Tick,
    Ask(usize),
    /// It asks, and leaves it to the one who holds to write it down.
    Entrust(usize),
    /// The one who holds hears of it.
    Oblige(usize),
    /// Nothing was heard of it: it writes for itself.
    TakeBack(usize),
    /// A read is answered by the leader.
    Answer(usize),
    StaleAnswer(usize),
    /// A write reaches the store.
    Land(usize),
    /// Its process learns of it.
    Acknowledge(usize),
    /// Its process never will.
    Lose(usize),
    /// A read or write fails for good.
    Fail(usize),
    /// A write that nobody waits for reaches the store.
    LandLate(usize),
    /// The watch tells what is stored.
    Tell(usize),
    Outage(usize),
    /// The future that asks is dropped.
    Cancel(usize),
    /// The guard is.
    Release(usize),
    Downgrade(usize),
    Beat(usize),
    LandBeat(usize),
    AcknowledgeBeat(usize),
    Crash(usize),
    KillSilent(usize),
    /// Somebody on the same machine sees that the process is gone.
    KillGone(usize),
    Break(usize),
    Evict(usize),
}

impl Event {
    /// Whether it is what happens in the end when nothing more goes wrong and nobody asks anew.
    pub(super) fn is_progress(self, world: &World) -> bool {
        match self {
            Self::Ask(_)
            | Self::Entrust(_)
            | Self::Oblige(_)
            | Self::StaleAnswer(_)
            | Self::Lose(_)
            | Self::Fail(_)
            | Self::LandLate(_)
            | Self::Outage(_)
            | Self::Cancel(_)
            | Self::Downgrade(_)
            | Self::Crash(_)
            | Self::Break(_) => false,
            Self::KillSilent(who) => !world.people[who].up,
            _ => true,
        }
    }
}

impl Setup {
    pub(super) fn has_time(&self) -> bool {
        self.mishaps.stalls + self.mishaps.breaks > 0
    }

    /// Whether a process's session can end by time.
    pub(super) fn ages(&self, who: usize) -> bool {
        self.has_time() && who < self.victims
    }

    /// Whether anything depends on whether its session lives.
    pub(super) fn is_needed(&self, person: &Person, who: usize) -> bool {
        person.asked > 0 && !(person.up && person.is_done(self.roles[who].attempts))
    }

    /// Everything that can happen.
    pub(super) fn all_events(&self, world: &World, events: &mut Vec<Event>) {
        if world.fault.is_some() {
            return;
        }
        if self.has_time() {
            events.push(Event::Tick);
        }
        for late in 0..world.late.len() {
            events.push(Event::LandLate(late));
        }
        for entrusted in 0..world.entrusted.len() {
            events.push(Event::Oblige(entrusted));
        }
        for who in 0..self.roles.len() {
            self.events_of(world, who, &mut |event| events.push(event));
        }
    }

    fn evictable(&self, world: &World, who: usize) -> bool {
        let person = &world.people[who];
        let is_silent = self.time.is_silent(person.quiet);
        let may = match person.dead {
            Some(Cause::Broken) => {
                is_silent || self.mistake == Some(Mistake::BreakWithoutQuarantine)
            }
            Some(_) => true,
            None => is_silent && self.mistake == Some(Mistake::EvictWithoutKill),
        };
        let claims = world.stored.record.claims();
        may && claims.iter().any(|claim| claim.session == name(who))
    }

    /// What can happen to one process.
    fn events_of(&self, world: &World, who: usize, add: &mut impl FnMut(Event)) {
        let person = &world.people[who];
        let left = &world.left;
        let mut when = |may: bool, event: Event| {
            if may {
                add(event);
            }
        };
        if let Some(beat) = person.beat {
            when(beat.landed.is_none(), Event::LandBeat(who));
            when(
                beat.landed.is_some() && person.up,
                Event::AcknowledgeBeat(who),
            );
        }
        let is_dead = person.dead.is_some();
        let is_needed = self.is_needed(person, who);
        let is_victim = !is_dead && is_needed && self.ages(who);
        let is_silent = is_victim && self.time.is_silent(person.quiet);
        when(
            is_silent && (!person.up || left.stalls > 0),
            Event::KillSilent(who),
        );
        when(!person.up && !is_dead, Event::KillGone(who));
        when(self.evictable(world, who), Event::Evict(who));
        if !person.up {
            return;
        }
        let is_due = person.sent > 0 && person.beat.is_none();
        let beats = self.ages(who) && is_needed && !person.lost;
        when(is_due && beats, Event::Beat(who));
        when(left.breaks > 0 && is_victim, Event::Break(who));
        when(left.crashes > 0 && is_needed, Event::Crash(who));
        match &person.flight {
            Flight::None => {}
            Flight::Read => {
                when(true, Event::Answer(who));
                when(
                    left.stale_reads > 0 && world.before.is_some(),
                    Event::StaleAnswer(who),
                );
                when(left.failures > 0, Event::Fail(who));
            }
            Flight::Write { end, .. } => {
                when(end.is_none(), Event::Land(who));
                when(end.is_some(), Event::Acknowledge(who));
                when(left.unknowns > 0, Event::Lose(who));
                when(left.failures > 0 && end.is_none(), Event::Fail(who));
            }
        }
        let role = self.roles[who];
        match person.place {
            Place::Outside => {
                let may = person.asked < role.attempts && !person.lost;
                when(may, Event::Ask(who));
                when(may && left.entrusts > 0, Event::Entrust(who));
            }
            Place::Asking => when(left.cancels > 0, Event::Cancel(who)),
            Place::Inside(mode) => {
                when(true, Event::Release(who));
                let may = role.downgrades && mode == Mode::Write;
                when(may, Event::Downgrade(who));
            }
            Place::Leaving => {}
        }
        when(person.line.is_entrusted(), Event::TakeBack(who));
        let known = person.line.known().map(|(revision, _)| revision.0);
        let is_behind = known.is_some_and(|known| known < world.stored.revision);
        when(
            is_behind && person.place != Place::Outside,
            Event::Tell(who),
        );
        when(
            left.outages > 0 && known.is_some() && !person.line.is_idle(),
            Event::Outage(who),
        );
    }
}
