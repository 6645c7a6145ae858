//! One write and how it ended. Nothing is ever written twice from here.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{ErrorCode, response::Response};
use bytes::Bytes;
use serde::Deserialize;

use super::bucket::NatsBucket;
use super::request::{ApiError, Lost, description, refused};
use crate::kv::backend::{BucketBackend, Change, Write};
use crate::kv::{Error, InvalidKey, Key, Revision, WriteError};

/// What the server answers to a message that it stored.
#[derive(Deserialize)]
struct Acknowledged {
    seq: u64,
}

impl NatsBucket {
    pub(super) async fn publish(&self, write: Write) -> Result<Revision, WriteError> {
        let session = &self.session;
        check_literal(&write.key)?;
        self.check_is_text(&write.key).await?;
        if let Change::Put(value) = &write.change {
            write.key.check_writable()?;
            let limit = limit_of(
                session.client.max_payload() as u64,
                headers(&write).as_ref(),
            );
            if value.len() as u64 > limit {
                return Err(too_large(value.len(), limit).into());
            }
        }
        if write.ttl.is_some() && !self.capabilities().entry_ttl {
            return Err(Error::Unsupported {
                what: "a time to live of its own",
                reason: "the server is older than 2.11".to_owned(),
            }
            .into());
        }
        let subject = self.write_subject(&write.key);
        let headers = headers(&write);
        let size = match &write.change {
            Change::Put(value) => value.len(),
            Change::Delete | Change::Purge => 0,
        };
        let payload = match &write.change {
            Change::Put(value) => value.clone(),
            Change::Delete | Change::Purge => Bytes::new(),
        };
        let answer = match session.request(subject, headers, payload).await {
            Ok(answer) => answer,
            Err(lost) => return Err(self.unacknowledged(&write, lost, size).await),
        };
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(Acknowledged { seq })) => Ok(Revision(seq)),
            Ok(Response::Err { error }) => Err(self.rejected(&write, &error, size).await),
            Err(_) => Err(WriteError::Unknown {
                key: write.key,
                reason: "something answered that is no acknowledgement".to_owned(),
            }),
        }
    }

    /// Refuses a key whose name has bytes in it that are no text: what is written under that name
    /// goes to another subject.
    async fn check_is_text(&self, key: &Key) -> Result<(), WriteError> {
        if !may_be_no_text(key) || self.newest_entry(key).await?.is_some() {
            return Ok(());
        }
        Err(WriteError::Failed(unnameable(key)))
    }

    /// What it means that no acknowledgement came.
    async fn unacknowledged(&self, write: &Write, lost: Lost, size: usize) -> WriteError {
        let session = &self.session;
        let unknown = |reason: String| WriteError::Unknown {
            key: write.key.clone(),
            reason,
        };
        match lost {
            Lost::NotConnected => {
                WriteError::Failed(session.unreachable("the connection is down; nothing was sent"))
            }
            Lost::Denied(subject) => WriteError::Failed(Error::Denied {
                what: format!("writing {}: publishing to {subject}", write.key),
            }),
            Lost::NobodyListens => WriteError::Failed(self.why_nobody_listens().await),
            Lost::BadSubject => WriteError::Failed(Error::InvalidKey(InvalidKey {
                key: write.key.to_string(),
                fault: "it can't be sent to a NATS server",
            })),
            Lost::TooLarge => {
                let most = session.client.max_payload() as u64;
                WriteError::Failed(too_large(size, limit_of(most, headers(write).as_ref())))
            }
            Lost::TimedOut => unknown(format!(
                "no acknowledgement within {} ms",
                session.timeout.as_millis()
            )),
            Lost::Disconnected => {
                unknown("the connection was lost before the acknowledgement".to_owned())
            }
            Lost::Deaf(subject) => unknown(format!("no permission for answers on {subject}")),
            Lost::Broken(reason) => unknown(reason),
        }
    }

    /// Nobody listens where the bucket's stream should.
    async fn why_nobody_listens(&self) -> Error {
        match self.stream_info().await {
            Ok(_) => self
                .session
                .unreachable(format!("nobody serves the bucket {} just now", self.name())),
            Err(error) => error,
        }
    }

    /// What it means that the server would not store it.
    async fn rejected(&self, write: &Write, error: &ApiError, size: usize) -> WriteError {
        let message = description(error);
        let what = format!("writing {}", write.key);
        match (error.error_code(), write.expected) {
            (
                ErrorCode::STREAM_WRONG_LAST_SEQUENCE
                | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
                Some(expected),
            ) => WriteError::Conflict {
                key: write.key.clone(),
                expected,
                current: current_of(&message),
            },
            (ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, _) => {
                let info = self.stream_info().await.ok();
                let most = info.and_then(|info| u64::try_from(info.config.max_message_size).ok());
                WriteError::Failed(match most {
                    Some(most) => too_large(size, limit_of(most, headers(write).as_ref())),
                    // Not everybody may ask for it.
                    None => refused(&self.session, &what, error),
                })
            }
            (ErrorCode::MESSAGE_TTL_DISABLED | ErrorCode::MESSAGE_TTL_INVALID, _) => {
                WriteError::Failed(Error::Unsupported {
                    what: "a time to live of its own",
                    reason: format!("{message}; the bucket needs a marker TTL"),
                })
            }
            (ErrorCode::STREAM_STORE_FAILED, _) if message.contains("maximum") => {
                WriteError::Failed(Error::NoSpace {
                    what,
                    reason: message,
                })
            }
            // Of several servers the others may keep what this one could not write to its disk.
            (ErrorCode::STREAM_STORE_FAILED, _) => WriteError::Unknown {
                key: write.key.clone(),
                reason: message,
            },
            _ => WriteError::Failed(refused(&self.session, &what, error)),
        }
    }
}

