//! What comes of everything that can happen in the world.

use std::num::NonZeroU32;
use std::sync::Arc;

use stateright::{Model, Property};

use super::super::line::{Next, Outcome};
use super::super::record::{Mode, Record, Request, Step};
use super::super::session::Cause;
use super::events::Event;
use super::world::{
    At, Beat, Entrusted, Flight, Mishaps, Person, Place, Rule, Sent, Time, World, name,
};
use crate::kv::Revision;

/// What is checked: who there is, what may go wrong, and which mistake the program has.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) roles: Vec<Role>,
    pub(super) time: Time,
    /// How many of them, from the first, others may take for dead while they live. The guards of
    /// the rest are always valid, which is the worst that they can be to others.
    pub(super) victims: usize,
    pub(super) max_writer_streak: Option<NonZeroU32>,
    pub(super) mishaps: Mishaps,
    pub(super) mistake: Option<Mistake>,
}

/// What a process wants of the lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    pub(super) mode: Mode,
    /// Whether it waits in the queue, or wants the lock at once or not at all.
    pub(super) waits: bool,
    /// Whether it may go on as a reader.
    pub(super) downgrades: bool,
    /// How often it asks.
    pub(super) attempts: u8,
}

/// A program that is wrong in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Claims of a silent session are taken out without killing it.
    EvictWithoutKill,
    /// A broken session's claims are taken out at once.
    BreakWithoutQuarantine,
    /// An attempt is given up without making sure that no write of it lands late.
    CancelWithoutNoOp,
    /// A guard is valid from when its beat was acknowledged.
    ValidFromAcknowledgement,
    /// A conflict is taken for proof that the attempt did not land.
    ConflictIsFailure,
    /// Who leaves it to another to write takes back its word and thinks no more of it.
    EntrustWithoutDoubt,
}

impl Setup {
    fn request(&self, who: usize, number: u8) -> Request {
        Request {
            id: format!("{who}.{number}"),
            session: name(who),
            mode: self.roles[who].mode,
            owner: String::new(),
            label: String::new(),
            asked_ms: 0,
            max_writer_streak: self.max_writer_streak,
        }
    }

    /// What a process does about what it has learned: at once, all of it.
    fn drive(&self, world: &mut World, who: usize) {
        let person = &mut world.people[who];
        for (_, outcome) in person.line.outcomes() {
            person.place = match (outcome, person.place) {
                (Outcome::Granted { .. }, Place::Asking) => Place::Inside(self.roles[who].mode),
                (Outcome::Granted { .. }, place) => place,
                (Outcome::Downgraded, _) => Place::Inside(Mode::Read),
                (Outcome::Refused(_) | Outcome::Released | Outcome::Gone, _) => Place::Outside,
            };
        }
        match person.line.next() {
            Next::Rest => {}
            Next::Read => person.flight = Flight::Read,
            Next::Write { record, base } => {
                let sent = Sent {
                    by: who,
                    base: base.0,
                    after: Arc::new(record),
                };
                let end = (base.0 != world.stored.revision).then_some(Err(()));
                person.flight = Flight::Write { sent, end };
            }
        }
    }

    fn answer(&self, world: &mut World, who: usize, at: &At) {
        let person = &mut world.people[who];
        person.flight = Flight::None;
        person
            .line
            .read(Record::clone(&at.record), Revision(at.revision));
        self.drive(world, who);
    }

    fn ask(&self, world: &mut World, who: usize, entrusts: bool) {
        let person = &mut world.people[who];
        person.asked += 1;
        person.place = Place::Asking;
        let request = self.request(who, person.asked);
        person.line.acquire(request, self.roles[who].waits);
        if entrusts && let Some((base, requests)) = person.line.entrust() {
            let record = person.line.known().map(|(_, record)| record.clone());
            if self.mistake == Some(Mistake::EntrustWithoutDoubt) {
                person.line.forget_doubt();
            }
            world.left.entrusts -= 1;
            let holds = |to: &usize| {
                let mut holders = record.iter().flat_map(Record::holders);
                holders.any(|claim| claim.session == name(*to))
            };
            let to = (0..self.roles.len()).filter(holds);
            world.entrusted.extend(to.map(|to| Entrusted {
                to,
                base: base.0,
                requests: requests.clone(),
            }));
        }
        self.drive(world, who);
    }

