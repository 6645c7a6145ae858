//! A value, as the value pane shows it: JSON, text or bytes, in rows of runs with roles.
//!
//! [`Document`] is built from the stored bytes once, and then asked for the rows and columns that
//! are on the screen; what that costs depends on the window, not on the value. It shows what is
//! stored, to the letter: JSON tokens are never read into numbers and strings and written anew.
//! Secrets are masked by the names they have, see [`Masks`].
//!
//! Not here: frames, titles, scroll positions, keys. Those are the pane's.

mod draw;
mod fold;
mod rows;
mod search;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::kv::Entry;
use rows::{Cut, Row, Why};

use crate::edit::json::Json;
pub use crate::edit::{Fault, MASK, Masks};

/// What a value is, by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A JSON text, to the letter of RFC 8259.
    Json,
    /// Text, perhaps with a few bytes that are not.
    Text,
    /// Anything else.
    Bytes,
}

/// A way to show a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Coloured by token, foldable. Only for [`Kind::Json`].
    Json,
    /// Lines of text, as stored.
    Text,
    /// Bytes in hexadecimal, and as ASCII.
    Hex,
}

/// Where the line breaks of the JSON view come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// From the value.
    AsStored,
    /// From us. The tokens are as stored; the white space between them is not.
    Formatted,
}

/// A value, and how it is being looked at.
#[derive(Clone)]
pub struct Document {
    bytes: Bytes,
    kind: Kind,
    fault: Option<Fault>,
    json: Json,
    /// The bytes of the secrets, in order and apart.
    secrets: Vec<Range<usize>>,

    view: View,
    layout: Layout,
    wrap: bool,
    width: usize,
    revealed: bool,
    /// Which containers are folded.
    folded: Vec<bool>,
    cursor: usize,
    needle: String,
    matches: Vec<Range<usize>>,
    /// The match that was jumped to last.
    at_match: Option<usize>,

    // All below follows from what is above: see `lay_out`.
    cuts: Vec<Cut>,
    rows: Vec<Row>,
    /// For each long row, where some of its columns begin.
    anchors: HashMap<usize, Vec<draw::Anchor>>,
    widest: OnceLock<usize>,
}

impl Masks {
    /// Whether an entry holds something that looks like a secret, and is not empty.
    pub fn find_in(&self, entry: &Entry) -> bool {
        let Some(value) = entry.live_value() else {
            return false;
        };
        let is_secret = self.is_secret(entry.key.as_str());
        let document = Document::new(value.clone(), self, is_secret);
        document
            .secrets
            .iter()
            .any(|secret| !matches!(value[secret.clone()].trim_ascii(), b"" | b"\"\"" | b"null"))
    }
}

impl Document {
    /// Looks at a value for the first time. With `whole_value_secret` (for an entry whose key looks
    /// secret) all of it is masked.
    ///
    /// Values of 4 GiB and more, which no store holds, are cut off there.
    pub fn new(mut bytes: Bytes, masks: &Masks, whole_value_secret: bool) -> Self {
        bytes.truncate(u32::MAX as usize);
        let text = std::str::from_utf8(&bytes).ok();
        let parsed = text.map(Json::parse);
        let (kind, json, fault) = match parsed {
            Some(Ok(json)) => (Kind::Json, json, None),
            Some(Err(fault)) if is_text(&bytes) => {
                let fault = Some(fault).filter(|_| looks_like_json(&bytes));
                (Kind::Text, Json::default(), fault)
            }
            None if is_text(&bytes) => (Kind::Text, Json::default(), None),
            _ => (Kind::Bytes, Json::default(), None),
        };
        let mut secrets = match kind {
            _ if whole_value_secret => vec![Range {
                start: 0,
                end: bytes.len(),
            }],
            Kind::Json => masks.in_json(&bytes, &json),
            Kind::Text | Kind::Bytes => masks.in_text(&bytes),
        };
        secrets.retain(|secret| !secret.is_empty());
        let has_breaks = bytes.trim_ascii().contains(&b'\n');
        let mut document = Self {
            kind,
            fault,
            view: match kind {
                Kind::Json => View::Json,
                Kind::Text => View::Text,
                Kind::Bytes => View::Hex,
            },
            layout: if has_breaks {
                Layout::AsStored
            } else {
                Layout::Formatted
            },
            folded: vec![false; json.containers.len()],
            json,
            secrets,
            bytes,
            wrap: false,
            width: 80,
            revealed: false,
            cursor: 0,
            needle: String::new(),
            matches: Vec::new(),
            at_match: None,
            cuts: Vec::new(),
            rows: Vec::new(),
            anchors: HashMap::new(),
            widest: OnceLock::new(),
        };
        document.lay_out();
        document
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the value is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where a value that begins like JSON fails to be JSON.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// How it is shown.
    pub fn view(&self) -> View {
        self.view
    }

    /// Shows it in another way. What is not JSON has no JSON view: then nothing changes.
    pub fn set_view(&mut self, view: View) {
        if view != View::Json || self.kind == Kind::Json {
            self.view = view;
            self.lay_out();
        }
    }

    /// Where the line breaks come from. Only the JSON view is ever [`Layout::Formatted`].
    pub fn layout(&self) -> Layout {
        match self.view {
            View::Json => self.layout,
            View::Text | View::Hex => Layout::AsStored,
        }
    }

    /// Chooses where the line breaks of the JSON view come from.
    pub fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
        self.lay_out();
    }

