//! Two values and what differs between them, on the screen: by path, or side by side by line.
//!
//! ```text
//! ~ .max_per_day      25000 → 40000             3   "max": 25000,  │  3   "max": 40000,
//! + .tags             ["new"]                   4 }                │  4 }
//! ```
//!
//! Secrets are masked until they are asked for. What is masked never tells whether it is the same.

use std::ops::Range;
use std::sync::Arc;

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::canvas::{Canvas, Hit, Pane};
use super::text::{self, Align, Clip, Run, figures};
use super::theme::Role;
use super::viewport::{Step, Viewport};
use crate::edit::diff::{self, Change, RowKind, What};
use crate::edit::{Diff, Excerpt, MASK, Masking, Part};

/// From this width on the two values stand beside each other.
const WIDE: u16 = 60;
/// So many lines that are alike stand around those that are not.
const AROUND: usize = 3;

/// What differs, and how it is looked at.
#[derive(Debug, Clone)]
pub struct DiffView {
    diff: Arc<Diff>,
    by_line: bool,
    rows: Vec<Row>,
    is_revealed: bool,
    viewport: Viewport,
    column: usize,
    columns: usize,
}

/// A row of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// A change, by its number.
    Change(usize),
    /// A row of lines, by its number.
    Lines(usize),
    /// So many lines that are alike.
    Alike(usize),
}

impl DiffView {
    /// A view by path where both are JSON, by line otherwise.
    pub fn new(diff: Arc<Diff>) -> Self {
        // Where only white space differs, the paths have nothing to say.
        let by_line = diff.by_path.as_ref().is_none_or(Vec::is_empty);
        let mut view = Self {
            diff,
            by_line,
            rows: Vec::new(),
            is_revealed: false,
            viewport: Viewport::default(),
            column: 0,
            columns: 0,
        };
        view.lay_out();
        view
    }

    /// What is looked at.
    pub fn diff(&self) -> &Diff {
        &self.diff
    }

    /// Shows it by line or by path, whichever it was not.
    pub fn turn(&mut self) {
        if self.diff.by_path.is_some() {
            self.by_line = !self.by_line;
            self.column = 0;
            self.lay_out();
        }
    }

    /// Shows the secrets, or masks them.
    pub fn reveal(&mut self) {
        self.is_revealed = !self.is_revealed;
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether anything in it is a secret.
    pub fn has_secrets(&self) -> bool {
        let changes = self.diff.by_path.iter().flatten();
        let mut paths = changes
            .flat_map(|change| [&change.old, &change.new])
            .flatten();
        let rows = self.diff.by_line.rows().iter();
        let mut lines = rows.flat_map(|row| [&row.old, &row.new]).flatten();
        paths.any(Excerpt::has_secrets) || lines.any(|line| line.text.has_secrets())
    }

    /// Which of the two ways it is shown in, and what the other is.
    pub fn way(&self) -> &'static str {
        match (self.by_line, self.diff.by_path.is_some()) {
            (false, _) => "by path",
            (true, true) => "by line",
            (true, false) => "by line (not JSON)",
        }
    }

