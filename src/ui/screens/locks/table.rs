//! The table of locks: its title, the columns there is room for, and a row.

mod cells;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use self::cells::cell;
pub(super) use self::cells::{last_beat, lasted, look_of};
use super::ages::Ages;
use super::rows::{Sort, Which};
use super::{Focus, Locks};
use crate::kv::lock::observer::{Freshness, Lock};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::message::LockReport;
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{below, filter_line, paragraph, wrapped};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Resource,
    Bucket,
    Mode,
    Holders,
    Fence,
    Writers,
    Readers,
    /// Writers and readers in one, where there is no room for two.
    Waiting,
    First,
    Wait,
    Held,
    Beat,
    Verdict,
}

use Column::{
    Beat, Bucket, Fence, First, Held, Holders, Mode as ModeOf, Readers, Resource,
    Verdict as VerdictOf, Wait, Waiting, Writers,
};

/// The columns for panes from a width on, the widest first.
const SETS: [(u16, &[Column]); 5] = [
    (
        160,
        &[
            Resource, Bucket, ModeOf, Holders, Fence, Writers, Readers, First, Wait, Held, Beat,
            VerdictOf,
        ],
    ),
    (
        116,
        &[
            Resource, Bucket, ModeOf, Holders, Writers, Readers, Wait, Held, Beat, VerdictOf,
        ],
    ),
    (
        92,
        &[
            Resource, Bucket, ModeOf, Holders, Waiting, Wait, Held, VerdictOf,
        ],
    ),
    (56, &[Resource, ModeOf, Holders, Waiting, Wait, VerdictOf]),
    (0, &[Resource, VerdictOf]),
];

impl Column {
    fn name(self) -> &'static str {
        match self {
            Resource => "resource",
            Bucket => "bucket",
            ModeOf => "mode",
            Holders => "holders",
            Fence => "fence",
            Writers => "writers",
            Readers => "readers",
            Waiting => "waiting",
            First => "first in line",
            Wait => "longest wait",
            Held => "held for",
            Beat => "last beat",
            VerdictOf => "verdict",
        }
    }

    /// Its width with the blank before it; `Err` for a share of what is left.
    fn width(self, is_wide: bool, is_widest: bool) -> Result<usize, usize> {
        match self {
            VerdictOf if is_widest => Ok(28),
            Resource => Err(5),
            Holders | First => Err(4),
            Bucket => Err(2),
            ModeOf => Ok(6),
            Fence => Ok(9),
            Writers | Readers | Waiting => Ok(8),
            Wait if is_wide => Ok(13),
            Wait | Held => Ok(11),
            Beat => Ok(10),
            VerdictOf => Ok(18),
        }
    }

    fn is_number(self) -> bool {
        matches!(
            self,
            Fence | Writers | Readers | Waiting | Wait | Held | Beat
        )
    }
}

/// The columns of a pane, with their widths.
struct Columns(Vec<(Column, usize)>);

impl Columns {
    fn fitting(width: u16) -> Self {
        let set = SETS.iter().find(|(from, _)| width >= *from);
        let columns = set.map_or(&[][..], |(_, columns)| columns);
        let (is_wide, is_widest) = (width >= 116, width >= 160);
        let fixed: usize = columns
            .iter()
            .filter_map(|column| column.width(is_wide, is_widest).ok())
            .sum();
        let shares: usize = columns
            .iter()
            .filter_map(|column| column.width(is_wide, is_widest).err())
            .sum();
        let left = usize::from(width).saturating_sub(fixed + 1);
        let widths = columns.iter().map(|column| {
            let width = match column.width(is_wide, is_widest) {
                Ok(width) => width,
                Err(share) => left * share / shares.max(1),
            };
            (*column, width)
        });
        Self(widths.collect())
    }

