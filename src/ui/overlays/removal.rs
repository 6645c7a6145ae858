//! Deleting and purging: one key or many, each on the revision that was shown.
//!
//! ```text
//! ┌ Delete 37 keys of config? ───────────────────────────────────────────────┐
//! │ 2 of them have moved on since: they would be left alone.                  │
//! │ The history stays: h finds it, and R there brings a value back.           │
//! │ Each only at the revision shown; what has moved is left alone.            │
//! │ app.billing.limits at 8841 · app.billing.providers at 8102 · 35 more      │
//! │ nats kv del config app.billing.limits                                     │
//! │ Type 37 to delete them: ▏                                                 │
//! └ p purge instead · Esc leave ─────────────────────────────────────────────┘
//! ```
//!
//! Nothing is done by one key: opening it is the first, agreeing the second. Many keys and every
//! purge want a word typed. It can be stopped, and taken up again where it stopped.

mod draw;

use std::collections::HashMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;

use crate::edit::bulk::{Bulk, Counts, Removal as Kind, State};
use crate::edit::save::Step;
use crate::edit::{Ending, Excerpt, Masking, command};
use crate::kv::backend::Write;
use crate::kv::{BucketName, Key, Revision, WatchEvent};
use crate::ui::app::LastWrite;
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Told};
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::message::{Effect, RequestId};
use crate::ui::viewport::{Step as Move, Viewport};

/// How many keys are under way at once.
const AT_ONCE: usize = 16;

/// The dialog.
#[derive(Debug)]
pub struct Removal {
    bucket: BucketName,
    kind: Kind,
    /// The keys, and the revisions that they were shown at.
    keys: Vec<(Key, Revision)>,
    /// The same, to look them up.
    shown: HashMap<Key, Revision>,
    /// Which of them are at another revision by now.
    moved: HashMap<Key, Revision>,
    /// How many entries of a key the bucket keeps, where that is known: of one, only the marker is
    /// left.
    history: Option<u64>,
    stage: Stage,
    viewport: Viewport,
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// It waits for the user.
    Asking(Input),
    /// It is being done.
    Running {
        bulk: Bulk,
        under_way: HashMap<RequestId, usize>,
        is_stopping: bool,
    },
    /// It was stopped, or is done.
    Over(Bulk),
}

/// What a key did to the dialog.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed.
    Closed,
}

impl Removal {
    /// The dialog on keys, each with the revision that is on the screen. What is said of their
    /// history is what a bucket that keeps so many entries of a key will do.
    pub fn open(bucket: BucketName, keys: Vec<(Key, Revision)>, history: Option<u64>) -> Self {
        Self {
            bucket,
            kind: Kind::Delete,
            shown: keys.iter().cloned().collect(),
            keys,
            moved: HashMap::new(),
            history,
            stage: Stage::Asking(Input::default()),
            viewport: Viewport::default(),
        }
    }

    /// What a watch told, as far as it concerns these keys.
    pub fn seen(&mut self, bucket: &BucketName, batch: &[WatchEvent]) {
        if *bucket != self.bucket || !matches!(self.stage, Stage::Asking(_)) {
            return;
        }
        for event in batch {
            if let WatchEvent::Entry(entry) = event
                && let Some(shown) = self.shown.get(&entry.key)
                && entry.revision > *shown
            {
                self.moved.insert(entry.key.clone(), entry.revision);
            }
        }
    }

    /// What has to be typed before it is done; nothing where Enter is enough.
    fn password(&self) -> Option<String> {
        match (self.keys.as_slice(), self.kind) {
            ([_], Kind::Delete) => None,
            ([(key, _)], Kind::Purge) => Some(key.to_string()),
            (keys, _) => Some(keys.len().to_string()),
        }
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        let leaves = matches!(
            (key.code, key.modifiers),
            (KeyCode::Esc, _) | (KeyCode::Char('c'), KeyModifiers::CONTROL)
        );
        let password = self.password();
        let has_password = password.is_some();
        match &mut self.stage {
            Stage::Asking(_) if leaves => return Outcome::Closed,
            // A word that is to be typed may have any letter in it.
            Stage::Asking(input) => match (key.code, key.modifiers) {
                (KeyCode::Tab, _) => self.turn(),
                (KeyCode::Enter, _) if password.is_none() && !self.moved.is_empty() => {
                    self.look_again();
                }
                (KeyCode::Enter, _) if password.is_none_or(|word| word == input.value()) => {
                    self.begin(ctx);
                }
                _ if has_password => {
                    let typed = type_key(input, key);
                    if typed == Typed::Cancelled {
                        return Outcome::Closed;
                    }
                }
                (KeyCode::Char('p'), KeyModifiers::NONE) => self.turn(),
                (KeyCode::Char('q'), KeyModifiers::NONE) => return Outcome::Closed,
                _ => {}
            },
            Stage::Running { is_stopping, .. } => {
                if leaves {
                    *is_stopping = true;
                }
            }
            Stage::Over(_) => match key.code {
                _ if leaves => return Outcome::Closed,
                KeyCode::Enter | KeyCode::Char('q') if self.is_complete() => {
                    return Outcome::Closed;
                }
                KeyCode::Enter => self.resume(ctx),
                KeyCode::Up => self.scroll(-1),
                KeyCode::Down => self.scroll(1),
                KeyCode::PageUp => self.step(Move::Halves(-2)),
                KeyCode::PageDown => self.step(Move::Halves(2)),
                _ => {}
            },
        }
        Outcome::Open
    }

