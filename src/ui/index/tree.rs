//! Which nodes of the tree are open, and the rows that the tree makes of the keys.
//!
//! A node is a prefix of keys. It is never stored: the keys under it are one range of the order,
//! and its row stands where the first of them is. Only what the user opened or closed is kept.

use std::collections::HashMap;

use super::path;

/// What the user did to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Open,
    Closed,
    /// It and every node under it that has no opening of its own.
    OpenUnder,
}

/// The nodes that are open.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// Whether nodes are open that nobody touched.
    everything: bool,
    nodes: HashMap<Box<str>, Opening>,
    /// No longer prefix was touched: most need no look at `nodes`.
    longest: usize,
}

/// A row that a key brings to the tree.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// The node of a prefix that begins at this key.
    Node {
        prefix: &'a str,
        depth: usize,
        open: bool,
    },
    /// The key itself, which is a node too if other keys lie under it.
    Key { depth: usize, open: bool },
}

impl Openings {
    /// Every node is open until it is closed.
    pub(super) fn all_open() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    pub(super) fn open(&mut self, prefix: &str) {
        self.touch(prefix, Opening::Open);
    }

    pub(super) fn close(&mut self, prefix: &str) {
        self.touch(prefix, Opening::Closed);
    }

    pub(super) fn open_under(&mut self, prefix: &str) {
        self.nodes.retain(|node, _| !path::is_under(node, prefix));
        self.touch(prefix, Opening::OpenUnder);
    }

    fn touch(&mut self, prefix: &str, opening: Opening) {
        self.nodes.insert(prefix.into(), opening);
        self.longest = self.longest.max(prefix.len());
    }

    /// The shortest closed prefix of a path, if there is one: what hides it.
    pub(super) fn hidden_by<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut inherited = self.everything;
        path::prefixes(path).find(|prefix| !self.resolve(prefix, &mut inherited))
    }

    /// Tells the rows that `key` brings when the tree has just shown what is `shared` (see
    /// [`path::shared_prefix`]). Returns the length of the closed prefix that hides it, if any:
    /// then no other key under that prefix brings a row.
    pub(super) fn steps<'a>(
        &self,
        shared: Option<usize>,
        key: &'a str,
        mut tell: impl FnMut(Step<'a>),
    ) -> Option<usize> {
        let mut inherited = self.everything;
        let mut depth = 0;
        for prefix in path::prefixes(key) {
            let open = self.resolve(prefix, &mut inherited);
            if shared.is_none_or(|shared| prefix.len() > shared) {
                tell(Step::Node {
                    prefix,
                    depth,
                    open,
                });
            }
            if !open {
                return Some(prefix.len());
            }
            depth += 1;
        }
        let open = self.resolve(key, &mut inherited);
        tell(Step::Key { depth, open });
        None
    }

    /// How many rows [`Openings::steps`] tells, and what hides the key.
    pub(super) fn count(&self, shared: Option<usize>, key: &str) -> (usize, Option<usize>) {
        if self.everything && self.nodes.is_empty() {
            let new = &key.as_bytes()[shared.map_or(0, |shared| shared + 1).min(key.len())..];
            return (1 + memchr::memchr_iter(b'.', new).count(), None);
        }
        let mut rows = 0;
        let hidden = self.steps(shared, key, |_| rows += 1);
        (rows, hidden)
    }

    /// Whether a node is open whose parents are. `inherited`: what its parents say of nodes that
    /// nobody touched; afterwards, what it says of those under it.
    fn resolve(&self, prefix: &str, inherited: &mut bool) -> bool {
        if self.nodes.is_empty() || prefix.len() > self.longest {
            return *inherited;
        }
        match self.nodes.get(prefix) {
            None => *inherited,
            Some(Opening::Open) => true,
            Some(Opening::Closed) => false,
            Some(Opening::OpenUnder) => {
                *inherited = true;
                true
            }
        }
    }
}
