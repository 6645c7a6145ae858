//! One check for each verdict: whether it applies, and the sentence that says why.

use std::time::Duration;

use time::OffsetDateTime;

use super::words::{capital, count, moment, span};
use super::{Subject, Verdict};
use crate::kv::lock::observer::{ClockOf, Content, LastBeat, Lock, Party, Standing};
use crate::kv::lock::record::Mode;
use crate::kv::lock::session::Cause;
use crate::kv::lock::shizuku::{Shizuku, ShizukuFault, ShizukuMode};
use crate::kv::lock::timeline::Basis;

/// A check: the sentence, if the verdict applies.
type Check = fn(&Subject<'_>) -> Option<String>;

/// All checks; the first that applies counts.
pub(super) const CHECKS: [(Verdict, Check); 11] = [
    (Verdict::Malformed, malformed),
    (Verdict::Deadlock, deadlock),
    (Verdict::DeadHolder, dead_holder),
    (Verdict::Quarantined, quarantined),
    (Verdict::SuspectHolder, suspect_holder),
    (Verdict::GhostWaiter, ghost_waiter),
    (Verdict::Expired, expired),
    (Verdict::LongHeld, long_held),
    (Verdict::Contended, contended),
    (Verdict::Healthy, healthy),
    (Verdict::Idle, idle),
];

fn malformed(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    match &lock.content {
        Content::Record => None,
        Content::Unreadable { reason } => Some(format!(
            "What stands at {} is no lock record that this program knows: {reason}. It is left alone.",
            lock.key
        )),
        Content::NoLongerShizuku { size } => Some(format!(
            "A shizuku lock was kept here, and its {} of now are none. It is left alone.",
            count(usize::try_from(*size).unwrap_or(usize::MAX), "byte")
        )),
        Content::Shizuku(record) => {
            let fault = fault(subject, *record)?;
            (fault == ShizukuFault::Contradiction).then(|| {
                format!(
                    "A shizuku lock that contradicts itself: its mode is {}, and it counts {}.",
                    mode_name(record.mode),
                    count(
                        usize::try_from(record.readers).unwrap_or(usize::MAX),
                        "reader"
                    )
                )
            })
        }
    }
}

fn deadlock(subject: &Subject<'_>) -> Option<String> {
    let sentence = subject.circled.deadlock.as_ref()?;
    Some(sentence.to_string())
}

fn dead_holder(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    let holder = lock
        .holders
        .iter()
        .find(|party| is_left_over(party, subject))?;
    let who = match lock.waiters.iter().find(|party| !party.standing.is_dead()) {
        Some(waiter) => format!(
            "{}, the first in line, should have taken it out and has not",
            title(waiter)
        ),
        None => "nobody waits who would take it out; the next who asks will".to_owned(),
    };
    Some(capital(&format!(
        "{} {} and {}: {who}.",
        subject_of(holder),
        held_for(holder, subject.now),
        how_dead(holder)
    )))
}

fn quarantined(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    let parties = lock.holders.iter().chain(&lock.waiters);
    let mut broken = parties.filter_map(|party| Some((party, party.standing.quarantine()?)));
    let (party, left) = broken.next()?;
    let by = match &party.standing {
        Standing::Killed { death, .. } => death.by.as_str(),
        _ => "somebody",
    };
    let next = match lock.waiters.iter().find(|party| !party.standing.is_dead()) {
        Some(next) => format!("{} is next", title(next)),
        None => "nobody waits for it".to_owned(),
    };
    Some(capital(&format!(
        "{} was broken by {by}: {} more until its guards have run out for certain; then {next}.",
        subject_of(party),
        span(left)
    )))
}

fn suspect_holder(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    let silent = lock.holders.iter().find_map(|party| match party.standing {
        Standing::Silent(beat) => Some((party, beat)),
        _ => None,
    });
    let Some((holder, beat)) = silent else {
        return recently_dead(subject);
    };
    let clock = match beat.clock {
        ClockOf::Ours => "",
        ClockOf::Store => ", by the store's clock",
    };
    let next = match lock.waiters.iter().find(|party| !party.standing.is_dead()) {
        Some(waiter) => format!(
            "unless it beats, {} takes over once it has seen no beat for 9/8 of the lease",
            title(waiter)
        ),
        None => "nobody waits for it".to_owned(),
    };
    Some(capital(&format!(
        "{} {}, and its session has not beaten for {}{clock}: paused, cut off or dead; {next}.",
        subject_of(holder),
        held_for(holder, subject.now),
        span(beat.ago)
    )))
}

/// One who holds and has just died, or whose session is not to be found: soon a dead holder.
fn recently_dead(subject: &Subject<'_>) -> Option<String> {
    let holder = subject.lock.holders.iter().find(|party| {
        matches!(
            party.standing,
            Standing::Killed {
                quarantine: None,
                ..
            }
        )
    })?;
    Some(capital(&format!(
        "{} {} and {}; it is about to be taken out.",
        subject_of(holder),
        held_for(holder, subject.now),
        how_dead(holder)
    )))
}

fn ghost_waiter(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    if let Content::Shizuku(record) = lock.content {
        let ghost = fault(subject, record)? == ShizukuFault::GhostWriter;
        return ghost.then(|| {
            format!(
                "Nobody is inside, and a writer's flag stands since {}: a writer that crashed or \
                 gave up (stale writer_waiting). No reader gets in until it is reset.",
                moment(lock.created, subject.now)
            )
        });
    }
    let ghost = lock
        .waiters
        .iter()
        .find(|party| is_left_over(party, subject))?;
    let position = ghost.position.unwrap_or_default();
    let behind = lock.waiters.len().saturating_sub(position);
    let blocked = if behind == 0 {
        "nobody waits behind it".to_owned()
    } else {
        let verb = if behind == 1 { "waits" } else { "wait" };
        format!("{} {verb} behind it", count(behind, "other"))
    };
    Some(capital(&format!(
        "{} is in line at place {position} and {}: {blocked}.",
        subject_of(ghost),
        how_dead(ghost)
    )))
}

fn expired(subject: &Subject<'_>) -> Option<String> {
    let Content::Shizuku(record) = subject.lock.content else {
        return None;
    };
    let who = inside(record);
    match fault(subject, record)? {
        ShizukuFault::Expired => Some(capital(&format!(
            "{who} since {}, over the 60 s of a shizuku lock: the next who asks walks in.",
            acquired(record, subject.now)
        ))),
        ShizukuFault::ZeroedTime => Some(capital(&format!(
            "{who}, but a reader that left set the time to zero (zeroed acquired_at): it looks \
             expired, and the next who asks walks in."
        ))),
        ShizukuFault::GhostWriter | ShizukuFault::Contradiction => None,
    }
}

fn long_held(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    // A reader waits for long because of the writer before it: tell of the first in line where it
    // waits for long too.
    let is_long = |party: &&Party| party.lasted > subject.thresholds.long_wait;
    let waiter = lock.waiters.iter().find(is_long)?;
    let mut sentence = waits(waiter);
    match (lock.longest_holder(), lock.turn) {
        (Some(holder), Some(turn))
            if turn * 4 < waiter.lasted && holder.lasted * 2 < waiter.lasted =>
        {
            let queue = format!(
                ": holders take turns, about {} each, and {} are in line; now {}",
                span(turn),
                lock.waiters.len(),
                holding(holder, subject.now)
            );
            sentence.push_str(&queue);
        }
        (Some(holder), _) => {
            sentence.push_str(": ");
            sentence.push_str(&holding(holder, subject.now));
            if holder.standing == Standing::Live {
                sentence.push_str(", slow");
            }
            let others = lock.holders.len() - 1;
            if others > 0 {
                sentence.push_str("; ");
                sentence.push_str(&count(others, "other holder"));
                sentence.push_str(" beside it");
            }
        }
        (None, _) => sentence.push_str(", and nobody holds it"),
    }
    sentence.push('.');
    push_readers(&mut sentence, lock);
    Some(capital(&sentence))
}

fn contended(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    if let Content::Shizuku(record) = lock.content {
        let who = inside(record);
        return record.writer_waits.then(|| {
            capital(&format!(
                "{who}, and a writer's flag is up: new readers wait. Who waits, and for how long, \
                 is not recorded.{}",
                expires(subject, record)
            ))
        });
    }
    let waiter = lock.longest_waiter()?;
    let turn = match lock.turn {
        Some(turn) => format!("; turns take about {}", span(turn)),
        None => String::new(),
    };
    let held = match lock.longest_holder() {
        Some(holder) => format!(", {}", holding(holder, subject.now)),
        None => String::new(),
    };
    let mut sentence = format!(
        "{} in line, the longest for {}{held}{turn}.",
        lock.waiters.len(),
        lasts(waiter)
    );
    push_readers(&mut sentence, lock);
    Some(sentence)
}

fn healthy(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    if let Content::Shizuku(record) = lock.content {
        return (record.mode != ShizukuMode::Idle).then(|| {
            let since = match record.acquired_at {
                Some(_) => format!(" since {}", acquired(record, subject.now)),
                None => String::new(),
            };
            let who = inside(record);
            capital(&format!("{who}{since}.{}", expires(subject, record)))
        });
    }
    let holder = lock.longest_holder()?;
    let others = lock.holders.len() - 1;
    let beside = if others == 0 {
        String::new()
    } else {
        format!(", and {} beside it", count(others, "other"))
    };
    Some(capital(&format!(
        "{}{beside}.",
        holding(holder, subject.now)
    )))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a check like the others, though the last one always applies"
)]
fn idle(subject: &Subject<'_>) -> Option<String> {
    let lock = subject.lock;
    Some(match lock.content {
        Content::Record => format!(
            "Nobody holds it and nobody waits; last let go at {}.",
            moment(lock.created, subject.now)
        ),
        _ => format!(
            "Nobody is inside; last written at {}.",
            moment(lock.created, subject.now)
        ),
    })
}

