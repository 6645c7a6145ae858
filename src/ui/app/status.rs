//! How fresh the picture is: the badge in the header.

use std::time::Duration;

use super::{App, Screen};
use crate::kv::backend::Connection;
use crate::kv::doctor::counted;
use crate::kv::lock::observer;
use crate::ui::message::Millis;
use crate::ui::shown;
use crate::ui::theme::Role;

/// How fresh the picture is. It is never called live while it may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// There is no place yet.
    Nowhere,
    /// What is shown is what the store has.
    Live {
        /// The last round trip that was measured.
        round_trip: Option<Duration>,
    },
    /// The place is a snapshot: nothing in it goes on.
    Snapshot {
        /// When it was taken.
        taken: Millis,
    },
    /// The open bucket is still being read.
    Loading,
    /// The user holds the picture still.
    Paused {
        /// Since when.
        since: Millis,
    },
    /// The connection is down.
    Reconnecting {
        /// Since when the picture may be out of date.
        since: Millis,
        /// How often it was tried.
        attempts: u32,
    },
    /// The connection is up, but what is shown may be out of date.
    Stale {
        /// Since when.
        since: Millis,
        /// Why.
        reason: String,
    },
    /// The connection is over.
    Closed {
        /// Why.
        reason: String,
    },
}

impl Freshness {
    /// The badge: its words, shorter where there is no room, and their role. The words are as
    /// they came, and not yet fit for the screen.
    pub fn badge(&self, is_short: bool) -> (String, Role) {
        match self {
            Self::Nowhere => ("○ not connected".to_owned(), Role::Muted),
            Self::Live { round_trip: None } => ("● live".to_owned(), Role::Good),
            Self::Live {
                round_trip: Some(time),
            } => (format!("● live {}", milliseconds(*time)), Role::Good),
            Self::Snapshot { taken } if is_short => {
                (format!("■ as of {}", shown::date(*taken)), Role::Warning)
            }
            Self::Snapshot { taken } => (
                format!("■ snapshot, as of {} UTC", shown::date(*taken)),
                Role::Warning,
            ),
            Self::Loading => ("◌ loading".to_owned(), Role::Warning),
            Self::Paused { since } => (
                format!("‖ paused since {}", shown::clock(*since)),
                Role::Warning,
            ),
            Self::Reconnecting { since, .. } if is_short => {
                (format!("◌ stale {}", shown::clock(*since)), Role::Danger)
            }
            Self::Reconnecting { since, attempts } => {
                let since = shown::clock(*since);
                (
                    format!("◌ reconnecting ({attempts}), stale since {since}"),
                    Role::Danger,
                )
            }
            Self::Stale { since, .. } if is_short => {
                (format!("◌ stale {}", shown::clock(*since)), Role::Danger)
            }
            Self::Stale { since, reason } => (
                format!("◌ stale since {}: {reason}", shown::clock(*since)),
                Role::Danger,
            ),
            Self::Closed { reason } => (format!("✖ closed: {reason}"), Role::Danger),
        }
    }

    /// Why the picture may be out of date, where that is known.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Stale { reason, .. } | Self::Closed { reason } => Some(reason),
            _ => None,
        }
    }

    /// Whether the picture may be out of date without the user having asked for that.
    pub fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Reconnecting { .. } | Self::Stale { .. } | Self::Closed { .. }
        )
    }
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}

impl App {
    /// How fresh the picture is.
    pub fn freshness(&self) -> Freshness {
        if self.place.is_none() {
            return Freshness::Nowhere;
        }
        match &self.connection {
            Connection::Closed { reason } => {
                return Freshness::Closed {
                    reason: reason.clone(),
                };
            }
            Connection::Reconnecting {
                since, attempts, ..
            } => {
                let since = shown::millis((*since).into());
                // The watch may have noticed before the connection did.
                let noticed = self.stale_since();
                return Freshness::Reconnecting {
                    since: noticed.map_or(since, |noticed| noticed.min(since)),
                    attempts: *attempts,
                };
            }
            Connection::Connected => {}
        }
        if let Some(taken) = self.taken() {
            return Freshness::Snapshot { taken };
        }
        if let Some(since) = self.paused {
            return Freshness::Paused { since };
        }
        if self.screen == Screen::Locks {
            return self.freshness_of_locks();
        }
        if let Some((since, reason)) = self.picture_is_stale() {
            return Freshness::Stale { since, reason };
        }
        if self.browse.is_loading() {
            return Freshness::Loading;
        }
        Freshness::Live {
            round_trip: self.round_trip,
        }
    }

    /// The Locks screen is as fresh as its least fresh bucket, whatever is open in Browse.
    fn freshness_of_locks(&self) -> Freshness {
        match self.locks.freshness() {
            None | Some(observer::Freshness::Loading) => Freshness::Loading,
            Some(observer::Freshness::Stale { since, reason }) => Freshness::Stale {
                since: self.locks.time_of(since),
                reason,
            },
            // The screen says which bucket can't be read; the others are live.
            Some(observer::Freshness::Failed { .. } | observer::Freshness::Live) => {
                Freshness::Live {
                    round_trip: self.round_trip,
                }
            }
        }
    }

    /// Since when what is shown was known to be out of date, whatever the connection says.
    fn stale_since(&self) -> Option<Millis> {
        if self.screen != Screen::Locks {
            return self.picture_is_stale().map(|(since, _)| since);
        }
        match self.locks.freshness() {
            Some(observer::Freshness::Stale { since, .. }) => Some(self.locks.time_of(since)),
            _ => None,
        }
    }

    fn picture_is_stale(&self) -> Option<(Millis, String)> {
        let open = self.browse.open_bucket();
        if let Some((since, cause)) = open.and_then(|open| self.feeds.interrupted(open)) {
            return Some((*since, cause.to_string()));
        }
        let failure = self.browse.failure();
        failure.map(|(since, reason)| (since, reason.to_owned()))
    }

    /// What is known of our own connection, for the Server screen.
    pub(super) fn connection_facts(&self) -> Vec<(&'static str, String)> {
        let state = match &self.connection {
            Connection::Connected => "connected".to_owned(),
            Connection::Reconnecting {
                since,
                attempts,
                reason,
            } => {
                let since = shown::clock(shown::millis((*since).into()));
                let attempts = usize::try_from(*attempts).unwrap_or(usize::MAX);
                let attempts = counted(attempts, "attempt");
                format!("down since {since}, {attempts}: {reason}")
            }
            Connection::Closed { reason } => format!("closed: {reason}"),
        };
        let round_trip = self
            .round_trip
            .map_or("not measured".to_owned(), milliseconds);
        let mode = match &self.place {
            Some(place) if place.capabilities.read_only => "read-only",
            _ => "read and write",
        };
        let mut facts = vec![
            ("state", state),
            ("round trip", round_trip),
            ("mode", mode.to_owned()),
            ("buckets watched", self.feeds.len().to_string()),
        ];
        facts.extend(self.clock.words().map(|words| ("clock", words)));
        facts
    }
}