    /// What the other way is called, for a key; nothing where there is none.
    pub fn other_way(&self) -> Option<&'static str> {
        self.diff.by_path.as_ref()?;
        Some(if self.by_line { "by path" } else { "by line" })
    }

    /// Scrolls.
    pub fn step(&mut self, step: Step) {
        let len = self.rows.len();
        let top = match step {
            Step::Last => len,
            step => step.from(self.viewport.top, self.viewport, len),
        };
        self.viewport.top = top;
        self.viewport.clamp(len);
    }

    /// Scrolls to the side.
    pub fn shift(&mut self, right: bool) {
        let by = (self.columns / 4).max(4);
        if right {
            self.column = self.column.saturating_add(by).min(1 << 20);
        } else {
            self.column = self.column.saturating_sub(by);
        }
    }

    /// Takes the size that the last frame had.
    pub fn fit(&mut self, rows: usize, columns: usize) {
        self.viewport.height = rows;
        self.columns = columns;
        self.viewport.clamp(self.rows.len());
    }

    fn lay_out(&mut self) {
        self.viewport.top = 0;
        self.rows.clear();
        if self.diff.is_empty() {
            return;
        }
        if !self.by_line {
            let count = self.diff.by_path.as_ref().map_or(0, Vec::len);
            self.rows.extend((0..count).map(Row::Change));
            return;
        }
        let lines = &self.diff.by_line;
        let mut at = 0;
        for stretch in lines.stretches(AROUND) {
            if stretch.start > at {
                self.rows.push(Row::Alike(stretch.start - at));
            }
            at = stretch.end;
            self.rows.extend(stretch.map(Row::Lines));
        }
        let rest = lines.rows().len() - at;
        if rest > 0 {
            self.rows.push(Row::Alike(rest));
        }
    }

    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, area: Rect) {
        canvas.rows_in(Pane::Overlay, area);
        canvas.hit(area, Hit::Pane(Pane::Overlay));
        if self.rows.is_empty() {
            let words = " The two are the same, byte for byte.";
            canvas.line(Line::from(canvas.span(words, Role::Muted)), area);
        }
        let viewport = Viewport {
            height: usize::from(area.height),
            ..self.viewport
        };
        for (y, row) in (area.y..).zip(viewport.rows(self.rows.len())) {
            let Some(row) = self.rows.get(row) else { break };
            let place = Rect {
                y,
                height: 1,
                ..area
            };
            match *row {
                Row::Alike(count) => {
                    let lines = if count == 1 { "line" } else { "lines" };
                    let words = format!("   ⋯ {} {lines} alike", figures::count(count as u64));
                    canvas.line(Line::from(canvas.span(words, Role::Muted)), place);
                }
                Row::Change(at) => {
                    let change = self.diff.by_path.as_ref().and_then(|all| all.get(at));
                    if let Some(change) = change {
                        let runs = change_runs(change, self.is_revealed, self.path_width(area));
                        canvas.scrolled(self.column, place, |columns| {
                            text::clip(runs.clone(), columns)
                        });
                    }
                }
                Row::Lines(at) => {
                    if let Some(row) = self.diff.by_line.rows().get(at) {
                        self.draw_lines(canvas, row, place);
                    }
                }
            }
        }
    }

    /// The width of the column of paths: as wide as the widest, but not more than half.
    fn path_width(&self, area: Rect) -> usize {
        let changes = self.diff.by_path.iter().flatten().take(1000);
        let widest = changes
            .map(|change| text::width(&change.path.to_string()))
            .max();
        widest.unwrap_or(0).min(usize::from(area.width) / 2).max(8)
    }

    fn draw_lines(&self, canvas: &mut Canvas<'_, '_>, row: &diff::Row, area: Rect) {
        let (old_role, new_role) = match row.kind {
            RowKind::Same => (Role::Muted, Role::Muted),
            RowKind::Added | RowKind::Removed | RowKind::Changed => (Role::Removed, Role::Added),
        };
        let old = row.old.as_ref();
        let new = row.new.as_ref();
        if area.width < WIDE {
            // One under the other would move the rows: the newer one alone, and what it is.
            let (sign, line, role) = match row.kind {
                RowKind::Same => (" ", new, new_role),
                RowKind::Added => ("+", new, new_role),
                RowKind::Removed => ("-", old, old_role),
                RowKind::Changed => ("~", new, new_role),
            };
            self.draw_side(canvas, sign, line, role, area);
            return;
        }
        let half = (area.width - 1) / 2;
        let left = Rect {
            width: half,
            ..area
        };
        let bar = Rect {
            x: area.x + half,
            width: 1,
            ..area
        };
        let right = Rect {
            x: bar.x + 1,
            width: area.width - half - 1,
            ..area
        };
        let (old_sign, new_sign) = match row.kind {
            RowKind::Same => (" ", " "),
            RowKind::Added => (" ", "+"),
            RowKind::Removed => ("-", " "),
            RowKind::Changed => ("~", "~"),
        };
        self.draw_side(canvas, old_sign, old, old_role, left);
        canvas.line(Line::from(canvas.span("│", Role::Border)), bar);
        self.draw_side(canvas, new_sign, new, new_role, right);
    }

    fn draw_side(
        &self,
        canvas: &mut Canvas<'_, '_>,
        sign: &str,
        line: Option<&diff::Line>,
        role: Role,
        area: Rect,
    ) {
        let Some(line) = line else {
            return;
        };
        let lines = self.diff.by_line.rows().len();
        let digits = lines.checked_ilog10().unwrap_or(0) as usize + 1;
        let gutter = u16::try_from(digits + 3).unwrap_or(8).min(area.width / 2);
        let head = vec![
            canvas.span(sign.to_owned(), role),
            canvas.span(format!("{:>digits$} ", line.number), Role::Muted),
        ];
        canvas.line(
            Line::from(head),
            Rect {
                width: gutter,
                ..area
            },
        );
        let room = Rect {
            x: area.x + gutter,
            width: area.width - gutter,
            ..area
        };
        canvas.scrolled(self.column, room, |columns| {
            let mut clip = Clip::new(columns);
            push_excerpt(
                &mut clip,
                &line.text,
                &line.emphasis,
                role,
                self.is_revealed,
            );
            differing(clip.finish()).collect()
        });
    }
}

