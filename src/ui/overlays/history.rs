//! The history of a key: every revision that the bucket keeps, and what each changed.
//!
//! ```text
//! ┏ History of app.billing.limits ─ 5 revisions, the newest on top ━━━━━━━━━━━━━━━┓
//! ┃   rev  operation      age    size  what changed                              ┃
//! ┃  8843  put           12 s   214 B  .max_per_day 25000 → 40000, 2 more         ┃
//! ┃ ▪8841  put            3 h   214 B  + .tags ["x"]                              ┃
//! ┃  8102  delete         2 d                                                     ┃
//! ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┛
//! ```
//!
//! What each revision changed is compared by the worker, one after the other, for the rows that are
//! in sight. Values are held only while this is open.

mod draw;

use std::sync::Arc;

use crate::edit::Diff;
use crate::kv::{BucketName, Entry, Error, Revision, WatchEvent};
use crate::ui::command::Command;
use crate::ui::context::{Context, copy};
use crate::ui::edits::{Ask, Place, Told};
use crate::ui::message::{Effect, RequestId};
use crate::ui::remote::Remote;
use crate::ui::viewport::{Step, Viewport};

/// An open history.
#[derive(Debug)]
pub struct History {
    place: Place,
    asked: Option<RequestId>,
    /// The revisions, the newest first.
    rows: Remote<Vec<Row>>,
    /// The revisions that are marked: two at the most, the one marked last at the end.
    marked: Vec<Revision>,
    row: usize,
    viewport: Viewport,
    comparing: Option<Comparing>,
    /// Whether what the newest changed is to be shown as soon as it is there.
    shows_diff: bool,
}

#[derive(Debug, PartialEq)]
struct Row {
    entry: Entry,
    /// What it changed against the one before, once that was compared.
    change: Option<Arc<Diff>>,
}

/// A comparison that the worker makes.
#[derive(Debug, PartialEq, Eq)]
struct Comparing {
    id: RequestId,
    older: Revision,
    newer: Revision,
    /// Whether it is to be looked at as soon as it is there.
    is_shown: bool,
}

/// What a command did to the history.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing beyond it.
    Open,
    /// It is closed.
    Closed,
    /// Show what differs, under this title.
    Diff(String, Arc<Diff>),
    /// Show the value of an entry.
    Look(Box<Entry>),
    /// Make the value of one entry the value again, over another, which is the newest.
    Revert {
        /// The key.
        place: Place,
        /// What to go back to.
        to: Box<Entry>,
        /// What is there now.
        over: Box<Entry>,
    },
}

impl History {
    /// The history of a key. With `shows_diff` what its newest revision changed is shown at once.
    pub fn open(place: Place, shows_diff: bool, ctx: &mut Context<'_>) -> Self {
        let mut history = Self {
            place,
            asked: None,
            rows: Remote::Idle,
            marked: Vec::new(),
            row: 0,
            viewport: Viewport::default(),
            comparing: None,
            shows_diff,
        };
        history.reload(ctx);
        history
    }

    /// What a watch told: if somebody wrote the key, it is read again.
    pub fn seen(&mut self, bucket: &BucketName, batch: &[WatchEvent], ctx: &mut Context<'_>) {
        let newest = self.rows().first().map(|row| row.entry.revision);
        let is_news = |event: &WatchEvent| match event {
            WatchEvent::Entry(entry) => {
                entry.key == self.place.key && newest.is_none_or(|newest| entry.revision > newest)
            }
            _ => false,
        };
        if *bucket == self.place.bucket && batch.iter().any(is_news) {
            self.reload(ctx);
        }
    }

    /// The key.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Reads it again: somebody wrote the key.
    pub fn reload(&mut self, ctx: &mut Context<'_>) {
        self.rows.ask();
        let place = self.place.clone();
        self.asked = Some(ctx.request(|id| Effect::Edit(id, Box::new(Ask::History(place)))));
    }

