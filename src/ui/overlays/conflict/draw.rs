//! How a conflict looks: a row for each place where the sides differ.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::Conflict;
use crate::edit::Excerpt;
use crate::edit::merge::{Choice, Origin, Place, Row};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::diff::excerpt_runs;
use crate::ui::overlays::dialog::Paragraph;
use crate::ui::text::{self, Align, Run};
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{below, input_line};

/// What stands where there is nothing.
const NOTHING: &str = "(nothing)";

impl Conflict {
    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        canvas.clear(screen);
        let base = self.conflicting.save.base().revision;
        let newest = &self.conflicting.newest;
        let what = if newest.value.is_some() {
            "moved"
        } else {
            "was deleted:"
        };
        let rest = format!(
            " {what} from revision {base} to {} while you edited ",
            newest.revision
        );
        let room = usize::from(screen.width)
            .saturating_sub(rest.len() + 4)
            .max(8);
        let key = self.conflicting.save.key().as_str();
        let key = text::truncate_middle(text::runs(key, Role::Title), room);
        let mut title = vec![canvas.span(" ", Role::Title)];
        title.extend(
            key.into_iter()
                .map(|run| canvas.span(run.text.into_owned(), run.role)),
        );
        title.push(canvas.span(rest, Role::Danger));
        let mut inner = canvas.pane(Line::from(title), true, screen);
        canvas.hit(screen, Hit::Pane(Pane::Overlay));
        let width = usize::from(inner.width);
        let words = self.words();
        let rows: usize = words.iter().map(|line| line.rows(width)).sum();
        let rows = u16::try_from(rows)
            .unwrap_or(u16::MAX)
            .min(inner.height / 2);
        let mut told = Rect {
            y: inner.bottom() - rows,
            height: rows,
            ..inner
        };
        inner.height -= rows;
        for line in words {
            told = line.draw(canvas, told);
        }
        let columns = Columns::fitting(width);
        if inner.height > 3 {
            canvas.line(columns.head(canvas), Rect { height: 1, ..inner });
            inner = below(inner, 1);
        }
        let detail = self.detail_rows(inner);
        let list = Rect {
            height: inner.height - detail,
            ..inner
        };
        self.draw_rows(canvas, columns, list);
        self.draw_detail(
            canvas,
            Rect {
                y: list.bottom(),
                height: detail,
                ..inner
            },
        );
    }

    fn draw_rows(&self, canvas: &mut Canvas<'_, '_>, columns: Columns, list: Rect) {
        canvas.rows_in(Pane::Overlay, list);
        let rows = self.merge.rows();
        let viewport = Viewport {
            height: usize::from(list.height),
            ..self.viewport
        };
        for (y, at) in (list.y..).zip(viewport.rows(rows.len())) {
            let Some(row) = rows.get(at) else { break };
            let place = Rect {
                y,
                height: 1,
                ..list
            };
            canvas.hit(place, Hit::Row(Pane::Overlay, at));
            if at == self.row {
                canvas.lay(Role::Selection, place);
            }
            let line = columns.row(canvas, row, at == self.row, self.is_revealed);
            canvas.line(line, place);
        }
    }

    /// The rows for the values of the selected place in full, where there is room.
    fn detail_rows(&self, inner: Rect) -> u16 {
        let list = u16::try_from(self.merge.rows().len()).unwrap_or(u16::MAX);
        match (
            &self.typed,
            inner.height.saturating_sub(list.min(inner.height / 2)),
        ) {
            (Some(_), room) => room.clamp(1, 2).min(inner.height),
            (None, room) if room >= 4 => 4,
            _ => 0,
        }
    }

    fn draw_detail(&self, canvas: &mut Canvas<'_, '_>, area: Rect) {
        let Some(row) = self.merge.rows().get(self.row).filter(|_| area.height > 0) else {
            return;
        };
        if let Some((input, fault)) = &self.typed {
            let line = Rect { height: 1, ..area };
            input_line(canvas, " instead: ", input, line);
            if let Some(fault) = fault {
                Paragraph::new(format!(" not JSON: {fault}"), Role::Danger)
                    .draw(canvas, below(area, 1));
            }
            return;
        }
        let sides = [
            ("base  ", &row.base),
            ("mine  ", &row.mine),
            ("theirs", &row.theirs),
        ];
        for ((name, side), place) in sides.into_iter().zip(below(area, 1).rows()) {
            let mut runs = vec![Run::new(Role::Muted, format!(" {name}  "))];
            runs.extend(side_runs(side.as_ref(), Role::Text, self.is_revealed));
            let runs = text::truncate(runs, usize::from(area.width));
            canvas.line(text::line(runs, canvas.theme), place);
        }
    }

    fn words(&self) -> Vec<Paragraph> {
        let mut lines = Vec::new();
        if let Some(moved) = self.moved {
            let words =
                format!(" It has moved on to revision {moved} by now: saving will ask once more.");
            lines.push(Paragraph::new(words, Role::Danger));
        }
        let newest = self.conflicting.newest.revision;
        let words = match (self.merge.unresolved(), &self.typed) {
            (_, Some(_)) => " Enter takes it · Esc leaves it".to_owned(),
            (0, None) => format!(
                " All is joined. Ctrl-s saves on {newest} · Esc back to the editor, nothing is lost"
            ),
            (open, None) => format!(
                " {open} to choose: 1 mine · 2 theirs · e edit · Esc back to the editor, nothing is lost"
            ),
        };
        lines.push(Paragraph::new(words, Role::KeyHint));
        lines
    }
}

