//! What differs between two JSON values, by path.

use super::{Change, What};
use crate::edit::excerpt::Excerpt;
use crate::edit::path::Path;
use crate::edit::secrets::Masking;
use crate::edit::tree::{Id, Sort, Tree, partners};

/// The changes from one JSON value to another; `None` where one of them is none.
pub(super) fn changes(
    old: Option<&[u8]>,
    new: Option<&[u8]>,
    masking: &Masking,
) -> Option<Vec<Change>> {
    let mut walk = Walk {
        old: old.map(parsed).transpose().ok()?,
        new: new.map(parsed).transpose().ok()?,
        masking,
        found: Vec::new(),
    };
    let root = Path::root();
    match (&walk.old, &walk.new) {
        (Some(_), Some(_)) => walk.values(Tree::ROOT, Tree::ROOT, &root),
        (None, Some(_)) => walk.added(Tree::ROOT, root),
        (Some(_), None) => walk.removed(Tree::ROOT, root),
        (None, None) => {}
    }
    Some(walk.found)
}

/// A value as a tree.
///
/// # Errors
/// It is not JSON.
fn parsed(value: &[u8]) -> Result<Tree<'_>, NotJson> {
    let text = std::str::from_utf8(value).map_err(|_| NotJson)?;
    Tree::parse(text).map_err(|_| NotJson)
}

/// A value is not JSON.
struct NotJson;

struct Walk<'t> {
    old: Option<Tree<'t>>,
    new: Option<Tree<'t>>,
    masking: &'t Masking,
    found: Vec<Change>,
}

impl Walk<'_> {
    fn values(&mut self, old_id: Id, new_id: Id, path: &Path) {
        let (Some(old), Some(new)) = (&self.old, &self.new) else {
            return;
        };
        if new.is_same(new_id, old, old_id) {
            return;
        }
        let sort = new.sort(new_id);
        if sort == Sort::Leaf || sort != old.sort(old_id) {
            let change = Change {
                path: path.clone(),
                what: What::Changed,
                old: Some(self.excerpt(old, old_id, path)),
                new: Some(self.excerpt(new, new_id, path)),
            };
            self.found.push(change);
            return;
        }
        let partners = partners(new, new_id, old, old_id);
        if sort == Sort::Object && !partners.iter().flatten().is_sorted() {
            let change = Change {
                path: path.clone(),
                what: What::Reordered,
                old: Some(order(old, old_id)),
                new: Some(order(new, new_id)),
            };
            self.found.push(change);
        }
        self.children(old_id, new_id, path, &partners);
    }

    /// In the order of the newer value. What is gone comes before what stood behind it.
    fn children(&mut self, old_id: Id, new_id: Id, path: &Path, partners: &[Option<usize>]) {
        let (Some(old), Some(new)) = (&self.old, &self.new) else {
            return;
        };
        let (olds, news) = (old.children(old_id).to_vec(), new.children(new_id).to_vec());
        let mut is_kept = vec![false; olds.len()];
        for at in partners.iter().flatten() {
            is_kept[*at] = true;
        }
        let mut gone = (0..olds.len()).filter(|at| !is_kept[*at]).peekable();
        for (place, (&child, partner)) in news.iter().zip(partners).enumerate() {
            while let Some(at) = gone.next_if(|at| partner.is_some_and(|partner| *at < partner)) {
                self.child_removed(olds[at], at, path);
            }
            let Some(new) = &self.new else { return };
            let here = path.join(new.step(child, place));
            match partner {
                None => self.added(child, here),
                Some(at) => {
                    self.spelling(olds[*at], child, &here);
                    self.values(olds[*at], child, &here);
                }
            }
        }
        for at in gone {
            self.child_removed(olds[at], at, path);
        }
    }

    /// The same name, spelled in another way.
    fn spelling(&mut self, old_id: Id, new_id: Id, path: &Path) {
        let name = |tree: &Option<Tree<'_>>, id| {
            let name = tree.as_ref().and_then(|tree| tree.quoted_name(id));
            name.map(str::to_owned)
        };
        let (old, new) = (name(&self.old, old_id), name(&self.new, new_id));
        if old != new {
            self.found.push(Change {
                path: path.clone(),
                what: What::Renamed,
                old: old.map(Excerpt::open),
                new: new.map(Excerpt::open),
            });
        }
    }

    fn child_removed(&mut self, child: Id, place: usize, path: &Path) {
        if let Some(old) = &self.old {
            let here = path.join(old.step(child, place));
            self.removed(child, here);
        }
    }

    fn added(&mut self, id: Id, path: Path) {
        let new = self.new.as_ref().map(|new| self.excerpt(new, id, &path));
        self.found.push(Change {
            path,
            what: What::Added,
            old: None,
            new,
        });
    }

    fn removed(&mut self, id: Id, path: Path) {
        let old = self.old.as_ref().map(|old| self.excerpt(old, id, &path));
        self.found.push(Change {
            path,
            what: What::Removed,
            old,
            new: None,
        });
    }

    fn excerpt(&self, tree: &Tree<'_>, id: Id, path: &Path) -> Excerpt {
        Excerpt::at(path, tree.compact(id), self.masking)
    }
}

/// The names of the members in their order.
fn order(tree: &Tree<'_>, id: Id) -> Excerpt {
    let names = tree
        .children(id)
        .iter()
        .filter_map(|child| tree.quoted_name(*child));
    Excerpt::open(names.collect::<Vec<_>>().join(", "))
}