    /// Pastes into the line that is open.
    pub fn paste(&mut self, text: &str) {
        let wants = self.password().is_some();
        if let Stage::Asking(input) = &mut self.stage
            && wants
        {
            paste(input, text);
        }
    }

    /// Scrolls the list of what was not done.
    pub fn scroll(&mut self, by: isize) {
        self.step(Move::By(by));
    }

    fn step(&mut self, step: Move) {
        let len = self.left().len();
        self.viewport.top = step.from(self.viewport.top, self.viewport, len);
        self.viewport.clamp(len);
    }

    /// Takes the size that the last frame had.
    pub fn fit(&mut self, rows: usize) {
        self.viewport.height = rows;
    }

    fn turn(&mut self) {
        self.kind = match self.kind {
            Kind::Delete => Kind::Purge,
            Kind::Purge => Kind::Delete,
        };
        if let Stage::Asking(input) = &mut self.stage {
            *input = Input::default();
        }
    }

    /// Takes the keys as they are now.
    fn look_again(&mut self) {
        for (key, revision) in &mut self.keys {
            if let Some(now) = self.moved.get(key) {
                *revision = *now;
            }
        }
        self.shown = self.keys.iter().cloned().collect();
        self.moved.clear();
    }

    fn begin(&mut self, ctx: &mut Context<'_>) {
        let bulk = Bulk::plan(self.kind, self.keys.iter().cloned());
        self.run(bulk, ctx);
    }

    fn resume(&mut self, ctx: &mut Context<'_>) {
        let Stage::Over(bulk) = &mut self.stage else {
            return;
        };
        let mut bulk = std::mem::replace(bulk, Bulk::plan(self.kind, []));
        bulk.resume();
        self.run(bulk, ctx);
    }

    fn run(&mut self, bulk: Bulk, ctx: &mut Context<'_>) {
        self.viewport.top = 0;
        self.stage = Stage::Running {
            bulk,
            under_way: HashMap::new(),
            is_stopping: false,
        };
        self.go_on(ctx);
    }

    /// Begins as many as may be under way; says that it is over where nothing is.
    fn go_on(&mut self, ctx: &mut Context<'_>) {
        let Stage::Running {
            bulk,
            under_way,
            is_stopping,
        } = &mut self.stage
        else {
            return;
        };
        while !*is_stopping && under_way.len() < AT_ONCE {
            let Some((at, save, step)) = bulk.begin() else {
                break;
            };
            let write = match step {
                Step::Write(write) => Some(Box::new(write)),
                Step::Read => None,
                Step::Ended(ending) => {
                    bulk.ended(at, save, ending);
                    continue;
                }
            };
            let ask = Ask::CarryOut {
                bucket: self.bucket.clone(),
                save: Box::new(save),
                write,
                learns: self.keys.len() == 1 && self.kind == Kind::Delete,
            };
            let id = ctx.request(|id| Effect::Edit(id, Box::new(ask)));
            under_way.insert(id, at);
        }
        if under_way.is_empty() {
            let bulk = std::mem::replace(bulk, Bulk::plan(self.kind, []));
            self.stage = Stage::Over(bulk);
        }
    }

    /// Takes an answer; says what there is to tell of it, once it is over.
    pub fn answer(
        &mut self,
        id: RequestId,
        told: &mut Option<Told>,
        ctx: &mut Context<'_>,
    ) -> Option<String> {
        let Stage::Running {
            bulk, under_way, ..
        } = &mut self.stage
        else {
            return None;
        };
        let at = under_way.get(&id).copied()?;
        match told.take() {
            Some(Told::Ended(save, ending)) => {
                under_way.remove(&id);
                bulk.ended(at, *save, ending);
            }
            other => {
                *told = other;
                return None;
            }
        }
        self.go_on(ctx);
        match &self.stage {
            Stage::Over(bulk) => Some(self.result(bulk)),
            Stage::Asking(_) | Stage::Running { .. } => None,
        }
    }

