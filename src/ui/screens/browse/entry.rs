//! The pane of one entry: its value, and what is known beside it.
//!
//! It follows the selected key, one read at a time: while one is under way, newer wishes replace
//! each other. What is shown under a key's name is always that key's value. `draw`: how it looks; `facts`: the
//! line above the value.

mod draw;
mod facts;

use crate::kv::{BucketName, Error, Key, Revision};
use crate::ui::command::Command;
use crate::ui::context::{Context, copy};
use crate::ui::filter::FilterLine;
use crate::ui::message::{Effect, Millis, OpenEntry, RequestId};
use crate::ui::value::{Document, Kind, View};
use crate::ui::viewport::{Step, Viewport};

/// How long to wait before a read that failed is made again.
const PAUSE: Millis = 5_000;

/// The pane.
#[derive(Debug, Default)]
pub(super) struct EntryPane {
    /// The line to type a search into.
    pub(super) search: FilterLine,
    /// The entry that is to be shown.
    wanted: Option<Wanted>,
    /// The read that is under way.
    asked: Option<(RequestId, Wanted)>,
    /// When to ask again, after a read that failed.
    again: Option<Millis>,
    content: Content,
    /// Whether the content may be that of an earlier bucket of the name, where revisions say
    /// nothing about which of two entries is newer.
    is_doubtful: bool,
    viewport: Viewport,
    /// The first column in sight, and how many are.
    column: usize,
    columns: usize,
    /// How the user likes to look at values: it stays from one to the next.
    looks: Looks,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    bucket: BucketName,
    key: Key,
    revision: Revision,
}

impl Wanted {
    fn is_same_key(&self, other: &Self) -> bool {
        self.bucket == other.bucket && self.key == other.key
    }
}

#[derive(Debug, Default)]
enum Content {
    /// No key is selected.
    #[default]
    Nothing,
    /// The selected key's entry is on its way.
    Loading,
    /// It is here, as an answer to this wish.
    Here(Wanted, Box<OpenEntry>),
    /// An earlier one is here: this wish could not be fulfilled, for this reason.
    Stale(Wanted, Box<OpenEntry>, String),
    /// It could not be read.
    Failed(Wanted, String),
}

#[derive(Debug, Clone, Copy, Default)]
struct Looks {
    revealed: bool,
    wraps: bool,
}

impl EntryPane {
    /// Shows nothing.
    pub(super) fn close(&mut self) {
        self.wanted = None;
        self.again = None;
        self.content = Content::Nothing;
    }

    /// There was a gap: what is here, and what is on its way, may be of an earlier bucket of the
    /// name.
    pub(super) fn doubt(&mut self) {
        self.asked = None;
        self.is_doubtful = true;
    }

    /// Reads again what could not be read.
    pub(super) fn retry(&mut self, ctx: &mut Context<'_>) {
        if matches!(self.content, Content::Failed(..) | Content::Stale(..)) {
            self.reload(ctx);
        }
    }

