//! Queries over values, in the language of jq: what a query is, and running it where it can do no
//! harm.
//!
//! A query is a program that somebody typed: it may loop for ever or fill all memory, and nothing
//! inside a process can stop it then. So it runs in a process of its own (`child`), which is given
//! values, has so long for each and so much memory, and is killed when that is over (`sieve`).

mod child;
mod sieve;

use std::fmt;
use std::sync::Arc;

use jaq_core::load::{self, Arena, File, Loader, lex, parse};
use jaq_core::{Compiler, Ctx, ValT as _, Vars, compile, data, unwrap_valr};
use jaq_json::Val;

pub use child::serve;
pub use sieve::{Answer, GivenUp, Sieve, TIME_LIMIT};

/// The most bytes that one value may be turned into.
const MOST_OUTPUT: usize = 4 << 20;

/// A query that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    text: Arc<str>,
}

/// A query that makes no sense, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the query {text:?} makes no sense {place}: {reason}")]
pub struct QueryError {
    /// The query.
    pub text: String,
    /// Where in it, in words.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl Query {
    /// The query of that text.
    ///
    /// # Errors
    /// It is not the language of jq, or names what there is not.
    pub fn new(text: &str) -> Result<Self, QueryError> {
        Program::compile(text)?;
        Ok(Self { text: text.into() })
    }

    /// The query as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What one value comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Judged {
    /// What the query makes of it, a text each.
    Outputs { is_match: bool, texts: Vec<String> },
    /// The value is no JSON.
    NoJson(String),
    /// The query can't be applied to it.
    Failed(String),
}

/// A query, compiled.
struct Program {
    filter: jaq_core::Filter<data::JustLut<Val>>,
}

impl Program {
    fn compile(text: &str) -> Result<Self, QueryError> {
        let definitions = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        let functions = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let arena = Arena::default();
        let file = File {
            code: text,
            path: (),
        };
        let modules = Loader::new(definitions)
            .load(&arena, file)
            .map_err(|errors| malformed(text, errors.first().map(|(_, error)| error)))?;
        let filter = Compiler::default()
            .with_funs(functions)
            .compile(modules)
            .map_err(|errors| {
                let first = errors.first().and_then(|(_, errors)| errors.first());
                undefined(text, first)
            })?;
        Ok(Self { filter })
    }

    /// Runs the query on a value. Can take for ever.
    fn judge(&self, value: &[u8], wants_texts: bool) -> Judged {
        let input = match jaq_json::read::parse_single(value) {
            Ok(input) => input,
            Err(error) => return Judged::NoJson(error.to_string()),
        };
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let (mut is_match, mut texts, mut bytes) = (false, Vec::new(), 0);
        for output in self.filter.id.run((context, input)).map(unwrap_valr) {
            let output = match output {
                Ok(output) => output,
                Err(error) => return Judged::Failed(error.to_string()),
            };
            is_match |= output.as_bool();
            if wants_texts {
                let text = output.to_string();
                bytes += text.len();
                if bytes > MOST_OUTPUT {
                    return Judged::Failed(format!("it gives more than {MOST_OUTPUT} bytes"));
                }
                texts.push(text);
            } else if is_match {
                break;
            }
        }
        Judged::Outputs { is_match, texts }
    }
}

fn malformed(text: &str, error: Option<&load::Error<&str>>) -> QueryError {
    let (part, reason) = match error {
        Some(load::Error::Lex(errors)) => match errors.first() {
            Some((expected, found)) => (Some(*found), expectation(&lex_word(expected), found)),
            None => (None, "it can't be read".to_owned()),
        },
        Some(load::Error::Parse(errors)) => match errors.first() {
            Some((expected, found)) => {
                let found: &str = found;
                (Some(found), expectation(&expected_word(expected), found))
            }
            None => (None, "it can't be read".to_owned()),
        },
        Some(load::Error::Io(_)) => (None, "modules can't be loaded here".to_owned()),
        None => (None, "it can't be read".to_owned()),
    };
    QueryError {
        text: text.to_owned(),
        place: place(text, part),
        reason,
    }
}

