//! The selected lock: why it is as it is, its queue, three clocks for each in it, and its past.
//!
//! ```text
//! ┌ billing.ledger ─ rev 9120 ─ locks ──────────────────────────────────┐
//! │ the verdict's sentence                                              │
//! │                              held / waiting  renewed  lease left …  │
//! │ ■ reader report@batch-1            11 m 3 s      2 s        13 s    │  rows to walk over: all of
//! │ └─ writer deploy@web-3              4 m 12 s     4 s        11 s    │  them when the pane has the
//! │ 02:03:31 reader report granted, fence 9077                          │  keyboard, else what fits
//! │ held p50 0.8 s · p99 6.1 s                                          │
//! └─────────────────────────────────────────────────────────────────────┘
//! ```

mod party;

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::Line;

use self::party::{Columns, facts, queue_row};
use super::ages::Ages;
use super::past;
use super::queue::{self, Row};
use super::table::{self, look_of};
use super::{Focus, Locks, ages};
use crate::kv::lock::observer::{Content, Freshness, Lock};
use crate::kv::lock::shizuku::{EXPIRY, Shizuku, ShizukuMode};
use crate::kv::lock::timeline::Event;
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{below, wrapped};

/// Fewer times than this have no chart.
const FEW: usize = 4;

pub(super) fn draw(screen: &Locks, canvas: &mut Canvas<'_, '_>, ages: Ages, area: Rect) {
    let is_focused = screen.focus == Focus::Queue;
    let Some(lock) = screen.selected() else {
        let title = Line::from(canvas.span(" Lock ", Role::Title));
        canvas.pane(title, is_focused, area);
        canvas.hit(area, Hit::Pane(Pane::Queue));
        return;
    };
    let title = title(canvas, lock, usize::from(area.width));
    let inner = canvas.pane(title, is_focused, area);
    canvas.hit(area, Hit::Pane(Pane::Queue));
    let ages = ages.of(lock);
    let rest = reason(screen, canvas, lock, inner);
    match &lock.content {
        Content::Shizuku(record) => {
            foreign(canvas, *record, lock, ages, rest);
            canvas.rows_in(Pane::Queue, Rect { height: 0, ..rest });
        }
        _ => parties_and_past(screen, canvas, lock, ages, rest, area),
    }
    if !table::is_live(lock) {
        canvas.lay(Role::Stale, inner);
    }
}

fn title(canvas: &Canvas<'_, '_>, lock: &Lock, width: usize) -> Line<'static> {
    let format = if lock.format() == "shizuku" {
        " ─ shizuku"
    } else {
        ""
    };
    let bucket = shown::short(lock.bucket.as_str(), 24);
    let end = format!(" ─ rev {} ─ {bucket}{format} ─ ", lock.revision);
    let (sign, role) = look_of(lock.verdict);
    let sign = if table::is_live(lock) { sign } else { "◌" };
    let verdict = format!("{sign} {} ", lock.verdict);
    let taken = crate::ui::text::width(&end) + crate::ui::text::width(&verdict) + 3;
    let name = shown::short(&lock.resource, width.saturating_sub(taken).max(8));
    let spans = vec![
        canvas.span(format!(" {name}"), Role::Title),
        canvas.span(end, Role::Muted),
        canvas.span(verdict, role),
    ];
    Line::from(spans)
}

/// The verdict with its sentence, and from when it is where it is not of now; returns the rest.
fn reason(screen: &Locks, canvas: &mut Canvas<'_, '_>, lock: &Lock, area: Rect) -> Rect {
    let (_, role) = look_of(lock.verdict);
    let since = match (&lock.freshness, &screen.seen) {
        (Freshness::Stale { since, reason }, Some(seen)) => {
            let since = shown::clock(ages::time_of(seen, *since));
            format!("As of {since} ({reason}): ")
        }
        (Freshness::Failed { reason }, _) => format!("Not up to date ({reason}): "),
        _ => String::new(),
    };
    let words = format!("{since}{}", lock.reason);
    let words = shown::plain(&words);
    let width = usize::from(area.width.saturating_sub(2));
    let lines = wrapped(&words, width);
    // The queue needs room too.
    let most = usize::from(area.height / 3).max(2);
    let shown_lines = lines.len().min(most).min(usize::from(area.height));
    for (at, line) in lines.iter().take(shown_lines).enumerate() {
        let is_cut = at + 1 == shown_lines && shown_lines < lines.len();
        let line = if is_cut {
            format!("{} …", shown::cut(line, width.saturating_sub(2)))
        } else {
            line.clone()
        };
        let place = below(area, u16::try_from(at).unwrap_or(0));
        canvas.line(Line::from(canvas.span(format!(" {line}"), role)), place);
    }
    below(area, u16::try_from(shown_lines).unwrap_or(0))
}

