//! Other numbers for the same state, for the model check: only the order of revisions and of steps
//! means anything, and states that differ in nothing else are one.

use super::{Line, UnderWay};
use crate::kv::Revision;

impl Line {
    /// Every revision that it knows, and every fence.
    pub(in crate::kv::lock) fn numbers(&self, add: &mut dyn FnMut(u64)) {
        add(self.newest.0);
        let favours = self.favours.as_ref().map(|favours| favours.base);
        let bases = [self.doubt, self.rewound, self.entrusted, favours];
        bases.into_iter().flatten().for_each(|base| add(base.0));
        if let Some(known) = &self.known {
            add(known.revision.0);
            known.record.fences().for_each(&mut *add);
        }
        if let Some(UnderWay::Write { after, base }) = &self.under_way {
            add(base.0);
            after.fences().for_each(&mut *add);
        }
    }

    /// Gives each of these another number, and counts the steps anew.
    pub(in crate::kv::lock) fn renumber(&mut self, number: &dyn Fn(u64) -> u64) {
        let other = |revision: &mut Revision| *revision = Revision(number(revision.0));
        other(&mut self.newest);
        self.doubt
            .iter_mut()
            .chain(&mut self.rewound)
            .chain(&mut self.entrusted)
            .chain(self.favours.as_mut().map(|favours| &mut favours.base))
            .for_each(other);
        if let Some(known) = &mut self.known {
            other(&mut known.revision);
            known.record.renumber(number);
        }
        if let Some(UnderWay::Write { after, base }) = &mut self.under_way {
            other(base);
            after.renumber(number);
        }
        let mut steps: Vec<u64> = self.attempts.iter().map(|attempt| attempt.asked).collect();
        steps.extend(self.known.as_ref().map(|known| known.step));
        steps.push(self.steps);
        steps.sort_unstable();
        steps.dedup();
        let rank = |step: &mut u64| *step = steps.partition_point(|other| other < step) as u64;
        for attempt in &mut self.attempts {
            rank(&mut attempt.asked);
        }
        if let Some(known) = &mut self.known {
            rank(&mut known.step);
        }
        rank(&mut self.steps);
    }

    /// Forgets that a write may still land: the mistake that the model check must find.
    pub(in crate::kv::lock) fn forget_doubt(&mut self) {
        self.doubt = None;
    }
}
