//! What is known of one session that is waited for, and what follows from it. Pure.
//!
//! A session may be taken out of a lock when it is certain that none of its guards is valid any
//! more, and none can become so again:
//! - One that was killed never beats again. Its guards have run out when it was silent before; when
//!   an operator broke it they have after a silence that begins with seeing it dead.
//! - One whose record vanished can't beat either, and its guards have run out after a silence by
//!   *its* lease: the one that it was last seen with. Who never saw one counts by the longest lease
//!   that there can be. That blocks a lock for long, but only where somebody took away a record by
//!   hand, and an operator can decide better.
//! - One whose record can't be read can't be killed, and its next beat would make its guards valid.
//!   It is left to an operator.

use std::time::Duration;

use super::super::lease::{Lease, Silence};
use super::super::session::{Cause, Session};
use crate::kv::{Entry, Revision};

/// What one read, or one event of a watch, tells of a session.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) revision: Revision,
    pub(super) content: Content,
}

/// What stands in a session's record.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Session(Session),
    Absent,
    Unreadable,
}

impl Told {
    pub(super) fn of(entry: Option<&Entry>) -> Self {
        let value = entry.and_then(Entry::live_value);
        Self {
            revision: entry.map_or(Revision::ABSENT, |entry| entry.revision),
            content: match value.map(|value| Session::from_bytes(value)) {
                Some(Ok(session)) => Content::Session(session),
                Some(Err(_)) => Content::Unreadable,
                None => Content::Absent,
            },
        }
    }
}

/// A session that is watched over.
#[derive(Debug)]
pub(super) struct Watched {
    silence: Silence,
    content: Content,
    /// The lease that it was last seen with.
    lease: Option<Lease>,
    /// From when on no guard of it is valid, if it was seen dead: at once, or after a quarantine.
    over_at: Option<Duration>,
    /// When its record was read last: when that was sent.
    read_at: Option<Duration>,
    /// Whether its claims are to be taken out.
    is_doomed: bool,
}

impl Watched {
    pub(super) fn new(told: Told, now: Duration) -> Self {
        let mut watched = Self {
            silence: Silence::begin(told.revision, now),
            content: Content::Absent,
            lease: None,
            over_at: None,
            read_at: None,
            is_doomed: false,
        };
        watched.told(told, now);
        watched
    }

    /// Something was told of it. Any other revision is a sign of life.
    pub(super) fn told(&mut self, told: Told, now: Duration) {
        self.silence.read(told.revision, now);
        if let Content::Session(session) = &told.content {
            let lease = session.lease().unwrap_or(Lease::longest());
            self.lease = Some(lease);
            self.over_at = session.dead.as_ref().map(|death| match death.why {
                Cause::Broken => self.over_at.unwrap_or(now + lease.silence()),
                Cause::Ended | Cause::Silent | Cause::Gone => Duration::ZERO,
            });
        }
        self.content = told.content;
    }

    /// Its record was read, by a request that was sent then. Only this can doom it.
    pub(super) fn was_read(&mut self, sent: Duration) {
        self.read_at = Some(sent);
        self.is_doomed = self.living().is_none() && self.is_ripe(sent);
    }

    /// It was killed by this process, for being silent or gone.
    pub(super) fn was_killed(&mut self, dead: Session, revision: Revision, now: Duration) {
        let content = Content::Session(dead);
        self.told(Told { revision, content }, now);
        self.is_doomed = true;
    }

    /// Whether a read that finds it as it is decides something: it can be killed, or taken out.
    pub(super) fn is_ripe(&self, now: Duration) -> bool {
        let is_over = self.over_at.is_some_and(|at| at <= now);
        let is_silent = || self.silence.is_over(self.lease(), now).is_some();
        match &self.content {
            Content::Session(session) if session.dead.is_some() => is_over,
            Content::Session(_) => is_silent(),
            Content::Absent => is_over || is_silent(),
            Content::Unreadable => false,
        }
    }

    /// Whether it has not beaten when it should have.
    pub(super) fn is_quiet(&self, now: Duration) -> bool {
        let lives = self.living().is_some();
        !lives || self.silence.lasts(now) >= self.lease().length() / 2
    }

