//! One request and its answer: the only place where anything is asked of the server.
//!
//! A request ends in an answer or in exactly one [`Lost`]. What that means for the caller is the
//! caller's to say: a read that got no answer failed, a write that got none is unknown.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{ErrorCode, response::Response};
use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

use super::link::{Denial, Link};
use crate::kv::Error;

/// How often something is asked at most before there is no answer to it.
const INQUIRIES: u32 = 4;

/// The error body of a JetStream answer.
pub(super) type ApiError = async_nats::jetstream::Error;

/// What all parts of a backend share.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) link: Arc<Link>,
    /// Where we are connected, for people.
    pub(super) place: String,
    /// What the subjects of JetStream's own API begin with: `$JS.API` or that of a domain.
    pub(super) api: String,
    /// Whether that is a domain's, so that writes go through it too.
    pub(super) foreign_domain: bool,
    /// How long to wait for an answer.
    pub(super) timeout: Duration,
    /// How many consumers are there on the server, or being deleted.
    pub(super) consumers: watch::Sender<usize>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The connection was down already: nothing was sent.
    NotConnected,
    /// The connection broke while waiting.
    Disconnected,
    /// The server does not let us send to this subject. Nothing came of it.
    Denied(String),
    /// The server does not let us receive answers.
    Deaf(String),
    /// Nobody listens there. Nothing came of it.
    NobodyListens,
    /// Nothing came in time.
    TimedOut,
    /// The subject can't be sent to, so nothing was.
    BadSubject,
    /// More than the server takes, so nothing was sent.
    TooLarge,
    /// The client gave up, in its own words.
    Broken(String),
}

/// Why a call of JetStream's API failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// It answered that it would not.
    Api(ApiError),
    /// It did not answer, or not sensibly.
    Failed(Error),
}

impl CallError {
    /// Whether the server said this.
    pub(super) fn is(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Api(error) if error.error_code() == code)
    }

    /// The error, where no code means anything special to the caller.
    pub(super) fn into_error(self, session: &Session, what: &str) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Api(error) => refused(session, what, &error),
        }
    }
}

impl Session {
    /// Sends a request and waits for its answer.
    ///
    /// Refused at once while the connection is down: the client would keep the request and send it
    /// whenever it is back, long after anybody wanted it.
    pub(super) async fn request(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Message, Lost> {
        // Listening begins before the sending, or an early refusal would be missed.
        let denials = self.link.denials();
        let mut state = self.link.state();
        let losses = state.borrow_and_update().losses;
        if self.client.connection_state() != State::Connected {
            return Err(Lost::NotConnected);
        }
        let mut request = Request::new().payload(payload).timeout(None);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        tokio::select! {
            biased;
            answer = self.client.send_request(subject.clone(), request) => {
                answer.map_err(|error| match error.kind() {
                    RequestErrorKind::NoResponders => Lost::NobodyListens,
                    RequestErrorKind::TimedOut => Lost::TimedOut,
                    RequestErrorKind::InvalidSubject => Lost::BadSubject,
                    RequestErrorKind::MaxPayloadExceeded => Lost::TooLarge,
                    RequestErrorKind::Other => Lost::Broken(error.to_string()),
                })
            }
            denial = denial_of(denials, &subject) => Err(denial),
            _ = state.wait_for(|state| state.losses != losses || state.closed) => {
                Err(Lost::Disconnected)
            }
            () = tokio::time::sleep(self.timeout) => Err(Lost::TimedOut),
        }
    }

    /// Sends a request that changes nothing, and sends it again while nothing comes back: a server
    /// says nothing at all to what it gets while a stream has no leader. The first answer counts,
    /// whichever request it is to, and the time to wait stays the same.
    pub(super) async fn inquire(&self, subject: String, payload: Bytes) -> Result<Message, Lost> {
        let mut asked = FuturesUnordered::new();
        loop {
            asked.push(self.request(subject.clone(), None, payload.clone()));
            tokio::select! {
                Some(answer) = asked.next() => return answer,
                () = tokio::time::sleep(self.timeout / INQUIRIES) => {}
            }
        }
    }

    /// Calls JetStream's API, where the subject says it all and asking twice does no harm.
    ///
    /// `verb` is the subject after the prefix, `what` the same for people.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        verb: &str,
    ) -> Result<T, CallError> {
        let subject = format!("{}.{verb}", self.api);
        let answer = self.inquire(subject, Bytes::new()).await;
        self.understood(what, answer)
    }

