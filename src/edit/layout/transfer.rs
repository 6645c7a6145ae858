//! The tokens of one text with the white space of another.

use super::style::{Style, indentation};
use crate::edit::tree::{Id, Sort, Tree, partners};

/// The tokens of `content` with the white space of `layout`: values that both have keep theirs, and
/// what is new is set as its neighbours are. `None` where one of them is not JSON.
pub(in crate::edit) fn transfer(layout: &str, content: &str) -> Option<String> {
    let layout = Tree::parse(layout).ok()?;
    let content = Tree::parse(content).ok()?;
    let mut transfer = Transfer {
        style: Style::of(layout.text()),
        keeps_lines: content.raw(Tree::ROOT).contains('\n'),
        layout,
        content,
        out: String::new(),
    };
    transfer.run();
    Some(transfer.out)
}

struct Transfer<'t> {
    layout: Tree<'t>,
    content: Tree<'t>,
    style: Style,
    /// Whether the content's own line breaks, and that it has none somewhere, mean anything.
    keeps_lines: bool,
    out: String,
}

impl Transfer<'_> {
    fn run(&mut self) {
        let lead = self.layout.lead(Tree::ROOT);
        self.out.push_str(lead);
        self.value(Tree::ROOT, Some(Tree::ROOT), indentation(lead));
        self.out.push_str(self.layout.trail(Tree::ROOT));
    }

    /// Writes a value. Its counterpart in the layout says where its white space comes from;
    /// `indent` is the indentation of the line that it begins in.
    fn value(&mut self, id: Id, counterpart: Option<Id>, indent: &str) {
        let Some(like) = counterpart else {
            return self.new_value(id, indent);
        };
        if self.content.is_same(id, &self.layout, like) {
            self.out.push_str(self.layout.raw(like));
            return;
        }
        let sort = self.content.sort(id);
        if sort != Sort::Leaf && sort == self.layout.sort(like) {
            self.container(id, like, indent);
        } else {
            self.new_value(id, indent);
        }
    }

    fn container(&mut self, id: Id, like: Id, indent: &str) {
        let children = self.content.children(id).to_vec();
        let models = self.layout.children(like).to_vec();
        let (Some(&first), Some(&last)) = (models.first(), models.last()) else {
            return self.new_value(id, indent);
        };
        let partners = partners(&self.content, id, &self.layout, like);
        self.out.push_str(bracket(&self.content, id, Side::Open));
        // What stands before a child that is not the first, where nothing better is known.
        let mut lead = models.get(1).map_or_else(
            || self.lead_of_second(first),
            |second| self.layout.lead(*second).to_owned(),
        );
        for (place, (&child, partner)) in children.iter().zip(partners).enumerate() {
            let partner = partner.map(|at| (at, models[at]));
            if place > 0 {
                self.out.push(',');
            }
            if let Some((_, model)) = partner.filter(|(at, _)| *at > 0 && place > 0) {
                self.layout.lead(model).clone_into(&mut lead);
            }
            let before = if place == 0 {
                self.layout.lead(first)
            } else {
                &lead
            };
            let child_indent = if before.contains('\n') {
                indentation(before).to_owned()
            } else {
                indent.to_owned()
            };
            self.out.push_str(before);
            self.name(child, Some(partner.map_or(first, |(_, model)| model)));
            self.value(child, partner.map(|(_, model)| model), &child_indent);
            let after = match partner {
                _ if place + 1 == children.len() => self.layout.trail(last),
                Some((_, model)) if model != last => self.layout.trail(model),
                _ if first != last => self.layout.trail(first),
                _ => "",
            };
            self.out.push_str(after);
        }
        self.out.push_str(bracket(&self.content, id, Side::Close));
    }

    /// What stands before a second child where there was only one.
    fn lead_of_second(&self, only: Id) -> String {
        let lead = self.layout.lead(only);
        if lead.contains('\n') {
            lead.to_owned()
        } else {
            self.style.after_comma.clone()
        }
    }

    fn name(&mut self, child: Id, like: Option<Id>) {
        let Some(name) = self.content.quoted_name(child) else {
            return;
        };
        self.out.push_str(name);
        let around = like.and_then(|like| self.layout.around_colon(like));
        let (before, after) = around.unwrap_or((&self.style.before_colon, &self.style.after_colon));
        self.out.push_str(before);
        self.out.push(':');
        self.out.push_str(after);
    }

    /// Writes a value that the layout has nothing for.
    fn new_value(&mut self, id: Id, indent: &str) {
        let raw = self.content.raw(id);
        let children = self.content.children(id).to_vec();
        if children.is_empty() {
            self.out.push_str(&self.content.compact(id));
            return;
        }
        let newline = self.style.newline;
        if newline.is_some() && self.keeps_lines && !raw.contains('\n') {
            self.out.push_str(raw);
            return;
        }
        let inside = format!("{indent}{}", self.style.indent);
        self.out.push_str(bracket(&self.content, id, Side::Open));
        for (place, child) in children.into_iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            match newline {
                Some(newline) => {
                    self.out.push_str(newline);
                    self.out.push_str(&inside);
                }
                None if place > 0 => self.out.push_str(&self.style.after_comma),
                None => {}
            }
            self.name(child, None);
            self.new_value(child, &inside);
        }
        if let Some(newline) = newline {
            self.out.push_str(newline);
            self.out.push_str(indent);
        }
        self.out.push_str(bracket(&self.content, id, Side::Close));
    }
}

