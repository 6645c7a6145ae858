//! What is about to be written: the difference, the command, the warnings; and then how it ended.
//!
//! ```text
//! ┏ Save app.billing.limits on revision 8841? ─ by path ━━━━━━━━━━━━━━━━━━━━━━━━━┓
//! ┃ ~ .max_per_day      25000 → 40000                                            ┃
//! ┃ + .tags             ["new"]                                                  ┃
//! ┃                                                                              ┃
//! ┃ against the schema: .max_per_day: more than 30000                            ┃
//! ┃ nats kv update config app.billing.limits '{…}' 8841                          ┃
//! ┃ a save in spite of that · v by line · Esc back                               ┃
//! ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┛
//! ```
//!
//! Saves, reverts, undoing and the results of merges all pass through here: what is on the screen is
//! what is written, on the revision that is on the screen.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::dialog::Paragraph;
use super::removal::why;
use crate::edit::save::{Base, Proof, Save, Step};
use crate::edit::{Ending, Undoable};
use crate::kv::{BucketName, Key, Revision, WatchEvent};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::context::Context;
use crate::ui::diff::{DiffView, excerpt_runs};
use crate::ui::edits::{Ask, Intent, Proposed, Told};
use crate::ui::message::{Effect, RequestId};
use crate::ui::shown;
use crate::ui::text;
use crate::ui::theme::Role;
use crate::ui::viewport::Step as Move;

/// An open review.
#[derive(Debug)]
pub struct Review {
    purpose: Purpose,
    proposed: Arc<Proposed>,
    /// The save goes on from one ending to the next.
    save: Save,
    view: DiffView,
    /// The newest revision that a watch told of, if it is news.
    moved: Option<Revision>,
    stage: Stage,
}

/// What it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To save what was edited.
    Save,
    /// To save what came of a merge.
    Merge,
    /// To go back to the value of this revision.
    Revert(Revision),
    /// To undo the write of this revision.
    Undo(Revision),
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// It waits for the user.
    Asking,
    /// It is being written, or looked for.
    Saving(RequestId),
    /// It did not end well, and why. With `again` it can be looked for, or written again.
    Over { words: String, again: Again },
}

/// What Enter does after an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Write it again, on the same revision.
    Write,
    /// Look again what became of it.
    Look,
    /// Nothing but leave.
    No,
}

/// What a key or an answer did to the review.
#[derive(Debug)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed, and nothing was written.
    Closed,
    /// It is there.
    Saved(Box<Saved>),
    /// The key has moved: the two must be joined.
    Conflict {
        /// The save, to go on with.
        save: Box<Save>,
        /// What the key holds now.
        newest: Box<Base>,
    },
}

/// A save that ended well.
#[derive(Debug)]
pub struct Saved {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: Key,
    /// What happened, in words.
    pub words: String,
    /// The save, to go on with.
    pub save: Save,
    /// How to undo it, if it wrote.
    pub undoable: Option<Undoable>,
}

impl Review {
    /// A review of a proposal.
    pub fn new(purpose: Purpose, proposed: Arc<Proposed>) -> Self {
        Self {
            view: DiffView::new(Arc::clone(&proposed.diff)),
            save: proposed.save.clone(),
            purpose,
            proposed,
            moved: None,
            stage: Stage::Asking,
        }
    }

    /// Says that the key is known to be at another revision by now.
    #[must_use]
    pub fn moved_to(self, moved: Option<Revision>) -> Self {
        Self { moved, ..self }
    }

    /// What it is for.
    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// The save as it stands: writes that may still land stay in its mind.
    pub fn save(&self) -> &Save {
        &self.save
    }

    /// What is proposed.
    pub fn proposed(&self) -> &Arc<Proposed> {
        &self.proposed
    }

    /// What a watch told, as far as it concerns this key.
    pub fn seen(&mut self, bucket: &BucketName, batch: &[WatchEvent]) {
        for event in batch {
            if let WatchEvent::Entry(entry) = event
                && *bucket == self.proposed.bucket
                && self.save.is_news(entry)
                && !matches!(self.stage, Stage::Saving(_))
            {
                self.moved = Some(entry.revision);
            }
        }
    }

    /// What is looked at, to scroll it.
    pub fn view(&mut self) -> &mut DiffView {
        &mut self.view
    }

    /// Whether it is being written.
    pub fn is_saving(&self) -> bool {
        matches!(self.stage, Stage::Saving(_))
    }

