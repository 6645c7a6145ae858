//! The record of a session: one process in one bucket, alive as long as it beats.
//!
//! Pure: what stands in the record, and the two things that can happen to it. Beating and killing
//! are compare-and-sets on the same record, so exactly one of two that meet wins.

use serde::{Deserialize, Serialize};

use super::record::DecodeError;
use crate::kv::{InvalidKey, Key};

/// What the keys of session records begin with.
pub const SESSION_PREFIX: &str = "_session.";

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    v: u64,
    /// The machine's name.
    pub host: String,
    /// The machine's boot, as the process counts the time since then: the same only on the same
    /// machine that was not restarted since, and in the same time namespace.
    pub boot_id: String,
    /// The process.
    pub pid: u32,
    /// The namespace that the process number is of. Zero where the number can't be looked up.
    pub pidns: u64,
    /// When the process started, in the kernel's ticks since boot: tells a process from a later
    /// one of the same number. Zero where that is not known.
    pub start: u64,
    /// The lease in milliseconds.
    pub lease_ms: u64,
    /// How often it beat.
    pub beat: u64,
    /// Why and by whom it was killed, if it was. A dead session never beats again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<Death>,
}

/// How a session died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Death {
    /// Why.
    pub why: Cause,
    /// The session that killed it, or what the operator's console calls itself.
    pub by: String,
}

/// Why a session was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It ended in order.
    Ended,
    /// It was silent for longer than its lease.
    Silent,
    /// Its process is gone from the machine of the one who killed it.
    Gone,
    /// An operator broke it: its guards may be valid for a while still.
    Broken,
}

/// A process, for a session of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The machine's name.
    pub host: String,
    /// The machine's boot, as the process counts the time since then.
    pub boot_id: String,
    /// The process number.
    pub pid: u32,
    /// The namespace that the number is of, or zero.
    pub pidns: u64,
    /// When the process started, in ticks since boot, or zero.
    pub start: u64,
}

impl Session {
    /// A session of this process that has not beaten yet.
    pub fn new(process: Process, lease: super::lease::Lease) -> Self {
        let Process {
            host,
            boot_id,
            pid,
            pidns,
            start,
        } = process;
        let lease_ms = u64::try_from(lease.length().as_millis()).unwrap_or(u64::MAX);
        Self {
            v: VERSION,
            host,
            boot_id,
            pid,
            pidns,
            start,
            lease_ms,
            beat: 0,
            dead: None,
        }
    }

    /// The key of a session's record.
    ///
    /// # Errors
    /// [`InvalidKey`] for an id that none of ours has.
    pub fn key_of(id: &str) -> Result<Key, InvalidKey> {
        Key::new(format!("{SESSION_PREFIX}{id}"))
    }

    /// The id of the session whose record is kept at a key.
    pub fn id_of(key: &str) -> Option<&str> {
        key.strip_prefix(SESSION_PREFIX).filter(|id| !id.is_empty())
    }

    /// Its lease. `None` for one that makes no sense, and that no program of ours has.
    pub fn lease(&self) -> Option<super::lease::Lease> {
        super::lease::Lease::new(std::time::Duration::from_millis(self.lease_ms)).ok()
    }

    /// The same session, one beat later. `None` when it is dead.
    #[must_use]
    pub fn beaten(&self) -> Option<Self> {
        let lives = self.dead.is_none();
        lives.then(|| Self {
            beat: self.beat.saturating_add(1),
            ..self.clone()
        })
    }

    /// The same session, dead. `None` when it is dead already: the first cause stands.
    #[must_use]
    pub fn killed(&self, why: Cause, by: &str) -> Option<Self> {
        let death = Death {
            why,
            by: by.to_owned(),
        };
        let lives = self.dead.is_none();
        lives.then(|| Self {
            dead: Some(death),
            ..self.clone()
        })
    }

    /// Whether it is certainly of the machine and the namespaces of another process, so that the
    /// two see each other by the same numbers and the same time.
    pub fn is_neighbour_of(&self, process: &Process) -> bool {
        let is_known = !self.boot_id.is_empty() && self.pidns != 0 && self.start != 0;
        is_known
            && self.host == process.host
            && self.boot_id == process.boot_id
            && self.pidns == process.pidns
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// None that a session can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The session that is stored.
    ///
    /// # Errors
    /// [`DecodeError`]: then it must be left alone.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        super::record::check_version(bytes, VERSION)?;
        serde_json::from_slice(bytes).map_err(|error| DecodeError::at(&error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::lock::lease::Lease;

    fn session() -> Session {
        let process = Process {
            host: "web-3".to_owned(),
            boot_id: "b".to_owned(),
            pid: 902,
            pidns: 4_026_531_836,
            start: 77,
        };
        Session::new(process, Lease::default())
    }

    #[test]
    fn a_dead_session_neither_beats_nor_dies_again() {
        let once = session().beaten().unwrap();
        assert_eq!(once.beat, 1);
        let dead = once.killed(Cause::Broken, "operator").unwrap();
        assert_eq!(
            (dead.beaten(), dead.killed(Cause::Silent, "other")),
            (None, None)
        );
        assert_eq!(dead.dead.map(|death| death.why), Some(Cause::Broken));
    }

    #[test]
    fn it_is_stored_in_the_form_that_others_read() {
        let stored = String::from_utf8(session().to_bytes().unwrap()).unwrap();
        let wanted = concat!(
            r#"{"v":1,"host":"web-3","boot_id":"b","pid":902,"pidns":4026531836,"start":77,"#,
            r#""lease_ms":15000,"beat":0}"#
        );
        assert_eq!(stored, wanted);
        assert_eq!(Session::from_bytes(stored.as_bytes()), Ok(session()));
        let newer = Session::from_bytes(br#"{"v":3}"#);
        assert_eq!(newer, Err(DecodeError::Version { version: 3 }));
        assert_eq!(
            Session::key_of("s_8fk2").unwrap().as_str(),
            "_session.s_8fk2"
        );
        assert_eq!(Session::id_of("_session.s_8fk2"), Some("s_8fk2"));
        assert_eq!(Session::id_of("_session."), None);
    }

    proptest! {
        #[test]
        fn decoding_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Session::from_bytes(&bytes);
        }

        #[test]
        fn what_decodes_of_a_damaged_session_is_a_session(
            damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            is_dead: bool,
        ) {
            let dead = session().killed(Cause::Silent, "other").filter(|_| is_dead);
            let mut bytes = dead.unwrap_or_else(session).to_bytes().unwrap();
            for (at, byte) in damages {
                *at.get_mut(&mut bytes) = byte;
            }
            let Ok(session) = Session::from_bytes(&bytes) else { return Ok(()) };
            let again = Session::from_bytes(&session.to_bytes().unwrap());
            prop_assert_eq!(again.as_ref(), Ok(&session));
            let alive = session.dead.is_none();
            prop_assert_eq!(session.beaten().is_some(), alive);
            prop_assert_eq!(session.killed(Cause::Broken, "o").is_some(), alive);
        }
    }
}