    /// When to read again what could not be read.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.again
    }

    /// Reads again what could not be read, if it is time.
    pub(super) fn deadline_came(&mut self, ctx: &mut Context<'_>) {
        if self.again.is_some_and(|again| again <= ctx.now) {
            self.again = None;
            self.reload(ctx);
        }
    }

    /// Reads again what is shown.
    pub(super) fn reload(&mut self, ctx: &mut Context<'_>) {
        if let Some(wanted) = self.wanted.clone() {
            self.asked = None;
            self.ask(wanted, ctx);
        }
    }

    /// Shows the entry of a key, which is known to have this revision.
    pub(super) fn show(
        &mut self,
        bucket: &BucketName,
        key: Key,
        revision: Revision,
        ctx: &mut Context<'_>,
    ) {
        let wanted = Wanted {
            bucket: bucket.clone(),
            key,
            revision,
        };
        if self
            .wanted
            .as_ref()
            .is_none_or(|before| !before.is_same_key(&wanted))
        {
            self.content = Content::Loading;
            self.is_doubtful = false;
            self.viewport.top = 0;
            self.column = 0;
            // What was revealed was this one value.
            self.looks.revealed = false;
        }
        self.wanted = Some(wanted.clone());
        let is_here = match &self.content {
            _ if self.is_doubtful => false,
            Content::Here(answered, open) => {
                *answered == wanted || (open.entry.revision >= revision && !open.may_be_behind())
            }
            Content::Failed(answered, _) | Content::Stale(answered, ..) => *answered == wanted,
            Content::Nothing | Content::Loading => false,
        };
        if !is_here && self.asked.is_none() {
            self.ask(wanted, ctx);
        }
    }

    fn ask(&mut self, wanted: Wanted, ctx: &mut Context<'_>) {
        let (bucket, key) = (wanted.bucket.clone(), wanted.key.clone());
        let id = ctx.request(|id| Effect::Entry(id, bucket, key));
        self.again = None;
        self.asked = Some((id, wanted));
    }

    /// Takes an entry that was read, if it is still wanted.
    pub(super) fn answer(
        &mut self,
        id: RequestId,
        answer: Result<Option<Box<OpenEntry>>, Error>,
        now: Millis,
    ) {
        let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        if !self
            .wanted
            .as_ref()
            .is_some_and(|wanted| wanted.is_same_key(&asked))
        {
            return;
        }
        let was_doubtful = std::mem::take(&mut self.is_doubtful);
        self.again = answer.is_err().then_some(now + PAUSE);
        let before = std::mem::take(&mut self.content);
        self.content = match (answer, before) {
            (Ok(Some(mut open)), before) => {
                if let Content::Here(_, before) | Content::Stale(_, before, _) = &before {
                    open.document.look_like(&before.document);
                }
                open.document.set_width(self.columns);
                open.document.set_wrap(self.looks.wraps);
                open.document.reveal(self.looks.revealed);
                Content::Here(asked, open)
            }
            (Ok(None), _) => Content::Failed(asked, "the key is gone, without a trace".to_owned()),
            // What is on screen stays readable.
            (Err(error), Content::Here(_, before) | Content::Stale(_, before, _))
                if !was_doubtful =>
            {
                Content::Stale(asked, before, error.to_string())
            }
            (Err(error), _) => Content::Failed(asked, error.to_string()),
        };
        self.search_changed();
        self.follow();
    }

    /// The entry that is on the screen.
    fn open(&self) -> Option<&OpenEntry> {
        match &self.content {
            Content::Here(_, open) | Content::Stale(_, open, _) => Some(open),
            Content::Nothing | Content::Loading | Content::Failed(..) => None,
        }
    }

    fn document(&self) -> Option<&Document> {
        self.open().map(|open| &open.document)
    }

    fn document_mut(&mut self) -> Option<&mut Document> {
        match &mut self.content {
            Content::Here(_, open) | Content::Stale(_, open, _) => Some(&mut open.document),
            Content::Nothing | Content::Loading | Content::Failed(..) => None,
        }
    }

    fn follow(&mut self) {
        let (row, len) = self.document().map_or((0, 0), |d| (d.cursor(), d.len()));
        self.viewport.follow(row, len);
    }

    pub(super) fn row(&self) -> usize {
        self.document().map_or(0, Document::cursor)
    }

    pub(super) fn select(&mut self, row: usize) {
        if let Some(document) = self.document_mut() {
            document.set_cursor(row);
        }
        self.follow();
    }

    pub(super) fn step(&mut self, step: Step) {
        let len = self.document().map_or(0, Document::len);
        self.select(step.from(self.row(), self.viewport, len));
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let len = self.document().map_or(0, Document::len);
        self.viewport.scroll(by, len);
        let rows = self.viewport.rows(len);
        let last = rows.end.saturating_sub(1).max(rows.start);
        self.select(self.row().clamp(rows.start, last));
    }

    /// Takes the size that the last frame had.
    pub(super) fn fit(&mut self, rows: usize, columns: usize) {
        self.viewport.height = rows;
        self.columns = columns;
        if let Some(document) = self.document_mut() {
            document.set_width(columns);
        }
        self.follow();
    }

    /// Looks for what is typed, from where the cursor is.
    pub(super) fn search_changed(&mut self) {
        let needle = self.search.text().to_owned();
        if let Some(document) = self.document_mut() {
            document.search(&needle);
        }
        if self.search.is_typing() {
            self.jump(false);
        }
    }

    fn jump(&mut self, backwards: bool) {
        let width = self.columns;
        let columns = self
            .document_mut()
            .and_then(|document| document.jump(backwards));
        if let Some(columns) = columns
            && (columns.start < self.column || columns.end > self.column + width)
        {
            self.column = columns.start.saturating_sub(width / 3);
        }
        self.follow();
    }

    /// Takes a command that concerns the value alone.
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::NextMatch => self.jump(false),
            Command::PreviousMatch => self.jump(true),
            Command::Wrap => {
                self.looks.wraps = !self.looks.wraps;
                self.column = 0;
                let wraps = self.looks.wraps;
                self.change(|document| document.set_wrap(wraps));
            }
            Command::View => {
                self.column = 0;
                self.change(|document| {
                    let next = match (document.view(), document.kind()) {
                        (View::Json, _) => View::Text,
                        (View::Text, _) => View::Hex,
                        (View::Hex, Kind::Json) => View::Json,
                        (View::Hex, Kind::Text | Kind::Bytes) => View::Text,
                    };
                    document.set_view(next);
                });
            }
            Command::ExpandAll => self.change(Document::unfold_all),
            Command::CollapseAll => self.change(Document::fold_all),
            _ => {}
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Document)) {
        if let Some(document) = self.document_mut() {
            change(document);
        }
        self.follow();
    }

    /// Shows the secrets of this value, or masks them.
    pub(super) fn reveal(&mut self) {
        self.looks.revealed = !self.looks.revealed;
        let revealed = self.looks.revealed;
        self.change(|document| document.reveal(revealed));
    }

    /// Folds or unfolds at the cursor.
    pub(super) fn toggle_fold(&mut self) {
        self.change(Document::toggle_fold);
    }

    /// Scrolls to the right.
    pub(super) fn right(&mut self) {
        let widest = self.document().map_or(0, Document::max_width);
        let width = self.columns;
        if !self.looks.wraps && self.column + width < widest {
            self.column += (width / 2).max(1);
        }
    }

    /// Scrolls to the left; says whether it could.
    pub(super) fn left(&mut self) -> bool {
        let could = self.column > 0;
        self.column = self.column.saturating_sub((self.columns / 2).max(1));
        could
    }

    /// Copies the value. A secret has to be revealed first: what is copied is easily pasted.
    pub(super) fn copy(&self, ctx: &mut Context<'_>) {
        let Some(open) = self.open() else {
            return ctx.warn("there is no value to copy");
        };
        if open.document.has_secrets() && !open.document.is_revealed() {
            return ctx.warn("the value has masked secrets: reveal them to copy it");
        }
        match std::str::from_utf8(open.document.bytes()) {
            Ok(value) => copy(value.to_owned(), "the value", ctx),
            Err(_) => ctx.warn("the value is not text: `kvscope get --raw` writes its bytes"),
        }
    }
}