/// Refuses a key that is a pattern. The server would take it, and a purge of it would purge every
/// key that it matches.
fn check_literal(key: &Key) -> Result<(), InvalidKey> {
    if key
        .as_str()
        .split('.')
        .any(|token| token == "*" || token == ">")
    {
        return Err(InvalidKey {
            key: key.to_string(),
            fault: "it is a pattern",
        });
    }
    Ok(())
}

/// Whether the name may stand for one with bytes in it that are no text. It is told with this
/// character in place of each of them.
pub(super) fn may_be_no_text(key: &Key) -> bool {
    key.as_str().contains(char::REPLACEMENT_CHARACTER)
}

/// The error for a key that can't be asked for by its name.
pub(super) fn unnameable(key: &Key) -> Error {
    Error::InvalidKey(InvalidKey {
        key: key.to_string(),
        fault: "it has bytes that are no text, and can't be asked for",
    })
}

fn too_large(size: usize, limit: u64) -> Error {
    Error::TooLarge {
        size: size as u64,
        limit,
    }
}

/// How long a value can be in a message of at most so many bytes: its headers count too.
fn limit_of(most: u64, headers: Option<&HeaderMap>) -> u64 {
    // `NATS/1.0`, then a line for each, then an empty one; all end in two bytes.
    let lines = headers.into_iter().flat_map(HeaderMap::iter);
    let length: usize = lines
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| AsRef::<[u8]>::as_ref(name).len() + value.as_str().len() + 4)
        .sum();
    let length = headers.map_or(0, |_| length + 12);
    most.saturating_sub(length as u64)
}

/// The revision in `wrong last sequence: 7`, which not every server tells.
fn current_of(message: &str) -> Option<Revision> {
    let (_, sequence) = message.rsplit_once(':')?;
    sequence.trim().parse().ok().map(Revision)
}

fn headers(write: &Write) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    match write.change {
        Change::Put(_) => {}
        Change::Delete => headers.insert("KV-Operation", "DEL"),
        Change::Purge => {
            headers.insert("KV-Operation", "PURGE");
            headers.insert("Nats-Rollup", "sub");
        }
    }
    if let Some(Revision(expected)) = write.expected {
        headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
    }
    if let Some(ttl) = write.ttl {
        headers.insert("Nats-TTL", whole_seconds(ttl).to_string());
    }
    (!headers.is_empty()).then_some(headers)
}

/// The server counts in whole seconds; nothing lives shorter than was asked for.
fn whole_seconds(ttl: Duration) -> u64 {
    ttl.as_secs()
        .saturating_add(u64::from(ttl.subsec_nanos() > 0))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(5)), 5);
        assert_eq!(whole_seconds(Duration::from_millis(5001)), 6);
    }

    #[test]
    fn patterns_are_never_written_to() {
        for key in ["*", ">", "a.*", "a.>", "*.b"] {
            assert!(check_literal(&Key::from_stored(key)).is_err(), "{key}");
        }
        for key in ["a", "a.b", "a*", "a b", "a.>b"] {
            assert!(check_literal(&Key::from_stored(key)).is_ok(), "{key}");
        }
    }

    #[test]
    fn headers_take_their_part_of_a_message() {
        let write = Write::put(Key::from_stored("a"), "v");
        assert_eq!(limit_of(100, headers(&write).as_ref()), 100);
        let write = write.expecting(Revision(8));
        let line = "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 8\r\n\r\n";
        let limit = limit_of(100, headers(&write).as_ref());
        assert_eq!(limit, 100 - line.len() as u64);
        assert_eq!(limit_of(10, headers(&write).as_ref()), 0);
    }

    #[test]
    fn the_current_revision_is_told_by_some_servers() {
        assert_eq!(current_of("wrong last sequence: 7"), Some(Revision(7)));
        assert_eq!(current_of("wrong last sequence"), None);
    }
}
