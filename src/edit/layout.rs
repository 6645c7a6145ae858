//! The white space of JSON: laid out, taken out, or carried over from another text. Tokens stay as
//! they are spelled.

use super::json::{Fault, Json, Kind};

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
    Ok(json
        .tokens
        .iter()
        .map(|token| &text[token.range()])
        .collect())
}

/// The tokens of `content` with the white space of `layout`, as far as the two are the same. `None`
/// where one of them is not JSON.
pub(super) fn transfer(layout: &str, content: &str) -> Option<String> {
    Json::parse(layout).ok()?;
    minified(content).ok()
}
