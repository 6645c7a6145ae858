//! Folding: which containers show one line instead of their inside.

use super::rows::{Why, cut_from};
use super::{Document, Layout, View};

impl Document {
    /// Folds the innermost container that begins on the cursor's row and goes on below; opens
    /// again what is folded on it; or else folds the container that the row lies in, with the
    /// cursor on its first row.
    pub fn toggle_fold(&mut self) {
        let Some(row) = self
            .rows
            .get(self.cursor)
            .copied()
            .filter(|_| self.view == View::Json)
        else {
            return;
        };
        let row = row.range();
        let on_row = &self.cuts[cut_from(&self.cuts, row.start)..];
        let folded = on_row
            .iter()
            .take_while(|cut| cut.range.start < row.end)
            .find_map(|cut| match cut.why {
                Why::Folded(container) => Some(container),
                Why::Masked => None,
            });
        let first = self.json.tokens.get(self.json.token_from(row.start));
        let container = self
            .json
            .around(row.end)
            .filter(|container| self.json.opens_at(*container).start >= row.start)
            .or_else(|| self.json.around(first?.start as usize));
        match (folded, container) {
            (Some(container), _) => self.folded[container] = false,
            (None, Some(container)) => {
                self.folded[container] = true;
                self.set_cursor(self.row_of(self.json.opens_at(container).start));
            }
            (None, None) => return,
        }
        self.lay_out();
    }

    /// Folds every container that lies in at least `depth` others and takes several rows: 0 leaves
    /// one row, 1 the members of the outermost container.
    pub fn fold_to(&mut self, depth: usize) {
        for at in 0..self.folded.len() {
            let container = self.json.containers[at];
            self.folded[at] = container.depth as usize >= depth && self.takes_rows(at);
        }
        self.lay_out();
    }

    /// Folds all that lies in the outermost container.
    pub fn fold_all(&mut self) {
        self.fold_to(1);
    }

    /// Folds nothing.
    pub fn unfold_all(&mut self) {
        self.folded.fill(false);
        self.lay_out();
    }

    fn takes_rows(&self, container: usize) -> bool {
        let inside = self.json.opens_at(container).end..self.json.closes_at(container).start;
        self.json.containers[container].count > 0
            && (self.layout == Layout::Formatted
                || memchr::memchr(b'\n', &self.bytes[inside]).is_some())
    }
}
