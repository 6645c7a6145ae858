//! The checks of a bucket that concern the locks in it.

use super::{NAMED, about, more, name};
use crate::kv::backend::Storage;
use crate::kv::doctor::facts::{BucketFacts, PlaceFacts};
use crate::kv::doctor::{Finding, Severity, counted};
use crate::kv::lock::diagnosis::span;
use crate::kv::lock::shizuku::ShizukuFault;
use crate::kv::shell::word;

pub(super) fn memory(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let config = &bucket.info.config;
    let replicas = if place.clustered { " --replicas 3" } else { "" };
    (place.remote && bucket.has_locks() && config.storage == Storage::Memory).then(|| {
        about(
            bucket,
            Severity::Severe,
            "locks-in-memory",
            "locks are kept in memory".to_owned(),
            "When its servers stop, all locks are gone at once while their holders go on.",
            format!(
                "{kvscope} bucket add {}-on-disk --storage file{replicas} --history 16   \
                 # storage can't be changed: move the services to a new bucket",
                config.name
            ),
        )
    })
}

pub(super) fn lock_ttl(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let ttl = bucket.info.config.ttl.filter(|_| bucket.has_locks())?;
    Some(about(
        bucket,
        Severity::Severe,
        "lock-ttl",
        format!(
            "locks are kept in it, and it drops entries after {}",
            span(ttl)
        ),
        "The record of a lock that is held for longer vanishes, and the next who asks gets it too.",
        format!("{kvscope} bucket edit {} --ttl none", name(bucket)),
    ))
}

pub(super) fn shizuku(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let faulty: Vec<_> = bucket
        .shizuku
        .iter()
        .filter_map(|record| Some((&record.key, record.fault?)))
        .collect();
    let (first, fault) = faulty.first().filter(|_| !bucket.repeats)?;
    let names: Vec<String> = faulty
        .iter()
        .take(NAMED)
        .map(|(key, fault)| format!("{key} ({})", in_words(*fault)))
        .collect();
    let severity = match fault {
        ShizukuFault::Expired => Severity::Warning,
        _ => Severity::Severe,
    };
    Some(about(
        bucket,
        severity,
        "shizuku-fault",
        format!(
            "of {} of shizuku services, at fault: {}{}",
            counted(bucket.shizuku.len(), "lock"),
            names.join(", "),
            more(faulty.len()),
        ),
        "Such a record lets in who should wait, or keeps out who may go in, until somebody resets \
         it.",
        format!(
            "{kvscope} lock break {} {} --reset",
            name(bucket),
            word(first.as_str())
        ),
    ))
}

fn in_words(fault: ShizukuFault) -> &'static str {
    match fault {
        ShizukuFault::Expired => "expired with somebody inside",
        ShizukuFault::ZeroedTime => "its time was set to zero with readers inside",
        ShizukuFault::GhostWriter => "a writer is said to wait that is gone",
        ShizukuFault::Contradiction => "it contradicts itself",
    }
}

pub(super) fn direct_reads(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    let report = &bucket.report;
    let spread = report.direct_reads && bucket.info.config.replicas > 1;
    (bucket.has_locks() && (spread || report.mirrors_answer)).then(|| {
        about(
            bucket,
            Severity::Warning,
            "direct-reads",
            "locks are kept in it, and any copy may answer reads".to_owned(),
            "A client that reads directly can be told of a lock as it was. kvscope's own locks read \
             from the leader; those of other clients may not.",
            format!(
                "nats stream edit KV_{} --no-allow-direct --no-allow-mirror-direct",
                name(bucket)
            ),
        )
    })
}

pub(super) fn history(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let kvscope = &place.command;
    let is_wanted = bucket.has_locks() && !bucket.repeats;
    (is_wanted && bucket.info.config.history == 1).then(|| {
        about(
            bucket,
            Severity::Note,
            "lock-history",
            "locks are kept in it, and it keeps no history".to_owned(),
            "Since when somebody holds or waits, and who held before, can't be told exactly.",
            format!("{kvscope} bucket edit {} --history 16", name(bucket)),
        )
    })
}
