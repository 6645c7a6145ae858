//! The JSON that programs read. Names, types and order of the fields are a promise.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::kv::Entry;
use crate::kv::backend::{BucketInfo, Capabilities, Copies, Origin};

/// A key in a listing.
#[derive(Debug, Serialize)]
pub(super) struct KeyRecord<'a> {
    pub(super) key: &'a str,
    pub(super) revision: u64,
    #[serde(serialize_with = "rfc3339")]
    pub(super) created: OffsetDateTime,
    pub(super) size: u64,
    pub(super) operation: &'static str,
}

/// An entry with its value.
#[derive(Debug, Serialize)]
pub(super) struct EntryRecord<'a> {
    bucket: &'a str,
    key: &'a str,
    revision: u64,
    #[serde(serialize_with = "rfc3339")]
    created: OffsetDateTime,
    operation: &'static str,
    #[serde(flatten)]
    value: ValueRecord<'a>,
}

/// A value: text as it is, bytes in base64, `null` for a marker.
#[derive(Debug, Serialize)]
enum ValueRecord<'a> {
    #[serde(rename = "value")]
    Text(Option<&'a str>),
    #[serde(rename = "value_base64")]
    Bytes(String),
}

impl<'a> EntryRecord<'a> {
    pub(super) fn new(bucket: &'a str, entry: &'a Entry) -> Self {
        let value = match entry.live_value().map(|value| std::str::from_utf8(value)) {
            None => ValueRecord::Text(None),
            Some(Ok(text)) => ValueRecord::Text(Some(text)),
            Some(Err(_)) => {
                ValueRecord::Bytes(STANDARD.encode(entry.value.as_deref().unwrap_or_default()))
            }
        };
        Self {
            bucket,
            key: entry.key.as_str(),
            revision: entry.revision.0,
            created: entry.created,
            operation: entry.operation.as_str(),
            value,
        }
    }
}

/// One of the results that a query gives for the value of an entry.
#[derive(Debug, Serialize)]
pub(super) struct ResultRecord<'a> {
    bucket: &'a str,
    key: &'a str,
    revision: u64,
    #[serde(serialize_with = "rfc3339")]
    created: OffsetDateTime,
    #[serde(flatten)]
    result: QueryResult<'a>,
}

/// A result: JSON as it is; what can't be said in JSON, such as NaN, as text.
#[derive(Debug, Serialize)]
enum QueryResult<'a> {
    #[serde(rename = "result")]
    Json(serde_json::Value),
    #[serde(rename = "result_text")]
    Text(&'a str),
}

impl<'a> ResultRecord<'a> {
    /// The record of a result, which is given as the query printed it.
    pub(super) fn new(bucket: &'a str, entry: &'a Entry, result: &'a str) -> Self {
        Self {
            bucket,
            key: entry.key.as_str(),
            revision: entry.revision.0,
            created: entry.created,
            result: match serde_json::from_str(result) {
                Ok(json) => QueryResult::Json(json),
                Err(_) => QueryResult::Text(result),
            },
        }
    }
}

/// A write that was done.
#[derive(Debug, Serialize)]
pub(super) struct WrittenRecord<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) revision: u64,
}

/// A write that was not done, because the key has moved.
#[derive(Debug, Serialize)]
pub(super) struct ConflictRecord<'a> {
    pub(super) error: &'static str,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) expected: u64,
    pub(super) current: Option<u64>,
}

/// A write of which it is not known whether it was done.
#[derive(Debug, Serialize)]
pub(super) struct UnknownRecord<'a> {
    pub(super) error: &'static str,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) reason: &'a str,
    pub(super) found: &'a str,
}

/// A bucket.
#[derive(Debug, Serialize)]
pub(super) struct BucketRecord<'a> {
    bucket: &'a str,
    keys: u64,
    bytes: u64,
    history: u64,
    ttl_ms: Option<u64>,
    storage: &'static str,
    replicas: u64,
    read_only: bool,
    description: &'a str,
    entries: u64,
    marker_ttl_ms: Option<u64>,
    max_bytes: Option<u64>,
    max_value_size: Option<u64>,
    compression: bool,
    last_revision: u64,
    #[serde(serialize_with = "rfc3339")]
    created: OffsetDateTime,
    #[serde(serialize_with = "rfc3339_or_null")]
    last_write: Option<OffsetDateTime>,
    /// How many of the keys are gone and left a marker, where that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<u64>,
    cluster: Option<&'a str>,
    tags: &'a [String],
    republish: Option<RepublishRecord<'a>>,
    mirror: Option<OriginRecord<'a>>,
    sources: Vec<OriginRecord<'a>>,
    metadata: &'a BTreeMap<String, String>,
    copies: Option<CopiesRecord<'a>>,
    inflows: Vec<InflowRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct RepublishRecord<'a> {
    source: &'a str,
    destination: &'a str,
    headers_only: bool,
}

