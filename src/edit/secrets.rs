//! Which parts of a value are secrets: by the names they have.
//!
//! In JSON that is exact: the whole value of a member with such a name. In other text it is a
//! guess that rather hides too much: whatever follows `name:` or `name=` up to the closing quote
//! or the end of the line, and a block that is indented under it. A secret without a name can't
//! be told from any other text.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::json::{Json, Kind};

/// What stands for a secret: as wide for a short one as for a long one, and for any type.
pub const MASK: &str = "••••••••";

/// Names are not looked for further back than this.
const LONGEST_NAME: usize = 128;

/// From this length on a word is also seen at the end of another: `clientsecret`, `authtoken`.
const LONG_WORD: usize = 5;

/// The words that make a name look secret.
///
/// A name is cut into parts where a letter is followed by a capital and at everything that is no
/// letter (`dbPassword`, `access_token`, `API-KEY-2`). It is secret when one part, or several in a
/// row put together, is one of the words, or ends in one of at least five letters. So `api_key`,
/// `apiKey` and `apikey` are all the word `apikey`, while `key`, `keyboard`, `monkey` and
/// `tokenizer` are nothing. Case never matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masks {
    words: Vec<String>,
    /// The last letters of the words: most names are none of them by that alone.
    last_letters: Vec<char>,
}

impl Default for Masks {
    fn default() -> Self {
        Self::new([
            "password",
            "passwords",
            "passwd",
            "passphrase",
            "pwd",
            "secret",
            "secrets",
            "token",
            "tokens",
            "jwt",
            "bearer",
            "authorization",
            "credential",
            "credentials",
            "creds",
            "api_key",
            "api_keys",
            "access_key",
            "secret_key",
            "private_key",
            "signing_key",
            "encryption_key",
            "master_key",
            "shared_key",
            "ssh_key",
            "auth_key",
            "nkey",
        ])
    }
}

impl Masks {
    /// Masks for these words. Punctuation and case in a word don't matter.
    pub fn new<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Self {
        let mut parts = Parts::default();
        let mut all = Self {
            words: Vec::new(),
            last_letters: Vec::new(),
        };
        for word in words {
            parts.read(word.as_ref());
            all.last_letters.extend(parts.joined.chars().next_back());
            all.words.push(parts.joined.clone());
        }
        all.words.retain(|word| !word.is_empty());
        all.last_letters.sort_unstable();
        all.last_letters.dedup();
        all
    }

    /// The same with these words too.
    #[must_use]
    pub fn and<W: AsRef<str>>(&self, words: impl IntoIterator<Item = W>) -> Self {
        let more = Self::new(words);
        Self::new(self.words.iter().chain(&more.words))
    }

    /// Whether a name looks secret: of a member, of a setting, or the key of a whole entry.
    pub fn is_secret(&self, name: &str) -> bool {
        self.judge(name, &mut Parts::default())
    }

    fn judge(&self, name: &str, parts: &mut Parts) -> bool {
        parts.read(name);
        parts.ends().any(|end| {
            let joined = &parts.joined[..end];
            let last = joined.chars().next_back();
            last.is_some_and(|last| self.last_letters.contains(&last))
                && self.words.iter().any(|word| {
                    joined.ends_with(word.as_str())
                        && (word.len() >= LONG_WORD || parts.begins_at(end - word.len()))
                })
        })
    }

    /// The bytes of all secret values in a JSON text, in order and apart.
    pub(crate) fn in_json(&self, text: &[u8], json: &Json) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut parts = Parts::default();
        let mut at = 0;
        while let Some(token) = json.tokens.get(at) {
            at += 1;
            if token.kind != Kind::Name || !self.judge_token(&text[token.range()], &mut parts) {
                continue;
            }
            // After the name come its colon and its value.
            let Some(value) = json.tokens.get(at + 1) else {
                break;
            };
            let last = match value.kind {
                Kind::Open => json.containers[value.link as usize].close as usize,
                _ => at + 1,
            };
            found.push(value.start as usize..json.tokens[last].end as usize);
            at = last + 1;
        }
        found
    }

    fn judge_token(&self, quoted: &[u8], parts: &mut Parts) -> bool {
        let decoded: String;
        let name = if quoted.contains(&b'\\') {
            decoded = serde_json::from_slice(quoted).unwrap_or_default();
            &decoded
        } else {
            std::str::from_utf8(quoted).unwrap_or_default()
        };
        self.judge(name, parts)
    }

    /// The bytes of what looks like secret values in any other text, in order and apart.
    pub(crate) fn in_text(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut parts = Parts::default();
        for separator in memchr::memchr2_iter(b':', b'=', text) {
            if found.last().is_some_and(|last| separator < last.end) {
                continue;
            }
            if self.judge(&name_before(&text[..separator]), &mut parts) {
                let value = value_after(text, separator + 1);
                if !value.is_empty() {
                    found.push(value);
                }
            }
        }
        found
    }
}

/// The masks as they apply to the values of one key. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Masking {
    masks: Arc<Masks>,
    whole: bool,
}

impl Masking {
    /// The masks for the values of a key. If the key itself looks secret, all of its value is.
    pub fn new(masks: &Arc<Masks>, key: &str) -> Self {
        Self {
            whole: masks.is_secret(key),
            masks: Arc::clone(masks),
        }
    }

    /// The words.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Whether all of the value is a secret.
    pub fn hides_all(&self) -> bool {
        self.whole
    }

    /// Whether anything in a value is a secret.
    pub fn finds_any(&self, value: &[u8]) -> bool {
        !self.in_value(value).is_empty()
    }

