//! A JSON text as a tree of values, over its tokens.
//!
//! Two values are the same when their tokens are spelled the same; white space does not count, the
//! order of members does. What lies deeper than [`MOST_DEPTH`] is one value from there on, so that
//! whoever walks the tree may recurse.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::align;
use super::json::{Fault, Json, Kind, Token};
use super::path::Step;

/// How many containers are looked into, one in another.
const MOST_DEPTH: usize = 128;

/// A value of a [`Tree`].
pub(super) type Id = usize;

/// A JSON text in values. The outermost is [`Tree::ROOT`].
#[derive(Debug)]
pub(super) struct Tree<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    /// Its tokens: the first and the last.
    first: usize,
    last: usize,
    shape: Shape,
    /// The token of its name, if it is a member.
    name: Option<usize>,
    /// How many members of that name stand before it.
    nth: usize,
    /// Of its tokens as they are spelled.
    hash: u64,
}

/// What a value is, for walking the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Leaf,
    Array,
    Object,
}

#[derive(Debug)]
enum Shape {
    /// A string, number or literal, or a container that is too deep to be looked into.
    Leaf,
    Array(Vec<Id>),
    Object(Vec<Id>),
}

impl<'t> Tree<'t> {
    pub(super) const ROOT: Id = 0;

    /// Reads a text.
    ///
    /// # Errors
    /// The fault, when it is not JSON.
    pub(super) fn parse(text: &'t str) -> Result<Self, Fault> {
        let json = Json::parse(text)?;
        let mut tree = Self {
            text,
            nodes: Vec::with_capacity(json.tokens.len() / 3 + 1),
            tokens: Vec::new(),
        };
        tree.build(&json);
        tree.tokens = json.tokens;
        Ok(tree)
    }

    fn build(&mut self, json: &Json) {
        let mut open: Vec<Builder> = Vec::new();
        let mut name = None;
        let mut at = 0;
        while let Some(token) = json.tokens.get(at) {
            match token.kind {
                Kind::Comma | Kind::Colon => {}
                Kind::Name => name = Some(at),
                Kind::Close => {
                    if let Some(builder) = open.pop() {
                        self.close(builder);
                    }
                }
                Kind::Open | Kind::String | Kind::Number | Kind::Literal => {
                    let id = self.nodes.len();
                    let looked_into = token.kind == Kind::Open && open.len() < MOST_DEPTH;
                    let last = match token.kind {
                        Kind::Open => json.containers[token.link as usize].close as usize,
                        _ => at,
                    };
                    let nth = match (open.last_mut(), name) {
                        (Some(parent), Some(name)) => {
                            let seen = parent.names.entry(self.name_of(&json.tokens[name]));
                            let seen = seen.or_default();
                            *seen += 1;
                            *seen - 1
                        }
                        _ => 0,
                    };
                    if let Some(parent) = open.last_mut() {
                        parent.children.push(id);
                    }
                    self.nodes.push(Node {
                        first: at,
                        last,
                        shape: Shape::Leaf,
                        name: name.take(),
                        nth,
                        hash: 0,
                    });
                    if looked_into {
                        let is_object = &self.text[token.range()] == "{";
                        open.push(Builder::new(id, is_object));
                    } else {
                        let mut hasher = DefaultHasher::new();
                        for token in &json.tokens[at..=last] {
                            self.text[token.range()].hash(&mut hasher);
                        }
                        self.nodes[id].hash = hasher.finish();
                        at = last;
                    }
                }
            }
            at += 1;
        }
        self.hash_containers(json);
    }

    fn close(&mut self, builder: Builder) {
        self.nodes[builder.id].shape = if builder.is_object {
            Shape::Object(builder.children)
        } else {
            Shape::Array(builder.children)
        };
    }

    /// Children come after their container, so from the back all of them are done before it is.
    fn hash_containers(&mut self, json: &Json) {
        for id in (0..self.nodes.len()).rev() {
            let mut hasher = DefaultHasher::new();
            let (Shape::Array(children) | Shape::Object(children)) = &self.nodes[id].shape else {
                continue;
            };
            matches!(self.nodes[id].shape, Shape::Object(_)).hash(&mut hasher);
            for child in children {
                let child = &self.nodes[*child];
                if let Some(name) = child.name {
                    self.text[json.tokens[name].range()].hash(&mut hasher);
                }
                child.hash.hash(&mut hasher);
            }
            self.nodes[id].hash = hasher.finish();
        }
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// The members or elements of a value; none of a leaf.
    pub(super) fn children(&self, id: Id) -> &[Id] {
        match &self.nodes[id].shape {
            Shape::Leaf => &[],
            Shape::Array(children) | Shape::Object(children) => children,
        }
    }

    /// The text of a value, with the white space inside it.
    pub(super) fn raw(&self, id: Id) -> &'t str {
        &self.text[self.span(id)]
    }

    /// The bytes of a value.
    pub(super) fn span(&self, id: Id) -> Range<usize> {
        let node = &self.nodes[id];
        self.tokens[node.first].range().start..self.tokens[node.last].range().end
    }

    /// The text of a value in one line.
    pub(super) fn compact(&self, id: Id) -> String {
        self.tokens_of(id)
            .map(|token| &self.text[token.range()])
            .collect()
    }

