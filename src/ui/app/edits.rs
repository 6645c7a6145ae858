//! Editing: which overlay takes a command, a key, a paste, a click. What follows from it, and from
//! what the worker tells, is in `follow.rs`; what becomes of it when it is left, in `leaving.rs`.

mod follow;
mod leaving;

use crossterm::event::KeyEvent;

use super::{App, Screen, context};
use crate::edit::Undoable;
use crate::kv::BucketName;
use crate::ui::canvas::{Notes, Pane};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Place};
use crate::ui::message::Effect;
use crate::ui::overlays::Overlay;
use crate::ui::overlays::help::Help;
use crate::ui::overlays::history::History;
use crate::ui::overlays::new_key::NewKey;
use crate::ui::overlays::removal::{self, Removal};
use crate::ui::overlays::review::Purpose;
use crate::ui::overlays::waiting::{For, Waiting};
use crate::ui::viewport::Step;

/// Our own last write, as far as undoing goes.
#[derive(Debug, Default)]
pub enum LastWrite {
    /// There was none.
    #[default]
    None,
    /// It can be undone, if nobody wrote since.
    Undoable(BucketName, Box<Undoable>),
    /// It can't be undone, for this reason.
    Final(String),
}

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
        let infos = self.browse.bucket_infos();
        let info = infos.iter().find(|info| info.config.name == bucket);
        let history = info.map(|info| info.config.history);
        let removal = Removal::open(bucket, keys, history);
        self.overlays.push(Overlay::Removal(Box::new(removal)));
    }

    fn ask_to_undo(&mut self) {
        let (bucket, undoable) = match &self.last_write {
            LastWrite::Undoable(bucket, undoable) => (bucket.clone(), undoable.clone()),
            LastWrite::Final(why) => {
                let why = why.clone();
                return context!(self).warn(why);
            }
            LastWrite::None => {
                return context!(self).tell(
                    "nothing of yours to undo since you came here; h shows the past of a key",
                );
            }
        };
        let of = undoable.revision();
        let words = format!("Looking at revision {of} of {} …", undoable.key());
        let ask = Ask::ProposeUndo(bucket, undoable);
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
}
