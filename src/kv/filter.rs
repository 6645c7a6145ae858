//! Which keys: a pattern with the wildcards of NATS subjects.

use std::fmt;

use super::Key;

/// A pattern over keys: `*` stands for one token between dots, `>` for one or more at the end.
///
/// The store applies it, so that keys outside never cross the wire.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Filter(Box<str>);

impl Filter {
    /// Every key.
    pub fn all() -> Self {
        Self(">".into())
    }

    /// The keys that the pattern names.
    ///
    /// # Errors
    /// [`InvalidFilter`] for an empty pattern or token, blanks and control characters, and a `>`
    /// that is not the last token.
    pub fn new(pattern: impl AsRef<str>) -> Result<Self, InvalidFilter> {
        let pattern = pattern.as_ref();
        let bad = |fault| InvalidFilter {
            pattern: pattern.to_owned(),
            fault,
        };
        if pattern.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(bad("blanks and control characters are not allowed"));
        }
        let mut tokens = pattern.split('.').peekable();
        while let Some(token) = tokens.next() {
            if token.is_empty() {
                return Err(bad("a token between two dots is empty"));
            }
            if token == ">" && tokens.peek().is_some() {
                return Err(bad("'>' can only be the last token"));
            }
        }
        Ok(Self(pattern.into()))
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names every key.
    pub fn is_all(&self) -> bool {
        &*self.0 == ">"
    }

    /// Whether it has no wildcard, and so names one key.
    pub fn is_one_key(&self) -> bool {
        self.0.split('.').all(|token| token != "*" && token != ">")
    }

    /// Whether it names this key.
    pub fn matches(&self, key: &str) -> bool {
        let mut tokens = key.split('.');
        for pattern in self.0.split('.') {
            match (pattern, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (pattern, Some(token)) if pattern == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

impl From<&Key> for Filter {
    fn from(key: &Key) -> Self {
        Self(key.as_str().into())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A pattern that can't be a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} can't be a filter: {fault}")]
pub struct InvalidFilter {
    /// The pattern that was tried.
    pub pattern: String,
    /// What is wrong with it.
    pub fault: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, key: &str) -> bool {
        Filter::new(pattern).unwrap().matches(key)
    }

    #[test]
    fn wildcards_match_as_in_nats_subjects() {
        assert!(matches(">", "a") && matches(">", "a.b.c"));
        assert!(matches("a.>", "a.b") && matches("a.>", "a.b.c") && !matches("a.>", "a"));
        assert!(matches("*.b", "a.b") && !matches("*.b", "a.c") && !matches("*.b", "a.b.c"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "a") && !matches("a", "a.b"));
        assert!(!matches("a*", "ab"), "a star inside a token is a letter");
    }

    #[test]
    fn patterns_that_mean_nothing() {
        for pattern in ["", ".", "a.", ".a", "a..b", ">.a", "a b", "a\n"] {
            assert!(Filter::new(pattern).is_err(), "{pattern:?}");
        }
    }
}