/// Whether a claim outlived its session for longer than it takes to be taken out.
fn is_left_over(party: &Party, subject: &Subject<'_>) -> bool {
    let is_over = match &party.standing {
        Standing::Killed { ago, .. } => *ago >= subject.thresholds.eviction,
        _ => true,
    };
    party.standing.is_to_be_evicted() && is_over
}

/// How a dead party died, to go on after its name.
fn how_dead(party: &Party) -> String {
    match &party.standing {
        Standing::Killed { death, ago, .. } => {
            let why = match death.why {
                Cause::Ended => "its session ended in order".to_owned(),
                Cause::Silent => format!("its session fell silent and was killed by {}", death.by),
                Cause::Gone => format!("its process is gone, said {}", death.by),
                Cause::Broken => format!("its session was broken by {}", death.by),
            };
            format!("{why} {} ago", span(*ago))
        }
        Standing::Gone => "its process is not on this machine any more".to_owned(),
        _ => "there is no record of its session".to_owned(),
    }
}

/// `writer deploy@web-3`
fn title(party: &Party) -> String {
    let role = party.mode.role();
    format!("{role} {}", party.name())
}

/// The same with what it takes to find the process.
fn subject_of(party: &Party) -> String {
    match party.pid {
        Some(pid) => format!("{} (pid {pid})", title(party)),
        None => format!("{} (session {})", title(party), party.session),
    }
}

