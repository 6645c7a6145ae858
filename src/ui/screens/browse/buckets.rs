//! The pane of buckets.

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::kv::backend::BucketInfo;
use crate::kv::{BucketName, Error};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::context::Context;
use crate::ui::filter::FilterLine;
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::remote::Remote;
use crate::ui::shown;
use crate::ui::text::{self, figures};
use crate::ui::theme::Role;
use crate::ui::viewport::{Step, Viewport};
use crate::ui::widgets::filter_line;

/// What stands behind the name of a bucket that is a copy of another one.
const MIRROR: &str = " mirror";

/// The pane.
#[derive(Debug)]
pub(super) struct Buckets {
    list: Remote<Vec<BucketInfo>>,
    /// When the latest answer came.
    answered: Millis,
    asked: Option<RequestId>,
    pub(super) filter: FilterLine,
    /// The selected bucket: the name, so that it stays selected when others come and go.
    selected: Option<BucketName>,
    viewport: Viewport,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            list: Remote::Idle,
            answered: 0,
            asked: None,
            filter: FilterLine::default(),
            selected: None,
            viewport: Viewport::default(),
        }
    }
}

impl Buckets {
    pub(super) fn ask(&mut self, ctx: &mut Context<'_>) {
        self.list.ask();
        self.asked = Some(ctx.request(Effect::Buckets));
    }

    pub(super) fn answer(
        &mut self,
        id: RequestId,
        answer: Result<Vec<BucketInfo>, Error>,
        ctx: &mut Context<'_>,
    ) -> bool {
        if self.asked != Some(id) {
            return false;
        }
        self.asked = None;
        self.answered = ctx.now;
        if let (Err(error), Some(_)) = (&answer, self.list.value()) {
            ctx.warn(format!("the buckets can't be listed: {error}"));
        }
        self.list.answer(answer);
        self.keep_selection();
        true
    }

    pub(super) fn age(&mut self) {
        self.list.age();
    }

    pub(super) fn infos(&self) -> Option<&Vec<BucketInfo>> {
        self.list.value()
    }

    pub(super) fn is_loading(&self) -> bool {
        matches!(self.list, Remote::Idle | Remote::Loading)
    }

    /// Since when and why nothing is known of the buckets.
    pub(super) fn failure(&self) -> Option<(Millis, &str)> {
        match &self.list {
            Remote::Failed(reason) => Some((self.answered, reason)),
            Remote::Idle | Remote::Loading | Remote::Ready(_) | Remote::Stale(_) => None,
        }
    }

    /// Why there is nothing to choose, in words.
    pub(super) fn words(&self) -> (String, Role) {
        match &self.list {
            Remote::Idle | Remote::Loading => ("asking for buckets …".to_owned(), Role::Muted),
            Remote::Failed(reason) => {
                let words = format!(
                    "{}; :bucket NAME opens one all the same",
                    shown::plain(reason)
                );
                (words, Role::Danger)
            }
            Remote::Ready(list) | Remote::Stale(list) if list.is_empty() => {
                let words = "no buckets here; n makes one";
                (words.to_owned(), Role::Muted)
            }
            Remote::Ready(_) | Remote::Stale(_) => (String::new(), Role::Muted),
        }
    }

    fn rows(&self) -> Vec<&BucketInfo> {
        let query = self.filter.query();
        let all = self.list.value().into_iter().flatten();
        all.filter(|info| query.matches(info.config.name.as_str()))
            .collect()
    }

    pub(super) fn selected(&self) -> Option<BucketName> {
        self.selected.clone()
    }

    fn row(&self) -> usize {
        let is_selected = |info: &&BucketInfo| Some(&info.config.name) == self.selected.as_ref();
        self.rows().iter().position(is_selected).unwrap_or(0)
    }

    pub(super) fn select(&mut self, row: usize) {
        let rows = self.rows();
        let (name, len) = (
            rows.get(row).map(|info| info.config.name.clone()),
            rows.len(),
        );
        self.selected = name.or(self.selected.take());
        self.viewport.follow(row, len);
    }

    pub(super) fn select_name(&mut self, name: &BucketName) {
        self.selected = Some(name.clone());
        let row = self.row();
        self.viewport.follow(row, self.rows().len());
    }

    fn keep_selection(&mut self) {
        self.select(self.row());
    }

    pub(super) fn step(&mut self, step: Step) {
        self.select(step.from(self.row(), self.viewport, self.rows().len()));
    }

    pub(super) fn scroll(&mut self, by: isize) {
        self.viewport.scroll(by, self.rows().len());
    }

    pub(super) fn fit(&mut self, rows: usize) {
        self.viewport.height = rows;
        self.keep_selection();
    }

    pub(super) fn filter_changed(&mut self) {
        self.keep_selection();
    }

    pub(super) fn draw(
        &self,
        canvas: &mut Canvas<'_, '_>,
        open: Option<(&BucketName, u64)>,
        focused: bool,
        area: Rect,
    ) {
        let mut title = vec![canvas.span(" Buckets ", Role::Title)];
        if let Some(list) = self.list.value() {
            title.push(canvas.span(
                format!("{} ", figures::count(list.len() as u64)),
                Role::Muted,
            ));
        }
        let mut inner = canvas.pane(Line::from(title), focused, area);
        canvas.hit(area, Hit::Pane(Pane::Buckets));
        inner = filter_line(canvas, &self.filter, inner);
        canvas.rows_in(Pane::Buckets, inner);
        let rows = self.rows();
        canvas.place_in_rows(self.row(), rows.len(), inner, area);
        if rows.is_empty() {
            let (words, role) = self.words();
            let words = if words.is_empty() {
                "none passes the filter".to_owned()
            } else {
                words
            };
            crate::ui::widgets::paragraph(canvas, &words, role, inner);
        }
        let viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        for (y, row) in (inner.y..).zip(viewport.rows(rows.len())) {
            let Some(info) = rows.get(row) else { break };
            let line = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.hit(line, Hit::Row(Pane::Buckets, row));
            let name = &info.config.name;
            if Some(name) == self.selected.as_ref() {
                canvas.lay(
                    if focused {
                        Role::Selection
                    } else {
                        Role::SelectionIdle
                    },
                    line,
                );
            }
            // What is known of the open bucket is newer than the list, which counts deleted keys too.
            let (mark, keys) = match open {
                Some((open, keys)) if open == name => ("▸", figures::count(keys)),
                _ => (" ", figures::at_most(info.keys)),
            };
            let room = usize::from(inner.width).saturating_sub(text::width(&keys) + 3);
            let mut spans = vec![canvas.span(mark, Role::KeyHint)];
            let (sign, room) = match &info.config.mirror {
                Some(_) => (MIRROR, room.saturating_sub(MIRROR.len())),
                None => ("", room),
            };
            let name = shown::fitted(name.as_str(), room.max(4));
            spans.push(canvas.span(name, Role::Text));
            spans.push(canvas.span(sign, Role::Muted));
            spans.push(canvas.span(format!(" {keys}"), Role::Muted));
            canvas.line(Line::from(spans), line);
        }
    }
}
