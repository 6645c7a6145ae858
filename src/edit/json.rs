//! The tokens of a JSON text, each exactly as it is stored, and the containers they form.
//!
//! Whether a text is JSON is for `serde_json` to say, which also names the place of a fault. Only
//! a text that it accepted is cut into tokens here, so that nothing is judged twice. Neither goes
//! deeper on the stack for deeper nesting.

use std::fmt::Write as _;
use std::ops::Range;

use serde::de::IgnoredAny;

/// How many steps of a path are worded. Deeper, the outermost are left out.
const MOST_STEPS: usize = 32;

/// Why and where a text that looks like JSON is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    Close,
    Comma,
    Colon,
    Name,
    String,
    Number,
    Literal,
}

/// One token. White space is what lies between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) kind: Kind,
    /// For a bracket its container. For a value that is none, its place in its container, as in
    /// [`Container::place`]. For a name, itself.
    pub(crate) link: u32,
}

impl Token {
    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// An object or an array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container {
    /// The token that opens it.
    pub(crate) open: u32,
    /// The token that closes it.
    pub(crate) close: u32,
    /// The container it lies in. The outermost lies in itself.
    pub(crate) parent: u32,
    /// Where it stands in its parent: the token of its name in an object, its number in an array.
    pub(crate) place: u32,
    /// How many containers it lies in.
    pub(crate) depth: u32,
    /// How many values it holds.
    pub(crate) count: u32,
    object: bool,
}

/// A JSON text in tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Json {
    pub(crate) tokens: Vec<Token>,
    /// In the order in which they open.
    pub(crate) containers: Vec<Container>,
}

/// Where and why a text is not JSON; `None` if it is. Takes some milliseconds for a megabyte.
pub fn fault(text: &str) -> Option<Fault> {
    serde_json::from_str::<IgnoredAny>(text)
        .err()
        .map(|error| fault_of(text, &error))
}

impl Json {
    /// Reads a text of less than 4 GiB.
    ///
    /// # Errors
    /// The fault, when it is not JSON to the letter of RFC 8259.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(fault) = fault(text) {
            return Err(fault);
        }
        let mut scan = Scan::default();
        scan.run(text.as_bytes());
        Ok(scan.json)
    }

    /// The number of the first token that ends after the byte.
    pub(crate) fn token_from(&self, byte: usize) -> usize {
        self.tokens
            .partition_point(|token| token.end as usize <= byte)
    }

    pub(crate) fn opens_at(&self, container: usize) -> Range<usize> {
        self.bracket(container, |container| container.open)
    }

    pub(crate) fn closes_at(&self, container: usize) -> Range<usize> {
        self.bracket(container, |container| container.close)
    }

    fn bracket(&self, container: usize, which: impl Fn(&Container) -> u32) -> Range<usize> {
        let token = self.containers.get(container).map_or(0, which);
        self.tokens.get(token as usize).map_or(0..0, Token::range)
    }

    /// The innermost container with its opening bracket before the byte and its closing one not.
    pub(crate) fn around(&self, byte: usize) -> Option<usize> {
        let after = self
            .containers
            .partition_point(|container| self.tokens[container.open as usize].end as usize <= byte);
        let mut at = after.checked_sub(1)?;
        while self.closes_at(at).start < byte {
            let parent = self.containers[at].parent as usize;
            if parent == at {
                return None;
            }
            at = parent;
        }
        Some(at)
    }

    /// Where in the document the first value, name or bracket from the byte on stands:
    /// `.provider.url`, `.items[3]`, `.` for the outermost value. Names that are not plain words
    /// are as stored, in quotes: `["a b"]`.
    pub(crate) fn path(&self, text: &[u8], byte: usize) -> String {
        let from = self.token_from(byte);
        let token = self.tokens[from.min(self.tokens.len())..]
            .iter()
            .find(|token| !matches!(token.kind, Kind::Comma | Kind::Colon));
        let Some(token) = token else {
            return String::new();
        };
        let mut steps = Vec::new();
        let mut at = match token.kind {
            Kind::Open | Kind::Close => Some(token.link as usize),
            _ => {
                let around = self.around(token.start as usize);
                steps.extend(around.map(|container| (container, token.link)));
                around
            }
        };
        let mut shortened = false;
        while let Some(container) = at.and_then(|at| self.containers.get(at)) {
            if Some(container.parent as usize) == at {
                break;
            }
            if steps.len() == MOST_STEPS {
                shortened = true;
                break;
            }
            steps.push((container.parent as usize, container.place));
            at = Some(container.parent as usize);
        }
        let mut path = String::from(if shortened { "…" } else { "" });
        for (container, place) in steps.into_iter().rev() {
            self.push_step(&mut path, text, container, place);
        }
        if path.is_empty() {
            path.push('.');
        }
        path
    }

    fn push_step(&self, path: &mut String, text: &[u8], container: usize, place: u32) {
        if !self.containers[container].object {
            // Writing to a string can't fail.
            let _ = write!(path, "[{place}]");
            return;
        }
        let name = self
            .tokens
            .get(place as usize)
            .and_then(|token| text.get(token.range()));
        let name = String::from_utf8_lossy(name.unwrap_or_default());
        let word = name.trim_matches('"');
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !word.is_empty() && word.len() + 2 == name.len() && word.chars().all(plain) {
            path.push('.');
            path.push_str(word);
        } else {
            let _ = write!(path, "[{name}]");
        }
    }
}

