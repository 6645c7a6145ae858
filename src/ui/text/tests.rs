//! Nothing hides, nothing is cut in two, and everything is as wide as it says.

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;

/// Reads the stored bytes back from what is shown: possible only if no two texts look the same.
fn stored(shown: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        match c {
            '␉' => {
                assert_eq!(rest.next(), Some(' '));
                bytes.push(b'\t');
            }
            '␡' => bytes.push(0x7F),
            '␀'..='␟' => bytes.push(u8::try_from(c as u32 - 0x2400).unwrap()),
            '⟨' => {
                let inner: String = rest.by_ref().take_while(|c| *c != '⟩').collect();
                match inner.strip_prefix("U+") {
                    Some(number) => {
                        let c = char::from_u32(u32::from_str_radix(number, 16).unwrap()).unwrap();
                        bytes.extend(c.to_string().bytes());
                    }
                    None => bytes.push(u8::from_str_radix(&inner, 16).unwrap()),
                }
            }
            c => bytes.extend(c.to_string().bytes()),
        }
    }
    bytes
}

/// Text of the kinds that break screens.
fn awkward() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => "[ -~]{0,8}".prop_map(String::into_bytes),
        2 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        2 => prop::sample::select(vec![
            "\u{1b}[2J", "\t", "\r\n", "\u{202e}", "\u{200d}", "e\u{301}", "\u{301}", "日本", "한",
            "👨\u{200d}👩", "❤\u{fe0f}", "🇩🇪", "👍🏽", "ｶﾞ", "שלום", "⟨", "␛", "\u{e0041}", "क्षि", "\u{600}",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => (1..3000_usize).prop_map(|n| "\u{301}".repeat(n / 100).into_bytes()),
        1 => (0..1100_usize).prop_map(|n| vec![b'x'; n]),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// What ratatui makes of the runs on one row.
fn drawn(runs: &[Run<'_>], width: usize) -> String {
    let theme = Theme::built_in("plain").unwrap();
    let area = Rect::new(0, 0, u16::try_from(width).unwrap(), 1);
    let mut buffer = Buffer::empty(area);
    buffer.set_line(0, 0, &line(runs.to_vec(), &theme), area.width);
    let mut text = String::new();
    let mut at = 0;
    while at < area.width {
        let symbol = buffer[(at, 0)].symbol();
        text.push_str(symbol);
        at += symbol.cell_width().max(1);
    }
    text
}

#[test]
fn what_is_hidden_is_shown() {
    for (text, shown) in [
        ("plain", "plain"),
        ("\u{1b}[31mred\u{7f}\n", "␛[31mred␡␊"),
        ("a\tb", "a␉ b"),
        ("\u{85}", "⟨U+0085⟩"),
        ("user\u{202e}nimda", "user⟨U+202E⟩nimda"),
        ("pass\u{200b}word", "pass⟨U+200B⟩word"),
        ("\u{feff}{}", "⟨U+FEFF⟩{}"),
        ("a\u{a0}b\u{3000}", "a⟨U+00A0⟩b⟨U+3000⟩"),
        ("tag\u{e0041}", "tag⟨U+E0041⟩"),
        ("❤\u{fe0f}", "❤⟨U+FE0F⟩"),
        ("👨\u{200d}👩", "👨⟨U+200D⟩👩"),
        ("\u{301}e\u{301}", "⟨U+0301⟩e\u{301}"),
        ("x\u{200b}\u{301}", "x⟨U+200B⟩⟨U+0301⟩"),
        ("⟨FF⟩ ␛", "⟨U+27E8⟩FF⟩ ⟨U+241B⟩"),
        ("日本 שלום é 🇩🇪", "日本 שלום é 🇩🇪"),
    ] {
        assert_eq!(visible(text), shown);
    }
    assert_eq!(visible_bytes(b"a\xff\xe6\x97b"), "a⟨FF⟩⟨E6⟩⟨97⟩b");
    assert!(matches!(visible("日本語"), Cow::Borrowed(_)));
    let roles: Vec<_> = runs("a\u{1b}b", Role::JsonString)
        .into_iter()
        .map(|run| run.role)
        .collect();
    assert_eq!(roles, [Role::JsonString, Role::Escaped, Role::JsonString]);
}

#[test]
fn a_letter_carries_few_marks() {
    let text = format!("a{}", "\u{301}".repeat(10_000));
    let shown = visible(&text);
    assert!(shown.starts_with("a\u{301}"));
    assert!(shown.ends_with("⟨U+0301⟩"));
}

#[test]
fn a_window_cuts_no_wide_character() {
    let all = || runs("a日本b", Role::Text);
    let seen = |columns| concat(&clip(all(), columns));
    assert_eq!(seen(0..6), "a日本b");
    assert_eq!(seen(0..2), "a ");
    assert_eq!(seen(2..4), "  ");
    assert_eq!(seen(2..6), " 本b");
    assert_eq!(seen(9..12), "");
}

#[test]
fn long_text_is_cut_where_it_tells_least() {
    let key = || runs("app.billing.providers.primary", Role::Text);
    assert_eq!(concat(&truncate(key(), 12)), "app.billing…");
    assert_eq!(concat(&truncate_middle(key(), 13)), "app.bi…rimary");
    assert_eq!(concat(&truncate_middle(key(), 1)), "…");
    assert_eq!(concat(&truncate(key(), 0)), "");
    assert_eq!(concat(&truncate(runs("日本", Role::Text), 2)), " …");
    assert_eq!(
        concat(&truncate_middle(key(), 40)),
        "app.billing.providers.primary"
    );
    assert_eq!(concat(&pad(runs("日", Role::Text), 4, Align::Left)), "日  ");
    assert_eq!(
        concat(&pad(runs("日", Role::Text), 4, Align::Right)),
        "  日"
    );
}

#[test]
fn what_stands_before_something_hidden_stays_together() {
    // A thumb, a skin tone and a tag: one cluster. Apart, the first two would be drawn as one.
    let thumb = "\u{1F44D}\u{1F3FD}\u{E0041}";
    let shown: Vec<_> = pieces(thumb.as_bytes())
        .map(|piece| (piece.text().into_owned(), piece.width))
        .collect();
    let tag = "⟨U+E0041⟩".to_owned();
    assert_eq!(shown, [("\u{1F44D}\u{1F3FD}".to_owned(), 2), (tag, 9)]);
    // More than belongs on one place, and all of it as wide as what it would be drawn onto.
    let many = "\u{1100}".repeat(20);
    let shown: Vec<_> = pieces(many.as_bytes()).collect();
    assert!(shown[1].is_escaped(), "{shown:?}");
    assert_eq!(
        visible_bytes(many.as_bytes()).matches("⟨U+1100⟩").count(),
        2
    );
}

#[test]
fn matches_light_up_whole_clusters() {
    let text = "ab\u{1b}e\u{301}f".as_bytes();
    let lit = |matches: &[Range<usize>]| -> Vec<(Role, String)> {
        highlighted(text, Role::Text, matches)
            .into_iter()
            .map(|run| (run.role, run.text.into_owned()))
            .collect()
    };
    assert_eq!(
        lit(&[1..2, 2..4]),
        [
            (Role::Text, "a".to_owned()),
            (Role::Match, "b␛e\u{301}".to_owned()),
            (Role::Text, "f".to_owned())
        ]
    );
    assert_eq!(lit(&[0..1, 6..7])[0], (Role::Match, "a".to_owned()));
    assert_eq!(
        lit(&[0..1, 6..7]).last(),
        Some(&(Role::Match, "f".to_owned()))
    );
    assert_eq!(lit(&[7..8, 8..9]), lit(&[]));
}

proptest! {
    #[test]
    fn no_two_texts_look_the_same(text in awkward()) {
        let shown = visible_bytes(&text);
        prop_assert_eq!(stored(&shown), &text[..]);
        prop_assert!(!shown.chars().any(char::is_control));
    }

    #[test]
    fn pieces_leave_no_gap_and_nothing_out(text in awkward()) {
        let mut end = 0;
        for piece in pieces(&text) {
            prop_assert_eq!(piece.source.start, end);
            prop_assert!(piece.width > 0 && piece.source.len() <= 1024);
            prop_assert_eq!(piece.width, shown_width(&piece.text()));
            end = piece.source.end;
        }
        prop_assert_eq!(end, text.len());
    }

    #[test]
    fn a_text_can_be_begun_near_a_column(text in awkward(), column in 0_usize..200) {
        let text = String::from_utf8_lossy(&text);
        let (byte, at) = begin_at(&text, column);
        prop_assert!(at <= column);
        prop_assert_eq!(width(&text[..byte]), at);
        let window = column..column + 20;
        let mut whole = Clip::new(window.clone());
        whole.push_source(text.as_bytes(), 0, Role::Text, &[]);
        let mut rest = Clip::starting_at(at, window);
        rest.push_source(&text.as_bytes()[byte..], byte, Role::Text, &[]);
        prop_assert_eq!(whole.finish(), rest.finish());
    }

    #[test]
    fn ratatui_draws_all_of_it_in_the_width_we_say(text in awkward()) {
        let all = highlighted(&text, Role::JsonString, &[]);
        let width = runs_width(&all);
        prop_assume!(width < 8000);
        prop_assert_eq!(drawn(&all, width), concat(&all));
    }

    #[test]
    fn windows_side_by_side_have_the_width_of_the_whole(
        text in awkward(),
        cut in 0..200_usize,
    ) {
        let all = highlighted(&text, Role::Text, &[]);
        let width = runs_width(&all);
        let cut = cut.min(width);
        prop_assert_eq!(runs_width(&clip(all.clone(), 0..cut)), cut);
        prop_assert_eq!(runs_width(&clip(all.clone(), cut..usize::MAX)), width - cut);
        prop_assert!(runs_width(&truncate(all.clone(), cut)) <= cut);
        prop_assert!(runs_width(&truncate_middle(all, cut)) <= cut);
    }
}