    fn line<'t>(&self, mut cell: impl FnMut(Column, usize) -> Vec<Span<'t>>) -> Line<'t> {
        let mut spans = Vec::new();
        for (column, width) in &self.0 {
            // The verdict stands apart from the numbers before it.
            let gap = if *column == VerdictOf { "  " } else { " " };
            spans.push(Span::raw(gap));
            spans.extend(cell(*column, width.saturating_sub(gap.len())));
        }
        Line::from(spans)
    }
}

pub(super) fn draw(screen: &Locks, canvas: &mut Canvas<'_, '_>, ages: Ages, area: Rect) {
    let is_focused = screen.focus == Focus::Table;
    let title = title(screen, canvas);
    let mut inner = canvas.pane(title, is_focused, area);
    canvas.hit(area, Hit::Pane(Pane::Locks));
    inner = filter_line(canvas, &screen.filter, inner);
    inner = process_lines(screen, canvas, inner);
    let columns = Columns::fitting(inner.width);
    if inner.height > 2 {
        let head =
            columns.line(|column, width| vec![canvas.span(head(column, width), Role::Muted)]);
        canvas.line(head, Rect { height: 1, ..inner });
        inner = below(inner, 1);
    }
    canvas.rows_in(Pane::Locks, inner);
    let len = screen.rows.len();
    canvas.place_in_rows(screen.row, len, inner, area);
    if len == 0 {
        let (words, role) = nothing(screen);
        let left = inner.width.min(1);
        let inset = Rect {
            x: inner.x + left,
            width: inner.width - left,
            ..inner
        };
        paragraph(canvas, &words, role, inset);
    }
    let Some(seen) = &screen.seen else {
        return;
    };
    let viewport = Viewport {
        height: usize::from(inner.height),
        ..screen.table
    };
    for (y, row) in (inner.y..).zip(viewport.rows(len)) {
        let Some(lock) = screen.rows.lock(seen, row) else {
            break;
        };
        let place = Rect {
            y,
            height: 1,
            ..inner
        };
        canvas.hit(place, Hit::Row(Pane::Locks, row));
        let line = columns.line(|column, width| cell(canvas, column, width, lock, ages, seen));
        if row == screen.row {
            let role = if is_focused {
                Role::Selection
            } else {
                Role::SelectionIdle
            };
            canvas.lay(role, place);
        }
        canvas.line(line, place);
        if !is_live(lock) {
            canvas.lay(Role::Stale, place);
        }
    }
}

/// Whether what is told of a lock is as the store has it.
pub(super) fn is_live(lock: &Lock) -> bool {
    lock.freshness == Freshness::Live || lock.freshness == Freshness::Loading
}

/// `Locks 37 · 2 at fault · 5 waiting`
fn title(screen: &Locks, canvas: &Canvas<'_, '_>) -> Line<'static> {
    let mut spans = vec![canvas.span(" Locks ", Role::Title)];
    let Some(seen) = &screen.seen else {
        return Line::from(spans);
    };
    let count = |number: usize| figures::count(number as u64);
    let summary = &seen.report.summary;
    spans.push(canvas.span(format!("{} ", count(summary.locks)), Role::Muted));
    if summary.faults > 0 {
        let words = format!("· {} at fault ", count(summary.faults));
        spans.push(canvas.span(words, Role::Danger));
    }
    if summary.waiting > 0 {
        let words = format!("· {} waiting ", count(summary.waiting));
        spans.push(canvas.span(words, Role::Text));
    }
    let of_which = match &screen.which {
        Which::All => None,
        Which::Stuck => Some("stuck".to_owned()),
        Which::Waiters => Some("waited for".to_owned()),
        Which::Held => Some("held".to_owned()),
        Which::Session(session) => Some(format!("session {}", shown::short(session, 24))),
    };
    if of_which.is_some() || !screen.filter.text().is_empty() {
        let words = format!("· {} shown ", count(screen.rows.len()));
        spans.push(canvas.span(words, Role::KeyHint));
    }
    if let Some(words) = of_which {
        spans.push(canvas.span(format!("· {words} "), Role::KeyHint));
    }
    if screen.sort != Sort::default() || screen.is_reversed {
        let order = if screen.is_reversed { "↑" } else { "↓" };
        let words = format!("· {} {order} ", screen.sort.words());
        spans.push(canvas.span(words, Role::Muted));
    }
    spans.extend(doubts(screen, canvas, seen));
    Line::from(spans)
}

