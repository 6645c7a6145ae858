//! Help: every key that works, from the command table.

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::command::{COMMANDS, Scope};
use crate::ui::keymap::Keymap;
use crate::ui::theme::Role;
use crate::ui::viewport::{Step, Viewport};
use crate::ui::widgets::wrapped;

/// The open help.
#[derive(Debug)]
pub struct Help {
    /// The scopes in the order of help: what works where it was opened comes first.
    scopes: Vec<Scope>,
    /// Which lines are in sight.
    pub viewport: Viewport,
    /// How many columns there are for them.
    pub width: usize,
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
            width: usize::MAX,
        }
    }

    /// Scrolls.
    pub fn step(&mut self, step: Step, keymap: &Keymap) {
        let len = self.entries(keymap, self.width).len();
        let top = step.from(self.viewport.top, self.viewport, len);
        self.viewport.top = top;
        self.viewport.clamp(len);
    }

    /// Titles and rows: the keys, and what they do, in as many lines as that takes.
    fn entries(&self, keymap: &Keymap, width: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        for scope in &self.scopes {
            if !entries.is_empty() {
                entries.push(Entry::Gap);
            }
            entries.push(Entry::Title(scope.title()));
            for spec in COMMANDS.iter().filter(|spec| spec.scopes.contains(scope)) {
                let keys = match keymap.keys(*scope, spec.command) {
                    [] => format!(":{}", spec.name),
                    keys => keys.join(" "),
                };
                entries.extend(Entry::rows(&keys, spec.doc, width));
            }
        }
        entries.push(Entry::Gap);
        entries.push(Entry::Title("In the palette alone"));
        for spec in COMMANDS.iter().filter(|spec| spec.scopes.is_empty()) {
            let name = format!(":{}", spec.name);
            entries.extend(Entry::rows(&name, spec.doc, width));
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
        let entries = self.entries(keymap, usize::from(inner.width));
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

enum Entry {
    Gap,
    Title(&'static str),
    Row { before: String, words: String },
}

impl Entry {
    /// The columns before a command's words: beside its keys, or under them where it is narrow.
    const BESIDE: usize = 22;
    const UNDER: usize = 6;
    /// From this width on the words stand beside the keys.
    const WIDE: usize = 50;

    /// A command: its keys, and its words in as many lines as they take.
    fn rows(keys: &str, doc: &str, width: usize) -> Vec<Self> {
        let is_wide = width >= Self::WIDE;
        let indent = if is_wide { Self::BESIDE } else { Self::UNDER };
        let mut before = vec![format!("   {keys} ")];
        let mut lines = wrapped(doc, width.saturating_sub(indent));
        if !is_wide {
            lines.insert(0, String::new());
        }
        before.resize(lines.len(), String::new());
        let rows = before.into_iter().zip(lines);
        rows.map(|(before, words)| Self::Row {
            before: format!("{before:<indent$}"),
            words,
        })
        .collect()
    }

    fn line(&self, canvas: &Canvas<'_, '_>) -> Line<'static> {
        match self {
            Self::Gap => Line::default(),
            Self::Title(title) => Line::from(canvas.span(format!(" {title}"), Role::Title)),
            Self::Row { before, words } => Line::from(vec![
                canvas.span(before.clone(), Role::KeyHint),
                canvas.span(words.clone(), Role::Text),
            ]),
        }
    }
}
