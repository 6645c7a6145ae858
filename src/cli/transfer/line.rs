//! The lines of an export: a head, the entries in the order of their revisions, an end.
//!
//! The head says where it comes from and how the bucket was set up, the end that nothing is
//! missing. Entries are told as everywhere in the output for programs, with the same names. Lines
//! without a head are taken too: what `grep` or `jq` leave of an export can still be imported.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::record::{rfc3339, rfc3339_or_null};
use crate::kv::backend::{BucketConfig, BucketInfo, Capabilities, Storage};
use crate::kv::{BucketName, Entry, Key, Operation, Revision};

/// The format that is written, and the newest that is read.
const FORMAT: u64 = 1;

/// The first line: where the rest comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The format of the lines.
    pub(super) export: u64,
    pub(super) bucket: String,
    pub(super) filter: String,
    /// Whether there is more than the newest entry of each key.
    pub(super) history: bool,
    /// When it was made. It tells one export from another.
    pub(super) exported: String,
    /// How many entries there were to tell, as far as was known before.
    pub(super) expected: u64,
    /// When the bucket was made. It tells it from one made anew under the same name.
    #[serde(default)]
    pub(super) made: Option<String>,
    pub(super) settings: Settings,
}

/// The settings of the bucket, as far as another can take them over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    #[serde(default)]
    description: String,
    history: u64,
    ttl_ms: Option<u64>,
    marker_ttl_ms: Option<u64>,
    max_bytes: Option<u64>,
    max_value_size: Option<u64>,
    storage: String,
    replicas: u64,
    #[serde(default)]
    compression: bool,
}

/// The last line: nothing is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// How many entries were told.
    pub(super) end: u64,
}

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Head(Box<Head>),
    Entry(Told),
    End(End),
}

/// An entry as a line tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) key: Key,
    /// Where it stood in its bucket; only as good as the line.
    pub(super) revision: Revision,
    pub(super) created: Option<OffsetDateTime>,
    pub(super) operation: Operation,
    pub(super) value: Bytes,
    pub(super) ttl: Option<Duration>,
    pub(super) expires: Option<OffsetDateTime>,
}

/// Why a line can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineFault {
    /// It is no JSON, or only a part of it.
    #[error("it is cut off, or no JSON: {0}")]
    NoJson(String),
    /// It is JSON, but no line of an export.
    #[error("it is no line of an export: {0}")]
    Foreign(String),
    /// It was written by a later version.
    #[error("the export has the format {0}, and this version reads {FORMAT}")]
    Newer(u64),
}

impl Head {
    pub(super) fn new(
        info: &BucketInfo,
        filter: &str,
        history: bool,
        exported: OffsetDateTime,
    ) -> Self {
        let config = &info.config;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            export: FORMAT,
            bucket: config.name.to_string(),
            filter: filter.to_owned(),
            history,
            exported: crate::cli::record::timestamp(exported),
            expected: if history { info.entries } else { info.keys },
            made: Some(crate::cli::record::timestamp(info.created)),
            settings: Settings {
                description: config.description.clone(),
                history: config.history,
                ttl_ms: config.ttl.map(millis),
                marker_ttl_ms: config.marker_ttl.map(millis),
                max_bytes: config.max_bytes,
                max_value_size: config.max_value_size,
                storage: config.storage.as_str().to_owned(),
                replicas: config.replicas,
                compression: config.compression,
            },
        }
    }
}

impl Settings {
    /// A bucket like that, as far as a place can have one.
    pub(super) fn config(&self, name: BucketName, can: Capabilities) -> BucketConfig {
        let mut config = BucketConfig::new(name);
        config.description.clone_from(&self.description);
        config.history = self.history.clamp(1, can.max_history);
        config.ttl = self.ttl_ms.map(Duration::from_millis);
        let marker_ttl = self.marker_ttl_ms.map(Duration::from_millis);
        config.marker_ttl = marker_ttl.filter(|_| can.entry_ttl);
        config.max_bytes = self.max_bytes;
        config.max_value_size = match (self.max_value_size, can.max_value_size) {
            (Some(wanted), Some(limit)) => Some(wanted.min(limit)),
            (wanted, _) => wanted,
        };
        if can.memory_storage && self.storage == Storage::Memory.as_str() {
            config.storage = Storage::Memory;
        }
        if can.replicas {
            config.replicas = self.replicas.max(1);
            config.compression = self.compression;
        }
        config
    }
}

