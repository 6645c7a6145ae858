//! Which keys: a pattern with the wildcards of NATS subjects.

use std::fmt;

use super::Key;

/// A pattern over keys: `*` stands for one token between dots, `>` for one or more at the end.
///
/// The store applies it, so that keys outside never cross the wire.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pattern: Box<str>,
    /// Keys that are named beside those.
    or: Option<Box<Filter>>,
}

impl Filter {
    /// Every key.
    pub fn all() -> Self {
        Self::of(">")
    }

    fn of(pattern: &str) -> Self {
        Self {
            pattern: pattern.into(),
            or: None,
        }
    }

    /// The keys that the pattern names.
    ///
    /// # Errors
    /// [`InvalidFilter`] for an empty pattern or token, blanks and control characters, a `>` that is
    /// not the last token, and a wildcard within a token: there it would be a letter, and name no
    /// key that was meant.
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
            if token.len() > 1 && token.contains(['*', '>']) {
                return Err(bad("'*' and '>' stand for whole tokens between dots"));
            }
            if token == ">" && tokens.peek().is_some() {
                return Err(bad("'>' can only be the last token"));
            }
        }
        Ok(Self::of(pattern))
    }

    /// The keys that this one names, and those that the other does. No key is to be named by both: a
    /// server refuses patterns that overlap.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let or = match self.or {
            Some(or) => or.or(other),
            None => other,
        };
        Self {
            or: Some(Box::new(or)),
            ..self
        }
    }

    /// The pattern; of several, the first.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// All its patterns: a key has to match one of them.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self), |filter| filter.or.as_deref()).map(Self::as_str)
    }

    /// Whether it names every key.
    pub fn is_all(&self) -> bool {
        self.patterns().any(|pattern| pattern == ">")
    }

    /// Whether it has no wildcard, and so names one key.
    pub fn is_one_key(&self) -> bool {
        let mut tokens = self.pattern.split('.');
        self.or.is_none() && tokens.all(|token| token != "*" && token != ">")
    }

    /// Whether it names this key.
    pub fn matches(&self, key: &str) -> bool {
        self.patterns().any(|pattern| names(pattern, key))
    }
}

fn names(pattern: &str, key: &str) -> bool {
    let mut tokens = key.split('.');
    for pattern in pattern.split('.') {
        match (pattern, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (pattern, Some(token)) if pattern == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

impl From<&Key> for Filter {
    fn from(key: &Key) -> Self {
        Self::of(key.as_str())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut patterns = self.patterns();
        f.write_str(patterns.next().unwrap_or_default())?;
        patterns.try_for_each(|pattern| write!(f, " or {pattern}"))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.to_string()).finish()
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
    fn several_patterns_name_what_each_does() {
        let new = |pattern| Filter::new(pattern).unwrap();
        let both = new("a.>").or(new("b")).or(new("c.*"));
        assert_eq!(both.patterns().collect::<Vec<_>>(), ["a.>", "b", "c.*"]);
        assert!(both.matches("a.b") && both.matches("b") && both.matches("c.d"));
        assert!(!both.matches("a") && !both.matches("b.c"));
        assert!(!both.is_all() && !both.is_one_key() && !new("b").or(new("d")).is_one_key());
        assert_eq!(both.to_string(), "a.> or b or c.*");
    }

    #[test]
    fn wildcards_match_as_in_nats_subjects() {
        assert!(matches(">", "a") && matches(">", "a.b.c"));
        assert!(matches("a.>", "a.b") && matches("a.>", "a.b.c") && !matches("a.>", "a"));
        assert!(matches("*.b", "a.b") && !matches("*.b", "a.c") && !matches("*.b", "a.b.c"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "a") && !matches("a", "a.b"));
    }

    #[test]
    fn patterns_that_mean_nothing() {
        for pattern in [
            "", ".", "a.", ".a", "a..b", ">.a", "a b", "a\n", "a*", "a.b>", "*a.>", "**",
        ] {
            assert!(Filter::new(pattern).is_err(), "{pattern:?}");
        }
    }
}
