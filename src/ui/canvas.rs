//! What drawing is given, and what it leaves behind for the next update.
//!
//! Drawing changes nothing. What it finds out on the way (how many rows fit, what lies under the
//! mouse, when the picture will change by itself) goes into [`Notes`].

use std::ops::Range;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear};

use super::message::Millis;
use super::text::{self, ELLIPSIS, Run, figures, shown_width};
use super::theme::{Role, Theme};

/// Where to draw, and by which rules.
#[derive(Debug)]
pub struct Canvas<'a, 'f> {
    /// The frame.
    pub frame: &'a mut Frame<'f>,
    /// The colours.
    pub theme: &'a Theme,
    /// The time that ages are counted to.
    pub now: Millis,
    /// How far the store's clock, by which entries are stamped, is ahead of that.
    pub ahead: Millis,
    /// What to leave behind.
    pub notes: Notes,
}

/// What a frame leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What lies where, the topmost last.
    pub hits: Vec<(Rect, Hit)>,
    /// How many rows and columns each list or text has room for.
    pub sizes: Vec<(Pane, (usize, usize))>,
    /// Where the screen is, between header and footer.
    pub body: Rect,
    /// When the picture will change although nothing happens: an age grows, a mark goes out.
    pub changes_at: Option<Millis>,
}

/// A list or text that scrolls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// The buckets.
    Buckets,
    /// The keys.
    Keys,
    /// The value.
    Entry,
    /// The table of locks.
    Locks,
    /// The queue of a lock.
    Queue,
    /// The feed of changes.
    Activity,
    /// The facts about the place.
    Server,
    /// The places to choose from.
    Connect,
    /// What lies over the screen: help, palette.
    Overlay,
}

/// What a place on the screen is, for the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// A row of a list.
    Row(Pane, usize),
    /// Somewhere in a pane.
    Pane(Pane),
    /// The line between two panes, by its number from the left.
    Split(u8),
    /// The name of a screen.
    Screen(super::app::Screen),
}

/// How far to the left and right of what is to be seen of a long row it is looked whether the row
/// goes on there: blanks are nothing that is missed.
const BEYOND: usize = 256;

/// The sides of a frame.
const FRAME: [&str; 2] = ["│", "┃"];