#[derive(Clone, Copy)]
enum Side {
    Open,
    Close,
}

fn bracket(tree: &Tree<'_>, id: Id, side: Side) -> &'static str {
    match (tree.sort(id), side) {
        (Sort::Object, Side::Open) => "{",
        (Sort::Object, Side::Close) => "}",
        (_, Side::Open) => "[",
        (_, Side::Close) => "]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::testing::{json, spaced};
    use crate::edit::{minified, pretty};
    use proptest::prelude::*;

    fn moved(layout: &str, content: &str) -> String {
        transfer(layout, content).unwrap()
    }

    #[test]
    fn what_is_new_is_set_as_its_neighbours_are() {
        let python = r#"{"a": 1, "b": [1, 2]}"#;
        assert_eq!(
            moved(python, r#"{"a":1,"b":[1,3,2],"c":{"d":[1,2]}}"#),
            r#"{"a": 1, "b": [1, 3, 2], "c": {"d": [1, 2]}}"#
        );
        let lines = "{\n\t\"a\": 1,\n\t\"b\": [1, 2]\n}\n";
        assert_eq!(
            moved(lines, r#"{"a":1,"n":{"x":[1],"y":{}},"b":[1,2,3]}"#),
            "{\n\t\"a\": 1,\n\t\"n\": {\n\t\t\"x\": [\n\t\t\t1\n\t\t],\n\t\t\"y\": {}\n\t},\n\t\"b\": [1, 2, 3]\n}\n"
        );
        assert_eq!(
            moved("{\r\n  \"a\": 1\r\n}", r#"{"b":2,"a":1}"#),
            "{\r\n  \"b\": 2,\r\n  \"a\": 1\r\n}"
        );
        assert_eq!(
            moved("{ \"a\" : 1 , \"b\" : 2 }", r#"{"b":2}"#),
            "{ \"b\" : 2 }"
        );
        assert_eq!(moved("{ \"a\" : 1 }", "{}"), "{}");
        assert_eq!(moved("[1,2, 3]", "[1,3]"), "[1, 3]");
        assert_eq!(moved("[]", "[1,[2,3]]"), "[1,[2,3]]");
    }

    #[test]
    fn lists_in_one_line_stay_in_one_line_where_the_content_has_them_so() {
        let layout = "{\n  \"a\": 1\n}";
        let content = "{\n  \"a\": 1,\n  \"tags\": [\"x\", \"y\"]\n}";
        assert_eq!(moved(layout, content), content);
    }

    proptest! {
        #[test]
        fn tokens_are_the_contents(layout in spaced(), content in spaced()) {
            let moved = moved(&layout, &content);
            prop_assert_eq!(minified(&moved).unwrap(), minified(&content).unwrap());
        }

        #[test]
        fn the_same_content_gives_the_layout_itself(layout in spaced()) {
            prop_assert_eq!(moved(&layout, &pretty(&layout).unwrap()), layout.clone());
            prop_assert_eq!(moved(&layout, &minified(&layout).unwrap()), layout);
        }

        #[test]
        fn a_minified_text_stays_minified(layout in json(), content in spaced()) {
            let layout = minified(&layout).unwrap();
            let content = pretty(&content).unwrap();
            prop_assert_eq!(moved(&layout, &content), minified(&content).unwrap());
        }
    }
}
