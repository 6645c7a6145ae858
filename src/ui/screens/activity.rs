//! Activity: the live feed of changes over all watched buckets, the newest at the bottom.
//!
//! It follows the end until the user moves away from it. It holds the latest changes only, and no
//! values: a line leads to its key in Browse. What a write changed inside the value is compared by
//! the worker, one write after the other, and only for lines that are in sight.

use std::collections::VecDeque;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::kv::{BucketName, Entry, Key, Operation, Revision, WatchEvent};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Place};
use crate::ui::filter::FilterLine;
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::shown;
use crate::ui::text::{self, Align, Run, figures};
use crate::ui::theme::Role;
use crate::ui::viewport::{Step, Viewport};
use crate::ui::widgets::filter_line;

/// How many changes are kept.
const KEPT: usize = 10_000;
/// Into larger values nobody looks: in bytes.
const LARGEST: u64 = 64 << 10;
/// From this many columns on for a key, what changed stands beside it.
const WIDE: usize = 40;

/// The feed.
#[derive(Debug, Default)]
pub struct Activity {
    /// The changes, the oldest first.
    changes: VecDeque<Change>,
    /// How many changes were dropped from the front: the number of `changes[0]`.
    dropped: u64,
    /// The numbers of those that pass the filter.
    passing: VecDeque<u64>,
    /// The line to type a filter into.
    pub filter: FilterLine,
    /// The selected row among those that pass; at the last one, it follows the end.
    cursor: usize,
    follows: Follows,
    /// The write that is looked into.
    looking: Option<(RequestId, u64)>,
    /// Which rows are in sight.
    pub viewport: Viewport,
}

/// Whether the newest line is kept in sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Follows {
    #[default]
    End,
    Selection,
}

#[derive(Debug)]
struct Change {
    at: Millis,
    bucket: BucketName,
    what: What,
}

#[derive(Debug)]
enum What {
    Write {
        key: Key,
        revision: Revision,
        operation: Operation,
        size: u64,
        /// What it changed inside the value, once that was compared.
        inside: Inside,
    },
    Watch(String),
    /// Something that was done here.
    Deed(String),
}

/// What a write changed inside a value.
#[derive(Debug)]
enum Inside {
    /// Nobody looked yet.
    Unknown,
    /// In a few words, masked; none where it can't be told any more.
    Told(Vec<Run<'static>>),
}

impl Activity {
    /// Asks what the next write in sight changed inside its value, one at a time.
    pub fn look(&mut self, ctx: &mut Context<'_>) {
        if self.looking.is_some() {
            return;
        }
        let in_sight = self.viewport.rows(self.passing.len());
        // The newest first: that is what is looked at.
        let mut numbers = in_sight
            .rev()
            .filter_map(|row| self.passing.get(row).copied());
        let next = numbers.find_map(|number| {
            let change = self.change(number)?;
            match &change.what {
                What::Write {
                    key,
                    revision,
                    operation: Operation::Put,
                    size: 0..=LARGEST,
                    inside: Inside::Unknown,
                } => {
                    let place = Place {
                        bucket: change.bucket.clone(),
                        key: key.clone(),
                    };
                    Some((number, Ask::Changed(place, *revision)))
                }
                _ => None,
            }
        });
        if let Some((number, ask)) = next {
            let id = ctx.request(|id| Effect::Edit(id, Box::new(ask)));
            self.looking = Some((id, number));
        }
    }

    /// Takes what a write changed.
    pub fn looked(&mut self, id: RequestId, told: Vec<Run<'static>>) {
        let Some((_, number)) = self.looking.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        let at = number
            .checked_sub(self.dropped)
            .and_then(|at| usize::try_from(at).ok());
        let change = at.and_then(|at| self.changes.get_mut(at));
        if let Some(What::Write { inside, .. }) = change.map(|change| &mut change.what) {
            *inside = Inside::Told(told);
        }
    }

    /// Takes a piece of news about a bucket.
    pub fn note(&mut self, bucket: &BucketName, event: &WatchEvent, now: Millis) {
        let change = match event {
            WatchEvent::Entry(entry) => written(bucket, entry),
            WatchEvent::Interrupted { cause } => told(bucket, now, cause.to_string()),
            WatchEvent::Resumed { gap: false } => told(
                bucket,
                now,
                "the watch goes on, nothing was missed".to_owned(),
            ),
            WatchEvent::Resumed { gap: true } => told(
                bucket,
                now,
                "the watch goes on; some changes in between may be missing here".to_owned(),
            ),
            WatchEvent::Ready => return,
        };
        self.push(change);
    }

