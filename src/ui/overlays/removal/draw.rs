//! How the dialog looks.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{Removal, Stage};
use crate::edit::bulk::{Counts, Removal as Kind};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::diff::excerpt_runs;
use crate::ui::overlays::dialog::{Dialog, Paragraph};
use crate::ui::shown;
use crate::ui::text::figures::count;
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::input_line;

/// How many keys are named before it is only their number.
const NAMED: usize = 6;

impl Removal {
    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let lines = self.words();
        let left = self.left();
        let extra = match &self.stage {
            Stage::Asking(_) => u16::from(self.password().is_some()),
            Stage::Running { .. } => 0,
            Stage::Over(_) => u16::try_from(left.len()).unwrap_or(u16::MAX),
        };
        let dialog = Dialog {
            title: self.title(),
            lines: &lines,
            keys: self.keys_in_words(),
            below: extra,
            is_grave: true,
        };
        let rest = dialog.draw(canvas, screen);
        match &self.stage {
            Stage::Asking(input) if extra > 0 => {
                let word = self.password().unwrap_or_default();
                let prompt = format!(
                    "type {}: ",
                    shown::short(&word, usize::from(rest.width) / 2)
                );
                input_line(canvas, &prompt, input, rest);
            }
            Stage::Over(_) => {
                canvas.rows_in(Pane::Overlay, rest);
                canvas.hit(rest, Hit::Pane(Pane::Overlay));
                let viewport = Viewport {
                    height: usize::from(rest.height),
                    ..self.viewport
                };
                for (y, row) in (rest.y..).zip(viewport.rows(left.len())) {
                    let Some((key, why)) = left.get(row) else {
                        break;
                    };
                    let words = shown::short(&format!("{key}: {why}"), usize::from(rest.width));
                    let place = Rect {
                        y,
                        height: 1,
                        ..rest
                    };
                    canvas.line(Line::from(canvas.span(words, Role::Warning)), place);
                }
            }
            Stage::Asking(_) | Stage::Running { .. } => {}
        }
    }

    fn title(&self) -> String {
        let verb = match self.kind {
            Kind::Delete => "Delete",
            Kind::Purge => "Purge",
        };
        match self.keys.as_slice() {
            [(key, _)] => format!("{verb} {key}?"),
            keys => format!(
                "{verb} {} keys of {}?",
                count(keys.len() as u64),
                self.bucket
            ),
        }
    }

    fn keys_in_words(&self) -> String {
        let other = match self.kind {
            Kind::Delete => "purge, with the history",
            Kind::Purge => "delete, and keep the history",
        };
        match &self.stage {
            Stage::Asking(_) if self.password().is_some() => {
                format!("Enter when it is typed · Tab {other} · Esc leave")
            }
            Stage::Asking(_) if !self.moved.is_empty() => "Enter look again · Esc leave".to_owned(),
            Stage::Asking(_) => format!("Enter delete · p {other} … · Esc leave"),
            Stage::Running {
                is_stopping: true, ..
            } => "stopping …".to_owned(),
            Stage::Running { .. } => "Esc stop".to_owned(),
            Stage::Over(_) if self.is_complete() => "Esc leave".to_owned(),
            Stage::Over(_) => "Enter go on with what is left · Esc leave".to_owned(),
        }
    }

    /// What can be had back afterwards.
    fn afterwards(&self) -> (&'static str, Role) {
        match (self.kind, self.history) {
            // Of one key it is remembered what it held.
            (Kind::Delete, Some(1)) if self.keys.len() == 1 => (
                "No history is kept here: only u, before your next write, brings the value back.",
                Role::Danger,
            ),
            (Kind::Delete, Some(1)) => (
                "No history is kept here: nothing brings the values back.",
                Role::Danger,
            ),
            (Kind::Delete, Some(_)) => (
                "The history stays: h finds it, and R there brings a value back.",
                Role::Muted,
            ),
            (Kind::Delete, None) => (
                "Where a history is kept it stays: h finds it, and R there brings a value back.",
                Role::Muted,
            ),
            (Kind::Purge, _) => (
                "The history goes too: nothing brings it back.",
                Role::Danger,
            ),
        }
    }

    /// That some are not any more as they were shown.
    fn moved_in_words(&self) -> Option<Paragraph> {
        let words = match (self.keys.as_slice(), self.moved.len()) {
            (_, 0) => return None,
            ([(key, _)], _) => {
                let now = self.moved.get(key).copied().unwrap_or_default();
                format!("It has moved on to revision {now}.")
            }
            (_, moved) => {
                format!("{moved} of them have moved on since: they would be left alone.")
            }
        };
        Some(Paragraph::new(words, Role::Danger))
    }

    /// Which keys, and at which revisions.
    fn keys_to_go(&self) -> Vec<Paragraph> {
        if let [(_, revision)] = self.keys.as_slice() {
            let words = format!("Acts on revision {revision}, as shown.");
            return vec![Paragraph::new(words, Role::Text)];
        }
        let named: Vec<String> = self
            .keys
            .iter()
            .take(NAMED)
            .map(|(key, revision)| format!("{key} at {revision}"))
            .collect();
        let more = match self.keys.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" · {} more", count(more as u64)),
        };
        vec![
            Paragraph::new(
                "Each only at the revision shown; what has moved is left alone.",
                Role::Text,
            ),
            Paragraph::new(format!("{}{more}", named.join(" · ")), Role::Text),
        ]
    }

    fn words(&self) -> Vec<Paragraph> {
        let mut lines = Vec::new();
        let all = self.keys.len();
        match &self.stage {
            Stage::Running { bulk, .. } => {
                let Counts {
                    removed,
                    moved,
                    failed,
                    ..
                } = bulk.counts();
                let done = removed + moved + failed;
                lines.push(Paragraph::new(
                    format!("{} of {} keys …", count(done as u64), count(all as u64)),
                    Role::Warning,
                ));
                return lines;
            }
            Stage::Over(bulk) => {
                let role = if self.left().is_empty() {
                    Role::Good
                } else {
                    Role::Danger
                };
                lines.push(Paragraph::new(self.result(bulk), role));
                return lines;
            }
            Stage::Asking(_) => {}
        }
        // What speaks against it first: on a small screen the end may have no room.
        lines.extend(self.moved_in_words());
        let (what, role) = self.afterwards();
        lines.push(Paragraph::new(what, role));
        lines.extend(self.keys_to_go());
        if let Some(command) = self.command() {
            let mut runs = excerpt_runs(&command, Role::KeyHint, false);
            let words: String = runs.drain(..).map(|run| run.text.into_owned()).collect();
            let others = if all > 1 { "  (and so on)" } else { "" };
            lines.push(Paragraph::visible(
                format!("{words}{others}"),
                Role::KeyHint,
            ));
        }
        lines
    }
}
