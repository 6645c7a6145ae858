//! The record as JSON, version 1, and what makes a stored text none.
//!
//! A record that can't be read, or breaks the lock's own rules, was written by somebody who does
//! not know them. It is told as it is and left alone.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Claim, Mode, Record, State};
use crate::kv::Revision;

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// A record as it is stored, with claims as they are read or as they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<Text> {
    v: u64,
    next: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_streak: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "is_zero")]
    streak: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    fence: u64,
    q: Vec<StoredClaim<Text>>,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredClaim<Text> {
    id: Text,
    sid: Text,
    k: StoredMode,
    s: StoredState,
    tkt: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fence: Option<u64>,
    own: Text,
    label: Text,
    t_ms: u64,
}

#[derive(Serialize, Deserialize, PartialEq)]
enum StoredMode {
    #[serde(rename = "r")]
    Read,
    #[serde(rename = "w")]
    Write,
}

#[derive(Serialize, Deserialize, PartialEq)]
enum StoredState {
    #[serde(rename = "wait")]
    Waiting,
    #[serde(rename = "held")]
    Held,
}

/// Only the version, whatever else there is.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// Why a stored text is no record that we may touch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is of a version that we don't know.
    #[error("it is of version {version}, and this program knows another")]
    Version {
        /// The version that was found.
        version: u64,
    },
    /// It is no record at all.
    #[error("it is no lock record: {reason}")]
    Format {
        /// What is wrong, with line and column.
        reason: String,
    },
    /// It is a record that breaks the lock's rules.
    #[error("it breaks the rules of a lock: {rule}")]
    Rules {
        /// Which rule.
        rule: &'static str,
    },
}

impl DecodeError {
    /// The fault's place. Not serde's own words: they can quote what is stored.
    pub(in crate::kv::lock) fn at(error: &serde_json::Error) -> Self {
        let reason = format!("line {}, column {}", error.line(), error.column());
        Self::Format { reason }
    }
}

/// Whether a stored text is of the version that is known, whatever else it holds.
pub(in crate::kv::lock) fn check_version(bytes: &[u8], known: u64) -> Result<(), DecodeError> {
    match serde_json::from_slice(bytes) {
        Ok(Version { v }) if v == known => Ok(()),
        Ok(Version { v }) => Err(DecodeError::Version { version: v }),
        Err(error) => Err(DecodeError::at(&error)),
    }
}

impl Record {
    /// The most bytes of a record.
    pub const MOST_BYTES: usize = 256 << 10;

    /// What granting a claim adds to it: another word, and a fence of up to 20 digits.
    const GRANT_BYTES: usize = r#","fence":18446744073709551615"#.len();

    /// What counting adds to a record.
    const COUNTS_BYTES: usize = r#","streak":4294967295,"fence":18446744073709551615"#.len();

    /// Whether the record stays within so many bytes, also when it grows without another claim. Room
    /// for the grants is kept from the start: a release must never fail because of those it lets in.
    pub(super) fn fits(&self, most: usize) -> bool {
        if self.bound() <= most {
            return true;
        }
        let Ok(now) = self.to_bytes() else {
            return false;
        };
        let grants = self.waiters().count() * Self::GRANT_BYTES;
        now.len() + grants + Self::COUNTS_BYTES <= most
    }

    /// More than it can take, found without making it: most records are far from full, and one that
    /// a hundred tasks join at once is asked a hundred times.
    fn bound(&self) -> usize {
        // Names, punctuation and the longest numbers there are.
        const FIXED: usize = 192;
        let length = |text: &str| {
            let escaped = text
                .bytes()
                .filter(|byte| byte.is_ascii_control() || matches!(byte, b'"' | b'\\'));
            text.len() + escaped.count() * 5
        };
        let claims = self.queue.iter().map(|claim| {
            let texts = [&claim.id, &claim.session, &claim.owner, &claim.label];
            FIXED + texts.into_iter().map(|text| length(text)).sum::<usize>()
        });
        FIXED + claims.sum::<usize>()
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// None that a record made by steps can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let q = self.queue.iter().map(StoredClaim::from).collect();
        serde_json::to_vec(&Stored {
            v: VERSION,
            next: self.next,
            max_streak: self.max_writer_streak,
            streak: self.writer_streak,
            fence: self.last_fence,
            q,
        })
    }