    /// The session, if it was not killed, and where it was seen.
    pub(super) fn living(&self) -> Option<(&Session, Revision)> {
        match &self.content {
            Content::Session(session) if session.dead.is_none() => {
                Some((session, self.silence.revision()))
            }
            _ => None,
        }
    }

    /// The store could not be reached for so long: a beat may have failed for that, and what was
    /// silent so far does not count, if that is long for this session.
    pub(super) fn outage(&mut self, lasted: Duration, now: Duration) {
        if lasted > self.lease().length() / 4 {
            self.silence.outage(now);
        }
    }

    /// The lease that its silence is judged by.
    pub(super) fn lease(&self) -> Lease {
        self.lease.unwrap_or(Lease::longest())
    }

    pub(super) fn revision(&self) -> Revision {
        self.silence.revision()
    }

    pub(super) fn read_at(&self) -> Option<Duration> {
        self.read_at
    }

    pub(super) fn is_doomed(&self) -> bool {
        self.is_doomed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::lock::session::Process;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn told(revision: u64, content: Content) -> Told {
        Told {
            revision: Revision(revision),
            content,
        }
    }

    fn session(lease: Duration) -> Session {
        Session::new(Process::current().clone(), Lease::new(lease).unwrap())
    }

    fn read(watched: &mut Watched, now: Duration, what: &Told) -> bool {
        watched.told(what.clone(), now);
        watched.was_read(now);
        watched.is_doomed()
    }

    #[test]
    fn a_record_that_vanished_is_judged_by_the_lease_that_it_had() {
        let lives = told(1, Content::Session(session(s(600))));
        let gone = told(2, Content::Absent);
        let mut watched = Watched::new(lives, s(0));
        assert!(!read(&mut watched, s(100), &gone));
        assert!(!read(&mut watched, s(100 + 674), &gone), "guards are valid");
        assert!(read(&mut watched, s(100 + 675), &gone));
    }

    #[test]
    fn a_record_that_was_never_seen_is_judged_by_the_longest_lease() {
        let gone = told(0, Content::Absent);
        let mut watched = Watched::new(gone.clone(), s(0));
        let longest = Lease::LONGEST / 8 * 9;
        assert!(!read(&mut watched, longest.saturating_sub(s(1)), &gone));
        assert!(read(&mut watched, longest, &gone));
    }

    #[test]
    fn one_that_makes_no_sense_can_be_valid_for_long() {
        let mut senseless = session(s(15));
        senseless.lease_ms = 3;
        let told = told(1, Content::Session(senseless));
        let mut watched = Watched::new(told.clone(), s(0));
        read(&mut watched, s(60), &told);
        assert!(!watched.is_ripe(s(60)));
    }

    #[test]
    fn what_can_not_be_read_is_left_to_an_operator() {
        let unreadable = told(1, Content::Unreadable);
        let mut watched = Watched::new(unreadable.clone(), s(0));
        assert!(!read(&mut watched, s(1_000_000), &unreadable));
    }

    #[test]
    fn a_death_stays_when_its_record_is_taken_away() {
        let silent = session(s(15)).killed(Cause::Silent, "o").unwrap();
        let gone = told(3, Content::Absent);
        let mut watched = Watched::new(told(2, Content::Session(silent)), s(0));
        assert!(read(&mut watched, s(1), &gone));
        let broken = session(s(16)).killed(Cause::Broken, "o").unwrap();
        let mut watched = Watched::new(told(2, Content::Session(broken)), s(0));
        assert!(!read(&mut watched, s(17), &gone), "quarantine");
        assert!(read(&mut watched, s(18), &gone));
    }

    #[test]
    fn only_an_outage_that_a_beat_could_fail_for_counts() {
        let lives = told(1, Content::Session(session(s(16))));
        let mut watched = Watched::new(lives, s(0));
        watched.outage(s(4), s(17));
        assert!(watched.is_ripe(s(18)));
        watched.outage(s(5), s(17));
        assert!(!watched.is_ripe(s(18)));
        assert!(watched.is_ripe(s(17 + 18)));
    }
}
