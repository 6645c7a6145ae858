//! The checks of a place.

use super::nearness;
use crate::kv::backend::Storage;
use crate::kv::doctor::facts::{Facts, Synced};
use crate::kv::doctor::versions::KNOWN;
use crate::kv::doctor::{Finding, Severity};
use crate::kv::lock::diagnosis::span;

/// How far clocks may be apart, in milliseconds.
const CLOCKS_APART: u64 = 1_000;

pub(super) fn versions(facts: &Facts) -> Vec<Finding> {
    let Some(version) = facts.place.version else {
        return Vec::new();
    };
    let known = KNOWN
        .iter()
        .filter(|known| (known.from..known.fixed).contains(&version));
    known
        .map(|known| Finding {
            severity: known.severity,
            check: "server-version",
            bucket: None,
            what: format!("nats-server {version}: {}", known.what),
            why: "What was acknowledged should stay, and what a client asks for should be there.",
            fix: Some(format!("upgrade nats-server to {} or later", known.fixed)),
        })
        .collect()
}

pub(super) fn sync(facts: &Facts) -> Vec<Finding> {
    let locks: Vec<&str> = facts
        .buckets
        .iter()
        .filter(|bucket| bucket.has_locks() && bucket.info.config.storage == Storage::File)
        .map(|bucket| bucket.info.config.name.as_str())
        .collect();
    if !facts.place.remote || locks.is_empty() {
        return Vec::new();
    }
    let locks = locks.join(", ");
    let fix = "jetstream { sync_interval: always }   # in each server's configuration";
    let why = "A power cut or a crashed kernel takes back what was acknowledged but not on the disk \
               yet: a lock that was granted is free again, and two hold it.";
    let finding = match &facts.place.synced {
        Synced::Always => return Vec::new(),
        Synced::Unseen => Finding {
            severity: Severity::Note,
            check: "sync-unseen",
            bucket: None,
            what: format!(
                "locks are kept in {locks}, and whether the servers write to disk before they \
                 acknowledge can't be seen from here: an ordinary account may not ask"
            ),
            why,
            fix: Some(format!(
                "{} doctor --system-context NAME   # a context of the system account",
                facts.place.command
            )),
        },
        Synced::Late { after, servers } => Finding {
            severity: Severity::Severe,
            check: "sync-late",
            bucket: None,
            what: format!(
                "locks are kept in {locks}, and {} write to disk up to {} after they acknowledge",
                servers.join(", "),
                span(*after)
            ),
            why,
            fix: Some(fix.to_owned()),
        },
    };
    vec![finding]
}

pub(super) fn account(facts: &Facts) -> Vec<Finding> {
    let near = facts.place.usage.iter().filter_map(|usage| {
        let (severity, share) = nearness(usage.used, usage.limit)?;
        Some(Finding {
            severity,
            check: "account-limit",
            bucket: None,
            what: format!("the account's {} are used up to {share}", usage.what),
            why: "At the limit every write that needs more fails, in all buckets.",
            fix: Some(
                "nats account info   # then raise the limit, or delete what is not needed"
                    .to_owned(),
            ),
        })
    });
    near.collect()
}

pub(super) fn clocks(facts: &Facts) -> Vec<Finding> {
    let clocks = facts.buckets.iter().filter_map(|bucket| bucket.clock);
    // What is known best.
    let Some((ahead, doubt)) = clocks.min_by_key(|(_, doubt)| *doubt) else {
        return Vec::new();
    };
    if ahead.unsigned_abs() <= CLOCKS_APART.saturating_add(doubt) {
        return Vec::new();
    }
    let apart = span(std::time::Duration::from_millis(ahead.unsigned_abs()));
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    vec![Finding {
        severity: Severity::Warning,
        check: "clock",
        bucket: None,
        what: format!("the server's clock is {apart} {direction} this machine's"),
        why: "Ages and times left are counted between the two clocks, and shizuku locks expire by \
              the clock of whoever looks.",
        fix: Some("timedatectl set-ntp true   # on both machines".to_owned()),
    }]
}

pub(super) fn unseen(facts: &Facts) -> Vec<Finding> {
    let finding = |(bucket, reason): &(Option<_>, String)| Finding {
        severity: Severity::Note,
        check: "unseen",
        bucket: Option::clone(bucket),
        what: match bucket {
            Some(_) => format!("it could not be looked at: {reason}"),
            None => format!("the buckets could not be listed: {reason}"),
        },
        why: "What can't be looked at may be in any state.",
        fix: match bucket {
            Some(_) => None,
            None => Some(format!(
                "{} doctor BUCKET   # a bucket by its name",
                facts.place.command
            )),
        },
    };
    facts.unseen.iter().map(finding).collect()
}
