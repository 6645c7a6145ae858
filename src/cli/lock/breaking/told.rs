//! What is told of a break: lines for people, objects for programs.

use serde::Serialize;

use crate::kv::lock::breaking::{Breaking, Broken, Freed};
use crate::kv::lock::diagnosis::span;
use crate::kv::lock::record::{Record, State};

use super::super::super::error::CliError;
use super::super::super::output::Output;
use super::super::super::text::sentence;
use super::state;

/// A step of a break.
#[derive(Debug, Serialize)]
struct StepRecord<'a> {
    bucket: &'a str,
    resource: &'a str,
    session: &'a str,
    step: &'static str,
    left_ms: u64,
}

/// How a break ended.
#[derive(Debug, Serialize)]
struct BrokenRecord<'a> {
    bucket: &'a str,
    resource: &'a str,
    session: &'a str,
    step: &'static str,
    revision: u64,
    holders: Vec<PartyRecord<'a>>,
    freed: Vec<FreedRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct PartyRecord<'a> {
    session: &'a str,
    label: &'a str,
    mode: &'static str,
    fence: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FreedRecord<'a> {
    resource: &'a str,
    revision: u64,
    by_others: bool,
    holders: Vec<PartyRecord<'a>>,
}

pub(super) fn killed(
    bucket: &str,
    breaking: &Breaking,
    output: &mut Output,
) -> Result<(), CliError> {
    let (sight, left) = (breaking.sight(), breaking.left());
    if sight.overlap().is_none() {
        // Nothing was done to it, and a program is told of no step.
        if !output.is_json() {
            let line = format!(
                "{} lives on if it did: it can't be killed",
                sight.session_id()
            );
            output.line(&sentence(&line))?;
        }
    } else if output.is_json() {
        step(bucket, breaking, "killed", output)?;
    } else if left.is_zero() {
        output.line(&sentence(&format!("{} is dead", sight.session_id())))?;
    } else {
        let line = format!(
            "{} is dead; quarantine of {} until its guards have run out",
            sight.session_id(),
            span(left)
        );
        output.line(&sentence(&line))?;
    }
    output.flush()
}

pub(super) fn step(
    bucket: &str,
    breaking: &Breaking,
    step: &'static str,
    output: &mut Output,
) -> Result<(), CliError> {
    output.record(&StepRecord {
        bucket,
        resource: breaking.sight().resource(),
        session: breaking.sight().session_id(),
        step,
        left_ms: u64::try_from(breaking.left().as_millis()).unwrap_or(u64::MAX),
    })?;
    output.flush()
}

pub(super) fn broken(bucket: &str, broken: &Broken, output: &mut Output) -> Result<(), CliError> {
    let Some(first) = broken.freed.first() else {
        return Ok(());
    };
    if output.is_json() {
        return output.record(&BrokenRecord {
            bucket,
            resource: &first.resource,
            session: &broken.session,
            step: "broken",
            revision: first.revision.0,
            holders: holders(&first.record),
            freed: broken.freed.iter().map(FreedRecord::new).collect(),
        });
    }
    for freed in &broken.freed {
        let hand = if freed.by_others {
            " (let go, or taken out by another)"
        } else {
            ""
        };
        let line = format!("{}{hand}: {}", freed.resource, state(&freed.record));
        output.line(&sentence(&line))?;
    }
    Ok(())
}

impl<'a> FreedRecord<'a> {
    fn new(freed: &'a Freed) -> Self {
        Self {
            resource: &freed.resource,
            revision: freed.revision.0,
            by_others: freed.by_others,
            holders: holders(&freed.record),
        }
    }
}

fn holders(record: &Record) -> Vec<PartyRecord<'_>> {
    let holders = record.holders().map(|claim| PartyRecord {
        session: &claim.session,
        label: &claim.label,
        mode: claim.mode.as_str(),
        fence: match claim.state {
            State::Held { fence } => Some(fence),
            State::Waiting => None,
        },
    });
    holders.collect()
}
