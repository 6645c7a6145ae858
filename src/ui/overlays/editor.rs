//! The editor: a value as text, from the revision at which it was opened.
//!
//! It checks the text while it is typed, through the worker; it hears of what others do to the key;
//! it keeps a draft. What it hands on is a proposal, which is looked at and saved elsewhere (see
//! [`review`](super::review)). Masked secrets are not in its text: see
//! [`placeholders`](crate::ui::placeholders).
//!
//! A part of a value can be edited too, for a choice between two changes: it is handed back to who
//! asked for it, and has no draft.

mod answers;
mod buffer;
mod colour;
mod draw;
mod find;
mod input;
mod words;

use std::ops::Range;
use std::sync::Arc;

use self::buffer::Buffer;
use self::find::Find;
use crate::edit::save::{Base, Save};
use crate::edit::{Fault, Form};
use crate::kv::{BucketName, Key, Operation, Revision, WatchEvent};
use crate::ui::context::Context;
use crate::ui::edits::{
    Ask, Checked, DraftState, Opened, Opening, Place, Proposed, Resumed, Typed,
};
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::outside::Handout;
use crate::ui::placeholders::Placeholders;
use crate::ui::shown;
use crate::ui::viewport::Viewport;

/// How soon after a change the text is kept as a draft.
const KEEP_AFTER: Millis = 500;

/// An open editor.
#[derive(Debug)]
pub struct Editor {
    opened: Arc<Opened>,
    /// Where in the value the text stands, if it is a part of one.
    part: Option<String>,
    /// What the text is saved on.
    save: Save,
    buffer: Buffer,
    placeholders: Arc<Placeholders>,
    /// The version of the text as it was opened.
    clean: u64,
    check: Check,
    /// What the worker or another program makes of the text, and of which version.
    asked: Option<(RequestId, u64, Wish)>,
    /// What somebody else did to the key since it was opened.
    moved: Option<Moved>,
    find: Option<Find>,
    question: Option<Question>,
    draft: Keeping,
    /// Why another program made nothing of the text, and where what it left is.
    refused: Option<String>,
    /// Whether it was opened for the sake of another program.
    is_for_outside: bool,
    /// Whether the picture was held still when it was opened, so that nothing is heard of others.
    is_deaf: bool,
    viewport: Viewport,
    column: usize,
    columns: usize,
    /// The column of the cursor.
    cursor_column: usize,
}

/// What is known of the text by the worker's checks.
#[derive(Debug, Default)]
struct Check {
    asked: Option<(RequestId, u64)>,
    result: Option<(u64, Checked)>,
}

/// What was asked to be made of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Format,
    Mask,
    Propose,
    Outside,
}

/// Somebody else wrote the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    operation: Operation,
    revision: Revision,
    at: Millis,
}

/// What waits for an answer before anything else happens.
#[derive(Debug)]
enum Question {
    /// A draft of an earlier time is there.
    Draft(Box<Resumed>),
    /// The text is not saved, and the editor is to be left.
    Leave,
    /// The editor is to be left as soon as the draft is on disk.
    Keeping,
}

/// A part of a value that is to be edited.
#[derive(Debug)]
pub struct Part {
    /// Where it stands, in words that are not yet fit for the screen.
    pub name: String,
    /// The key, and where it is.
    pub opened: Arc<Opened>,
    /// The text.
    pub text: String,
}

/// How it stands with the draft.
#[derive(Debug, Default)]
struct Keeping {
    /// When it is due, if the text changed since it was kept.
    due: Option<Millis>,
    asked: Option<RequestId>,
    state: Option<DraftState>,
}

/// What a key or an answer did to the editor.
#[derive(Debug)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed.
    Closed,
    /// The program is to be left.
    Quit,
    /// The program is to be suspended.
    Suspend,
    /// The screen is to be drawn again.
    Redraw,
    /// The keys are to be shown.
    Help,
    /// This is to be looked at, and saved.
    Review(Arc<Proposed>),
    /// This is to stand for the part.
    Took(String),
}

impl Editor {
    /// An editor on what was opened. With `outside` another program gets the text first.
    pub fn new(opening: Opening, outside: bool, ctx: &mut Context<'_>) -> Self {
        let Opening {
            opened,
            save,
            masked: (text, placeholders),
            draft,
        } = opening;
        let mut editor = Self {
            placeholders: Arc::new(placeholders),
            question: draft.map(Question::Draft),
            is_for_outside: outside,
            ..Self::on(Arc::new(opened), save, &text)
        };
        editor.check(ctx);
        if outside && editor.question.is_none() {
            editor.hand_out(ctx);
        }
        editor
    }

