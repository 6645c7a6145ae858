//! The pane of one entry: its value, and what is known beside it.

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::kv::{BucketName, Error, Key, Revision};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::filter::FilterLine;
use crate::ui::message::{Effect, OpenEntry, RequestId};
use crate::ui::theme::Role;
use crate::ui::value::Masks;
use crate::ui::viewport::{Step, Viewport};

#[derive(Debug)]
pub(super) struct EntryPane {
    pub(super) search: FilterLine,
    viewport: Viewport,
    asked: Option<(RequestId, Wanted)>,
    wanted: Option<Wanted>,
    shown: Option<(Wanted, Box<OpenEntry>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    bucket: BucketName,
    key: Key,
    revision: Revision,
}

impl EntryPane {
    pub(super) fn new(_masks: Masks) -> Self {
        Self {
            search: FilterLine::default(),
            viewport: Viewport::default(),
            asked: None,
            wanted: None,
            shown: None,
        }
    }
    pub(super) fn close(&mut self) {
        self.wanted = None;
        self.shown = None;
    }
    pub(super) fn reload(&mut self, _ctx: &mut Context<'_>) {
        self.shown = None;
    }
    pub(super) fn show(
        &mut self,
        bucket: &BucketName,
        key: Key,
        revision: Revision,
        ctx: &mut Context<'_>,
    ) {
        let wanted = Wanted {
            bucket: bucket.clone(),
            key,
            revision,
        };
        if self
            .shown
            .as_ref()
            .is_some_and(|(shown, _)| *shown == wanted)
        {
            return;
        }
        if self.asked.is_none() {
            let id = ctx.request(|id| Effect::Entry(id, wanted.bucket.clone(), wanted.key.clone()));
            self.asked = Some((id, wanted.clone()));
        }
        self.wanted = Some(wanted);
    }
    pub(super) fn answer(&mut self, id: RequestId, answer: Result<Option<Box<OpenEntry>>, Error>) {
        if let Some((_, wanted)) = self.asked.take_if(|(asked, _)| *asked == id)
            && let Ok(Some(open)) = answer
        {
            self.shown = Some((wanted, open));
        }
    }
    pub(super) fn fit(&mut self, rows: usize) {
        self.viewport.height = rows;
    }
    pub(super) fn search_changed(&mut self) {}
    pub(super) fn step(&mut self, step: Step) {
        self.viewport.top = step.from(self.viewport.top, self.viewport, 100);
    }
    pub(super) fn copy(&self, _ctx: &mut Context<'_>) {}
    pub(super) fn reveal(&mut self) {}
    pub(super) fn command(&mut self, _command: Command) {}
    pub(super) fn toggle_fold(&mut self) {}
    pub(super) fn right(&mut self) {}
    pub(super) fn left(&mut self) -> bool {
        false
    }
    pub(super) fn row(&self) -> usize {
        0
    }
    pub(super) fn select(&mut self, _row: usize) {}
    pub(super) fn scroll(&mut self, _by: isize) {}
    pub(super) fn draw(&self, canvas: &mut Canvas<'_, '_>, focused: bool, area: Rect) {
        let title = Line::from(canvas.span(" Value ", Role::Title));
        let inner = canvas.pane(title, focused, area);
        canvas.hit(area, Hit::Pane(Pane::Entry));
        canvas.height(Pane::Entry, inner.height);
        if let Some((_, open)) = &self.shown {
            crate::ui::widgets::paragraph(canvas, &open.document.text, Role::Text, inner);
        }
    }
}