/// What a text's matches are lit by is, here, what differs.
fn differing(runs: Vec<Run<'_>>) -> impl Iterator<Item = Run<'_>> {
    runs.into_iter().map(|run| Run {
        role: if run.role == Role::Match {
            Role::Differs
        } else {
            run.role
        },
        ..run
    })
}

fn push_excerpt<'a>(
    clip: &mut Clip<'a>,
    excerpt: &'a Excerpt,
    emphasis: &[Range<usize>],
    role: Role,
    is_revealed: bool,
) {
    let mut at = 0;
    for part in excerpt.parts() {
        let length = match part {
            Part::Open(open) => {
                clip.push_source(open.as_bytes(), at, role, emphasis);
                open.len()
            }
            Part::Secret(secret) if is_revealed => {
                clip.push_source(secret.as_bytes(), at, Role::Secret, emphasis);
                secret.len()
            }
            Part::Secret(secret) => {
                clip.push(Role::Secret, MASK.into());
                secret.len()
            }
        };
        at += length;
    }
}

/// An excerpt as runs, masked or not.
pub fn excerpt_runs(excerpt: &Excerpt, role: Role, is_revealed: bool) -> Vec<Run<'_>> {
    let mut clip = Clip::new(0..usize::MAX);
    push_excerpt(&mut clip, excerpt, &[], role, is_revealed);
    clip.finish()
}

/// A change in one line: `~ .max_per_day  25000 → 40000`.
fn change_runs(change: &Change, is_revealed: bool, path_width: usize) -> Vec<Run<'static>> {
    let (sign, role) = sign(change.what);
    let path = change.path.to_string();
    let path = text::truncate_middle(text::runs(&path, role), path_width);
    let mut runs = vec![Run::new(role, format!(" {sign} "))];
    runs.extend(owned(text::pad(path, path_width, Align::Left)));
    runs.push(Run::new(Role::Text, "  "));
    runs.extend(values(change, is_revealed));
    runs
}

