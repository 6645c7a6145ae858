//! A stored message as an entry, however it was delivered.

use std::time::Duration;

use async_nats::jetstream::stream::RawMessage;
use async_nats::{HeaderMap, HeaderName, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use time::OffsetDateTime;

use crate::kv::{Entry, Key, Operation, Revision};

/// Values up to this length are copied out of the client's read buffer, which a small value would
/// otherwise keep alive as a whole.
const COPY_BELOW: usize = 16 << 10;

/// How messages of one bucket become entries.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    /// What the subject of every key begins with.
    pub(super) prefix: String,
    /// The bucket's own time to live.
    pub(super) max_age: Option<Duration>,
    /// Whether to keep values.
    pub(super) values: bool,
}

/// Where a message stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) revision: u64,
    pub(super) created: OffsetDateTime,
}

impl Decoder {
    /// The entry in a message that came inside an answer.
    pub(super) fn stored_entry(&self, message: &Stored) -> Option<Entry> {
        let headers = Some(&message.headers);
        self.entry(&message.subject, headers, &message.payload, message.place)
    }

    /// The entry in a message. `None` if its subject is not one of the bucket's.
    pub(super) fn entry(
        &self,
        subject: &str,
        headers: Option<&HeaderMap>,
        payload: &Bytes,
        place: Place,
    ) -> Option<Entry> {
        let key = subject.strip_prefix(&self.prefix)?;
        let facts = headers.map_or(Facts::NONE, |headers| Facts::of(headers, payload));
        let ages_out = match facts.life {
            Life::Forever => None,
            Life::Unset => self.max_age,
            Life::Limited(ttl) => Some(self.max_age.map_or(ttl, |age| age.min(ttl))),
        };
        Some(Entry {
            key: Key::from_stored(key),
            revision: Revision(place.revision),
            created: place.created,
            operation: facts.operation,
            size: facts.size.unwrap_or(payload.len() as u64),
            value: self.values.then(|| {
                if payload.len() < COPY_BELOW {
                    Bytes::copy_from_slice(payload)
                } else {
                    payload.clone()
                }
            }),
            ttl: match facts.life {
                Life::Limited(ttl) => Some(ttl),
                Life::Unset | Life::Forever => None,
            },
            expires: ages_out
                .and_then(|age| time::Duration::try_from(age).ok())
                .and_then(|age| place.created.checked_add(age)),
        })
    }
}

/// A message as the server keeps it, told inside an answer.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) subject: String,
    /// Those that can be read.
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    pub(super) place: Place,
    /// Whether the client could take the message as such. If not, it drops the connection on which
    /// it comes. In doubt it is said to be unreadable: it is at hand, so nothing is lost by that.
    pub(super) is_readable: bool,
}

impl TryFrom<RawMessage> for Stored {
    type Error = base64::DecodeError;

    fn try_from(raw: RawMessage) -> Result<Self, Self::Error> {
        let headers = raw.headers.map(|headers| STANDARD.decode(headers));
        let parsed = headers.transpose()?.map(|bytes| parse_headers(&bytes));
        let (headers, is_readable) = parsed.unwrap_or_else(|| (HeaderMap::new(), true));
        Ok(Self {
            is_readable: is_readable && !raw.subject.contains(is_unreadable),
            subject: raw.subject,
            headers,
            payload: STANDARD.decode(raw.payload)?.into(),
            place: Place {
                revision: raw.sequence,
                created: raw.time,
            },
        })
    }
}

/// Whether a subject with this in it can end the client's connection. The server puts the first in
/// place of every byte that is no text. At the others the client divides the line before a message
/// with headers, which a server divides at blanks of ASCII alone.
fn is_unreadable(character: char) -> bool {
    character == char::REPLACEMENT_CHARACTER || character.is_whitespace()
}

/// The headers that can be read, and whether those are all. Nobody checks them when they are
/// written.
fn parse_headers(bytes: &[u8]) -> (HeaderMap, bool) {
    let mut headers = HeaderMap::new();
    let mut is_readable = std::str::from_utf8(bytes).is_ok();
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().peekable();
    let version = lines.next().and_then(|line| line.strip_prefix("NATS/1.0"));
    is_readable &= version.is_some_and(|status| {
        let code = status.split_whitespace().next();
        code.is_none_or(|code| code.parse::<StatusCode>().is_ok())
    });
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let header = line
            .split_once(':')
            .and_then(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.trim())));
        let mut value = header.as_ref().map_or("", |(_, value)| value).to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more.trim_end());
        }
        match header {
            Some((name, _)) => headers.append(name, value),
            None => is_readable = false,
        }
    }
    (headers, is_readable)
}

/// What the headers of a message say.
struct Facts {
    operation: Operation,
    life: Life,
    /// The length of a payload that was left out.
    size: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// As the bucket says.
    Unset,
    /// For ever, whatever the bucket says.
    Forever,
    /// No longer than this.
    Limited(Duration),
}

impl Facts {
    const NONE: Self = Self {
        operation: Operation::Put,
        life: Life::Unset,
        size: None,
    };

    fn of(headers: &HeaderMap, payload: &Bytes) -> Self {
        let text = |name: &str| headers.get(name).map(async_nats::HeaderValue::as_str);
        let operation = match (text("KV-Operation"), text("Nats-Marker-Reason")) {
            (Some("DEL"), _) => Operation::Delete,
            (Some("PURGE"), _) => Operation::Purge,
            (_, Some("MaxAge")) => Operation::Expire,
            (_, Some("Remove")) => Operation::Delete,
            (_, Some("Purge")) => Operation::Purge,
            _ => Operation::Put,
        };
        Self {
            operation,
            life: text("Nats-TTL").map_or(Life::Unset, parse_ttl),
            size: text("Nats-Msg-Size")
                .filter(|_| payload.is_empty())
                .and_then(|size| size.parse().ok()),
        }
    }
}