    /// Takes an answer; says what comes of it.
    pub fn answer(
        &mut self,
        id: RequestId,
        told: &mut Option<Told>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let awaited = self
            .comparing
            .as_ref()
            .is_some_and(|comparing| comparing.id == id);
        match told.take() {
            Some(Told::History(answer)) if self.asked == Some(id) => {
                self.asked = None;
                self.take(answer);
                if std::mem::take(&mut self.shows_diff) {
                    return self.diff(ctx);
                }
                self.compare_next(ctx);
            }
            Some(Told::Compared(diff)) if awaited => return self.compared(diff, ctx),
            other => *told = other,
        }
        Outcome::Open
    }

    fn take(&mut self, answer: Result<Vec<Entry>, Error>) {
        let selected = self.entry().map(|entry| entry.revision);
        let before = match std::mem::replace(&mut self.rows, Remote::Idle) {
            Remote::Ready(rows) | Remote::Stale(rows) => rows,
            _ => Vec::new(),
        };
        self.rows = match answer {
            Err(error) if before.is_empty() => Remote::Failed(error.to_string()),
            Err(_) => Remote::Stale(before),
            Ok(entries) => {
                let known = |entry: &Entry| {
                    before
                        .iter()
                        .find(|row| row.entry.revision == entry.revision)
                };
                let rows = entries.into_iter().rev().map(|entry| Row {
                    change: known(&entry).and_then(|row| row.change.clone()),
                    entry,
                });
                Remote::Ready(rows.collect())
            }
        };
        let rows = self.rows();
        let kept = |revision: &Revision| rows.iter().any(|row| row.entry.revision == *revision);
        let marked: Vec<_> = self.marked.iter().copied().filter(kept).collect();
        let row = selected
            .and_then(|selected| rows.iter().position(|row| row.entry.revision == selected));
        self.marked = marked;
        self.select(row.unwrap_or(self.row));
    }

    fn rows(&self) -> &[Row] {
        self.rows.value().map_or(&[], Vec::as_slice)
    }

    fn entry(&self) -> Option<&Entry> {
        self.rows().get(self.row).map(|row| &row.entry)
    }

    /// Selects a row.
    pub fn select(&mut self, row: usize) {
        let len = self.rows().len();
        self.row = row.min(len.saturating_sub(1));
        self.viewport.follow(self.row, len);
    }

    /// Scrolls, with the selection kept in sight.
    pub fn scroll(&mut self, by: isize) {
        self.select(Step::By(by).from(self.row, self.viewport, self.rows().len()));
    }

    /// Takes the size that the last frame had.
    pub fn fit(&mut self, rows: usize) {
        self.viewport.height = rows;
        self.viewport.follow(self.row, self.rows().len());
    }

