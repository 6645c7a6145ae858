//! Which rows changed a moment ago, without a mark on any row.
//!
//! Revisions rise over the whole bucket. So it is enough to remember how far they had come at
//! which time: a row changed in the last seconds if its revision lies above the mark of then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far revisions had come when.
#[derive(Debug)]
pub(super) struct Recent {
    span: Duration,
    /// Up to this revision nothing counts as a change any more.
    floor: u64,
    /// The highest revision.
    highest: u64,
    /// The highest revision at the end of each batch of changes, oldest first.
    marks: VecDeque<(Instant, u64)>,
}

impl Recent {
    /// Changes are recent for `span`.
    pub(super) fn new(span: Duration) -> Self {
        Self {
            span,
            floor: 0,
            highest: 0,
            marks: VecDeque::new(),
        }
    }

    /// A snapshot begins: what is told now is no change, and revisions can be lower than before.
    pub(super) fn begin_snapshot(&mut self) {
        self.marks.clear();
        self.floor = u64::MAX;
        self.highest = 0;
    }

    /// A snapshot told this revision.
    pub(super) fn note_snapshot(&mut self, revision: u64) {
        self.highest = self.highest.max(revision);
    }

    /// The snapshot is over: what comes now is a change.
    pub(super) fn end_snapshot(&mut self) {
        self.floor = self.highest;
    }

    /// A change brought this revision.
    pub(super) fn note_change(&mut self, revision: u64, now: Instant) {
        if revision <= self.highest {
            return;
        }
        self.highest = revision;
        match self.marks.back_mut() {
            Some((at, mark)) if *at == now => *mark = revision,
            _ => {
                self.forget(now);
                self.marks.push_back((now, revision));
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&(at, mark)) = self.marks.front()
            && now.saturating_duration_since(at) >= self.span
        {
            self.floor = mark;
            self.marks.pop_front();
        }
    }

    /// The revision above which a row changed recently.
    pub(super) fn floor(&self, now: Instant) -> u64 {
        let over = |&&(at, _): &&(Instant, u64)| now.saturating_duration_since(at) >= self.span;
        let last = self.marks.iter().take_while(over).last();
        last.map_or(self.floor, |&(_, mark)| mark)
    }

    /// When the next change stops being recent.
    pub(super) fn next_fade(&self, now: Instant) -> Option<Instant> {
        let ends = self.marks.iter().map(|&(at, _)| at + self.span);
        ends.into_iter().find(|&end| end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_recent_for_their_span() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut recent = Recent::new(Duration::from_secs(3));
        recent.begin_snapshot();
        recent.note_snapshot(10);
        assert_eq!(recent.floor(start), u64::MAX);
        recent.end_snapshot();
        assert_eq!((recent.floor(start), recent.next_fade(start)), (10, None));

        recent.note_change(11, start);
        recent.note_change(12, after(1));
        assert_eq!(recent.floor(after(2)), 10);
        assert_eq!(recent.next_fade(after(2)), Some(after(3)));
        assert_eq!(recent.floor(after(3)), 11);
        assert_eq!(recent.next_fade(after(3)), Some(after(4)));
        assert_eq!(
            (recent.floor(after(4)), recent.next_fade(after(4))),
            (12, None)
        );

        recent.note_change(13, after(9));
        assert_eq!(recent.marks.len(), 1, "what is over is forgotten");
        assert_eq!(recent.floor(after(9)), 12);
    }
}
