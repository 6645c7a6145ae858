//! Which stretches of two sequences differ, and how two changes of one sequence lie to each other.

use std::hash::Hash;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput, Interner};

/// A stretch that differs: what was there, and what is there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// A stretch of a sequence with two changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) base: Range<usize>,
    pub(super) mine: Range<usize>,
    pub(super) theirs: Range<usize>,
    pub(super) changed: Changed,
}

/// By whom a [`Region`] was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Nobody,
    Mine,
    Theirs,
    Both,
}

/// The stretches in which two sequences differ, in order.
pub(super) fn hunks<T: Hash + Eq>(
    old: impl IntoIterator<Item = T>,
    new: impl IntoIterator<Item = T>,
) -> Vec<Hunk> {
    let mut input = InternedInput {
        before: Vec::new(),
        after: Vec::new(),
        interner: Interner::new(0),
    };
    input.update_before(old.into_iter());
    input.update_after(new.into_iter());
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_no_heuristic(&input);
    let wide = |range: Range<u32>| range.start as usize..range.end as usize;
    let hunks: Vec<Hunk> = diff
        .hunks()
        .map(|hunk| Hunk {
            old: wide(hunk.before),
            new: wide(hunk.after),
        })
        .collect();
    // Among equal neighbours a changed element can as well be read as one that came and another that
    // went, and a merge would then move what the other side wrote between the two.
    in_place(&input.before, &input.after)
        .filter(|in_place| cost(in_place) <= cost(&hunks))
        .unwrap_or(hunks)
}

/// How many elements go and come.
fn cost(hunks: &[Hunk]) -> usize {
    let costs = hunks.iter().map(|hunk| hunk.old.len() + hunk.new.len());
    costs.sum()
}

/// The changes of two sequences of one length, place by place.
fn in_place<T: PartialEq>(old: &[T], new: &[T]) -> Option<Vec<Hunk>> {
    if old.len() != new.len() {
        return None;
    }
    let mut hunks: Vec<Hunk> = Vec::new();
    for at in (0..old.len()).filter(|&at| old[at] != new[at]) {
        match hunks.last_mut() {
            Some(last) if last.old.end == at => (last.old.end, last.new.end) = (at + 1, at + 1),
            _ => hunks.push(Hunk {
                old: at..at + 1,
                new: at..at + 1,
            }),
        }
    }
    Some(hunks)
}

/// For each element of the newer sequence its partner in the older one: the same element, or where
/// a stretch was replaced, the one in the same place of that stretch.
pub(super) fn partners(hunks: &[Hunk], new_length: usize) -> Vec<Option<usize>> {
    let mut partners = Vec::with_capacity(new_length);
    let mut old = 0;
    for hunk in hunks {
        while partners.len() < hunk.new.start {
            partners.push(Some(old));
            old += 1;
        }
        let replaced = hunk.old.clone().map(Some).chain(std::iter::repeat(None));
        partners.extend(replaced.take(hunk.new.len()));
        old = hunk.old.end;
    }
    let rest = new_length.saturating_sub(partners.len());
    partners.extend((old..old + rest).map(Some));
    partners
}

/// Whether changes that touch without overlapping are one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touching {
    /// They are: lines that stand together often belong together.
    Together,
    /// They are not, as far as it is clear which comes first: elements are values of their own.
    Apart,
}

/// Lays two changes of one sequence beside each other. Changes of the same elements, and insertions
/// at the same place, come as one region.
pub(super) fn regions(
    mine: &[Hunk],
    theirs: &[Hunk],
    base_length: usize,
    touching: Touching,
) -> Vec<Region> {
    let mut regions = Regions::default();
    let (mut mine, mut theirs) = (mine.iter().peekable(), theirs.iter().peekable());
    while let Some(first) = [mine.peek(), theirs.peek()]
        .into_iter()
        .flatten()
        .min_by_key(|hunk| (hunk.old.start, hunk.old.end))
    {
        regions.unchanged_to(first.old.start);
        let mut cluster = Cluster::new(first.old.clone());
        loop {
            if let Some(hunk) = mine.next_if(|hunk| cluster.holds(hunk, touching)) {
                cluster.mine = Some(cluster.mine.unwrap_or(0) + cluster.take(hunk));
            } else if let Some(hunk) = theirs.next_if(|hunk| cluster.holds(hunk, touching)) {
                cluster.theirs = Some(cluster.theirs.unwrap_or(0) + cluster.take(hunk));
            } else {
                break;
            }
        }
        regions.push(&cluster);
    }
    regions.unchanged_to(base_length);
    regions.all
}

/// Changes of both sides that hang together.
#[derive(Debug)]
struct Cluster {
    base: Range<usize>,
    /// What its first change replaces, until that is in it.
    first: Option<Range<usize>>,
    /// Whether it ends in a change after which it is not clear where an insertion would stand.
    is_loose: bool,
    /// By how much each side is longer than the base here, if it changed anything.
    mine: Option<isize>,
    theirs: Option<isize>,
}

impl Cluster {
    fn new(first: Range<usize>) -> Self {
        Self {
            base: first.start..first.start,
            first: Some(first),
            is_loose: false,
            mine: None,
            theirs: None,
        }
    }

    fn holds(&self, hunk: &Hunk, touching: Touching) -> bool {
        if let Some(first) = &self.first {
            return hunk.old == *first;
        }
        let touches = hunk.old.start == self.base.end;
        let hangs_on = match touching {
            Touching::Together => true,
            Touching::Apart => self.is_loose && hunk.old.len() != hunk.new.len(),
        };
        hunk.old.start < self.base.end || touches && hangs_on
    }

