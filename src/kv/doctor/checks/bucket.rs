//! The checks of a bucket, whatever is kept in it.

use super::{NAMED, about, more, name, nearness};
use crate::kv::doctor::facts::{BucketFacts, PlaceFacts};
use crate::kv::doctor::versions::Version;
use crate::kv::doctor::{Finding, Severity, counted};
use crate::kv::lock::diagnosis::span;
use crate::kv::shell::word;

/// How many consumers to which nobody listens are too many.
const IDLE_CONSUMERS: u64 = 10;

pub(super) fn asynchronous(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    bucket.report.acknowledges_early.then(|| {
        about(
            bucket,
            Severity::Severe,
            "early-acknowledgement",
            "writes are acknowledged before they are stored at all (persist_mode: async)"
                .to_owned(),
            "A server that stops loses what it acknowledged, and nobody hears of it.",
            format!(
                "{kvscope} export {0} --history -o {0}.jsonl && {kvscope} bucket rm {0} && {kvscope} \
                 bucket add {0} --history {1} && {kvscope} import {0} {0}.jsonl   # it can't be \
                 changed: stop its writers, and make it anew",
                name(bucket),
                bucket.info.config.history.min(64),
            ),
        )
    })
}

pub(super) fn mirror(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let origin = bucket.report.mirror_of.as_ref()?;
    let (severity, what) = match (bucket.has_locks(), bucket.repeats) {
        (true, false) => (
            Severity::Severe,
            format!("it is a mirror of {origin}, and locks are read from it"),
        ),
        // Perhaps nobody does, and it is there in case the other one is lost.
        (true, true) => (
            Severity::Warning,
            format!("it is a mirror of {origin}, with locks that must not be read from it"),
        ),
        (false, _) => (Severity::Note, format!("it is a mirror of {origin}")),
    };
    Some(about(
        bucket,
        severity,
        "mirror",
        what,
        "A mirror is behind its origin by an unknown time, and writes go to the origin: what is \
         read here may have changed there.",
        if bucket.has_locks() {
            format!("{kvscope} lock ls {origin}   # look at the origin")
        } else {
            format!("{kvscope} ls {origin}   # look at the origin")
        },
    ))
}

pub(super) fn offline(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    let away: Vec<&str> = bucket
        .report
        .replicas
        .iter()
        .filter(|replica| replica.offline)
        .map(|replica| replica.name.as_str())
        .collect();
    (!away.is_empty()).then(|| {
        about(
            bucket,
            Severity::Severe,
            "replica-offline",
            format!(
                "{} of its copies can't be reached: {}",
                away.len(),
                away.join(", ")
            ),
            "One more that fails, and the bucket takes no writes, or loses what only that one had.",
            format!(
                "nats stream cluster peer-remove KV_{} {}   # if its server does not come back: \
                 another one takes its copy",
                name(bucket),
                word(away.first().copied().unwrap_or("NAME"))
            ),
        )
    })
}

pub(super) fn full(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let info = &bucket.info;
    let (severity, share) = nearness(info.bytes, info.config.max_bytes)?;
    let twice = info.config.max_bytes.unwrap_or_default().saturating_mul(2);
    Some(about(
        bucket,
        severity,
        "bucket-limit",
        format!("it is filled up to {share}"),
        "At the limit every write fails that makes it larger.",
        format!(
            "{kvscope} bucket edit {} --max-bucket-size {twice}",
            name(bucket)
        ),
    ))
}

