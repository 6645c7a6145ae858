//! One check for each finding. A check is a function of the facts; the tables are their order.
//!
//! `place`, `bucket`, `locks`: the checks, by what they look at. Here is what they have in common.

mod bucket;
mod locks;
mod place;

use super::facts::{BucketFacts, Facts, PlaceFacts};
use super::{Finding, Severity};

/// From which share of a limit on it is near, and from which on it is too near.
const NEAR: f64 = 0.8;
const TOO_NEAR: f64 = 0.95;
/// How many keys a finding names.
const NAMED: usize = 3;

/// The checks of the place.
pub(super) const PLACE: [fn(&Facts) -> Vec<Finding>; 5] = [
    place::versions,
    place::sync,
    place::account,
    place::clocks,
    place::unseen,
];

/// The checks of one bucket.
pub(super) const BUCKET: [fn(&BucketFacts, &PlaceFacts) -> Option<Finding>; 14] = [
    bucket::asynchronous,
    locks::memory,
    locks::lock_ttl,
    bucket::mirror,
    bucket::offline,
    bucket::full,
    locks::shizuku,
    bucket::replicas,
    locks::direct_reads,
    bucket::silent_expiry,
    bucket::consumers,
    bucket::lagging,
    bucket::secrets,
    locks::history,
];

/// A finding about a bucket.
fn about(
    bucket: &BucketFacts,
    severity: Severity,
    check: &'static str,
    what: String,
    why: &'static str,
    fix: String,
) -> Finding {
    Finding {
        severity,
        check,
        bucket: Some(bucket.info.config.name.clone()),
        what,
        why,
        fix: Some(fix),
    }
}

fn name(bucket: &BucketFacts) -> &str {
    bucket.info.config.name.as_str()
}

fn more(all: usize) -> &'static str {
    if all > NAMED { " and more" } else { "" }
}

/// How near a limit is, if it is near: how bad that is, and in words.
fn nearness(used: u64, limit: Option<u64>) -> Option<(Severity, String)> {
    let limit = limit.filter(|limit| *limit > 0)?;
    let share = used as f64 / limit as f64;
    let severity = match share {
        share if share >= TOO_NEAR => Severity::Severe,
        share if share >= NEAR => Severity::Warning,
        _ => return None,
    };
    Some((
        severity,
        format!("{:.0} % of their limit of {limit}", share * 100.0),
    ))
}
