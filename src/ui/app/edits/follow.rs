//! What follows from what was done in an overlay of editing, from what the worker tells, and from
//! what a watch brings.

use super::super::{App, context};
use super::{LastWrite, READ_ONLY};
use crate::edit::Save;
use crate::kv::{BucketName, WatchEvent};
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Told};
use crate::ui::message::{Effect, RequestId};
use crate::ui::overlays::Overlay;
use crate::ui::overlays::compared::Compared;
use crate::ui::overlays::conflict::{self, Conflict};
use crate::ui::overlays::editor::{self, Editor};
use crate::ui::overlays::help::Help;
use crate::ui::overlays::history;
use crate::ui::overlays::look::Look;
use crate::ui::overlays::new_key;
use crate::ui::overlays::review::{self, Purpose, Review, Saved};
use crate::ui::overlays::waiting::{Conflicting, For, Waiting};

impl App {
    pub(super) fn history_did(&mut self, outcome: history::Outcome) {
        let mut ctx = context!(self);
        match outcome {
            history::Outcome::Open => {}
            history::Outcome::Closed => {
                self.overlays.pop();
            }
            history::Outcome::Diff(title, diff) => {
                let compared = Compared::new(title, diff);
                self.overlays.push(Overlay::Compared(Box::new(compared)));
            }
            history::Outcome::Look(entry) => {
                let look = Look::open(*entry, &mut ctx);
                self.overlays.push(Overlay::Look(Box::new(look)));
            }
            history::Outcome::Revert { .. } if self.is_read_only() => {
                context!(self).warn(READ_ONLY);
            }
            history::Outcome::Revert { place, to, over } => {
                let revision = to.revision;
                let words = format!("Looking at revision {revision} …");
                let ask = Ask::ProposeRevert { place, to, over };
                self.wait(words, For::Review(Purpose::Revert(revision)), ask);
            }
        }
    }

    pub(super) fn editor_did(&mut self, outcome: editor::Outcome) {
        match outcome {
            editor::Outcome::Open => {}
            editor::Outcome::Closed => {
                self.overlays.pop();
            }
            editor::Outcome::Quit => self.quit(),
            editor::Outcome::Suspend => self.effects.push(Effect::Suspend),
            editor::Outcome::Redraw => self.effects.push(Effect::Redraw),
            editor::Outcome::Help => {
                let scopes = self
                    .overlays
                    .last()
                    .and_then(Overlay::scopes)
                    .unwrap_or(&[]);
                self.overlays.push(Overlay::Help(Help::new(scopes)));
            }
            editor::Outcome::Took(text) => self.took(text),
            editor::Outcome::Review(proposed) => {
                let moved = match self.overlays.last() {
                    Some(Overlay::Editor(editor)) => editor.moved_to(),
                    _ => None,
                };
                let review = Review::new(Purpose::Save, proposed).moved_to(moved);
                self.overlays.push(Overlay::Review(Box::new(review)));
            }
        }
    }

    pub(super) fn new_key_did(&mut self, outcome: new_key::Outcome) {
        match outcome {
            new_key::Outcome::Open => {}
            new_key::Outcome::Closed => {
                self.overlays.pop();
            }
            new_key::Outcome::Create(place, ttl) => {
                self.overlays.pop();
                let words = format!("Looking for {} …", place.key);
                self.wait(
                    words,
                    For::Edit { outside: false },
                    Ask::OpenNew(place, ttl),
                );
            }
        }
    }

    pub(super) fn review_did(&mut self, outcome: review::Outcome) {
        match outcome {
            review::Outcome::Open => {}
            review::Outcome::Closed => {
                if let Some(Overlay::Review(review)) = self.overlays.pop() {
                    self.go_on_with(review.purpose(), review.save().clone());
                }
            }
            review::Outcome::Saved(saved) => {
                self.overlays.pop();
                self.saved(*saved);
            }
            review::Outcome::Conflict { save, newest } => {
                let Some(Overlay::Review(review)) = self.overlays.pop() else {
                    return;
                };
                self.go_on_with(review.purpose(), (*save).clone());
                // A conflict that was being joined is taken up with the newest.
                if matches!(self.overlays.last(), Some(Overlay::Conflict(_))) {
                    self.overlays.pop();
                }
                let proposed = review.proposed().clone();
                let conflicting = Conflicting {
                    proposed,
                    save: *save,
                    newest: *newest,
                };
                let mut ctx = context!(self);
                let waiting = Waiting::for_merge(conflicting, &mut ctx);
                self.overlays.push(Overlay::Waiting(Box::new(waiting)));
            }
        }
    }

    /// Back in the editor, the next save knows of writes that may still land.
    fn go_on_with(&mut self, purpose: &Purpose, save: Save) {
        if let (Purpose::Save, Some(Overlay::Editor(editor))) = (purpose, self.overlays.last_mut())
        {
            editor.go_on_with(save);
        }
    }

    /// A save ended well: what it was edited in is closed.
    fn saved(&mut self, saved: Saved) {
        let mut ctx = context!(self);
        while let Some(Overlay::Editor(_) | Overlay::Conflict(_)) = self.overlays.last() {
            if let Some(Overlay::Editor(editor)) = self.overlays.pop().as_mut() {
                editor.drop_draft(&mut ctx);
            }
        }
        ctx.tell(saved.words.clone());
        if let Some(undoable) = saved.undoable {
            let bucket = saved.bucket.clone();
            self.last_write = LastWrite::Undoable(bucket, Box::new(undoable));
        }
        self.activity
            .note_deed(&saved.bucket, saved.words, self.now);
    }