    fn downgrade(&self, world: &mut World, who: usize) {
        let person = &mut world.people[who];
        let id = format!("{who}.{}", person.asked);
        person.line.downgrade(&id);
        person.place = Place::Inside(Mode::Read);
        self.drive(world, who);
    }

    fn land(&self, world: &mut World, sent: &Sent) -> Result<u64, ()> {
        world.land(sent, self.mishaps.stale_reads > 0).ok_or(())
    }

    fn fail(&self, world: &mut World, who: usize) {
        world.left.failures -= 1;
        let person = &mut world.people[who];
        person.flight = Flight::None;
        person.line.failed();
        abandon(person);
        self.drive(world, who);
    }

    fn land_beat(&self, world: &mut World, who: usize) {
        let person = &mut world.people[who];
        if person.session(self.time).beaten().is_none() {
            world.fault = Some(Rule::DeadBeats);
        }
        person.quiet = self.time.after_change(person.quiet);
        let landed = Some(true);
        let beat = person.beat.filter(|_| person.up);
        person.beat = beat.map(|beat| Beat { landed, ..beat });
    }

    fn acknowledge_beat(&self, world: &mut World, who: usize) {
        let person = &mut world.people[who];
        match person.beat.take() {
            Some(Beat {
                age,
                landed: Some(true),
            }) => {
                let is_wrong = self.mistake == Some(Mistake::ValidFromAcknowledgement);
                person.sent = if is_wrong { 0 } else { age };
            }
            _ => {
                person.lost = true;
                if person.place != Place::Outside {
                    self.leave(world, who);
                }
            }
        }
    }

    fn evict(&self, world: &mut World, who: usize) {
        let At { revision, record } = world.stored.clone();
        if let Step::Write(after) = record.evict(&name(who), Revision(revision)) {
            let sent = Sent {
                by: who,
                base: revision,
                after: Arc::new(after),
            };
            let _ = self.land(world, &sent);
            world.evicted = true;
        }
    }

    /// Worlds that differ in nothing that anything depends on are one.
    fn forget_what_does_not_matter(&self, world: &mut World) {
        if world.left.stale_reads == 0 {
            world.before = None;
        }
        for (who, person) in world.people.iter_mut().enumerate() {
            if !self.is_needed(person, who) {
                person.sent = 0;
                person.quiet = 0;
                person.beat = None;
            }
            if person.lost {
                person.sent = self.time.invalid;
            }
            if let Some(Beat {
                age,
                landed: Some(false),
            }) = &mut person.beat
            {
                *age = 0;
            }
        }
    }

    fn acknowledge(&self, world: &mut World, who: usize) {
        let person = &mut world.people[who];
        match std::mem::replace(&mut person.flight, Flight::None) {
            Flight::Write {
                end: Some(Ok(revision)),
                ..
            } => person.line.written(Revision(revision)),
            Flight::Write {
                end: Some(Err(())), ..
            } => {
                person.line.conflict();
                if self.mistake == Some(Mistake::ConflictIsFailure) {
                    person.line.forget_doubt();
                    abandon(person);
                }
            }
            other => person.flight = other,
        }
        self.drive(world, who);
    }

    fn lose(&self, world: &mut World, who: usize) {
        world.left.unknowns -= 1;
        let person = &mut world.people[who];
        if let Flight::Write { sent, end } = std::mem::replace(&mut person.flight, Flight::None) {
            person.line.unknown();
            if person.place == Place::Leaving && self.mistake == Some(Mistake::CancelWithoutNoOp) {
                person.line.forget_doubt();
            }
            if end.is_none() {
                keep_late(world, sent);
            }
        }
        self.drive(world, who);
    }

