//! The tour: a few words on each screen for a newcomer, who can leave at any time.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::ui::app::Screen;
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::theme::Role;
use crate::ui::widgets::wrapped;

/// The open tour.
#[derive(Debug, Default)]
pub struct Tour {
    at: usize,
}

/// What a key did to the tour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open, on this screen.
    On(Screen),
    /// It is over.
    Closed,
    /// It is over, and the key is for what lies under it: whoever is at home needs no tour.
    Passed,
}

/// One stop: where it is, what it is called, what there is to see.
struct Stop {
    screen: Screen,
    title: &'static str,
    words: &'static str,
}

const STOPS: &[Stop] = &[
    Stop {
        screen: Screen::Browse,
        title: "Welcome",
        words: "A look at each screen, which changes nothing. The demo is a file of its own with \
                sample buckets and services that keep changing them. Enter shows you round, Esc \
                leaves. :tour brings this back.",
    },
    Stop {
        screen: Screen::Browse,
        title: "Buckets, keys, values",
        words: "Left the buckets, in the middle the keys of the open one, right the value. Enter \
                goes in, Esc comes back, j and k move, / filters, t makes a tree of the dots. A \
                mark shows what changed in the last seconds.",
    },
    Stop {
        screen: Screen::Browse,
        title: "Is it true now?",
        words: "The badge in the first line says how fresh all this is: live, loading, paused, or \
                stale since when. Secrets are masked until you ask for them with m. Space holds \
                the picture still.",
    },
    Stop {
        screen: Screen::Browse,
        title: "Changing something",
        words: "e edits the selected value, n makes a key, h shows the past of one. Nothing is \
                written before you have seen what changes, and only if nobody else wrote meanwhile. \
                :set read-only on makes sure of it.",
    },
    Stop {
        screen: Screen::Locks,
        title: "Locks",
        words: "Who holds what, who waits behind whom and why, those at fault first. Enter goes \
                into the queue of one, p shows all that a process holds, x breaks a hold; it asks \
                first, and says what it would do.",
    },
    Stop {
        screen: Screen::Activity,
        title: "Activity",
        words: "Every change in every bucket as it comes. Enter jumps to the key.",
    },
    Stop {
        screen: Screen::Server,
        title: "Server",
        words: "What is known of the place and of the connection, and how full everything is. \
                Findings tell what is set dangerously, why, and the command that fixes it.",
    },
    Stop {
        screen: Screen::Browse,
        title: "That's all",
        words: "? shows every key, : runs any command by its name, Ctrl-o or :ctx goes to a real \
                server, q leaves. Look around.",
    },
];

impl Tour {
    fn stop(&self) -> &'static Stop {
        STOPS.get(self.at).unwrap_or(&STOPS[0])
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Outcome {
        match (key.code, key.modifiers) {
            (KeyCode::Esc, _) | (KeyCode::Char('q'), KeyModifiers::NONE) => {
                return Outcome::Closed;
            }
            (KeyCode::Enter | KeyCode::Right, _) => {
                if self.at + 1 >= STOPS.len() {
                    return Outcome::Closed;
                }
                self.at += 1;
            }
            (KeyCode::Left | KeyCode::Backspace, _) => self.at = self.at.saturating_sub(1),
            _ => return Outcome::Passed,
        }
        Outcome::On(self.stop().screen)
    }

    /// Draws it in the lower right corner, where it hides least.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let stop = self.stop();
        let width = screen.width.saturating_sub(4).min(58);
        let lines = wrapped(stop.words, usize::from(width.saturating_sub(4)));
        let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let height = height.saturating_add(3).min(screen.height);
        let area = Rect {
            x: screen.right().saturating_sub(width + 2),
            y: screen.bottom().saturating_sub(height + 1).max(screen.y),
            width,
            height,
        };
        canvas.clear(area);
        let title = format!(" {} · {} of {} ", stop.title, self.at + 1, STOPS.len());
        let title = Line::from(canvas.span(title, Role::Title));
        let inner = canvas.pane(title, true, area);
        canvas.hit(area, Hit::Pane(Pane::Overlay));
        for (line, place) in lines.into_iter().zip(inner.rows()) {
            canvas.line(
                Line::from(canvas.span(format!(" {line}"), Role::Text)),
                place,
            );
        }
        let keys = if self.at + 1 == STOPS.len() {
            " Enter or Esc end · ← back"
        } else {
            " Enter next · ← back · Esc leave"
        };
        let last = Rect {
            y: inner.bottom().saturating_sub(1).max(inner.y),
            height: inner.height.min(1),
            ..inner
        };
        canvas.line(Line::from(canvas.span(keys, Role::KeyHint)), last);
    }
}
