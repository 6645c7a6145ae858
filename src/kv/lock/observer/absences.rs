//! Sessions whose claims are there and whose records are not.

use std::collections::HashMap;
use std::time::Duration;

use super::view::Standing;
use crate::kv::lock::lease::Lease;

/// Since when each is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Absences(HashMap<String, Absence>);

/// Since when there is no record of a session whose claim is there.
#[derive(Debug, Clone, Copy)]
struct Absence {
    since: Duration,
    is_confirmed: bool,
}

impl Absence {
    fn begin(now: Duration) -> Self {
        Self {
            since: now,
            is_confirmed: false,
        }
    }
}

impl Absences {
    /// A session's claim is there, and no record of it, as perhaps before.
    pub(super) fn begin(&mut self, session: &str, now: Duration) {
        if !self.0.contains_key(session) {
            self.0.insert(session.to_owned(), Absence::begin(now));
        }
    }

    /// Its record is there.
    pub(super) fn end(&mut self, session: &str) {
        self.0.remove(session);
    }

    /// It was read that there is none.
    pub(super) fn confirm(&mut self, session: &str) {
        if let Some(absence) = self.0.get_mut(session) {
            absence.is_confirmed = true;
        }
    }

    /// What was missing so far does not count, and some are of no interest any more.
    pub(super) fn restart(&mut self, now: Duration, is_claimant: impl Fn(&str) -> bool) {
        self.0.retain(|id, absence| {
            *absence = Absence::begin(now);
            is_claimant(id)
        });
    }

    /// Whether a session is missing.
    pub(super) fn has(&self, session: &str) -> bool {
        self.0.contains_key(session)
    }

    /// How a session without a record is.
    pub(super) fn standing(&self, session: &str, now: Duration) -> Option<Standing> {
        let absence = self.0.get(session)?;
        let lasts = now.saturating_sub(absence.since);
        // Its own lease is not known; others wait for the usual one.
        let is_certain = absence.is_confirmed || lasts >= Lease::default().silence();
        Some(Standing::Absent { is_certain })
    }

    /// When, in time since boot, that becomes certain by time alone.
    pub(super) fn turn(&self, session: &str) -> Option<Duration> {
        let absence = self.0.get(session)?;
        Some(absence.since + Lease::default().silence())
    }
}