    /// The value with [`MASK`] for each secret in it.
    pub(crate) fn masked<'a>(&self, value: &'a [u8]) -> Cow<'a, [u8]> {
        let secrets = self.in_value(value);
        if secrets.is_empty() {
            return value.into();
        }
        let mut text = Vec::with_capacity(value.len());
        let mut open_from = 0;
        for secret in secrets {
            text.extend_from_slice(&value[open_from..secret.start]);
            text.extend_from_slice(MASK.as_bytes());
            open_from = secret.end;
        }
        text.extend_from_slice(&value[open_from..]);
        text.into()
    }

    /// The bytes of all secrets in a value, in order and apart.
    pub(crate) fn in_value(&self, value: &[u8]) -> Vec<Range<usize>> {
        let mut found = if self.whole {
            std::iter::once(0..value.len()).collect()
        } else {
            match std::str::from_utf8(value).map(Json::parse) {
                Ok(Ok(json)) => self.masks.in_json(value, &json),
                _ => self.masks.in_text(value),
            }
        };
        found.retain(|secret| !secret.is_empty());
        found
    }
}

/// A name in parts. Kept from name to name, for its memory.
#[derive(Debug, Default)]
struct Parts {
    /// All letters, in lower case.
    joined: String,
    /// Where in `joined` the parts begin, in order, perhaps more than once.
    starts: Vec<usize>,
}

impl Parts {
    fn read(&mut self, name: &str) {
        self.joined.clear();
        self.starts.clear();
        self.starts.push(0);
        let mut before = None;
        let mut rest = name.chars().peekable();
        while let Some(c) = rest.next() {
            let starts = match before {
                Some(before) if c.is_uppercase() => {
                    char::is_lowercase(before)
                        || (before.is_uppercase() && rest.peek().is_some_and(|c| c.is_lowercase()))
                }
                _ => !c.is_alphabetic(),
            };
            if starts {
                self.starts.push(self.joined.len());
            }
            if c.is_ascii_alphabetic() {
                self.joined.push(c.to_ascii_lowercase());
            } else if c.is_alphabetic() {
                self.joined.extend(c.to_lowercase());
            }
            before = Some(c);
        }
    }

    /// Where in `joined` the parts end.
    fn ends(&self) -> impl Iterator<Item = usize> {
        let next = self.starts.iter().skip(1).copied();
        next.chain([self.joined.len()])
    }

    fn begins_at(&self, at: usize) -> bool {
        self.starts.binary_search(&at).is_ok()
    }
}

/// The name that ends here, but for blanks and a quote.
fn name_before(text: &[u8]) -> Cow<'_, str> {
    let window = &text[text.len().saturating_sub(LONGEST_NAME)..];
    let window = window.trim_ascii_end();
    let window = window
        .strip_suffix(b"\"")
        .or_else(|| window.strip_suffix(b"'"))
        .unwrap_or(window);
    let is_of_name = |b: &&u8| b.is_ascii_alphanumeric() || b"_-.\\".contains(b) || !b.is_ascii();
    let length = window.iter().rev().take_while(is_of_name).count();
    String::from_utf8_lossy(&window[window.len() - length..])
}

/// The bytes of the value that begins after a separator.
fn value_after(text: &[u8], from: usize) -> Range<usize> {
    let blanks = text[from..]
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let start = from + blanks;
    let rest = &text[start..];
    // Looked for only where it is needed: the line may be the whole value.
    let line_end = || start + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    match rest.first() {
        None => start..start,
        Some(&quote @ (b'"' | b'\'')) => start..closing_quote(text, start + 1, quote),
        // Where a broken object ends can't be known.
        Some(b'{' | b'[') => start..text.len(),
        Some(b'|' | b'>' | b'\n' | b'\r') => {
            start..block_end(text, line_end(), indent_of_line_at(text, from))
        }
        Some(_) => start..start + text[start..line_end()].trim_ascii_end().len(),
    }
}

fn closing_quote(text: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while let Some(found) = memchr::memchr2(quote, b'\\', text.get(at..).unwrap_or_default()) {
        if text[at + found] == quote {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}

fn indent_of_line_at(text: &[u8], at: usize) -> usize {
    let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
    indent(&text[start..])
}

fn indent(line: &[u8]) -> usize {
    line.iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count()
}

/// The end of the lines after `line_end` that are blank or indented deeper than `outer`, or are
/// items of a list.
fn block_end(text: &[u8], line_end: usize, outer: usize) -> usize {
    let mut end = line_end;
    while end < text.len() {
        let line = &text[end + 1..];
        let length = memchr::memchr(b'\n', line).unwrap_or(line.len());
        let line = &line[..length];
        let item = indent(line) == outer && line[indent(line)..].starts_with(b"-");
        if !line.trim_ascii().is_empty() && indent(line) <= outer && !item {
            break;
        }
        end += 1 + length;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_where_the_value_is_no_text_too() {
        let masks = Arc::new(Masks::default());
        let masked = |key: &str, value: &'static [u8]| {
            let text = Masking::new(&masks, key).masked(value).into_owned();
            String::from_utf8_lossy(&text).into_owned()
        };
        assert_eq!(masked("a", b"plain"), "plain");
        assert_eq!(masked("password", b"\xff\xfe"), MASK);
        let json = masked("a", br#"{"user":"u","password":"p","max":1}"#);
        assert_eq!(json, format!(r#"{{"user":"u","password":{MASK},"max":1}}"#));
        assert!(!masked("a", b"password=hunter2 \xff").contains("hunter2"));
    }
}