fn fault_of(text: &str, error: &serde_json::Error) -> Fault {
    let worded = error.to_string();
    let what = worded
        .rsplit_once(" at line ")
        .map_or(worded.as_str(), |(what, _)| what);
    // The parser counts bytes; a person counts characters.
    let line = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let before = line
        .as_bytes()
        .get(..error.column())
        .unwrap_or(line.as_bytes());
    let column = String::from_utf8_lossy(before).chars().count();
    Fault {
        line: error.line().max(1),
        column: column.max(1),
        what: what.to_owned(),
    }
}

/// Cuts a text that is known to be JSON.
#[derive(Debug, Default)]
struct Scan {
    json: Json,
    /// The container that is open, if any.
    inside: Option<u32>,
    /// The name whose value is due.
    name: u32,
    /// Whether the next string is a name.
    name_due: bool,
}

impl Scan {
    fn run(&mut self, text: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let (kind, length) = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {
                    at += 1;
                    continue;
                }
                b'{' | b'[' => (Kind::Open, 1),
                b'}' | b']' => (Kind::Close, 1),
                b',' => (Kind::Comma, 1),
                b':' => (Kind::Colon, 1),
                b'"' if self.name_due => (Kind::Name, string_length(&text[at..])),
                b'"' => (Kind::String, string_length(&text[at..])),
                b'-' | b'0'..=b'9' => (Kind::Number, word_length(&text[at..])),
                _ => (Kind::Literal, word_length(&text[at..])),
            };
            let link = self.enter(kind, byte == b'{');
            self.json.tokens.push(Token {
                start: narrow(at),
                end: narrow(at + length),
                kind,
                link,
            });
            at += length;
        }
    }

    /// Keeps count of containers, and says what the token links to.
    fn enter(&mut self, kind: Kind, object: bool) -> u32 {
        let token = narrow(self.json.tokens.len());
        match kind {
            Kind::Open => {
                let id = narrow(self.json.containers.len());
                let place = self.place();
                let parent = self.inside.unwrap_or(id);
                let depth = self
                    .inside
                    .map_or(0, |parent| self.container(parent).depth + 1);
                self.json.containers.push(Container {
                    open: token,
                    close: token,
                    parent,
                    place,
                    depth,
                    count: 0,
                    object,
                });
                self.inside = Some(id);
                self.name_due = object;
                id
            }
            Kind::Close => {
                let id = self.inside.unwrap_or_default();
                let Some(container) = self.json.containers.get_mut(id as usize) else {
                    return 0;
                };
                container.close = token;
                self.inside = Some(container.parent).filter(|parent| *parent != id);
                self.name_due = false;
                id
            }
            Kind::Comma => {
                self.name_due = self.inside.is_some_and(|id| self.container(id).object);
                0
            }
            Kind::Colon => 0,
            Kind::Name => {
                (self.name, self.name_due) = (token, false);
                token
            }
            Kind::String | Kind::Number | Kind::Literal => self.place(),
        }
    }

    fn container(&self, id: u32) -> &Container {
        &self.json.containers[id as usize]
    }

    /// The place of a value that begins here, which its container then counts.
    fn place(&mut self) -> u32 {
        let Some(container) = self
            .inside
            .and_then(|id| self.json.containers.get_mut(id as usize))
        else {
            return 0;
        };
        container.count += 1;
        if container.object {
            self.name
        } else {
            container.count - 1
        }
    }
}

/// The length of the string that the text begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        if text[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}

/// The length of the number or literal that the text begins with; at least 1.
fn word_length(text: &[u8]) -> usize {
    let of_word = |b: &&u8| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.');
    text.iter().take_while(of_word).count().max(1)
}

/// Values are shorter than 4 GiB; the caller made sure.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
