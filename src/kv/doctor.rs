//! What is set dangerously for configuration and locks, why that matters, and what fixes it.
//!
//! - `facts`: what there is to judge by. `gather`: how it is found out, the only part that asks.
//! - `checks`: one check for each finding, in a table. Pure.
//!
//! Nothing is ever changed. What can't be seen from here is a finding too: silence would look like
//! health.

mod checks;
mod facts;
mod gather;
mod versions;

use std::fmt;

pub use self::facts::{BucketFacts, Facts, Looked, PlaceFacts, ShizukuRecord, Synced};
pub use self::gather::{Clock, Look, gather};
pub use self::versions::Version;
use super::BucketName;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Data can be lost, or two can hold one lock.
    Severe,
    /// It works now, and will hurt.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// Its name, for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Severe => "severe",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that was found. The texts are for people; names in them come from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which check found it: a name that stays the same.
    pub check: &'static str,
    /// The bucket that it is about; none: the place.
    pub bucket: Option<BucketName>,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// The command, or the line of configuration, that fixes it.
    pub fix: Option<String>,
}

/// A number of things, in words.
pub fn counted(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// Everything that the checks find, the worst first.
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = checks::PLACE
        .iter()
        .flat_map(|check| check(facts))
        .collect();
    for bucket in &facts.buckets {
        findings.extend(
            checks::BUCKET
                .iter()
                .filter_map(|check| check(bucket, &facts.place)),
        );
    }
    // The sort is stable: within a severity the order of the checks and buckets stays.
    findings.sort_by_key(|finding| finding.severity);
    findings
}
