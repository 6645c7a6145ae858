//! What becomes of editing when the program or the place is left, and what is due by itself.
//!
//! No text is lost by that: it is kept as a draft first. And of a write that was begun it is said
//! that its ending will not be known.

use super::super::{App, context};
use super::LastWrite;
use crate::ui::context::Context;
use crate::ui::message::{Effect, Millis};
use crate::ui::overlays::Overlay;

impl App {
    /// When something of editing is due.
    pub(in crate::ui::app) fn edits_deadline(&self) -> Option<Millis> {
        let due = self.overlays.iter().filter_map(|overlay| match overlay {
            Overlay::Editor(editor) => editor.deadline(),
            _ => None,
        });
        due.min()
    }

    /// Does what is due.
    pub(in crate::ui::app) fn edits_deadline_came(&mut self) {
        let mut ctx = context!(self);
        for overlay in &mut self.overlays {
            if let Overlay::Editor(editor) = overlay {
                editor.deadline_came(&mut ctx);
            }
        }
    }

    /// Leaves the program. Unsaved text is kept as a draft first.
    pub(in crate::ui::app) fn quit(&mut self) {
        self.keep_all();
        self.effects.push(Effect::Quit);
    }

    /// Keeps every text that is not saved.
    fn keep_all(&mut self) {
        let mut ctx = context!(self);
        for overlay in &mut self.overlays {
            if let Overlay::Editor(editor) = overlay
                && editor.is_changed()
            {
                editor.keep(&mut ctx);
            }
        }
    }

    /// What is to be said when the program has been left: what became of unsaved text, and of what
    /// was being written.
    pub fn farewell(&self) -> Vec<String> {
        self.left_behind(true)
    }

    fn left_behind(&self, is_over: bool) -> Vec<String> {
        let told = self.overlays.iter().filter_map(|overlay| match overlay {
            Overlay::Editor(editor) => editor.farewell(is_over),
            Overlay::Review(review) => review.farewell(),
            Overlay::Removal(removal) => removal.farewell(),
            _ => None,
        });
        told.collect()
    }

    /// Another place: what was open of the one before is closed, its unsaved text kept.
    pub(in crate::ui::app) fn leave_edits(&mut self) {
        self.keep_all();
        self.last_write = LastWrite::None;
        let told = self.left_behind(false);
        self.overlays.retain(Overlay::is_independent);
        if !told.is_empty() {
            context!(self).warn(format!("of the place before: {}", told.join("; ")));
        }
    }
}