/// A time to live as the server reads it: `never`, whole seconds, or a duration as Go writes it.
fn parse_ttl(text: &str) -> Life {
    if text.eq_ignore_ascii_case("never") {
        return Life::Forever;
    }
    let seconds = text.parse().ok().map(Duration::from_secs);
    match seconds.or_else(|| parse_go_duration(text)) {
        Some(ttl) if !ttl.is_zero() => Life::Limited(ttl),
        _ => Life::Unset,
    }
}

/// A duration as Go writes it: `1h30m`, `1.5s`. `None` for anything else.
fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = tail;
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        revision: 7,
        created: OffsetDateTime::UNIX_EPOCH,
    };

    fn decoder(max_age: Option<u64>) -> Decoder {
        Decoder {
            prefix: "$KV.b.".to_owned(),
            max_age: max_age.map(Duration::from_secs),
            values: true,
        }
    }

    fn with_headers(decoder: &Decoder, headers: &[(&str, &str)]) -> Entry {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        decoder
            .entry("$KV.b.k", Some(&map), &Bytes::new(), PLACE)
            .unwrap()
    }

    #[test]
    fn subjects_outside_the_bucket_are_no_entries() {
        let decoder = decoder(None);
        let value = Bytes::from_static(b"v");
        assert!(decoder.entry("$KV.bb.k", None, &value, PLACE).is_none());
        let entry = decoder.entry("$KV.b.a b", None, &value, PLACE).unwrap();
        assert_eq!((entry.key.as_str(), entry.size), ("a b", 1));
        assert!(entry.key.is_foreign());
    }

    #[test]
    fn markers() {
        for (headers, operation) in [
            (&[("KV-Operation", "DEL")], Operation::Delete),
            (&[("KV-Operation", "PURGE")], Operation::Purge),
            (&[("Nats-Marker-Reason", "MaxAge")], Operation::Expire),
            (&[("Nats-Marker-Reason", "Remove")], Operation::Delete),
            (&[("Nats-Marker-Reason", "Purge")], Operation::Purge),
            (&[("KV-Operation", "PUT")], Operation::Put),
        ] {
            assert_eq!(with_headers(&decoder(None), headers).operation, operation);
        }
    }

    #[test]
    fn the_sooner_end_counts() {
        let expires = |age, headers: &[(&str, &str)]| {
            let entry = with_headers(&decoder(age), headers);
            let after = entry.expires.map(OffsetDateTime::unix_timestamp);
            (entry.ttl.map(|ttl| ttl.as_secs()), after)
        };
        assert_eq!(expires(None, &[]), (None, None));
        assert_eq!(expires(Some(60), &[]), (None, Some(60)));
        assert_eq!(expires(None, &[("Nats-TTL", "5")]), (Some(5), Some(5)));
        assert_eq!(
            expires(Some(60), &[("Nats-TTL", "1m30s")]),
            (Some(90), Some(60))
        );
        assert_eq!(expires(Some(60), &[("Nats-TTL", "5s")]), (Some(5), Some(5)));
        assert_eq!(expires(Some(60), &[("Nats-TTL", "never")]), (None, None));
    }

    #[test]
    fn headers_that_the_client_can_not_take_are_known_and_the_others_read() {
        let read = |bytes: &[u8]| {
            let (headers, is_readable) = parse_headers(bytes);
            let operation = headers.get("KV-Operation").map(ToString::to_string);
            (operation, is_readable)
        };
        let del = Some("DEL".to_owned());
        for (bytes, is_readable) in [
            (&b"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n"[..], true),
            (b"NATS/1.0 404 No\r\nKV-Operation: DEL\r\n\r\n", true),
            (b"NATS/1.0\r\na:\r\n b\r\nKV-Operation: DEL\r\n\r\n", true),
            (b"NATS/1.0\r\nx: \xff\r\nKV-Operation: DEL\r\n\r\n", false),
            (b"NATS/1.0\r\nx\r\nKV-Operation: DEL\r\n\r\n", false),
            (b"NATS/1.0\r\nx y: z\r\nKV-Operation: DEL\r\n\r\n", false),
            (b"NATS/1.0 x\r\nKV-Operation: DEL\r\n\r\n", false),
            (b"HTTP/1.1\r\nKV-Operation: DEL\r\n\r\n", false),
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(read(bytes), (del.clone(), is_readable), "{text}");
        }
        assert_eq!(read(b""), (None, false));
    }

    #[test]
    fn go_durations() {
        for (text, millis) in [
            ("1h30m", 5_400_000),
            ("1.5s", 1500),
            ("250ms", 250),
            ("1m0s", 60_000),
        ] {
            assert_eq!(
                parse_go_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["5", "s", "5x", "-1s", "1..2s", "1h3"] {
            assert_eq!(parse_go_duration(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_ttl_header_is_too_strange(text in ".*") {
            parse_ttl(&text);
        }

        #[test]
        fn seconds_are_seconds(seconds in 1..u64::from(u32::MAX)) {
            let limited = Life::Limited(Duration::from_secs(seconds));
            proptest::prop_assert_eq!(parse_ttl(&seconds.to_string()), limited);
            proptest::prop_assert_eq!(parse_ttl(&format!("{seconds}s")), limited);
        }
    }

    #[test]
    fn a_value_that_was_left_out_has_its_size() {
        let entry = with_headers(&decoder(None), &[("Nats-Msg-Size", "123")]);
        assert_eq!(entry.size, 123);
    }
}
