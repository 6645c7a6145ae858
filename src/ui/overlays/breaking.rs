//! Breaking a lock: what is there, what it would do, and then how it goes.
//!
//! ```text
//! ┌ Break reader report@batch-1's hold on billing.ledger? ─────────────────┐
//! │ pid 4711 on batch-1 · held 11 m 3 s · last beat 2 s ago: it is ALIVE    │
//! │ Also frees: orders.shard-2 (read)                                       │
//! │ Next: writer deploy@web-3, after a quarantine of 17 s                   │
//! │ Acts on revision 9120.                                                  │
//! │ Enter break  f evict at once …  Esc leave                               │
//! └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! It acts on what it shows: the look that the worker took. The lock may have been written since, as
//! long as the claim and who comes next are those that are shown. Where they are others, nothing is
//! done and the dialog shows the lock as it is now.

mod draw;
mod words;

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;

pub use self::words::{left_over, reset_words, results};
use self::words::{state, title};
use crate::kv::BucketName;
use crate::kv::lock::breaking::{BreakError, Broken, Manner, Reset, Sight};
use crate::kv::lock::observer::{Content, Lock, Party};
use crate::ui::context::Context;
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::message::{BreakSight, Effect, Millis, RequestId};

/// The dialog.
#[derive(Debug)]
pub struct Breaking {
    /// The lock as the screen had it when it was asked for.
    lock: Lock,
    /// Whose hold or wait is to be broken; nobody's of a `shizuku` lock.
    party: Option<Party>,
    /// The time of what the screen had: ages go on from there.
    at: Millis,
    /// Why nothing can be done here, if it can't.
    refusal: Option<Refusal>,
    /// The lock as the latest report has it.
    latest: Option<Arc<Lock>>,
    stage: Stage,
    /// The resource's name, as it is being typed to evict at once or to reset a lock in use.
    typed: Option<Input>,
}

/// Why nothing can be done at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is open read-only.
    ReadOnly,
    /// It is a snapshot, taken then.
    Snapshot {
        /// When.
        taken: Millis,
    },
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// The worker looks.
    Looking(RequestId),
    /// It waits for the user.
    Asking(Arc<BreakSight>),
    /// A reset waits for the user; or nothing can be done, and only the reason is shown.
    AskingReset,
    Explaining,
    /// It is being done.
    Acting(RequestId),
    /// The session is dead, and its guards run out.
    Quarantine {
        id: RequestId,
        until: Millis,
    },
    /// It is over, or was not done, in words.
    Over {
        lines: Vec<String>,
        is_done: bool,
    },
}

/// What a key did to the dialog.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed. What was begun goes on.
    Closed,
    /// Something was begun, by this number.
    Begun(RequestId),
}

/// What a break is of, for those who tell of it.
#[derive(Debug, Clone)]
pub struct Deed {
    /// The request.
    pub id: RequestId,
    /// The bucket.
    pub bucket: BucketName,
    /// `reader report@batch-1 (s_8fk2) at billing.ledger`
    pub what: String,
}

impl Breaking {
    /// The dialog on one who holds or waits, or on the lock of a `shizuku` service. `None` where
    /// there is nothing to break.
    pub fn open(
        lock: &Lock,
        party: Option<&Party>,
        at: Millis,
        refusal: Option<Refusal>,
        ctx: &mut Context<'_>,
    ) -> Option<Self> {
        let mut dialog = Self {
            latest: None,
            lock: lock.clone(),
            party: party.cloned(),
            at,
            refusal,
            stage: Stage::Explaining,
            typed: None,
        };
        match (&lock.content, party) {
            (Content::Shizuku(_), _) if refusal.is_none() => dialog.stage = Stage::AskingReset,
            (Content::Shizuku(_), _) => {}
            (Content::Record, Some(_)) if refusal.is_some() => {}
            (Content::Record, Some(_)) => dialog.look(ctx),
            _ => return None,
        }
        Some(dialog)
    }

    fn look(&mut self, ctx: &mut Context<'_>) {
        let Some(party) = &self.party else {
            return;
        };
        let (bucket, resource) = (self.lock.bucket.clone(), self.lock.resource.clone());
        let session = party.session.clone();
        let id = ctx.request(|id| Effect::Sight(id, bucket, resource, session));
        self.stage = Stage::Looking(id);
        self.typed = None;
    }

    /// The latest report, as far as it concerns this lock.
    pub fn seen(&mut self, locks: &[Arc<Lock>]) {
        let is_it =
            |lock: &&Arc<Lock>| lock.key == self.lock.key && lock.bucket == self.lock.bucket;
        if let Some(lock) = locks.iter().find(is_it) {
            self.latest = Some(Arc::clone(lock));
        }
    }

    /// The lock as it is now, if it was written since the look.
    fn moved(&self, sight: &Sight) -> Option<&Lock> {
        let latest = self.latest.as_deref()?;
        (latest.revision > sight.revision()).then_some(latest)
    }

    /// Whether it is another in what was shown: then nothing would be done.
    fn has_changed(&self, sight: &Sight) -> bool {
        self.moved(sight).is_some_and(|lock| {
            let record = lock.record();
            !record.is_some_and(|record| sight.is_as_shown(record))
        })
    }

