//! Finding text in a value. What is masked is not searched: a search that lit up there would tell
//! the secret letter by letter.

use std::ops::Range;

use memchr::memmem;

use super::Document;

impl Document {
    /// Looks for text in what is not masked: in any case when the needle has no capitals. An empty
    /// needle ends the search.
    pub fn search(&mut self, needle: &str) {
        needle.clone_into(&mut self.needle);
        self.search_again();
    }

    /// How many matches there are, and the number, from 0, of the one that was jumped to.
    pub fn matches(&self) -> (usize, Option<usize>) {
        (self.matches.len(), self.at_match)
    }

    /// Jumps to the next match, or backwards to the one before, and around the ends. Opens what is
    /// folded around it, puts the cursor on its row, and returns the columns that it takes there.
    pub fn jump(&mut self, backwards: bool) -> Option<Range<usize>> {
        let count = self.matches.len();
        let row = self.rows.get(self.cursor)?.range();
        let next = match self.at_match {
            _ if count == 0 => return None,
            Some(at) if backwards => (at + count - 1) % count,
            Some(at) => (at + 1) % count,
            None if backwards => {
                let after = self.matches.partition_point(|found| found.start < row.end);
                (after + count - 1) % count
            }
            None => {
                self.matches
                    .partition_point(|found| found.start < row.start)
                    % count
            }
        };
        self.at_match = Some(next);
        let found = self.matches[next].clone();
        let mut around = self.json.around(found.start);
        let mut opened = false;
        while let Some(at) = around {
            opened |= std::mem::take(&mut self.folded[at]);
            let parent = self.json.containers[at].parent as usize;
            around = (parent != at).then_some(parent);
        }
        if opened {
            self.lay_out();
        }
        self.cursor = self.row_of(found.start);
        Some(self.column_of(self.cursor, found.start)..self.column_of(self.cursor, found.end))
    }

    pub(super) fn search_again(&mut self) {
        self.matches = find(&self.bytes, &self.needle, self.hidden());
        self.at_match = None;
    }
}

/// Where the needle is in the text, in order and apart, outside of the hidden ranges. A needle in
/// small letters is found in any case (of ASCII letters).
fn find(text: &[u8], needle: &str, hidden: &[Range<usize>]) -> Vec<Range<usize>> {
    if needle.is_empty() {
        return Vec::new();
    }
    let any_case = !needle.chars().any(char::is_uppercase);
    let lowered = any_case.then(|| text.to_ascii_lowercase());
    let text = lowered.as_deref().unwrap_or(text);
    let finder = memmem::Finder::new(needle);
    let starts = [0].into_iter().chain(hidden.iter().map(|range| range.end));
    let ends = hidden.iter().map(|range| range.start).chain([text.len()]);
    starts
        .zip(ends)
        .flat_map(|(start, end)| {
            let open = text.get(start..end).unwrap_or_default();
            finder
                .find_iter(open)
                .map(move |at| start + at..start + at + needle.len())
        })
        .collect()
}