/// What the picture lacks.
fn doubts(screen: &Locks, canvas: &Canvas<'_, '_>, seen: &LockReport) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let all = || seen.report.buckets.iter();
    if let Some(Freshness::Stale { since, .. }) = screen.freshness() {
        let since = shown::clock(screen.time_of(since));
        spans.push(canvas.span(format!("· ◌ stale since {since} "), Role::Danger));
    }
    let loading = all().filter(|(_, is)| *is == Freshness::Loading).count();
    if loading > 0 {
        spans.push(canvas.span("· reading … ", Role::Warning));
    }
    let failed = all().filter(|(_, is)| matches!(is, Freshness::Failed { .. }));
    let failed: Vec<String> = failed
        .map(|(bucket, _)| shown::short(bucket.as_str(), 20))
        .collect();
    match failed.as_slice() {
        [] => {}
        [one] => spans.push(canvas.span(format!("· {one} can't be read "), Role::Danger)),
        many => {
            let words = format!("· {} buckets can't be read ", many.len());
            spans.push(canvas.span(words, Role::Danger));
        }
    }
    if screen.observed.len() < screen.buckets {
        let words = format!("· {} of {} buckets ", screen.observed.len(), screen.buckets);
        spans.push(canvas.span(words, Role::Warning));
    }
    spans
}

/// Why there are no rows.
fn nothing(screen: &Locks) -> (String, Role) {
    let failures = screen.seen.iter().flat_map(|seen| &seen.report.buckets);
    let mut failures = failures.filter_map(|(bucket, freshness)| match freshness {
        Freshness::Failed { reason } => Some(format!("{bucket}: {reason}")),
        _ => None,
    });
    if let Some(first) = failures.next() {
        return (shown::plain(&first), Role::Danger);
    }
    let words = match (&screen.seen, screen.freshness()) {
        (None, _) | (_, Some(Freshness::Loading)) => "reading …".to_owned(),
        (Some(seen), _) if seen.report.locks.is_empty() => {
            "there are no locks in these buckets".to_owned()
        }
        _ => match &screen.which {
            Which::Stuck => "no lock is at fault".to_owned(),
            Which::Session(session) => {
                let session = shown::short(session, 60);
                format!("session {session} holds nothing and waits for nothing")
            }
            _ => "no lock passes the filter".to_owned(),
        },
    };
    (words, Role::Muted)
}

/// What would be freed if the process that is shown went; returns the rest of the pane.
fn process_lines(screen: &Locks, canvas: &mut Canvas<'_, '_>, area: Rect) -> Rect {
    let Some(process) = screen.process() else {
        return area;
    };
    let words = shown::plain(&process.words());
    let width = usize::from(area.width.saturating_sub(1));
    let lines = wrapped(&words, width);
    let rows = lines.len().min(usize::from(area.height / 3).max(1));
    let rows = u16::try_from(rows).unwrap_or(1).min(area.height);
    for (at, line) in lines.iter().take(usize::from(rows)).enumerate() {
        let is_cut = at + 1 == usize::from(rows) && lines.len() > usize::from(rows);
        let line = if is_cut {
            format!("{} …", shown::cut(line, width.saturating_sub(2)))
        } else {
            line.clone()
        };
        let line = Line::from(canvas.span(format!(" {line}"), Role::Warning));
        canvas.line(line, below(Rect { ..area }, u16::try_from(at).unwrap_or(0)));
    }
    below(area, rows)
}

fn head(column: Column, width: usize) -> String {
    let name = match column {
        Wait if width < column.name().len() => "wait",
        _ => column.name(),
    };
    if column.is_number() {
        format!("{name:>width$}")
    } else {
        format!("{name:<width$}")
    }
}