    /// Takes what was done from this console beside what the watches tell of it.
    pub fn note_deed(&mut self, bucket: &BucketName, words: String, now: Millis) {
        self.push(Change {
            at: now,
            bucket: bucket.clone(),
            what: What::Deed(words),
        });
    }

    fn push(&mut self, change: Change) {
        let number = self.dropped + self.changes.len() as u64;
        let query = self.filter.query();
        if query.is_all() || query.matches(&change.text()) {
            self.passing.push_back(number);
        }
        self.changes.push_back(change);
        if self.changes.len() > KEPT {
            self.changes.pop_front();
            self.dropped += 1;
            if self
                .passing
                .front()
                .is_some_and(|first| *first < self.dropped)
            {
                self.passing.pop_front();
                self.cursor = self.cursor.saturating_sub(1);
                self.viewport.top = self.viewport.top.saturating_sub(1);
            }
        }
        if self.follows == Follows::End {
            self.select(self.passing.len().saturating_sub(1));
        }
    }

    /// Applies the filter as it is now to everything.
    pub fn filter_changed(&mut self) {
        let query = self.filter.query();
        let changes = (self.dropped..).zip(&self.changes);
        self.passing = changes
            .filter(|(_, c)| query.matches(&c.text()))
            .map(|(number, _)| number)
            .collect();
        self.follows = Follows::End;
        self.select(self.passing.len().saturating_sub(1));
    }

    /// Moves over the rows.
    pub fn step(&mut self, step: Step) {
        let len = self.passing.len();
        self.select(step.from(self.cursor, self.viewport, len));
    }

    /// Selects a row.
    pub fn select(&mut self, row: usize) {
        let len = self.passing.len();
        self.cursor = row.min(len.saturating_sub(1));
        self.follows = if self.cursor + 1 >= len {
            Follows::End
        } else {
            Follows::Selection
        };
        self.viewport.follow(self.cursor, len);
    }

    /// Scrolls without a change of the selection, but for keeping it in sight.
    pub fn scroll(&mut self, by: isize) {
        let len = self.passing.len();
        self.viewport.scroll(by, len);
        let rows = self.viewport.rows(len);
        self.select(
            self.cursor
                .clamp(rows.start, rows.end.saturating_sub(1).max(rows.start)),
        );
    }

    /// Empties the feed.
    pub fn clear(&mut self) {
        let Self {
            filter, viewport, ..
        } = std::mem::take(self);
        *self = Self {
            filter,
            viewport: Viewport { top: 0, ..viewport },
            ..Self::default()
        };
    }

    /// The bucket and key of the selected row.
    pub fn selected(&self) -> Option<(&BucketName, &Key)> {
        let change = self.change(*self.passing.get(self.cursor)?)?;
        match &change.what {
            What::Write { key, .. } => Some((&change.bucket, key)),
            What::Watch(_) | What::Deed(_) => None,
        }
    }

    fn change(&self, number: u64) -> Option<&Change> {
        self.changes
            .get(usize::try_from(number.checked_sub(self.dropped)?).ok()?)
    }

    /// Takes a command that only concerns the feed; says whether it did.
    pub fn command(&mut self, command: Command) -> bool {
        if let Some(step) = Step::of(command) {
            self.step(step);
            return true;
        }
        match command {
            Command::Clear => self.clear(),
            Command::Filter => self.filter.begin(),
            _ => return false,
        }
        true
    }