/// `4 m 12 s`, with a word where that is not the whole truth.
fn lasts(party: &Party) -> String {
    let time = span(party.lasted);
    match party.since.basis {
        Basis::Write => time,
        Basis::Kept => format!("at least {time}"),
        Basis::Asker => format!("{time} by its own clock"),
    }
}

/// `writer deploy@web-3 has waited 4 m 12 s`
fn waits(party: &Party) -> String {
    format!("{} has waited {}", title(party), lasts(party))
}

/// `has held since 10:02:31Z`
fn held_for(party: &Party, now: OffsetDateTime) -> String {
    let at_least = if party.lasted_longer() {
        "at least "
    } else {
        ""
    };
    format!("holds since {at_least}{}", moment(party.since.at, now))
}

/// `reader report@batch-1 (pid 4711) holds since 10:02:31Z, its session beat 2 s ago: alive`
fn holding(party: &Party, now: OffsetDateTime) -> String {
    let signs = match (&party.standing, party.last_beat) {
        (Standing::Live, Some(LastBeat { ago, .. })) => {
            format!(", its session beat {} ago: alive", span(ago))
        }
        (Standing::Live, None) => ": alive".to_owned(),
        (Standing::Unknown | Standing::Absent { .. }, _) => {
            ", its session is not known yet".to_owned()
        }
        _ => String::new(),
    };
    format!("{} {}{signs}", subject_of(party), held_for(party, now))
}

/// Why readers wait although readers are inside.
fn push_readers(sentence: &mut String, lock: &Lock) {
    let readers = lock.waiting(Mode::Read).count();
    let is_read = lock
        .holders
        .first()
        .is_some_and(|holder| holder.mode == Mode::Read);
    if readers > 0 && is_read && lock.waiting(Mode::Write).next().is_some() {
        let verb = if readers == 1 { "waits" } else { "wait" };
        let why = format!(
            " {} {verb} because a writer is queued.",
            capital(&count(readers, "reader"))
        );
        sentence.push_str(&why);
    }
}

fn mode_name(mode: ShizukuMode) -> &'static str {
    match mode {
        ShizukuMode::Idle => "idle",
        ShizukuMode::Read => "read",
        ShizukuMode::Write => "write",
    }
}

/// Who is inside a lock that knows no names.
fn inside(record: Shizuku) -> String {
    match record.mode {
        ShizukuMode::Idle => "nobody is inside".to_owned(),
        ShizukuMode::Write => "a writer is inside".to_owned(),
        ShizukuMode::Read => {
            let readers = usize::try_from(record.readers).unwrap_or(usize::MAX);
            let verb = if readers == 1 { "is" } else { "are" };
            format!("{} {verb} inside", count(readers, "reader"))
        }
    }
}

fn acquired(record: Shizuku, now: OffsetDateTime) -> String {
    let seconds = record.acquired_at.and_then(|at| i64::try_from(at).ok());
    let time = seconds.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    time.map_or_else(
        || "a time beyond all dates".to_owned(),
        |at| moment(at, now),
    )
}

/// When a lock of a `shizuku` service runs out, where that is recorded.
fn expires(subject: &Subject<'_>, record: Shizuku) -> String {
    match record.expires_in(since_1970(subject.now)) {
        Some(left) => format!(" It expires in {}.", span(left)),
        None => String::new(),
    }
}

fn fault(subject: &Subject<'_>, record: Shizuku) -> Option<ShizukuFault> {
    record.fault(since_1970(subject.lock.created), since_1970(subject.now))
}

fn since_1970(time: OffsetDateTime) -> Duration {
    Duration::try_from(time - OffsetDateTime::UNIX_EPOCH).unwrap_or_default()
}
