//! One ordered push consumer: made, listened to, deleted.
//!
//! Made by hand rather than by the library's ordered consumer, which re-creates itself out of
//! sight: when a consumer has to be made again, `watch` must first find out whether the stream is
//! still the one that it was.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, Info, push};
use async_nats::jetstream::{ErrorCode, consumer::IntoConsumerConfig};
use async_nats::{Message, StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::message::{Decoder, Place};
use super::request::{CallError, Session};
use crate::kv::{Entry, Error};

/// How often the server says that there is nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long a silence means that the consumer is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the server keeps a consumer that nobody listens to. Only those that nobody could
/// delete, because the connection or the process is gone, live that long.
const INACTIVE: Duration = Duration::from_secs(15);
/// How many messages are handled at once.
const BATCH: usize = 1024;

/// What a consumer is to deliver.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The stream's name.
    pub(super) stream: String,
    /// Of which subjects. None named for all: the server then has nothing to count first, which
    /// takes it a third of a second for a million subjects. More than one need server 2.10.
    pub(super) filters: Vec<String>,
    /// From where on.
    pub(super) from: DeliverPolicy,
    /// Whether to leave out payloads.
    pub(super) headers_only: bool,
}

/// A consumer that delivers to us. Dropping it deletes it, as far as that can be done.
#[derive(Debug)]
pub(super) struct Consumer {
    session: Arc<Session>,
    stream: String,
    name: String,
    subscriber: Subscriber,
    /// How many messages waited for delivery when it was made.
    pub(super) pending: u64,
    /// How many were delivered to us.
    delivered: u64,
    deadline: Instant,
    /// Where the server waits to hear that we keep up. Until then it sends no more than 32 MiB.
    asked: Option<String>,
    runtime: tokio::runtime::Handle,
    counted: Option<Counted>,
}

/// Stands for one consumer in the session's count of them.
#[derive(Debug)]
struct Counted(Arc<Session>);

impl Counted {
    fn new(session: &Arc<Session>) -> Self {
        session.consumers.send_modify(|count| *count += 1);
        Self(Arc::clone(session))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.consumers.send_modify(|count| *count -= 1);
    }
}

/// What a message tells, and where it stands. The message itself, twice as large, is not kept.
#[derive(Debug)]
pub(super) struct Delivered {
    /// `None` if its subject is not one of the bucket's.
    pub(super) entry: Option<Entry>,
    pub(super) place: Place,
    /// How many messages the server still had to send when it sent this one.
    pub(super) pending: u64,
}

/// What was heard of a consumer, besides messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// There may be more to come.
    More,
    /// It has nothing to send: everything up to this sequence of the stream has been delivered.
    /// A replica that lags behind may not have everything yet.
    Idle(u64),
}

/// Why a consumer is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing was heard of it for too long.
    Silent,
    /// A message got lost on the way.
    Skipped,
    /// The client ended the subscription.
    Ended,
}

#[derive(Serialize)]
struct CreateRequest<'a> {
    stream_name: &'a str,
    config: &'a Config,
    action: &'static str,
}

#[derive(Deserialize)]
struct Done {}

