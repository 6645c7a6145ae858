//! `edit`: a value in the user's own editor, saved on the revision that it was opened at.
//!
//! What was typed is never lost: it is in a file from the moment the editor is left, and that file is
//! named whenever it was not saved. A person at the terminal is asked where there is a choice; where
//! nobody sits there, nothing is decided.

mod ask;
mod editor;
mod resolve;
mod told;

use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::config::Drafts;
use crate::edit::draft::{Draft, Subject};
use crate::edit::merge::Merged;
use crate::edit::save::{Patience, carry_out};
use crate::edit::schema::{Schema, key_of};
use crate::edit::{
    Approved, Base, Diff, Ending, Form, Masking, Merge, Proposal, Save, Source, Warning,
};
use crate::kv::{Error, Key, Revision, Store};

use super::args::EditArgs;
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;
use super::record::WrittenRecord;
use super::write::refuse_if_read_only;

use ask::Terminal;
use editor::Editor;

pub(super) use ask::tell;
pub(super) use told::{changes, failure};

pub(super) async fn run(
    connection: &Connection,
    args: EditArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let key = Key::new(&args.key).map_err(Error::from)?;
    let store = connection.store(&args.bucket).await?;
    refuse_if_read_only(store.capabilities(), &format!("editing {key}"))?;
    let entry = store.get(&key).await?;
    let base = Base::of(entry.as_ref());
    if base.value.is_none() && !args.create {
        return Err(CliError::NoKey {
            bucket: args.bucket,
            key,
            gone: entry.map(|entry| (entry.operation, entry.revision)),
        });
    }
    let masking = Masking::new(&Arc::new(connection.masks()), key.as_str());
    let subject = Subject {
        place: connection.place()?.address(),
        bucket: args.bucket,
        key: args.key,
    };
    let opened = opened(base.value.clone(), args.hex);
    let mut edit = Edit {
        schema: schema(connection, &store, &key).await,
        drafts: Drafts::of_user(&connection.config),
        draft_is_ours: false,
        editor: Editor::new(key.as_str(), &opened, &masking)?,
        terminal: Terminal::new(),
        text: opened.text().to_owned(),
        source: opened,
        save: Save::new(key, base),
        entry_ttl: store.takes_ttl().await,
        subject,
        masking,
        store,
    };
    edit.take_up_draft().await?;
    let ended = edit.run().await;
    edit.finish(ended, output)
}

/// A value that is being edited.
struct Edit {
    store: Store,
    /// Whether entries of the bucket can have a time to live of their own.
    entry_ttl: bool,
    save: Save,
    source: Source,
    /// What is in the editor, or was when it was left.
    text: String,
    subject: Subject,
    masking: Masking,
    schema: Result<Option<Schema>, String>,
    drafts: Drafts,
    /// Whether the draft that is there now, if any, is of this edit.
    draft_is_ours: bool,
    editor: Editor,
    terminal: Terminal,
}

/// How an edit ended well.
enum Done {
    Unchanged,
    Saved,
    /// The key was deleted meanwhile, and stays so.
    LeftGone,
}

impl Edit {
    async fn run(&mut self) -> Result<Done, CliError> {
        loop {
            self.text = match self.editor.edit(&self.text).await {
                Ok(text) => text,
                Err(error) => {
                    if let Some(left) = self.editor.left(&self.text) {
                        self.text = left;
                    }
                    return Err(error);
                }
            };
            if self.text == self.source.text() {
                return Ok(Done::Unchanged);
            }
            self.keep();
            let proposal = match Proposal::new(&self.source, &self.text, self.usable_schema()) {
                Ok(proposal) => proposal,
                Err(fault) => {
                    self.terminal.tell(&fault.to_string());
                    if self
                        .terminal
                        .wants_to_edit_again(&fault.to_string(), self.save.key())?
                    {
                        continue;
                    }
                    return Err(CliError::Declined);
                }
            };
            if let Some(approved) = self.approve(proposal)? {
                return self.save(approved).await;
            }
        }
    }

