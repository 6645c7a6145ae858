//! Editing: between Browse, what lies over it, the worker and the feed.

use crossterm::event::KeyEvent;

use super::{App, Screen, context};
use crate::edit::Save;
use crate::kv::{BucketName, WatchEvent};
use crate::ui::canvas::{Notes, Pane};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Place, Told};
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::overlays::Overlay;
use crate::ui::overlays::compared::Compared;
use crate::ui::overlays::conflict::{self, Conflict};
use crate::ui::overlays::editor::{self, Editor};
use crate::ui::overlays::help::Help;
use crate::ui::overlays::history::{self, History};
use crate::ui::overlays::look::Look;
use crate::ui::overlays::new_key::{self, NewKey};
use crate::ui::overlays::removal::{self, Removal};
use crate::ui::overlays::review::{self, Purpose, Review, Saved};
use crate::ui::overlays::waiting::{Conflicting, For, Waiting};
use crate::ui::viewport::Step;

/// Why nothing is edited where nothing can be written.
const READ_ONLY: &str = "this place is open read-only: open it without --read-only to edit";

impl App {
    /// Runs a command of editing on what is selected.
    pub(super) fn run_edit(&mut self, command: Command) {
        let place = match self.screen {
            Screen::Browse => self.browse.selected_key(),
            Screen::Activity => self
                .activity
                .selected()
                .map(|(bucket, key)| (bucket.clone(), key.clone())),
            Screen::Locks | Screen::Server | Screen::Connect => None,
        };
        let place = place.map(|(bucket, key)| Place { bucket, key });
        let writes = !matches!(command, Command::History | Command::Diff);
        if writes && self.is_read_only() {
            return context!(self).warn(READ_ONLY);
        }
        match (command, place) {
            (Command::NewKey, _) => self.ask_for_new_key(),
            (Command::Delete, _) => self.ask_to_remove(),
            (Command::UndoWrite, _) => self.ask_to_undo(),
            (Command::History | Command::Diff, Some(place)) => {
                let mut ctx = context!(self);
                let history = History::open(place, command == Command::Diff, &mut ctx);
                self.overlays.push(Overlay::History(Box::new(history)));
            }
            (Command::Edit | Command::Outside, Some(place)) if place.key.is_foreign() => {
                context!(self).warn("another client's name: it can't be written");
            }
            (Command::Edit | Command::Outside, Some(place)) => {
                let outside = command == Command::Outside;
                self.wait(
                    format!("Reading {} …", place.key),
                    For::Edit { outside },
                    Ask::Open(place),
                );
            }
            (_, Some(_)) => {}
            (_, None) => context!(self).tell("no key is selected"),
        }
    }

    fn wait(&mut self, words: String, purpose: For, ask: Ask) {
        let mut ctx = context!(self);
        let waiting = Waiting::new(words, purpose, ask, &mut ctx);
        self.overlays.push(Overlay::Waiting(Box::new(waiting)));
    }

    fn ask_for_new_key(&mut self) {
        let Some(bucket) = self.browse.open_bucket().cloned() else {
            return;
        };
        let infos = self.browse.bucket_infos();
        let info = infos.iter().find(|info| info.config.name == bucket);
        let bucket_can = info.is_some_and(|info| info.config.marker_ttl.is_some());
        let place = self.place.as_ref();
        let can_have_ttl = bucket_can && place.is_some_and(|place| place.capabilities.entry_ttl);
        let begin = self.browse.prefix();
        let mut new = NewKey::new(bucket, &begin, can_have_ttl);
        new.is_taken(self.browse.revision_of(new.name()));
        self.overlays.push(Overlay::NewKey(Box::new(new)));
    }

    fn ask_to_remove(&mut self) {
        let Some(bucket) = self.browse.open_bucket().cloned() else {
            return;
        };
        let keys = self.browse.to_remove();
        if keys.is_empty() {
            return context!(self)
                .tell("nothing to delete here: x marks keys, X all that pass the filter");
        }
        let removal = Removal::open(bucket, keys);
        self.overlays.push(Overlay::Removal(Box::new(removal)));
    }

