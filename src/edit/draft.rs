//! Unsaved text, so that it outlives the console: what is kept of it, and in which format.
//!
//! Files are not handled here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::kv::Revision;

use super::secrets::Masking;

/// What is kept of unsaved text. `drafts` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
        let mut hasher = Sha256::new();
        for part in [&self.place, &self.bucket, &self.key] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        let (half, _) = hash.split_at(16);
        let number = half
            .iter()
            .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        format!("{number:032x}.json")
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

    /// The same for a draft whose text has placeholders for its secrets and whose base was left out:
    /// there is nothing secret in it.
    pub fn keep_masked(&self, policy: Policy) -> Kept {
        match policy {
            Policy::Off => Kept::Off,
            Policy::NoSecrets | Policy::All => Kept::All(self.encode()),
        }
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// [`NoDraft`] when it is something else.
    pub fn decode(file: &[u8]) -> Result<Self, NoDraft> {
        let no_draft = |error: &dyn std::fmt::Display| NoDraft(error.to_string());
        let record: Record = serde_json::from_slice(file).map_err(|error| no_draft(&error))?;
        if record.version != VERSION {
            return Err(NoDraft(format!("version {}", record.version)));
        }
        let base = record.base.map(|base| STANDARD.decode(base)).transpose();
        Ok(Self {
            subject: Subject {
                place: record.place,
                bucket: record.bucket,
                key: record.key,
            },
            revision: Revision(record.revision),
            base: base.map_err(|error| no_draft(&error))?.map(Bytes::from),
            text: record.text,
            hex: record.hex,
            kept_at: OffsetDateTime::from_unix_timestamp(record.kept_at)
                .map_err(|error| no_draft(&error))?,
        })
    }

    fn has_secrets(&self, masking: &Masking) -> bool {
        masking.finds_any(self.text.as_bytes())
            || self
                .base
                .as_ref()
                .is_some_and(|base| masking.finds_any(base))
    }

    fn encode(&self) -> Vec<u8> {
        let record = Record {
            version: VERSION,
            place: self.subject.place.clone(),
            bucket: self.subject.bucket.clone(),
            key: self.subject.key.clone(),
            revision: self.revision.0,
            base: self.base.as_ref().map(|base| STANDARD.encode(base)),
            text: self.text.clone(),
            hex: self.hex,
            kept_at: self.kept_at.unix_timestamp(),
        };
        // Text, numbers and names always can be written.
        serde_json::to_vec(&record).unwrap_or_default()
    }
}

const VERSION: u32 = 1;

/// A draft as it stands in its file.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    place: String,
    bucket: String,
    key: String,
    revision: u64,
    /// In base64.
    base: Option<String>,
    text: String,
    hex: bool,
    /// In seconds since 1970.
    kept_at: i64,
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

/// Says nothing of the text: it may be secret.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All(file) => write!(f, "All({} bytes)", file.len()),
            Self::Secret => f.write_str("Secret"),
            Self::Off => f.write_str("Off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(text: &str, base: Option<&[u8]>) -> Draft {
        Draft {
            subject: Subject {
                place: "nats://127.0.0.1:4222".to_owned(),
                bucket: "config".to_owned(),
                key: "app.limits".to_owned(),
            },
            revision: Revision(7),
            base: base.map(Bytes::copy_from_slice),
            text: text.to_owned(),
            hex: false,
            kept_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn secrets_are_kept_only_where_that_is_wanted() {
        let masking = Masking::default();
        let keep = |text, base, policy| draft(text, base).keep(policy, &masking);
        assert!(matches!(keep("{}", None, Policy::NoSecrets), Kept::All(_)));
        assert_eq!(keep("{}", None, Policy::Off), Kept::Off);
        let secret = r#"{"token": "x"}"#;
        assert_eq!(keep(secret, None, Policy::NoSecrets), Kept::Secret);
        assert_eq!(
            keep("{}", Some(secret.as_bytes()), Policy::NoSecrets),
            Kept::Secret
        );
        assert_eq!(
            keep("{\"token\": \"x", None, Policy::NoSecrets),
            Kept::Secret
        );
        assert!(matches!(keep(secret, None, Policy::All), Kept::All(_)));
        let whole = Masking::new(&std::sync::Arc::default(), "app.password");
        assert_eq!(
            draft("x", None).keep(Policy::NoSecrets, &whole),
            Kept::Secret
        );
    }

    #[test]
    fn each_subject_has_a_file_of_its_own() {
        let name = |bucket: &str, key: &str| {
            let mut draft = draft("", None);
            draft.subject.bucket = bucket.to_owned();
            draft.subject.key = key.to_owned();
            draft.subject.file_name()
        };
        assert_eq!(name("a", "b"), name("a", "b"));
        assert_ne!(name("a", "bc"), name("ab", "c"));
        assert_eq!(name("a", &"/..\\".repeat(200)).len(), 37);
        assert!(Draft::decode(b"{}").is_err() && Draft::decode(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn what_is_kept_comes_back(text: String, base: Option<Vec<u8>>) {
            let draft = draft(&text, base.as_deref());
            prop_assert_eq!(Draft::decode(&draft.encode()), Ok(draft));
        }
    }
}