    /// Saves, and merges and saves again for as long as others write and the person goes on.
    async fn save(&mut self, mut value: Approved) -> Result<Done, CliError> {
        loop {
            let expected = self.save.base().revision;
            let ttl = self.save.base().kept_ttl(self.entry_ttl);
            let bytes = value.bytes().clone();
            let step = self.save.put(value, ttl.unwrap_or_default());
            let ending = carry_out(&self.store, &mut self.save, step, Patience::default()).await;
            let newest = match &ending {
                Ending::Unchanged => return Ok(Done::Unchanged),
                Ending::Saved { .. } => return Ok(Done::Saved),
                Ending::Conflict { newest } | Ending::Unclear { newest, .. } => newest.clone(),
                Ending::NotLanded { .. } if self.terminal.is_there() => {
                    let failure = failure(&self.store, &self.save, expected, ending);
                    self.terminal.tell(&failure.to_string());
                    if !self
                        .terminal
                        .agrees("Save it again, on the same revision?")?
                    {
                        return Err(failure);
                    }
                    value = self.again(bytes)?;
                    continue;
                }
                _ => return Err(failure(&self.store, &self.save, expected, ending)),
            };
            let failure = failure(&self.store, &self.save, expected, ending);
            if !self.terminal.is_there() {
                return Err(failure);
            }
            self.terminal.tell(&failure.to_string());
            let base = self.save.base().value.clone();
            let mut merge = Merge::new(
                base,
                Some(bytes),
                newest.value.clone(),
                self.masking.clone(),
            );
            match resolve::resolve(&mut merge, &self.terminal, &self.editor).await? {
                None => return Err(failure),
                Some(Merged::Gone) => return Ok(Done::LeftGone),
                Some(Merged::Value(merged)) => {
                    self.text = String::from_utf8_lossy(&merged).into_owned();
                    self.save.rebase(newest);
                    value = self.again(merged)?;
                }
            }
        }
    }

    /// Approves what was not typed just now.
    fn again(&mut self, bytes: Bytes) -> Result<Approved, CliError> {
        let was_json = matches!(self.source.form(), Form::Json(_));
        let proposal = Proposal::of_bytes(bytes, was_json, self.usable_schema());
        self.approve(proposal)?.ok_or(CliError::Declined)
    }

    /// Says what speaks against a proposal, and what it changes. `None`: the person wants to edit it
    /// again.
    fn approve(&self, mut proposal: Proposal) -> Result<Option<Approved>, CliError> {
        if let Err(reason) = &self.schema {
            proposal.warn(Warning::Unchecked(reason.clone()));
        }
        let base = self.save.base();
        match base.kept_ttl(self.entry_ttl) {
            Err(warning) => proposal.warn(warning),
            Ok(None) => {}
            Ok(Some(ttl)) => self.terminal.tell(&format!(
                "Its time to live of {} s counts anew from the save.",
                ttl.as_secs()
            )),
        }
        let diff = Diff::between(base.value.as_deref(), Some(proposal.bytes()), &self.masking);
        if diff.is_empty() {
            // Nothing is written of it.
            return Ok(Some(proposal.acknowledge()));
        }
        if self.terminal.is_there() {
            for line in told::changes(&diff) {
                self.terminal.tell(&line);
            }
        }
        if proposal.warnings().is_empty() {
            return Ok(Some(proposal.acknowledge()));
        }
        for warning in proposal.warnings() {
            self.terminal.tell(&warning.to_string());
        }
        match self
            .terminal
            .choose("s save in spite of it, e edit again, q leave", "seq")?
        {
            Some('s') => Ok(Some(proposal.acknowledge())),
            Some('e') => Ok(None),
            _ => Err(CliError::Unfit {
                key: self.save.key().clone(),
                why: proposal
                    .warnings()
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; "),
            }),
        }
    }

    fn usable_schema(&self) -> Option<&Schema> {
        self.schema.as_ref().ok().and_then(Option::as_ref)
    }

