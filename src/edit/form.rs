//! The text that a value is edited as, and the way back to bytes.

use bytes::Bytes;

use super::json::{Fault, Json};
use super::{hex, layout};

/// What a value is edited as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON, with line breaks from here or there.
    Json(Lines),
    /// Text, to the letter.
    Text,
    /// Bytes in hexadecimal, two digits each.
    Hex,
}

/// Where the white space of an edited JSON text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// From the value: what is typed is what is stored.
    AsStored,
    /// From us, for editing only: the value has none or hardly any, and will have none again. What
    /// is typed between the tokens is not stored.
    Formatted,
}

/// A stored value, opened for editing.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    stored: Bytes,
    form: Form,
    text: String,
}

/// Why a text can't be made bytes again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {}", .0.line, .0.column, .0.what)]
pub struct SourceFault(pub Fault);

impl Source {
    /// Opens a value as what it is: JSON that is all in one line is laid out anew, and what is no
    /// UTF-8 comes in hexadecimal. An empty value, as of a new key, is a text.
    pub fn open(stored: Bytes) -> Self {
        let form = match std::str::from_utf8(&stored) {
            Err(_) => Form::Hex,
            Ok(text) if Json::parse(text).is_err() => Form::Text,
            Ok(text) if text.trim().contains('\n') => Form::Json(Lines::AsStored),
            Ok(_) => Form::Json(Lines::Formatted),
        };
        let text = match form {
            Form::Hex => hex::dump(&stored),
            Form::Json(Lines::Formatted) => layout::pretty(&text_of(&stored)).unwrap_or_default(),
            Form::Json(Lines::AsStored) | Form::Text => text_of(&stored),
        };
        Self { stored, form, text }
    }

    /// Opens a value in hexadecimal, whatever it is.
    pub fn in_hex(stored: Bytes) -> Self {
        Self {
            text: hex::dump(&stored),
            form: Form::Hex,
            stored,
        }
    }

    /// The bytes as they are stored.
    pub fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// What it is edited as.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The text to begin with.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes that an edited text stands for. The text as it was opened stands for the very
    /// bytes that were stored; JSON that was laid out for editing goes back to the white space that
    /// it had, so that only what was meant differs. JSON that is none any more is taken as it is.
    ///
    /// # Errors
    /// Only in hexadecimal: where the text is no bytes.
    pub fn bytes(&self, edited: &str) -> Result<Bytes, SourceFault> {
        if edited == self.text {
            return Ok(self.stored.clone());
        }
        match self.form {
            Form::Hex => hex::parse(edited).map(Bytes::from).map_err(SourceFault),
            Form::Json(Lines::Formatted) => {
                let stored = text_of(&self.stored);
                Ok(layout::transfer(&stored, edited)
                    .unwrap_or_else(|| edited.to_owned())
                    .into())
            }
            Form::Json(Lines::AsStored) | Form::Text => {
                Ok(Bytes::copy_from_slice(edited.as_bytes()))
            }
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Says nothing of what is stored: it may be secret.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("form", &self.form)
            .field("bytes", &self.stored.len())
            .finish_non_exhaustive()
    }
}
