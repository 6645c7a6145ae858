//! Two changes of one value, to be joined: what each side has, and what comes of it.
//!
//! ```text
//! ┏ app.billing.limits moved from revision 8841 to 8843 while you edited ━━━━━━━━━━━━━━━━┓
//! ┃ path              base        mine        theirs      result                          ┃
//! ┃ .max_per_day      25000       40000       25000       40000   merged                  ┃
//! ┃ .currency         "EUR"       "EUR"       "USD"       "USD"   merged                  ┃
//! ┃▸.provider.url     …/v2        …/v3        …/v2b       choose: 1 mine 2 theirs e edit  ┃
//! ┗ 1 to choose ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┛
//! ```
//!
//! What comes of it is proposed and saved like any other value, on the revision of theirs. If the
//! key moves again meanwhile, the result is mine for the next time.

mod draw;

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::editor::Part;
use super::waiting::Conflicting;
use crate::edit::merge::{Choice, MergeError, Merged, Place};
use crate::edit::save::Save;
use crate::edit::{Masking, Merge, Source};
use crate::kv::{BucketName, Revision, WatchEvent};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::edits::{self, Ask, Opened};
use crate::ui::filter::{self, paste, type_key};
use crate::ui::viewport::{Step, Viewport};

/// The open view.
#[derive(Debug)]
pub struct Conflict {
    merge: Merge,
    conflicting: Conflicting,
    /// A revision after theirs that a watch told of.
    moved: Option<Revision>,
    row: usize,
    viewport: Viewport,
    is_revealed: bool,
    /// The text for the selected row, as it is being typed, and what is wrong with it.
    typed: Option<(Input, Option<String>)>,
}

/// What a key did to the view.
#[derive(Debug)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed: back to the editor, with its text as it was.
    Closed,
    /// The program is to be left.
    Quit,
    /// This is to be proposed.
    Propose(Box<Ask>),
    /// The key is to stay gone, as they left it.
    LeaveGone(Revision),
    /// The choice takes several lines: it is to be edited, and then taken.
    EditPart(Part),
}

impl Conflict {
    /// The view of two changes, joined as far as they can be.
    pub fn new(merge: Merge, conflicting: Conflicting) -> Self {
        let first = merge.rows().iter().position(|row| row.choice.is_none());
        Self {
            merge,
            conflicting,
            moved: None,
            row: first.unwrap_or(0),
            viewport: Viewport::default(),
            is_revealed: false,
            typed: None,
        }
    }

    /// What a watch told, as far as it concerns this key.
    pub fn seen(&mut self, bucket: &BucketName, batch: &[WatchEvent]) {
        for event in batch {
            if let WatchEvent::Entry(entry) = event
                && *bucket == self.conflicting.proposed.bucket
                && entry.key == *self.conflicting.save.key()
                && entry.revision > self.conflicting.newest.revision
            {
                self.moved = Some(entry.revision);
            }
        }
    }

    /// The newest revision that a watch told of since the key was read for this.
    pub fn moved_to(&self) -> Option<Revision> {
        self.moved
    }

    /// Whether keys go into a line.
    pub fn is_typing(&self) -> bool {
        self.typed.is_some()
    }

    /// Types a key into the line that is open.
    pub fn type_key(&mut self, key: KeyEvent) {
        let Some((input, fault)) = &mut self.typed else {
            return;
        };
        if key.code == KeyCode::Backspace && input.value().is_empty() {
            return;
        }
        match type_key(input, key) {
            filter::Typed::Cancelled => self.typed = None,
            filter::Typed::Accepted => {
                let choice = Choice::Text(input.value().to_owned());
                match self.merge.choose(self.row, choice) {
                    Ok(()) => {
                        self.typed = None;
                        self.next();
                    }
                    Err(error) => *fault = Some(error.to_string()),
                }
            }
            filter::Typed::Changed => *fault = None,
            filter::Typed::Nothing | filter::Typed::Unused => {}
        }
    }

    /// Pastes into the line that is open.
    pub fn paste(&mut self, text: &str) {
        if let Some((input, _)) = &mut self.typed {
            paste(input, text);
        }
    }