impl Consumer {
    /// Makes a consumer and listens to it.
    pub(super) async fn open(session: &Arc<Session>, wanted: &Wanted) -> Result<Self, CallError> {
        let what = "watching";
        let inbox = session.client.new_inbox();
        let unique = inbox.rsplit('.').next().unwrap_or_default();
        let name = format!("kvscope_{unique}");
        let subscriber = session
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| CallError::Failed(session.unreachable(error.to_string())))?;
        let only = match wanted.filters.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let config = push::Config {
            name: Some(name.clone()),
            description: Some("a watch".to_owned()),
            deliver_subject: inbox,
            deliver_policy: wanted.from,
            filter_subject: only.cloned().unwrap_or_default(),
            filter_subjects: if only.is_some() {
                Vec::new()
            } else {
                wanted.filters.clone()
            },
            headers_only: wanted.headers_only,
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: INACTIVE,
            num_replicas: 1,
            memory_storage: true,
            ..push::Config::default()
        }
        .into_consumer_config();
        // From here on it may exist, and is deleted whatever happens.
        let mut consumer = Self {
            session: Arc::clone(session),
            stream: wanted.stream.clone(),
            name,
            subscriber,
            pending: 0,
            delivered: 0,
            deadline: Instant::now() + SILENCE,
            asked: None,
            runtime: tokio::runtime::Handle::current(),
            counted: Some(Counted::new(session)),
        };
        // The filter stands in the subject too, for permissions to tell it by.
        let verb = format!(
            "CONSUMER.CREATE.{}.{}.{}",
            wanted.stream,
            consumer.name,
            only.map_or("", String::as_str)
        );
        let verb = verb.trim_end_matches('.');
        let losses = session.link.state().borrow().losses;
        let made = session
            .call::<Info>(
                what,
                verb,
                &CreateRequest {
                    stream_name: &wanted.stream,
                    config: &config,
                    action: "create",
                },
            )
            .await;
        consumer.pending = match made {
            // Some of them may be on their way already.
            Ok(info) => info.num_pending + info.delivered.consumer_sequence,
            // What it delivers at once can cost the connection before the answer is there. What
            // came until then is to be heard, or the next consumer would begin no later.
            Err(_) if session.link.state().borrow().losses != losses => u64::MAX,
            Err(error) => return Err(error),
        };
        consumer.deadline = Instant::now() + SILENCE;
        Ok(consumer)
    }

    /// Waits until something is heard, and appends what the messages that are there tell, as many as
    /// are handled at once.
    ///
    /// Cancel-safe.
    pub(super) async fn hear(
        &mut self,
        decoder: &Decoder,
        messages: &mut Vec<Delivered>,
    ) -> Result<Heard, Fault> {
        let first = tokio::time::timeout_at(self.deadline, self.subscriber.next())
            .await
            .map_err(|_| Fault::Silent)?;
        let mut next = Some(first.ok_or(Fault::Ended)?);
        self.deadline = Instant::now() + SILENCE;
        let mut heard = Heard::More;
        while let Some(message) = next {
            if message.status.is_some() {
                heard = self.on_status(&message)?;
            } else if let Some(delivered) = self.on_message(&message, decoder)? {
                messages.push(delivered);
                heard = Heard::More;
            }
            if messages.len() >= BATCH {
                break;
            }
            // The runtime would hand over after a quarter of them, to whoever brings still more.
            next = match unconstrained(self.subscriber.next()).now_or_never() {
                Some(None) => return Err(Fault::Ended),
                Some(some) => some,
                None => None,
            };
        }
        Ok(heard)
    }

    /// Gives the consumer time to be heard again, after it was not listened to for a while.
    pub(super) fn forgive_silence(&mut self) {
        self.deadline = Instant::now() + SILENCE;
    }

    /// Whether the server waits for [`Consumer::keep_up`] before it goes on for long.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Tells the server that we keep up, if it asked.
    pub(super) fn keep_up(&mut self) {
        let Some(subject) = self.asked.take() else {
            return;
        };
        let client = self.session.client.clone();
        // It must not wait: whoever calls may be cancelled.
        self.runtime.spawn(async move {
            let _ = client.publish(subject, bytes::Bytes::new()).await;
        });
    }

    /// Messages are heard in the order and without the gaps of the consumer's own count.
    fn on_message(
        &mut self,
        message: &Message,
        decoder: &Decoder,
    ) -> Result<Option<Delivered>, Fault> {
        let Some(reply) = message.reply.as_deref().and_then(parse_reply) else {
            // Somebody else wrote to our inbox.
            return Ok(None);
        };
        if reply.consumer_sequence != self.delivered + 1 {
            return Err(Fault::Skipped);
        }
        self.delivered = reply.consumer_sequence;
        let headers = message.headers.as_ref();
        Ok(Some(Delivered {
            entry: decoder.entry(&message.subject, headers, &message.payload, reply.place),
            place: reply.place,
            pending: reply.pending,
        }))
    }

    /// A heartbeat, or a request to say that we keep up.
    fn on_status(&mut self, message: &Message) -> Result<Heard, Fault> {
        if message.status != Some(StatusCode::IDLE_HEARTBEAT) {
            // The server has no other word for a push consumer but that it is over.
            return Err(Fault::Skipped);
        }
        let header = |name: &str| message.headers.as_ref().and_then(|map| map.get(name));
        let stalled = header("Nats-Consumer-Stalled").map(|subject| subject.as_str().to_owned());
        let asked = message.reply.as_ref().map(ToString::to_string).or(stalled);
        if asked.is_some() {
            self.asked = asked;
            return Ok(Heard::More);
        }
        let number = |name: &str| header(name).and_then(|number| number.as_str().parse().ok());
        match number("Nats-Last-Consumer") {
            Some(sent) if sent != self.delivered => Err(Fault::Skipped),
            _ => Ok(Heard::Idle(number("Nats-Last-Stream").unwrap_or(u64::MAX))),
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let session = Arc::clone(&self.session);
        let verb = format!("CONSUMER.DELETE.{}.{}", self.stream, self.name);
        let counted = self.counted.take();
        self.runtime.spawn(async move {
            delete(&session, &verb).await;
            drop(counted);
        });
    }
}

