//! How a type becomes bytes and comes back from them. JSON is here; other formats implement the
//! traits themselves.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// A type that can be written to a store. `#[derive(JsonByteSer)]` gives it as JSON.
pub trait ByteSerialize {
    /// The bytes to store.
    ///
    /// # Errors
    /// [`EncodeError`] for a value that has no such form.
    fn to_bytes(&self) -> Result<Vec<u8>, EncodeError>;
}

/// A type that can be read from a store. `#[derive(JsonByteDes)]` reads it from JSON.
pub trait ByteDeserialize: Sized {
    /// The value of stored bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for bytes that are no such value.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// Bytes that are not a value of the type that was asked for.
///
/// It says what is wrong and where, and never quotes the bytes, which may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    reason: String,
    place: Option<String>,
}

impl DecodeError {
    /// What is wrong with the bytes, in words that do not quote them.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            place: None,
        }
    }

    /// The same with the place: a path of fields, a line, an offset.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Self {
            place: Some(place.into()),
            ..self
        }
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Where.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        match &self.place {
            Some(place) => write!(f, " (at {place})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A value that can't be written in its format. It never quotes the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EncodeError {
    reason: String,
}

impl EncodeError {
    /// Why it can't be written, in words that do not quote the value.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// The value as JSON: what `#[derive(JsonByteSer)]` calls.
///
/// # Errors
/// [`EncodeError`] for what JSON has no form for, such as a map whose keys are no strings.
pub fn json_to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    // What serde says may quote a map's key.
    serde_json::to_vec(value).map_err(|_| EncodeError::new("it has no form in JSON"))
}

/// The value of JSON: what `#[derive(JsonByteDes)]` calls.
///
/// # Errors
/// [`DecodeError`] for bytes that are no JSON, and for JSON of another shape, with the path to the
/// field, the line and the column.
pub fn json_from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        json_fault(error.inner(), Some(path))
    })?;
    // A value with something after it is not the value that somebody wrote.
    json.end().map_err(|error| json_fault(&error, None))?;
    Ok(value)
}

fn json_fault(error: &serde_json::Error, path: Option<String>) -> DecodeError {
    let text = error.to_string();
    let reason = match error.classify() {
        Category::Syntax => "it is not JSON",
        Category::Eof => "the JSON ends too early",
        Category::Io => "it could not be read",
        // The text of a mismatch quotes what was found, but for this one.
        Category::Data => {
            missing_field(&text).unwrap_or("the JSON has another shape than the type")
        }
    };
    let position = format!("line {} column {}", error.line(), error.column());
    // The path is "." for the whole value. Its names are the type's own, or keys of a map.
    DecodeError::new(reason).at(match path.filter(|path| path != "." && path != "?") {
        Some(path) => format!("{}, {position}", path.escape_debug()),
        None => position,
    })
}

/// The part of serde's text that names a missing field, a name out of the type's source.
fn missing_field(text: &str) -> Option<&str> {
    let name = text.strip_prefix("missing field `")?.split('`').next()?;
    let is_name = name
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    is_name.then(|| &text[..="missing field `".len() + name.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only read into")]
        pool: BTreeMap<String, u32>,
    }

    fn fault(json: &str) -> String {
        json_from_bytes::<Outer>(json.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn faults_name_the_place_and_never_the_value() {
        assert_eq!(
            fault(r#"{"pool": {"size": "hunter2"}}"#),
            "the JSON has another shape than the type (at pool.size, line 1 column 27)"
        );
        assert_eq!(
            fault(r#""hunter2""#),
            "the JSON has another shape than the type (at line 1 column 9)"
        );
        assert_eq!(
            fault(r#"{"port": "hunter2"}"#),
            "missing field `pool` (at line 1 column 19)"
        );
        assert_eq!(
            fault("{\n\"pool\": {}} hunter2"),
            "it is not JSON (at line 2 column 13)"
        );
        assert_eq!(fault("hunter2"), "it is not JSON (at line 1 column 1)");
        assert_eq!(fault(""), "the JSON ends too early (at line 1 column 0)");
        assert!(!fault("\u{1b}[31m").contains('\u{1b}'));
    }

    #[test]
    fn what_json_has_no_form_for() {
        let map = BTreeMap::from([(("hunter2", 1), 2)]);
        let error = json_to_bytes(&map).unwrap_err();
        assert_eq!(error.to_string(), "it has no form in JSON");
    }
}
