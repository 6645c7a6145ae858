//! What must never be seen: two conflicting guards that are valid at the same time, a fence that
//! does not rise, a record that the rules don't allow. It knows nothing of how locks are made.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvscope::kv::lock::record::{Claim, Mode, Record, State};
use kvscope::kv::lock::resource_of;
use kvscope::kv::lock::session::Session;
use kvscope::kv::{Key, Revision};
use tokio::time::Instant;

use crate::held::Held;
use crate::layers::Witness;

/// How much of what happened is told beside a violation.
const TRAIL: usize = 120;

/// The one that all processes of a schedule are watched by.
#[derive(Debug, Default)]
pub(crate) struct Oracle(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    begun: Option<Instant>,
    inside: HashMap<u64, Inside>,
    entered: u64,
    presences: u64,
    /// The highest fences of valid guards so far: of writers, and of anybody.
    fences: HashMap<String, (u64, u64)>,
    /// What each lock guards: the highest fence that wrote there, and how many writes it refused.
    register: HashMap<String, u64>,
    refused: u64,
    records: HashMap<Key, Record>,
    dead: HashSet<Key>,
    landed: u64,
    violations: Vec<String>,
    trail: Vec<String>,
}

#[derive(Debug)]
struct Inside {
    process: usize,
    guard: Held,
}

/// What a schedule came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Guards that were given.
    pub(crate) guards: u64,
    /// Writes that landed.
    pub(crate) landed: u64,
    /// Late writes of guards that had run out, which the fence refused.
    pub(crate) refused: u64,
}

impl Oracle {
    pub(crate) fn begin() -> Arc<Self> {
        let seen = Seen {
            begun: Some(Instant::now()),
            ..Seen::default()
        };
        Arc::new(Self(Mutex::new(seen)))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened.
    pub(crate) fn note(&self, what: impl fmt::Display) {
        self.seen().note(what);
    }

    pub(crate) fn violated(&self, what: impl fmt::Display) {
        self.seen().violated(what);
    }

    /// Somebody was given a guard.
    pub(crate) fn enter(self: &Arc<Self>, process: usize, guard: Held) -> Presence {
        let mut seen = self.seen();
        seen.entered += 1;
        seen.note(format_args!(
            "p{process} {}s {} with fence {}",
            guard.mode(),
            guard.resource(),
            guard.fence()
        ));
        if guard.is_valid() {
            seen.check_fence(&guard);
        }
        drop(seen);
        self.resume(process, guard)
    }

    /// Somebody goes on inside, with a guard of another kind.
    pub(crate) fn resume(self: &Arc<Self>, process: usize, guard: Held) -> Presence {
        let mut seen = self.seen();
        seen.presences += 1;
        let number = seen.presences;
        seen.inside.insert(number, Inside { process, guard });
        seen.look();
        drop(seen);
        Presence {
            oracle: Arc::clone(self),
            number,
        }
    }

    /// A process died: whatever it held, it can do no harm any more.
    pub(crate) fn bury(&self, process: usize) {
        let mut seen = self.seen();
        let (dead, inside) = std::mem::take(&mut seen.inside)
            .into_iter()
            .partition(|(_, inside)| inside.process == process);
        seen.inside = inside;
        drop(seen);
        let dead: HashMap<u64, Inside> = dead;
        drop(dead);
    }

    /// Looks at everybody who is inside now.
    pub(crate) fn look(&self) {
        self.seen().look();
    }

    pub(crate) fn tally(&self) -> Tally {
        let seen = self.seen();
        Tally {
            guards: seen.entered,
            landed: seen.landed,
            refused: seen.refused,
        }
    }

    /// What was violated, and what happened before.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let seen = self.seen();
        if seen.violations.is_empty() {
            return Ok(());
        }
        let trail = &seen.trail[seen.trail.len().saturating_sub(TRAIL)..];
        let (violations, trail) = (seen.violations.join("\n  "), trail.join("\n  "));
        Err(format!("{violations}\nwhat happened last:\n  {trail}"))
    }
}

impl Seen {
    fn note(&mut self, what: impl fmt::Display) {
        let at = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        self.trail.push(format!("{:>8.3} {what}", at.as_secs_f64()));
    }

    fn violated(&mut self, what: impl fmt::Display) {
        self.note(format_args!("VIOLATION {what}"));
        if self.violations.len() < 5 {
            self.violations.push(what.to_string());
        }
    }

    /// A writer comes after everybody, a reader after every writer.
    fn check_fence(&mut self, guard: &Held) {
        let fences = self.fences.entry(guard.resource().to_owned()).or_default();
        let (writers, all) = *fences;
        let fence = guard.fence();
        let rises = match guard.mode() {
            Mode::Write => fence > all,
            Mode::Read => fence > writers,
        };
        if guard.mode() == Mode::Write {
            fences.0 = writers.max(fence);
        }
        fences.1 = all.max(fence);
        if !rises {
            let what = format!("fence {fence} after ({writers}, {all}): {guard:?}");
            self.violated(what);
        }
    }

    fn look(&mut self) {
        let mut found = Vec::new();
        let mut inside: HashMap<&str, (Vec<&Inside>, usize)> = HashMap::new();
        for one in self.inside.values().filter(|one| one.guard.is_valid()) {
            let (all, writers) = inside.entry(one.guard.resource()).or_default();
            all.push(one);
            *writers += usize::from(one.guard.mode() == Mode::Write);
        }
        for (all, writers) in inside.values() {
            if *writers > 0 && all.len() > 1 {
                found.push(format!("valid at the same time: {all:?}"));
            }
        }
        for what in found {
            self.violated(what);
        }
    }

