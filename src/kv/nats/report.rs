//! What a server says of itself and of a stream beyond what every bucket has.

use std::time::Duration;

use async_nats::jetstream::consumer;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::bucket::{NatsBucket, explain};
use super::overview::account;
use super::request::Session;
use super::settings;
use crate::kv::Error;
use crate::kv::backend::{BucketBackend as _, BucketReport, PlaceReport, Replica, Usage};

/// How many pages of consumers are looked at. A page has 256.
const PAGES: u32 = 8;

/// For how long a copy may not be heard that is not up to date. They are heard every second.
const SILENT: Duration = Duration::from_secs(10);

/// How many consumers to which nobody listens are named.
const NAMED: usize = 40;

/// The parts of a stream's state that the library does not know, or not in every version.
#[derive(Deserialize)]
struct StreamReport {
    config: StreamConfig,
    state: StreamState,
    cluster: Option<StreamCluster>,
    /// The server's clock; servers before 2.10 don't tell it.
    ts: Option<String>,
}

/// What tells of the time alone.
#[derive(Deserialize)]
struct TimeReport {
    ts: Option<String>,
}

#[derive(Deserialize)]
struct StreamConfig {
    #[serde(default)]
    allow_direct: bool,
    #[serde(default)]
    mirror_direct: bool,
    mirror: Option<Mirror>,
    persist_mode: Option<String>,
}

#[derive(Deserialize)]
struct Mirror {
    name: String,
}

#[derive(Deserialize)]
struct StreamState {
    #[serde(default)]
    consumer_count: u64,
}

#[derive(Deserialize)]
struct StreamCluster {
    #[serde(default)]
    replicas: Vec<Peer>,
    /// Since when the present leader leads; servers before 2.12 don't tell it.
    leader_since: Option<String>,
}

#[derive(Deserialize)]
struct Peer {
    name: String,
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
    #[serde(default)]
    lag: u64,
    /// How long ago the leader heard it, in nanoseconds; 0 if never since it leads.
    #[serde(default)]
    active: u64,
}

impl StreamCluster {
    /// The copies besides the leader's. `now` is the leader's clock.
    fn replicas(self, now: Option<OffsetDateTime>) -> Vec<Replica> {
        let led = now
            .zip(moment(self.leader_since))
            .map(|(now, since)| now - since);
        let told = self.replicas.into_iter().map(|peer| Replica {
            offline: peer.is_away(led),
            name: peer.name,
            current: peer.current,
            lag: peer.lag,
        });
        told.collect()
    }
}

impl Peer {
    /// Whether it is away, where the leader has led for so long, as far as that is known. A server
    /// that said goodbye is known to be offline; one that crashed is only not heard any more, and
    /// one that crashed as the leader was never heard by the next.
    fn is_away(&self, led: Option<time::Duration>) -> bool {
        let silent = match self.active {
            0 => led.is_none_or(|led| led > SILENT),
            active => Duration::from_nanos(active) > SILENT,
        };
        self.offline || (!self.current && silent)
    }
}

#[derive(Serialize)]
struct ListRequest {
    offset: u64,
}

#[derive(Deserialize)]
struct ConsumerPage {
    total: u64,
    #[serde(default)]
    consumers: Option<Vec<consumer::Info>>,
}

/// What the server says of itself.
pub(super) async fn place(session: &Session) -> Result<PlaceReport, Error> {
    let usage = match account(session).await {
        Ok(account) => {
            let limits = &account.limits;
            let usage = |what, used, most: i64| Usage {
                what,
                used,
                // Below zero where there is none.
                limit: u64::try_from(most).ok(),
            };
            vec![
                usage("bytes on disk", account.storage, limits.storage),
                usage("bytes in memory", account.memory, limits.memory),
                usage("streams", account.streams, limits.streams),
                usage("consumers", account.consumers, limits.consumers),
            ]
        }
        Err(error @ Error::Unreachable { .. }) => return Err(error),
        // Not everybody may look at the account.
        Err(_) => Vec::new(),
    };
    Ok(PlaceReport {
        version: Some(session.client.server_info().version.clone()),
        usage,
    })
}