    /// Takes a hunk in, and says by how much it is longer than what it replaces.
    fn take(&mut self, hunk: &Hunk) -> isize {
        if hunk.old.end >= self.base.end {
            self.is_loose = hunk.old.len() != hunk.new.len();
        }
        self.base.end = self.base.end.max(hunk.old.end);
        self.first = None;
        hunk.new.len().cast_signed() - hunk.old.len().cast_signed()
    }
}

/// Regions as far as they have been laid out.
#[derive(Debug, Default)]
struct Regions {
    all: Vec<Region>,
    base: usize,
    mine: usize,
    theirs: usize,
}

impl Regions {
    fn unchanged_to(&mut self, base: usize) {
        let length = base.saturating_sub(self.base);
        if length > 0 {
            self.add(length, Changed::Nobody, 0, 0);
        }
    }

    fn push(&mut self, cluster: &Cluster) {
        let changed = match (cluster.mine, cluster.theirs) {
            (Some(_), Some(_)) => Changed::Both,
            (Some(_), None) => Changed::Mine,
            (None, _) => Changed::Theirs,
        };
        let (mine, theirs) = (cluster.mine.unwrap_or(0), cluster.theirs.unwrap_or(0));
        self.add(cluster.base.len(), changed, mine, theirs);
    }

    fn add(&mut self, length: usize, changed: Changed, mine_grew: isize, theirs_grew: isize) {
        let base = self.base + length;
        let mine = (self.mine + length).saturating_add_signed(mine_grew);
        let theirs = (self.theirs + length).saturating_add_signed(theirs_grew);
        self.all.push(Region {
            base: self.base..base,
            mine: self.mine..mine,
            theirs: self.theirs..theirs,
            changed,
        });
        (self.base, self.mine, self.theirs) = (base, mine, theirs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sequence() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0_u8..6, 0..12)
    }

    #[test]
    fn changes_side_by_side_stay_apart_and_those_in_one_place_do_not() {
        let both = |base: &[u8], mine: &[u8], theirs: &[u8]| {
            let mine = hunks(base.iter(), mine.iter());
            let theirs = hunks(base.iter(), theirs.iter());
            [Touching::Apart, Touching::Together].map(|touching| {
                let regions = regions(&mine, &theirs, base.len(), touching);
                let both = regions
                    .iter()
                    .filter(|region| region.changed == Changed::Both);
                both.count()
            })
        };
        assert_eq!(both(&[1, 2, 3], &[9, 2, 3], &[1, 2, 8]), [0, 0]);
        assert_eq!(both(&[1, 2], &[9, 2], &[1, 8]), [0, 1]);
        assert_eq!(both(&[1], &[9], &[1, 8]), [0, 1]);
        assert_eq!(both(&[1], &[9], &[8, 1]), [0, 1]);
        assert_eq!(both(&[1, 2, 3], &[1, 9, 3], &[1, 8, 3]), [1, 1]);
        assert_eq!(both(&[1], &[1, 9], &[1, 8]), [1, 1]);
        assert_eq!(both(&[1], &[9, 9], &[1, 8]), [1, 1]);
        assert_eq!(both(&[1], &[2], &[]), [1, 1]);
    }

    proptest! {
        #[test]
        fn hunks_and_partners_describe_the_newer_sequence(old in sequence(), new in sequence()) {
            let hunks = hunks(old.iter(), new.iter());
            let partners = partners(&hunks, new.len());
            prop_assert_eq!(partners.len(), new.len());
            let mut last = None;
            for (at, partner) in partners.iter().enumerate() {
                let replaced = hunks.iter().any(|hunk| hunk.new.contains(&at));
                if let Some(partner) = *partner {
                    prop_assert!(replaced || old[partner] == new[at]);
                    prop_assert!(last.is_none_or(|last| last < partner));
                    last = Some(partner);
                } else {
                    prop_assert!(replaced);
                }
            }
        }

        #[test]
        fn regions_cover_all_three_sequences(
            base in sequence(),
            mine in sequence(),
            theirs in sequence(),
            apart: bool,
        ) {
            let touching = if apart { Touching::Apart } else { Touching::Together };
            let by_mine = hunks(base.iter(), mine.iter());
            let by_theirs = hunks(base.iter(), theirs.iter());
            let regions = regions(&by_mine, &by_theirs, base.len(), touching);
            let (mut at, mut at_mine, mut at_theirs) = (0, 0, 0);
            for region in &regions {
                prop_assert_eq!(region.base.start, at);
                prop_assert_eq!(region.mine.start, at_mine);
                prop_assert_eq!(region.theirs.start, at_theirs);
                (at, at_mine, at_theirs) = (region.base.end, region.mine.end, region.theirs.end);
                let same_mine = base[region.base.clone()] == mine[region.mine.clone()];
                let same_theirs = base[region.base.clone()] == theirs[region.theirs.clone()];
                match region.changed {
                    Changed::Nobody => prop_assert!(same_mine && same_theirs),
                    Changed::Mine => prop_assert!(!same_mine && same_theirs),
                    Changed::Theirs => prop_assert!(same_mine && !same_theirs),
                    Changed::Both => prop_assert!(!same_mine && !same_theirs),
                }
            }
            prop_assert_eq!((at, at_mine, at_theirs), (base.len(), mine.len(), theirs.len()));
        }
    }
}
