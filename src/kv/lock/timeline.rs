//! A lock's past: what happened to it, from one revision of its record to the next.
//!
//! Pure. [`Tracker`] takes the revisions one after another and says what each of them did; it also
//! knows since when everybody who is there now holds or waits. [`timeline`] runs it over a key's
//! history. Times are the store's: `asked_ms` in a claim is the asker's own clock, and only stands
//! in where the write that brought the claim is not kept any more.

mod past;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::past::past;
use super::diagnosis;
use super::record::{Claim, Mode, Record, State};
use super::session::{Cause, Death, Session};
use super::snapshot::nanos;
use crate::kv::{Entry, Revision};

/// Since when something is so, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The time.
    #[serde(with = "nanos")]
    pub at: OffsetDateTime,
    /// Whose clock it is of, and what it is the time of.
    pub basis: Basis,
}

/// How the time of a [`Since`] is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// The store's clock: the very write that made it so.
    Write,
    /// The store's clock: it was so by then. The write that made it so is not kept any more, so it
    /// has been so for longer.
    Kept,
    /// The clock of the one who asked, as it wrote down itself.
    Asker,
}

impl Since {
    /// How long ago that is; zero where clocks disagree, never negative.
    pub fn age(self, now: OffsetDateTime) -> Duration {
        Duration::try_from(now - self.at).unwrap_or_default()
    }
}

/// Something that happened to a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, by the store's clock.
    pub at: OffsetDateTime,
    /// The revision that did it: of the lock's record, or for a kill of the session's.
    pub revision: Revision,
    /// Who it happened to; nobody, where the record itself was lost.
    pub who: Option<Who>,
    /// What.
    pub what: What,
}

/// What happened, in a sentence for people. It quotes names that others chose: not fit for a screen
/// as it is.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.who.as_ref().map_or_else(String::new, |who| {
            let label = if who.label.is_empty() {
                &who.session
            } else {
                &who.label
            };
            let role = who.mode.role();
            format!("{role} {label}")
        });
        let after = |words: &str, time: Option<Duration>| match time {
            Some(time) => format!(" {words} {}", diagnosis::span(time)),
            None => String::new(),
        };
        let text = match &self.what {
            What::Queued => format!("{who} queued"),
            What::Granted { fence, waited } => match waited {
                Some(waited) if waited.is_zero() => format!("{who} acquired, fence {fence}"),
                waited => format!("{who} granted{}, fence {fence}", after("after", *waited)),
            },
            What::Downgraded => format!("{who} goes on as a reader"),
            What::Released { held } => format!("{who} released{}", after("after", *held)),
            What::Cancelled { waited } => format!("{who} gave up{}", after("after", *waited)),
            What::Lapsed { silent } => format!(
                "{who}'s session renewed its lease too late, after {}",
                diagnosis::span(*silent)
            ),
            What::Killed(death) => {
                let how = match death.why {
                    Cause::Ended => "ended in order",
                    Cause::Silent => "killed, for it was silent",
                    Cause::Gone => "killed, for its process is gone",
                    Cause::Broken => "broken",
                };
                format!("{who}'s session {how}, by {}", death.by)
            }
            What::Evicted { was_held, lasted } => {
                let how = if *was_held {
                    "having held"
                } else {
                    "having waited"
                };
                format!("{who} evicted{}", after(how, *lasted))
            }
            What::Removed => "the record was deleted".to_owned(),
            What::Unreadable => "something was written that is no lock record".to_owned(),
        };
        f.write_str(&text)
    }
}

/// Who a claim is of, as far as its record tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The session.
    pub session: String,
    /// What people call it.
    pub label: String,
    /// What for it has the lock or asked.
    pub mode: Mode,
}

/// What happened. Times are `None` where their beginning is not kept any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It asked, and has to wait.
    Queued,
    /// It got the lock.
    Granted {
        /// Its fencing token.
        fence: u64,
        /// How long it had waited: zero if it got the lock as it asked.
        waited: Option<Duration>,
    },
    /// It wrote, and reads now.
    Downgraded,
    /// It let go of the lock.
    Released {
        /// How long it had held.
        held: Option<Duration>,
    },
    /// It gave up waiting.
    Cancelled {
        /// How long it had waited.
        waited: Option<Duration>,
    },
    /// Its session renewed its lease too late: until then no guard of it was valid.
    Lapsed {
        /// How long it had not beaten.
        silent: Duration,
    },
    /// Its session was killed.
    Killed(Death),
    /// It was taken out, for its session was dead.
    Evicted {
        /// Whether it held the lock; else it waited.
        was_held: bool,
        /// For how long.
        lasted: Option<Duration>,
    },
    /// The record was deleted: everybody in it lost their place.
    Removed,
    /// What was written is no lock record.
    Unreadable,
}

