//! Whom a waiter waits for, and when it is its turn to look after those that others should.

use std::collections::HashSet;
use std::time::Duration;

use super::super::lease::Lease;
use super::super::record::Record;

/// The sessions that keep one from a lock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Before {
    /// The one who is next before it in line, or those who hold.
    pub(super) nearest: Vec<String>,
    /// Those that the nearest wait for in turn.
    pub(super) others: Vec<String>,
    /// How many of all these wait.
    waiting: u32,
}

impl Before {
    pub(super) fn of(record: &Record, own: &str) -> Self {
        let waiters: Vec<_> = record
            .waiters()
            .take_while(|claim| claim.session != own)
            .collect();
        let mut seen = HashSet::from([own]);
        let waiters = waiters.into_iter().rev().map(|claim| &claim.session);
        let mut waiters: Vec<String> = waiters
            .filter(|session| seen.insert(session))
            .cloned()
            .collect();
        let holders = record.holders().map(|claim| &claim.session);
        let holders = holders.filter(|session| seen.insert(session)).cloned();
        let waiting = u32::try_from(waiters.len()).unwrap_or(u32::MAX);
        if waiters.is_empty() {
            return Self {
                nearest: holders.collect(),
                ..Self::default()
            };
        }
        let others = waiters.split_off(1);
        Self {
            nearest: waiters,
            others: others.into_iter().chain(holders).collect(),
            waiting,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.nearest.iter().chain(&self.others)
    }

    /// Whether it is the turn of this one to look after all of them although the nearest lives,
    /// when they have been the same for so long: one who lives need not do its duty. The farther
    /// away, the later and the more seldom, so that a long queue does not ask all at once.
    pub(super) fn is_turn(&self, lasted: Duration, lease: Lease) -> bool {
        let look = lease.length() * 3 / 2;
        let round = look.as_millis() * 2 * u128::from(self.waiting);
        let at = lasted.as_millis().checked_rem(round);
        at.is_some_and(|at| at + look.as_millis() >= round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Revision;
    use crate::kv::lock::record::{Mode, Request, Step};

    fn record(asked: &[(&str, Mode)]) -> Record {
        let mut record = Record::default();
        for (number, (session, mode)) in asked.iter().enumerate() {
            let request = Request {
                id: format!("{session}.{number}"),
                session: (*session).to_owned(),
                mode: *mode,
                owner: number.to_string(),
                label: String::new(),
                asked_ms: 0,
                max_writer_streak: None,
            };
            if let Step::Write(after) = record.acquire(request, Revision(1)).unwrap() {
                record = after;
            }
        }
        record
    }

    #[test]
    fn the_first_looks_after_the_holders_and_the_others_after_the_one_before() {
        let record = record(&[
            ("h1", Mode::Read),
            ("h2", Mode::Read),
            ("w1", Mode::Write),
            ("w2", Mode::Write),
            ("h1", Mode::Write),
            ("w3", Mode::Write),
        ]);
        let first = Before::of(&record, "w1");
        assert_eq!(
            (first.nearest, first.waiting),
            (vec!["h1".into(), "h2".into()], 0)
        );
        let third = Before::of(&record, "w3");
        assert_eq!(third.nearest, ["h1"]);
        assert_eq!(third.others, ["w2", "w1", "h2"]);
        assert_eq!(third.waiting, 3);
    }

    #[test]
    fn everybody_has_a_turn_and_the_nearer_ones_sooner() {
        let lease = Lease::default();
        let turns = |waiting: u32| -> Vec<u64> {
            let before = Before {
                waiting,
                ..Before::default()
            };
            let turns = (0..1000).filter(|&s| before.is_turn(Duration::from_secs(s), lease));
            turns.collect()
        };
        assert_eq!(
            turns(0),
            Vec::<u64>::new(),
            "it looks after them all the time"
        );
        assert_eq!(turns(1)[..3], [23, 24, 25]);
        assert_eq!(turns(2)[..3], [68, 69, 70]);
        assert!(turns(1).len() > turns(2).len() && turns(2).len() > turns(7).len());
        // Long enough to see a silence from its beginning to its end.
        let first: Vec<u64> = turns(2).into_iter().take_while(|&s| s < 91).collect();
        let looked = first[first.len() - 1] - first[0];
        assert!(Duration::from_secs(looked) > lease.silence());
    }
}