impl Told {
    /// The entry itself, as it was elsewhere.
    pub(super) fn into_entry(self) -> Entry {
        Entry {
            key: self.key,
            revision: self.revision,
            created: self.created.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            operation: self.operation,
            size: self.value.len() as u64,
            value: Some(self.value),
            ttl: self.ttl,
            expires: None,
        }
    }
}

/// An entry as it is written.
#[derive(Debug, Serialize)]
pub(super) struct EntryLine<'a> {
    key: &'a str,
    revision: u64,
    #[serde(serialize_with = "rfc3339")]
    created: OffsetDateTime,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_or_null"
    )]
    expires: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl<'a> EntryLine<'a> {
    pub(super) fn new(entry: &'a Entry) -> Self {
        let bytes = entry.live_value();
        let text = bytes.map(|bytes| std::str::from_utf8(bytes).ok());
        Self {
            key: entry.key.as_str(),
            revision: entry.revision.0,
            created: entry.created,
            operation: entry.operation.as_str(),
            ttl_ms: entry
                .ttl
                .map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            expires: entry.expires,
            value: text.flatten(),
            value_base64: match (bytes, text) {
                (Some(bytes), Some(None)) => Some(STANDARD.encode(bytes)),
                _ => None,
            },
        }
    }
}

/// Whatever a line can have, before it is known what it is.
#[derive(Debug, Deserialize)]
struct Raw {
    key: Option<String>,
    #[serde(default)]
    revision: u64,
    created: Option<String>,
    operation: Option<String>,
    ttl_ms: Option<u64>,
    expires: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    export: Option<u64>,
    end: Option<u64>,
}

/// Reads a line. `None`: it is empty.
pub(super) fn parse(line: &[u8]) -> Result<Option<Line>, LineFault> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let raw: Raw = serde_json::from_slice(line).map_err(|error| fault_of(&error))?;
    match (raw.key, raw.export, raw.end) {
        (None, Some(format), _) if format > FORMAT => Err(LineFault::Newer(format)),
        (None, Some(_), _) => match serde_json::from_slice(line) {
            Ok(head) => Ok(Some(Line::Head(head))),
            Err(error) => Err(LineFault::Foreign(error.to_string())),
        },
        (None, None, Some(end)) => Ok(Some(Line::End(End { end }))),
        (None, None, None) => Err(LineFault::Foreign("it has no \"key\"".to_owned())),
        (Some(key), ..) => {
            let operation = operation(raw.operation.as_deref())?;
            let value = match (raw.value, raw.value_base64) {
                (Some(_), Some(_)) => {
                    return Err(LineFault::Foreign(
                        "it has both \"value\" and \"value_base64\"".to_owned(),
                    ));
                }
                (Some(text), None) => Bytes::from(text),
                (None, Some(coded)) => STANDARD
                    .decode(coded)
                    .map_err(|error| LineFault::Foreign(format!("\"value_base64\": {error}")))?
                    .into(),
                (None, None) if operation.is_put() => {
                    return Err(LineFault::Foreign("it has no value".to_owned()));
                }
                (None, None) => Bytes::new(),
            };
            Ok(Some(Line::Entry(Told {
                key: Key::from_stored(key),
                revision: Revision(raw.revision),
                created: moment("created", raw.created.as_deref())?,
                operation,
                value,
                ttl: raw.ttl_ms.map(Duration::from_millis),
                expires: moment("expires", raw.expires.as_deref())?,
            })))
        }
    }
}

fn fault_of(error: &serde_json::Error) -> LineFault {
    // Every line is the first one to the parser.
    let words = error.to_string().replace(" at line 1 column", ", column");
    match error.classify() {
        serde_json::error::Category::Data => LineFault::Foreign(words),
        _ => LineFault::NoJson(words),
    }
}

