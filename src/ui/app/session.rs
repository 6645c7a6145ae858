//! What is set for this session alone (`:set`), and going to another context (`:ctx`).

use super::{App, Screen, context};
use crate::kv::backend::Capabilities;
use crate::ui::context::Context;
use crate::ui::message::{Effect, MaskChange, Target};
use crate::ui::theme::Theme;

/// What `:set` takes, for completion. A name with nothing behind it goes on with words of one's own.
const WORDS: [&str; 8] = [
    "mask default",
    "mask +",
    "tree on",
    "tree off",
    "deleted on",
    "deleted off",
    "read-only on",
    "read-only off",
];

impl App {
    /// The lines that can stand behind `set`.
    pub(super) fn settable() -> Vec<String> {
        let themes = Theme::BUILT_IN.iter().map(|name| format!("theme {name}"));
        themes.chain(WORDS.map(str::to_owned)).collect()
    }

    /// Sets something for this session.
    pub(super) fn set(&mut self, line: &str) {
        let (name, value) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let value = value.trim();
        let on = match value {
            "on" | "yes" | "true" => Some(true),
            "off" | "no" | "false" => Some(false),
            _ => None,
        };
        match (name, on) {
            ("theme", _) => self.change_theme(Some(value)),
            ("mask", _) => self.set_masks(value),
            ("tree", Some(on)) => self.browse.show_as(Some(on), None),
            ("deleted", Some(on)) => self.browse.show_as(None, Some(on)),
            ("read-only", Some(on)) => {
                context!(self).request(|id| Effect::ReadOnly(id, on));
            }
            ("tree" | "deleted" | "read-only", None) => {
                context!(self).warn(format!("{name} is on or off"));
            }
            _ => context!(self).warn(format!(
                "there is no setting {name:?}; there are theme, mask, tree, deleted, read-only"
            )),
        }
    }

    /// Writes are refused from now on, or no more. Where the place itself is read-only, it stays so.
    pub(super) fn read_only_set(&mut self, on: bool, capabilities: Capabilities) {
        let Some(place) = &mut self.place else {
            return;
        };
        place.capabilities = capabilities;
        let mut ctx = context!(self);
        match (on, capabilities.read_only) {
            (true, _) => ctx.tell("every write is refused from now on, at other places too"),
            (false, false) => ctx.tell("writes are let through again"),
            (false, true) if capabilities.as_of.is_some() => {
                ctx.warn("it stays read-only: it is a snapshot");
            }
            (false, true) => ctx.warn(
                "it stays read-only: it was opened so, by --read-only, KVSCOPE_READ_ONLY or \
                 kvscope.toml; start again without",
            ),
        }
    }

    /// `default` for those from the beginning, `+word` for one more, words with commas for others.
    fn set_masks(&mut self, value: &str) {
        let words = |text: &str| -> Vec<String> {
            let words = text.split(',').map(str::trim);
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let change = match value.strip_prefix('+') {
            _ if value == "default" => MaskChange::AsAtFirst,
            Some(more) => MaskChange::Also(words(more)),
            None => MaskChange::Only(words(value)),
        };
        let is_empty = match &change {
            MaskChange::AsAtFirst => false,
            MaskChange::Also(words) | MaskChange::Only(words) => words.is_empty(),
        };
        let mut ctx = context!(self);
        if is_empty {
            // To show everything is what `reveal` is for, one value at a time.
            ctx.warn("name what to mask: `set mask password,pin`, `set mask +pin`");
            return;
        }
        ctx.effect(Effect::Masks(change));
        ctx.tell("masks changed for this session");
        self.browse.read_again(&mut ctx);
    }

    /// Goes to a context by its name, or to where one is chosen.
    pub(super) fn go_to_context(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.screen = Screen::Connect;
                let mut ctx = context!(self);
                self.connect.go(Target::Context(name.to_owned()), &mut ctx);
            }
            None => self.go_to(Screen::Connect),
        }
    }
}