/// The widths of the columns; 0 for one that there is no room for.
#[derive(Debug, Clone, Copy)]
struct Columns {
    place: usize,
    side: usize,
    base: usize,
    result: usize,
}

impl Columns {
    fn fitting(width: usize) -> Self {
        let width = width.saturating_sub(1);
        if width < 60 {
            let place = width / 3;
            return Self {
                place,
                side: 0,
                base: 0,
                result: width - place,
            };
        }
        let place = width / 4;
        let base = if width >= 90 { width / 7 } else { 0 };
        let side = (width - place - base) / 4;
        Self {
            place,
            side,
            base,
            result: width - place - base - 2 * side,
        }
    }

    fn head(self, canvas: &Canvas<'_, '_>) -> Line<'static> {
        let Self {
            place,
            side,
            base,
            result,
        } = self;
        let cell = |name: &str, width: usize| match width {
            0 => String::new(),
            _ => format!("{name:<width$}"),
        };
        let words = [
            cell("path", place),
            cell("base", base),
            cell("mine", side),
            cell("theirs", side),
            cell("result", result),
        ];
        Line::from(canvas.span(format!(" {}", words.concat()), Role::Muted))
    }

    fn row(
        self,
        canvas: &Canvas<'_, '_>,
        row: &Row,
        is_selected: bool,
        is_revealed: bool,
    ) -> Line<'static> {
        let place = match &row.place {
            Place::Path(path) => path.to_string(),
            Place::Lines { first, count: 0 } => format!("before line {first}"),
            Place::Lines { first, count: 1 } => format!("line {first}"),
            Place::Lines { first, count } => format!("lines {first}–{}", first + count - 1),
            Place::Elements {
                array,
                first,
                count,
            } => match count {
                0 => format!("{array}, before [{first}]"),
                1 => format!("{array}[{first}]"),
                count => format!("{array}[{first}–{}]", first + count - 1),
            },
            Place::Whole => "the whole value".to_owned(),
        };
        let role = if row.choice.is_none() {
            Role::Danger
        } else {
            Role::Text
        };
        let mut runs = vec![Run::new(role, if is_selected { "▸" } else { " " })];
        let name = text::truncate_middle(text::runs(&place, role), self.place.saturating_sub(1));
        runs.extend(cell(name, self.place));
        let changed =
            |by: Origin| row.origin == by || matches!(row.origin, Origin::Both | Origin::Conflict);
        let lit = |is_changed: bool| {
            if is_changed {
                Role::Changed
            } else {
                Role::Muted
            }
        };
        for (side, width, role) in [
            (&row.base, self.base, Role::Muted),
            (&row.mine, self.side, lit(changed(Origin::Mine))),
            (&row.theirs, self.side, lit(changed(Origin::Theirs))),
        ] {
            if width > 0 {
                let side = side_runs(side.as_ref(), role, is_revealed);
                runs.extend(cell(text::truncate(side, width.saturating_sub(1)), width));
            }
        }
        runs.extend(text::truncate(result_runs(row, is_revealed), self.result));
        let spans: Vec<_> = runs
            .into_iter()
            .map(|run| run.into_span(canvas.theme))
            .collect();
        Line::from(spans)
    }
}

fn cell(runs: Vec<Run<'_>>, width: usize) -> Vec<Run<'static>> {
    let padded = text::pad(runs, width, Align::Left).into_iter();
    padded
        .map(|run| Run::new(run.role, run.text.into_owned()))
        .collect()
}

fn side_runs(side: Option<&Excerpt>, role: Role, is_revealed: bool) -> Vec<Run<'static>> {
    let runs = match side {
        Some(side) => excerpt_runs(side, role, is_revealed),
        None => vec![Run::new(Role::Muted, NOTHING)],
    };
    runs.into_iter()
        .map(|run| Run::new(run.role, run.text.into_owned()))
        .collect()
}

fn result_runs(row: &Row, is_revealed: bool) -> Vec<Run<'static>> {
    let (mut runs, how) = match &row.choice {
        None => return vec![Run::new(Role::Danger, "choose: 1 mine 2 theirs e edit")],
        Some(Choice::Mine) => (
            side_runs(row.mine.as_ref(), Role::Good, is_revealed),
            "mine",
        ),
        Some(Choice::Theirs) => (
            side_runs(row.theirs.as_ref(), Role::Good, is_revealed),
            "theirs",
        ),
        Some(Choice::Text(text)) => {
            let is_secret = [&row.base, &row.mine, &row.theirs]
                .into_iter()
                .flatten()
                .any(Excerpt::has_secrets);
            let excerpt = if is_secret {
                Excerpt::secret(text)
            } else {
                Excerpt::open(text)
            };
            (side_runs(Some(&excerpt), Role::Good, is_revealed), "edited")
        }
    };
    let how = if row.origin == Origin::Conflict {
        how
    } else {
        "merged"
    };
    runs.insert(0, Run::new(Role::Muted, format!("{how:<7} ")));
    runs
}