    /// Like [`Session::ask`], with a body.
    pub(super) async fn ask_with<T: DeserializeOwned>(
        &self,
        what: &str,
        verb: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| nonsense(what, &error))?;
        let subject = format!("{}.{verb}", self.api);
        let answer = self.inquire(subject, body.into()).await;
        self.understood(what, answer)
    }

    /// Calls JetStream's API, once, to change something.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        what: &str,
        verb: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| nonsense(what, &error))?;
        let subject = format!("{}.{verb}", self.api);
        let answer = self.request(subject, None, body.into()).await;
        self.understood(what, answer)
    }

    fn understood<T: DeserializeOwned>(
        &self,
        what: &str,
        answer: Result<Message, Lost>,
    ) -> Result<T, CallError> {
        let answer = answer.map_err(|lost| CallError::Failed(self.unanswered(what, lost)))?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(answer)) => Ok(answer),
            Ok(Response::Err { error }) => Err(CallError::Api(error)),
            Err(error) => Err(nonsense(what, &error)),
        }
    }

    /// The error for a request that changes nothing and got no answer.
    pub(super) fn unanswered(&self, what: &str, lost: Lost) -> Error {
        let what = what.to_owned();
        match lost {
            Lost::NotConnected => self.unreachable("the connection is down"),
            Lost::Disconnected => self.unreachable("the connection was lost"),
            Lost::Denied(subject) => Error::Denied {
                what: format!("{what}: publishing to {subject}"),
            },
            Lost::Deaf(subject) => Error::Denied {
                what: format!("receiving answers on {subject}"),
            },
            Lost::NobodyListens => Error::NoJetStream {
                place: self.place.clone(),
                reason: format!("nobody listens on {}", self.api),
            },
            Lost::TimedOut => Error::NoAnswer {
                what,
                after: self.timeout,
            },
            Lost::BadSubject | Lost::TooLarge => Error::Protocol {
                what,
                detail: "the request can't be sent".to_owned(),
            },
            Lost::Broken(reason) => self.unreachable(reason),
        }
    }

    /// Waits until the connection is there again, as long as for an answer at most.
    pub(super) async fn reconnected(&self) {
        let mut state = self.link.state();
        let is_settled = state.wait_for(|state| state.up || state.closed);
        let _ = tokio::time::timeout(self.timeout, is_settled).await;
    }

    /// The place can't be reached, for this reason.
    pub(super) fn unreachable(&self, reason: impl Into<String>) -> Error {
        Error::Unreachable {
            place: self.place.clone(),
            reason: reason.into(),
        }
    }
}

fn nonsense(what: &str, error: &serde_json::Error) -> CallError {
    CallError::Failed(Error::Protocol {
        what: what.to_owned(),
        detail: error.to_string(),
    })
}

/// Waits for ever, but for a refusal that concerns this request.
async fn denial_of(mut denials: broadcast::Receiver<Denial>, subject: &str) -> Lost {
    loop {
        match denials.recv().await {
            Ok(denial) if denial.subscription => {
                // Only the subscription for answers can be what this request waits for; those of
                // watches say so themselves.
                if denial.subject.ends_with(".*") {
                    return Lost::Deaf(denial.subject);
                }
            }
            Ok(denial) if denial.subject == subject => return Lost::Denied(denial.subject),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// An answer that says no, as an error.
pub(super) fn refused(session: &Session, what: &str, error: &ApiError) -> Error {
    let what = what.to_owned();
    let message = description(error);
    match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED
        | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
        | ErrorCode::NO_ACCOUNT => Error::NoJetStream {
            place: session.place.clone(),
            reason: message,
        },
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::MAXIMUM_CONSUMERS_LIMIT
        | ErrorCode::MAXIMUM_STREAMS_LIMIT
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED => Error::NoSpace {
            what,
            reason: message,
        },
        code => Error::Refused {
            what,
            code: code.0,
            message,
        },
    }
}

/// The server's own words, without the codes that the library adds.
pub(super) fn description(error: &ApiError) -> String {
    let text = error.to_string();
    match text.rfind(" (code ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