/// Deletes a consumer, again after the next reconnection if the connection is down now. If that
/// takes longer than the server keeps it, it is gone by itself.
async fn delete(session: &Session, verb: &str) {
    let until = Instant::now() + INACTIVE * 2;
    let mut state = session.link.state();
    loop {
        match session.ask::<Done>("leaving a watch", verb).await {
            Ok(_) => return,
            Err(error)
                if error.is(ErrorCode::CONSUMER_NOT_FOUND)
                    || error.is(ErrorCode::STREAM_NOT_FOUND) =>
            {
                return;
            }
            Err(CallError::Failed(Error::Denied { .. } | Error::Closed)) => return,
            Err(_) => {}
        }
        let again = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = state.wait_for(|state| state.up || state.closed).await;
        };
        if tokio::time::timeout_at(until, again).await.is_err() || state.borrow().closed {
            return;
        }
    }
}

/// What the subject for acknowledgements says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reply {
    place: Place,
    consumer_sequence: u64,
    pending: u64,
}

/// Reads `$JS.ACK.STREAM.CONSUMER.DELIVERED.SSEQ.CSEQ.TIME.PENDING`, or the longer form
/// `$JS.ACK.DOMAIN.ACCOUNT.STREAM.….PENDING.RANDOM`.
///
/// By hand, since it is done for every message: where the dots are, and then the four numbers.
fn parse_reply(reply: &str) -> Option<Reply> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let mut dots = [rest.len(); 9];
    let mut count = 0;
    for (at, byte) in rest.bytes().enumerate() {
        if byte == b'.' {
            if let Some(dot) = dots.get_mut(count) {
                *dot = at;
            }
            count += 1;
        }
    }
    let before = match count + 1 {
        7 => 2,
        9.. => 4,
        _ => return None,
    };
    let number = |n: usize| rest[dots[before + n] + 1..dots[before + n + 1]].parse::<u64>();
    let (revision, consumer_sequence) = (number(0).ok()?, number(1).ok()?);
    let (nanos, pending) = (number(2).ok()?, number(3).ok()?);
    Some(Reply {
        place: Place {
            revision,
            created: time_of(nanos)?,
        },
        consumer_sequence,
        pending,
    })
}

/// A time in nanoseconds since 1970. The library's own way divides numbers of 128 bits.
fn time_of(nanos: u64) -> Option<OffsetDateTime> {
    const SECOND: u64 = 1_000_000_000;
    let whole = OffsetDateTime::from_unix_timestamp(i64::try_from(nanos / SECOND).ok()?).ok()?;
    let rest = u32::try_from(nanos % SECOND).ok()?;
    whole.replace_nanosecond(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_reply() {
        let expected = Reply {
            place: Place {
                revision: 42,
                created: OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap(),
            },
            consumer_sequence: 3,
            pending: 9,
        };
        for reply in [
            "$JS.ACK.KV_b.kvscope_x.1.42.3.1700000000000000000.9",
            "$JS.ACK.hub.AbC.KV_b.kvscope_x.1.42.3.1700000000000000000.9",
            "$JS.ACK._.AbC.KV_b.kvscope_x.1.42.3.1700000000000000000.9.rnd",
        ] {
            assert_eq!(parse_reply(reply), Some(expected), "{reply}");
        }
        for reply in ["", "_INBOX.x", "$JS.ACK.a.b.c", "$JS.ACK.a.b.1.x.3.4.5"] {
            assert_eq!(parse_reply(reply), None, "{reply}");
        }
    }
}