    fn lock_landed(&mut self, key: &Key, base: Option<Revision>, at: Revision, value: &[u8]) {
        let record = match Record::from_bytes(value) {
            Ok(record) => record,
            Err(error) => return self.violated(format_args!("{key} at {at}: {error}")),
        };
        let Some(base) = base else {
            return self.violated(format_args!("{key} at {at}: not by compare-and-set"));
        };
        let what = format!("{} at {at}: {}", key.as_str(), shown(&record));
        self.note(&what);
        let before = self.records.insert(key.clone(), record.clone());
        for wrong in faults(&before.unwrap_or_default(), &record, base) {
            self.violated(format_args!("{what}: {wrong}"));
        }
    }

    fn session_landed(&mut self, key: &Key, at: Revision, value: &[u8]) {
        match Session::from_bytes(value) {
            Ok(session) if session.dead.is_some() => {
                let death = session.dead;
                self.note(format_args!("{key} at {at}: {death:?}"));
                self.dead.insert(key.clone());
            }
            Ok(_) if self.dead.contains(key) => {
                self.violated(format_args!("{key} at {at}: beats although it is dead"));
            }
            Ok(_) => {}
            Err(error) => self.violated(format_args!("{key} at {at}: {error}")),
        }
    }
}

impl Witness for Oracle {
    fn landed(&self, key: &Key, base: Option<Revision>, at: Revision, value: Option<&[u8]>) {
        let mut seen = self.seen();
        seen.landed += 1;
        match value {
            Some(value) if resource_of(key.as_str()).is_some() => {
                seen.lock_landed(key, base, at, value);
            }
            Some(value) if Session::id_of(key.as_str()).is_some() => {
                seen.session_landed(key, at, value);
            }
            _ => seen.note(format_args!("{key} at {at}: taken away")),
        }
    }
}

/// What the rules don't allow in a record that was written over another one.
fn faults(before: &Record, after: &Record, base: Revision) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let ids: HashSet<&str> = after.claims().iter().map(|claim| &*claim.id).collect();
    if ids.len() != after.claims().len() {
        faults.push("an id twice");
    }
    let writers = after
        .holders()
        .filter(|claim| claim.mode == Mode::Write)
        .count();
    let holders = after.holders().count();
    if writers > 0 && holders > 1 {
        faults.push("a writer is not alone");
    }
    let writer_waits = after.waiters().any(|claim| claim.mode == Mode::Write);
    if holders == 0 && after.waiters().next().is_some() {
        faults.push("nobody holds what somebody waits for");
    }
    if writers == 0 && !writer_waits && after.waiters().next().is_some() {
        faults.push("a reader waits for readers");
    }
    let highest = before.last_fence().max(base.0);
    for claim in after.holders() {
        let was_held = before
            .claim(&claim.id)
            .is_some_and(|claim| claim.state.is_held());
        if was_held {
            continue;
        }
        if fence(claim.state) <= highest || after.last_fence() < fence(claim.state) {
            faults.push("a fence that is not new");
        }
        let is_passed_over = |writer: &Claim| {
            let waited = before.claim(&writer.id).is_some();
            writer.mode == Mode::Write && (waited || writer.ticket < claim.ticket)
        };
        if claim.mode == Mode::Read && after.waiters().any(is_passed_over) {
            faults.push("a reader was let in before a writer who waits");
        }
    }
    let tickets = after.claims().iter().map(|claim| claim.ticket);
    if !tickets.is_sorted_by(|one, next| one < next) {
        faults.push("places in line out of order");
    }
    faults
}

fn fence(state: State) -> u64 {
    match state {
        State::Held { fence } => fence,
        State::Waiting => 0,
    }
}

/// A record in one line: `p0:R7 p1:w`.
pub(crate) fn shown(record: &Record) -> String {
    let claims = record.claims().iter().map(|claim| {
        let mode = match claim.mode {
            Mode::Read => 'r',
            Mode::Write => 'w',
        };
        let (label, id) = (&claim.label, &claim.id);
        match claim.state {
            State::Held { fence } => format!("{label}:{}{fence}({id})", mode.to_ascii_uppercase()),
            State::Waiting => format!("{label}:{mode}({id})"),
        }
    });
    claims.collect::<Vec<_>>().join(" ")
}

/// Somebody who is inside, until this is dropped or the guard is taken back.
#[derive(Debug)]
pub(crate) struct Presence {
    oracle: Arc<Oracle>,
    number: u64,
}

impl Presence {
    /// Does what the lock is for: everybody looks around, and a writer writes what is guarded.
    /// With a guard that is valid it must work; whoever does not look has the fence against him.
    pub(crate) fn work(&self) {
        let mut seen = self.oracle.seen();
        seen.look();
        let Some(inside) = seen.inside.get(&self.number) else {
            return;
        };
        if inside.guard.mode() != Mode::Write {
            return;
        }
        let (fence, is_valid) = (inside.guard.fence(), inside.guard.is_valid());
        let resource = inside.guard.resource().to_owned();
        let guarded = seen.register.entry(resource).or_default();
        let highest = *guarded;
        *guarded = highest.max(fence);
        if fence < highest {
            seen.refused += 1;
            if is_valid {
                seen.violated(format_args!("{fence} was refused: {highest} came before"));
            }
        }
    }

    /// Works and rests by turns.
    pub(crate) async fn stay(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.work();
            let rest = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(rest.min(Duration::from_millis(100))).await;
        }
        self.work();
    }

    /// The guard, to let it go or change it. `None` when the process is dead.
    pub(crate) fn leave(self) -> Option<Held> {
        self.take()
    }

    fn take(&self) -> Option<Held> {
        let inside = self.oracle.seen().inside.remove(&self.number)?;
        Some(inside.guard)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.take();
    }
}
