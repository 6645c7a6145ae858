//! Breaking locks: between the Locks screen, the dialog, the worker and the feed.

use super::{App, context};
use crate::kv::lock::breaking::BreakError;
use crate::ui::context::Context;
use crate::ui::message::{Reply, RequestId};
use crate::ui::overlays::Overlay;
use crate::ui::overlays::breaking::{Breaking, Outcome, Refusal, left_over, reset_words, results};
use crate::ui::text::figures::span;

impl App {
    /// Opens the dialog on what is selected.
    pub(super) fn ask_to_break(&mut self) {
        let refusal = self.refusal();
        let mut ctx = context!(self);
        let Some((lock, at)) = self.locks.selected().zip(self.locks.reported_at()) else {
            return;
        };
        let party = self.locks.selected_party();
        let dialog = Breaking::open(lock, party, at, refusal, &mut ctx);
        match dialog {
            Some(dialog) => self.overlays.push(Overlay::Breaking(Box::new(dialog))),
            None => self.locks.ask_which(&mut ctx),
        }
    }

    /// Why nothing can be broken here, if it can't.
    fn refusal(&self) -> Option<Refusal> {
        let capabilities = self.place.as_ref()?.capabilities;
        match self.taken() {
            Some(taken) => Some(Refusal::Snapshot { taken }),
            None => capabilities.read_only.then_some(Refusal::ReadOnly),
        }
    }

    pub(super) fn is_read_only(&self) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| place.capabilities.read_only)
    }

    /// A key did something to the dialog.
    pub(super) fn breaking_did(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Open => {}
            Outcome::Closed => {
                self.overlays.pop();
            }
            Outcome::Begun(id) => {
                if let Some(Overlay::Breaking(dialog)) = self.overlays.last() {
                    self.deeds.push(dialog.deed(*id));
                }
            }
        }
    }

    /// The worker answers. What was done is told in the feed, and where the dialog is closed by
    /// now, in the last line too.
    pub(super) fn breaking_went_on(&mut self, id: RequestId, reply: Reply) {
        let now = self.now;
        let deed = self.deeds.iter().find(|deed| deed.id == id).cloned();
        let mut dialog = self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Breaking(dialog) => Some(dialog),
            _ => None,
        });
        let is_open = dialog.is_some();
        let what = deed.as_ref().map_or("", |deed| deed.what.as_str());
        let failed =
            |error: &BreakError| (vec![format!("not broken: {what}: {error}")], true, true);
        let (lines, is_over, is_fault) = match reply {
            Reply::Sight(answer) => {
                if let Some(dialog) = &mut dialog {
                    dialog.looked(id, answer);
                }
                return;
            }
            Reply::Killed(answer) => {
                if let Some(dialog) = &mut dialog {
                    dialog.killed(id, &answer, now);
                }
                match answer {
                    Ok(left) if left.is_zero() => (vec![format!("broke {what}")], false, false),
                    Ok(left) => {
                        let words = format!("broke {what}; quarantine of {}", span(left));
                        (vec![words], false, false)
                    }
                    Err(error) => failed(&error),
                }
            }
            Reply::Broken(answer) => {
                if let Some(dialog) = &mut dialog {
                    dialog.broken(id, &answer);
                }
                match answer {
                    Ok(broken) => (results(&broken), true, false),
                    Err(error) => (vec![format!("{what}: {}", left_over(&error))], true, true),
                }
            }
            Reply::Reset(answer) => {
                if let Some(dialog) = &mut dialog {
                    dialog.reset(id, &answer);
                }
                match answer {
                    Ok(reset) => (vec![format!("{what} {}", reset_words(&reset))], true, false),
                    Err(error) => failed(&error),
                }
            }
            _ => return,
        };
        let Some(deed) = deed else {
            return;
        };
        if is_over {
            self.deeds.retain(|other| other.id != id);
        }
        if !is_open {
            let words = lines.join("; ");
            let mut ctx = context!(self);
            if is_fault {
                ctx.warn(words);
            } else {
                ctx.tell(words);
            }
        }
        for line in lines {
            self.activity.note_deed(&deed.bucket, line, now);
        }
    }

    /// Another place: what was begun at the one before is left to whoever waits there.
    pub(super) fn leave_deeds(&mut self) {
        self.deeds.clear();
        self.overlays
            .retain(|overlay| !matches!(overlay, Overlay::Breaking(_) | Overlay::Bucket(_)));
    }
}
