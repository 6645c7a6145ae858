//! How a text sets its white space, for what is added to it.

use crate::edit::json::{Json, Kind};

/// How a text sets its white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    /// The line break between members, where there is one.
    pub(super) newline: Option<&'static str>,
    /// What one level is deeper than the one around it.
    pub(super) indent: String,
    /// The blanks before a colon, after it, and after a comma that ends no line.
    pub(super) before_colon: String,
    pub(super) after_colon: String,
    pub(super) after_comma: String,
}

impl Style {
    /// The style of a JSON text, by the first place that shows it.
    pub(super) fn of(text: &str) -> Self {
        let json = Json::parse(text).unwrap_or_default();
        let pairs = || json.tokens.windows(2).map(|pair| (&pair[0], &pair[1]));
        let gap = |of: (&_, &_)| {
            let (before, after): (&crate::edit::json::Token, &crate::edit::json::Token) = of;
            &text[before.range().end..after.range().start]
        };
        let first = |wanted: fn(Kind, Kind) -> bool| {
            pairs()
                .find(|pair| wanted(pair.0.kind, pair.1.kind))
                .map(gap)
        };
        let breaks = |gap: &&str| gap.contains('\n');
        let opening = pairs()
            .filter(|(open, _)| open.kind == Kind::Open)
            .map(gap)
            .find(breaks);
        let newline = opening.map(|gap| if gap.contains("\r\n") { "\r\n" } else { "\n" });
        let after_comma = pairs()
            .filter(|(comma, _)| comma.kind == Kind::Comma)
            .map(gap)
            .find(|gap| !gap.contains('\n'));
        Self {
            newline,
            indent: opening.map_or("", indentation).to_owned(),
            before_colon: first(|_, after| after == Kind::Colon)
                .unwrap_or_default()
                .to_owned(),
            after_colon: first(|before, _| before == Kind::Colon)
                .unwrap_or(if newline.is_some() { " " } else { "" })
                .to_owned(),
            after_comma: after_comma
                .unwrap_or(if newline.is_some() { " " } else { "" })
                .to_owned(),
        }
    }
}

/// What stands before the first token of a line, given the white space before that token.
pub(super) fn indentation(gap: &str) -> &str {
    gap.rfind('\n').map_or("", |newline| &gap[newline + 1..])
}
