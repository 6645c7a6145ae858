//! Where a lock is kept: the way from a resource's name to a key, and back.
//!
//! A resource can be called anything; a key can't. What a key can't hold is written as `=` and two
//! hexadecimal digits for each byte, so that common names stay as they are and none collide.

use std::fmt::Write as _;

use crate::kv::{InvalidKey, Key};

/// What the keys of lock records begin with. A prefix of their own lets a watcher ask for locks
/// alone, whatever else the bucket holds.
pub const KEY_PREFIX: &str = "_lock.";

/// The key of a resource's lock.
///
/// # Errors
/// [`InvalidKey`] for a resource without a name.
pub fn key_of(resource: &str) -> Result<Key, InvalidKey> {
    let mut key = KEY_PREFIX.to_owned();
    let bytes = resource.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        // A key has no dot at its end and no two in a row; the prefix ends in one already.
        let follows_dot = at
            .checked_sub(1)
            .is_none_or(|before| bytes.get(before) == Some(&b'.'));
        let is_plain = match byte {
            b'.' => !follows_dot && at + 1 < bytes.len(),
            b'-' | b'/' | b'_' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if is_plain {
            key.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(key, "={byte:02X}");
        }
    }
    Key::new(key)
}

/// The resource whose lock is kept at a key; `None` if the key is no lock's.
pub fn resource_of(key: &str) -> Option<String> {
    let mut rest = key.strip_prefix(KEY_PREFIX)?.bytes();
    let mut resource = Vec::new();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            resource.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            resource.push(byte);
        }
    }
    let resource = String::from_utf8(resource).ok()?;
    // Written by our rules, or by nobody's: one resource has one key.
    (key_of(&resource).ok()?.as_str() == key).then_some(resource)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_names_stay_as_they_are() {
        assert_eq!(
            key_of("billing.ledger").unwrap().as_str(),
            "_lock.billing.ledger"
        );
        assert_eq!(
            key_of("orders/shard-7").unwrap().as_str(),
            "_lock.orders/shard-7"
        );
        assert_eq!(
            key_of("user:7 ü").unwrap().as_str(),
            "_lock.user=3A7=20=C3=BC"
        );
        assert_eq!(key_of(".a..b.").unwrap().as_str(), "_lock.=2Ea.=2Eb=2E");
        assert!(key_of("").is_err());
    }

    #[test]
    fn keys_of_others_are_no_locks() {
        for key in [
            "",
            "_lock",
            "_lock.",
            "config.a",
            "_lock.a=",
            "_lock.a=4",
            "_lock.=41",
            "_lock.=3d",
        ] {
            assert_eq!(resource_of(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_a_key_of_its_own(name in ".{1,40}", other in "[a.=]{1,6}") {
            let key = key_of(&name).unwrap();
            prop_assert_eq!(resource_of(key.as_str()), Some(name.clone()));
            prop_assert_eq!(key_of(&other).unwrap() == key, other == name);
        }
    }
}
