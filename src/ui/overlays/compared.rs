//! What differs between two values, over the whole screen.

use std::sync::Arc;

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::edit::Diff;
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::command::Command;
use crate::ui::diff::DiffView;
use crate::ui::shown;
use crate::ui::theme::Role;
use crate::ui::viewport::Step;

/// An open comparison.
#[derive(Debug)]
pub struct Compared {
    title: String,
    view: DiffView,
}

impl Compared {
    /// What differs, under a title that is not yet fit for the screen.
    pub fn new(title: String, diff: Arc<Diff>) -> Self {
        Self {
            title,
            view: DiffView::new(diff),
        }
    }

    /// What is looked at, to scroll it.
    pub fn view(&mut self) -> &mut DiffView {
        &mut self.view
    }

    /// Takes a command; says whether it stays open.
    pub fn command(&mut self, command: Command) -> bool {
        if let Some(step) = Step::of(command) {
            self.view.step(step);
            return true;
        }
        match command {
            Command::Back | Command::Quit => return false,
            Command::Turn => self.view.turn(),
            Command::Reveal => self.view.reveal(),
            Command::Left => self.view.shift(false),
            Command::Right => self.view.shift(true),
            _ => {}
        }
        true
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        canvas.clear(screen);
        let way = self.view.way();
        let room = usize::from(screen.width)
            .saturating_sub(way.len() + 10)
            .max(8);
        let title = vec![
            canvas.span(
                format!(" {} ", shown::short(&self.title, room)),
                Role::Title,
            ),
            canvas.span(format!("· {way} "), Role::Muted),
        ];
        let inner = canvas.pane(Line::from(title), true, screen);
        canvas.hit(screen, Hit::Pane(Pane::Overlay));
        self.view.draw(canvas, inner);
    }
}