/// The clock of the server that leads a bucket's stream.
pub(super) async fn clock(bucket: &NatsBucket) -> Result<Option<OffsetDateTime>, Error> {
    let what = "asking for the server's time";
    let session = &bucket.session;
    let verb = format!("STREAM.INFO.{}", bucket.stream());
    let report: TimeReport = session
        .ask(what, &verb)
        .await
        .map_err(|error| explain(session, bucket.name(), what, error))?;
    Ok(moment(report.ts))
}

fn moment(ts: Option<String>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&ts?, &Rfc3339).ok()
}

/// What the server says of a bucket's stream.
pub(super) async fn bucket(bucket: &NatsBucket) -> Result<BucketReport, Error> {
    let what = format!("looking at the bucket {}", bucket.name());
    let session = &bucket.session;
    let verb = format!("STREAM.INFO.{}", bucket.stream());
    let report: StreamReport = session
        .ask(&what, &verb)
        .await
        .map_err(|error| explain(session, bucket.name(), &what, error))?;
    let clock = moment(report.ts);
    let mut told = BucketReport {
        clock,
        mirror_of: report
            .config
            .mirror
            .map(|mirror| match settings::bucket_of(&mirror.name) {
                Some(bucket) => bucket.to_string(),
                None => mirror.name,
            }),
        direct_reads: report.config.allow_direct,
        mirrors_answer: report.config.mirror_direct,
        acknowledges_early: report.config.persist_mode.as_deref() == Some("async"),
        replicas: report
            .cluster
            .map_or_else(Vec::new, |cluster| cluster.replicas(clock)),
        consumers: report.state.consumer_count,
        ..BucketReport::default()
    };
    if told.consumers > 0
        && let Err(error) = idle_consumers(bucket, &mut told).await
    {
        told.unseen = Some(error.to_string());
    }
    Ok(told)
}

/// Counts the consumers to which nobody listens.
async fn idle_consumers(bucket: &NatsBucket, told: &mut BucketReport) -> Result<(), Error> {
    let what = format!("listing the consumers of {}", bucket.name());
    let verb = format!("CONSUMER.LIST.{}", bucket.stream());
    let mut offset = 0;
    for _ in 0..PAGES {
        let page: ConsumerPage = bucket
            .session
            .ask_with(&what, &verb, &ListRequest { offset })
            .await
            .map_err(|error| explain(&bucket.session, bucket.name(), &what, error))?;
        let consumers = page.consumers.unwrap_or_default();
        offset += consumers.len() as u64;
        let is_last = consumers.is_empty() || offset >= page.total;
        for consumer in consumers {
            if !consumer.push_bound && consumer.num_waiting == 0 {
                told.idle_consumers += 1;
                if told.idle_names.len() < NAMED {
                    told.idle_names.push(consumer.name);
                }
            }
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_heard_for_long_is_away() {
        let seconds = |count: u64| count * 1_000_000_000;
        let peer = |current, active| Peer {
            name: "n".to_owned(),
            current,
            offline: false,
            lag: 3,
            active,
        };
        let led = |count| Some(time::Duration::seconds(count));
        assert!(!peer(true, seconds(60)).is_away(led(60)));
        assert!(!peer(false, seconds(1)).is_away(led(60)));
        assert!(peer(false, seconds(11)).is_away(led(60)));
        // Never heard: by one that leads since a moment ago, for long, or since nobody knows when.
        assert!(!peer(false, 0).is_away(led(2)));
        assert!(peer(false, 0).is_away(led(11)));
        assert!(peer(false, 0).is_away(None));
        assert!(!peer(true, 0).is_away(None));
        let said_goodbye = Peer {
            offline: true,
            ..peer(false, seconds(1))
        };
        assert!(said_goodbye.is_away(led(1)));
    }
}