    /// The record that is stored.
    ///
    /// # Errors
    /// [`DecodeError`]: then it must be left alone.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let stored = match serde_json::from_slice::<Stored<String>>(bytes) {
            Ok(stored) if stored.v == VERSION => stored,
            // Of another version everything else may be different.
            other => {
                check_version(bytes, VERSION)?;
                other.map_err(|error| DecodeError::at(&error))?
            }
        };
        let claims: Option<Vec<Claim>> = stored.q.into_iter().map(StoredClaim::claim).collect();
        let Some(queue) = claims else {
            return Err(DecodeError::Rules {
                rule: "those who hold have a fence, others don't",
            });
        };
        let mut record = Self {
            next: stored.next,
            queue: Arc::new(queue),
            max_writer_streak: stored.max_streak,
            writer_streak: stored.streak,
            last_fence: stored.fence,
        };
        // A record of before this was kept still has the fences of those who hold.
        let held = record.fences().max().unwrap_or_default();
        record.last_fence = record.last_fence.max(held);
        match record.broken_rule() {
            Some(rule) => Err(DecodeError::Rules { rule }),
            None => Ok(record),
        }
    }

    /// The rule that the record breaks, if it does. No step leads to one that does.
    pub(in crate::kv::lock) fn broken_rule(&self) -> Option<&'static str> {
        let ids: HashSet<&str> = self.queue.iter().map(|claim| claim.id.as_str()).collect();
        if ids.len() != self.queue.len() {
            return Some("every claim has an id of its own");
        }
        if !self.queue.is_sorted_by(|a, b| a.ticket < b.ticket)
            || self
                .queue
                .last()
                .is_some_and(|claim| claim.ticket >= self.next)
        {
            return Some("claims stand in the order of their tickets");
        }
        if self.queue.len() > Self::MOST_CLAIMS {
            return Some("there are not too many claims");
        }
        let holders = self.holders().count();
        let writers = self
            .holders()
            .filter(|claim| claim.mode == Mode::Write)
            .count();
        if writers > 1 || (writers == 1 && holders > 1) {
            return Some("a writer holds alone");
        }
        if self.queue.is_empty() && self.max_writer_streak.is_some() {
            return Some("a bound goes with the last claim");
        }
        if self.max_writer_streak.is_none() && self.writer_streak > 0 {
            return Some("writers in a row are counted only under a bound");
        }
        let promoted = self.clone().promoted(Revision::ABSENT);
        if self.queue != promoted.queue {
            return Some("nobody waits who could hold");
        }
        if *self != promoted {
            return Some("a reader's turn ends the writers' row");
        }
        None
    }
}

impl<'a> From<&'a Claim> for StoredClaim<&'a str> {
    fn from(claim: &'a Claim) -> Self {
        let (s, fence) = match claim.state {
            State::Waiting => (StoredState::Waiting, None),
            State::Held { fence } => (StoredState::Held, Some(fence)),
        };
        Self {
            id: &claim.id,
            sid: &claim.session,
            k: match claim.mode {
                Mode::Read => StoredMode::Read,
                Mode::Write => StoredMode::Write,
            },
            s,
            tkt: claim.ticket,
            fence,
            own: &claim.owner,
            label: &claim.label,
            t_ms: claim.asked_ms,
        }
    }
}

impl StoredClaim<String> {
    /// The claim; `None` where fence and state don't go together.
    fn claim(self) -> Option<Claim> {
        let state = match (self.s, self.fence) {
            (StoredState::Waiting, None) => State::Waiting,
            (StoredState::Held, Some(fence)) => State::Held { fence },
            _ => return None,
        };
        Some(Claim {
            id: self.id,
            session: self.sid,
            mode: match self.k {
                StoredMode::Read => Mode::Read,
                StoredMode::Write => Mode::Write,
            },
            state,
            ticket: self.tkt,
            owner: self.own,
            label: self.label,
            asked_ms: self.t_ms,
        })
    }
}
