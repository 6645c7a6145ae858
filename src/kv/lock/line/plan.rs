//! The record that a line wants: all its wishes in one write.

use std::collections::HashSet;

use super::{Known, Line, Wish};
use crate::kv::Revision;
use crate::kv::lock::record::{Record, Refusal, Step};

/// The record as it should be.
pub(super) struct Planned {
    pub(super) record: Record,
    /// Attempts that can't be, and why.
    pub(super) refused: Vec<(String, Refusal)>,
    /// Whether it stands on what is newer than every wish that it leaves out.
    pub(super) is_certain: bool,
}

impl Planned {
    fn take(&mut self, step: Step) {
        if let Step::Write(record) = step {
            self.record = record;
        }
    }
}

impl Line {
    /// The record as it should be, all wishes in one: first those that make room.
    pub(super) fn planned(&self, known: &Known) -> Planned {
        let base = self.fences_from(known.revision);
        let mut planned = Planned {
            record: known.record.clone(),
            refused: Vec::new(),
            is_certain: true,
        };
        for session in &self.evictions {
            planned.take(planned.record.evict(session, base));
        }
        for id in self.unwanted(&known.record) {
            planned.take(planned.record.release(&id, base));
        }
        for attempt in &self.attempts {
            let id = &attempt.request.id;
            let record = &planned.record;
            let step = match attempt.wish {
                Wish::Release => continue,
                Wish::Downgrade => record.downgrade(id, base),
                Wish::Hold if attempt.seen => continue,
                Wish::Hold if attempt.waits => {
                    record.acquire_within(attempt.request.clone(), base, self.most)
                }
                Wish::Hold => record.try_acquire_within(attempt.request.clone(), base, self.most),
            };
            match step {
                Ok(step) => planned.take(step),
                Err(refusal) if known.step > attempt.asked => {
                    planned.refused.push((id.clone(), refusal));
                }
                // What is known is older than the wish: perhaps there is no reason any more.
                Err(_) => planned.is_certain = false,
            }
        }
        planned
    }

    /// Adds what others have asked for, now that something is to be written. Who can't be added asks
    /// for itself.
    pub(super) fn favour(&self, planned: &mut Planned, base: Revision) {
        let favours = self.favours.iter().filter(|favours| favours.base == base);
        let base = self.fences_from(base);
        for request in favours.flat_map(|favours| &favours.requests) {
            let step = planned
                .record
                .acquire_within(request.clone(), base, self.most);
            if let Ok(step) = step {
                planned.take(step);
            }
        }
    }

    /// The revision that the fences of a write on this one count from.
    fn fences_from(&self, base: Revision) -> Revision {
        if base == Revision::ABSENT {
            self.floor
        } else {
            base
        }
    }

    /// Claims of this session that nobody wants: given up, or left by an attempt that was thought
    /// to have failed.
    pub(super) fn unwanted(&self, record: &Record) -> Vec<String> {
        let wanted: HashSet<&str> = self
            .attempts
            .iter()
            .filter(|attempt| attempt.wish != Wish::Release)
            .map(|attempt| attempt.request.id.as_str())
            .collect();
        let claims = record.claims().iter();
        claims
            .filter(|claim| claim.session == self.session && !wanted.contains(claim.id.as_str()))
            .map(|claim| claim.id.clone())
            .collect()
    }
}
