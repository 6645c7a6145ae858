//! Values in the lines that people read, with their secrets masked unless those were asked for.

use std::sync::Arc;

use crate::edit::{Masking, Masks};
use crate::kv::Entry;
use crate::ui::text::{visible_beyond, visible_bytes};

use super::text::clipped;

/// How values are shown in lines.
#[derive(Debug)]
pub(super) struct Preview {
    /// What is secret. `None` where everything is to be seen.
    masks: Option<Arc<Masks>>,
}

impl Preview {
    /// One that masks, unless everything is to be seen.
    pub(super) fn new(masks: Masks, reveal: bool) -> Self {
        Self {
            masks: (!reveal).then(|| Arc::new(masks)),
        }
    }

    /// The value of an entry made visible, in one line, with a mark where it is cut. Nothing for a
    /// marker.
    pub(super) fn of(&self, entry: &Entry, columns: Option<usize>) -> String {
        let value = entry.live_value().map_or(&[][..], |value| &value[..]);
        let shown = match &self.masks {
            Some(masks) => Masking::new(masks, entry.key.as_str()).masked(value),
            None => value.into(),
        };
        match columns {
            // No more than can be shown: a value can have a megabyte.
            Some(columns) => clipped(&visible_beyond(&shown, columns), columns),
            None => visible_bytes(&shown).into_owned(),
        }
    }
}
