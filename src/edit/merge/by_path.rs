//! Joining JSON values by path, and arrays by element.
//!
//! What comes out is the right tokens; the white space between them is taken care of elsewhere.

use std::collections::{HashMap, HashSet};

use super::rows::{Rows, Sides};
use super::{Choice, Origin, Place};
use crate::edit::align::{self, Changed, Region, Touching};
use crate::edit::excerpt::Excerpt;
use crate::edit::path::{Path, Step};
use crate::edit::tree::{Id, Sort, Tree};

/// Joins three JSON texts; `None` if one of them is none.
pub(super) fn join(texts: Sides<&str>, rows: &mut Rows<'_>) -> Option<String> {
    let mut join = Join {
        trees: Sides {
            base: Tree::parse(texts.base).ok()?,
            mine: Tree::parse(texts.mine).ok()?,
            theirs: Tree::parse(texts.theirs).ok()?,
        },
        rows,
    };
    let roots = Sides {
        base: Some(Tree::ROOT),
        mine: Some(Tree::ROOT),
        theirs: Some(Tree::ROOT),
    };
    join.value(roots, &Path::root()).map(|taken| taken.text)
}

/// The text of a joined value, and whose it is.
struct Taken {
    text: String,
    from: From,
}

#[derive(Clone, Copy)]
enum From {
    Mine,
    Theirs,
    Both,
}

struct Join<'t, 'm> {
    trees: Sides<Tree<'t>>,
    rows: &'t mut Rows<'m>,
}

type Ids = Sides<Option<Id>>;

impl Join<'_, '_> {
    /// Joins what stands at a path, in each side where there is something.
    fn value(&mut self, ids: Ids, path: &Path) -> Option<Taken> {
        let taken = |text, from| Taken { text, from };
        let Some(origin) = self.origin(ids) else {
            let text = ids.mine.map(|id| self.trees.mine.raw(id).to_owned());
            return text.map(|text| taken(text, From::Mine));
        };
        if let (Some(base), Some(mine), Some(theirs)) = (ids.base, ids.mine, ids.theirs) {
            let ids = Sides { base, mine, theirs };
            let sorts = Sides {
                base: self.trees.base.sort(base),
                mine: self.trees.mine.sort(mine),
                theirs: self.trees.theirs.sort(theirs),
            };
            if sorts.all(|sort| *sort == Sort::Object) {
                return Some(taken(self.object(ids, path), From::Both));
            }
            if sorts.all(|sort| *sort == Sort::Array) {
                return Some(taken(self.array(ids, path), From::Both));
            }
        }
        let texts = Sides {
            base: self.excerpt(ids.base, &self.trees.base, path),
            mine: self.excerpt(ids.mine, &self.trees.mine, path),
            theirs: self.excerpt(ids.theirs, &self.trees.theirs, path),
        };
        match self.rows.add(Place::Path(path.clone()), origin, texts) {
            Choice::Mine => {
                let text = ids.mine.map(|id| self.trees.mine.raw(id).to_owned());
                text.map(|text| taken(text, From::Mine))
            }
            Choice::Theirs => {
                let text = ids.theirs.map(|id| self.trees.theirs.raw(id).to_owned());
                text.map(|text| taken(text, From::Theirs))
            }
            Choice::Text(text) => Some(taken(text, From::Both)),
        }
    }

    /// Who changed what stands there; `None` if nobody did.
    fn origin(&self, ids: Ids) -> Option<Origin> {
        let trees = &self.trees;
        let is_same = |one: Option<Id>, tree: &Tree<'_>, other: Option<Id>, of: &Tree<'_>| {
            one.zip(other).map_or(one == other, |(one, other)| {
                tree.quoted_name(one) == of.quoted_name(other) && tree.is_same(one, of, other)
            })
        };
        let mine = is_same(ids.mine, &trees.mine, ids.base, &trees.base);
        let theirs = is_same(ids.theirs, &trees.theirs, ids.base, &trees.base);
        match (mine, theirs) {
            (true, true) => None,
            (false, true) => Some(Origin::Mine),
            (true, false) => Some(Origin::Theirs),
            (false, false) if is_same(ids.mine, &trees.mine, ids.theirs, &trees.theirs) => {
                Some(Origin::Both)
            }
            (false, false) => Some(Origin::Conflict),
        }
    }

    fn object(&mut self, ids: Sides<Id>, path: &Path) -> String {
        let base = members(&self.trees.base, ids.base);
        let mine = members(&self.trees.mine, ids.mine);
        let theirs = members(&self.trees.theirs, ids.theirs);
        let mut out = String::from("{");
        for step in order(&base, &mine, &theirs) {
            let ids = Sides {
                base: base.ids.get(&step).copied(),
                mine: mine.ids.get(&step).copied(),
                theirs: theirs.ids.get(&step).copied(),
            };
            let Some(value) = self.value(ids, &path.join(step)) else {
                continue;
            };
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(self.name(ids, value.from));
            out.push(':');
            out.push_str(&value.text);
        }
        out.push('}');
        out
    }

    /// The name of a member as it is spelled where its value was taken from; of both, as mine has it
    /// unless only theirs changed it.
    fn name(&self, ids: Ids, from: From) -> &str {
        let base = ids.base.and_then(|id| self.trees.base.quoted_name(id));
        let mine = ids.mine.and_then(|id| self.trees.mine.quoted_name(id));
        let theirs = ids.theirs.and_then(|id| self.trees.theirs.quoted_name(id));
        let name = match from {
            From::Mine => mine,
            From::Theirs => theirs,
            From::Both => mine.filter(|name| theirs.is_none() || Some(*name) != base),
        };
        name.or(theirs).or(mine).or(base).unwrap_or_default()
    }

