//! One bucket on the server: reading, and handing on to `write` and `watch`.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{Config, Info, PurgeRequest, PurgeResponse, RawMessage};
use async_nats::{HeaderMap, Message, StatusCode};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::message::{Decoder, Place, Stored};
use super::request::{CallError, Lost, Session, refused};
use super::write::{may_be_no_text, unnameable};
use super::{capabilities, report, settings, watch};
use crate::kv::backend::{
    BucketBackend, BucketInfo, BucketReport, Capabilities, Consistency, Write,
};
use crate::kv::{
    BucketName, Entry, Error, Key, Notices, Revision, Watch, WatchOptions, WriteError,
};

/// A bucket of a NATS server.
#[derive(Debug, Clone)]
pub(super) struct NatsBucket {
    pub(super) session: Arc<Session>,
    name: BucketName,
    known: Arc<RwLock<Known>>,
}

/// What reading and writing need of a stream's settings. They can change; what was seen last
/// counts, and where they can't be seen, what every bucket has.
#[derive(Debug, Clone)]
struct Known {
    prefix: String,
    max_age: Option<Duration>,
    direct: bool,
    history: Option<i64>,
}

impl Known {
    fn of(bucket: &BucketName, config: Option<&Config>) -> Self {
        Self {
            prefix: settings::subject_prefix(bucket, config),
            max_age: config
                .map(|config| config.max_age)
                .filter(|age| !age.is_zero()),
            // Where it is not known, trying is quick: nobody listens if it is not allowed.
            direct: config.is_none_or(|config| config.allow_direct),
            history: config.map(|config| config.max_messages_per_subject),
        }
    }
}

