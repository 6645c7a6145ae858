//! Keys as paths of tokens between dots: their order, and what lies under what.

use std::cmp::Ordering;

/// The order of keys in the index: token by token, so that a key, everything under it, and then
/// its next sibling follow each other (`app`, `app.x`, `app-2`). It is the order of bytes, but for
/// the dot, which comes before everything else.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    compare_behind(0, a.as_bytes(), b.as_bytes()).0
}

/// The same for two keys that are known to have so many bytes in common at the front. Also tells
/// how many they have.
pub(super) fn compare_behind(known: usize, a: &[u8], b: &[u8]) -> (Ordering, usize) {
    let same = known + common_length(&a[known..], &b[known..]);
    let order = match (a.get(same), b.get(same)) {
        (Some(b'.'), Some(_)) => Ordering::Less,
        (Some(_), Some(b'.')) => Ordering::Greater,
        (Some(a), Some(b)) => a.cmp(b),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    (order, same)
}

/// Where `key` stands against everything under `prefix`: before it, in it, or behind it.
pub(super) fn compare_under(key: &str, prefix: &str) -> Ordering {
    if is_under(key, prefix) {
        Ordering::Equal
    } else if compare(key, prefix) == Ordering::Greater {
        Ordering::Greater
    } else {
        Ordering::Less
    }
}

/// Whether `key` lies under `prefix`, and is not the prefix itself.
pub(super) fn is_under(key: &str, prefix: &str) -> bool {
    key.as_bytes().get(prefix.len()) == Some(&b'.') && key.starts_with(prefix)
}

/// What a path lies under: all but its last token. `None` at the top.
pub fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(parent, _)| parent)
}

/// The last token.
pub(super) fn last_token(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, token)| token)
}

/// The prefixes of a path, from the shortest, without the path itself.
pub(super) fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(dot, _)| &path[..dot])
}

/// The length of the longest prefix of `path` that is `other` or that `other` lies under: what
/// the tree has shown of `path` by the time it has shown `other`. `None` if they share no token.
pub(super) fn shared_prefix(path: &str, other: &str) -> Option<usize> {
    let (path, other) = (path.as_bytes(), other.as_bytes());
    let same = common_length(path, other);
    let ends = |bytes: &[u8]| bytes.get(same).is_none_or(|&b| b == b'.');
    if ends(path) && ends(other) {
        return Some(same);
    }
    memchr::memrchr(b'.', &path[..same])
}

/// How many bytes the two have in common at the front.
fn common_length(a: &[u8], b: &[u8]) -> usize {
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let words = a_words.iter().zip(b_words).take_while(|(a, b)| a == b);
    let start = words.count() * 8;
    let rest = a[start..].iter().zip(&b[start..]);
    start + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_by_tokens(a in "[ab.\\-é]{0,20}", b in "[ab.\\-é]{0,20}") {
            prop_assert_eq!(compare(&a, &b), a.split('.').cmp(b.split('.')));
        }

        #[test]
        fn what_is_shared_is_whole_tokens(a in "[ab.\\-]{0,12}", b in "[ab.\\-]{0,12}") {
            let tokens = a.split('.').zip(b.split('.')).take_while(|(a, b)| a == b);
            let shared: Vec<&str> = tokens.map(|(a, _)| a).collect();
            let expected = (!shared.is_empty()).then(|| shared.join(".").len());
            prop_assert_eq!(shared_prefix(&a, &b), expected, "{:?} {:?}", a, b);
        }

        #[test]
        fn what_lies_under_a_prefix_is_one_range(a in "[ab.]{0,6}", b in "[ab.]{0,6}", prefix in "[ab.]{0,3}") {
            let (low, high) = if compare(&a, &b).is_le() { (a, b) } else { (b, a) };
            prop_assert!(compare_under(&low, &prefix) <= compare_under(&high, &prefix));
        }
    }

    #[test]
    fn parents_and_tokens() {
        assert_eq!(parent("a.b.c"), Some("a.b"));
        assert_eq!(parent("a"), None);
        assert_eq!(last_token("a.b"), "b");
        assert_eq!(last_token("a."), "");
        assert_eq!(prefixes("a.b.c").collect::<Vec<_>>(), ["a", "a.b"]);
        assert!(is_under("a.b", "a") && !is_under("a", "a") && !is_under("ab", "a"));
    }
}
