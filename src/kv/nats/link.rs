//! What is known of the connection: up or down, since when, and what the server refused.
//!
//! The client tells it through callbacks; this keeps it for whoever has to know. Connecting itself
//! is in `connect`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_nats::{Event, Server, ServerError};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::notices;
use crate::kv::backend::Connection;

/// How many refusals a slow request can be behind before it misses one.
const DENIALS_KEPT: usize = 64;
/// A connection that is lost sooner than this came to nothing. Making it again at once, and again,
/// would be a burden to the server.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// The state of one client's connection.
#[derive(Debug)]
pub(super) struct Link {
    state: watch::Sender<LinkState>,
    connection: watch::Sender<Connection>,
    denials: broadcast::Sender<Denial>,
    slow: AtomicU64,
    /// The server does not let us send notices.
    refuses_notices: AtomicBool,
    last_error: watch::Sender<Option<String>>,
    /// Whether the server has announced that it will stop.
    leaving: AtomicBool,
}

/// The part of the state that tasks wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkState {
    /// How often the connection was lost. Tells a connection from the one before, even to a task
    /// that slept through the outage.
    pub(super) losses: u64,
    /// Whether the connection works.
    pub(super) up: bool,
    /// Whether it is over for good.
    pub(super) closed: bool,
    /// Since when, if it ever worked.
    established: Option<Instant>,
    /// How many connections in a row were lost as soon as they were made.
    short_lives: u32,
}

/// Something that the server refused, because of permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    /// Whether it was about receiving, rather than sending.
    pub(super) subscription: bool,
    /// The subject in question.
    pub(super) subject: String,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            state: watch::Sender::new(LinkState {
                losses: 0,
                up: true,
                closed: false,
                established: None,
                short_lives: 0,
            }),
            connection: watch::Sender::new(Connection::Connected),
            denials: broadcast::Sender::new(DENIALS_KEPT),
            slow: AtomicU64::new(0),
            refuses_notices: AtomicBool::new(false),
            last_error: watch::Sender::new(None),
            leaving: AtomicBool::new(false),
        }
    }

    /// The state, for a task to wait on.
    pub(super) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// The state, for people.
    pub(super) fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.subscribe()
    }

    /// How many connections in a row were lost as soon as they were made.
    pub(super) fn short_lives(&self) -> u32 {
        self.state.borrow().short_lives
    }

    /// What is refused from now on.
    pub(super) fn denials(&self) -> broadcast::Receiver<Denial> {
        self.denials.subscribe()
    }

    /// How often a subscription of ours could not keep up.
    pub(super) fn slow_consumers(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// Whether it is in vain to send notices.
    pub(super) fn refuses_notices(&self) -> bool {
        self.refuses_notices.load(Ordering::Relaxed)
    }

    /// The last thing the server complained of.
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.borrow().clone()
    }

    /// Whether the server has announced that it will stop, and still serves.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Takes in what the client tells.
    pub(super) fn on_event(&self, event: Event) {
        match event {
            Event::Connected => {
                self.leaving.store(false, Ordering::Relaxed);
                self.connection.send_replace(Connection::Connected);
                self.state.send_modify(|state| {
                    state.established = Some(Instant::now());
                    state.up = true;
                });
            }
            Event::Disconnected => self.lost(),
            Event::Closed => {
                let reason = "it was closed by this side".to_owned();
                self.connection.send_replace(Connection::Closed { reason });
                self.state.send_modify(|state| {
                    state.up = false;
                    state.closed = true;
                });
            }
            Event::SlowConsumer(_) => {
                self.slow.fetch_add(1, Ordering::Relaxed);
            }
            Event::ServerError(error) => self.on_server_error(&error),
            Event::LameDuckMode => {
                self.leaving.store(true, Ordering::Relaxed);
                let words = "the server announced that it stops (lame duck mode)";
                self.last_error.send_replace(Some(words.to_owned()));
            }
            Event::Draining => {
                let words = "the connection is being drained";
                self.last_error.send_replace(Some(words.to_owned()));
            }
            Event::ClientError(_) => {}
        }
    }

    /// Takes in that the client is about to try the servers once more. It learns the reason of the
    /// last failure from here alone.
    pub(super) fn on_attempt(&self, servers: &[Server]) {
        if self.state.borrow().established.is_none() {
            return;
        }
        self.lost();
        let failure = servers.iter().find_map(|server| server.last_error.clone());
        self.connection.send_modify(|connection| {
            if let Connection::Reconnecting {
                attempts, reason, ..
            } = connection
            {
                *attempts = attempts.saturating_add(1);
                // That it announced its end tells more than that it is refused now.
                if let Some(failure) = failure
                    && !self.is_leaving()
                {
                    *reason = failure;
                }
            }
        });
    }

    /// The connection is down. Told twice by the client, in either order.
    fn lost(&self) {
        if !self.state.borrow().up {
            return;
        }
        let reason = self
            .last_error()
            .unwrap_or_else(|| "the connection was lost".to_owned());
        self.connection.send_replace(Connection::Reconnecting {
            since: SystemTime::now(),
            attempts: 0,
            reason,
        });
        self.last_error.send_replace(None);
        self.state.send_modify(|state| {
            state.up = false;
            state.losses += 1;
            let was_short = state
                .established
                .is_some_and(|since| since.elapsed() < SHORT_LIFE);
            state.short_lives = if was_short { state.short_lives + 1 } else { 0 };
        });
    }

    fn on_server_error(&self, error: &ServerError) {
        let text = match error {
            ServerError::Other(text) => text.clone(),
            other => other.to_string(),
        };
        if let Some(denial) = parse_denial(&text) {
            if denial.subject.starts_with(notices::SUBJECTS) {
                // All that depends on it is that others wait a little longer.
                let sends = !denial.subscription;
                self.refuses_notices.fetch_or(sends, Ordering::Relaxed);
                tracing::info!(text, "the server refuses notices");
                return;
            }
            // Nobody may be waiting for it.
            let _ = self.denials.send(denial);
        }
        self.last_error.send_replace(Some(text));
    }
}

/// The subject that a permission error is about. The server writes
/// `Permissions Violation for Publish to "subject"`, and some variants of it.
fn parse_denial(text: &str) -> Option<Denial> {
    let what = text.strip_prefix("Permissions Violation for ")?;
    let (_, quoted) = what.split_once('"')?;
    let (subject, _) = quoted.split_once('"')?;
    Some(Denial {
        subscription: what.starts_with("Subscription"),
        subject: subject.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_name_their_subject() {
        let publish = parse_denial("Permissions Violation for Publish to \"$KV.b.k\"").unwrap();
        assert_eq!(
            (publish.subscription, publish.subject.as_str()),
            (false, "$KV.b.k")
        );
        let inbox =
            parse_denial("Permissions Violation for Subscription to \"_INBOX.x.*\"").unwrap();
        assert!(inbox.subscription);
        assert_eq!(parse_denial("Stale Connection"), None);
    }

    #[test]
    fn an_outage_counts_once_however_it_is_told() {
        let link = Link::new();
        link.on_attempt(&[]);
        assert_eq!(link.state().borrow().losses, 0, "not before it was ever up");
        link.on_event(Event::Connected);
        link.on_attempt(&[]);
        link.on_event(Event::Disconnected);
        link.on_attempt(&[]);
        assert_eq!(link.state().borrow().losses, 1);
        assert!(matches!(
            &*link.connection().borrow(),
            Connection::Reconnecting { attempts: 2, .. }
        ));
        link.on_event(Event::Connected);
        assert_eq!(*link.connection().borrow(), Connection::Connected);
        assert!(link.state().borrow().up);
    }
}