    fn array(&mut self, ids: Sides<Id>, path: &Path) -> String {
        let base = self.trees.base.children(ids.base).to_vec();
        let mine = self.trees.mine.children(ids.mine).to_vec();
        let theirs = self.trees.theirs.children(ids.theirs).to_vec();
        let hashes = |tree: &Tree<'_>, ids: &[Id]| -> Vec<u64> {
            ids.iter().map(|id| tree.hash(*id)).collect()
        };
        let base_hashes = hashes(&self.trees.base, &base);
        let by_mine = align::hunks(base_hashes.clone(), hashes(&self.trees.mine, &mine));
        let by_theirs = align::hunks(base_hashes, hashes(&self.trees.theirs, &theirs));
        let mut elements = Vec::with_capacity(mine.len());
        for region in align::regions(&by_mine, &by_theirs, base.len(), Touching::Apart) {
            let lengths = [region.base.len(), region.mine.len(), region.theirs.len()];
            let is_conflict = region.changed == Changed::Both && lengths != [lengths[0]; 3];
            let slices = Sides {
                base: &base[region.base.clone()],
                mine: &mine[region.mine.clone()],
                theirs: &theirs[region.theirs.clone()],
            };
            if is_conflict {
                elements.extend(self.elements(&region, slices, path));
                continue;
            }
            for at in 0..lengths.into_iter().max().unwrap_or_default() {
                let ids = slices.each(|ids| ids.get(at).copied());
                let place = match (ids.mine, ids.theirs) {
                    (Some(_), _) => region.mine.start + at,
                    (None, Some(_)) => region.theirs.start + at,
                    (None, None) => region.base.start + at,
                };
                let taken = self.value(ids, &path.join(Step::Element(place)));
                elements.extend(taken.map(|taken| taken.text));
            }
        }
        format!("[{}]", elements.join(","))
    }

    /// Elements that both sides changed to another number of elements.
    fn elements(&mut self, region: &Region, slices: Sides<&[Id]>, path: &Path) -> Option<String> {
        let joined = |tree: &Tree<'_>, ids: &[Id]| {
            let elements: Vec<_> = ids.iter().map(|id| tree.compact(*id)).collect();
            (!elements.is_empty()).then(|| elements.join(", "))
        };
        let texts = Sides {
            base: joined(&self.trees.base, slices.base),
            mine: joined(&self.trees.mine, slices.mine),
            theirs: joined(&self.trees.theirs, slices.theirs),
        };
        let origin = texts.origin().unwrap_or(Origin::Both);
        let place = Place::Elements {
            array: path.clone(),
            first: region.mine.start,
            count: region.mine.len(),
        };
        let excerpts = texts.each(|text| {
            text.as_ref()
                .map(|text| self.excerpt_of_elements(text, path))
        });
        let chosen = match self.rows.add(place, origin, excerpts) {
            Choice::Mine => texts.mine,
            Choice::Theirs => texts.theirs,
            Choice::Text(text) => Some(text),
        };
        chosen.filter(|text| !text.trim().is_empty())
    }

    fn excerpt_of_elements(&self, text: &str, path: &Path) -> Excerpt {
        // The brackets make it JSON, which is where secrets are found exactly.
        let array = Excerpt::at(path, format!("[{text}]"), self.rows.masking);
        array.slice(1..text.len() + 1)
    }

    fn excerpt(&self, id: Option<Id>, tree: &Tree<'_>, path: &Path) -> Option<Excerpt> {
        id.map(|id| Excerpt::at(path, tree.compact(id), self.rows.masking))
    }
}

/// The members of an object, in order.
struct Members {
    steps: Vec<Step>,
    ids: HashMap<Step, Id>,
}

fn members(tree: &Tree<'_>, id: Id) -> Members {
    let children = tree.children(id);
    let steps: Vec<Step> = children.iter().map(|child| tree.step(*child, 0)).collect();
    Members {
        ids: steps
            .iter()
            .cloned()
            .zip(children.iter().copied())
            .collect(),
        steps,
    }
}

/// All members of the three objects in the order in which to join them: that of mine if mine
/// changed it, or else that of theirs, each member that only the other one has behind the one that
/// it stands behind there.
fn order(base: &Members, mine: &Members, theirs: &Members) -> Vec<Step> {
    let common = |one: &Members, other: &Members| -> Vec<Step> {
        let steps = one.steps.iter();
        steps
            .filter(|step| other.ids.contains_key(step))
            .cloned()
            .collect()
    };
    let mine_kept_it = common(base, mine) == common(mine, base);
    let theirs_kept_it = common(base, theirs) == common(theirs, base);
    let (first, second) = if mine_kept_it && !theirs_kept_it {
        (theirs, mine)
    } else {
        (mine, theirs)
    };
    weave(&weave(&first.steps, &second.steps), &base.steps)
}

/// The first sequence with what only the second one has.
fn weave(first: &[Step], second: &[Step]) -> Vec<Step> {
    let known: HashSet<&Step> = first.iter().collect();
    // What comes behind each step of the first sequence, or before all of them.
    let mut behind: HashMap<Option<&Step>, Vec<&Step>> = HashMap::new();
    let mut last = None;
    for step in second {
        if known.contains(step) {
            last = Some(step);
        } else {
            behind.entry(last).or_default().push(step);
        }
    }
    let mut all = Vec::with_capacity(first.len() + second.len());
    for step in std::iter::once(None).chain(first.iter().map(Some)) {
        all.extend(step.cloned());
        all.extend(behind.remove(&step).into_iter().flatten().cloned());
    }
    all
}