fn parties_and_past(
    screen: &Locks,
    canvas: &mut Canvas<'_, '_>,
    lock: &Lock,
    ages: Ages,
    area: Rect,
    pane: Rect,
) {
    let is_focused = screen.focus == Focus::Queue;
    let columns = Columns::fitting(usize::from(area.width), lock);
    let mut area = area;
    let has_parties = !(lock.holders.is_empty() && lock.waiters.is_empty());
    if has_parties && area.height > 2 {
        let head = Line::from(canvas.span(columns.head(), Role::Muted));
        canvas.line(head, Rect { height: 1, ..area });
        area = below(area, 1);
    }
    if is_focused && area.height > 4 && has_parties {
        let bottom = Rect {
            y: area.bottom() - 1,
            height: 1,
            ..area
        };
        if let Some(party) = queue::party(lock, screen.line) {
            canvas.line(facts(canvas, party), bottom);
        }
        area.height -= 1;
    }
    let area = figures_below(screen, canvas, area);
    canvas.rows_in(Pane::Queue, area);
    if is_focused {
        walked(screen, canvas, lock, ages, columns, area);
        canvas.place_in_rows(screen.line, screen.lines(), area, pane);
    } else {
        folded(screen, canvas, lock, ages, columns, area);
    }
}

/// All lines, from where they are scrolled to.
fn walked(
    screen: &Locks,
    canvas: &mut Canvas<'_, '_>,
    lock: &Lock,
    ages: Ages,
    columns: Columns,
    area: Rect,
) {
    let viewport = Viewport {
        height: usize::from(area.height),
        ..screen.queue
    };
    let rows = queue::rows(lock, None);
    for (y, line) in (area.y..).zip(viewport.rows(screen.lines())) {
        let place = Rect {
            y,
            height: 1,
            ..area
        };
        canvas.hit(place, Hit::Row(Pane::Queue, line));
        if line == screen.line {
            canvas.lay(Role::Selection, place);
        }
        let drawn = match rows.get(line) {
            Some(row) => queue_row(canvas, lock, row, ages, columns),
            None => match screen.past.event(line - rows.len()) {
                Some(event) => happened(canvas, event),
                None => break,
            },
        };
        canvas.line(drawn, place);
    }
}

/// The queue, folded where there is no room, and below it as much of the past as fits.
fn folded(
    screen: &Locks,
    canvas: &mut Canvas<'_, '_>,
    lock: &Lock,
    ages: Ages,
    columns: Columns,
    area: Rect,
) {
    let height = usize::from(area.height);
    // The latest of the past deserves a line before the last ones of a long queue.
    let keeps = usize::from(height >= 5);
    let rows = queue::rows(lock, Some(height.saturating_sub(keeps)));
    let parties = rows.len();
    for (y, row) in (area.y..area.bottom()).zip(&rows) {
        let place = Rect {
            y,
            height: 1,
            ..area
        };
        if let Row::Party { place: at, .. } = row {
            canvas.hit(place, Hit::Row(Pane::Queue, *at));
        }
        let line = queue_row(canvas, lock, row, ages, columns);
        canvas.line(line, place);
    }
    let mut area = below(area, u16::try_from(parties).unwrap_or(area.height));
    if let Some(words) = screen.past.words() {
        let words = format!(" Timeline: {}", shown::plain(&words));
        let words = shown::cut(&words, usize::from(area.width));
        canvas.line(Line::from(canvas.span(words, Role::Muted)), area);
        return;
    }
    if area.height > 3 && parties > 0 {
        area = below(area, 1);
    }
    if area.height == 1 {
        canvas.line(in_one_line(screen, canvas, usize::from(area.width)), area);
        return;
    }
    for (y, event) in (area.y..area.bottom()).zip(screen.past.events()) {
        let place = Rect {
            y,
            height: 1,
            ..area
        };
        canvas.line(happened(canvas, event), place);
    }
}

