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

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::ages::Ages;
use super::past;
use super::queue::{self, Row};
use super::table::{last_beat, lasted, look_of};
use super::{Focus, Locks, ages};
use crate::kv::lock::observer::{ClockOf, Content, Freshness, Lock, Party, Standing};
use crate::kv::lock::record::Mode;
use crate::kv::lock::shizuku::{EXPIRY, Shizuku, ShizukuMode};
use crate::kv::lock::timeline::{Basis, Event};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{below, wrapped};

/// Fewer times than this have no chart.
const FEW: usize = 4;

/// The columns beside the name; 0 for one that there is no room for.
#[derive(Debug, Clone, Copy)]
struct Columns {
    name: usize,
    pid: usize,
    session: usize,
    lasted: usize,
    renewed: usize,
    left: usize,
    fence: usize,
    state: usize,
}

impl Columns {
    fn fitting(width: usize, lock: &Lock) -> Self {
        let from = |least: usize, columns: usize| if width >= least { columns } else { 0 };
        // A session's name is what breaking asks for: it is shown whole, where that is possible.
        let parties = lock.holders.iter().chain(&lock.waiters);
        let longest = parties
            .map(|party| crate::ui::text::width(&party.session))
            .max();
        let session = longest.unwrap_or(0).clamp(12, 26) + 2;
        let mut columns = Self {
            name: 0,
            pid: from(104, 11),
            session: from(104, session),
            lasted: if width >= 100 { 16 } else { 13 },
            renewed: from(50, 10),
            left: from(66, 12),
            fence: from(76, 9),
            state: from(90, 9),
        };
        // Not further from the clocks than the eye follows.
        columns.name = width.saturating_sub(columns.others() + 2).min(60);
        columns
    }

    fn others(self) -> usize {
        let beside = self.pid + self.session + self.lasted;
        beside + self.renewed + self.left + self.fence + self.state
    }

    fn head(self) -> String {
        let right = |name: &str, width: usize| match width {
            0 => String::new(),
            _ => format!("{name:>width$}"),
        };
        let left = |name: &str, width: usize| match width {
            0 => String::new(),
            _ => format!("{name:<width$}"),
        };
        format!(
            " {}{}{}{}{}{}{}{}",
            left("", self.name),
            left("  pid", self.pid),
            left("  session", self.session),
            right(
                if self.lasted > 14 {
                    "held / waiting"
                } else {
                    "held/waiting"
                },
                self.lasted
            ),
            right("renewed", self.renewed),
            right("lease left", self.left),
            right("fence", self.fence),
            left("  state", self.state),
        )
    }
}

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
    if lock.freshness != Freshness::Live && lock.freshness != Freshness::Loading {
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
            shown::plain(&past::words(event))
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

fn queue_row(
    canvas: &mut Canvas<'_, '_>,
    lock: &Lock,
    row: &Row,
    ages: Ages,
    columns: Columns,
) -> Line<'static> {
    match row {
        Row::More(count) => {
            let words = format!("   … and {count} more: Enter shows all");
            Line::from(canvas.span(words, Role::Muted))
        }
        Row::Party { place, depth } => match queue::party(lock, *place) {
            Some(party) => party_row(canvas, party, *depth, ages, columns),
            None => Line::default(),
        },
        Row::Folded { places, depth } => {
            let parties = places.clone().filter_map(|at| queue::party(lock, at));
            let parties: Vec<&Party> = parties.collect();
            folded_row(canvas, &parties, *depth, ages, columns)
        }
    }
}

/// What stands before a name: who holds on top, who waits below whom.
fn branch(depth: Option<usize>) -> String {
    match depth {
        None => "■ ".to_owned(),
        Some(depth) => format!("{}└─ ", "   ".repeat(depth)),
    }
}

fn role_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "reader",
        Mode::Write => "writer",
    }
}