fn lex_word(expected: &lex::Expect<&str>) -> String {
    format!("a {}", expected.as_str())
}

fn expected_word(expected: &parse::Expect<&str>) -> String {
    match expected {
        parse::Expect::Just(word) => format!("{word:?}"),
        parse::Expect::Nothing => "nothing more".to_owned(),
        other => format!("a {}", other.as_str()),
    }
}

fn expectation(expected: &str, found: &str) -> String {
    match found.chars().take(20).collect::<String>() {
        found if found.is_empty() => format!("{expected} should come, and it ends"),
        found => format!("{expected} should come, and not {found:?}"),
    }
}

fn undefined(text: &str, error: Option<&compile::Error<&str>>) -> QueryError {
    let (part, reason) = match error {
        Some((name, what)) => (
            Some(*name),
            format!("there is no {} {name:?}", what.as_str()),
        ),
        None => (None, "something in it is not defined".to_owned()),
    };
    QueryError {
        text: text.to_owned(),
        place: place(text, part),
        reason,
    }
}

/// Where a part of a text is, in words.
fn place(text: &str, part: Option<&str>) -> String {
    let begins = part.map(|part| (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize));
    match begins.and_then(|at| text.get(..at)) {
        Some(before) if before.len() < text.len() => {
            format!("at character {}", before.chars().count() + 1)
        }
        Some(_) => "at its end".to_owned(),
        None => "somewhere".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(query: &str, value: &str) -> Judged {
        Program::compile(query)
            .unwrap()
            .judge(value.as_bytes(), true)
    }

    fn texts(query: &str, value: &str) -> Vec<String> {
        match judged(query, value) {
            Judged::Outputs { texts, .. } => texts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_language_is_that_of_jq() {
        let value = r#"{"replicas": 5, "tags": ["a", "b"], "big": 12345678901234567890123}"#;
        assert_eq!(texts(".replicas > 3", value), ["true"]);
        assert_eq!(texts(".tags[]", value), ["\"a\"", "\"b\""]);
        assert_eq!(texts("keys | length", value), ["3"]);
        assert_eq!(texts(".big", value), ["12345678901234567890123"]);
        assert_eq!(texts("select(.replicas > 9)", value), Vec::<String>::new());
        assert_eq!(
            texts(".tags | map(ascii_upcase) | join(\"-\")", value),
            ["\"A-B\""]
        );
    }

    #[test]
    fn what_matches() {
        let is_match = |query, value| {
            let judged = Program::compile(query).unwrap().judge(value, false);
            matches!(judged, Judged::Outputs { is_match: true, .. })
        };
        assert!(is_match(".a", b"{\"a\":0}"));
        assert!(!is_match(".a", b"{\"a\":null}") && !is_match(".a", b"{\"a\":false}"));
        assert!(!is_match("empty", b"1") && is_match("false, true", b"1"));
        assert!(matches!(judged(".", "not json"), Judged::NoJson(_)));
        assert!(matches!(judged(".", "1 2"), Judged::NoJson(_)));
        assert!(matches!(judged(".a", "[1]"), Judged::Failed(_)));
    }

    #[test]
    fn a_bad_query_says_where_in_words() {
        for (query, place, words) in [
            (".a >", "at its end", "it ends"),
            ("", "at its end", "a term should come"),
            (".a | | .b", "at character 6", "not \"|"),
            (
                "\"ä\" | nonsense(1)",
                "at character 7",
                "there is no filter \"nonsense\"",
            ),
            ("$x", "at character 1", "there is no variable"),
            ("\"abc", "at its end", "closing quote"),
            (".a & 3", "at character 4", "not \"&"),
        ] {
            let error = Query::new(query).unwrap_err();
            assert_eq!(error.place, place, "{query}: {error}");
            assert!(error.reason.contains(words), "{query}: {error}");
        }
    }
}
