//! What is shown until the worker has answered, so that no key meanwhile goes elsewhere.

use ratatui::layout::Rect;

use super::dialog::{Dialog, Paragraph};
use super::review::Purpose;
use crate::edit::save::{Base, Save};
use crate::ui::canvas::Canvas;
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Proposed, Sides, Told};
use crate::ui::message::{Effect, RequestId};
use crate::ui::theme::Role;
use std::sync::Arc;

/// Something that is waited for.
#[derive(Debug)]
pub struct Waiting {
    id: RequestId,
    words: String,
    purpose: For,
}

/// What it is waited for.
#[derive(Debug)]
pub enum For {
    /// To edit a key, perhaps in another program.
    Edit {
        /// In another program.
        outside: bool,
    },
    /// To look at a proposal.
    Review(Purpose),
    /// To join two changes.
    Conflict(Box<Conflicting>),
}

/// A save that met somebody else's.
#[derive(Debug)]
pub struct Conflicting {
    /// What was proposed.
    pub proposed: Arc<Proposed>,
    /// The save, still on the revision that it was opened at.
    pub save: Save,
    /// What the key holds now.
    pub newest: Base,
}

impl Waiting {
    /// Asks for something, and waits for it.
    pub fn new(words: impl Into<String>, purpose: For, ask: Ask, ctx: &mut Context<'_>) -> Self {
        Self {
            id: ctx.request(|id| Effect::Edit(id, Box::new(ask))),
            words: words.into(),
            purpose,
        }
    }

    /// Waits for two changes to be joined.
    pub fn for_merge(conflicting: Conflicting, ctx: &mut Context<'_>) -> Self {
        let sides = Sides {
            key: conflicting.save.key().clone(),
            base: conflicting.save.base().value.clone(),
            mine: conflicting.proposed.bytes().cloned(),
            theirs: conflicting.newest.value.clone(),
        };
        let words = "Somebody wrote the key meanwhile. Joining the two …";
        let purpose = For::Conflict(Box::new(conflicting));
        Self::new(words, purpose, Ask::Merge(Box::new(sides)), ctx)
    }

    /// Whether this is what is waited for.
    pub fn awaits(&self, id: RequestId) -> bool {
        self.id == id
    }

    /// What it is waited for.
    pub fn into_purpose(self) -> For {
        self.purpose
    }

    /// Whether an answer can be one to this.
    pub fn is_answered_by(&self, told: &Told) -> bool {
        match self.purpose {
            For::Edit { .. } => matches!(told, Told::Opened(_)),
            For::Review(_) => matches!(told, Told::Proposed(_)),
            For::Conflict(_) => matches!(told, Told::Merged(_)),
        }
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let lines = [Paragraph::new(&self.words, Role::Muted)];
        let dialog = Dialog {
            title: String::new(),
            lines: &lines,
            keys: "Esc leave".to_owned(),
            below: 0,
            is_grave: false,
        };
        dialog.draw(canvas, screen);
    }
}
