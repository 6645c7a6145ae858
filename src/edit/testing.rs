//! Made-up JSON texts for property tests, as nasty as the format allows.

use proptest::prelude::*;

/// A text without white space between its tokens: big numbers, odd spellings, escapes, duplicate
/// names.
pub(super) fn json() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 32, 5, |inner| {
        let element = prop::collection::vec(inner.clone(), 0..5);
        let member = prop::collection::vec((name(), inner), 0..5);
        prop_oneof![
            element.prop_map(|all| format!("[{}]", all.join(","))),
            member.prop_map(|all| {
                let all: Vec<_> = all
                    .iter()
                    .map(|(name, value)| format!("{name}:{value}"))
                    .collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

/// The same with white space anywhere.
pub(super) fn spaced() -> impl Strategy<Value = String> {
    (json(), prop::collection::vec(gap(), 1..12)).prop_map(|(text, gaps)| {
        let json = super::json::Json::parse(&text).unwrap();
        let mut gaps = gaps.iter().cycle();
        let mut out = String::new();
        for token in &json.tokens {
            out.extend(gaps.next().map(String::as_str));
            out.push_str(&text[token.range()]);
        }
        out.extend(gaps.next().map(String::as_str));
        out
    })
}

fn gap() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just(" ".to_owned()),
        Just("\n  ".to_owned()),
        "[ \t\r\n]{0,4}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""a""#,
        r#""b""#,
        r#""c""#,
        r#""\u0061""#,
        r#""""#,
        r#""a b""#,
        r#""\"\\""#,
        r#""\ud800""#,
        r#""é""#,
        r#""token""#,
    ])
    .prop_map(str::to_owned)
}

fn leaf() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "1.0",
        "1.00",
        "1e5",
        "1E+05",
        "0.1",
        "123456789012345678901234567890",
        "-1.7976931348623157e309",
        r#""""#,
        r#""x""#,
        r#""\u0078""#,
        r#""\/""#,
        r#""\n\"\\""#,
        r#""{[,:""#,
        r#""\ud83d\ude00""#,
        r#""日本""#,
    ])
    .prop_map(str::to_owned)
}
