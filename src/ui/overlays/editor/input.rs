//! What keys, pastes and clicks do to the editor.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::find::{self, Find};
use super::{Editor, Outcome, Question, Wish};
use crate::ui::command::Command;
use crate::ui::context::{Context, copy};
use crate::ui::edits::{Ask, DraftState};
use crate::ui::filter;

impl Editor {
    /// Takes a key, and the command that it is bound to, if it is.
    pub fn key(
        &mut self,
        key: KeyEvent,
        command: Option<Command>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        if let Some((.., Wish::Outside | Wish::Propose)) = self.asked {
            // The text is on its way: what would be typed now would not be in it.
            return Outcome::Open;
        }
        if self.question.is_some() {
            return self.answer_question(key, ctx);
        }
        if self.find.is_some() && self.find_key(key, command, ctx) {
            return Outcome::Open;
        }
        let before = self.buffer.version();
        if let Some(command) = command {
            let outcome = self.command(command, ctx);
            self.touched(before, ctx);
            return outcome;
        }
        let is_shortcut = key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
            && matches!(key.code, KeyCode::Char(_));
        if !is_shortcut {
            self.buffer
                .key(key, self.viewport.height, &self.placeholders);
        }
        self.touched(before, ctx);
        Outcome::Open
    }

    fn command(&mut self, command: Command, ctx: &mut Context<'_>) -> Outcome {
        let placeholders = std::sync::Arc::clone(&self.placeholders);
        match command {
            Command::Save => return self.hand_on(ctx),
            Command::Format => {
                let text = self.buffer.text();
                self.ask(Wish::Format, Ask::Format(text), ctx);
            }
            Command::Undo if !self.buffer.undo(&placeholders) => ctx.tell("nothing to undo"),
            Command::Redo if !self.buffer.redo(&placeholders) => ctx.tell("nothing to redo"),
            Command::SelectAll => self.buffer.select_all(),
            Command::CopySelection => match self.buffer.copy(false, &placeholders) {
                Some(text) => copy(text, "the selection", ctx),
                None => ctx
                    .tell("nothing is selected: Shift and an arrow selects; Esc leaves the editor"),
            },
            Command::Cut => {
                if let Some(text) = self.buffer.copy(true, &placeholders) {
                    copy(text, "the selection", ctx);
                }
            }
            Command::Paste => self.buffer.paste(&placeholders),
            Command::Find => {
                let mut find = Find::new(self.buffer.cursor(), "");
                find.count(self.buffer.lines());
                self.find = Some(find);
            }
            Command::NextMatch => self.jump(false, ctx),
            Command::PreviousMatch => self.jump(true, ctx),
            Command::Reveal => self.reveal(ctx),
            Command::Outside => self.hand_out(ctx),
            Command::Help => return Outcome::Help,
            Command::Suspend => return Outcome::Suspend,
            Command::Redraw => return Outcome::Redraw,
            // What would be lost by it is asked for first.
            Command::Quit if self.is_changed() && !self.has_draft() => {
                self.question = Some(Question::Leave);
            }
            Command::Quit => return Outcome::Quit,
            Command::Back => {
                if !self.is_changed() {
                    return self.leave(ctx);
                }
                self.question = Some(Question::Leave);
            }
            _ => {}
        }
        Outcome::Open
    }

    /// Closes it; there is nothing to keep.
    fn leave(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if self.buffer.version() != self.clean {
            self.drop_draft(ctx);
        }
        Outcome::Closed
    }

    /// Whether what is typed outlives the program.
    fn has_draft(&self) -> bool {
        self.part.is_none() && !matches!(self.draft.state, Some(DraftState::NotKept(_)))
    }

    /// The user is done with the text: it is to be looked at and saved, or to stand for the part.
    fn hand_on(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if self.part.is_none() {
            self.propose(ctx);
            return Outcome::Open;
        }
        match self.placeholders.restore(&self.buffer.text()) {
            Ok(text) => return Outcome::Took(text),
            Err(broken) => ctx.warn(broken.to_string()),
        }
        Outcome::Open
    }

    pub(super) fn propose(&mut self, ctx: &mut Context<'_>) {
        // After a write that may have landed, the same text is something to save.
        if !self.is_changed() && !self.save.is_in_doubt() && !self.is_new() {
            return ctx.tell(super::answers::UNCHANGED);
        }
        let (typed, save) = (self.typed(), Box::new(self.save.clone()));
        self.ask(Wish::Propose, Ask::Propose(typed, save), ctx);
    }

    /// Shows the secrets where there are placeholders, or else puts placeholders there.
    fn reveal(&mut self, ctx: &mut Context<'_>) {
        let lines = self.buffer.lines();
        let is_masked = lines.iter().any(|line| self.placeholders.are_in(line));
        if !is_masked {
            let typed = self.typed();
            return self.ask(Wish::Mask, Ask::Mask(typed), ctx);
        }
        match self.placeholders.restore(&self.buffer.text()) {
            Ok(text) => self.buffer.replace(&text, &self.placeholders),
            Err(broken) => ctx.warn(broken.to_string()),
        }
    }