    /// Takes a command.
    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) -> Outcome {
        if let Some(step) = Step::of(command) {
            self.select(step.from(self.row, self.viewport, self.rows().len()));
            self.compare_next(ctx);
            return Outcome::Open;
        }
        match command {
            Command::Back | Command::Quit | Command::History => return Outcome::Closed,
            Command::Refresh => self.reload(ctx),
            Command::Mark => self.mark(),
            Command::Open => return self.look(ctx),
            Command::Diff => return self.diff(ctx),
            Command::Revert => return self.revert(ctx),
            Command::CopyKey => copy(self.place.key.to_string(), "the key", ctx),
            _ => {}
        }
        Outcome::Open
    }

    /// Marks the selected revision to be compared, or takes its mark away. The mark before the last
    /// one gives way.
    fn mark(&mut self) {
        let Some(revision) = self.entry().map(|entry| entry.revision) else {
            return;
        };
        if let Some(at) = self.marked.iter().position(|marked| *marked == revision) {
            self.marked.remove(at);
            return;
        }
        if self.marked.len() == 2 {
            self.marked.remove(0);
        }
        self.marked.push(revision);
    }

    fn look(&mut self, ctx: &mut Context<'_>) -> Outcome {
        match self.entry() {
            Some(entry) if entry.is_marker() => {
                ctx.tell(format!(
                    "revision {} has no value: it is a {}",
                    entry.revision, entry.operation
                ));
                Outcome::Open
            }
            Some(entry) => Outcome::Look(Box::new(entry.clone())),
            None => Outcome::Open,
        }
    }

    /// The two that are marked, or one that is with the selected one, or that with the one before.
    fn diff(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let Some(selected) = self.entry().map(|entry| entry.revision) else {
            return Outcome::Open;
        };
        let (older, newer) = match self.marked[..] {
            [a, b] => (a.min(b), a.max(b)),
            [a] if a != selected => (a.min(selected), a.max(selected)),
            _ => match self.before(selected) {
                Some(older) => (older, selected),
                // Whether there was anything can't be known.
                None => {
                    ctx.tell(format!("what was before revision {selected} is not kept"));
                    return Outcome::Open;
                }
            },
        };
        let known = self.rows().iter().find(|row| row.entry.revision == newer);
        let known = known.filter(|_| self.before(newer) == Some(older));
        if let Some(diff) = known.and_then(|row| row.change.clone()) {
            return Outcome::Diff(self.title(older, newer), diff);
        }
        self.compare(older, newer, true, ctx);
        Outcome::Open
    }

    fn title(&self, older: Revision, newer: Revision) -> String {
        format!("{} ─ {older} → {newer}", self.place.key)
    }

    fn before(&self, revision: Revision) -> Option<Revision> {
        let mut older = self
            .rows()
            .iter()
            .skip_while(|row| row.entry.revision >= revision);
        older.next().map(|row| row.entry.revision)
    }

    fn compare(&mut self, older: Revision, newer: Revision, is_shown: bool, ctx: &mut Context<'_>) {
        let value = |revision: Revision| {
            let row = self
                .rows()
                .iter()
                .find(|row| row.entry.revision == revision);
            row.and_then(|row| row.entry.live_value().cloned())
        };
        let ask = Ask::Compare {
            key: self.place.key.clone(),
            older: value(older),
            newer: value(newer),
        };
        let id = ctx.request(|id| Effect::Edit(id, Box::new(ask)));
        self.comparing = Some(Comparing {
            id,
            older,
            newer,
            is_shown,
        });
    }

    /// Compares the next row in sight that was not compared yet, one at a time.
    fn compare_next(&mut self, ctx: &mut Context<'_>) {
        if self.comparing.is_some() {
            return;
        }
        let len = self.rows().len();
        let in_sight = if self.viewport.height == 0 {
            0..len
        } else {
            self.viewport.rows(len)
        };
        let rows = self.rows().get(in_sight).unwrap_or_default();
        // What the oldest one changed is not known: what was before it is not kept.
        let next = rows
            .iter()
            .filter(|row| row.change.is_none())
            .find_map(|row| Some((self.before(row.entry.revision)?, row.entry.revision)));
        if let Some((older, newer)) = next {
            self.compare(older, newer, false, ctx);
        }
    }

    fn compared(&mut self, diff: Arc<Diff>, ctx: &mut Context<'_>) -> Outcome {
        let Some(done) = self.comparing.take() else {
            return Outcome::Open;
        };
        if self.before(done.newer) == Some(done.older)
            && let Some(rows) = self.rows.value_mut()
            && let Some(row) = rows.iter_mut().find(|row| row.entry.revision == done.newer)
        {
            row.change = Some(Arc::clone(&diff));
        }
        self.compare_next(ctx);
        if done.is_shown {
            Outcome::Diff(self.title(done.older, done.newer), diff)
        } else {
            Outcome::Open
        }
    }

    fn revert(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let Some((to, over)) = self.entry().zip(self.rows().first().map(|row| &row.entry)) else {
            return Outcome::Open;
        };
        if to.is_marker() {
            ctx.tell(format!(
                "revision {} has no value to go back to; D deletes the key",
                to.revision
            ));
            return Outcome::Open;
        }
        if to.revision == over.revision {
            ctx.tell("that is the value already");
            return Outcome::Open;
        }
        Outcome::Revert {
            place: self.place.clone(),
            to: Box::new(to.clone()),
            over: Box::new(over.clone()),
        }
    }
}
