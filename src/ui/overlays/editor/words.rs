//! What the editor says of its text, below it.

use std::time::Duration;

use super::{Editor, Question, Wish};
use crate::edit::Form;
use crate::kv::Revision;
use crate::ui::canvas::Canvas;
use crate::ui::edits::DraftState;
use crate::ui::text::figures;
use crate::ui::theme::Role;

impl Editor {
    /// On what the text is saved: `rev 8841`.
    pub(super) fn base_in_words(&self) -> String {
        let base = self.save.base();
        match (base.revision, &base.value) {
            (Revision::ABSENT, _) => "a new key".to_owned(),
            (revision, None) => format!("gone since rev {revision}"),
            (revision, Some(_)) => format!("rev {revision}"),
        }
    }

    /// What is to be known, the most urgent first, in words that are not yet fit for the screen.
    pub(super) fn told(&self, canvas: &mut Canvas<'_, '_>) -> Vec<(String, Role)> {
        let mut told = Vec::new();
        match &self.question {
            Some(Question::Leave) if self.part.is_some() => {
                let words = "The text is not taken. s take it · d drop it · Esc go on editing";
                return vec![(words.to_owned(), Role::Danger)];
            }
            Some(Question::Keeping) => {
                let words = "keeping the text as a draft … Esc go on editing";
                return vec![(words.to_owned(), Role::Muted)];
            }
            Some(Question::Leave) => {
                let words = "The text is not saved. s save · k keep it as a draft · d drop it · Esc go on editing";
                return vec![(words.to_owned(), Role::Danger)];
            }
            Some(Question::Draft(draft)) => {
                let since = canvas.now - draft.kept_at;
                let since = Duration::from_millis(u64::try_from(since).unwrap_or(0));
                let base = match draft.opening.save.base().revision {
                    revision if revision == self.save.base().revision => String::new(),
                    revision => format!(" from revision {revision}, since when the key has moved"),
                };
                let words = format!(
                    "A text that was not saved is here{base}, kept {} ago. t take it up · d drop it · Esc leave",
                    figures::span(since)
                );
                return vec![(words, Role::Warning)];
            }
            None => {}
        }
        if let Some(moved) = self.moved {
            let since = canvas.since(moved.at);
            canvas.changes_in(figures::next_change(since));
            // The watch brings no values: whose write it is, is not known before it is read.
            let (who, then) = if self.save.is_in_doubt() {
                (
                    "changed, perhaps by your own write that came late",
                    "saving finds out",
                )
            } else {
                ("changed by someone else", "saving shows both, to be joined")
            };
            told.push((
                format!(
                    "{who}: {} at revision {}, {} ago; {then}",
                    moved.operation,
                    moved.revision,
                    figures::age(since)
                ),
                Role::Danger,
            ));
        }
        if self.is_deaf {
            let words =
                "the picture is held still: what others write meanwhile is seen when it is saved";
            told.push((words.to_owned(), Role::Warning));
        }
        if let Some(words) = &self.refused {
            told.push((words.clone(), Role::Danger));
        }
        match self.asked {
            Some((.., Wish::Propose)) => {
                told.push(("working out what changes …".to_owned(), Role::Muted));
            }
            Some((.., Wish::Outside)) => told.push(("in another editor …".to_owned(), Role::Muted)),
            _ => {}
        }
        self.about_text(&mut told);
        if told.is_empty() {
            told.push((self.state(), Role::Muted));
        }
        told
    }

    fn about_text(&self, told: &mut Vec<(String, Role)>) {
        let Some(checked) = self.checked() else {
            return;
        };
        if let Some(fault) = self.fault() {
            let words = format!(
                "line {}, column {}: {}",
                fault.line, fault.column, fault.what
            );
            told.push((words, Role::Danger));
        }
        if let Some(blocked) = &checked.blocked {
            told.push((format!("can't be saved: {blocked}"), Role::Danger));
        }
        let count = checked.violations.len();
        if let Some(first) = checked.violations.first() {
            let more = if count > 1 {
                format!(" ({} more)", count - 1)
            } else {
                String::new()
            };
            told.push((format!("against the schema: {first}{more}"), Role::Warning));
        }
        if let Some(Err(why)) = &self.opened.schema {
            told.push((why.clone(), Role::Warning));
        }
        match &self.draft.state {
            Some(DraftState::NotKept(why)) => {
                told.push((format!("no draft is kept: {why}"), Role::Warning));
            }
            Some(DraftState::KeptWithout(count)) => {
                let secrets = match count {
                    1 => "the secret".to_owned(),
                    count => format!("{count} secrets"),
                };
                let words = format!("the draft is kept without {secrets} that you typed");
                told.push((words, Role::Warning));
            }
            Some(DraftState::Kept | DraftState::Dropped) | None => {}
        }
    }

    /// One line for when all is well.
    fn state(&self) -> String {
        let form = match self.opened.source.form() {
            _ if self.is_json() => "JSON",
            Form::Hex => "bytes in hexadecimal",
            Form::Json(_) | Form::Text => "text",
        };
        let mut words = vec![form.to_owned()];
        if let Some(checked) = self.checked() {
            words.push(figures::size(checked.size));
            let schema = self.opened.usable_schema();
            words.extend(schema.map(|schema| format!("as {} wants it", schema.name())));
        }
        if self.part.is_some() {
            words.push("Ctrl-s takes it for your choice".to_owned());
        }
        if !self.placeholders.is_empty() {
            words.push("Ctrl-t shows or masks secrets".to_owned());
        }
        words.join(" · ")
    }
}