fn operation(name: Option<&str>) -> Result<Operation, LineFault> {
    let all = [
        Operation::Put,
        Operation::Delete,
        Operation::Purge,
        Operation::Expire,
    ];
    match name {
        // Handmade lines need not say it.
        None => Ok(Operation::Put),
        Some(name) => all
            .into_iter()
            .find(|operation| operation.as_str() == name)
            .ok_or_else(|| LineFault::Foreign(format!("there is no operation {name:?}"))),
    }
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, LineFault> {
    let Some(text) = text else {
        return Ok(None);
    };
    OffsetDateTime::parse(text, &Rfc3339)
        .map(Some)
        .map_err(|error| LineFault::Foreign(format!("{name:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line_of(entry: &Entry) -> Vec<u8> {
        serde_json::to_vec(&EntryLine::new(entry)).unwrap()
    }

    fn fault(line: &str) -> String {
        parse(line.as_bytes()).unwrap_err().to_string()
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_byte_for_byte(
            value: Vec<u8>,
            key in "[^\\s]{1,12}",
            revision: u64,
            nanos in 0..4_000_000_000_000_000_000_i128,
            ttl in prop::option::of(1..100_000_u64),
        ) {
            let created = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            let ttl = ttl.map(Duration::from_secs);
            let entry = Entry {
                key: Key::from_stored(key),
                revision: Revision(revision),
                created,
                operation: Operation::Put,
                size: value.len() as u64,
                value: Some(value.into()),
                ttl,
                expires: ttl.map(|ttl| created + ttl),
            };
            let Some(Line::Entry(told)) = parse(&line_of(&entry)).unwrap() else {
                panic!("no entry");
            };
            prop_assert_eq!(told.expires, entry.expires);
            prop_assert_eq!(told.into_entry(), Entry { expires: None, ..entry });
        }
    }

    #[test]
    fn what_a_program_printed_elsewhere_is_a_line_too() {
        let line = br#"{"bucket":"b","key":"a","revision":3,"created":"2026-01-02T03:04:05Z","operation":"delete","value":null}"#;
        let Some(Line::Entry(told)) = parse(line).unwrap() else {
            panic!("no entry");
        };
        assert_eq!(told.operation, Operation::Delete);
        assert_eq!(told.value, Bytes::new());
        assert_eq!(parse(b" \r").unwrap(), None);
    }

    #[test]
    fn what_is_no_line_says_why() {
        for (line, words) in [
            (r#"{"key":"a","val"#, "cut off, or no JSON"),
            ("key,value", "cut off, or no JSON"),
            (r#"{"name":"a"}"#, "it has no \"key\""),
            (r#"{"key":"a"}"#, "it has no value"),
            (r#"{"key":"a","value":7}"#, "expected a string"),
            (r#"{"key":"a","value":"","value_base64":""}"#, "both"),
            (r#"{"key":"a","value_base64":"*"}"#, "value_base64"),
            (
                r#"{"key":"a","value":"","operation":"steal"}"#,
                "no operation \"steal\"",
            ),
            (r#"{"key":"a","value":"","created":"today"}"#, "\"created\""),
            (r#"{"export":9}"#, "format 9"),
        ] {
            assert!(fault(line).contains(words), "{line}: {}", fault(line));
        }
    }

    #[test]
    fn a_bucket_is_set_up_as_far_as_the_place_can() {
        let mut config = BucketConfig::new(BucketName::new("b").unwrap());
        config.history = 64;
        config.replicas = 3;
        config.storage = Storage::Memory;
        config.marker_ttl = Some(Duration::from_secs(7));
        let info = BucketInfo::new(config, OffsetDateTime::UNIX_EPOCH);
        let head = Head::new(&info, ">", false, OffsetDateTime::UNIX_EPOCH);
        let line = serde_json::to_vec(&head).unwrap();
        assert_eq!(
            parse(&line).unwrap(),
            Some(Line::Head(Box::new(head.clone())))
        );
        let can = Capabilities {
            max_history: 10,
            ..Capabilities::minimal()
        };
        let made = head.settings.config(BucketName::new("c").unwrap(), can);
        assert_eq!((made.history, made.replicas), (10, 1));
        assert_eq!((made.storage, made.marker_ttl), (Storage::File, None));
    }
}
