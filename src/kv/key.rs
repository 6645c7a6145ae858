//! Names: of keys and of buckets, and what makes them valid.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a key in a bucket.
///
/// [`Key::new`] admits what every NATS client admits: one or more of `-/_=.a-zA-Z0-9`, without a
/// dot at either end and without an empty token between two dots. Other clients can have written
/// other subjects into a bucket's stream; those are *foreign* keys. They can be read, shown and
/// removed, but never written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// A key that may be written.
    ///
    /// # Errors
    /// [`InvalidKey`] when the name is not one that every client can use.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidKey> {
        let name = name.as_ref();
        match fault_of(name) {
            None => Ok(Self(name.into())),
            Some(fault) => Err(InvalidKey {
                key: name.to_owned(),
                fault,
            }),
        }
    }

    /// A key as it was found in a store, foreign or not.
    pub fn from_stored(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name breaks the rules that [`Key::new`] holds others to.
    pub fn is_foreign(&self) -> bool {
        fault_of(&self.0).is_some()
    }

    /// This key, if it may be written.
    ///
    /// # Errors
    /// [`InvalidKey`] when the key is foreign.
    pub fn check_writable(&self) -> Result<(), InvalidKey> {
        match fault_of(&self.0) {
            None => Ok(()),
            Some(fault) => Err(InvalidKey {
                key: self.0.to_string(),
                fault,
            }),
        }
    }
}

/// What is wrong with a key's name, or `None`.
fn fault_of(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.starts_with('.') || name.ends_with('.') {
        return Some("it begins or ends with a dot");
    }
    if name.contains("..") {
        return Some("it has two dots in a row");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-/_=.".contains(&b);
    if !name.bytes().all(allowed) {
        return Some("only letters, digits and -/_=. are allowed");
    }
    None
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// As it was found in a store, foreign or not.
impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_stored(String::deserialize(deserializer)?))
    }
}

/// A name that can't be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key:?} can't be a key: {fault}")]
pub struct InvalidKey {
    /// The name that was tried.
    pub key: String,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// The name of a bucket: one or more of `-_a-zA-Z0-9`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(Arc<str>);

impl BucketName {
    /// A bucket's name.
    ///
    /// # Errors
    /// [`InvalidBucketName`] when no NATS client would accept it.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidBucketName> {
        let name = name.as_ref();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(InvalidBucketName {
                name: name.to_owned(),
            });
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for BucketName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for BucketName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for BucketName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BucketName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A name that can't be a bucket's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} can't be a bucket: only letters, digits, - and _ are allowed")]
pub struct InvalidBucketName {
    /// The name that was tried.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_every_client_can_use() {
        for name in ["a", "a.b", "a-b_c=d/e.F0", "0", "/", "a./.b", "_lock.a"] {
            assert_eq!(Key::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn keys_that_some_client_refuses() {
        for name in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a*",
            ">",
            "ä",
            "a\u{1b}[31m",
            "a:b",
        ] {
            assert!(Key::new(name).is_err(), "{name:?}");
            assert!(Key::from_stored(name).is_foreign(), "{name:?}");
        }
    }

    #[test]
    fn bucket_names() {
        assert!(BucketName::new("config-eu_1").is_ok());
        for name in ["", "a.b", "a b", "a/b", "ä"] {
            assert!(BucketName::new(name).is_err(), "{name:?}");
        }
    }
}
