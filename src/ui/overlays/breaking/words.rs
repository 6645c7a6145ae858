//! What breaking did and did not, in words that are not fit for the screen as they are.

use crate::kv::lock::breaking::{BreakError, Broken, Reset};
use crate::kv::lock::observer::Party;
use crate::kv::lock::record::{Claim, Mode, Record};

/// Why a session that was killed is perhaps still in its locks.
pub fn left_over(error: &BreakError) -> String {
    match error {
        // Then it is not dead either.
        BreakError::Alive { .. } => error.to_string(),
        _ => format!(
            "its session was killed, but it may still stand in its locks: {error}. Who waits takes it out."
        ),
    }
}

/// What became of each lock, in words that are not fit for the screen as they are.
pub fn results(broken: &Broken) -> Vec<String> {
    let lines = broken.freed.iter().map(|freed| {
        let hand = if freed.by_others {
            " (let go, or taken out by another)"
        } else {
            ""
        };
        format!(
            "{} is free of it{hand}: {}",
            freed.resource,
            state(&freed.record)
        )
    });
    lines.collect()
}

/// What a reset did.
pub fn reset_words(reset: &Reset) -> String {
    format!(
        "reset: nobody inside, no flag; revision {} now",
        reset.revision
    )
}

/// Who holds a lock, and how many wait.
pub(super) fn state(record: &Record) -> String {
    let holders: Vec<String> = record.holders().map(claim_title).collect();
    let waiting = record.claims().len() - holders.len();
    let held = if holders.is_empty() {
        "nobody holds it".to_owned()
    } else {
        format!("held by {}", holders.join(", "))
    };
    match waiting {
        0 => held,
        waiting => format!("{held}; {waiting} waiting"),
    }
}

fn role_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "reader",
        Mode::Write => "writer",
    }
}

pub(super) fn title(party: &Party) -> String {
    format!("{} {}", role_name(party.mode), party.name())
}

pub(super) fn claim_title(claim: &Claim) -> String {
    let name = if claim.label.is_empty() {
        &claim.session
    } else {
        &claim.label
    };
    format!("{} {name} ({})", role_name(claim.mode), claim.session)
}
