//! Keys, the mouse and commands on the Locks screen.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Position, Rect};

use super::{Focus, Locks, Which, Wish};
use crate::ui::canvas::Pane;
use crate::ui::command::Command;
use crate::ui::context::{Context, copy};
use crate::ui::filter::Typed;
use crate::ui::viewport::Step;

impl Locks {
    /// Gives the keyboard to a pane.
    pub fn focus(&mut self, pane: Pane) {
        self.focus = match pane {
            Pane::Locks => Focus::Table,
            Pane::Queue if self.selected().is_some() => Focus::Queue,
            _ => self.focus,
        };
    }

    /// Selects a row that was clicked.
    pub fn click(&mut self, pane: Pane, row: usize, ctx: &mut Context<'_>) {
        let again = self.focus == Focus::Table && pane == Pane::Locks && row == self.row;
        self.focus(pane);
        match pane {
            Pane::Locks if again => self.focus(Pane::Queue),
            Pane::Locks => {
                self.is_chosen = true;
                self.put(row);
                self.follow_selection(ctx);
            }
            Pane::Queue => self.select_line(row),
            _ => {}
        }
    }

    /// Scrolls a pane by the wheel.
    pub fn scroll(&mut self, pane: Pane, by: isize, ctx: &mut Context<'_>) {
        match pane {
            Pane::Locks => {
                let len = self.rows.len();
                self.table.scroll(by, len);
                let rows = self.table.rows(len);
                let last = rows.end.saturating_sub(1).max(rows.start);
                self.is_chosen = true;
                self.put(self.row.clamp(rows.start, last));
                self.follow_selection(ctx);
            }
            Pane::Queue => {
                self.focus(Pane::Queue);
                self.step_queue(Step::By(by));
            }
            _ => {}
        }
    }

    /// Drags the line between the panes.
    pub fn drag(&mut self, to: Position, area: Rect) {
        let rows = u32::from(to.y.saturating_sub(area.y));
        self.share = (rows * 1000).div_ceil(u32::from(area.height.max(1)));
    }

    /// Types a key into the filter that is open; says whether one is. `step` is what the key means
    /// among rows.
    pub fn type_into_filter(
        &mut self,
        key: KeyEvent,
        step: Option<Step>,
        ctx: &mut Context<'_>,
    ) -> bool {
        if !self.filter.is_typing() {
            return false;
        }
        match self.filter.key(key) {
            Typed::Changed => self.filter_changed(ctx),
            Typed::Unused if key.code != KeyCode::Tab => {
                if let Some(step) = step {
                    self.step(step, ctx);
                }
            }
            Typed::Unused | Typed::Accepted | Typed::Cancelled | Typed::Nothing => {}
        }
        true
    }

    /// Pastes into the filter that is open.
    pub fn paste(&mut self, text: &str, ctx: &mut Context<'_>) {
        if self.filter.is_typing() {
            self.filter.paste(text);
            self.filter_changed(ctx);
        }
    }

    fn filter_changed(&mut self, ctx: &mut Context<'_>) {
        self.arrange();
        self.follow_selection(ctx);
    }

    fn step(&mut self, step: Step, ctx: &mut Context<'_>) {
        match self.focus {
            Focus::Table => {
                self.is_chosen = true;
                self.put(step.from(self.row, self.table, self.rows.len()));
                self.follow_selection(ctx);
            }
            Focus::Queue => self.step_queue(step),
        }
    }

    pub(super) fn step_queue(&mut self, step: Step) {
        let len = self.lines();
        self.select_line(step.from(self.line, self.queue, len));
    }

    pub(super) fn select_line(&mut self, line: usize) {
        let len = self.lines();
        self.line = line.min(len.saturating_sub(1));
        self.queue.follow(self.line, len);
    }

    /// How many lines there are to walk over: whoever holds or waits, and the past.
    pub(super) fn lines(&self) -> usize {
        let parties = self
            .selected()
            .map_or(0, |lock| lock.holders.len() + lock.waiters.len());
        parties + self.past.len()
    }

    /// Runs a command.
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
                self.filter.set(filter);
                self.filter_changed(ctx);
            }
            (Command::Filter, None) => {
                self.focus = Focus::Table;
                self.filter.begin();
            }
            (Command::Sort, _) => {
                self.sort = self.sort.next();
                self.is_reversed = false;
                self.filter_changed(ctx);
            }
            (Command::Reverse, _) => {
                self.is_reversed = !self.is_reversed;
                self.filter_changed(ctx);
            }
            (Command::Open | Command::Right, _) => {
                self.is_chosen = true;
                self.focus(Pane::Queue);
            }
            (Command::Left, _) => self.focus = Focus::Table,
            (Command::Back, _) => return self.back(ctx),
            (Command::Process, _) => self.show_process(ctx),
            (Command::Lock, _) => return self.selected.clone().map(Wish::Key),
            (Command::CopyKey, _) => {
                if let Some((_, key)) = &self.selected {
                    copy(key.to_string(), "the key", ctx);
                }
            }
            _ => {}
        }
        None
    }

    /// Esc: the pane goes first, then the filter, then what else was asked for.
    fn back(&mut self, ctx: &mut Context<'_>) -> Option<Wish> {
        if self.focus == Focus::Queue {
            self.focus = Focus::Table;
        } else if !self.filter.text().is_empty() {
            self.filter.set("");
            self.filter_changed(ctx);
        } else if self.which != Which::All {
            self.show(Which::All, ctx);
        } else {
            return Some(Wish::Leave);
        }
        None
    }

    /// Everything that the process of the selected one holds and waits for.
    fn show_process(&mut self, ctx: &mut Context<'_>) {
        match self.selected_party().map(|party| party.session.clone()) {
            Some(session) => self.show(Which::Session(session), ctx),
            None => self.ask_which(ctx),
        }
    }

    /// There are several: the user has to choose.
    pub fn ask_which(&mut self, ctx: &mut Context<'_>) {
        let Some(lock) = self.selected() else {
            return;
        };
        if lock.holders.is_empty() && lock.waiters.is_empty() {
            ctx.tell("nobody here is known by name");
        } else {
            self.focus(Pane::Queue);
            ctx.tell("choose one of them first");
        }
    }
}
