//! The value that a key had at one revision.

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::kv::Entry;
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Told};
use crate::ui::message::{Effect, RequestId};
use crate::ui::text::{self, figures};
use crate::ui::theme::Role;
use crate::ui::value::{Document, Kind, View};
use crate::ui::viewport::{Step, Viewport};
use crate::ui::widgets::paragraph;

/// An open value.
#[derive(Debug)]
pub struct Look {
    entry: Entry,
    asked: RequestId,
    /// Nothing until the worker has made it ready.
    document: Option<Document>,
    viewport: Viewport,
    column: usize,
    columns: usize,
}

impl Look {
    /// The value of an entry.
    pub fn open(entry: Entry, ctx: &mut Context<'_>) -> Self {
        let ask = Ask::Look {
            key: entry.key.clone(),
            value: entry.value.clone().unwrap_or_default(),
        };
        Self {
            asked: ctx.request(|id| Effect::Edit(id, Box::new(ask))),
            entry,
            document: None,
            viewport: Viewport::default(),
            column: 0,
            columns: 0,
        }
    }

    /// Takes an answer.
    pub fn answer(&mut self, id: RequestId, told: &mut Option<Told>) {
        match told.take() {
            Some(Told::Looked(mut document)) if id == self.asked => {
                document.set_width(self.columns);
                self.document = Some(*document);
            }
            other => *told = other,
        }
    }

    /// Takes a command; says whether it stays open.
    pub fn command(&mut self, command: Command) -> bool {
        if matches!(command, Command::Back | Command::Quit) {
            return false;
        }
        let Some(document) = &mut self.document else {
            return true;
        };
        match (command, Step::of(command)) {
            (_, Some(step)) => {
                document.set_cursor(step.from(document.cursor(), self.viewport, document.len()));
            }
            (Command::Open, _) => document.toggle_fold(),
            (Command::ExpandAll, _) => document.unfold_all(),
            (Command::CollapseAll, _) => document.fold_all(),
            (Command::Reveal, _) => document.reveal(!document.is_revealed()),
            (Command::Wrap, _) => document.set_wrap(!document.wraps()),
            (Command::Left, _) => {
                self.column = self.column.saturating_sub((self.columns / 2).max(1));
            }
            (Command::Right, _) if self.column + self.columns < document.max_width() => {
                self.column += (self.columns / 2).max(1);
            }
            (Command::View, _) => document.set_view(match (document.view(), document.kind()) {
                (View::Json, _) => View::Text,
                (View::Text, _) => View::Hex,
                (View::Hex, Kind::Json) => View::Json,
                (View::Hex, Kind::Text | Kind::Bytes) => View::Text,
            }),
            _ => {}
        }
        self.follow();
        true
    }

    /// Selects a row.
    pub fn select(&mut self, row: usize) {
        if let Some(document) = &mut self.document {
            document.set_cursor(row);
        }
        self.follow();
    }

    /// Scrolls, with the cursor kept in sight.
    pub fn scroll(&mut self, by: isize) {
        let row = self.document.as_ref().map_or(0, Document::cursor);
        self.select(row.saturating_add_signed(by));
    }

    fn follow(&mut self) {
        if let Some(document) = &self.document {
            self.viewport.follow(document.cursor(), document.len());
        }
    }

    /// Takes the size that the last frame had.
    pub fn fit(&mut self, rows: usize, columns: usize) {
        self.viewport.height = rows;
        self.columns = columns;
        if let Some(document) = &mut self.document {
            document.set_width(columns);
        }
        self.follow();
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        canvas.clear(screen);
        let size = figures::size(self.entry.size);
        let rest = format!(" at revision {} · {size} ", self.entry.revision);
        let room = usize::from(screen.width)
            .saturating_sub(rest.len() + 4)
            .max(8);
        let key = text::truncate_middle(text::runs(self.entry.key.as_str(), Role::Title), room);
        let mut title = vec![canvas.span(" ", Role::Title)];
        title.extend(
            key.into_iter()
                .map(|run| canvas.span(run.text.into_owned(), run.role)),
        );
        title.push(canvas.span(rest, Role::Muted));
        let inner = canvas.pane(Line::from(title), true, screen);
        canvas.hit(screen, Hit::Pane(Pane::Overlay));
        canvas.rows_in(Pane::Overlay, inner);
        let Some(document) = &self.document else {
            return paragraph(canvas, " reading …", Role::Muted, inner);
        };
        canvas.place_in_rows(document.cursor(), document.len(), inner, screen);
        let viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        for (y, row) in (inner.y..).zip(viewport.rows(document.len())) {
            let place = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.hit(place, Hit::Row(Pane::Overlay, row));
            if row == document.cursor() {
                canvas.lay(Role::Selection, place);
            }
            canvas.scrolled(self.column, place, |columns| document.line(row, columns));
        }
    }
}
