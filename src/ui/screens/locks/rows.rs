//! Which locks are shown, and in which order. Knows nothing of what they look like.

use std::cmp::Reverse;
use std::sync::Arc;

use super::LockId;
use crate::kv::lock::observer::{Content, Lock, LockMode, Party};
use crate::kv::lock::record::Mode;
use crate::ui::index::Query;
use crate::ui::message::{LockReport, Millis};
use crate::ui::shown;

/// A lock that nobody holds keeps its place among those in use for so long, so that one that is
/// taken and let go of all the time does not jump.
const LINGERS: Millis = 30_000;

/// Which locks to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those that are at fault.
    Stuck,
    /// Those that somebody waits for.
    Waiters,
    /// Those that somebody holds.
    Held,
    /// Those that the process of a session holds or waits for.
    Session(String),
}

impl Which {
    /// The names of those that have one, for the palette.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("all", Self::All),
        ("stuck", Self::Stuck),
        ("waiters", Self::Waiters),
        ("held", Self::Held),
    ];

    /// Those of that name.
    pub fn named(name: &str) -> Option<Self> {
        let named = Self::NAMED.into_iter();
        named
            .into_iter()
            .find(|(is, _)| *is == name)
            .map(|(_, which)| which)
    }
}

/// By what the rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// What is at fault first, then what is in use, by name.
    #[default]
    Fault,
    Wait,
    Held,
    Waiters,
    Resource,
}

impl Sort {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Fault => Self::Wait,
            Self::Wait => Self::Held,
            Self::Held => Self::Waiters,
            Self::Waiters => Self::Resource,
            Self::Resource => Self::Fault,
        }
    }

    /// What it sorts by, in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Fault => "by fault",
            Self::Wait => "by wait",
            Self::Held => "by held for",
            Self::Waiters => "by waiters",
            Self::Resource => "by resource",
        }
    }
}

/// The rows: places in a report.
#[derive(Debug, Default)]
pub(super) struct Rows {
    places: Vec<usize>,
    /// What the filter finds of each lock, in the order of the report: to be looked at again only
    /// when they are others.
    known: Vec<Known>,
    /// The filter that this is of.
    query: Option<Query>,
}

/// A lock, and what a filter looks at.
#[derive(Debug)]
struct Known {
    lock: Arc<Lock>,
    text: String,
    passes: bool,
}

impl Rows {
    /// Takes those of a report that are to be shown, in order.
    pub(super) fn arrange(
        &mut self,
        seen: &LockReport,
        which: &Which,
        query: &Query,
        sort: Sort,
        is_reversed: bool,
    ) {
        let process = match which {
            Which::Session(session) => Some(Process::of(seen, session)),
            _ => None,
        };
        let locks = &seen.report.locks;
        let is_it = |lock: &Lock| match which {
            Which::All => true,
            Which::Stuck => lock.verdict.is_fault(),
            Which::Waiters => is_waited_for(lock),
            Which::Held => lock.mode().is_some_and(|mode| mode != LockMode::Idle),
            Which::Session(_) => parties(lock)
                .any(|party| process.as_ref().is_some_and(|process| process.has(party))),
        };
        self.filter(locks, query);
        let all = locks.iter().enumerate();
        let is_all = query.is_all();
        let passes =
            |place: usize| is_all || self.known.get(place).is_some_and(|known| known.passes);
        let shown = all.filter(|(place, lock)| passes(*place) && is_it(lock));
        let mut places: Vec<usize> = shown.map(|(place, _)| place).collect();
        let name = |place: &usize| (&locks[*place].resource, &locks[*place].bucket);
        let lasted = |lock: &Lock, party: Option<&Party>| {
            let behind = lock.ages_by(seen.boot);
            Reverse(party.map(|party| party.lasted + behind))
        };
        // They come in the order of their keys, nearly that of their names.
        match sort {
            Sort::Fault => {
                let group = |place: &usize| group(&locks[*place], seen.at);
                places.sort_by(|a, b| group(a).cmp(&group(b)).then_with(|| name(a).cmp(&name(b))));
            }
            Sort::Resource => places.sort_by(|a, b| name(a).cmp(&name(b))),
            Sort::Wait => places
                .sort_by_cached_key(|place| lasted(&locks[*place], locks[*place].longest_waiter())),
            Sort::Held => places
                .sort_by_cached_key(|place| lasted(&locks[*place], locks[*place].longest_holder())),
            Sort::Waiters => places.sort_by_key(|place| Reverse(locks[*place].waiters.len())),
        }
        if is_reversed {
            places.reverse();
        }
        self.places = places;
    }

    /// Finds out which locks pass the filter.
    fn filter(&mut self, locks: &[Arc<Lock>], query: &Query) {
        let is_other = self.query.as_ref() != Some(query);
        if is_other {
            self.query = Some(query.clone());
        }
        if query.is_all() {
            self.known.clear();
            return;
        }
        let before = std::mem::take(&mut self.known);
        let mut before = before.into_iter().peekable();
        let known = locks.iter().map(|lock| {
            let is_earlier = |known: &Known| {
                let id = (&known.lock.bucket, &known.lock.key);
                id < (&lock.bucket, &lock.key)
            };
            while before.next_if(is_earlier).is_some() {}
            match before.next_if(|known| Arc::ptr_eq(&known.lock, lock)) {
                Some(known) if is_other => Known {
                    passes: query.matches(&known.text),
                    ..known
                },
                Some(known) => known,
                None => {
                    let text = text(lock);
                    Known {
                        lock: Arc::clone(lock),
                        passes: query.matches(&text),
                        text,
                    }
                }
            }
        });
        self.known = known.collect();
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The lock in a row.
    pub(super) fn lock<'a>(&self, seen: &'a LockReport, row: usize) -> Option<&'a Arc<Lock>> {
        seen.report.locks.get(*self.places.get(row)?)
    }

    /// The row of a lock.
    pub(super) fn place_of(&self, seen: &LockReport, id: &LockId) -> Option<usize> {
        let mut rows = 0..self.len();
        rows.find(|row| {
            self.lock(seen, *row)
                .is_some_and(|lock| super::is(lock, id))
        })
    }
}

