//! Proposals: from a text, from bytes or from a write that is to be undone to what can be looked at
//! and saved; and what is known of a text while it is typed.

use std::time::Duration;

use bytes::Bytes;

use super::{Means, aside};
use crate::edit::save::{Base, Save};
use crate::edit::schema::Violation;
use crate::edit::{Diff, Form, Masking, Proposal, Undoable, Warning, command, fault};
use crate::kv::backend::Write;
use crate::kv::{BucketName, Entry, Error, Revision, Store};
use crate::ui::edits::{Checked, Checking, Intent, Place, Proposed, Typed};

/// On what terms something is proposed.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) bucket: BucketName,
    pub(super) masking: Masking,
    /// Whether entries can have a time to live of their own.
    pub(super) entry_ttl: bool,
    /// The time to live that was asked for; without one the key keeps what it has.
    pub(super) ttl: Option<Duration>,
    pub(super) schema: Checking,
}

impl Means {
    /// On what terms something is proposed for a key of a store.
    async fn terms(&self, store: &Store, place: &Place) -> Terms {
        Terms {
            bucket: place.bucket.clone(),
            masking: Masking::new(&self.masks, place.key.as_str()),
            entry_ttl: self.entry_ttl(&place.bucket).await,
            ttl: None,
            schema: self.schema(store, place).await,
        }
    }

    /// To go back to the value of one entry, over another.
    pub(super) async fn propose_revert(
        &self,
        place: Place,
        to: Entry,
        over: Entry,
    ) -> Result<Proposed, Error> {
        let store = self.store(&place.bucket).await?;
        let terms = self.terms(&store, &place).await;
        let save = Save::new(place.key, Base::of(Some(&over)));
        // It comes back as it was, with its time to live, if it had one.
        let to = Base::of(Some(&to));
        let value = to.value.clone().unwrap_or_default();
        Ok(aside(move || put(terms, save, value, to.ttl)).await)
    }

    /// To undo a write of our own, as long as nobody wrote since.
    pub(super) async fn propose_undo(
        &self,
        bucket: BucketName,
        undoable: Undoable,
    ) -> Result<Proposed, String> {
        let of = undoable.revision();
        let key = undoable.key().clone();
        let place = Place { bucket, key };
        let told = |error: Error| error.to_string();
        let store = self.store(&place.bucket).await.map_err(told)?;
        let newest = store.get(&place.key).await.map_err(told)?;
        let key = &place.key;
        match newest.map(|entry| entry.revision) {
            Some(newest) if newest == of => {}
            Some(newest) => {
                return Err(format!(
                    "somebody wrote {key} since, revision {newest}: revision {of} is not undone; h \
                     shows both"
                ));
            }
            None => {
                return Err(format!(
                    "revision {of} of {key} is not there any more, and so it can't be undone"
                ));
            }
        }
        let terms = self.terms(&store, &place).await;
        let save = Save::new(place.key, undoable.after().clone());
        let before = undoable.before().clone();
        Ok(aside(move || match before.value.clone() {
            None => deletion(terms, save),
            Some(value) => put(terms, save, value, before.ttl),
        })
        .await)
    }
}

/// What is known of a text while it is typed.
pub(super) fn check(typed: &Typed) -> Checked {
    let source = &typed.opened.source;
    let mut checked = Checked::default();
    let text = match typed.placeholders.restore(&typed.text) {
        Ok(text) => text,
        Err(broken) => {
            checked.blocked = Some(broken.to_string());
            checked.size = typed.text.len() as u64;
            return checked;
        }
    };
    // What is wrong is told where it stands on the screen, and there placeholders stand.
    checked.fault = match source.form() {
        Form::Hex => None,
        Form::Json(_) | Form::Text => fault(&typed.text),
    };
    match source.bytes(&text) {
        Ok(bytes) => {
            checked.size = bytes.len() as u64;
            checked.is_unchanged = bytes == *source.stored();
            checked.violations = violations(typed, &bytes);
        }
        Err(error) => checked.blocked = Some(error.to_string()),
    }
    checked
}

fn violations(typed: &Typed, bytes: &Bytes) -> Vec<Violation> {
    let schema = typed.opened.usable_schema();
    schema.map_or_else(Vec::new, |schema| schema.violations(bytes))
}

/// Makes a proposal of an edited text.
pub(super) fn text(typed: &Typed, save: Save) -> Result<Proposed, String> {
    let opened = &typed.opened;
    let text = typed
        .placeholders
        .restore(&typed.text)
        .map_err(|broken| broken.to_string())?;
    let schema = opened.usable_schema().map(|schema| &**schema);
    let proposal = Proposal::new(&opened.source, &text, schema);
    let terms = Terms {
        bucket: opened.place.bucket.clone(),
        masking: opened.masking.clone(),
        entry_ttl: opened.entry_ttl,
        ttl: opened.ttl,
        schema: opened.schema.clone(),
    };
    let kept = save.base().ttl;
    let proposal = proposal.map_err(|fault| fault.to_string())?;
    Ok(finish(terms, save, proposal, kept))
}

/// Makes a proposal of bytes.
pub(super) fn bytes(terms: Terms, save: Save, bytes: Bytes) -> Proposed {
    let kept = save.base().ttl;
    put(terms, save, bytes, kept)
}

/// The same with this time to live, if none was asked for.
fn put(terms: Terms, save: Save, bytes: Bytes, ttl: Option<Duration>) -> Proposed {
    let now = save.base().value.as_deref();
    let was_json = now
        .and_then(|now| std::str::from_utf8(now).ok())
        .is_some_and(|now| fault(now).is_none());
    let schema = terms
        .schema
        .as_ref()
        .and_then(|schema| schema.as_deref().ok());
    let proposal = Proposal::of_bytes(bytes, was_json, schema);
    finish(terms, save, proposal, ttl)
}

/// Works out what there is to show of a proposal.
fn finish(terms: Terms, save: Save, mut proposal: Proposal, ttl: Option<Duration>) -> Proposed {
    let wanted = terms.ttl.or(ttl);
    let ttl = wanted.filter(|_| terms.entry_ttl);
    if let (None, Some(lost)) = (ttl, wanted.or(save.base().ttl)) {
        proposal.warn(Warning::LosesTtl(lost));
    }
    if let Some(Err(why)) = &terms.schema {
        proposal.warn(Warning::Unchecked(why.clone()));
    }
    let change = Write {
        ttl,
        ..Write::put(save.key().clone(), proposal.bytes().clone())
    };
    let intent = Intent::Put(proposal);
    proposed(terms, save, intent, change, ttl)
}

fn deletion(terms: Terms, save: Save) -> Proposed {
    let change = Write::delete(save.key().clone());
    proposed(terms, save, Intent::Delete, change, None)
}

fn proposed(
    terms: Terms,
    save: Save,
    intent: Intent,
    change: Write,
    ttl: Option<Duration>,
) -> Proposed {
    let revision: Revision = save.base().revision;
    let new = match &intent {
        Intent::Put(proposal) => Some(proposal.bytes().clone()),
        Intent::Delete => None,
    };
    let diff = Diff::between(save.base().value.as_deref(), new.as_deref(), &terms.masking);
    Proposed {
        command: command::equivalent(&terms.bucket, &change.expecting(revision), &terms.masking),
        bucket: terms.bucket,
        save,
        intent,
        diff: diff.into(),
        ttl,
        schema: terms.schema,
    }
}