    /// Takes a command.
    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) -> Outcome {
        if let Some(step) = Step::of(command) {
            self.select(step.from(self.row, self.viewport, self.merge.rows().len()));
            return Outcome::Open;
        }
        match command {
            Command::Back => return Outcome::Closed,
            Command::Quit => return Outcome::Quit,
            Command::Reveal => self.is_revealed = !self.is_revealed,
            Command::ChooseMine => self.choose(Choice::Mine, ctx),
            Command::ChooseTheirs => self.choose(Choice::Theirs, ctx),
            Command::Edit | Command::Open => return self.begin_typing(ctx),
            Command::Save => return self.save(ctx),
            _ => {}
        }
        Outcome::Open
    }

    fn choose(&mut self, choice: Choice, ctx: &mut Context<'_>) {
        match self.merge.choose(self.row, choice) {
            Ok(()) => self.next(),
            Err(error) => ctx.warn(error.to_string()),
        }
    }

    fn begin_typing(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let Some(row) = self.merge.rows().get(self.row) else {
            return Outcome::Open;
        };
        let sides = [&row.mine, &row.theirs];
        if !self.is_revealed
            && sides
                .into_iter()
                .flatten()
                .any(crate::edit::Excerpt::has_secrets)
        {
            ctx.warn("it is a secret: m reveals it, then it can be edited");
            return Outcome::Open;
        }
        match self.merge.draft_of(self.row) {
            Some(text) if !text.contains('\n') => {
                self.typed = Some((Input::new(text), None));
                Outcome::Open
            }
            Some(text) => Outcome::EditPart(self.part(text)),
            None => Outcome::Open,
        }
    }

    /// The selected row as a text for the editor.
    fn part(&self, text: String) -> Part {
        let row = self.merge.rows().get(self.row);
        let is_json = row.is_some_and(|row| matches!(row.place, Place::Path(_)));
        // What is no JSON by itself is not to be laid out as if it were.
        let stored = if is_json { text.clone() } else { String::new() };
        let proposed = &self.conflicting.proposed;
        let opened = Opened {
            address: "".into(),
            place: edits::Place {
                bucket: proposed.bucket.clone(),
                key: self.conflicting.save.key().clone(),
            },
            source: Source::open(stored.into()),
            masking: Masking::default(),
            schema: None,
            entry_ttl: false,
            ttl: None,
        };
        Part {
            name: row.map_or_else(String::new, |row| row.place.to_string()),
            opened: Arc::new(opened),
            text,
        }
    }

    /// Takes the text that was made of the selected row.
    ///
    /// # Errors
    /// It can't stand there.
    pub fn take_part(&mut self, text: String) -> Result<(), MergeError> {
        self.merge.choose(self.row, Choice::Text(text))?;
        self.next();
        Ok(())
    }

    /// To the next row that needs a choice.
    fn next(&mut self) {
        let rows = self.merge.rows();
        let open = |at: &usize| rows.get(*at).is_some_and(|row| row.choice.is_none());
        let after = (self.row..rows.len()).chain(0..self.row).find(open);
        self.select(after.unwrap_or(self.row));
    }

    /// Selects a row.
    pub fn select(&mut self, row: usize) {
        let len = self.merge.rows().len();
        self.row = row.min(len.saturating_sub(1));
        self.viewport.follow(self.row, len);
    }

    /// Scrolls, with the selection kept in sight.
    pub fn scroll(&mut self, by: isize) {
        self.select(self.row.saturating_add_signed(by));
    }

    /// Takes the size that the last frame had.
    pub fn fit(&mut self, rows: usize) {
        self.viewport.height = rows;
        self.viewport.follow(self.row, self.merge.rows().len());
    }

    /// The time to live that was asked for, if it is another one than the key had.
    fn asked_ttl(&self) -> Option<Duration> {
        let asked = self.conflicting.proposed.ttl;
        asked.filter(|_| asked != self.conflicting.save.base().ttl)
    }

    fn save(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let bytes = match self.merge.result() {
            Ok(Merged::Value(bytes)) => bytes,
            Ok(Merged::Gone) => return Outcome::LeaveGone(self.conflicting.newest.revision),
            Err(error) => {
                ctx.warn(error.to_string());
                self.next();
                return Outcome::Open;
            }
        };
        let mut save: Save = self.conflicting.save.clone();
        save.rebase(self.conflicting.newest.clone());
        let proposed = &self.conflicting.proposed;
        Outcome::Propose(Box::new(Ask::ProposeBytes {
            bucket: proposed.bucket.clone(),
            save: Box::new(save),
            bytes,
            ttl: self.asked_ttl(),
            schema: proposed.schema.clone(),
        }))
    }
}
