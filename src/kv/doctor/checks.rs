//! One check for each finding. A check is a function of the facts; the tables are their order.

use super::facts::{BucketFacts, Facts, PlaceFacts, Synced};
use super::versions::{KNOWN, Version};
use super::{Finding, Severity, counted};
use crate::kv::backend::Storage;
use crate::kv::lock::diagnosis::span;
use crate::kv::lock::shizuku::ShizukuFault;

/// From which share of a limit on it is near, and from which on it is too near.
const NEAR: f64 = 0.8;
const TOO_NEAR: f64 = 0.95;
/// How far clocks may be apart, in milliseconds.
const CLOCKS_APART: u64 = 1_000;
/// How many consumers to which nobody listens are too many.
const IDLE_CONSUMERS: u64 = 10;
/// How many keys a finding names.
const NAMED: usize = 3;

/// The checks of the place.
pub(super) const PLACE: [fn(&Facts) -> Vec<Finding>; 5] = [versions, sync, account, clocks, unseen];

/// The checks of one bucket.
pub(super) const BUCKET: [fn(&BucketFacts, &PlaceFacts) -> Option<Finding>; 14] = [
    asynchronous,
    memory,
    lock_ttl,
    mirror,
    offline,
    full,
    shizuku,
    replicas,
    direct_reads,
    silent_expiry,
    consumers,
    lagging,
    secrets,
    history,
];

fn versions(facts: &Facts) -> Vec<Finding> {
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

fn sync(facts: &Facts) -> Vec<Finding> {
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
            fix: Some(
                "kvscope doctor --system-context NAME   # a context of the system account"
                    .to_owned(),
            ),
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

fn account(facts: &Facts) -> Vec<Finding> {
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

fn clocks(facts: &Facts) -> Vec<Finding> {
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

fn unseen(facts: &Facts) -> Vec<Finding> {
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
            None => Some("kvscope doctor BUCKET   # a bucket by its name".to_owned()),
        },
    };
    facts.unseen.iter().map(finding).collect()
}

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

fn asynchronous(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    bucket.report.acknowledges_early.then(|| {
        about(
            bucket,
            Severity::Severe,
            "early-acknowledgement",
            "writes are acknowledged before they are stored at all (persist_mode: async)"
                .to_owned(),
            "A server that stops loses what it acknowledged, and nobody hears of it.",
            format!(
                "kvscope export {0} --history -o {0}.jsonl && kvscope bucket rm {0}   \
                 # it can't be changed: make it anew without, and import",
                name(bucket)
            ),
        )
    })
}

fn memory(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
    let config = &bucket.info.config;
    (place.remote && bucket.has_locks() && config.storage == Storage::Memory).then(|| {
        about(
            bucket,
            Severity::Severe,
            "locks-in-memory",
            "locks are kept in memory".to_owned(),
            "When its servers stop, all locks are gone at once while their holders go on.",
            format!(
                "kvscope bucket add {}-on-disk --storage file --replicas 3 --history 16   \
                 # storage can't be changed: move the services to a new bucket",
                config.name
            ),
        )
    })
}

fn lock_ttl(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
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
        format!("kvscope bucket edit {} --ttl none", name(bucket)),
    ))
}

fn mirror(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    let origin = bucket.report.mirror_of.as_ref()?;
    let (severity, what) = if bucket.has_locks() {
        (
            Severity::Severe,
            format!("it is a mirror of {origin}, and locks are read from it"),
        )
    } else {
        (Severity::Note, format!("it is a mirror of {origin}"))
    };
    Some(about(
        bucket,
        severity,
        "mirror",
        what,
        "A mirror is behind its origin by an unknown time, and writes go to the origin: what is \
         read here may have changed there.",
        format!("kvscope lock ls {origin}   # look at the origin"),
    ))
}

fn offline(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
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
                "nats stream cluster KV_{0} && nats server report jetstream",
                name(bucket)
            ),
        )
    })
}

fn full(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
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
            "kvscope bucket edit {} --max-bucket-size {twice}",
            name(bucket)
        ),
    ))
}

fn shizuku(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    let faulty: Vec<_> = bucket
        .shizuku
        .iter()
        .filter_map(|record| Some((&record.key, record.fault?)))
        .collect();
    let (first, fault) = faulty.first()?;
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
        format!("kvscope lock break {} {first} --reset", name(bucket)),
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

fn replicas(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
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
            format!("kvscope bucket edit {} --replicas 3", name(bucket)),
        )
    })
}

fn direct_reads(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
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

fn silent_expiry(bucket: &BucketFacts, place: &PlaceFacts) -> Option<Finding> {
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
            format!("kvscope bucket edit {} --marker-ttl 1h", config.name),
        )
    })
}

fn consumers(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    let idle = bucket.report.idle_consumers;
    (idle >= IDLE_CONSUMERS).then(|| {
        let first = bucket.report.idle_consumer.as_deref().unwrap_or("NAME");
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
            format!(
                "nats consumer rm KV_{} {first}   # and the others",
                name(bucket)
            ),
        )
    })
}

fn lagging(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
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
            format!("nats stream cluster KV_{}", name(bucket)),
        )
    })
}

fn secrets(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    let first = bucket.secrets.first()?;
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
            "kvscope purge {} {first}   # once its readers take it from a store for secrets",
            name(bucket)
        ),
    ))
}

fn history(bucket: &BucketFacts, _: &PlaceFacts) -> Option<Finding> {
    (bucket.has_locks() && bucket.info.config.history == 1).then(|| {
        about(
            bucket,
            Severity::Note,
            "lock-history",
            "locks are kept in it, and it keeps no history".to_owned(),
            "Since when somebody holds or waits, and who held before, can't be told exactly.",
            format!("kvscope bucket edit {} --history 16", name(bucket)),
        )
    })
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
