//! Unsaved text, so that it outlives the console: what is kept of it, and in which format.
//!
//! Files are not handled here.

use bytes::Bytes;
use time::OffsetDateTime;

use crate::kv::Revision;

use super::secrets::Masking;

/// What is kept of unsaved text. `drafts` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// All of it.
    All,
    /// Nothing that is secret: of a value with secrets, no draft is kept.
    #[default]
    NoSecrets,
    /// Nothing.
    Off,
}

/// The text of an edit that was not saved.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// What is edited.
    pub subject: Subject,
    /// The revision that it was opened at.
    pub revision: Revision,
    /// The value that it was opened at; `None` if there was none.
    pub base: Option<Bytes>,
    /// The text.
    pub text: String,
    /// Whether the text is hexadecimal digits.
    pub hex: bool,
    /// When it was kept.
    pub kept_at: OffsetDateTime,
}

/// What a draft is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The place, as the console names it.
    pub place: String,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// What is to be kept of a draft.
#[derive(Clone, PartialEq, Eq)]
pub enum Kept {
    /// This, as the content of a file.
    All(Vec<u8>),
    /// Nothing: the value holds secrets, and the policy is [`Policy::NoSecrets`].
    Secret,
    /// Nothing: the policy is [`Policy::Off`].
    Off,
}

/// A file that holds no draft, or one that this version can't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no draft: {0}")]
pub struct NoDraft(String);

impl Subject {
    /// The name of the file for its draft: the same for the same subject, different for others.
    pub fn file_name(&self) -> String {
        format!("{}.json", self.key)
    }
}

impl Draft {
    /// What the policy lets be kept of it.
    pub fn keep(&self, policy: Policy, masking: &Masking) -> Kept {
        match policy {
            Policy::Off => Kept::Off,
            Policy::NoSecrets if self.has_secrets(masking) => Kept::Secret,
            Policy::NoSecrets | Policy::All => Kept::All(self.encode()),
        }
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// [`NoDraft`] when it is something else.
    pub fn decode(_file: &[u8]) -> Result<Self, NoDraft> {
        Err(NoDraft("not yet".to_owned()))
    }

    fn has_secrets(&self, masking: &Masking) -> bool {
        masking.finds_any(self.text.as_bytes())
            || self
                .base
                .as_ref()
                .is_some_and(|base| masking.finds_any(base))
    }

    fn encode(&self) -> Vec<u8> {
        self.text.clone().into_bytes()
    }
}

/// Says nothing of the text: it may be secret.
impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft")
            .field("subject", &self.subject)
            .field("revision", &self.revision)
            .field("kept_at", &self.kept_at)
            .finish_non_exhaustive()
    }
}
