//! The white space of JSON: laid out, taken out, or carried over from another text. Tokens stay as
//! they are spelled.

mod style;
mod transfer;

use super::json::{Fault, Json, Kind};

pub(super) use transfer::transfer;

/// The text laid out: two blanks deep, every member and element in a line of its own.
///
/// # Errors
/// The fault of a text that is not JSON.
pub fn pretty(text: &str) -> Result<String, Fault> {
    let json = Json::parse(text)?;
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth: usize = 0;
    let mut opened = false;
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for token in &json.tokens {
        if token.kind == Kind::Close {
            depth = depth.saturating_sub(1);
            if !opened {
                break_line(&mut out, depth);
            }
        } else if opened {
            break_line(&mut out, depth);
        }
        opened = token.kind == Kind::Open;
        depth += usize::from(opened);
        out.push_str(&text[token.range()]);
        match token.kind {
            Kind::Comma => break_line(&mut out, depth),
            Kind::Colon => out.push(' '),
            _ => {}
        }
    }
    Ok(out)
}

/// The text without white space between its tokens.
///
/// # Errors
/// The fault of a text that is not JSON.
pub fn minified(text: &str) -> Result<String, Fault> {
    let json = Json::parse(text)?;
    let tokens = json.tokens.iter();
    Ok(tokens.map(|token| &text[token.range()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::testing::{json, spaced};
    use proptest::prelude::*;

    #[test]
    fn a_text_is_laid_out() {
        let text = r#"{"a":[1,{"b":{}}],"c":[ ]}"#;
        let laid_out = "{\n  \"a\": [\n    1,\n    {\n      \"b\": {}\n    }\n  ],\n  \"c\": []\n}";
        assert_eq!(pretty(text).unwrap(), laid_out);
        assert_eq!(minified(laid_out).unwrap(), text.replace(' ', ""));
        let fault = pretty("{\n  \"a\" 1\n}").unwrap_err();
        assert_eq!((fault.line, fault.column), (2, 7));
    }

    proptest! {
        #[test]
        fn laying_out_is_what_serde_does(text in json()) {
            let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else {
                // A name or string that is no Unicode text.
                return Ok(());
            };
            if serde_json::to_string(&value).unwrap() == text {
                prop_assert_eq!(pretty(&text).unwrap(), serde_json::to_string_pretty(&value).unwrap());
            }
        }

        #[test]
        fn only_white_space_comes_and_goes(text in spaced()) {
            let minified = minified(&text).unwrap();
            prop_assert_eq!(super::minified(&pretty(&text).unwrap()).unwrap(), minified);
        }
    }
}