/// What is known of one claim that is there.
#[derive(Debug, Clone)]
struct Open {
    who: Who,
    asked: Since,
    held: Option<Since>,
}

/// Follows one lock's record through its revisions.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    open: HashMap<String, Open>,
    /// Whether the revision before was seen, so that what is new in this one is this one's doing.
    follows: bool,
}

impl Tracker {
    /// Takes the next revision, and tells what it did. `record` is `None` for what can't be read.
    pub fn step(
        &mut self,
        revision: Revision,
        created: OffsetDateTime,
        record: Option<&Record>,
    ) -> Vec<Event> {
        let event = |who: Option<Who>, what| Event {
            at: created,
            revision,
            who,
            what,
        };
        let Some(record) = record else {
            *self = Self::default();
            return vec![event(None, What::Unreadable)];
        };
        let mut events = Vec::new();
        // The first claim ever came, and was granted, by the first write ever.
        let follows = self.follows || record.next_ticket() == 1;
        let mut before = std::mem::take(&mut self.open);
        // In the order of their tickets, whoever left comes first: it made room.
        let mut left: Vec<Open> = Vec::new();
        let there: HashSet<&str> = record
            .claims()
            .iter()
            .map(|claim| claim.id.as_str())
            .collect();
        before.retain(|id, open| {
            let stays = there.contains(id.as_str());
            if !stays {
                left.push(open.clone());
            }
            stays
        });
        left.sort_by_key(|open| open.asked.at);
        events.extend(left.into_iter().map(|open| {
            let what = match open.held {
                Some(held) => What::Released {
                    held: span(held, created),
                },
                None => What::Cancelled {
                    waited: span(open.asked, created),
                },
            };
            event(Some(open.who), what)
        }));
        for claim in record.claims() {
            let known = before.remove(&claim.id);
            let open = Self::seen(claim, known.as_ref(), revision, created, follows);
            let who = || Some(open.who.clone());
            let was_held = known.as_ref().is_some_and(|open| open.held.is_some());
            match (claim.state, open.held) {
                (State::Held { fence }, Some(held)) if !was_held && held.basis == Basis::Write => {
                    let waited = span(open.asked, created);
                    events.push(event(who(), What::Granted { fence, waited }));
                }
                (State::Waiting, _) if known.is_none() && open.asked.basis == Basis::Write => {
                    events.push(event(who(), What::Queued));
                }
                _ => {}
            }
            let had_mode = known.map(|open| open.who.mode);
            if had_mode.is_some_and(|mode| mode != claim.mode) {
                events.push(event(who(), What::Downgraded));
            }
            self.open.insert(claim.id.clone(), open);
        }
        self.follows = true;
        events
    }

    /// The record was deleted.
    pub fn removed(&mut self, revision: Revision, created: OffsetDateTime) -> Event {
        // What is written next begins anew: all that is in it is its own doing.
        self.open.clear();
        self.follows = true;
        Event {
            at: created,
            revision,
            who: None,
            what: What::Removed,
        }
    }

    /// Since when a claim waits, or for one that holds, since when it holds.
    pub fn since(&self, claim: &Claim) -> Option<Since> {
        let open = self.open.get(&claim.id)?;
        match claim.state {
            State::Waiting => Some(open.asked),
            State::Held { .. } => open.held,
        }
    }

    fn seen(
        claim: &Claim,
        known: Option<&Open>,
        revision: Revision,
        created: OffsetDateTime,
        follows: bool,
    ) -> Open {
        let by_this_write = Since {
            at: created,
            basis: Basis::Write,
        };
        let asked = match known {
            Some(open) => open.asked,
            None if follows => by_this_write,
            None => asked(claim, created),
        };
        let held = match (claim.state, known.and_then(|open| open.held)) {
            (State::Waiting, _) => None,
            (State::Held { .. }, Some(held)) => Some(held),
            // A fence is one more than the revision that the granting write was made on.
            (State::Held { fence }, None) if follows || fence == revision.0 => Some(by_this_write),
            (State::Held { .. }, None) => Some(Since {
                at: created,
                basis: Basis::Kept,
            }),
        };
        let who = Who {
            session: claim.session.clone(),
            label: claim.label.clone(),
            mode: claim.mode,
        };
        Open { who, asked, held }
    }
}

/// When a claim says that it asked, but not after the write that it was found in.
fn asked(claim: &Claim, created: OffsetDateTime) -> Since {
    let nanos = i128::from(claim.asked_ms) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(created);
    Since {
        at: at.min(created),
        basis: Basis::Asker,
    }
}