    pub(super) fn conflict_did(&mut self, outcome: conflict::Outcome) {
        match outcome {
            conflict::Outcome::Open => {}
            conflict::Outcome::Closed => {
                self.overlays.pop();
            }
            conflict::Outcome::Quit => self.quit(),
            conflict::Outcome::Propose(ask) => {
                let words = "Working out what changes …".to_owned();
                self.wait(words, For::Review(Purpose::Merge), *ask);
            }
            conflict::Outcome::EditPart(part) => {
                let mut ctx = context!(self);
                let editor = Editor::on_part(part, &mut ctx);
                self.overlays.push(Overlay::Editor(Box::new(editor)));
            }
            conflict::Outcome::LeaveGone(revision) => {
                self.overlays.pop();
                let mut ctx = context!(self);
                if let Some(Overlay::Editor(_)) = self.overlays.last()
                    && let Some(Overlay::Editor(mut editor)) = self.overlays.pop()
                {
                    editor.drop_draft(&mut ctx);
                }
                ctx.tell(format!(
                    "nothing was written: the key stays gone, revision {revision}"
                ));
            }
        }
    }

    /// The text for a choice is there: the conflict that lies below the editor takes it.
    fn took(&mut self, text: String) {
        let below = self.overlays.len().checked_sub(2);
        let below = below.and_then(|at| self.overlays.get_mut(at));
        let Some(Overlay::Conflict(conflict)) = below else {
            return;
        };
        match conflict.take_part(text) {
            Ok(()) => {
                self.overlays.pop();
            }
            Err(error) => context!(self).warn(format!("it can't stand there: {error}")),
        }
    }

    /// Takes what editing is told.
    pub(in crate::ui::app) fn told(&mut self, id: RequestId, told: Told) {
        if let Told::Changed(words) = told {
            return self.activity.looked(id, words);
        }
        let mut told = Some(told);
        // From the top: what lies there asked last.
        for at in (0..self.overlays.len()).rev() {
            self.tell_overlay(at, id, &mut told);
            if told.is_none() {
                return;
            }
        }
    }

    fn tell_overlay(&mut self, at: usize, id: RequestId, told: &mut Option<Told>) {
        let is_top = at + 1 == self.overlays.len();
        let now = self.now;
        let mut ctx = context!(self);
        match self.overlays.get_mut(at) {
            Some(Overlay::History(history)) => {
                let outcome = history.answer(id, told, &mut ctx);
                if is_top {
                    self.history_did(outcome);
                }
            }
            Some(Overlay::Look(look)) => look.answer(id, told),
            Some(Overlay::Editor(editor)) => {
                let outcome = editor.answer(id, told, &mut ctx);
                if is_top {
                    self.editor_did(outcome);
                }
            }
            Some(Overlay::Review(review)) => {
                let outcome = review.answer(id, told);
                if !matches!(outcome, review::Outcome::Open) {
                    // Help may lie over it.
                    self.overlays.truncate(at + 1);
                    self.review_did(outcome);
                }
            }
            Some(Overlay::Removal(removal)) => {
                if let Some(words) = removal.answer(id, told, &mut ctx) {
                    let bucket = removal.bucket().clone();
                    self.browse.unmark();
                    match removal.last_write() {
                        LastWrite::None => {}
                        last => self.last_write = last,
                    }
                    self.activity.note_deed(&bucket, words, now);
                }
            }
            Some(Overlay::Waiting(waiting)) if waiting.awaits(id) => {
                let Some(told) = told.take_if(|told| waiting.is_answered_by(told)) else {
                    return;
                };
                if let Overlay::Waiting(waiting) = self.overlays.remove(at) {
                    self.awaited(waiting.into_purpose(), told);
                }
            }
            _ => {}
        }
    }

    /// What was waited for is there.
    fn awaited(&mut self, purpose: For, told: Told) {
        let mut ctx = context!(self);
        match (purpose, told) {
            (For::Edit { outside }, Told::Opened(Ok(opening))) => {
                let mut editor = Editor::new(*opening, outside, &mut ctx);
                if self.paused.is_some() {
                    editor.is_told_nothing();
                }
                self.overlays.push(Overlay::Editor(Box::new(editor)));
            }
            (_, Told::Opened(Err(words)) | Told::Proposed(Err(words))) => ctx.warn(words),
            (For::Review(purpose), Told::Proposed(Ok(proposed))) => {
                let moved = match self.overlays.last() {
                    Some(Overlay::Conflict(conflict)) => conflict.moved_to(),
                    _ => None,
                };
                let review = Review::new(purpose, proposed.into()).moved_to(moved);
                self.overlays.push(Overlay::Review(Box::new(review)));
            }
            (For::Conflict(conflicting), Told::Merged(merge)) => {
                let conflict = Conflict::new(*merge, *conflicting);
                self.overlays.push(Overlay::Conflict(Box::new(conflict)));
            }
            _ => {}
        }
    }

    /// A watch brought something: whoever has a key of it open must know.
    pub(in crate::ui::app) fn edits_watched(&mut self, bucket: &BucketName, batch: &[WatchEvent]) {
        let mut ctx = context!(self);
        for overlay in &mut self.overlays {
            match overlay {
                Overlay::Editor(editor) => editor.seen(bucket, batch),
                Overlay::Review(review) => review.seen(bucket, batch),
                Overlay::Conflict(conflict) => conflict.seen(bucket, batch),
                Overlay::Removal(removal) => removal.seen(bucket, batch),
                Overlay::History(history) => history.seen(bucket, batch, &mut ctx),
                _ => {}
            }
        }
    }
}
