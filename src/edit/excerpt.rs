//! A piece of a value for people, which knows which of it is secret.

use std::fmt;
use std::ops::Range;

use super::path::Path;
use super::secrets::{MASK, Masking};

/// A piece of a value, as stored and so not yet fit for a screen, with the places of the secrets
/// in it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Excerpt {
    text: String,
    /// In order and apart.
    secrets: Vec<Range<usize>>,
}

/// A part of an [`Excerpt`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Anybody may see it.
    Open(&'a str),
    /// It is seen only when it was asked for.
    Secret(&'a str),
}

impl Excerpt {
    /// A text without secrets.
    pub fn open(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            secrets: Vec::new(),
        }
    }

    /// A text that is a secret from end to end.
    pub fn secret(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            secrets: Some(0..text.len())
                .filter(|all| !all.is_empty())
                .into_iter()
                .collect(),
            text,
        }
    }

    /// A text in which the masks look for secrets: in JSON by its members, otherwise by guess.
    pub fn new(text: impl Into<String>, masking: &Masking) -> Self {
        let text = text.into();
        Self {
            secrets: masking.in_value(text.as_bytes()),
            text,
        }
    }

    /// A text with its secrets, which are in order and apart.
    pub(super) fn with_secrets(text: String, secrets: Vec<Range<usize>>) -> Self {
        Self { text, secrets }
    }

    /// The JSON text of what stands at a path: a secret if the path leads through a secret name.
    pub(super) fn at(path: &Path, text: String, masking: &Masking) -> Self {
        if path.is_secret(masking.masks()) {
            Self::secret(text)
        } else {
            Self::new(text, masking)
        }
    }

    /// A part of it.
    pub(super) fn slice(&self, bytes: Range<usize>) -> Self {
        let first = self
            .secrets
            .partition_point(|secret| secret.end <= bytes.start);
        let inside = self.secrets[first..]
            .iter()
            .take_while(|secret| secret.start < bytes.end)
            .map(|secret| {
                secret.start.max(bytes.start) - bytes.start..secret.end.min(bytes.end) - bytes.start
            });
        Self {
            secrets: inside.collect(),
            text: self.text[bytes].to_owned(),
        }
    }

    /// The text with everything that is secret in it.
    pub fn revealed(&self) -> &str {
        &self.text
    }

    /// The text with [`MASK`] for each secret.
    pub fn masked(&self) -> String {
        self.parts()
            .map(|part| match part {
                Part::Open(text) => text,
                Part::Secret(_) => MASK,
            })
            .collect()
    }

    /// The text in parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut open_from = 0;
        let secrets = self.secrets.iter().flat_map(move |secret| {
            let open = &self.text[open_from..secret.start];
            open_from = secret.end;
            [Part::Open(open), Part::Secret(&self.text[secret.clone()])]
        });
        let rest = self.secrets.last().map_or(0, |secret| secret.end);
        secrets
            .chain([Part::Open(&self.text[rest..])])
            .filter(|part| !matches!(part, Part::Open("")))
    }

    /// The bytes of the secrets in [`Excerpt::revealed`], in order and apart.
    pub fn secrets(&self) -> &[Range<usize>] {
        &self.secrets
    }

    /// Whether anything in it is a secret.
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }
}

/// Shows no secret.
impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Excerpt").field(&self.masked()).finish()
    }
}

/// Shows no secret.
impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(text) => f.debug_tuple("Open").field(text).finish(),
            Self::Secret(_) => f.write_str("Secret"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else_is() {
        let masking = Masking::default();
        let excerpt = Excerpt::new(r#"{"a": 1, "token": "x", "b": {"pwd": [1]}}"#, &masking);
        let masked = format!(r#"{{"a": 1, "token": {MASK}, "b": {{"pwd": {MASK}}}}}"#);
        assert_eq!(excerpt.masked(), masked);
        assert_eq!(format!("{excerpt:?}"), format!("Excerpt({masked:?})"));
        let parts: String = excerpt
            .parts()
            .map(|part| match part {
                Part::Open(text) | Part::Secret(text) => text,
            })
            .collect();
        assert_eq!(parts, excerpt.revealed());
        assert_eq!(Excerpt::secret("").masked(), "");
        assert_eq!(Excerpt::secret("x").masked(), MASK);
        assert_eq!(Excerpt::open("token: x").masked(), "token: x");
    }
}