    /// Whether it was begun and is not over.
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running { .. })
    }

    /// What is told when the program or the place is left while it runs.
    pub fn farewell(&self) -> Option<String> {
        let Stage::Running {
            bulk, under_way, ..
        } = &self.stage
        else {
            return None;
        };
        let Counts { removed, open, .. } = bulk.counts();
        Some(format!(
            "{removed} of {} keys of {} were {}; of {} more it is not known, {} were not begun",
            self.keys.len(),
            self.bucket,
            self.verb(),
            under_way.len(),
            open.saturating_sub(under_way.len())
        ))
    }

    /// Our own last write, once it is over; nothing if nothing was written.
    pub fn last_write(&self) -> LastWrite {
        let Stage::Over(bulk) = &self.stage else {
            return LastWrite::None;
        };
        let removed = bulk.counts().removed;
        let ([item], [(key, _)]) = (bulk.items(), self.keys.as_slice()) else {
            return match (removed, self.kind) {
                (0, _) => LastWrite::None,
                (count, Kind::Delete) if self.history == Some(1) => LastWrite::Final(format!(
                    "{count} keys were deleted at once, where no history is kept: nothing brings \
                     them back"
                )),
                (count, Kind::Delete) => LastWrite::Final(format!(
                    "{count} keys were deleted at once: h on each, and R there, brings back what is \
                     kept"
                )),
                (count, Kind::Purge) => LastWrite::Final(format!(
                    "the purge of {count} keys can't be undone: their values went with the history"
                )),
            };
        };
        match (item.state(), self.kind, item.undoable()) {
            (State::Ended(Ending::Saved { .. }), Kind::Delete, Some(undoable)) => {
                LastWrite::Undoable(self.bucket.clone(), Box::new(undoable.clone()))
            }
            (State::Ended(Ending::Saved { .. }), Kind::Delete, None) => LastWrite::Final(format!(
                "what {key} held could not be read before it was deleted: h shows what is kept of it"
            )),
            (State::Ended(Ending::Saved { .. }), Kind::Purge, _) => LastWrite::Final(format!(
                "the purge of {key} can't be undone: the value went with its history"
            )),
            _ => LastWrite::None,
        }
    }

    /// The bucket.
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    fn is_complete(&self) -> bool {
        match &self.stage {
            Stage::Over(bulk) => {
                let counts = bulk.counts();
                counts.open == 0 && counts.failed == 0
            }
            Stage::Asking(_) | Stage::Running { .. } => false,
        }
    }

    fn verb(&self) -> &'static str {
        match self.kind {
            Kind::Delete => "deleted",
            Kind::Purge => "purged",
        }
    }

    /// What was done, in one line.
    fn result(&self, bulk: &Bulk) -> String {
        let verb = self.verb();
        if let ([(key, _)], [item]) = (self.keys.as_slice(), bulk.items())
            && let State::Ended(ending) = item.state()
        {
            return match ending {
                Ending::Saved { revision, .. } => format!("{verb} {key}, revision {revision}"),
                other => format!("{key}: {}", why(other)),
            };
        }
        let Counts {
            open,
            removed,
            moved,
            failed,
        } = bulk.counts();
        let rest = [
            (moved, "moved and were left alone"),
            (failed, "failed"),
            (open, "not begun"),
        ];
        let rest = rest.into_iter().filter(|(count, _)| *count > 0);
        let mut words = vec![format!("{verb} {removed} of {} keys", self.keys.len())];
        words.extend(rest.map(|(count, what)| format!("{count} {what}")));
        words.join("; ")
    }

    /// The keys that were not removed, and why.
    fn left(&self) -> Vec<(&Key, String)> {
        let Stage::Over(bulk) = &self.stage else {
            return Vec::new();
        };
        let items = bulk.items().iter();
        items
            .filter_map(|item| match item.state() {
                State::Ended(Ending::Saved { .. } | Ending::Unchanged) => None,
                State::Ended(ending) => Some((item.key(), why(ending))),
                State::Waiting | State::UnderWay => Some((item.key(), "not begun".to_owned())),
            })
            .collect()
    }

    /// The command of the nats CLI for the first key.
    fn command(&self) -> Option<Excerpt> {
        let (key, revision) = self.keys.first()?;
        let write = match self.kind {
            Kind::Delete => Write::delete(key.clone()),
            Kind::Purge => Write::purge(key.clone()),
        };
        Some(command::equivalent(
            &self.bucket,
            &write.expecting(*revision),
            &Masking::default(),
        ))
    }
}

/// Why a key was not removed, in words that are not fit for the screen as they are.
pub(super) fn why(ending: &Ending) -> String {
    match ending {
        Ending::Unchanged => "it was gone already".to_owned(),
        Ending::Saved { revision, .. } => format!("done, revision {revision}"),
        Ending::Conflict { newest } if newest.revision == Revision::ABSENT => {
            "there is nothing of it any more: left alone".to_owned()
        }
        Ending::Conflict { newest } => {
            format!("it has moved to revision {}: left alone", newest.revision)
        }
        Ending::Overwritten { landed, newest } => format!(
            "done at revision {landed}, and written again since, revision {}",
            newest.revision
        ),
        Ending::NotLanded { reason } => {
            format!("not known ({reason}); it is not there, and may still come")
        }
        Ending::Unclear { reason, newest } => format!(
            "not known ({reason}); the key is at revision {} now",
            newest.revision
        ),
        Ending::Unknown { reason, error } => {
            format!("not known ({reason}), and can't be read: {error}")
        }
        Ending::Failed(error) => error.to_string(),
    }
}
