//! Killing a session: the write that ends it.

use super::session::{Cause, Session};
use crate::kv::backend::Write;
use crate::kv::{Key, Revision};

/// The end of a session, to be written.
#[derive(Debug)]
pub(super) struct Kill {
    /// The session as it is then.
    pub(super) dead: Session,
    /// What makes it so, if the record is as it was seen: a beat that lands first defeats it.
    pub(super) write: Write,
}

impl Kill {
    /// Kills the session whose record was seen at that revision. `None` for one that is dead.
    ///
    /// # Errors
    /// None that a session can cause.
    pub(super) fn of(
        key: Key,
        session: &Session,
        seen: Revision,
        why: Cause,
        by: &str,
    ) -> Result<Option<Self>, serde_json::Error> {
        let Some(dead) = session.killed(why, by) else {
            return Ok(None);
        };
        let write = Write::put(key, dead.to_bytes()?).expecting(seen);
        Ok(Some(Self { dead, write }))
    }
}
