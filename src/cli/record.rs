//! The JSON that programs read. Names, types and order of the fields are a promise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::kv::Entry;
use crate::kv::backend::{BucketInfo, Capabilities};

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
}

impl<'a> BucketRecord<'a> {
    pub(super) fn new(info: &'a BucketInfo, capabilities: Capabilities) -> Self {
        let config = &info.config;
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
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