#[derive(Debug, Serialize)]
struct OriginRecord<'a> {
    bucket: &'a str,
    domain: Option<&'a str>,
}

impl<'a> From<&'a Origin> for OriginRecord<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self {
            bucket: origin.bucket.as_str(),
            domain: origin.domain.as_deref(),
        }
    }
}

/// The nodes that keep a bucket.
#[derive(Debug, Serialize)]
struct CopiesRecord<'a> {
    cluster: Option<&'a str>,
    leader: Option<&'a str>,
    followers: Vec<FollowerRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct FollowerRecord<'a> {
    name: &'a str,
    current: bool,
    offline: bool,
    lag: u64,
    last_heard_ms: Option<u64>,
}

/// How a bucket stands with one that its entries come from.
#[derive(Debug, Serialize)]
struct InflowRecord<'a> {
    name: &'a str,
    lag: u64,
    last_heard_ms: Option<u64>,
}

fn copies(copies: &Copies) -> CopiesRecord<'_> {
    CopiesRecord {
        cluster: copies.cluster.as_deref(),
        leader: copies.leader.as_deref(),
        followers: copies
            .followers
            .iter()
            .map(|follower| FollowerRecord {
                name: &follower.name,
                current: follower.is_current,
                offline: follower.is_offline,
                lag: follower.lag,
                last_heard_ms: follower.last_heard.map(millis),
            })
            .collect(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What compacting a bucket did, or would do.
#[derive(Debug, Serialize)]
pub(super) struct CompactRecord<'a> {
    pub(super) bucket: &'a str,
    pub(super) dry_run: bool,
    pub(super) markers: u64,
    pub(super) old: u64,
    pub(super) young: u64,
    pub(super) removed: u64,
    pub(super) passed_over: u64,
    pub(super) sessions: u64,
    pub(super) sessions_removed: u64,
    pub(super) bytes_before: u64,
    pub(super) bytes: u64,
}

/// What changing a bucket would do.
#[derive(Debug, Serialize)]
pub(super) struct ChangeRecord<'a> {
    pub(super) bucket: &'a str,
    pub(super) setting: &'static str,
    pub(super) before: String,
    pub(super) after: String,
}

impl<'a> BucketRecord<'a> {
    /// The same with the number of keys that are gone.
    pub(super) fn with_deleted(self, deleted: Option<u64>) -> Self {
        Self { deleted, ..self }
    }

    pub(super) fn new(info: &'a BucketInfo, capabilities: Capabilities) -> Self {
        let config = &info.config;
        Self {
            bucket: config.name.as_str(),
            keys: info.keys,
            bytes: info.bytes,
            history: config.history,
            ttl_ms: config.ttl.map(millis),
            storage: config.storage.as_str(),
            replicas: config.replicas,
            read_only: capabilities.read_only,
            description: &config.description,
            entries: info.entries,
            marker_ttl_ms: config.marker_ttl.map(millis),
            max_bytes: config.max_bytes,
            max_value_size: config.max_value_size,
            compression: config.compression,
            last_revision: info.last_revision.0,
            created: info.created,
            last_write: info.last_write,
            deleted: None,
            cluster: config.placement.cluster.as_deref(),
            tags: &config.placement.tags,
            republish: config.republish.as_ref().map(|republish| RepublishRecord {
                source: &republish.source,
                destination: &republish.destination,
                headers_only: republish.headers_only,
            }),
            mirror: config.mirror.as_ref().map(OriginRecord::from),
            sources: config.sources.iter().map(OriginRecord::from).collect(),
            metadata: &config.metadata,
            copies: info.copies.as_ref().map(copies),
            inflows: info
                .inflows
                .iter()
                .map(|inflow| InflowRecord {
                    name: &inflow.name,
                    lag: inflow.lag,
                    last_heard_ms: inflow.last_heard.map(millis),
                })
                .collect(),
        }
    }
}

/// A bucket that was removed.
#[derive(Debug, Serialize)]
pub(super) struct RemovedRecord<'a> {
    pub(super) bucket: &'a str,
    pub(super) removed: bool,
}

/// The time as RFC 3339 in UTC.
pub(super) fn timestamp(time: OffsetDateTime) -> String {
    let utc = time.to_offset(time::UtcOffset::UTC);
    // It only fails beyond the year 9999.
    utc.format(&Rfc3339).unwrap_or_else(|_| utc.to_string())
}

pub(super) fn rfc3339<S: Serializer>(
    time: &OffsetDateTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*time))
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub(super) fn rfc3339_or_null<S: Serializer>(
    time: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(timestamp).serialize(serializer)
}