    /// What is told when the program or the place is left while it is being written.
    pub fn farewell(&self) -> Option<String> {
        self.is_saving().then(|| {
            format!(
                "{} in {} was being written: whether it is there is not known",
                self.save.key(),
                self.proposed.bucket
            )
        })
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent, step: Option<Move>, ctx: &mut Context<'_>) -> Outcome {
        let leaves = matches!(
            (key.code, key.modifiers),
            (KeyCode::Esc | KeyCode::Char('q'), _) | (KeyCode::Char('c'), KeyModifiers::CONTROL)
        );
        if let Some(step) = step {
            self.view.step(step);
            return Outcome::Open;
        }
        match (key.code, &self.stage) {
            // What was begun is not left: how it ends must be told.
            (_, Stage::Saving(_)) if leaves => {
                ctx.tell("it is being written; how it ends is told here");
            }
            _ if leaves => return Outcome::Closed,
            (KeyCode::Char('v'), _) => self.view.turn(),
            (KeyCode::Char('m'), _) => self.view.reveal(),
            (KeyCode::Left, _) => self.view.shift(false),
            (KeyCode::Right, _) => self.view.shift(true),
            (KeyCode::Enter, Stage::Asking) if self.proposed.warnings().is_empty() => {
                return self.write(ctx);
            }
            (KeyCode::Char('a'), Stage::Asking) if !self.proposed.warnings().is_empty() => {
                return self.write(ctx);
            }
            (KeyCode::Enter, Stage::Over { again, .. }) => match again {
                Again::Write => return self.write(ctx),
                Again::Look => {
                    let step = self.save.look_again();
                    return self.carry_out(step, ctx);
                }
                Again::No => return Outcome::Closed,
            },
            _ => {}
        }
        Outcome::Open
    }

    fn write(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let step = self.proposed.begin(&mut self.save);
        self.carry_out(step, ctx)
    }

    fn carry_out(&mut self, step: Step, ctx: &mut Context<'_>) -> Outcome {
        let write = match step {
            Step::Write(write) => Some(Box::new(write)),
            Step::Read => None,
            Step::Ended(ending) => return self.ended(ending),
        };
        let ask = Ask::CarryOut {
            bucket: self.proposed.bucket.clone(),
            save: Box::new(self.save.clone()),
            write,
            learns: false,
        };
        self.stage = Stage::Saving(ctx.request(|id| Effect::Edit(id, Box::new(ask))));
        Outcome::Open
    }

    /// Takes an answer.
    pub fn answer(&mut self, id: RequestId, told: &mut Option<Told>) -> Outcome {
        if !matches!(self.stage, Stage::Saving(asked) if asked == id) {
            return Outcome::Open;
        }
        match told.take() {
            Some(Told::Ended(save, ending)) => {
                self.save = *save;
                self.ended(ending)
            }
            other => {
                *told = other;
                Outcome::Open
            }
        }
    }

    fn ended(&mut self, ending: Ending) -> Outcome {
        let verb = match self.purpose {
            Purpose::Save => "saved",
            Purpose::Merge => "merged and saved",
            Purpose::Revert(_) => "reverted",
            Purpose::Undo(_) => "undone",
        };
        let key = self.save.key().clone();
        let words = match &ending {
            Ending::Unchanged => format!("{key}: it is that already, nothing was written"),
            Ending::Saved { revision, proof } => {
                let proof = match proof {
                    Proof::Acknowledged => "",
                    Proof::ReadBack => {
                        "; the acknowledgement was lost, it was found in the history"
                    }
                    Proof::SameValue => "; the acknowledgement was lost, the key holds just this",
                };
                let gone = if self.deletes() {
                    "deleted again, "
                } else {
                    "at "
                };
                format!("{verb}: {key} is {gone}revision {revision}{proof}")
            }
            Ending::Overwritten { landed, newest } => format!(
                "{verb}: {key} at revision {landed}, and somebody has written over it since, revision {}",
                newest.revision
            ),
            other => why(other),
        };
        let again = match ending {
            Ending::Unchanged | Ending::Saved { .. } | Ending::Overwritten { .. } => {
                return Outcome::Saved(Box::new(Saved {
                    bucket: self.proposed.bucket.clone(),
                    key,
                    words,
                    save: self.save.clone(),
                    undoable: self.save.undoable().cloned(),
                }));
            }
            Ending::Conflict { newest } | Ending::Unclear { newest, .. } if self.can_merge() => {
                self.stage = Stage::Asking;
                return Outcome::Conflict {
                    save: Box::new(self.save.clone()),
                    newest: Box::new(newest),
                };
            }
            Ending::Conflict { .. } | Ending::Unclear { .. } => Again::No,
            Ending::NotLanded { .. } => Again::Write,
            Ending::Unknown { .. } => Again::Look,
            Ending::Failed(_) => Again::Write,
        };
        self.stage = Stage::Over { words, again };
        Outcome::Open
    }

    /// Whether a conflict is joined. Undoing is not: somebody wrote since, and that is its answer.
    fn can_merge(&self) -> bool {
        !matches!(self.purpose, Purpose::Undo(_))
    }