    /// An editor on a part of a value, with nothing masked in it.
    pub fn on_part(part: Part, ctx: &mut Context<'_>) -> Self {
        let Part { name, opened, text } = part;
        let save = Save::new(
            opened.place.key.clone(),
            Base {
                value: Some(opened.source.stored().clone()),
                ..Base::default()
            },
        );
        let mut editor = Self {
            part: Some(name),
            ..Self::on(opened, save, &text)
        };
        editor.check(ctx);
        editor
    }

    fn on(opened: Arc<Opened>, save: Save, text: &str) -> Self {
        Self {
            opened,
            part: None,
            save,
            buffer: Buffer::new(text),
            placeholders: Arc::default(),
            clean: 0,
            check: Check::default(),
            asked: None,
            moved: None,
            find: None,
            question: None,
            draft: Keeping::default(),
            refused: None,
            is_for_outside: false,
            is_deaf: false,
            viewport: Viewport::default(),
            column: 0,
            columns: 0,
            cursor_column: 0,
        }
    }

    /// The picture is held still: nothing is heard of others.
    pub fn is_told_nothing(&mut self) {
        self.is_deaf = true;
    }

    /// The key that is edited.
    pub fn place(&self) -> &Place {
        &self.opened.place
    }

    fn key_name(&self) -> &Key {
        &self.opened.place.key
    }

    /// The revision that somebody else has written meanwhile.
    pub fn moved_to(&self) -> Option<Revision> {
        self.moved.map(|moved| moved.revision)
    }

    /// What the text is saved on.
    pub fn save(&self) -> &Save {
        &self.save
    }

    /// Goes on with a save that did not end well.
    pub fn go_on_with(&mut self, save: Save) {
        self.save = save;
    }

    /// Whether the text is another one than was opened.
    pub fn is_changed(&self) -> bool {
        let version = self.buffer.version();
        let checked = self.check.result.as_ref().filter(|(of, _)| *of == version);
        version != self.clean && !checked.is_some_and(|(_, checked)| checked.is_unchanged)
    }

    fn is_new(&self) -> bool {
        self.save.base().value.is_none()
    }

    /// Whether the text is meant to be JSON.
    fn is_json(&self) -> bool {
        match self.opened.source.form() {
            Form::Json(_) => true,
            Form::Hex => false,
            // A new key, or one whose text became JSON.
            Form::Text => self.is_new() && self.looks_like_json(),
        }
    }

    fn looks_like_json(&self) -> bool {
        let mut lines = self.buffer.lines().iter();
        let first = lines.find_map(|line| line.trim_start().chars().next());
        matches!(first, Some('{' | '['))
    }

    fn checked(&self) -> Option<&Checked> {
        self.check.result.as_ref().map(|(_, checked)| checked)
    }

    /// Where the text is not JSON, as far as it is known.
    fn fault(&self) -> Option<&Fault> {
        self.checked()?.fault.as_ref().filter(|_| self.is_json())
    }

    /// Everything that it takes to make bytes of the text as it is now.
    fn typed(&self) -> Typed {
        Typed {
            opened: Arc::clone(&self.opened),
            text: self.buffer.text(),
            placeholders: Arc::clone(&self.placeholders),
        }
    }

    /// Has the text checked, one text at a time.
    fn check(&mut self, ctx: &mut Context<'_>) {
        let version = self.buffer.version();
        let is_known = self
            .check
            .result
            .as_ref()
            .is_some_and(|(of, _)| *of == version);
        if self.check.asked.is_none() && !is_known {
            let typed = self.typed();
            let id = ctx.request(|id| Effect::Edit(id, Box::new(Ask::Check(typed))));
            self.check.asked = Some((id, version));
        }
    }

    /// Something was typed, or the cursor moved.
    fn touched(&mut self, before: u64, ctx: &mut Context<'_>) {
        if self.buffer.version() != before {
            self.check(ctx);
            if self.part.is_none() {
                self.draft.due.get_or_insert(ctx.now + KEEP_AFTER);
            }
            if let Some(find) = &mut self.find {
                find.count(self.buffer.lines());
            }
        }
        self.follow();
    }

    /// What a watch told, as far as it concerns this key.
    pub fn seen(&mut self, bucket: &BucketName, batch: &[WatchEvent]) {
        for event in batch {
            if let WatchEvent::Entry(entry) = event
                && self.part.is_none()
                && *bucket == self.opened.place.bucket
                && self.save.is_news(entry)
                && self
                    .moved
                    .is_none_or(|moved| moved.revision < entry.revision)
            {
                self.moved = Some(Moved {
                    operation: entry.operation,
                    revision: entry.revision,
                    at: shown::millis(entry.created),
                });
            }
        }
    }

