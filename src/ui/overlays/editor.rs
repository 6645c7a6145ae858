//! The editor: a value as text, from the revision at which it was opened.
//!
//! It checks the text while it is typed, through the worker; it hears of what others do to the key;
//! it keeps a draft. What it hands on is a proposal, which is looked at and saved elsewhere (see
//! [`review`](super::review)). Masked secrets are not in its text: see
//! [`placeholders`](crate::ui::placeholders).

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
use crate::edit::save::Save;
use crate::edit::{Fault, Form};
use crate::kv::{BucketName, Key, Operation, Revision, WatchEvent};
use crate::ui::context::Context;
use crate::ui::edits::{
    Ask, Checked, DraftState, Opened, Opening, Place, Proposed, Resumed, Typed,
};
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::placeholders::Placeholders;
use crate::ui::shown;
use crate::ui::viewport::Viewport;

/// How soon after a change the text is kept as a draft.
const KEEP_AFTER: Millis = 500;

/// An open editor.
#[derive(Debug)]
pub struct Editor {
    opened: Arc<Opened>,
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
    /// Whether it was opened for the sake of another program.
    is_for_outside: bool,
    /// Whether the picture was held still when it was opened, so that nothing is heard of others.
    is_deaf: bool,
    viewport: Viewport,
    column: usize,
    columns: usize,
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
            opened: Arc::new(opened),
            save,
            buffer: Buffer::new(&text),
            placeholders: Arc::new(placeholders),
            clean: 0,
            check: Check::default(),
            asked: None,
            moved: None,
            find: None,
            question: draft.map(Question::Draft),
            draft: Keeping::default(),
            is_for_outside: outside,
            is_deaf: false,
            viewport: Viewport::default(),
            column: 0,
            columns: 0,
        };
        editor.check(ctx);
        if outside && editor.question.is_none() {
            editor.hand_out(ctx);
        }
        editor
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
            self.draft.due.get_or_insert(ctx.now + KEEP_AFTER);
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
        self.draft.due
    }

    /// Keeps the draft, if that is due.
    pub fn deadline_came(&mut self, ctx: &mut Context<'_>) {
        if self.draft.due.is_some_and(|due| due <= ctx.now) && self.draft.asked.is_none() {
            self.keep(ctx);
        }
    }

    /// Keeps the text as a draft now, if there is anything to keep.
    pub fn keep(&mut self, ctx: &mut Context<'_>) {
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
        self.draft.due = None;
        let place = self.opened.place.clone();
        self.draft.asked = Some(ctx.request(|id| Effect::Edit(id, Box::new(Ask::Drop(place)))));
    }

    /// What is told of the text when the program is left with it unsaved.
    pub fn farewell(&self) -> Option<String> {
        let Place { bucket, key } = &self.opened.place;
        self.is_changed().then(|| match &self.draft.state {
            Some(DraftState::NotKept(why)) => {
                format!("the unsaved text of {key} in {bucket} is lost: no draft is kept ({why})")
            }
            _ => format!("the unsaved text of {key} in {bucket} was kept as a draft; it is offered when the key is edited again"),
        })
    }

    /// Lets the user's own editor have the text.
    fn hand_out(&mut self, ctx: &mut Context<'_>) {
        let suffix = match self.opened.source.form() {
            _ if self.is_json() => ".json",
            Form::Hex => ".hex",
            Form::Json(_) | Form::Text => ".txt",
        };
        let text = self.buffer.text();
        let id = ctx.request(|id| Effect::Outside(id, text, suffix));
        self.asked = Some((id, self.buffer.version(), Wish::Outside));
    }

    fn ask(&mut self, wish: Wish, ask: Ask, ctx: &mut Context<'_>) {
        let id = ctx.request(|id| Effect::Edit(id, Box::new(ask)));
        self.asked = Some((id, self.buffer.version(), wish));
    }

    /// Takes the size that the last frame had.
    pub fn fit(&mut self, rows: usize, columns: usize) {
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