/// What a change made of what: `25000 → 40000`.
fn values(change: &Change, is_revealed: bool) -> Vec<Run<'static>> {
    let mut runs = Vec::new();
    if change.what == What::Reordered {
        runs.push(Run::new(Role::Muted, "in another order"));
        return runs;
    }
    if change.what == What::Renamed {
        runs.push(Run::new(Role::Muted, "spelled "));
    }
    if let Some(old) = &change.old {
        runs.extend(owned(excerpt_runs(old, Role::Removed, is_revealed)));
    }
    if change.old.is_some() && change.new.is_some() {
        runs.push(Run::new(Role::Muted, " → "));
    }
    if let Some(new) = &change.new {
        runs.extend(owned(excerpt_runs(new, Role::Added, is_revealed)));
    }
    runs
}

/// The changes in a few words for one row: `.max 1 → 2, + .tags ["x"], 3 more`. As many as fit.
pub fn summary(diff: &Diff, width: usize) -> Vec<Run<'static>> {
    let Some(changes) = diff.by_path.as_ref().filter(|changes| !changes.is_empty()) else {
        return by_line_summary(diff);
    };
    let mut runs: Vec<Run<'static>> = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let (sign, role) = sign(change.what);
        let sign = if change.what == What::Changed {
            ""
        } else {
            sign
        };
        let mut next = vec![Run::new(
            role,
            format!("{sign}{} ", text::visible(&change.path.to_string())),
        )];
        next.extend(values(change, false));
        if at > 0 {
            next.insert(0, Run::new(Role::Muted, ", "));
        }
        let left = changes.len() - at;
        let more = format!(", {left} more");
        let is_last = left == 1;
        let room = width.saturating_sub(if is_last { 0 } else { more.len() });
        if at > 0 && text::runs_width(&runs) + text::runs_width(&next) > room {
            runs.push(Run::new(Role::Muted, more));
            return text::truncate(runs, width);
        }
        runs.extend(next);
    }
    text::truncate(runs, width)
}

/// A value that nothing is known of from before, in a few words for one row: `now {"max":1}`.
pub fn as_it_is(value: &[u8], masking: &Masking, width: usize) -> Vec<Run<'static>> {
    let diff = Diff::between(None, Some(value), masking);
    let whole = match diff.by_path.as_deref() {
        Some([whole]) => whole.new.clone(),
        _ => None,
    };
    let text = || std::str::from_utf8(value).ok();
    let excerpt = whole.or_else(|| text().map(|text| Excerpt::new(text, masking)));
    let Some(excerpt) = excerpt else {
        return vec![Run::new(Role::Muted, "now bytes that are no text")];
    };
    let mut runs = vec![Run::new(Role::Muted, "now ")];
    runs.extend(owned(excerpt_runs(&excerpt, Role::Added, false)));
    text::truncate(runs, width)
}

fn by_line_summary(diff: &Diff) -> Vec<Run<'static>> {
    let count = |kinds: &[RowKind]| {
        let rows = diff.by_line.rows().iter();
        rows.filter(|row| kinds.contains(&row.kind)).count()
    };
    let added = count(&[RowKind::Added, RowKind::Changed]);
    let removed = count(&[RowKind::Removed, RowKind::Changed]);
    match (added, removed, diff.by_path.is_some()) {
        (0, 0, _) => vec![Run::new(Role::Muted, "the same")],
        (_, _, true) => vec![Run::new(Role::Muted, "white space alone")],
        _ => vec![
            Run::new(Role::Added, format!("+{added} ")),
            Run::new(Role::Removed, format!("-{removed} ")),
            Run::new(Role::Muted, "lines"),
        ],
    }
}

fn sign(what: What) -> (&'static str, Role) {
    match what {
        What::Added => ("+", Role::Added),
        What::Removed => ("-", Role::Removed),
        What::Changed => ("~", Role::Text),
        What::Renamed => ("~", Role::Text),
        What::Reordered => ("↕", Role::Text),
    }
}

fn owned(runs: Vec<Run<'_>>) -> impl Iterator<Item = Run<'static>> {
    runs.into_iter()
        .map(|run| Run::new(run.role, run.text.into_owned()))
}