    /// When something is due by itself.
    pub fn deadline(&self) -> Option<Millis> {
        // One at a time: the answer to the one before makes it due.
        self.draft.due.filter(|_| self.draft.asked.is_none())
    }

    /// Keeps the draft, if that is due.
    pub fn deadline_came(&mut self, ctx: &mut Context<'_>) {
        if self.draft.due.is_some_and(|due| due <= ctx.now) && self.draft.asked.is_none() {
            self.keep(ctx);
        }
    }

    /// Keeps the text as a draft now, if there is anything to keep.
    pub fn keep(&mut self, ctx: &mut Context<'_>) {
        if self.part.is_some() {
            return;
        }
        self.draft.due = None;
        if !self.is_changed() {
            return self.drop_draft(ctx);
        }
        let (typed, base) = (self.typed(), self.save.base().clone());
        let id = ctx.request(|id| Effect::Edit(id, Box::new(Ask::Keep(typed, base))));
        self.draft.asked = Some(id);
    }

    /// Drops the draft: the text is saved, or not wanted any more.
    pub fn drop_draft(&mut self, ctx: &mut Context<'_>) {
        if self.part.is_some() {
            return;
        }
        self.draft.due = None;
        let opened = Arc::clone(&self.opened);
        self.draft.asked = Some(ctx.request(|id| Effect::Edit(id, Box::new(Ask::Drop(opened)))));
    }

    /// What is told of the text when it is left unsaved; `is_over` says that nothing more will be on
    /// disk than is by now.
    pub fn farewell(&self, is_over: bool) -> Option<String> {
        if self.part.is_some() || !self.is_changed() {
            return None;
        }
        let Place { bucket, key } = &self.opened.place;
        let became = match &self.draft.state {
            _ if is_over && self.draft.asked.is_some() => {
                "may be lost: the disk did not answer in time".to_owned()
            }
            Some(DraftState::NotKept(why)) => format!("is lost: no draft is kept ({why})"),
            Some(DraftState::KeptWithout(_)) => {
                "was kept as a draft, without the secrets that were \
                 typed into it; it is offered when the key is edited again"
                    .to_owned()
            }
            Some(DraftState::Kept | DraftState::Dropped) | None => {
                "was kept as a draft; it is offered when the key is edited again".to_owned()
            }
        };
        Some(format!("the unsaved text of {key} in {bucket} {became}"))
    }

    /// Lets the user's own editor have the text.
    fn hand_out(&mut self, ctx: &mut Context<'_>) {
        let extension = match self.opened.source.form() {
            _ if self.is_json() => "json",
            Form::Hex => "hex",
            Form::Json(_) | Form::Text => "txt",
        };
        self.refused = None;
        let text = self.buffer.text();
        let (hidden, _) = self.placeholders.hide(&text, &self.opened.masking);
        let handout = Handout {
            key: self.key_name().to_string(),
            extension,
            is_secret: hidden != text,
            text,
        };
        let id = ctx.request(|id| Effect::Outside(id, handout));
        self.asked = Some((id, self.buffer.version(), Wish::Outside));
    }

    fn ask(&mut self, wish: Wish, ask: Ask, ctx: &mut Context<'_>) {
        let id = ctx.request(|id| Effect::Edit(id, Box::new(ask)));
        self.asked = Some((id, self.buffer.version(), wish));
    }

    /// Takes the size that the last frame had.
    pub fn fit(&mut self, rows: usize, columns: usize) {
        if (self.viewport.height, self.columns) == (rows, columns) {
            return;
        }
        self.viewport.height = rows;
        self.columns = columns;
        self.follow();
    }

    /// Brings the cursor into sight.
    fn follow(&mut self) {
        let (row, letter) = self.buffer.cursor();
        self.viewport.follow(row, self.buffer.lines().len());
        let line = self.buffer.lines().get(row).map_or("", String::as_str);
        let column = draw::column_of(line, letter);
        self.cursor_column = column;
        if column < self.column {
            self.column = column.saturating_sub(self.columns / 4);
        } else if self.columns > 0 && column >= self.column + self.columns {
            self.column = column + 1 + self.columns / 4 - self.columns;
        }
    }

    /// Where the text that is looked for is in a line, in bytes.
    fn found_in<'l>(&'l self, line: &'l str) -> impl Iterator<Item = Range<usize>> + 'l {
        let needle = self.find.as_ref().map_or("", |find| find.input().value());
        find::in_line(line, needle)
    }
}