/// The latest events in one line, the newest first, as many as fit.
fn in_one_line(screen: &Locks, canvas: &Canvas<'_, '_>, width: usize) -> Line<'static> {
    let mut words = String::from(" Timeline");
    for (at, event) in screen.past.events().enumerate() {
        let event = format!(
            "{} {} {}",
            if at == 0 { " " } else { " ·" },
            shown::clock(shown::millis(event.at)),
            shown::plain(&event.to_string())
        );
        let is_too_much = crate::ui::text::width(&words) + crate::ui::text::width(&event) > width;
        if at > 0 && is_too_much {
            break;
        }
        words.push_str(&event);
    }
    Line::from(canvas.span(shown::cut(&words, width), Role::Muted))
}

/// How long turns and waits took, at the bottom where there is room; returns what is above.
fn figures_below(screen: &Locks, canvas: &mut Canvas<'_, '_>, area: Rect) -> Rect {
    let figures = screen.past.figures();
    let width = usize::from(area.width);
    if figures.is_empty() || area.height < 5 {
        return area;
    }
    let has_charts = width >= 70 && area.height >= 8;
    let lines: Vec<Line<'static>> = if has_charts {
        let lines = figures.iter().map(|figures| {
            let (least, most) = figures.ends;
            let ends = format!("{} to {}", figures::span(least), figures::span(most));
            let mut spans = vec![canvas.span(format!(" {:<38}", figures.words()), Role::Muted)];
            // A few say nothing about how they lie.
            if figures.count >= FEW {
                spans.push(canvas.span(figures.chart.clone(), Role::Text));
                spans.push(canvas.span(format!("  {ends}, {} times", figures.count), Role::Muted));
            }
            Line::from(spans)
        });
        lines.collect()
    } else {
        let words: Vec<String> = figures.iter().map(past::Figures::words).collect();
        let words = shown::short(&words.join(" · "), width.saturating_sub(2));
        vec![Line::from(canvas.span(format!(" {words}"), Role::Muted))]
    };
    let rows = u16::try_from(lines.len()).unwrap_or(0);
    for (y, line) in (area.bottom() - rows..).zip(lines) {
        canvas.line(
            line,
            Rect {
                y,
                height: 1,
                ..area
            },
        );
    }
    Rect {
        height: area.height - rows,
        ..area
    }
}

fn happened(canvas: &Canvas<'_, '_>, event: &Event) -> Line<'static> {
    let clock = shown::clock(shown::millis(event.at));
    Line::from(vec![
        canvas.span(format!(" {clock}  "), Role::Muted),
        canvas.span(shown::plain(&event.to_string()), Role::Text),
    ])
}

/// What a record of a `shizuku` service tells, and what it does not.
fn foreign(canvas: &mut Canvas<'_, '_>, record: Shizuku, lock: &Lock, ages: Ages, area: Rect) {
    let mode = match record.mode {
        ShizukuMode::Idle => "idle",
        ShizukuMode::Read => "read",
        ShizukuMode::Write => "write",
    };
    let flag = if record.writer_waits {
        "set"
    } else {
        "not set"
    };
    let mut facts = vec![
        ("mode", mode.to_owned()),
        ("readers", figures::count(record.readers)),
        ("writer_waiting", flag.to_owned()),
    ];
    let is_in_use = record.mode != ShizukuMode::Idle || record.writer_waits;
    match record.acquired_at {
        None => facts.push(("acquired_at", "not recorded in this form".to_owned())),
        Some(0) => facts.push(("acquired_at", "zero".to_owned())),
        Some(seconds) => {
            let at = i64::try_from(seconds).unwrap_or(i64::MAX / 1000);
            let at = at.saturating_mul(1000);
            facts.push(("acquired_at", shown::clock(at)));
            if is_in_use {
                let then = u64::try_from(ages.report_at() - at).unwrap_or(0);
                let age = Duration::from_millis(then);
                let left = EXPIRY.checked_sub(age);
                facts.push(("age", ages.growing(canvas, age)));
                facts.push((
                    "expires in",
                    left.map_or("expired".to_owned(), |left| ages.shrinking(canvas, left)),
                ));
            }
        }
    }
    facts.push(("written", shown::clock(shown::millis(lock.created))));
    facts.push((
        "who, where, queue, fence",
        "not recorded by shizuku".to_owned(),
    ));
    for (y, (name, value)) in (area.y..area.bottom()).zip(facts) {
        let line = Line::from(vec![
            canvas.span(format!(" {name:<26}"), Role::Muted),
            canvas.span(value, Role::Text),
        ]);
        canvas.line(
            line,
            Rect {
                y,
                height: 1,
                ..area
            },
        );
    }
}
