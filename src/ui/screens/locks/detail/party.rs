//! One who holds or waits: the columns there is room for, a row, and what else is known.

use std::time::Duration;

use ratatui::text::{Line, Span};

use super::super::ages::Ages;
use super::super::queue::{self, Row};
use super::super::table::{last_beat, lasted};
use crate::kv::lock::observer::{ClockOf, Lock, Party, Standing};
use crate::kv::lock::record::Mode;
use crate::kv::lock::timeline::Basis;
use crate::ui::canvas::Canvas;
use crate::ui::shown;
use crate::ui::theme::Role;

/// The columns beside the name; 0 for one that there is no room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
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
    pub(super) fn fitting(width: usize, lock: &Lock) -> Self {
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

    pub(super) fn head(self) -> String {
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

pub(super) fn queue_row(
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
pub(super) fn facts(canvas: &Canvas<'_, '_>, party: &Party) -> Line<'static> {
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