/// Those at fault by their verdict, then those in use, then those at rest.
fn group(lock: &Lock, at: Millis) -> u8 {
    if lock.verdict.is_fault() {
        return lock.verdict as u8;
    }
    let is_idle = lock.mode() == Some(LockMode::Idle) && !is_waited_for(lock);
    let is_at_rest = is_idle && shown::millis(lock.created) + LINGERS < at;
    if is_at_rest { u8::MAX } else { u8::MAX - 1 }
}

/// Whether somebody waits for it, as far as it tells.
pub(super) fn is_waited_for(lock: &Lock) -> bool {
    let has_flag = matches!(&lock.content, Content::Shizuku(record) if record.writer_waits);
    has_flag || !lock.waiters.is_empty()
}

/// Everybody who holds or waits.
pub(super) fn parties(lock: &Lock) -> impl Iterator<Item = &Party> {
    lock.holders.iter().chain(&lock.waiters)
}

/// What a filter looks at.
fn text(lock: &Lock) -> String {
    let mut text = String::new();
    for word in [&lock.resource, lock.bucket.as_str(), lock.verdict.as_str()] {
        text.push_str(word);
        text.push(' ');
    }
    for party in parties(lock) {
        text.push_str(&party.name());
        text.push(' ');
        text.push_str(&party.session);
        text.push(' ');
    }
    text
}

/// A process with sessions in any number of buckets: those that tell of the same number on the same
/// machine.
#[derive(Debug)]
pub(super) struct Process {
    session: String,
    place: Option<(String, u32)>,
    /// What it holds, and what would become of that without it.
    pub(super) holds: Vec<Freed>,
    /// How often it waits.
    pub(super) waits: usize,
}

/// A lock without one who holds it.
#[derive(Debug)]
pub(super) struct Freed {
    pub(super) resource: String,
    pub(super) next: Next,
}

/// What becomes of a lock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many others hold it still.
    StillHeld(usize),
    /// It is free.
    Free,
    /// They get it: the first by its name, and how many.
    Granted(Mode, String, usize),
}

impl Process {
    /// The process of a session.
    pub(super) fn of(seen: &LockReport, session: &str) -> Self {
        let all = || seen.report.locks.iter();
        let place = all()
            .flat_map(|lock| parties(lock))
            .find(|party| party.session == session)
            .and_then(|party| Some((party.host.clone()?, party.pid?)));
        let mut process = Self {
            session: session.to_owned(),
            place,
            holds: Vec::new(),
            waits: 0,
        };
        for lock in all() {
            process.waits += lock.waiters.iter().filter(|p| process.has(p)).count();
            if lock.holders.iter().any(|party| process.has(party)) {
                let freed = Freed {
                    resource: lock.resource.clone(),
                    next: process.next(lock),
                };
                process.holds.push(freed);
            }
        }
        process
    }

    /// Whether it is this process that holds or waits there.
    pub(super) fn has(&self, party: &Party) -> bool {
        let is_there = |(host, pid): &(String, u32)| {
            party.pid == Some(*pid) && party.host.as_ref() == Some(host)
        };
        party.session == self.session || self.place.as_ref().is_some_and(is_there)
    }

    /// Its name: `pid 4711 on batch-1`, or its session's. Not fit for the screen as it is.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Some((host, pid)) => format!("pid {pid} on {host}"),
            None => format!("session {}", self.session),
        }
    }

    fn next(&self, lock: &Lock) -> Next {
        let others = lock.holders.iter().filter(|party| !self.has(party)).count();
        if others > 0 {
            return Next::StillHeld(others);
        }
        let mut waiters = lock
            .waiters
            .iter()
            .filter(|party| !self.has(party) && !party.standing.is_dead());
        // They stand in the order in which they are let in, readers all at once.
        match waiters.next() {
            None => Next::Free,
            Some(first) => {
                let is_reader = |party: &&Party| party.mode == Mode::Read;
                let with_it = match first.mode {
                    Mode::Write => 0,
                    Mode::Read => waiters.take_while(is_reader).count(),
                };
                Next::Granted(first.mode, first.name(), 1 + with_it)
            }
        }
    }

    /// What would be freed if it went, in words that are not fit for the screen as they are.
    pub(super) fn words(&self) -> String {
        let name = self.name();
        if self.holds.is_empty() && self.waits == 0 {
            return format!("{name} holds nothing and waits for nothing.");
        }
        let freed = self.holds.iter().map(|freed| {
            let resource = &freed.resource;
            match &freed.next {
                Next::StillHeld(1) => format!("{resource} stays with another holder"),
                Next::StillHeld(others) => format!("{resource} stays with {others} other holders"),
                Next::Free => format!("{resource} is free"),
                Next::Granted(Mode::Write, name, _) => format!("{resource} goes to writer {name}"),
                Next::Granted(Mode::Read, name, 1) => format!("{resource} goes to reader {name}"),
                Next::Granted(Mode::Read, name, many) => {
                    format!("{resource} goes to reader {name} and {} more", many - 1)
                }
            }
        });
        let freed: Vec<String> = freed.collect();
        let (holds, waits) = (self.holds.len(), self.waits);
        match freed.as_slice() {
            [] => format!("{name} holds nothing and waits for {waits}."),
            freed => format!(
                "{name} holds {holds} and waits for {waits}. If it goes: {}.",
                freed.join("; ")
            ),
        }
    }
}