    /// The process gives its attempt up: nobody waits for it any more.
    fn leave(&self, world: &mut World, who: usize) {
        let person = &mut world.people[who];
        let id = format!("{who}.{}", person.asked);
        person.line.release(&id);
        person.place = Place::Leaving;
        if self.mistake == Some(Mistake::CancelWithoutNoOp) {
            person.line.forget_doubt();
        }
        self.drive(world, who);
    }

    /// Whether anything depends on time: only what can end a session of a live process does.
    fn crash(&self, world: &mut World, who: usize) {
        world.left.crashes -= 1;
        let person = &mut world.people[who];
        let flight = std::mem::replace(&mut person.flight, Flight::None);
        *person = Person {
            up: false,
            asked: self.roles[who].attempts,
            dead: person.dead,
            quiet: person.quiet,
            sent: self.time.invalid,
            beat: person.beat.filter(|beat| beat.landed.is_none()),
            ..Person::new(who)
        };
        if let Flight::Write { sent, end: None } = flight {
            keep_late(world, sent);
        }
    }

    fn tick(&self, world: &mut World) {
        let Time {
            invalid, silent, ..
        } = self.time;
        for (who, person) in world.people.iter_mut().enumerate() {
            if !self.ages(who) || !self.is_needed(person, who) {
                continue;
            }
            if let Some(beat) = &mut person.beat {
                beat.age = (beat.age + 1).min(invalid);
            }
            person.sent = (person.sent + 1).min(invalid);
            if person.dead.is_none_or(|why| why == Cause::Broken) {
                person.quiet = (person.quiet + 1).min(silent);
            }
        }
    }
}

/// A store that fails ends the attempts that have no claim.
fn abandon(person: &mut Person) {
    if !person.line.abandon().is_empty() {
        person.place = Place::Outside;
    }
}

fn keep_late(world: &mut World, sent: Sent) {
    if sent.base == world.stored.revision && !world.late.contains(&sent) {
        world.late.push(sent);
        world.late.sort_by_key(|late| late.by);
    }
}