impl Canvas<'_, '_> {
    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// A text in a role.
    pub fn span<'t>(&self, text: impl Into<std::borrow::Cow<'t, str>>, role: Role) -> Span<'t> {
        Span::styled(text, self.style(role))
    }

    /// How long ago something was by the store's clock. Nothing is from the future: what seems so
    /// is from now.
    pub fn since(&self, at: Millis) -> Duration {
        Duration::from_millis(u64::try_from(self.now + self.ahead - at).unwrap_or(0))
    }

    /// How long it is until something is by the store's clock; no time once it is over.
    pub fn until(&self, at: Millis) -> Duration {
        Duration::from_millis(u64::try_from(at - self.now - self.ahead).unwrap_or(0))
    }

    /// Says what lies here.
    pub fn hit(&mut self, area: Rect, hit: Hit) {
        self.notes.hits.push((area, hit));
    }

    /// Says where the rows of a list or text are.
    pub fn rows_in(&mut self, pane: Pane, area: Rect) {
        let size = (usize::from(area.height), usize::from(area.width));
        self.notes.sizes.push((pane, size));
    }

    /// Says that the picture will change at this time.
    pub fn changes_at(&mut self, at: Millis) {
        self.notes.changes_at = Some(self.notes.changes_at.map_or(at, |before| before.min(at)));
    }

    /// Says that the picture will change after this time.
    pub fn changes_in(&mut self, time: Duration) {
        let time = Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX / 2);
        self.changes_at(self.now + time.max(1));
    }

    /// Says in the lower border of a pane where in its rows the selection is, if they are more than
    /// fit.
    pub fn place_in_rows(&mut self, row: usize, len: usize, rows: Rect, pane: Rect) {
        if len <= usize::from(rows.height) || pane.height < 2 {
            return;
        }
        let [row, len] = [row + 1, len].map(|n| figures::count(n as u64));
        let words = format!(" {row} of {len} ");
        let width = u16::try_from(words.len()).unwrap_or(u16::MAX);
        if width + 2 < pane.width {
            let (x, y) = (pane.right() - 2 - width, pane.bottom() - 1);
            let line = Line::from(self.span(words, Role::Muted));
            self.line(
                line,
                Rect {
                    x,
                    y,
                    width,
                    height: 1,
                },
            );
        }
    }

    /// Draws a line of visible text. Where it doesn't fit, an ellipsis in the last column says that
    /// there is more: a number that ends at an edge could be the beginning of a larger one. Blanks at
    /// its end are nothing more.
    pub fn line(&mut self, line: Line<'_>, area: Rect) {
        let room = usize::from(area.width);
        let is_cut = line.width() > room && shown_width(line.to_string().trim_end()) > room;
        self.frame.render_widget(line, area);
        if is_cut {
            self.goes_on(area);
        }
    }

    /// Marks the end of a row: there is more than has room.
    pub fn goes_on(&mut self, row: Rect) {
        if row.is_empty() {
            return;
        }
        let style = self.style(Role::Muted);
        let (last, y) = (row.right() - 1, row.y);
        let buffer = self.frame.buffer_mut();
        // A wide character would reach into the last column.
        if row.width > 1
            && let Some(before) = buffer.cell_mut((last - 1, y))
            && shown_width(before.symbol()) > 1
        {
            before.set_symbol(" ");
        }
        if let Some(cell) = buffer.cell_mut((last, y)) {
            cell.set_symbol(ELLIPSIS).set_style(style);
        }
    }

    /// Draws what is to be seen of a row that was scrolled to begin at this column. `part` gives the
    /// columns of the row that are asked for. Where the row goes on, to the left or to the right, an
    /// ellipsis says so.
    pub fn scrolled<'r>(
        &mut self,
        column: usize,
        area: Rect,
        part: impl Fn(Range<usize>) -> Vec<Run<'r>>,
    ) {
        let end = column + usize::from(area.width);
        self.line(text::line(part(column..end + BEYOND), self.theme), area);
        let before = part(column.saturating_sub(BEYOND)..column);
        if area.is_empty() || before.iter().all(|run| run.text.trim().is_empty()) {
            return;
        }
        let style = self.style(Role::Muted);
        let buffer = self.frame.buffer_mut();
        let Some(first) = buffer.cell_mut((area.x, area.y)) else {
            return;
        };
        let is_wide = shown_width(first.symbol()) > 1;
        first.set_symbol(ELLIPSIS).set_style(style);
        // The other half of a wide character.
        if is_wide
            && area.width > 1
            && let Some(second) = buffer.cell_mut((area.x + 1, area.y))
        {
            second.set_symbol(" ");
        }
    }

    /// Lays a style over an area. A selection gets a sign in the frame beside it too: a filled one
    /// where the keyboard is.
    pub fn lay(&mut self, role: Role, area: Rect) {
        let style = self.style(role);
        let buffer = self.frame.buffer_mut();
        buffer.set_style(area, style);
        let sign = match role {
            Role::Selection => "►",
            Role::SelectionIdle => "▻",
            _ => return,
        };
        let beside = area.x.checked_sub(1).map(|x| (x, area.y));
        if let Some(cell) = beside.and_then(|at| buffer.cell_mut(at))
            && FRAME.contains(&cell.symbol())
        {
            cell.set_symbol(sign);
        }
    }

    /// Empties an area, to draw over what is there.
    pub fn clear(&mut self, area: Rect) {
        self.frame.render_widget(Clear, area);
        self.ground(area);
    }

    /// Lays the ground that everything else stands on.
    pub fn ground(&mut self, area: Rect) {
        let style = self.theme.ground();
        self.frame.buffer_mut().set_style(area, style);
    }

    /// A frame with a title; returns what is inside.
    pub fn pane(&mut self, title: Line<'_>, focused: bool, area: Rect) -> Rect {
        let role = if focused { Role::Focus } else { Role::Border };
        let block = Block::bordered()
            .border_type(if focused {
                BorderType::Thick
            } else {
                BorderType::Plain
            })
            .border_style(self.style(role))
            .title(title);
        let inner = block.inner(area);
        self.frame.render_widget(block, area);
        inner
    }
}