fn party_row(
    canvas: &mut Canvas<'_, '_>,
    party: &Party,
    depth: Option<usize>,
    ages: Ages,
    columns: Columns,
) -> Line<'static> {
    let (mark, role) = state_of(&party.standing);
    let position = party
        .position
        .map(|at| format!("{at} "))
        .unwrap_or_default();
    let before = format!("{}{position}{} ", branch(depth), role_name(party.mode));
    let mut spans = vec![Span::raw(" "), canvas.span(before.clone(), Role::Muted)];
    // Without a column for it, how somebody is stands at the name, if it is not well.
    let after = if columns.state == 0 && role != Role::Good {
        format!(" {mark}")
    } else {
        String::new()
    };
    let taken = before.chars().count() + after.chars().count();
    let room = columns.name.saturating_sub(taken);
    spans.extend(shown::fitted_spans(
        canvas.theme,
        &party.name(),
        if depth.is_none() {
            Role::Title
        } else {
            Role::Text
        },
        room,
    ));
    spans.push(canvas.span(after, role));
    let pid = party
        .pid
        .map(|pid| format!("  pid {pid}"))
        .unwrap_or_default();
    spans.push(canvas.span(shown::cut_fitted(&pid, columns.pid), Role::Muted));
    let session = format!("  {}", shown::plain(&party.session));
    spans.push(canvas.span(shown::cut_fitted(&session, columns.session), Role::Muted));
    let right = |words: String, width: usize| match width {
        0 => String::new(),
        _ => format!("{words:>width$}"),
    };
    let words = lasted(canvas, ages, party);
    spans.push(canvas.span(right(words, columns.lasted), Role::Text));
    let renewed = last_beat(party).map(|beat| {
        // By the store's clock: it was before we looked.
        let sign = match beat.clock {
            ClockOf::Ours => "",
            ClockOf::Store => "~ ",
        };
        format!("{sign}{}", ages.growing(canvas, beat.ago))
    });
    spans.push(canvas.span(
        right(renewed.unwrap_or_default(), columns.renewed),
        role_of_clock(role),
    ));
    let left = party.lease_left.map(|left| ages.shrinking(canvas, left));
    spans.push(canvas.span(
        right(left.unwrap_or_default(), columns.left),
        role_of_clock(role),
    ));
    let fence = party.fence.map(|fence| fence.to_string());
    spans.push(canvas.span(right(fence.unwrap_or_default(), columns.fence), Role::Muted));
    if columns.state > 0 {
        spans.push(canvas.span(format!("  {mark}"), role));
    }
    Line::from(spans)
}

fn role_of_clock(state: Role) -> Role {
    if state == Role::Good {
        Role::Muted
    } else {
        state
    }
}

/// How somebody is, in a word, and its role.
fn state_of(standing: &Standing) -> (&'static str, Role) {
    match standing {
        Standing::Live => ("live", Role::Good),
        Standing::Unknown => ("?", Role::Muted),
        Standing::Absent { is_certain: false } => ("absent?", Role::Warning),
        Standing::Silent(_) => ("silent", Role::Danger),
        Standing::Killed {
            quarantine: Some(_),
            ..
        } => ("broken", Role::Warning),
        Standing::Killed { .. } => ("dead", Role::Danger),
        Standing::Gone => ("gone", Role::Danger),
        Standing::Absent { is_certain: true } => ("absent", Role::Danger),
    }
}

fn folded_row(
    canvas: &mut Canvas<'_, '_>,
    parties: &[&Party],
    depth: Option<usize>,
    ages: Ages,
    columns: Columns,
) -> Line<'static> {
    let first = parties.first().and_then(|party| party.position);
    let last = parties.last().and_then(|party| party.position);
    let places = match (first, last) {
        (Some(first), Some(last)) => format!("{first}–{last} "),
        _ => format!("{} ", parties.len()),
    };
    let mode = parties.first().map_or("", |party| role_name(party.mode));
    let before = format!("{}{places}{mode}s ", branch(depth));
    let names: Vec<String> = parties.iter().map(|party| party.name()).collect();
    // Over the columns whose values differ.
    let width = columns.name + columns.pid + columns.session;
    let room = width.saturating_sub(before.chars().count());
    let name = shown::fitted(&names.join(", "), room);
    let longest = parties.iter().map(|party| party.lasted).max();
    let longest = ages.growing(canvas, longest.unwrap_or(Duration::ZERO));
    let lasted_words = format!("≤ {longest}");
    let width = columns.lasted;
    Line::from(vec![
        Span::raw(" "),
        canvas.span(before, Role::Muted),
        canvas.span(name, Role::Text),
        canvas.span(format!("{lasted_words:>width$}"), Role::Text),
    ])
}

/// What there is beside the columns to say of one who holds or waits.
fn facts(canvas: &Canvas<'_, '_>, party: &Party) -> Line<'static> {
    let mut facts = Vec::new();
    match (&party.host, party.pid) {
        (Some(host), Some(pid)) => facts.push(format!("pid {pid} on {host}")),
        (Some(host), None) => facts.push(format!("on {host}")),
        _ => {}
    }
    facts.push(format!("session {}", party.session));
    if !party.owner.is_empty() {
        facts.push(format!("task {}", party.owner));
    }
    let since = shown::clock(shown::millis(party.since.at));
    facts.push(match party.since.basis {
        Basis::Write => format!("since {since}"),
        Basis::Kept => format!("since {since} or before"),
        Basis::Asker => format!("since {since} by its own clock"),
    });
    if let Standing::Killed { death, .. } = &party.standing {
        facts.push(format!("killed by {}", death.by));
    }
    let words = shown::plain(&facts.join(" · "));
    Line::from(canvas.span(format!(" {words}"), Role::KeyHint))
}

fn happened(canvas: &Canvas<'_, '_>, event: &Event) -> Line<'static> {
    let clock = shown::clock(shown::millis(event.at));
    Line::from(vec![
        canvas.span(format!(" {clock}  "), Role::Muted),
        canvas.span(shown::plain(&past::words(event)), Role::Text),
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