/// How long it lasted, where both ends are times of writes.
fn span(since: Since, until: OffsetDateTime) -> Option<Duration> {
    (since.basis == Basis::Write).then(|| since.age(until))
}

/// A lock's past, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// What happened.
    pub events: Vec<Event>,
}

/// A session's death, and the write that it died by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// Why, and by whom.
    pub death: Death,
    /// When, by the store's clock.
    pub at: OffsetDateTime,
    /// The revision of the session's record.
    pub revision: Revision,
}

/// The past of a lock, from the history of its record, oldest first. `deaths` are those sessions
/// whose records say that they are dead, by id: a record of the lock alone can't tell who left from
/// who was taken out.
pub fn timeline<S: std::hash::BuildHasher>(
    history: &[Entry],
    deaths: &HashMap<String, Killed, S>,
) -> Timeline {
    let mut tracker = Tracker::default();
    let mut events = Vec::new();
    for entry in history {
        if let Some(value) = entry.live_value() {
            let record = Record::from_bytes(value).ok();
            events.extend(tracker.step(entry.revision, entry.created, record.as_ref()));
        } else if entry.is_marker() {
            events.push(tracker.removed(entry.revision, entry.created));
        }
    }
    let mut told: Vec<&str> = Vec::new();
    let mut kills = Vec::new();
    for event in &mut events {
        let Some(who) = &event.who else { continue };
        let Some((session, killed)) = deaths.get_key_value(&who.session) else {
            continue;
        };
        if !told.contains(&session.as_str()) {
            told.push(session);
            kills.push(Event {
                at: killed.at,
                revision: killed.revision,
                who: Some(who.clone()),
                what: What::Killed(killed.death.clone()),
            });
        }
        // A session that ended in order has let go of everything itself.
        if killed.death.why == Cause::Ended || event.revision < killed.revision {
            continue;
        }
        event.what = match event.what {
            What::Released { held } => What::Evicted {
                was_held: true,
                lasted: held,
            },
            What::Cancelled { waited } => What::Evicted {
                was_held: false,
                lasted: waited,
            },
            _ => continue,
        };
    }
    events.extend(kills);
    events.sort_by_key(|event| event.revision);
    Timeline { events }
}

impl Timeline {
    /// Adds where a session that is told of did not beat for longer than its guards are valid, and
    /// then did. `history` is that of its record, oldest first.
    pub fn add_lapses(&mut self, session: &str, history: &[Entry]) {
        let mut lapses = Vec::new();
        for pair in history.windows(2) {
            let [before, after] = pair else { continue };
            let read = |entry: &Entry| Session::from_bytes(entry.live_value()?).ok();
            let (Some(known), Some(now)) = (read(before), read(after)) else {
                continue;
            };
            let valid = known
                .lease()
                .unwrap_or_default()
                .valid_until(Duration::ZERO);
            let silent = Duration::try_from(after.created - before.created).unwrap_or_default();
            if now.dead.is_some() || silent <= valid {
                continue;
            }
            // What it was doing here at that time, if anything.
            let is_it = |event: &&Event| {
                let who = event.who.as_ref();
                event.revision < after.revision && who.is_some_and(|who| who.session == session)
            };
            let last = self.events.iter().rfind(is_it);
            let stays = |event: &&Event| {
                let granted = matches!(event.what, What::Granted { .. } | What::Downgraded);
                granted || matches!(event.what, What::Queued)
            };
            if let Some(event) = last.filter(stays) {
                lapses.push(Event {
                    at: after.created,
                    revision: after.revision,
                    who: event.who.clone(),
                    what: What::Lapsed { silent },
                });
            }
        }
        self.events.extend(lapses);
        self.events.sort_by_key(|event| event.revision);
    }

    /// How long each turn lasted that began and ended within what is kept, shortest first.
    pub fn holds(&self) -> Vec<Duration> {
        sorted(self.events.iter().filter_map(|event| match event.what {
            What::Released { held } => held,
            What::Evicted {
                was_held: true,
                lasted,
            } => lasted,
            _ => None,
        }))
    }

    /// How long everybody waited who got the lock, shortest first; zero for who had not to wait.
    pub fn waits(&self) -> Vec<Duration> {
        sorted(self.events.iter().filter_map(|event| match event.what {
            What::Granted { waited, .. } => waited,
            _ => None,
        }))
    }
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times
}

/// The time that so many of a hundred stay within; `None` of nothing. `sorted` is shortest first.
pub fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}