    /// Whether long lines are continued on further rows.
    pub fn wraps(&self) -> bool {
        self.wrap
    }

    /// Continues long lines on further rows, or lets them run out to the right.
    pub fn set_wrap(&mut self, wrap: bool) {
        self.wrap = wrap;
        self.lay_out();
    }

    /// Tells how many columns there are to show it in. Costs nothing when that is known already.
    pub fn set_width(&mut self, width: usize) {
        let width = width.max(1);
        if width != self.width {
            let bytes_before = self.bytes_per_row();
            self.width = width;
            if self.wrap || self.bytes_per_row() != bytes_before {
                self.lay_out();
            }
        }
    }

    /// Whether anything in it is a secret, masked or not.
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Whether its secrets can be read.
    pub fn is_revealed(&self) -> bool {
        self.revealed
    }

    /// Shows its secrets, or masks them.
    pub fn reveal(&mut self, revealed: bool) {
        self.revealed = revealed;
        self.search_again();
        self.lay_out();
    }

    /// Looks at this value as another one was looked at: an earlier value of the same key. What
    /// was folded stays so as far as the two have the same shape.
    pub fn look_like(&mut self, other: &Self) {
        if other.view != View::Json || self.kind == Kind::Json {
            self.view = other.view;
        }
        (self.wrap, self.width, self.revealed) = (other.wrap, other.width, other.revealed);
        if self.folded.len() == other.folded.len() {
            self.folded.clone_from(&other.folded);
        }
        self.search(&other.needle);
        self.lay_out();
        self.set_cursor(other.cursor);
    }

    /// How many rows it has. An empty value has none.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row with the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts the cursor on a row, or on the last one if there is no such row.
    pub fn set_cursor(&mut self, row: usize) {
        self.cursor = row.min(self.rows.len().saturating_sub(1));
    }

    /// The JSON path of what the cursor's row begins with, as stored and so not yet fit for the
    /// screen. `None` outside the JSON view, and where a mask hides it all.
    pub fn path(&self) -> Option<String> {
        let row = self.rows.get(self.cursor)?.range();
        let hidden = self
            .hidden()
            .first()
            .is_some_and(|secret| secret.start == 0);
        (self.view == View::Json && !hidden).then(|| self.json.path(&self.bytes, row.start))
    }

    /// The secrets that must not be seen now.
    fn hidden(&self) -> &[Range<usize>] {
        if self.revealed { &[] } else { &self.secrets }
    }

    fn bytes_per_row(&self) -> usize {
        if self.width < draw::HEX_COLUMNS {
            8
        } else {
            16
        }
    }

    /// The row that shows the byte, or what hides it.
    fn row_of(&self, byte: usize) -> usize {
        let after = self.rows.partition_point(|row| row.start as usize <= byte);
        after.saturating_sub(1)
    }

    /// Works out all rows anew. The cursor stays at the byte where its row began.
    fn lay_out(&mut self) {
        let at = self
            .rows
            .get(self.cursor)
            .map_or(0, |row| row.start as usize);
        let folds = self
            .folded
            .iter()
            .enumerate()
            .filter(|(_, folded)| **folded);
        let folds = folds.map(|(container, _)| Cut {
            range: self.json.opens_at(container).end..self.json.closes_at(container).start,
            why: Why::Folded(container),
        });
        let folds = folds.filter(|fold| self.view == View::Json && !fold.range.is_empty());
        self.cuts = rows::merge(self.hidden(), folds);
        let rows = match (self.view, self.layout()) {
            (View::Hex, _) => rows::hex(self.bytes.len(), &self.cuts, self.bytes_per_row()),
            (_, Layout::Formatted) => rows::formatted(&self.json, &self.cuts),
            (_, Layout::AsStored) => rows::stored(&self.bytes, &self.cuts),
        };
        self.rows = if self.wrap && self.view != View::Hex {
            let mut split = Vec::with_capacity(rows.len());
            for row in rows {
                self.split(row, &mut split);
            }
            split
        } else {
            rows
        };
        self.anchors = self.find_anchors();
        self.widest = OnceLock::new();
        self.cursor = self.row_of(at);
    }
}

/// Says nothing of what is stored: it may be secret.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes.len())
            .field("view", &self.view)
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

fn looks_like_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Whether at most a tenth of the bytes are such as text doesn't have.
fn is_text(bytes: &[u8]) -> bool {
    let odd: usize = bytes
        .utf8_chunks()
        .map(|chunk| {
            let control =
                |b: &u8| b.is_ascii_control() && !matches!(b, b'\t' | b'\n' | b'\r' | 0x1B);
            chunk.invalid().len()
                + chunk
                    .valid()
                    .as_bytes()
                    .iter()
                    .filter(|b| control(b))
                    .count()
        })
        .sum();
    odd * 10 <= bytes.len()
}

#[cfg(test)]
mod tests;
