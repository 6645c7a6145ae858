//! Which rows of a long list are in sight. Knows nothing of what the rows are.

use std::ops::Range;

/// A window over rows: where it begins, and how many fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Viewport {
    /// The first row in sight.
    pub top: usize,
    /// How many rows fit, as the last frame had it.
    pub height: usize,
}

impl Viewport {
    /// Moves just as far as it takes to have a row in sight, and not past the end.
    pub fn follow(&mut self, row: usize, len: usize) {
        if row < self.top {
            self.top = row;
        }
        if self.height > 0 && row >= self.top + self.height {
            self.top = row + 1 - self.height;
        }
        self.clamp(len);
    }

    /// Moves by some rows, and not past either end.
    pub fn scroll(&mut self, by: isize, len: usize) {
        self.top = self.top.saturating_add_signed(by);
        self.clamp(len);
    }

    /// Not past the end.
    pub fn clamp(&mut self, len: usize) {
        self.top = self.top.min(len.saturating_sub(self.height));
    }

    /// The rows in sight.
    pub fn rows(&self, len: usize) -> Range<usize> {
        self.top.min(len)..(self.top + self.height).min(len)
    }
}

/// A movement over rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// By so many rows.
    By(isize),
    /// By so many halves of a page.
    Halves(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

impl Step {
    /// The row where it ends.
    pub fn from(self, row: usize, viewport: Viewport, len: usize) -> usize {
        let last = len.saturating_sub(1);
        let half = isize::try_from((viewport.height / 2).max(1)).unwrap_or(1);
        match self {
            Self::By(rows) => row.saturating_add_signed(rows).min(last),
            Self::Halves(halves) => row.saturating_add_signed(halves * half).min(last),
            Self::First => 0,
            Self::Last => last,
        }
    }

    /// The movement that a command asks for.
    pub fn of(command: super::command::Command) -> Option<Self> {
        use super::command::Command;
        Some(match command {
            Command::Up => Self::By(-1),
            Command::Down => Self::By(1),
            Command::HalfPageUp => Self::Halves(-1),
            Command::HalfPageDown => Self::Halves(1),
            Command::PageUp => Self::Halves(-2),
            Command::PageDown => Self::Halves(2),
            Command::Top => Self::First,
            Command::Bottom => Self::Last,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_the_row_and_stays_inside() {
        let mut viewport = Viewport { top: 0, height: 10 };
        viewport.follow(25, 100);
        assert_eq!(viewport.rows(100), 16..26);
        viewport.follow(20, 100);
        assert_eq!(viewport.top, 16, "a row in sight moves nothing");
        viewport.follow(3, 100);
        assert_eq!(viewport.top, 3);
        viewport.scroll(1000, 100);
        assert_eq!(viewport.rows(100), 90..100);
        viewport.clamp(5);
        assert_eq!(viewport.rows(5), 0..5);
        assert_eq!(Viewport::default().rows(0), 0..0);
    }

    #[test]
    fn steps_end_inside() {
        let viewport = Viewport { top: 0, height: 10 };
        assert_eq!(Step::By(-1).from(0, viewport, 3), 0);
        assert_eq!(Step::By(1).from(2, viewport, 3), 2);
        assert_eq!(Step::Halves(2).from(0, viewport, 100), 10);
        assert_eq!(Step::Last.from(0, viewport, 0), 0);
    }
}
