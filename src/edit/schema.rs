//! Checking a value against a JSON Schema before it is saved.
//!
//! The schema of a key is what [`key_of`] names in the same bucket, unless the configuration names
//! a file. Nothing is ever fetched: a reference to another document can't be followed.

use std::fmt;

use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::path::{Path, Step};
use super::proposal::Warning;

/// So many violations are told.
const MOST: usize = 100;

/// A JSON Schema, ready to check values.
pub struct Schema {
    name: String,
    validator: Validator,
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
    pub fn new(name: impl Into<String>, source: &[u8]) -> Result<Self, SchemaError> {
        let name = name.into();
        let unusable = |reason: String| SchemaError {
            name: name.clone(),
            reason,
        };
        let schema: Value =
            serde_json::from_slice(source).map_err(|error| unusable(error.to_string()))?;
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| unusable(format!("{}: {error}", path_of(&error))))?;
        Ok(Self { name, validator })
    }

    /// The key or file that holds it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ways in which a value is not as it should be, a hundred at most; none if it is. What is
    /// not JSON is one.
    pub fn violations(&self, value: &[u8]) -> Vec<Violation> {
        let value: Value = match serde_json::from_slice(value) {
            Ok(value) => value,
            Err(error) => {
                return vec![Violation {
                    path: Path::root().to_string(),
                    what: error.to_string(),
                }];
            }
        };
        let errors = self.validator.iter_errors(&value).take(MOST);
        errors
            .map(|error| Violation {
                path: path_of(&error),
                what: error.masked().to_string(),
            })
            .collect()
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

fn path_of(error: &ValidationError<'_>) -> String {
    let steps = error
        .instance_path()
        .into_iter()
        .map(|segment| match segment {
            LocationSegment::Property(name) => Step::Member {
                name: name.into_owned(),
                nth: 0,
            },
            LocationSegment::Index(at) => Step::Element(at),
        });
    steps
        .fold(Path::root(), |path, step| path.join(step))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r##"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["url"],
        "properties": {
            "max": {"type": "integer", "maximum": 100000000000000000000000},
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            "token": {"type": "string", "minLength": 8}
        },
        "$defs": {"item": {"enum": ["a", "b"]}}
    }"##;

    fn told(value: &str) -> Vec<String> {
        let schema = Schema::new("_schema.k", SCHEMA.as_bytes()).unwrap();
        let violations = schema.violations(value.as_bytes());
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn violations_are_told_by_path_without_the_value() {
        assert_eq!(
            told(r#"{"url": "u", "max": 99999999999999999999999}"#),
            Vec::<String>::new()
        );
        assert_eq!(told("{}"), [r#".: "url" is a required property"#]);
        let told = told(r#"{"url": 1, "max": 1.5, "items": ["a", "x"], "token": "hunter2"}"#);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].starts_with(".items[1]: ") || told[1].starts_with(".items[1]: "),
            "{told:?}"
        );
        assert!(!told.concat().contains("hunter2"), "{told:?}");
        assert!(
            super::Schema::new("s", SCHEMA.as_bytes())
                .unwrap()
                .warning(b"{")
                .is_some()
        );
    }

    #[test]
    fn a_schema_that_cant_be_used_says_why() {
        let error = |source: &str| Schema::new("s.json", source.as_bytes()).unwrap_err();
        assert!(error("{").reason.contains("EOF"));
        assert!(
            error(r#"{"type": 7}"#)
                .to_string()
                .starts_with("the schema s.json can't be used: ")
        );
        // Nothing is fetched.
        error(r#"{"$ref": "https://example.com/other.json"}"#);
        error(r#"{"$ref": "file:///etc/passwd"}"#);
    }
}
