//! Help: every key that works, from the command table.

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::command::{COMMANDS, Command, Scope};
use crate::ui::keymap::Keymap;
use crate::ui::theme::Role;
use crate::ui::viewport::{Step, Viewport};

/// The open help.
#[derive(Debug)]
pub struct Help {
    /// The scopes in the order of help: what works where it was opened comes first.
    scopes: Vec<Scope>,
    /// Which lines are in sight.
    pub viewport: Viewport,
}

impl Help {
    /// Help, beginning with the scopes that were in reach.
    pub fn new(in_reach: &[Scope]) -> Self {
        let mut scopes = in_reach.to_vec();
        scopes.extend(
            Scope::ALL
                .into_iter()
                .filter(|scope| !in_reach.contains(scope)),
        );
        Self {
            scopes,
            viewport: Viewport::default(),
        }
    }

    /// Scrolls.
    pub fn step(&mut self, step: Step, keymap: &Keymap) {
        let len = self.entries(keymap).len();
        let top = step.from(self.viewport.top, self.viewport, len);
        self.viewport.top = top;
        self.viewport.clamp(len);
    }

    /// Titles and rows: the keys, and what they do.
    fn entries<'k>(&self, keymap: &'k Keymap) -> Vec<Entry<'k>> {
        let mut entries = Vec::new();
        for scope in &self.scopes {
            if !entries.is_empty() {
                entries.push(Entry::Gap);
            }
            entries.push(Entry::Title(scope.title()));
            for spec in COMMANDS.iter().filter(|spec| spec.scopes.contains(scope)) {
                let keys = keymap.keys(*scope, spec.command);
                entries.push(Entry::Row {
                    keys,
                    command: spec.command,
                    doc: spec.doc,
                });
            }
        }
        entries.push(Entry::Gap);
        entries.push(Entry::Title("In the palette alone"));
        for spec in COMMANDS.iter().filter(|spec| spec.scopes.is_empty()) {
            entries.push(Entry::Row {
                keys: &[],
                command: spec.command,
                doc: spec.doc,
            });
        }
        entries
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, keymap: &Keymap, screen: Rect) {
        let width = screen.width.saturating_sub(4).min(84);
        let area = Rect {
            x: screen.x + (screen.width - width) / 2,
            y: screen.y + screen.height.min(1),
            width,
            height: screen.height.saturating_sub(2),
        };
        canvas.clear(area);
        let title = vec![
            canvas.span(" Keys ", Role::Title),
            canvas.span("Esc closes ", Role::Muted),
        ];
        let inner = canvas.pane(Line::from(title), true, area);
        canvas.hit(area, Hit::Pane(Pane::Overlay));
        canvas.rows_in(Pane::Overlay, inner);
        let entries = self.entries(keymap);
        let viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        for (y, row) in (inner.y..).zip(viewport.rows(entries.len())) {
            let Some(entry) = entries.get(row) else { break };
            canvas.line(
                entry.line(canvas),
                Rect {
                    y,
                    height: 1,
                    ..inner
                },
            );
        }
    }
}

enum Entry<'k> {
    Gap,
    Title(&'static str),
    Row {
        keys: &'k [String],
        command: Command,
        doc: &'static str,
    },
}

impl Entry<'_> {
    fn line(&self, canvas: &Canvas<'_, '_>) -> Line<'static> {
        match self {
            Self::Gap => Line::default(),
            Self::Title(title) => Line::from(canvas.span(format!(" {title}"), Role::Title)),
            Self::Row { keys, command, doc } => {
                let keys = match (keys.is_empty(), command.spec()) {
                    (true, Some(spec)) => format!(":{}", spec.name),
                    _ => keys.join(" "),
                };
                Line::from(vec![
                    canvas.span(format!("   {keys:<18}"), Role::KeyHint),
                    canvas.span(format!(" {doc}"), Role::Text),
                ])
            }
        }
    }
}
