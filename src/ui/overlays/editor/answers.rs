//! What the worker, and the user's own editor, made of the text.

use std::sync::Arc;

use super::{Editor, Outcome, Question, Wish};
use crate::ui::context::Context;
use crate::ui::edits::{DraftState, Opening, Resumed, Told};
use crate::ui::message::RequestId;

/// What is told where saving would change nothing.
pub(super) const UNCHANGED: &str = "nothing to save: the text is as it was opened";

impl Editor {
    /// Takes an answer; says what comes of it.
    pub fn answer(
        &mut self,
        id: RequestId,
        told: &mut Option<Told>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        if self.check.asked.is_some_and(|(asked, _)| asked == id)
            && let Some(Told::Checked(checked)) =
                told.take_if(|told| matches!(told, Told::Checked(_)))
        {
            let version = self.check.asked.take().map_or(0, |(_, version)| version);
            self.check.result = Some((version, checked));
            self.check(ctx);
            return Outcome::Open;
        }
        if self.draft.asked == Some(id)
            && let Some(Told::Kept(state)) = told.take_if(|told| matches!(told, Told::Kept(_)))
        {
            self.draft.asked = None;
            self.draft.state = Some(state);
            return self.kept(ctx);
        }
        let Some((_, version, wish)) = self.asked.take_if(|(asked, ..)| *asked == id) else {
            return Outcome::Open;
        };
        let is_current = version == self.buffer.version();
        let before = self.buffer.version();
        let outcome = match (wish, told.take()) {
            (Wish::Format | Wish::Mask, _) if !is_current => {
                ctx.tell("the text was changed meanwhile: it was left as it is");
                Outcome::Open
            }
            (Wish::Format, Some(Told::Formatted(Ok(text)))) => {
                self.buffer.replace(&text, &self.placeholders);
                Outcome::Open
            }
            (Wish::Format, Some(Told::Formatted(Err(fault)))) => {
                let place = (fault.line.saturating_sub(1), fault.column.saturating_sub(1));
                self.buffer.go_to(place, &self.placeholders);
                ctx.warn(format!(
                    "only JSON can be formatted: line {}, column {}: {}",
                    fault.line, fault.column, fault.what
                ));
                Outcome::Open
            }
            (Wish::Mask, Some(Told::Masked(Ok((text, placeholders))))) => {
                if text == self.buffer.text() {
                    ctx.tell("there are no secrets in it");
                } else {
                    self.placeholders = Arc::new(placeholders);
                    self.buffer.replace(&text, &self.placeholders);
                }
                Outcome::Open
            }
            (Wish::Mask, Some(Told::Masked(Err(broken)))) => {
                ctx.warn(broken.to_string());
                Outcome::Open
            }
            (Wish::Propose, Some(Told::Proposed(Ok(proposed)))) => {
                let is_same = self.save.base().value.as_ref() == proposed.bytes();
                if is_same && !self.save.is_in_doubt() {
                    ctx.tell(UNCHANGED);
                    return Outcome::Open;
                }
                Outcome::Review(Arc::from(proposed))
            }
            (Wish::Propose, Some(Told::Proposed(Err(words)))) => {
                ctx.warn(words);
                Outcome::Open
            }
            (Wish::Outside, Some(Told::Outside(answer))) => self.came_back(answer, ctx),
            (_, other) => {
                *told = other;
                Outcome::Open
            }
        };
        self.touched(before, ctx);
        outcome
    }

    /// A draft was kept, or not.
    fn kept(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if !matches!(self.question, Some(Question::Keeping)) {
            return Outcome::Open;
        }
        self.question = None;
        let words = match &self.draft.state {
            Some(DraftState::NotKept(why)) => {
                ctx.warn(format!("it can't be kept as a draft: {why}"));
                return Outcome::Open;
            }
            Some(DraftState::KeptWithout(_)) => {
                "the text is kept as a draft, without the secrets that were typed into it"
            }
            _ => "the text is kept as a draft; it is offered when the key is edited again",
        };
        ctx.tell(words);
        Outcome::Closed
    }

    /// The user's own editor has ended.
    fn came_back(&mut self, answer: Result<String, String>, ctx: &mut Context<'_>) -> Outcome {
        match answer {
            // It may name a file, which must be read in full.
            Err(words) => {
                self.refused = Some(words);
                Outcome::Open
            }
            Ok(text) => {
                let is_same = text == self.buffer.text();
                if !is_same {
                    self.buffer.replace(&text, &self.placeholders);
                }
                if !self.is_for_outside {
                    return Outcome::Open;
                }
                if is_same && !self.is_changed() {
                    ctx.tell("the text was not changed: nothing is written");
                    return Outcome::Closed;
                }
                // There is unsaved text from before: it is left to the user.
                if is_same {
                    return Outcome::Open;
                }
                // Whoever comes back from an editor of his own wants to save.
                let before = self.buffer.version();
                self.propose(ctx);
                self.touched(before, ctx);
                Outcome::Open
            }
        }
    }

    /// Goes on with a draft: with its text, from where it began.
    pub(super) fn take_up(&mut self, draft: Resumed, ctx: &mut Context<'_>) {
        let newest = self.save.base().revision;
        let Opening {
            opened,
            save,
            masked: (text, placeholders),
            ..
        } = draft.opening;
        if save.base().revision != newest {
            ctx.tell(format!(
                "the draft is from revision {}, the key is at {newest} now: saving shows both, to be joined",
                save.base().revision
            ));
        }
        let before = self.buffer.version();
        self.opened = Arc::new(opened);
        self.save = save;
        self.placeholders = Arc::new(placeholders);
        // So that undoing leads back to what it was begun with.
        self.buffer.begin_anew(&text);
        self.clean = self.buffer.version();
        self.buffer.replace(&draft.text, &self.placeholders);
        self.touched(before, ctx);
    }
}