    /// The worker looked.
    pub fn looked(&mut self, id: RequestId, answer: Result<Arc<BreakSight>, BreakError>) {
        if !matches!(self.stage, Stage::Looking(asked) if asked == id) {
            return;
        }
        self.stage = match answer {
            Ok(sight) => Stage::Asking(sight),
            Err(error) => not_done(&error),
        };
    }

    /// The session is dead, or nothing was done.
    pub fn killed(&mut self, id: RequestId, answer: &Result<Duration, BreakError>, now: Millis) {
        if !self.awaits(id) {
            return;
        }
        self.stage = match answer {
            Ok(left) => {
                let left = Millis::try_from(left.as_millis()).unwrap_or(Millis::MAX / 2);
                let until = now + left;
                Stage::Quarantine { id, until }
            }
            Err(error) => not_done(error),
        };
    }

    /// It is over.
    pub fn broken(&mut self, id: RequestId, answer: &Result<Broken, BreakError>) {
        if self.awaits(id) {
            self.stage = match answer {
                Ok(broken) => Stage::Over {
                    lines: results(broken),
                    is_done: true,
                },
                Err(error) => Stage::Over {
                    lines: vec![left_over(error)],
                    is_done: false,
                },
            };
        }
    }

    /// A reset is over.
    pub fn reset(&mut self, id: RequestId, answer: &Result<Reset, BreakError>) {
        if self.awaits(id) {
            self.stage = match answer {
                Ok(reset) => Stage::Over {
                    lines: vec![reset_words(reset)],
                    is_done: true,
                },
                Err(error) => not_done(error),
            };
        }
    }

    fn awaits(&self, id: RequestId) -> bool {
        match self.stage {
            Stage::Acting(asked) | Stage::Quarantine { id: asked, .. } => asked == id,
            _ => false,
        }
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        if let Some(input) = &mut self.typed {
            return match type_key(input, key) {
                Typed::Cancelled => {
                    self.typed = None;
                    Outcome::Open
                }
                Typed::Accepted if input.value() == self.lock.resource => self.act(true, ctx),
                _ => Outcome::Open,
            };
        }
        match (key.code, key.modifiers) {
            (KeyCode::Esc, _)
            | (KeyCode::Char('c'), KeyModifiers::CONTROL)
            | (KeyCode::Char('q'), KeyModifiers::NONE) => Outcome::Closed,
            (KeyCode::Enter, _) => self.enter(ctx),
            (KeyCode::Char('f'), KeyModifiers::NONE) => {
                if matches!(self.stage, Stage::Asking(_)) {
                    self.typed = Some(Input::default());
                }
                Outcome::Open
            }
            _ => Outcome::Open,
        }
    }

    /// Pastes into the line that is open.
    pub fn paste(&mut self, text: &str) {
        if let Some(input) = &mut self.typed {
            paste(input, text);
        }
    }

    fn enter(&mut self, ctx: &mut Context<'_>) -> Outcome {
        match &self.stage {
            Stage::Asking(sight) if self.has_changed(&sight.sight) => self.look(ctx),
            Stage::Asking(_) => return self.act(false, ctx),
            // Somebody may be inside: as grave as evicting at once.
            Stage::AskingReset if !self.lock.verdict.is_fault() => {
                self.typed = Some(Input::default());
            }
            Stage::AskingReset => return self.act(false, ctx),
            Stage::Over { is_done: false, .. } if self.party.is_some() => self.look(ctx),
            Stage::Over { .. } | Stage::Explaining => return Outcome::Closed,
            Stage::Looking(_) | Stage::Acting(_) | Stage::Quarantine { .. } => {}
        }
        Outcome::Open
    }

    fn act(&mut self, is_forced: bool, ctx: &mut Context<'_>) -> Outcome {
        let id = match &self.stage {
            Stage::Asking(sight) => {
                let sight = Arc::clone(sight);
                let manner = if is_forced {
                    Manner::Forced
                } else {
                    Manner::Quarantined
                };
                ctx.request(|id| Effect::Break(id, sight, manner))
            }
            Stage::AskingReset => {
                let (bucket, key) = (self.lock.bucket.clone(), self.lock.key.clone());
                let revision = self.lock.revision;
                ctx.request(|id| Effect::Reset(id, bucket, key, revision))
            }
            _ => return Outcome::Open,
        };
        self.stage = Stage::Acting(id);
        self.typed = None;
        Outcome::Begun(id)
    }

    /// What is being done, by its request.
    pub fn deed(&self, id: RequestId) -> Deed {
        let resource = &self.lock.resource;
        let what = match &self.party {
            Some(party) => format!("{} ({}) at {resource}", title(party), party.session),
            None => format!("the shizuku lock {resource}"),
        };
        Deed {
            id,
            bucket: self.lock.bucket.clone(),
            what,
        }
    }
}

/// Why nothing was done, and how the lock is now where that is known.
fn not_done(error: &BreakError) -> Stage {
    let mut lines = vec![error.to_string()];
    match error {
        BreakError::Moved {
            record: Some(record),
            ..
        }
        | BreakError::NoClaim { record, .. } => {
            lines.push(format!("Now: {}", state(record)));
        }
        _ => {}
    }
    Stage::Over {
        lines,
        is_done: false,
    }
}
