//! Locks: all locks of all observed buckets above, and the queue of the selected one below.
//!
//! ```text
//! ┌ Locks 37 · 2 at fault · 5 waiting ──┐   what is at fault stands first; the selection is a lock,
//! └─────────────────────────────────────┘   not a row
//! ┌ billing.ledger ─ rev 9120 ──────────┐   why, who holds, who waits behind whom, since when;
//! └─────────────────────────────────────┘   and what happened before
//! ```
//!
//! What is shown was judged by the engine. Here it is sorted, filtered and drawn, and ages are
//! counted on. What each part looks like is with the part.

mod ages;
mod detail;
mod input;
mod past;
mod queue;
mod rows;
mod table;

use std::sync::Arc;

use ratatui::layout::Rect;

use self::ages::Ages;
use self::past::Past;
pub use self::rows::Which;
use self::rows::{Process, Rows, Sort};
use crate::kv::lock::observer::{Freshness, Lock, Party};
use crate::kv::lock::timeline::Timeline;
use crate::kv::{BucketName, Error, Key};
use crate::ui::canvas::{Canvas, Hit};
use crate::ui::context::Context;
use crate::ui::filter::FilterLine;
use crate::ui::message::{Effect, LockReport, Millis, RequestId};
use crate::ui::viewport::{Step, Viewport};

/// Below this width and height one pane is in sight at a time.
const SMALL: (u16, u16) = (60, 14);
/// Neither pane is dragged lower than this.
const LEAST: u16 = 5;

/// A lock, by where it is kept.
pub type LockId = (BucketName, Key);

/// Which locks are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sought {
    /// Those of our own services.
    Ours,
    /// Those of `shizuku` services too, which is dearer: from when the screen was first in sight.
    All,
}

/// The screen.
#[derive(Debug)]
pub struct Locks {
    seen: Option<Arc<LockReport>>,
    /// The buckets that are observed, as they were asked for.
    observed: Vec<BucketName>,
    /// How many buckets there are.
    buckets: usize,
    /// The line to type a filter into.
    pub filter: FilterLine,
    which: Which,
    sort: Sort,
    is_reversed: bool,
    rows: Rows,
    /// Whether the rows are those of a report before.
    is_behind: bool,
    selected: Option<LockId>,
    /// The selected lock, as of the report.
    shown: Option<Arc<Lock>>,
    /// Whether the user chose it. Until then it is the first, as long as not all is there.
    is_chosen: bool,
    sought: Sought,
    row: usize,
    table: Viewport,
    focus: Focus,
    queue: Viewport,
    /// The selected line of the queue and the past below it.
    line: usize,
    past: Past,
    /// The share of the height that the table has, in thousandths.
    share: u32,
}

/// The pane that has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Focus {
    Table,
    Queue,
}

/// Something that concerns more than this screen.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Show a key in Browse.
    Key(LockId),
    /// Go back to where one came from.
    Leave,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            seen: None,
            observed: Vec::new(),
            buckets: 0,
            filter: FilterLine::default(),
            which: Which::All,
            sort: Sort::default(),
            is_reversed: false,
            rows: Rows::default(),
            is_behind: false,
            selected: None,
            shown: None,
            is_chosen: false,
            sought: Sought::Ours,
            row: 0,
            table: Viewport::default(),
            focus: Focus::Table,
            queue: Viewport::default(),
            line: 0,
            past: Past::default(),
            share: 400,
        }
    }
}

impl Locks {
    /// The most buckets whose locks are observed: each costs a consumer at the server, and a second
    /// one once somebody looks.
    const MOST_BUCKETS: usize = 64;

    /// Observes the locks of these buckets from now on.
    pub fn follow(&mut self, buckets: &[BucketName], ctx: &mut Context<'_>) {
        self.buckets = buckets.len();
        let mut wanted = buckets.to_vec();
        wanted.truncate(Self::MOST_BUCKETS);
        wanted.sort_unstable();
        if wanted != self.observed {
            self.observed.clone_from(&wanted);
            ctx.effect(Effect::Locks(wanted));
            if self.sought == Sought::All {
                ctx.effect(Effect::ForeignLocks);
            }
        }
    }