    /// The name of a member as it is spelled, with its quotes.
    pub(super) fn quoted_name(&self, id: Id) -> Option<&'t str> {
        let name = self.nodes[id].name?;
        Some(&self.text[self.tokens[name].range()])
    }

    /// What a value is.
    pub(super) fn sort(&self, id: Id) -> Sort {
        match self.nodes[id].shape {
            Shape::Leaf => Sort::Leaf,
            Shape::Array(_) => Sort::Array,
            Shape::Object(_) => Sort::Object,
        }
    }

    /// The step to a value that stands in this place of its container.
    pub(super) fn step(&self, id: Id, place: usize) -> Step {
        match self.nodes[id].name {
            None => Step::Element(place),
            Some(name) => Step::Member {
                name: self.name_of(&self.tokens[name]),
                nth: self.nodes[id].nth,
            },
        }
    }

    /// The white space before a value, its name included.
    pub(super) fn lead(&self, id: Id) -> &'t str {
        let node = &self.nodes[id];
        self.gap_before(node.name.unwrap_or(node.first))
    }

    /// The white space after a value.
    pub(super) fn trail(&self, id: Id) -> &'t str {
        self.gap_before(self.nodes[id].last + 1)
    }

    /// The white space before and after the colon of a member.
    pub(super) fn around_colon(&self, id: Id) -> Option<(&'t str, &'t str)> {
        let name = self.nodes[id].name?;
        Some((self.gap_before(name + 1), self.gap_before(name + 2)))
    }

    /// A number that is the same for values that are the same.
    pub(super) fn hash(&self, id: Id) -> u64 {
        self.nodes[id].hash
    }

    /// Whether two values have the same tokens.
    pub(super) fn is_same(&self, id: Id, other: &Tree<'_>, theirs: Id) -> bool {
        self.nodes[id].hash == other.nodes[theirs].hash
            && self
                .tokens_of(id)
                .map(|token| &self.text[token.range()])
                .eq(other
                    .tokens_of(theirs)
                    .map(|token| &other.text[token.range()]))
    }

    fn tokens_of(&self, id: Id) -> impl Iterator<Item = &Token> {
        let node = &self.nodes[id];
        self.tokens[node.first..=node.last].iter()
    }

    fn gap_before(&self, token: usize) -> &'t str {
        let start = token
            .checked_sub(1)
            .and_then(|before| self.tokens.get(before))
            .map_or(0, |before| before.range().end);
        let end = self
            .tokens
            .get(token)
            .map_or(self.text.len(), |token| token.range().start);
        &self.text[start..end]
    }

    /// What a name says. One that is no Unicode text stands for itself.
    fn name_of(&self, token: &Token) -> String {
        let quoted = &self.text[token.range()];
        let inside = &quoted[1..quoted.len().saturating_sub(1).max(1)];
        if quoted.contains('\\') {
            serde_json::from_str(quoted).unwrap_or_else(|_| inside.to_owned())
        } else {
            inside.to_owned()
        }
    }
}

/// For each child of a container its partner in another one: the member of that name, or the
/// element that it is or was made of.
pub(super) fn partners(
    new: &Tree<'_>,
    new_id: Id,
    old: &Tree<'_>,
    old_id: Id,
) -> Vec<Option<usize>> {
    let (children, models) = (new.children(new_id), old.children(old_id));
    if new.sort(new_id) == Sort::Object {
        let places: HashMap<_, _> = models
            .iter()
            .enumerate()
            .map(|(place, model)| (old.step(*model, 0), place))
            .collect();
        return children
            .iter()
            .map(|child| places.get(&new.step(*child, 0)).copied())
            .collect();
    }
    let hunks = align::hunks(
        models.iter().map(|model| old.hash(*model)),
        children.iter().map(|child| new.hash(*child)),
    );
    align::partners(&hunks, children.len())
}

/// A container that is being read.
#[derive(Debug)]
struct Builder {
    id: Id,
    is_object: bool,
    children: Vec<Id>,
    names: HashMap<String, usize>,
}

impl Builder {
    fn new(id: Id, is_object: bool) -> Self {
        Self {
            id,
            is_object,
            children: Vec::new(),
            names: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(tree: &Tree<'_>, id: Id, place: usize, out: &mut Vec<String>) {
        out.push(format!("{} {}", tree.step(id, place), tree.compact(id)));
        for (place, child) in tree.children(id).iter().enumerate() {
            outline(tree, *child, place, out);
        }
    }

    #[test]
    fn values_are_found_with_their_names() {
        let text = r#" {"a" : [1, {"b\u0041":2.0e+1}], "a":null, "":{}} "#;
        let tree = Tree::parse(text).unwrap();
        let mut out = Vec::new();
        outline(&tree, Tree::ROOT, 0, &mut out);
        assert_eq!(
            out[1..],
            [
                r#".a [1,{"b\u0041":2.0e+1}]"#,
                "[0] 1",
                r#"[1] {"b\u0041":2.0e+1}"#,
                ".bA 2.0e+1",
                ".a#2 null",
                r#"[""] {}"#,
            ]
        );
        let a = tree.children(Tree::ROOT)[0];
        assert_eq!((tree.lead(a), tree.trail(a)), ("", ""));
        assert_eq!(tree.around_colon(a), Some((" ", " ")));
        assert_eq!(tree.raw(a), r#"[1, {"b\u0041":2.0e+1}]"#);
        assert_eq!((tree.lead(Tree::ROOT), tree.trail(Tree::ROOT)), (" ", " "));
    }

    #[test]
    fn spelling_counts_and_white_space_does_not() {
        let one = Tree::parse("[1.0, [2]]").unwrap();
        let same = Tree::parse("[1.0,\n[ 2]]").unwrap();
        let other = Tree::parse("[1.00, [2]]").unwrap();
        assert!(one.is_same(0, &same, 0));
        assert!(!one.is_same(0, &other, 0));
        assert!(one.is_same(2, &other, 2));
    }

    #[test]
    fn any_depth_can_be_read() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let tree = Tree::parse(&deep).unwrap();
        assert_eq!(tree.nodes.len(), MOST_DEPTH + 1);
        assert!(tree.is_same(0, &Tree::parse(&deep).unwrap(), 0));
        assert_eq!(tree.compact(0), deep);
    }
}