impl Model for Setup {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            stored: At {
                revision: 0,
                record: Arc::default(),
            },
            before: None,
            late: Vec::new(),
            entrusted: Vec::new(),
            people: (0..self.roles.len()).map(Person::new).collect(),
            left: self.mishaps,
            fault: None,
            evicted: false,
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        self.all_events(world, events);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut world = world.clone();
        match event {
            Event::Tick => self.tick(&mut world),
            Event::Ask(who) => self.ask(&mut world, who, false),
            Event::Entrust(who) => self.ask(&mut world, who, true),
            Event::Oblige(entrusted) => {
                let Entrusted { to, base, requests } = world.entrusted.remove(entrusted);
                if world.people[to].up {
                    world.people[to].line.oblige(Revision(base), requests);
                }
            }
            Event::TakeBack(who) => {
                world.people[who].line.take_back();
                self.drive(&mut world, who);
            }
            Event::Answer(who) => {
                let at = world.stored.clone();
                self.answer(&mut world, who, &at);
            }
            Event::StaleAnswer(who) => {
                world.left.stale_reads -= 1;
                let at = world.before.clone()?;
                self.answer(&mut world, who, &at);
            }
            Event::Land(who) => {
                if let Flight::Write { sent, .. } = world.people[who].flight.clone() {
                    let end = Some(self.land(&mut world, &sent));
                    world.people[who].flight = Flight::Write { sent, end };
                }
            }
            Event::LandLate(late) => {
                let sent = world.late.remove(late);
                let _ = self.land(&mut world, &sent);
            }
            Event::Acknowledge(who) => self.acknowledge(&mut world, who),
            Event::Lose(who) => self.lose(&mut world, who),
            Event::Fail(who) => self.fail(&mut world, who),
            Event::Tell(who) => {
                let At { revision, record } = world.stored.clone();
                let line = &mut world.people[who].line;
                line.told(Record::clone(&record), Revision(revision));
                self.drive(&mut world, who);
            }
            Event::Outage(who) => {
                world.left.outages -= 1;
                world.people[who].line.forget();
                self.drive(&mut world, who);
            }
            Event::Cancel(who) => {
                world.left.cancels -= 1;
                self.leave(&mut world, who);
            }
            Event::Release(who) => self.leave(&mut world, who),
            Event::Downgrade(who) => self.downgrade(&mut world, who),
            Event::Beat(who) => {
                let person = &mut world.people[who];
                // It expects the revision of its last beat: a kill is at another one.
                let landed = person.dead.is_some().then_some(false);
                person.beat = Some(Beat { age: 0, landed });
            }
            Event::LandBeat(who) => self.land_beat(&mut world, who),
            Event::AcknowledgeBeat(who) => self.acknowledge_beat(&mut world, who),
            Event::Crash(who) => self.crash(&mut world, who),
            Event::KillSilent(who) => {
                if world.people[who].up {
                    world.left.stalls -= 1;
                }
                world.people[who].kill(Cause::Silent, self.time);
            }
            Event::KillGone(who) => world.people[who].kill(Cause::Gone, self.time),
            Event::Break(who) => {
                world.left.breaks -= 1;
                world.people[who].kill(Cause::Broken, self.time);
            }
            Event::Evict(who) => self.evict(&mut world, who),
        }
        self.forget_what_does_not_matter(&mut world);
        world.renumber();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "1 no two valid guards conflict",
                |setup: &Self, world: &World| {
                    let guards = world
                        .people
                        .iter()
                        .filter_map(|person| person.holds(setup.time));
                    let (mut readers, mut writers) = (0, 0);
                    for guard in guards {
                        match guard {
                            Mode::Read => readers += 1,
                            Mode::Write => writers += 1,
                        }
                    }
                    writers == 0 || (writers == 1 && readers == 0)
                },
            ),
            Property::always(
                "2, 3 what is stored keeps the record's rules",
                |_: &Self, world: &World| !matches!(world.fault, Some(Rule::Record(_))),
            ),
            Property::always("4 fences rise", |_: &Self, world: &World| {
                world.fault != Some(Rule::Fences)
            }),
            Property::always(
                "5 no reader is granted while a writer waits",
                |_: &Self, world: &World| world.fault != Some(Rule::WritersFirst),
            ),
            Property::always(
                "6 no claim of a live session lacks an owner",
                |_: &Self, world: &World| {
                    let claims = world.stored.record.claims();
                    claims.iter().all(|claim| {
                        let owner = world.people.iter().enumerate();
                        let mut owner = owner.filter(|(who, _)| name(*who) == claim.session);
                        let lives = |person: &Person| person.up && person.dead.is_none();
                        owner.all(|(_, person)| {
                            let mut wanted = person.line.attempts();
                            !lives(person)
                                || !person.line.is_idle()
                                || wanted.any(|id| id == claim.id)
                        })
                    })
                },
            ),
            Property::always("7 a dead session never beats", |_: &Self, world: &World| {
                world.fault != Some(Rule::DeadBeats)
            }),
            Property::sometimes(
                "somebody comes in after a dead one",
                |setup: &Self, world: &World| {
                    let holds = |person: &Person| person.holds(setup.time).is_some();
                    world.evicted && world.people.iter().any(holds)
                },
            ),
            Property::sometimes(
                "somebody holds who is not valid any more",
                |setup: &Self, world: &World| {
                    let stale = |person: &Person| {
                        matches!(person.place, Place::Inside(_))
                            && person.holds(setup.time).is_none()
                    };
                    world.people.iter().any(stale)
                },
            ),
        ]
    }
}
