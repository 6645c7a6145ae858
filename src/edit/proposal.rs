//! What is about to be saved, and what must be said before it is.

use std::time::Duration;

use bytes::Bytes;

use super::form::{Form, Source, SourceFault};
use super::json::{Fault, Json, fault};
use super::schema::{Schema, Violation};

/// New bytes for a key, with what speaks against them.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal {
    bytes: Bytes,
    warnings: Vec<Warning>,
}

/// Something that must be said, and agreed to, before a value is saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The key held JSON and would not any more.
    #[error("not JSON any more: line {}, column {}: {}", .0.line, .0.column, .0.what)]
    NotJson(Fault),
    /// The value is not as the schema wants it.
    #[error("{}", against(.0))]
    AgainstSchema(Vec<Violation>),
    /// The schema can't be used, so that nothing was checked.
    #[error("not checked: {0}")]
    Unchecked(String),
    /// The entry has a time to live, which the new one will not have.
    #[error("its time to live is lost: it would have been dropped after {} s", .0.as_secs())]
    LosesTtl(Duration),
}

/// Bytes that were agreed to: there was nothing to warn of, or it was acknowledged.
#[derive(Clone, PartialEq, Eq)]
pub struct Approved(Bytes);

/// There are warnings that nobody acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Unacknowledged(pub Vec<Warning>);

impl Proposal {
    /// Makes bytes of an edited text.
    ///
    /// # Errors
    /// Only in hexadecimal: where the text is no bytes.
    pub fn new(
        source: &Source,
        edited: &str,
        schema: Option<&Schema>,
    ) -> Result<Self, SourceFault> {
        let bytes = source.bytes(edited)?;
        let was_json = matches!(source.form(), Form::Json(_))
            || std::str::from_utf8(source.stored()).is_ok_and(|text| Json::parse(text).is_ok());
        Ok(Self::of_bytes(bytes, was_json, schema))
    }

    /// Bytes as they are: what came of a merge, or of an earlier revision. `was_json` says whether
    /// the key holds JSON now.
    pub fn of_bytes(bytes: Bytes, was_json: bool, schema: Option<&Schema>) -> Self {
        let mut warnings = Vec::new();
        if was_json {
            let text = String::from_utf8_lossy(&bytes);
            warnings.extend(fault(&text).map(Warning::NotJson));
        }
        if let Some(schema) = schema {
            warnings.extend(schema.warning(&bytes));
        }
        Self { bytes, warnings }
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    /// The bytes that would be stored.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What must be said first.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Approves it, if there is nothing to say.
    ///
    /// # Errors
    /// What must be said and acknowledged first.
    pub fn approve(self) -> Result<Approved, Unacknowledged> {
        if self.warnings.is_empty() {
            Ok(Approved(self.bytes))
        } else {
            Err(Unacknowledged(self.warnings))
        }
    }

    /// Approves it in spite of its warnings, all of which somebody has read and said yes to.
    pub fn acknowledge(self) -> Approved {
        Approved(self.bytes)
    }
}

impl Approved {
    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Bytes that were stored before.
    pub(super) fn again(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// Says nothing of what is to be stored: it may be secret.
impl std::fmt::Debug for Approved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Approved({} bytes)", self.0.len())
    }
}

/// Says nothing of what is to be stored: it may be secret.
impl std::fmt::Debug for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proposal")
            .field("bytes", &self.bytes.len())
            .field("warnings", &self.warnings)
            .finish()
    }
}

fn against(violations: &[Violation]) -> String {
    let all = violations.iter().map(ToString::to_string);
    format!("against the schema: {}", all.collect::<Vec<_>>().join("; "))
}