pub(super) fn replicas(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    (place.remote && bucket.info.config.replicas <= 1).then(|| {
        let (severity, what) = if bucket.has_locks() {
            (Severity::Warning, "locks are kept on one server alone")
        } else {
            (Severity::Note, "it is kept on one server alone")
        };
        about(
            bucket,
            severity,
            "replicas",
            what.to_owned(),
            "While that server is away nobody can read or write, and with its disk everything is \
             lost.",
            match (place.clustered, bucket.has_locks()) {
                (true, _) => format!("{kvscope} bucket edit {} --replicas 3", name(bucket)),
                // A copy of locks that is put back later would bring back holders of then.
                (false, true) => format!(
                    "cluster {{ name: NAME, routes: [ … ] }}   # this server is in no cluster: in \
                     the configuration of three, then {kvscope} bucket edit {} --replicas 3",
                    name(bucket)
                ),
                (false, false) => format!(
                    "{kvscope} export {0} --history -o {0}.jsonl   # this server is in no cluster, \
                     which copies would take: keep one elsewhere",
                    name(bucket)
                ),
            },
        )
    })
}

pub(super) fn silent_expiry(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let config = &bucket.info.config;
    let ttl = config.ttl.filter(|_| config.marker_ttl.is_none())?;
    let can = place
        .version
        .is_none_or(|version| version >= Version(2, 11, 0));
    can.then(|| {
        about(
            bucket,
            Severity::Warning,
            "silent-expiry",
            format!(
                "entries are dropped after {}, and no marker tells of it",
                span(ttl)
            ),
            "Services that watch the bucket never hear that a key is gone, and go on with its value.",
            format!("{kvscope} bucket edit {} --marker-ttl 1h", config.name),
        )
    })
}

pub(super) fn consumers(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    let idle = bucket.report.idle_consumers;
    (idle >= IDLE_CONSUMERS).then(|| {
        about(
            bucket,
            Severity::Warning,
            "idle-consumers",
            format!(
                "nobody listens to {idle} of its {} consumers",
                bucket.report.consumers
            ),
            "Clients that reconnect without deleting their watches leave them behind; each costs \
             memory, and every write is looked at for each.",
            remove_consumers(bucket),
        )
    })
}

/// The command that removes those consumers that were named, and says if they were not all.
fn remove_consumers(bucket: &BucketFacts) -> String {
    let report = &bucket.report;
    let names: Vec<String> = report.idle_names.iter().map(|name| word(name)).collect();
    let rest = report.idle_consumers.saturating_sub(names.len() as u64);
    let rest = match rest {
        0 => String::new(),
        rest => format!("   # {rest} more are left after it: look again then"),
    };
    format!(
        "for name in {}; do nats consumer rm -f KV_{} \"$name\"; done{rest}",
        names.join(" "),
        name(bucket)
    )
}

pub(super) fn lagging(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let behind: Vec<String> = bucket
        .report
        .replicas
        .iter()
        .filter(|replica| !replica.offline && !replica.current)
        .map(|replica| format!("{} ({} behind)", replica.name, replica.lag))
        .collect();
    (!behind.is_empty()).then(|| {
        about(
            bucket,
            Severity::Warning,
            "replica-behind",
            format!("copies are behind: {}", behind.join(", ")),
            "A read from one of them tells of an earlier state, and fewer copies have the newest \
             writes.",
            format!(
                "{kvscope} bucket info {}   # look again; one that stays behind needs a restart",
                name(bucket)
            ),
        )
    })
}

pub(super) fn secrets(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let first = bucket.secrets.first().filter(|_| !bucket.repeats)?;
    let names: Vec<&str> = bucket
        .secrets
        .iter()
        .take(NAMED)
        .map(crate::kv::Key::as_str)
        .collect();
    let looked = bucket.looked;
    let of = if looked.values < looked.of {
        format!(
            " (of {} values that were looked at, of {})",
            looked.values, looked.of
        )
    } else {
        String::new()
    };
    Some(about(
        bucket,
        Severity::Warning,
        "secrets",
        format!(
            "{} with what looks like a secret in clear{of}: {}{}",
            counted(bucket.secrets.len(), "value"),
            names.join(", "),
            more(bucket.secrets.len()),
        ),
        "Everybody who may read the bucket, its exports and its disks can read them, and the \
         history keeps the old ones.",
        format!(
            "{kvscope} purge {} {}   # once its readers take it from a store for secrets",
            name(bucket),
            word(first.as_str())
        ),
    ))
}