    fn deletes(&self) -> bool {
        matches!(self.proposed.intent, Intent::Delete)
    }

    fn title(&self) -> String {
        let (Purpose::Save | Purpose::Merge) = self.purpose else {
            let key = self.save.key();
            return match self.purpose {
                Purpose::Revert(to) => format!("Revert {key} to revision {to}?"),
                Purpose::Undo(of) => format!("Undo revision {of} of {key}?"),
                Purpose::Save | Purpose::Merge => String::new(),
            };
        };
        match self.save.base().revision {
            Revision::ABSENT => format!("Create {}?", self.save.key()),
            revision => format!("Save {} on revision {revision}?", self.save.key()),
        }
    }

    fn words(&self) -> Vec<Paragraph> {
        let mut lines = Vec::new();
        if let Some(moved) = self.moved {
            let words = if self.can_merge() {
                format!(
                    "Somebody wrote it meanwhile: it is at revision {moved}. Saving shows both, to be joined."
                )
            } else {
                format!(
                    "Somebody wrote it meanwhile: it is at revision {moved}. Nothing will be undone."
                )
            };
            lines.push(Paragraph::new(words, Role::Danger));
        }
        if self.deletes() {
            let words = "It was not there before: undoing that deletes it.";
            lines.push(Paragraph::new(words, Role::Warning));
        }
        for warning in self.proposed.warnings() {
            lines.push(Paragraph::new(warning.to_string(), Role::Danger));
        }
        if let Some(ttl) = self.proposed.ttl {
            lines.push(Paragraph::new(
                format!(
                    "It is dropped {} after it is saved.",
                    text::figures::span(ttl)
                ),
                Role::Warning,
            ));
        }
        match &self.stage {
            Stage::Saving(_) => lines.push(Paragraph::new("Writing …", Role::Warning)),
            Stage::Over { words, .. } => lines.push(Paragraph::new(words, Role::Danger)),
            Stage::Asking => {}
        }
        lines
    }

    fn keys(&self) -> String {
        let verb = match self.purpose {
            Purpose::Save | Purpose::Merge => "save",
            Purpose::Revert(_) => "revert",
            Purpose::Undo(_) => "undo",
        };
        let first = match &self.stage {
            Stage::Asking if self.proposed.warnings().is_empty() => format!("Enter {verb}"),
            Stage::Asking => format!("a {verb} in spite of that"),
            Stage::Saving(_) => return "it is being written".to_owned(),
            Stage::Over {
                again: Again::Write,
                ..
            } => "Enter write it again, on the same revision".to_owned(),
            Stage::Over {
                again: Again::Look, ..
            } => "Enter look again".to_owned(),
            Stage::Over {
                again: Again::No, ..
            } => return "Esc back".to_owned(),
        };
        let reveal = if self.view.has_secrets() {
            " · m reveal"
        } else {
            ""
        };
        let turn = self
            .view
            .other_way()
            .map_or_else(String::new, |way| format!(" · v {way}"));
        format!("{first}{turn}{reveal} · Esc back")
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        canvas.clear(screen);
        let way = self.view.way();
        let room = usize::from(screen.width)
            .saturating_sub(way.len() + 10)
            .max(8);
        let title = vec![
            canvas.span(
                format!(" {} ", shown::short(&self.title(), room)),
                Role::Title,
            ),
            canvas.span(format!("· {way} "), Role::Muted),
        ];
        let inner = canvas.pane(Line::from(title), true, screen);
        canvas.hit(screen, Hit::Pane(Pane::Overlay));
        let width = usize::from(inner.width);
        let lines = self.words();
        let rows: usize = lines.iter().map(|line| line.rows(width)).sum();
        // The command and the keys have a row each; half of the rest is the difference's.
        let words = u16::try_from(rows)
            .unwrap_or(u16::MAX)
            .min(inner.height.saturating_sub(2) / 2);
        let view = Rect {
            height: inner.height.saturating_sub(words + 2),
            ..inner
        };
        self.view.draw(canvas, view);
        let mut rest = Rect {
            y: view.bottom(),
            height: words,
            ..inner
        };
        for line in lines {
            rest = line.draw(canvas, rest);
        }
        let row = |from_bottom: u16| Rect {
            y: inner.bottom().saturating_sub(from_bottom).max(inner.y),
            height: inner.height.min(1),
            ..inner
        };
        let command = excerpt_runs(&self.proposed.command, Role::Muted, false);
        let command = text::truncate(command, width);
        canvas.line(text::line(command, canvas.theme), row(2));
        let keys = shown::cut(&self.keys(), width);
        canvas.line(Line::from(canvas.span(keys, Role::KeyHint)), row(1));
    }
}