    /// Offers the draft of an earlier edit. It goes on from the revision that that one was opened at.
    async fn take_up_draft(&mut self) -> Result<(), CliError> {
        let Ok(Some(draft)) = self.drafts.find(&self.subject) else {
            return Ok(());
        };
        if draft.base.is_none() && !self.was_gone_at(draft.revision).await {
            // The console leaves the secrets out, and knows how to find them again.
            self.terminal.tell(&format!(
                "There is unsaved text of {} in the console, with its secrets masked. It stays there.",
                self.save.key()
            ));
            self.drafts = Drafts::none();
            return Ok(());
        }
        let question = format!(
            "There is unsaved text of {}, from revision {}. Go on with it?",
            self.save.key(),
            draft.revision
        );
        if self.terminal.agrees(&question)? {
            self.source = opened(draft.base.clone(), draft.hex);
            self.text = draft.text;
            let base = Base {
                revision: draft.revision,
                value: draft.base,
                ttl: self.save.base().ttl,
            };
            self.save = Save::new(self.save.key().clone(), base);
            self.draft_is_ours = true;
        }
        Ok(())
    }

    /// Whether it is certain that the key had no value at a revision.
    async fn was_gone_at(&self, revision: Revision) -> bool {
        if revision == Revision::ABSENT {
            return true;
        }
        let entry = self.store.get_revision(self.save.key(), revision).await;
        entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.is_marker()))
    }

    /// Keeps the text, for the next time. It is in the editor's file too, so that this may fail.
    fn keep(&mut self) {
        let base = self.save.base();
        let draft = Draft {
            subject: self.subject.clone(),
            revision: base.revision,
            base: base.value.clone(),
            text: self.text.clone(),
            hex: self.source.form() == Form::Hex,
            kept_at: OffsetDateTime::now_utc(),
        };
        self.draft_is_ours = true;
        if let Err(error) = self.drafts.keep(&draft, &self.masking) {
            tracing::warn!(%error, "a draft can't be kept");
        }
    }

    fn finish(self, ended: Result<Done, CliError>, output: &mut Output) -> Result<(), CliError> {
        let done = match ended {
            Ok(done) => done,
            // It is in the store's history.
            Err(error @ CliError::Overwritten { .. }) => {
                self.forget();
                return Err(error);
            }
            Err(error) if self.text == self.source.text() => return Err(error),
            Err(error) => {
                return Err(CliError::TextKept {
                    path: self.editor.leave(&self.text)?,
                    error: Box::new(error),
                });
            }
        };
        self.forget();
        let (bucket, key) = (self.store.name().as_str(), self.save.key());
        let revision = self.save.base().revision;
        if output.is_json() {
            return output.record(&WrittenRecord {
                bucket,
                key: key.as_str(),
                revision: revision.0,
            });
        }
        let key = crate::ui::text::visible(key.as_str());
        output.line(&match done {
            Done::Unchanged => format!("{bucket} {key} unchanged at revision {revision}"),
            Done::Saved => format!("{bucket} {key} saved as revision {revision}"),
            Done::LeftGone => format!("{bucket} {key} left deleted"),
        })
    }

    fn forget(&self) {
        // Text of an earlier edit that nobody wanted to see now is not thrown away for that.
        if !self.draft_is_ours {
            return;
        }
        if let Err(error) = self.drafts.remove(&self.subject) {
            tracing::warn!(%error, "a draft can't be removed");
        }
    }
}

fn opened(value: Option<Bytes>, hex: bool) -> Source {
    let value = value.unwrap_or_default();
    if hex {
        Source::in_hex(value)
    } else {
        Source::open(value)
    }
}

/// The schema of a key: the file that the configuration names, or else what the key for it holds. An
/// error is why nothing can be checked.
async fn schema(
    connection: &Connection,
    store: &Store,
    key: &Key,
) -> Result<Option<Schema>, String> {
    let (name, source) = match connection.config.schema_for(store.name().as_str(), key) {
        Some(path) => {
            let name = path.display().to_string();
            let source = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
            (name, Bytes::from(source))
        }
        None => {
            let name = key_of(key.as_str());
            let entry = store.get(&name).await.map_err(|error| error.to_string())?;
            match entry.as_ref().and_then(|entry| entry.live_value()) {
                Some(source) => (name, source.clone()),
                None => return Ok(None),
            }
        }
    };
    Schema::new(name, &source)
        .map(Some)
        .map_err(|error| error.to_string())
}
