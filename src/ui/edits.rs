//! What editing asks of the worker, and what it is told.
//!
//! Whatever takes long on a megabyte is asked for here and not done where keys are handled: what
//! differs, whether a text is JSON, another layout, a merge.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::message::Millis;
use super::placeholders::{Broken, Placeholders};
use super::text::Run;
use super::value::Document;
use crate::edit::save::{Base, Save, Step};
use crate::edit::schema::Violation;
use crate::edit::{
    Diff, Ending, Excerpt, Fault, Masking, Merge, Proposal, Schema, Source, Undoable, Warning,
};
use crate::kv::backend::Write;
use crate::kv::{BucketName, Entry, Error, Key, Revision};

/// A key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: Key,
}

/// Something that editing asks for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Read every revision that is kept of a key.
    History(Place),
    /// What a write at this revision changed inside the value, in a few words.
    Changed(Place, Revision),
    /// Compare two values of a key; `None` stands for none.
    Compare {
        /// The key: it says what is secret.
        key: Key,
        /// The older value.
        older: Option<Bytes>,
        /// The newer value.
        newer: Option<Bytes>,
    },
    /// Make a value ready for the screen.
    Look {
        /// The key: it says what is secret.
        key: Key,
        /// The value.
        value: Bytes,
    },
    /// Open a key for editing.
    Open(Place),
    /// Open a key that must not be there yet, for a value with this time to live.
    OpenNew(Place, Option<Duration>),
    /// Check a text while it is typed.
    Check(Typed),
    /// Lay a JSON text out anew.
    Format(String),
    /// Put placeholders in the place of the secrets of a text.
    Mask(Typed),
    /// Make a proposal of an edited text.
    Propose(Typed, Box<Save>),
    /// Propose to go back to the value of one entry, over another, which is the newest.
    ProposeRevert {
        /// The key.
        place: Place,
        /// What to go back to.
        to: Box<Entry>,
        /// What is there now.
        over: Box<Entry>,
    },
    /// Propose to undo a write of our own.
    ProposeUndo(BucketName, Box<Undoable>),
    /// Make a proposal of bytes: what came of a merge.
    ProposeBytes {
        /// The bucket.
        bucket: BucketName,
        /// What they are to be saved on.
        save: Box<Save>,
        /// The bytes.
        bytes: Bytes,
        /// The time to live that was asked for; without one the key keeps what it has.
        ttl: Option<Duration>,
        /// The schema to hold them against.
        schema: Checking,
    },
    /// Carry out what a save asks for first: a write, or without one to look what became of it.
    CarryOut {
        /// The bucket.
        bucket: BucketName,
        /// The save.
        save: Box<Save>,
        /// Its first step.
        write: Option<Box<Write>>,
        /// Whether to read first what was opened without its value, so that it can be undone.
        learns: bool,
    },
    /// Join two changes of a value.
    Merge(Box<Sides>),
    /// Keep what is typed as a draft, of a key that was opened at this.
    Keep(Typed, Base),
    /// Drop the draft of what was opened.
    Drop(Arc<Opened>),
}

/// The schema of a key, if it has one, or why there is one that can't be used.
pub type Checking = Option<Result<Arc<Schema>, String>>;

/// An edited text, with all that it takes to make bytes of it.
#[derive(Debug, Clone)]
pub struct Typed {
    /// What was opened.
    pub opened: Arc<Opened>,
    /// The text as it is in the editor.
    pub text: String,
    /// What stands for secrets in it.
    pub placeholders: Arc<Placeholders>,
}

/// Three values to join; `None` stands for none.
#[derive(Clone)]
pub struct Sides {
    /// The key: it says what is secret.
    pub key: Key,
    /// What both began with.
    pub base: Option<Bytes>,
    /// What was to be saved.
    pub mine: Option<Bytes>,
    /// What stands there now.
    pub theirs: Option<Bytes>,
}

