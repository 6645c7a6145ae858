//! What a document shows is what is stored, but for what it says it hides.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::ui::text::{clip, concat, runs_width, visible_bytes};
use crate::ui::theme::Role;

const ALL: Range<usize> = 0..usize::MAX;

fn document(value: impl AsRef<[u8]>) -> Document {
    Document::new(
        Bytes::copy_from_slice(value.as_ref()),
        &Masks::default(),
        false,
    )
}

fn screen(document: &Document) -> Vec<String> {
    document
        .lines(ALL, ALL)
        .iter()
        .map(|runs| concat(runs))
        .collect()
}

fn role_at(document: &Document, row: usize, part: &str) -> Role {
    let runs = document.line(row, ALL);
    let found = runs.iter().find(|run| run.text.contains(part));
    found
        .unwrap_or_else(|| panic!("{part:?} is not in {runs:?}"))
        .role
}

const LIMITS: &str = r#"{
  "currency": "EUR",
  "max_per_day": 25000,
  "provider": {
    "url": "https://pay.example/v2",
    "token": "abc"
  },
  "tags": ["a", "b"]
}"#;

#[test]
fn indented_json_is_shown_as_stored() {
    let document = document(LIMITS);
    assert_eq!(
        (document.kind(), document.layout()),
        (Kind::Json, Layout::AsStored)
    );
    assert_eq!(
        screen(&document),
        LIMITS.replace("\"abc\"", MASK).lines().collect::<Vec<_>>()
    );
    assert_eq!(role_at(&document, 1, "currency"), Role::JsonName);
    assert_eq!(role_at(&document, 1, "EUR"), Role::JsonString);
    assert_eq!(role_at(&document, 2, "25000"), Role::JsonNumber);
    assert_eq!(role_at(&document, 5, MASK), Role::Secret);
}

#[test]
fn minified_json_is_laid_out_with_its_tokens_verbatim() {
    let mut document = document(
        r#"{"n":1.0e+5,"n":12345678901234567890123,"e":"\u00e9\/","a":[ ],"o":{},"l":[null,{"x":true}]}"#,
    );
    assert_eq!(document.layout(), Layout::Formatted);
    assert_eq!(
        screen(&document),
        [
            "{",
            r#"  "n": 1.0e+5,"#,
            r#"  "n": 12345678901234567890123,"#,
            r#"  "e": "\u00e9\/","#,
            r#"  "a": [],"#,
            r#"  "o": {},"#,
            r#"  "l": ["#,
            "    null,",
            "    {",
            r#"      "x": true"#,
            "    }",
            "  ]",
            "}",
        ]
    );
    document.set_layout(Layout::AsStored);
    assert_eq!(document.len(), 1);
    document.set_view(View::Text);
    assert_eq!(document.len(), 1);
}

#[test]
fn what_is_not_json_is_text_with_the_place_of_the_fault() {
    for (text, line, column) in [
        ("{\n  \"é\": 1,\n}", 3, 1),
        ("[1, NaN]", 1, 5),
        ("{\"é\" 1}", 1, 6),
        ("{} x", 1, 4),
        ("[1 // one\n]", 1, 4),
        ("[[[", 1, 3),
        ("\u{feff}{}", 1, 1),
    ] {
        let document = document(text);
        assert_eq!(document.kind(), Kind::Text, "{text}");
        let fault = document.fault().unwrap();
        assert_eq!(
            (fault.line, fault.column),
            (line, column),
            "{text}: {fault:?}"
        );
        assert!(
            !fault.what.is_empty() && !fault.what.contains("line"),
            "{fault:?}"
        );
    }
    assert_eq!(document("listen on :80").fault(), None);
    assert_eq!(screen(&document("\u{feff}{}")), ["⟨U+FEFF⟩{}"]);
    assert_eq!(screen(&document("a\r\nb\n")), ["a␍", "b", ""]);
    assert!(document("").is_empty());
}

#[test]
fn bytes_are_shown_in_hex() {
    let mut document = document([0, 0, 0, 0, 0, 0, 0, 7, 1, b'k', 0xFF, 0, 0, 0, 0, 0, 9]);
    assert_eq!((document.kind(), document.view()), (Kind::Bytes, View::Hex));
    assert_eq!(
        screen(&document),
        [
            "00000000  00 00 00 00 00 00 00 07  01 6b ff 00 00 00 00 00  ·········k······",
            "00000010  09                                                ·",
        ]
    );
    assert_eq!(document.max_width(), draw::HEX_COLUMNS);
    document.set_width(60);
    assert_eq!(
        screen(&document)[1],
        "00000008  01 6b ff 00 00 00 00 00  ·k······"
    );
    document.set_view(View::Json);
    assert_eq!(document.view(), View::Hex);
    // Text with a broken byte in it is still text.
    let document = self::document(b"name = caf\xe9, and more");
    assert_eq!(screen(&document), ["name = caf⟨E9⟩, and more"]);
    assert_eq!(role_at(&document, 0, "⟨E9⟩"), Role::Escaped);
}