impl Notes {
    /// What lies at a place: the topmost thing.
    pub fn at(&self, position: Position) -> Option<Hit> {
        let hit = self
            .hits
            .iter()
            .rev()
            .find(|(area, _)| area.contains(position));
        hit.map(|(_, hit)| *hit)
    }

    /// The first column of the topmost thing that lies at a place.
    pub fn left_of(&self, position: Position) -> u16 {
        let mut hits = self.hits.iter().rev();
        let hit = hits.find(|(area, _)| area.contains(position));
        hit.map_or(position.x, |(area, _)| area.x)
    }

    /// How many rows and columns a list or text has room for, if it was drawn.
    pub fn size_of(&self, pane: Pane) -> Option<(usize, usize)> {
        let mut sizes = self.sizes.iter();
        sizes.find(|(of, _)| *of == pane).map(|(_, size)| *size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    /// How a line looks in a row of so many columns.
    fn drawn(text: &str, columns: u16) -> String {
        drawn_by(columns, |canvas, area| {
            canvas.line(Line::from(text.to_owned()), area);
        })
    }

    fn drawn_by(columns: u16, draw: impl Fn(&mut Canvas<'_, '_>, Rect)) -> String {
        let theme = Theme::built_in("plain").unwrap();
        let mut terminal = Terminal::new(TestBackend::new(columns, 1)).unwrap();
        terminal
            .draw(|frame| {
                let area = frame.area();
                let mut canvas = Canvas {
                    frame,
                    theme: &theme,
                    now: 0,
                    ahead: 0,
                    notes: Notes::default(),
                };
                draw(&mut canvas, area);
            })
            .unwrap();
        let cells = terminal.backend().buffer().content();
        cells.iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn a_line_that_is_cut_says_so() {
        assert_eq!(drawn("12345", 5), "12345");
        assert_eq!(drawn("123456", 5), "1234…");
        assert_eq!(drawn("12345   ", 5), "12345", "only blanks are missing");
        assert_eq!(drawn("漢字漢", 6), "漢 字 漢 ");
        assert_eq!(drawn("1漢字漢", 6), "1漢 字 …");
        assert_eq!(drawn("漢字漢", 5), "漢 字 …");
    }

    #[test]
    fn a_row_that_was_scrolled_goes_on_to_both_sides() {
        let scrolled = |text: &'static str, column, columns| {
            drawn_by(columns, |canvas, area| {
                let runs = [Run::new(Role::Text, text)];
                canvas.scrolled(column, area, |part| text::clip(runs.clone(), part));
            })
        };
        assert_eq!(scrolled("1234567890", 0, 5), "1234…");
        assert_eq!(scrolled("1234567890", 3, 5), "…567…");
        assert_eq!(scrolled("1234567890", 5, 5), "…7890");
        assert_eq!(
            scrolled("    567890", 4, 5),
            "5678…",
            "blanks are nothing missed"
        );
        assert_eq!(scrolled("1漢字", 1, 5), "… 字  ");
        assert_eq!(scrolled("123", 3, 5), "…    ");
    }

    #[test]
    fn a_sign_for_what_is_hidden_is_one_column() {
        assert_eq!(drawn("123␛567", 5), "123␛…");
        assert_eq!(drawn("␛␛␛45   ", 5), "␛␛␛45");
    }
}