/// Says nothing of the values: they may be secret.
impl std::fmt::Debug for Sides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sides")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The very same wish alone is the same.
impl PartialEq for Ask {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// What editing is told.
#[derive(Debug)]
pub enum Told {
    /// The revisions that are kept of a key, the oldest first.
    History(Result<Vec<Entry>, Error>),
    /// What differs.
    Compared(Arc<Diff>),
    /// What a write changed, in a few words, masked; nothing where it can't be told any more.
    Changed(Vec<Run<'static>>),
    /// A value, ready for the screen.
    Looked(Box<Document>),
    /// A key is open for editing, or can't be read.
    Opened(Result<Box<Opening>, String>),
    /// What is known of a text.
    Checked(Checked),
    /// A text laid out anew, or why it can't be.
    Formatted(Result<String, Fault>),
    /// A text, and what stands for secrets in it; or why they can't be masked.
    Masked(Result<(String, Placeholders), Broken>),
    /// A proposal, or why a text makes none.
    Proposed(Result<Box<Proposed>, String>),
    /// A save has come to an end.
    Ended(Box<Save>, Ending),
    /// Two changes, joined as far as they can be.
    Merged(Box<Merge>),
    /// What became of a draft.
    Kept(DraftState),
    /// What the user's own editor made of a text, or why it made nothing.
    Outside(Result<String, String>),
}

/// A key that was opened, and the text that was once begun of it.
#[derive(Debug)]
pub struct Opening {
    /// What was opened.
    pub opened: Opened,
    /// What it is saved on.
    pub save: Save,
    /// The text to begin with, and what stands for secrets in it.
    pub masked: (String, Placeholders),
    /// A draft that was kept of it.
    pub draft: Option<Box<Resumed>>,
}

/// A draft, and what it was begun with.
#[derive(Debug)]
pub struct Resumed {
    /// What the key was opened at when the draft was begun.
    pub opening: Opening,
    /// The text as it was left.
    pub text: String,
    /// When it was kept.
    pub kept_at: Millis,
}

/// A key that is being edited.
#[derive(Debug)]
pub struct Opened {
    /// The store that it is in, as its drafts know it: another one may be open by the time that a
    /// draft is kept.
    pub address: Arc<str>,
    /// The key.
    pub place: Place,
    /// Its value, as text.
    pub source: Source,
    /// What in it is secret.
    pub masking: Masking,
    /// What it is held against.
    pub schema: Checking,
    /// Whether entries here can have a time to live of their own.
    pub entry_ttl: bool,
    /// The time to live that a new key is to have.
    pub ttl: Option<Duration>,
}

impl Opened {
    /// The schema to check with, if there is one that can be used.
    pub fn usable_schema(&self) -> Option<&Arc<Schema>> {
        self.schema.as_ref().and_then(|schema| schema.as_ref().ok())
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Whether it is JSON, and where not. `None` where it need not be.
    pub fault: Option<Fault>,
    /// A fault that keeps it from being saved: hexadecimal that is no bytes, a secret changed in
    /// part.
    pub blocked: Option<String>,
    /// Where it is against its schema.
    pub violations: Vec<Violation>,
    /// How many bytes would be stored.
    pub size: u64,
    /// Whether they are those that are stored.
    pub is_unchanged: bool,
}

/// A proposal, and what it takes to show it and to save it.
#[derive(Debug)]
pub struct Proposed {
    /// The bucket.
    pub bucket: BucketName,
    /// What it is saved on.
    pub save: Save,
    /// What is to be written.
    pub intent: Intent,
    /// What differs from what is there.
    pub diff: Arc<Diff>,
    /// The command of the `nats` CLI that would do the same.
    pub command: Excerpt,
    /// The time to live of the new entry.
    pub ttl: Option<Duration>,
    /// The schema that it was held against.
    pub schema: Checking,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub enum Intent {
    /// These bytes, and what speaks against them.
    Put(Proposal),
    /// The key is to be deleted.
    Delete,
}

impl Proposed {
    /// Begins to write it, whatever was warned of: the user has seen it.
    pub fn begin(&self, save: &mut Save) -> Step {
        match &self.intent {
            Intent::Put(proposal) => save.put(proposal.clone().acknowledge(), self.ttl),
            Intent::Delete => save.delete(),
        }
    }

    /// The bytes that the key would hold.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.intent {
            Intent::Put(proposal) => Some(proposal.bytes()),
            Intent::Delete => None,
        }
    }

    /// What must be said first.
    pub fn warnings(&self) -> &[Warning] {
        match &self.intent {
            Intent::Put(proposal) => proposal.warnings(),
            Intent::Delete => &[],
        }
    }
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftState {
    /// It is on disk.
    Kept,
    /// It is on disk without the secrets that were typed into it, of which there are so many.
    KeptWithout(usize),
    /// There is none any more.
    Dropped,
    /// It is not kept, for this reason.
    NotKept(String),
}