#[test]
fn folding_hides_the_inside_and_counts_it() {
    let mut document = document(LIMITS);
    document.set_cursor(3);
    document.toggle_fold();
    assert_eq!(screen(&document)[3], "  \"provider\": { … 2 },");
    assert_eq!(document.len(), 6);
    assert_eq!(role_at(&document, 3, "…"), Role::Folded);
    document.toggle_fold();
    assert_eq!(document.len(), 9);
    // From within, and from the closing line, the cursor goes to where the fold begins.
    for row in [4, 6] {
        document.set_cursor(row);
        document.toggle_fold();
        assert_eq!((document.len(), document.cursor()), (6, 3));
        document.toggle_fold();
    }
    document.fold_to(0);
    assert_eq!(screen(&document), ["{ … 4 }"]);
    document.fold_all();
    assert_eq!(document.len(), 6);
    document.unfold_all();
    assert_eq!(document.len(), 9);

    let mut document = self::document(r#"[{"a":1},{"b":[2]}]"#);
    document.fold_all();
    assert_eq!(screen(&document), ["[", "  { … 1 },", "  { … 1 }", "]"]);
    let mut document = self::document("[{\n\"a\": 1\n}, {\n\"b\": 2\n}]");
    document.fold_all();
    assert_eq!(screen(&document), ["[{ … 1 }, { … 1 }]"]);
}

#[test]
fn the_path_is_that_of_the_row() {
    let mut document = document(r#"{"provider":{"url":"x"},"items":[1,[true]],"a b":null}"#);
    let paths: Vec<_> = (0..document.len())
        .map(|row| {
            document.set_cursor(row);
            document.path().unwrap()
        })
        .collect();
    assert_eq!(
        paths,
        [
            ".",
            ".provider",
            ".provider.url",
            ".provider",
            ".items",
            ".items[0]",
            ".items[1]",
            ".items[1][0]",
            ".items[1]",
            ".items",
            "[\"a b\"]",
            "."
        ]
    );
    let mut document = self::document(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    document.set_cursor(document.len() / 2);
    assert!(document.path().unwrap().starts_with("…[0]"));
}

#[test]
fn names_look_secret_by_their_parts() {
    let masks = Masks::default();
    for name in [
        "password",
        "dbPassword",
        "DB_PASSWORD",
        "access_token",
        "APIKey",
        "api-key",
        "apikey2",
        "x.credentials.y",
        "clientsecret",
        "app.billing.secrets",
        "pwd",
        "pass\u{200b}word",
        "aws_secret_access_key",
        "tokens",
    ] {
        assert!(masks.is_secret(name), "{name}");
    }
    for name in [
        "key",
        "keyboard",
        "monkey",
        "tokenizer",
        "public_key",
        "primaryKey",
        "",
        "passenger",
        "secretary",
        "1234",
        "upwd",
    ] {
        assert!(!masks.is_secret(name), "{name}");
    }
    let masks = Masks::new(["Pin", "card-number"]);
    assert!(masks.is_secret("user_pin") && masks.is_secret("CardNumber"));
    assert!(!masks.is_secret("pinned") && !masks.is_secret("password"));
}

#[test]
fn secrets_of_any_type_are_masked_in_every_view() {
    let text = "{\n\"p\\u0061ssword\": 1234,\n\"tokens\": [\n\"S3\",\n{\"x\": \"S3\"}\n], \"a\": 1,\n\"secret\": \"\"\n}";
    let mut document = document(text);
    let rows = [
        "{",
        "\"p\\u0061ssword\": ••••••••,",
        "\"tokens\": ••••••••, \"a\": 1,",
        "\"secret\": ••••••••",
        "}",
    ];
    assert_eq!(screen(&document), rows);
    document.set_view(View::Text);
    assert_eq!(screen(&document), rows);
    document.set_view(View::Hex);
    let hex = screen(&document);
    assert_eq!(hex.iter().filter(|row| row.ends_with(MASK)).count(), 3);
    assert!(hex.iter().all(|row| !row.contains("53 33")), "{hex:#?}");
    assert!(hex.last().unwrap().starts_with("········"), "{hex:#?}");
    document.search("s3");
    assert_eq!(document.matches(), (0, None));
    document.reveal(true);
    assert_eq!(document.matches().0, 2);
    document.set_view(View::Json);
    assert_eq!(screen(&document), text.lines().collect::<Vec<_>>());

    let mut document = Document::new(Bytes::from_static(b"[1,\n2]"), &Masks::default(), true);
    for view in [View::Json, View::Text, View::Hex] {
        document.set_view(view);
        let rows = screen(&document);
        assert!(rows.len() == 1 && rows[0].ends_with(MASK), "{rows:?}");
        assert_eq!(document.path(), None);
    }
    assert!(!format!("{document:?}").contains("91"));
}

#[test]
fn secrets_in_other_text_are_guessed() {
    for (text, shown) in [
        (
            "DB_PASSWORD=hunter2\nPORT=80",
            "DB_PASSWORD=••••••••\nPORT=80",
        ),
        ("token: 'a b' # note\n", "token: •••••••• # note\n"),
        (
            "{\"password\": \"x\\\"y\", \"a\": 1,}",
            "{\"password\": ••••••••, \"a\": 1,}",
        ),
        ("{\"secret\": {\"a\": 1}, \"b\"", "{\"secret\": ••••••••"),
        (
            "a: 1\nsecret: |\n  one\n\n  two\nb: 2",
            "a: 1\nsecret: ••••••••\nb: 2",
        ),
        ("tokens:\n- one\n- two\nb: 2", "tokens:••••••••\nb: 2"),
        ("password:\nb: 2", "password:\nb: 2"),
        ("\"password\" : \"x\"", "\"password\" : ••••••••"),
    ] {
        let document = document(text);
        assert_eq!(document.kind(), Kind::Text);
        assert_eq!(screen(&document).join("\n"), shown);
    }
}

#[test]
fn a_search_is_lit_and_opens_what_is_folded_around_it() {
    let mut document = document(r#"{"a":{"b":["Pay","x"]},"pay":1}"#);
    document.fold_all();
    document.search("pay");
    assert_eq!(document.matches(), (2, None));
    assert_eq!(document.jump(false), Some(7..10));
    assert_eq!((document.cursor(), document.matches()), (3, (2, Some(0))));
    assert_eq!(role_at(&document, 3, "Pay"), Role::Match);
    assert_eq!(document.jump(false), Some(3..6));
    assert_eq!(document.jump(false), Some(7..10));
    assert_eq!(document.jump(true), Some(3..6));
    document.search("Pay");
    assert_eq!(document.matches().0, 1);
    document.search("");
    assert_eq!(document.jump(false), None);
    document.set_view(View::Hex);
    document.search("\"b\"");
    assert_eq!(document.jump(true), Some(28..38));
}

#[test]
fn a_narrow_pane_leaves_room_for_an_escape() {
    let mut document = document("[[[\"\u{200b}\"]]]");
    document.set_width(12);
    document.set_wrap(true);
    assert!(screen(&document).contains(&"\"⟨U+200B⟩\"".to_owned()));
    document.set_width(20);
    assert_eq!(screen(&document)[3], "    \"⟨U+200B⟩\"");
}

#[test]
fn a_long_row_is_reached_anywhere() {
    let text = format!(
        "[\n\"{}\", {{\"token\": 1}}, 2]",
        "日本\u{200b}x".repeat(5000)
    );
    let document = document(text);
    let all = document.line(1, ALL);
    for column in [
        0,
        1,
        1023,
        1024,
        1025,
        30_000,
        60_000,
        document.width(1) - 20,
    ] {
        let columns = column..column + 40;
        let expected = concat(&clip(all.clone(), columns.clone()));
        assert_eq!(concat(&document.line(1, columns)), expected, "{column}");
    }
    assert_eq!(document.width(1), runs_width(&all));
}

fn json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "[a-z]{1,3}",
        Just("password".to_owned()),
        "[ -~é日\u{200b}]{0,6}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é日\u{301}\u{200b}\u{1b}\n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

/// JSON as programs write it, and as people do.
fn json_text() -> impl Strategy<Value = String> {
    (json(), 0..3_u8).prop_map(|(value, how)| match how {
        0 => value.to_string(),
        1 => serde_json::to_string_pretty(&value).unwrap(),
        _ => value
            .to_string()
            .replace("],", "] ,\n\t")
            .replace('{', "{ "),
    })
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => json_text().prop_map(String::into_bytes),
        1 => (json_text(), any::<prop::sample::Index>()).prop_map(|(text, at)| {
            let mut bytes = text.into_bytes();
            bytes.truncate(at.index(bytes.len() + 1));
            bytes
        }),
        1 => "[a-z:=\"'{}\\[\\]\n |>-]{0,60}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..80),
        1 => "(token|pwd|a)[:=] ?[ -~\n\t]{0,40}".prop_map(String::into_bytes),
    ]
}

/// Something that a user does.
fn act(document: &mut Document, (what, number): (u8, usize)) {
    match what {
        0 => document.set_view(View::Json),
        1 => document.set_view(View::Text),
        2 => document.set_view(View::Hex),
        3 => document.set_layout(Layout::AsStored),
        4 => document.set_layout(Layout::Formatted),
        5 => document.set_wrap(number % 2 == 0),
        6 => document.set_width(number),
        7 => document.set_cursor(number),
        8 => document.toggle_fold(),
        9 => document.fold_to(number % 4),
        10 => document.unfold_all(),
        11 => document.search(["a", "\"", "é", ": "][number % 4]),
        _ => {
            document.jump(number % 2 == 0);
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0..14_u8, 0..100_usize), 0..12)
}

proptest! {
    #[test]
    fn tokens_and_the_space_between_them_are_the_text(text in json_text()) {
        let json = Json::parse(&text).unwrap();
        let mut end = 0;
        let mut bare = String::new();
        for token in &json.tokens {
            let range = token.range();
            prop_assert!(text[end..range.start].trim_matches([' ', '\t', '\n', '\r']).is_empty());
            bare.push_str(&text[range.clone()]);
            end = range.end;
        }
        prop_assert!(text[end..].trim_matches([' ', '\t', '\n', '\r']).is_empty());
        prop_assert_eq!(
            serde_json::from_str::<Value>(&bare).unwrap(),
            serde_json::from_str::<Value>(&text).unwrap()
        );
    }

    #[test]
    fn containers_hold_what_they_hold(value in json()) {
        fn counts(value: &Value, depth: u32, all: &mut Vec<(u32, u32)>) {
            let children: Vec<&Value> = match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(members) => members.values().collect(),
                _ => return,
            };
            all.push((depth, u32::try_from(children.len()).unwrap()));
            for child in children {
                counts(child, depth + 1, all);
            }
        }
        let mut expected = Vec::new();
        counts(&value, 0, &mut expected);
        let json = Json::parse(&value.to_string()).unwrap();
        let found: Vec<_> = json.containers.iter().map(|c| (c.depth, c.count)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn rows_as_stored_are_the_stored_text(bytes in any_value()) {
        let mut document = document(&bytes);
        document.reveal(true);
        document.set_layout(Layout::AsStored);
        for view in [View::Json, View::Text] {
            document.set_view(view);
            if document.view() == view && !bytes.is_empty() {
                let expected: Vec<_> = bytes.split(|b| *b == b'\n').map(visible_bytes).collect();
                prop_assert_eq!(screen(&document), expected);
            }
        }
    }

    #[test]
    fn formatted_rows_are_what_serde_json_writes(value in json()) {
        let mut document = document(value.to_string());
        document.reveal(true);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let expected: Vec<_> = pretty.split('\n').map(|line| visible_bytes(line.as_bytes())).collect();
        prop_assert_eq!(screen(&document), expected);
    }

    #[test]
    fn whatever_is_done_a_window_is_a_part_of_the_whole(
        bytes in any_value(),
        acts in acts(),
        column in 0..60_usize,
    ) {
        let mut document = document(&bytes);
        for what in acts {
            act(&mut document, what);
            prop_assert!(document.cursor() < document.len().max(1));
            for (row, runs) in document.lines(ALL, ALL).into_iter().enumerate() {
                prop_assert_eq!(runs_width(&runs), document.width(row));
                let window = document.line(row, column..column + 20);
                prop_assert_eq!(concat(&clip(runs, column..column + 20)), concat(&window));
            }
            document.path();
        }
    }

    #[test]
    fn wrapping_loses_nothing_and_fits(bytes in any_value(), width in 12..60_usize) {
        let mut document = document(&bytes);
        document.set_view(View::Text);
        let whole = screen(&document).concat();
        document.set_width(width);
        document.set_wrap(true);
        prop_assert_eq!(screen(&document).concat(), whole);
        prop_assert!(document.max_width() <= width);
        document.set_view(View::Json);
        prop_assert!(document.view() != View::Json || document.max_width() <= width);
    }

    #[test]
    fn no_view_shows_a_masked_secret(
        secret in json(),
        other in json(),
        acts in acts(),
        how in 0..4_u8,
    ) {
        // The secret is made of a letter that nothing else has.
        let secret = serde_json::json!(["Ж", secret, {"Ж": "Ж"}]);
        let value = serde_json::json!({"x": other, "apiKey": secret, "y": [{"db-password": "Ж"}]});
        let text = match how {
            0 => value.to_string(),
            1 => serde_json::to_string_pretty(&value).unwrap(),
            2 => value.to_string().replace("}]}", "}],}"),
            _ => value.to_string().replace("],", "],\n"),
        };
        let mut document = document(text);
        document.search("ж");
        prop_assert_eq!(document.matches().0, 0);
        for what in acts {
            act(&mut document, what);
            for row in screen(&document) {
                prop_assert!(!row.contains('Ж') && !row.contains("d0 96"), "{}", row);
            }
            prop_assert!(!document.path().unwrap_or_default().contains('Ж'));
        }
    }
}