    fn ask_to_undo(&mut self) {
        let Some((bucket, undoable)) = self.undoable.clone() else {
            return context!(self).tell("nothing of yours to undo; h brings back what was deleted");
        };
        let of = undoable.revision();
        let words = format!("Looking at revision {of} of {} …", undoable.key());
        let ask = Ask::ProposeUndo(bucket, Box::new(undoable));
        self.wait(words, For::Review(Purpose::Undo(of)), ask);
    }

    /// Types a key where something of editing lies on top.
    pub(super) fn edit_key(&mut self, key: KeyEvent) {
        let Some(overlay) = self.overlays.last_mut() else {
            return;
        };
        let scopes = overlay.scopes().unwrap_or(&[]);
        let command = self.keymap.command(scopes, key);
        let mut ctx = context!(self);
        match overlay {
            Overlay::Editor(editor) => {
                let outcome = editor.key(key, command, &mut ctx);
                self.editor_did(outcome);
            }
            Overlay::Conflict(conflict) if conflict.is_typing() => conflict.type_key(key),
            Overlay::Review(review) => {
                let step = self
                    .keymap
                    .command(&super::draw::HELP_SCOPES, key)
                    .and_then(Step::of);
                let outcome = review.key(key, step, &mut ctx);
                self.review_did(outcome);
            }
            Overlay::Removal(removal) => {
                if removal.key(key, &mut ctx) == removal::Outcome::Closed {
                    self.overlays.pop();
                }
            }
            Overlay::NewKey(new) => {
                let outcome = new.key(key);
                new.is_taken(self.browse.revision_of(new.name()));
                self.new_key_did(outcome);
            }
            Overlay::Waiting(_) => {
                use crossterm::event::KeyCode;
                if key.code == KeyCode::Esc {
                    self.overlays.pop();
                }
            }
            _ => {
                if let Some(command) = command {
                    self.edit_command(command);
                }
            }
        }
    }

    /// Runs a command where something of editing lies on top.
    fn edit_command(&mut self, command: Command) {
        match command {
            Command::Help => {
                let scopes = self
                    .overlays
                    .last()
                    .and_then(Overlay::scopes)
                    .unwrap_or(&[]);
                return self.overlays.push(Overlay::Help(Help::new(scopes)));
            }
            Command::Suspend => return self.effects.push(Effect::Suspend),
            Command::Redraw => return self.effects.push(Effect::Redraw),
            _ => {}
        }
        let mut ctx = context!(self);
        let stays = match self.overlays.last_mut() {
            Some(Overlay::History(history)) => {
                let outcome = history.command(command, &mut ctx);
                return self.history_did(outcome);
            }
            Some(Overlay::Conflict(conflict)) => {
                let outcome = conflict.command(command, &mut ctx);
                return self.conflict_did(outcome);
            }
            Some(Overlay::Compared(compared)) => compared.command(command),
            Some(Overlay::Look(look)) => look.command(command),
            _ => true,
        };
        if !stays {
            self.overlays.pop();
        }
    }

    /// Pastes where something of editing lies on top.
    pub(super) fn edit_paste(&mut self, text: &str) {
        let mut ctx = context!(self);
        match self.overlays.last_mut() {
            Some(Overlay::Editor(editor)) => editor.paste(text, &mut ctx),
            Some(Overlay::Conflict(conflict)) => conflict.paste(text),
            Some(Overlay::Removal(removal)) => removal.paste(text),
            Some(Overlay::NewKey(new)) => {
                new.paste(text);
                new.is_taken(self.browse.revision_of(new.name()));
            }
            _ => {}
        }
    }

    /// Takes a click on a row of what lies on top; `column` is that of the window.
    pub(super) fn edit_click(&mut self, row: usize, column: usize) {
        match self.overlays.last_mut() {
            Some(Overlay::Editor(editor)) => editor.click(row, column),
            Some(Overlay::History(history)) => history.select(row),
            Some(Overlay::Look(look)) => look.select(row),
            Some(Overlay::Conflict(conflict)) => conflict.select(row),
            _ => {}
        }
    }