    fn answer_question(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        let Some(question) = self.question.take() else {
            return Outcome::Open;
        };
        match (question, key.code) {
            (Question::Leave, KeyCode::Char('s')) => return self.hand_on(ctx),
            (Question::Leave, KeyCode::Char('k')) if self.part.is_none() => {
                self.keep(ctx);
                self.question = Some(Question::Keeping);
            }
            (Question::Leave, KeyCode::Char('d')) => {
                self.drop_draft(ctx);
                if self.part.is_none() {
                    ctx.tell("the text was dropped; the key is as it was");
                }
                return Outcome::Closed;
            }
            (Question::Leave, KeyCode::Esc | KeyCode::Enter)
            | (Question::Keeping, KeyCode::Esc) => {}
            (Question::Draft(draft), KeyCode::Char('t') | KeyCode::Enter) => {
                self.take_up(*draft, ctx);
                if self.is_for_outside {
                    self.hand_out(ctx);
                }
            }
            (Question::Draft(_), KeyCode::Char('d')) => {
                self.drop_draft(ctx);
                if self.is_for_outside {
                    self.hand_out(ctx);
                }
            }
            (Question::Draft(_), KeyCode::Esc) => return Outcome::Closed,
            (question, _) => self.question = Some(question),
        }
        Outcome::Open
    }

    /// Types into the line of a search; says whether the key was for it.
    fn find_key(&mut self, key: KeyEvent, command: Option<Command>, ctx: &mut Context<'_>) -> bool {
        match command {
            Some(Command::NextMatch) => self.jump(false, ctx),
            Some(Command::PreviousMatch) => self.jump(true, ctx),
            Some(command) if command != Command::Back => {
                self.find = None;
                return false;
            }
            _ => {
                let Some(find) = &mut self.find else {
                    return false;
                };
                match find.key(key) {
                    filter::Typed::Changed => {
                        find.count(self.buffer.lines());
                        let from = find.from();
                        self.buffer.go_to(from, &self.placeholders);
                        self.jump_from(from, false);
                    }
                    filter::Typed::Accepted => self.jump(false, ctx),
                    filter::Typed::Cancelled => self.find = None,
                    filter::Typed::Unused => {
                        self.find = None;
                        return false;
                    }
                    filter::Typed::Nothing => {}
                }
            }
        }
        self.follow();
        true
    }

    /// To the next place of what is looked for.
    fn jump(&mut self, backwards: bool, ctx: &mut Context<'_>) {
        if self.find.is_none() {
            return ctx.tell("Ctrl-w looks for a text");
        }
        let selection = self.buffer.selection();
        let (start, end) = selection.unwrap_or((self.buffer.cursor(), self.buffer.cursor()));
        self.jump_from(if backwards { start } else { end }, backwards);
        self.follow();
    }

    fn jump_from(&mut self, from: super::buffer::Place, backwards: bool) {
        let needle = self.find.as_ref().map_or("", |find| find.input().value());
        let found = find::next(self.buffer.lines(), needle, from, backwards);
        if let Some((from, to)) = found {
            self.buffer.select(from, to, &self.placeholders);
        }
    }

    /// Pastes.
    pub fn paste(&mut self, text: &str, ctx: &mut Context<'_>) {
        if self.question.is_some()
            || matches!(self.asked, Some((.., Wish::Outside | Wish::Propose)))
        {
            return;
        }
        let before = self.buffer.version();
        match &mut self.find {
            Some(find) => {
                find.paste(text);
                find.count(self.buffer.lines());
            }
            None => self.buffer.insert(text, &self.placeholders),
        }
        self.touched(before, ctx);
    }

    /// Puts the cursor where the mouse clicked: a line, and a column of the window.
    pub fn click(&mut self, row: usize, column: usize) {
        let line = self.buffer.lines().get(row).map_or("", String::as_str);
        let wanted = self.column + column;
        let letters = line.chars().count();
        // Where a letter ends behind the click, it is that letter.
        let letter = (0..letters).find(|letter| super::draw::column_of(line, letter + 1) > wanted);
        self.buffer
            .go_to((row, letter.unwrap_or(letters)), &self.placeholders);
        self.follow();
    }

    /// Scrolls by the wheel; the cursor is kept in sight.
    pub fn scroll(&mut self, by: isize) {
        let len = self.buffer.lines().len();
        self.viewport.scroll(by, len);
        let rows = self.viewport.rows(len);
        let (row, column) = self.buffer.cursor();
        let last = rows.end.saturating_sub(1).max(rows.start);
        let wanted = row.clamp(rows.start, last);
        if wanted != row {
            self.buffer.go_to((wanted, column), &self.placeholders);
            self.follow();
        }
    }
}
