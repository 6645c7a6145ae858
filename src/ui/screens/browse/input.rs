//! What keys, commands and the mouse do to Browse.

use crossterm::event::KeyEvent;
use ratatui::layout::{Position, Rect};

use super::keys::Keys;
use super::{Browse, Focus, Wish};
use crate::ui::canvas::Pane;
use crate::ui::command::Command;
use crate::ui::context::{Context, copy};
use crate::ui::filter::{FilterLine, Typed};
use crate::ui::viewport::Step;

impl Browse {
    /// Types a key into the filter that is open; says whether one is.
    pub fn type_into_filter(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> bool {
        let Some(line) = self.filter_line() else {
            return false;
        };
        if !line.is_typing() {
            return false;
        }
        match line.key(key) {
            Typed::Changed => self.filter_changed(ctx),
            Typed::Unused => {
                use crossterm::event::KeyCode;
                let step = match key.code {
                    KeyCode::Up => Step::By(-1),
                    KeyCode::Down => Step::By(1),
                    KeyCode::PageUp => Step::Halves(-2),
                    KeyCode::PageDown => Step::Halves(2),
                    _ => return true,
                };
                self.step(step, ctx);
            }
            Typed::Accepted | Typed::Cancelled | Typed::Nothing => {}
        }
        true
    }

    /// Pastes into the filter that is open.
    pub fn paste(&mut self, text: &str, ctx: &mut Context<'_>) {
        let Some(line) = self.filter_line() else {
            return;
        };
        if line.is_typing() {
            line.paste(text);
            self.filter_changed(ctx);
        }
    }

    fn filter_changed(&mut self, ctx: &mut Context<'_>) {
        match (self.focus, &mut self.keys) {
            (Focus::Buckets, _) => self.buckets.filter_changed(),
            (Focus::Keys, Some(keys)) => keys.filter_changed(),
            (Focus::Keys, None) => {}
            (Focus::Entry, _) => self.entry.search_changed(),
        }
        self.look_at_selection(ctx);
    }

    fn step(&mut self, step: Step, ctx: &mut Context<'_>) {
        match (self.focus, &mut self.keys) {
            (Focus::Buckets, _) => self.buckets.step(step),
            (Focus::Keys, Some(keys)) => keys.step(step),
            (Focus::Keys, None) => {}
            (Focus::Entry, _) => self.entry.step(step),
        }
        self.look_at_selection(ctx);
    }

    /// Runs a command on the pane that has the keyboard.
    pub fn command(
        &mut self,
        command: Command,
        argument: Option<&str>,
        ctx: &mut Context<'_>,
    ) -> Option<Wish> {
        if let Some(step) = Step::of(command) {
            self.step(step, ctx);
            return None;
        }
        match (command, argument) {
            (Command::Filter, Some(filter)) => {
                self.filter_line()?.set(filter);
                self.filter_changed(ctx);
            }
            (Command::Filter, None) => self.filter_line()?.begin(),
            (Command::Back, _) => self.back(ctx),
            (Command::CopyKey, _) => {
                copy(self.keys.as_ref()?.selected()?.to_owned(), "the key", ctx);
            }
            (Command::CopyValue, _) => self.entry.copy(ctx),
            (Command::Reveal, _) => self.entry.reveal(),
            (Command::Open | Command::Right, _) => return self.go_in(command, ctx),
            (Command::Left, _) => self.go_out(),
            _ => {
                match self.focus {
                    Focus::Buckets => {}
                    Focus::Keys => self.keys.as_mut()?.command(command),
                    Focus::Entry => self.entry.command(command),
                }
                self.look_at_selection(ctx);
            }
        }
        None
    }

    fn filter_line(&mut self) -> Option<&mut FilterLine> {
        match self.focus {
            Focus::Buckets => Some(&mut self.buckets.filter),
            Focus::Keys => self.keys.as_mut().map(|keys| &mut keys.filter),
            Focus::Entry => Some(&mut self.entry.search),
        }
    }

    /// Esc: the filters go first, then the pane.
    fn back(&mut self, ctx: &mut Context<'_>) {
        if let Some(line) = self.filter_line()
            && !line.text().is_empty()
        {
            line.set("");
            self.filter_changed(ctx);
            return;
        }
        if self.focus == Focus::Keys && self.keys.as_mut().is_some_and(Keys::unmark) {
            return;
        }
        if self.focus == Focus::Keys && self.keys.as_ref().is_some_and(Keys::is_sifted) {
            return self.show_all(ctx);
        }
        self.focus = match self.focus {
            Focus::Entry => Focus::Keys,
            Focus::Keys | Focus::Buckets => Focus::Buckets,
        };
    }

    fn go_in(&mut self, command: Command, ctx: &mut Context<'_>) -> Option<Wish> {
        match self.focus {
            Focus::Buckets => {
                let bucket = self.buckets.selected()?;
                if self.open_bucket() == Some(&bucket) {
                    self.focus = Focus::Keys;
                    return None;
                }
                return Some(Wish::Open(bucket));
            }
            Focus::Keys => {
                let keys = self.keys.as_mut()?;
                let toggles = command == Command::Open;
                if !keys.open_branch(toggles) && keys.selected().is_some() {
                    self.focus = Focus::Entry;
                }
                self.look_at_selection(ctx);
            }
            Focus::Entry if command == Command::Open => self.entry.toggle_fold(),
            Focus::Entry => self.entry.right(),
        }
        None
    }

    fn go_out(&mut self) {
        match (self.focus, &mut self.keys) {
            (Focus::Entry, _) => {
                if !self.entry.left() {
                    self.focus = Focus::Keys;
                }
            }
            (Focus::Keys, Some(keys)) => {
                if !keys.close_branch() {
                    self.focus = Focus::Buckets;
                }
            }
            (Focus::Keys | Focus::Buckets, _) => self.focus = Focus::Buckets,
        }
    }

    /// Selects a key by its name, and opens what hides it.
    pub fn select_key(&mut self, key: &str, ctx: &mut Context<'_>) {
        self.show_all(ctx);
        if let Some(keys) = &mut self.keys {
            keys.wish_for(key);
            self.focus = Focus::Keys;
        }
        self.look_at_selection(ctx);
    }

    /// Takes a click on a row.
    pub fn click(&mut self, pane: Pane, row: usize, ctx: &mut Context<'_>) -> Option<Wish> {
        let was = self.focus;
        self.focus(pane);
        match (pane, &mut self.keys) {
            (Pane::Buckets, _) => {
                self.buckets.select(row);
                let bucket = self.buckets.selected()?;
                if self.open_bucket() != Some(&bucket) {
                    return Some(Wish::Open(bucket));
                }
            }
            (Pane::Keys, Some(keys)) => {
                let again = was == Focus::Keys && keys.row() == row;
                keys.select(row);
                if again {
                    keys.open_branch(true);
                }
            }
            (Pane::Entry, _) => {
                let again = was == Focus::Entry && self.entry.row() == row;
                self.entry.select(row);
                if again {
                    self.entry.toggle_fold();
                }
            }
            _ => {}
        }
        self.look_at_selection(ctx);
        None
    }

    /// Scrolls a pane by the wheel.
    pub fn scroll(&mut self, pane: Pane, by: isize) {
        match (pane, &mut self.keys) {
            (Pane::Buckets, _) => self.buckets.scroll(by),
            (Pane::Keys, Some(keys)) => keys.scroll(by),
            (Pane::Entry, _) => self.entry.scroll(by),
            _ => {}
        }
    }

    /// Drags a line between two panes.
    pub fn drag(&mut self, split: u8, to: Position, area: Rect) {
        self.layout.drag(split, to, area);
    }
}