    /// How it stands with all locks now. The rows are made when the screen is in sight.
    pub fn take(&mut self, report: Arc<LockReport>, is_in_sight: bool, ctx: &mut Context<'_>) {
        self.seen = Some(report);
        self.is_behind = true;
        if is_in_sight {
            self.look(ctx);
        }
    }

    /// The screen comes in sight.
    pub fn look(&mut self, ctx: &mut Context<'_>) {
        if std::mem::replace(&mut self.sought, Sought::All) == Sought::Ours {
            ctx.effect(Effect::ForeignLocks);
        }
        self.arrange();
        self.follow_selection(ctx);
    }

    /// How many locks are at fault.
    pub fn faults(&self) -> usize {
        let seen = self.seen.as_ref();
        seen.map_or(0, |seen| seen.report.summary.faults)
    }

    /// How fresh the picture is: the least fresh bucket counts. `None` until there is one.
    pub fn freshness(&self) -> Option<Freshness> {
        let seen = self.seen.as_ref()?;
        let all = || seen.report.buckets.iter().map(|(_, freshness)| freshness);
        let stale = all().filter_map(|freshness| match freshness {
            Freshness::Stale { since, reason } => Some((*since, reason)),
            _ => None,
        });
        if let Some((since, reason)) = stale.min_by_key(|(since, _)| *since) {
            let reason = reason.clone();
            return Some(Freshness::Stale { since, reason });
        }
        let others = [Freshness::Loading];
        let found = others
            .into_iter()
            .find(|wanted| all().any(|is| is == wanted));
        let failed = || {
            let is_failed = |freshness: &&Freshness| matches!(freshness, Freshness::Failed { .. });
            all().find(is_failed).cloned()
        };
        Some(found.or_else(failed).unwrap_or(Freshness::Live))
    }

    /// The time of day at something that a report tells by the time since boot.
    pub fn time_of(&self, since_boot: std::time::Duration) -> Millis {
        self.seen
            .as_ref()
            .map_or(0, |seen| ages::time_of(seen, since_boot))
    }