/// Which message of a stream.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Which<'a> {
    Last { last_by_subj: &'a str },
    Next { seq: u64, next_by_subj: &'a str },
    At { seq: u64 },
}

#[derive(Deserialize)]
struct RawAnswer {
    message: RawMessage,
}

impl NatsBucket {
    /// The bucket of that name, whose stream has these settings as far as is known.
    pub(super) fn new(session: Arc<Session>, name: BucketName, config: Option<&Config>) -> Self {
        let known = Arc::new(RwLock::new(Known::of(&name, config)));
        Self {
            session,
            name,
            known,
        }
    }

    pub(super) fn stream(&self) -> String {
        settings::stream_of(&self.name)
    }

    /// The subject of a key in the stream.
    fn subject(&self, key: &Key) -> String {
        format!("{}{key}", self.known().prefix)
    }

    /// The subject to write a key to.
    pub(super) fn write_subject(&self, key: &Key) -> String {
        let subject = self.subject(key);
        if self.session.foreign_domain {
            format!("{}.{subject}", self.session.api)
        } else {
            subject
        }
    }

    fn known(&self) -> Known {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    pub(super) fn decoder(&self, values: bool) -> Decoder {
        let known = self.known();
        Decoder {
            prefix: known.prefix,
            max_age: known.max_age,
            values,
        }
    }

    /// The stream's settings and state. Remembers the settings.
    pub(super) async fn stream_info(&self) -> Result<Info, Error> {
        let info = stream_info(&self.session, &self.name).await?;
        let known = Known::of(&self.name, Some(&info.config));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(info)
    }

    /// A message as the stream's leader has it.
    async fn message(&self, what: &str, which: &Which<'_>) -> Result<Option<Stored>, Error> {
        let verb = format!("STREAM.MSG.GET.{}", self.stream());
        match self.session.ask_with::<RawAnswer>(what, &verb, which).await {
            Ok(answer) => {
                Stored::try_from(answer.message)
                    .map(Some)
                    .map_err(|error| Error::Protocol {
                        what: what.to_owned(),
                        detail: error.to_string(),
                    })
            }
            Err(error) if error.is(ErrorCode::NO_MESSAGE_FOUND) => Ok(None),
            Err(error) => Err(self.explain(what, error)),
        }
    }

    /// When the message at this sequence was stored, if it is still kept.
    pub(super) async fn stored_at(&self, sequence: u64) -> Result<Option<OffsetDateTime>, Error> {
        let message = self
            .message("reading the stream", &Which::At { seq: sequence })
            .await?;
        Ok(message.map(|message| message.place.created))
    }

    /// The sequence of the newest message of these subjects, as the stream's leader has it. 0 if
    /// there is none.
    pub(super) async fn newest(&self, filter: &str) -> Result<u64, Error> {
        let which = Which::Last {
            last_by_subj: filter,
        };
        let message = self.message("reading the stream", &which).await?;
        Ok(message.map_or(0, |message| message.place.revision))
    }

    /// An entry as the stream's leader has it, if it is one of this key.
    async fn ask_leader(&self, key: &Key, which: Which<'_>) -> Result<Option<Entry>, Error> {
        let message = self.message(&format!("reading {key}"), &which).await?;
        Ok(message.and_then(|message| {
            self.decoder(true)
                .stored_entry(&message)
                .filter(|entry| entry.key == *key)
        }))
    }

    /// The first message of these subjects after that sequence, as the stream's leader has it.
    pub(super) async fn next_after(
        &self,
        sequence: u64,
        filter: &str,
    ) -> Result<Option<Stored>, Error> {
        let which = Which::Next {
            seq: sequence.saturating_add(1),
            next_by_subj: filter,
        };
        self.message("reading the stream", &which).await
    }

    /// The newest entry of a key as any replica has it. `Err(None)` where replicas don't answer.
    async fn ask_any(&self, key: &Key) -> Result<Option<Entry>, Option<Error>> {
        let what = format!("reading {key}");
        let subject = format!("{}.DIRECT.GET.{}", self.session.api, self.stream());
        let protocol = |detail: &str| {
            Some(Error::Protocol {
                what: what.clone(),
                detail: detail.to_owned(),
            })
        };
        let body = serde_json::to_vec(&Which::Last {
            last_by_subj: &self.subject(key),
        })
        .map_err(|error| protocol(&error.to_string()))?;
        let answer = match self.session.inquire(subject, body.into()).await {
            Ok(answer) => answer,
            Err(Lost::NobodyListens | Lost::Denied(_)) => return Err(None),
            // Perhaps for what the answer held: the leader's comes in another form.
            Err(Lost::Disconnected) => {
                self.session.reconnected().await;
                return Err(None);
            }
            Err(lost) => return Err(Some(self.session.unanswered(&what, lost))),
        };
        match answer.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(_) => return Err(None),
        }
        let (subject, place) =
            direct_place(&answer).ok_or_else(|| protocol("a header is missing"))?;
        Ok(self
            .decoder(true)
            .entry(&subject, answer.headers.as_ref(), &answer.payload, place)
            .filter(|entry| entry.key == *key))
    }

    fn explain(&self, what: &str, error: CallError) -> Error {
        explain(&self.session, &self.name, what, error)
    }

    /// The entry of a key that somebody asked for, which may be one that can't be.
    async fn entry_asked_for(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let entry = self.newest_entry(key).await?;
        if entry.is_none() && may_be_no_text(key) {
            return Err(unnameable(key));
        }
        Ok(entry)
    }

    /// The entry of a key that decides writes.
    pub(super) async fn newest_entry(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let subject = self.subject(key);
        let last_by_subj = &subject;
        self.ask_leader(key, Which::Last { last_by_subj }).await
    }
}

#[async_trait]
impl BucketBackend for NatsBucket {
    fn name(&self) -> &BucketName {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&self.session)
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        let info = self.stream_info().await?;
        settings::bucket_info(&info).ok_or_else(|| Error::NoSuchBucket {
            bucket: self.name.to_string(),
        })
    }

    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error> {
        if consistency == Consistency::Any && self.known().direct && !may_be_no_text(key) {
            match self.ask_any(key).await {
                Ok(entry) => return Ok(entry),
                Err(Some(error)) => return Err(error),
                // The leader always answers.
                Err(None) => {}
            }
        }
        self.entry_asked_for(key).await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        if revision == Revision::ABSENT {
            return Ok(None);
        }
        self.ask_leader(key, Which::At { seq: revision.0 }).await
    }

    /// Asks the leader for one entry after the other. A consumer would be quicker for a long
    /// history over a long line, but may sit on a replica that lags behind, and show entries that
    /// the bucket has no more.
    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        let Some(newest) = self.entry_asked_for(key).await? else {
            return Ok(Vec::new());
        };
        if self.known().history == Some(1) {
            return Ok(vec![newest]);
        }
        let subject = self.subject(key);
        let mut entries = Vec::new();
        let mut seq = 1;
        while seq < newest.revision.0 {
            let next = Which::Next {
                seq,
                next_by_subj: &subject,
            };
            match self.ask_leader(key, next).await? {
                Some(entry) if entry.revision < newest.revision => {
                    seq = entry.revision.0 + 1;
                    entries.push(entry);
                }
                _ => break,
            }
        }
        entries.push(newest);
        Ok(entries)
    }

    /// The server removes all up to a sequence: what is written meanwhile stays.
    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        let what = format!("removing the marker of {key}");
        let entry = self.get_revision(key, marker).await?;
        if !entry.is_some_and(|entry| entry.is_marker()) {
            return Ok(false);
        }
        let verb = format!("STREAM.PURGE.{}", self.stream());
        let request = PurgeRequest {
            sequence: Some(marker.0 + 1),
            filter: Some(self.subject(key)),
            keep: None,
        };
        match self
            .session
            .call::<PurgeResponse>(&what, &verb, &request)
            .await
        {
            Ok(answer) => Ok(answer.purged > 0),
            Err(error) => Err(self.explain(&what, error)),
        }
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        self.publish(write).await
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        watch::start(self.clone(), options).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        report::bucket(self).await
    }

    async fn clock(&self) -> Result<Option<OffsetDateTime>, Error> {
        report::clock(self).await
    }

    async fn restore(&self, _: Vec<Entry>) -> Result<(), Error> {
        Err(Error::no_restoring())
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.listen_to(name).await
    }

    async fn notify(&self, name: &str, notice: Bytes) {
        self.tell(name, notice).await;
    }
}

/// The settings and state of a bucket's stream.
pub(super) async fn stream_info(session: &Session, bucket: &BucketName) -> Result<Info, Error> {
    let what = format!("looking at the bucket {bucket}");
    let verb = format!("STREAM.INFO.{}", settings::stream_of(bucket));
    session
        .ask(&what, &verb)
        .await
        .map_err(|error| explain(session, bucket, &what, error))
}

/// The error for a call that concerned one bucket.
pub(super) fn explain(
    session: &Session,
    bucket: &BucketName,
    what: &str,
    error: CallError,
) -> Error {
    match error {
        CallError::Api(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            Error::NoSuchBucket {
                bucket: bucket.to_string(),
            }
        }
        CallError::Api(error) => refused(session, what, &error),
        CallError::Failed(error) => error,
    }
}

/// Where a message that was got directly stands.
fn direct_place(message: &Message) -> Option<(String, Place)> {
    let headers: &HeaderMap = message.headers.as_ref()?;
    let text = |name: &str| headers.get(name).map(async_nats::HeaderValue::as_str);
    let place = Place {
        revision: text("Nats-Sequence")?.parse().ok()?,
        created: OffsetDateTime::parse(text("Nats-Time-Stamp")?, &Rfc3339).ok()?,
    };
    Some((text("Nats-Subject")?.to_owned(), place))
}