    /// Draws the feed.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, watched: (usize, usize), area: Rect) {
        let (feeds, buckets) = watched;
        let mut title = vec![canvas.span(" Activity ", Role::Title)];
        title.push(canvas.span(
            format!("{} ", figures::count(self.changes.len() as u64)),
            Role::Muted,
        ));
        if self.passing.len() != self.changes.len() {
            let shown = figures::count(self.passing.len() as u64);
            title.push(canvas.span(format!("· {shown} shown "), Role::Muted));
        }
        if self.dropped > 0 {
            let kept = figures::count(KEPT as u64);
            title.push(canvas.span(format!("· the latest {kept} are kept "), Role::Muted));
        }
        if feeds < buckets {
            title.push(canvas.span(format!("· {feeds} of {buckets} buckets "), Role::Warning));
        }
        let mut inner = canvas.pane(Line::from(title), true, area);
        canvas.hit(area, Hit::Pane(Pane::Activity));
        inner = filter_line(canvas, &self.filter, inner);
        canvas.rows_in(Pane::Activity, inner);
        canvas.place_in_rows(self.cursor, self.passing.len(), inner, area);
        if self.passing.is_empty() {
            let hint = if self.changes.is_empty() {
                " No change to show yet."
            } else {
                " No change passes the filter."
            };
            canvas.line(Line::from(canvas.span(hint, Role::Muted)), inner);
        }
        let viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        for (y, row) in (inner.y..).zip(viewport.rows(self.passing.len())) {
            let change = self
                .passing
                .get(row)
                .and_then(|number| self.change(*number));
            let Some(change) = change else { break };
            let line = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.hit(line, Hit::Row(Pane::Activity, row));
            if row == self.cursor {
                canvas.lay(Role::Selection, line);
            }
            let spans = change.spans(canvas, usize::from(inner.width));
            canvas.line(Line::from(spans), line);
        }
    }
}

fn written(bucket: &BucketName, entry: &Entry) -> Change {
    Change {
        at: shown::millis(entry.created),
        bucket: bucket.clone(),
        what: What::Write {
            key: entry.key.clone(),
            revision: entry.revision,
            operation: entry.operation,
            size: entry.size,
            inside: Inside::Unknown,
        },
    }
}

fn told(bucket: &BucketName, at: Millis, text: String) -> Change {
    Change {
        at,
        bucket: bucket.clone(),
        what: What::Watch(text),
    }
}

impl Change {
    /// What a filter looks at.
    fn text(&self) -> String {
        match &self.what {
            What::Write { key, operation, .. } => format!("{} {operation} {key}", self.bucket),
            What::Watch(text) | What::Deed(text) => format!("{} {text}", self.bucket),
        }
    }

    fn spans(&self, canvas: &Canvas<'_, '_>, width: usize) -> Vec<Span<'static>> {
        let bucket = shown::fitted(self.bucket.as_str(), 14);
        let mut spans = vec![
            canvas.span(format!(" {} ", shown::clock(self.at)), Role::Muted),
            canvas.span(format!("{bucket} "), Role::Text),
        ];
        match &self.what {
            What::Watch(words) => {
                spans.push(canvas.span(format!("◌ {}", shown::plain(words)), Role::Warning));
            }
            What::Deed(words) => {
                spans.push(canvas.span(format!("▸ {}", shown::plain(words)), Role::Danger));
            }
            What::Write {
                key,
                revision,
                operation,
                size,
                inside,
            } => {
                let (mark, role) = match operation {
                    Operation::Put => ("put    ", Role::Good),
                    Operation::Delete => ("delete ", Role::Warning),
                    Operation::Purge => ("purge  ", Role::Warning),
                    Operation::Expire => ("expire ", Role::Muted),
                };
                let end = if operation.is_put() {
                    format!(" {:>9} {:>7}", revision.0, figures::size(*size))
                } else {
                    format!(" {:>9} {:>7}", revision.0, "")
                };
                let room = width.saturating_sub(10 + 15 + 7 + end.len() + 1).max(8);
                // Where there is room, what changed stands beside the key.
                let beside = if room >= WIDE { room * 3 / 5 } else { 0 };
                spans.push(canvas.span(mark, role));
                spans.extend(shown::fitted_spans(
                    canvas.theme,
                    key.as_str(),
                    Role::Text,
                    room - beside,
                ));
                if beside > 0 {
                    let told = match inside {
                        Inside::Told(told) => told.clone(),
                        Inside::Unknown => Vec::new(),
                    };
                    let told = text::truncate(told, beside - 1);
                    let told = text::pad(told, beside - 1, Align::Left).into_iter();
                    spans.push(Span::raw(" "));
                    spans.extend(told.map(|run| run.into_span(canvas.theme)));
                }
                spans.push(canvas.span(end, Role::Muted));
            }
        }
        spans
    }
}