    /// Scrolls what lies on top.
    pub(super) fn edit_scroll(&mut self, by: isize) {
        match self.overlays.last_mut() {
            Some(Overlay::Editor(editor)) => editor.scroll(by),
            Some(Overlay::History(history)) => history.scroll(by),
            Some(Overlay::Look(look)) => look.scroll(by),
            Some(Overlay::Compared(compared)) => compared.view().step(Step::By(by)),
            Some(Overlay::Review(review)) => review.view().step(Step::By(by)),
            Some(Overlay::Conflict(conflict)) => conflict.scroll(by),
            Some(Overlay::Removal(removal)) => removal.scroll(by),
            _ => {}
        }
    }

    /// Takes the size that the last frame had.
    pub(super) fn edit_fit(&mut self, notes: &Notes) {
        // What lies on top was drawn last.
        let mut sizes = notes.sizes.iter().rev();
        let size = sizes.find(|(pane, _)| *pane == Pane::Overlay);
        let Some((_, (rows, columns))) = size.copied() else {
            return;
        };
        match self.overlays.last_mut() {
            Some(Overlay::Editor(editor)) => editor.fit(rows, columns),
            Some(Overlay::History(history)) => history.fit(rows),
            Some(Overlay::Look(look)) => look.fit(rows, columns),
            Some(Overlay::Compared(compared)) => compared.view().fit(rows, columns),
            Some(Overlay::Review(review)) => review.view().fit(rows, columns),
            Some(Overlay::Conflict(conflict)) => conflict.fit(rows),
            Some(Overlay::Removal(removal)) => removal.fit(rows),
            _ => {}
        }
    }

    fn history_did(&mut self, outcome: history::Outcome) {
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

    fn editor_did(&mut self, outcome: editor::Outcome) {
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

    fn new_key_did(&mut self, outcome: new_key::Outcome) {
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

    fn review_did(&mut self, outcome: review::Outcome) {
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
            self.undoable = Some((saved.bucket.clone(), undoable));
        }
        self.activity
            .note_deed(&saved.bucket, saved.words, self.now);
    }

    fn conflict_did(&mut self, outcome: conflict::Outcome) {
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

    /// Takes what editing is told.
    pub(super) fn told(&mut self, id: RequestId, told: Told) {
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
                    // The last write is another one now. What it was looked at by is not known.
                    self.undoable = None;
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
                let review = Review::new(purpose, proposed.into());
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
    pub(super) fn edits_watched(&mut self, bucket: &BucketName, batch: &[WatchEvent]) {
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

    /// When something of editing is due.
    pub(super) fn edits_deadline(&self) -> Option<Millis> {
        let due = self.overlays.iter().filter_map(|overlay| match overlay {
            Overlay::Editor(editor) => editor.deadline(),
            _ => None,
        });
        due.min()
    }

    /// Does what is due.
    pub(super) fn edits_deadline_came(&mut self) {
        let mut ctx = context!(self);
        for overlay in &mut self.overlays {
            if let Overlay::Editor(editor) = overlay {
                editor.deadline_came(&mut ctx);
            }
        }
    }

    /// Leaves the program. Unsaved text is kept as a draft first.
    pub(super) fn quit(&mut self) {
        let mut ctx = context!(self);
        for overlay in &mut self.overlays {
            if let Overlay::Editor(editor) = overlay
                && editor.is_changed()
            {
                editor.keep(&mut ctx);
            }
        }
        self.effects.push(Effect::Quit);
    }

    /// What is to be said when the program has been left: what became of unsaved text.
    pub fn farewell(&self) -> Vec<String> {
        let editors = self.overlays.iter().filter_map(|overlay| match overlay {
            Overlay::Editor(editor) => editor.farewell(),
            _ => None,
        });
        editors.collect()
    }

    /// Another place: what was open of the one before is closed, its unsaved text kept.
    pub(super) fn leave_edits(&mut self) {
        self.undoable = None;
        self.overlays.retain(Overlay::is_independent);
    }
}
