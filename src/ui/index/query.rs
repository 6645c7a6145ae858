//! The filter as it is typed: a part of a key, or with `!` in front, keys without that part.

use memchr::memmem;

use super::bits::Bits;

/// Which keys to show. The default shows all.
///
/// Smart case: a capital letter in the text makes it sensitive to case; otherwise the letters A
/// to Z match in both cases. A lone `!` is the beginning of something and shows all.
#[derive(Debug, Clone, Default)]
pub struct Query {
    needle: Option<memmem::Finder<'static>>,
    sensitive: bool,
    inverse: bool,
}

impl Query {
    /// The filter that this text asks for.
    pub fn new(text: &str) -> Self {
        let (inverse, needle) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let sensitive = needle.chars().any(char::is_uppercase);
        Self {
            needle: (!needle.is_empty()).then(|| memmem::Finder::new(needle).into_owned()),
            sensitive,
            inverse,
        }
    }

    /// Whether it shows all keys.
    pub fn is_all(&self) -> bool {
        self.needle.is_none()
    }

    /// Whether this key is shown.
    pub fn matches(&self, key: &str) -> bool {
        let Some(needle) = &self.needle else {
            return true;
        };
        let found = if self.sensitive {
            needle.find(key.as_bytes()).is_some()
        } else {
            needle.find(&key.as_bytes().to_ascii_lowercase()).is_some()
        };
        found != self.inverse
    }

    /// Whether every key that this shows is also shown by `other`, as far as their texts tell.
    pub(super) fn narrows(&self, other: &Self) -> bool {
        let (Some(needle), Some(wider)) = (&self.needle, &other.needle) else {
            return other.is_all();
        };
        if self.inverse || other.inverse {
            return false;
        }
        if other.sensitive {
            wider.find(needle.needle()).is_some()
        } else {
            wider.find(&needle.needle().to_ascii_lowercase()).is_some()
        }
    }

    /// The rows of a leaf that are shown: their keys lie behind each other in `text`, each ending
    /// where `ends` says. `folded` is a buffer to work in.
    pub(super) fn search(&self, text: &str, ends: &[u32], folded: &mut Vec<u8>) -> Bits {
        let all = Bits::below(ends.len());
        let Some(needle) = &self.needle else {
            return all;
        };
        let mut haystack = text.as_bytes();
        if !self.sensitive {
            folded.clear();
            folded.extend_from_slice(haystack);
            folded.make_ascii_lowercase();
            haystack = folded;
        }
        let mut found = Bits::default();
        let mut from = 0;
        while let Some(hit) = needle.find(&haystack[from..]) {
            let start = from + hit;
            let row = ends.partition_point(|&end| end as usize <= start);
            let Some(&end) = ends.get(row) else {
                break;
            };
            // A hit can lie across two keys: that is none, but one byte on there may be another.
            if start + needle.needle().len() <= end as usize {
                found.set(row, true);
                from = end as usize;
            } else {
                from = start + 1;
            }
        }
        if self.inverse {
            found.complement(ends.len());
        }
        found
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        let text = |query: &Self| query.needle.as_ref().map(|n| n.needle().to_vec());
        text(self) == text(other) && (self.is_all() || self.inverse == other.inverse)
    }
}

impl Eq for Query {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_matters_when_there_is_a_capital() {
        assert!(Query::new("bill").matches("app.Billing"));
        assert!(Query::new("Bill").matches("app.Billing"));
        assert!(!Query::new("Bill").matches("app.billing"));
        assert!(!Query::new("!bill").matches("app.Billing"));
        assert!(Query::new("!bill").matches("app.search"));
        assert!(Query::new("!").matches("anything") && Query::new("").is_all());
    }

    proptest! {
        #[test]
        fn a_leaf_is_searched_as_its_keys_are(
            keys in prop::collection::vec("[abA.é]{0,5}", 0..20),
            text in "!?[abA]{0,3}",
        ) {
            let query = Query::new(&text);
            let joined = keys.concat();
            let ends: Vec<u32> = keys
                .iter()
                .scan(0, |end, key| {
                    *end += u32::try_from(key.len()).unwrap();
                    Some(*end)
                })
                .collect();
            let found = query.search(&joined, &ends, &mut Vec::new());
            for (row, key) in keys.iter().enumerate() {
                prop_assert_eq!(found.contains(row), query.matches(key), "{:?}", key);
            }
        }

        #[test]
        fn narrowing_never_loses_a_key(old in "!?[abA]{0,3}", new in "!?[abA]{0,3}", key in "[abA.]{0,8}") {
            let (old, new) = (Query::new(&old), Query::new(&new));
            if new.narrows(&old) && new.matches(&key) {
                prop_assert!(old.matches(&key));
            }
        }
    }
}