    /// The sessions that hold or wait, for the palette.
    pub fn sessions(&self) -> Vec<String> {
        let locks = self.seen.iter().flat_map(|seen| &seen.report.locks);
        let parties = locks.flat_map(|lock| rows::parties(lock));
        let mut sessions: Vec<String> = parties.map(|party| party.session.clone()).collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    /// Whether a lock is kept at a key.
    pub fn has(&self, id: &LockId) -> bool {
        let mut locks = self.seen.iter().flat_map(|seen| &seen.report.locks);
        locks.any(|lock| is(lock, id))
    }

    /// Shows only some of the locks.
    pub fn show(&mut self, which: Which, ctx: &mut Context<'_>) {
        self.which = which;
        self.focus = Focus::Table;
        self.arrange();
        self.follow_selection(ctx);
    }

    /// Selects a lock, and takes away what hides it.
    pub fn select_lock(&mut self, id: LockId, ctx: &mut Context<'_>) {
        self.selected = Some(id);
        self.is_chosen = true;
        self.focus = Focus::Table;
        self.arrange();
        if !self.is_selection_shown() {
            self.filter.set("");
            self.which = Which::All;
            self.arrange();
        }
        self.follow_selection(ctx);
    }

    /// The selected lock.
    pub fn selected(&self) -> Option<&Lock> {
        self.shown.as_deref()
    }

    /// When the report was made that is shown.
    pub fn reported_at(&self) -> Option<Millis> {
        self.seen.as_ref().map(|seen| seen.at)
    }

    /// The selected one of those who hold or wait; in the table, whoever holds alone, or is the
    /// only one there.
    pub fn selected_party(&self) -> Option<&Party> {
        let lock = self.selected()?;
        match (self.focus, lock.holders.as_slice(), lock.waiters.as_slice()) {
            (Focus::Queue, ..) => queue::party(lock, self.line),
            (Focus::Table, [only], _) | (Focus::Table, [], [only]) => Some(only),
            (Focus::Table, ..) => None,
        }
    }

    fn is_selection_shown(&self) -> bool {
        let selected = self.selected.as_ref();
        let shown = self.selected().zip(selected);
        shown.is_some_and(|(lock, id)| is(lock, id))
    }

    /// Makes the rows of what was seen last, and finds the selected lock among them.
    fn arrange(&mut self) {
        self.is_behind = false;
        let Some(seen) = &self.seen else {
            return;
        };
        let query = self.filter.query();
        self.rows
            .arrange(seen, &self.which, &query, self.sort, self.is_reversed);
        let is_loading = matches!(self.freshness(), Some(Freshness::Loading));
        if !self.is_chosen && (is_loading || self.selected.is_none()) {
            self.selected = None;
        }
        let place = self
            .selected
            .as_ref()
            .and_then(|id| self.rows.place_of(seen, id));
        // A lock that is gone leaves its place to the next one.
        let row = match (&self.selected, place) {
            (_, Some(place)) => place,
            (Some(_), None) => self.row,
            (None, _) => 0,
        };
        let is_lost = self.selected.is_some() && place.is_none();
        if is_lost {
            self.focus = Focus::Table;
        }
        self.put(row);
    }

    /// Puts the selection into a row.
    fn put(&mut self, row: usize) {
        let len = self.rows.len();
        self.row = row.min(len.saturating_sub(1));
        let seen = self.seen.as_deref();
        let lock = seen.and_then(|seen| self.rows.lock(seen, self.row));
        self.shown = seen.zip(lock).map(|(seen, lock)| seen.report.of_now(lock));
        let before = self.selected.take();
        self.selected = self
            .selected()
            .map(|lock| (lock.bucket.clone(), lock.key.clone()));
        if self.selected != before {
            self.line = 0;
            self.queue.top = 0;
        }
        self.table.follow(self.row, len);
        self.step_queue(Step::By(0));
    }

    /// Asks for the past of the selected lock, where it is not known.
    fn follow_selection(&mut self, ctx: &mut Context<'_>) {
        self.past.follow(self.shown.as_deref(), ctx);
    }

    /// The past of a lock was read.
    pub fn read_past(&mut self, id: RequestId, answer: Result<Timeline, Error>) {
        self.past.answer(id, answer);
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Millis> {
        self.past.deadline()
    }

    /// Something may be due.
    pub fn deadline_came(&mut self, ctx: &mut Context<'_>) {
        if self.past.deadline().is_some_and(|at| at <= ctx.now) {
            self.follow_selection(ctx);
        }
    }

    /// Takes the rows that the last frame had room for.
    pub fn fit(&mut self, table: Option<usize>, queue: Option<usize>) {
        if let Some(rows) = table {
            self.table.height = rows;
            self.table.follow(self.row, self.rows.len());
        }
        if let Some(rows) = queue {
            self.queue.height = rows;
            self.step_queue(Step::By(0));
        }
    }

    /// The process that the rows are those of, if they are.
    fn process(&self) -> Option<Process> {
        match &self.which {
            Which::Session(session) => Some(Process::of(self.seen.as_deref()?, session)),
            _ => None,
        }
    }

    /// Draws the screen. `as_of`: the time that ages are counted to; before now where the picture
    /// is held still or out of date.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, as_of: Millis, area: Rect) {
        let is_small = area.width < SMALL.0 || area.height < SMALL.1;
        let (top, bottom) = if is_small {
            match self.focus {
                Focus::Table => (Some(area), None),
                Focus::Queue => (None, Some(area)),
            }
        } else {
            let rows = u32::from(area.height) * self.share / 1000;
            let rows = u16::try_from(rows).unwrap_or(area.height);
            let rows = rows.clamp(LEAST, area.height - LEAST);
            let top = Rect {
                height: rows,
                ..area
            };
            let bottom = Rect {
                y: area.y + rows,
                height: area.height - rows,
                ..area
            };
            (Some(top), Some(bottom))
        };
        let ages = Ages::new(self.seen.as_deref(), as_of);
        if let Some(area) = top {
            table::draw(self, canvas, ages, area);
        }
        if let Some(area) = bottom {
            detail::draw(self, canvas, ages, area);
        }
        if let (Some(_), Some(bottom)) = (top, bottom) {
            canvas.hit(
                Rect {
                    height: 1,
                    ..bottom
                },
                Hit::Split(0),
            );
        }
    }
}

fn is(lock: &Lock, (bucket, key): &LockId) -> bool {
    lock.key == *key && lock.bucket == *bucket
}
