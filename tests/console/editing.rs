//! Editing in the console: what is typed, and how it gets into the store.

use std::sync::Arc;

use kvscope::kv::faulty::{Faults, Faulty, WriteFault};
use kvscope::kv::{ReadOnly, Revision, Store};
use kvscope::ui::message::{Effect, RequestId};
use kvscope::ui::outside::Handout;

use super::harness::Console;
use super::{in_keys, opened, store};

const LIMITS: &str = "{\n  \"currency\": \"EUR\",\n  \"max_per_day\": 25000,\n  \"provider\": {\n    \"url\": \"https://pay.example/v2\",\n    \"token\": \"abc123\"\n  }\n}\n";

/// A console with the editor open on the selected key.
pub(super) async fn editing(entries: &[(&str, &str)]) -> (Console, Store) {
    let (mut console, config) = opened(entries).await;
    console.settled("e").await;
    assert!(console.area_of(" Edit ").is_some(), "{}", console.screen());
    (console, config)
}

/// A line of the text in the editor, with its number.
fn row(console: &Console, number: usize) -> String {
    let rows = console.pane(" Edit ").into_iter();
    let mut rows = rows.map(|row| row.trim_start_matches([' ', '✖']).to_owned());
    let found = rows.find(|row| row.starts_with(&format!("{number} ")));
    found.unwrap_or_else(|| panic!("no line {number}:\n{}", console.screen()))
}

/// The value of a key as the store has it, and its revision.
pub(super) async fn stored(config: &Store, key: &str) -> (String, Revision) {
    let entry = config.get(key).await.unwrap().unwrap();
    let value = entry.value.unwrap().to_vec();
    (String::from_utf8(value).unwrap(), entry.revision)
}

/// Looks at what would be saved, and saves it.
async fn save(console: &mut Console) {
    console.settled("ctrl-s").await;
    assert!(
        console.screen().contains("Enter save"),
        "{}",
        console.screen()
    );
    console.settled("enter").await;
}

#[tokio::test(start_paused = true)]
async fn a_value_is_edited_looked_at_and_saved_on_its_revision() {
    let (mut console, config) = editing(&[("limits", LIMITS)]).await;
    assert!(
        console.screen().contains("─ rev 1 "),
        "{}",
        console.screen()
    );
    console.settled("down down end left backspace 9").await;
    assert!(
        console.screen().contains("rev 1 · changed"),
        "{}",
        console.screen()
    );
    console.settled("ctrl-s").await;
    let screen = console.screen();
    for words in [
        "Save limits on revision 1?",
        ".max_per_day",
        "25000 → 25009",
        "nats kv update config limits",
        "Enter save",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert_eq!(
        stored(&config, "limits").await.1,
        Revision(1),
        "nothing is written yet"
    );
    console.settled("enter").await;
    assert!(
        console.screen().contains("saved: limits is at revision 2"),
        "{}",
        console.screen()
    );
    let (value, revision) = stored(&config, "limits").await;
    assert_eq!(revision, Revision(2));
    assert_eq!(value, LIMITS.replace("25000", "25009"));
    console.press("3");
    let feed = console.pane(" Activity ").join("\n");
    assert!(feed.contains("saved: limits is at revision 2"), "{feed}");
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_text_writes_nothing() {
    let (mut console, config) = editing(&[("limits", LIMITS)]).await;
    console.press("ctrl-s");
    assert!(
        console.screen().contains("nothing to save"),
        "{}",
        console.screen()
    );
    console.settled("down x backspace ctrl-s").await;
    assert!(
        !console.screen().contains("· changed") && console.area_of(" Edit ").is_some(),
        "{}",
        console.screen()
    );
    console.press("esc");
    assert!(console.area_of(" Edit ").is_none());
    assert_eq!(
        stored(&config, "limits").await,
        (LIMITS.to_owned(), Revision(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_minified_value_is_opened_pretty_and_saved_minified() {
    let minified = r#"{"big":12345678901234567890,"float":1.50,"list":[1,2]}"#;
    let (mut console, config) = editing(&[("limits", minified)]).await;
    assert!(
        console.row_in(" Edit ", "4   \"list\": [").is_some(),
        "{}",
        console.screen()
    );
    console
        .settled("down down end left backspace backspace 2 5")
        .await;
    save(&mut console).await;
    let (value, _) = stored(&config, "limits").await;
    assert_eq!(value, minified.replace("1.50", "1.25"));
}

#[tokio::test(start_paused = true)]
async fn the_fault_is_marked_as_it_is_typed() {
    let (mut console, _) = editing(&[("limits", LIMITS)]).await;
    console.press("down down end left");
    for _ in 0..5 {
        console.press("backspace");
    }
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("✖3 "), "{screen}");
    assert!(screen.contains("line 3, column"), "{screen}");
    console.type_text("1");
    console.settle().await;
    assert!(!console.screen().contains('✖'), "{}", console.screen());
    console.settled("ctrl-u").await;
    assert!(
        console.screen().contains("✖3 "),
        "undone: {}",
        console.screen()
    );
    console.settled("ctrl-r").await;
    assert!(
        !console.screen().contains('✖'),
        "done again: {}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_any_more_is_saved_only_after_saying_so() {
    let (mut console, config) = editing(&[("limits", LIMITS)]).await;
    console.settled("delete").await;
    console.settled("ctrl-s").await;
    let screen = console.screen();
    assert!(
        screen.contains("not JSON any more") && screen.contains("a save in spite of that"),
        "{screen}"
    );
    console.settled("enter").await;
    assert_eq!(
        stored(&config, "limits").await.1,
        Revision(1),
        "Enter is not enough"
    );
    console.settled("a").await;
    let (value, revision) = stored(&config, "limits").await;
    assert_eq!((value.as_str(), revision), (&LIMITS[1..], Revision(2)));
}

#[tokio::test(start_paused = true)]
async fn leaving_with_unsaved_text_asks() {
    let (mut console, config) = editing(&[("limits", LIMITS)]).await;
    console.press("x esc");
    assert!(
        console.screen().contains("The text is not saved"),
        "{}",
        console.screen()
    );
    console.press("esc");
    assert!(
        console.row_in(" Edit ", "1 x{").is_some(),
        "{}",
        console.screen()
    );
    console.settled("esc s").await;
    assert!(
        console.screen().contains("Save limits on revision 1?"),
        "{}",
        console.screen()
    );
    console.press("esc esc d");
    assert!(console.area_of(" Edit ").is_none());
    assert!(console.screen().contains("the text was dropped"));
    assert_eq!(stored(&config, "limits").await.1, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_not_in_the_text_until_revealed() {
    let (mut console, config) = editing(&[("limits", LIMITS)]).await;
    assert!(!console.screen().contains("abc123") && console.screen().contains("••••"));
    // Passed as one letter, and not changed in part.
    for _ in 0..5 {
        console.press("down");
    }
    console.settled("end left x").await;
    let line = row(&console, 6);
    assert!(!line.contains("•x") && !line.contains("x•"), "{line}");
    console.settled("ctrl-u delete").await;
    let line = row(&console, 6);
    assert!(!line.contains('•'), "deleted as a whole: {line}");
    console.press("ctrl-u");
    console.settled("ctrl-t").await;
    assert!(console.screen().contains("abc123"), "{}", console.screen());
    console.settled("ctrl-t").await;
    assert!(!console.screen().contains("abc123"), "{}", console.screen());
    // A change elsewhere leaves the secret as it is.
    console
        .settled("ctrl-home down end left left backspace D")
        .await;
    console.settled("ctrl-s").await;
    assert!(!console.screen().contains("abc123"), "{}", console.screen());
    console.settled("enter").await;
    let (value, _) = stored(&config, "limits").await;
    assert_eq!(value, LIMITS.replace("EUR", "EUD"));
}

#[tokio::test(start_paused = true)]
async fn a_change_by_another_shows_at_once() {
    let (mut console, config) = editing(&[("limits", LIMITS), ("other", "1")]).await;
    config.put("other", "2").await.unwrap();
    console.settle().await;
    assert!(
        !console.screen().contains("someone else"),
        "{}",
        console.screen()
    );
    config.put("limits", "{}").await.unwrap();
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("changed by someone else: put at revision 4"),
        "{}",
        console.screen()
    );
    config.delete("limits", None).await.unwrap();
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("changed by someone else: delete at revision 5"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn text_is_formatted_searched_selected_and_pasted() {
    let (mut console, config) = editing(&[("note", "x")]).await;
    console.press("ctrl-a");
    console.paste("{\"port\":1,\r\n\"Port\":[2]}");
    console.settle().await;
    console.settled("ctrl-f").await;
    assert!(
        console.row_in(" Edit ", "2   \"port\": 1,").is_some(),
        "{}",
        console.screen()
    );
    console.press("ctrl-home ctrl-w");
    console.type_text("port");
    assert!(
        console.screen().contains("find (2 found): port"),
        "{}",
        console.screen()
    );
    console.press("enter esc");
    console.type_text("bay");
    console.settle().await;
    assert!(
        console.row_in(" Edit ", "3   \"bay\": [").is_some(),
        "{}",
        console.screen()
    );
    console.press("ctrl-a ctrl-x");
    assert!(matches!(console.asked.last(), Some(Effect::Copy(text)) if text.contains("bay")));
    console.settle().await;
    console.settled("ctrl-v").await;
    save(&mut console).await;
    let (value, _) = stored(&config, "note").await;
    assert_eq!(value, "{\n  \"port\": 1,\n  \"bay\": [\n    2\n  ]\n}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_long_line_is_seen_with_its_secrets_masked() {
    let pad = "é日x".repeat(400);
    let value = format!("{{\n\"pad\": \"{pad}\", \"token\": \"s3cret\", \"z\": 1}}");
    let (mut console, _) = editing(&[("limits", &value)]).await;
    console.settled("down end").await;
    let line = row(&console, 2);
    assert!(
        line.ends_with("日x\", \"token\": \"••••••••1•\", \"z\": 1}"),
        "{line}"
    );
    // As one letter: from behind it to before it.
    console
        .settled("left left left left left left left left left left x")
        .await;
    let line = row(&console, 2);
    assert!(line.contains("\"token\": x\"••••••••1•\","), "{line}");
}

#[tokio::test(start_paused = true)]
async fn brackets_are_matched() {
    let (mut console, _) = editing(&[("limits", LIMITS)]).await;
    let style = |console: &Console, row: u16| {
        let area = console.area_of(" Edit ").unwrap();
        let cells = area.x + 1..area.right() - 1;
        let brace =
            cells.filter(|x| matches!(console.buffer()[(*x, area.y + row)].symbol(), "{" | "}"));
        brace
            .map(|x| console.buffer()[(x, area.y + row)].modifier)
            .next()
            .unwrap()
    };
    let lit = style(&console, 1);
    assert_eq!(style(&console, 8), lit, "its partner is lit as well");
    assert_ne!(style(&console, 7), lit);
    console.press("down");
    assert_ne!(style(&console, 8), lit);
}

/// The text that was handed out last.
fn handed_out(console: &Console) -> (RequestId, Handout) {
    match console.asked.last() {
        Some(Effect::Outside(id, handout)) => (*id, handout.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn another_editor_that_adds_nothing_leaves_what_was_typed() {
    let (mut console, config) = opened(&[("limits", LIMITS)]).await;
    console.settled("E").await;
    let (id, Handout { text, .. }) = handed_out(&console);
    console.came_back(id, Ok(text.replace("25000", "1")));
    console.settle().await;
    // Back from the look at it, and once more into the other editor.
    console.settled("esc ctrl-e").await;
    let (id, Handout { text, .. }) = handed_out(&console);
    console.came_back(id, Ok(text));
    console.settle().await;
    assert!(
        console
            .row_in(" Edit ", "3   \"max_per_day\": 1,")
            .is_some(),
        "{}",
        console.screen()
    );
    // In clear, it is not to lie about.
    console.settled("ctrl-t ctrl-e").await;
    let (_, Handout { is_secret, .. }) = handed_out(&console);
    assert!(is_secret);
    assert_eq!(stored(&config, "limits").await.1, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn another_editor_gets_the_text_and_gives_it_back() {
    let (mut console, config) = opened(&[("limits", LIMITS)]).await;
    console.settled("E").await;
    let (
        id,
        Handout {
            extension,
            text,
            is_secret,
            ..
        },
    ) = handed_out(&console);
    assert_eq!((extension, is_secret), ("json", false));
    assert!(!text.contains("abc123"), "secrets stay here");
    console.came_back(id, Ok(text.replace("25000", "1")));
    console.settle().await;
    assert!(
        console.screen().contains("25000 → 1"),
        "{}",
        console.screen()
    );
    console.settled("enter").await;
    assert_eq!(
        stored(&config, "limits").await.0,
        LIMITS.replace("25000", "1")
    );
    // One that failed, or changed nothing, changes nothing.
    console.settled("e").await;
    console.press("ctrl-e");
    let (id, Handout { text, .. }) = handed_out(&console);
    console.came_back(id, Err("vi ended with status 1".to_owned()));
    assert!(console.screen().contains("ended with status 1"));
    assert!(!console.screen().contains("· changed"));
    // A secret that was changed in part is not taken for one.
    console.press("ctrl-e");
    let (id, _) = handed_out(&console);
    console.came_back(id, Ok(text.replace("1•", "1")));
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("line 6: a masked secret was changed in part"),
        "{}",
        console.screen()
    );
    console.settled("ctrl-s").await;
    assert!(
        !console.screen().contains("Enter save"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn read_only_explains_instead_of_editing() {
    let (memory, _) = store(&[("limits", LIMITS)]).await;
    let mut console = in_keys(Console::on(Arc::new(ReadOnly::new(memory as _)), 120, 30)).await;
    for key in ["e", "E", "n", "D", "u"] {
        console.settled(key).await;
        assert!(
            console.screen().contains("open read-only"),
            "{key}: {}",
            console.screen()
        );
        assert!(console.area_of(" Edit ").is_none());
    }
    console.settled("h").await;
    assert!(
        console.screen().contains("History of limits"),
        "looking is not writing"
    );
}

#[tokio::test(start_paused = true)]
async fn it_fits_every_size() {
    let (mut console, _) = editing(&[("limits", LIMITS)]).await;
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        console.resize(width, height);
        console.settled("ctrl-end").await;
        assert!(
            console.row_in(" Edit ", "9").is_some(),
            "{width}×{height}:\n{}",
            console.screen()
        );
        console.settled("ctrl-home x ctrl-s").await;
        let screen = console.screen();
        assert!(
            screen.contains("nats kv") && screen.contains("save in spite"),
            "{width}×{height}:\n{screen}"
        );
        console.settled("esc ctrl-u").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_is_held_against_the_text_and_saving_against_it_must_be_said() {
    let schema = r#"{"properties": {"max_per_day": {"maximum": 30000}}}"#;
    let (mut console, config) = editing(&[("limits", LIMITS), ("_schema.limits", schema)]).await;
    // The schema comes first in the list: the editor is on it.
    console.settled("esc G e").await;
    assert!(
        console.screen().contains("as _schema.limits wants it"),
        "{}",
        console.screen()
    );
    console.settled("down down end left 0").await;
    assert!(
        console
            .screen()
            .contains("against the schema: .max_per_day"),
        "{}",
        console.screen()
    );
    console.settled("ctrl-s").await;
    let screen = console.screen();
    assert!(
        screen.contains("against the schema: .max_per_day"),
        "{screen}"
    );
    console.settled("enter").await;
    assert_eq!(stored(&config, "limits").await.1, Revision(1));
    console.settled("a").await;
    assert_eq!(stored(&config, "limits").await.1, Revision(3));
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_cant_be_used_is_said_before_saving() {
    let (mut console, config) =
        opened(&[("limits", LIMITS), ("_schema.limits", r#"{"type": 7}"#)]).await;
    console.settled("G e").await;
    console.settled("down down end left 0").await;
    console.settled("ctrl-s").await;
    let screen = console.screen();
    assert!(
        screen.contains("not checked: the schema") && screen.contains("a save in spite"),
        "{screen}"
    );
    console.settled("enter").await;
    assert_eq!(stored(&config, "limits").await.1, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn no_text_is_lost_by_quitting_where_no_draft_is_kept() {
    let (mut console, _) = editing(&[("limits", LIMITS)]).await;
    console.press("x");
    console.pass(2_000);
    console.settle().await;
    assert!(
        console.screen().contains("no draft is kept"),
        "{}",
        console.screen()
    );
    console.settled("ctrl-q").await;
    assert!(
        console.screen().contains("The text is not saved") && console.asked.is_empty(),
        "{}",
        console.screen()
    );
    // It is not said to be kept, and not closed, when it isn't.
    console.settled("k").await;
    assert!(
        console.screen().contains("it can't be kept as a draft"),
        "{}",
        console.screen()
    );
    assert!(console.screen().contains("1 x{"), "{}", console.screen());
}

#[tokio::test(start_paused = true)]
async fn bytes_are_edited_in_hexadecimal() {
    let (memory, config) = store(&[]).await;
    config.put("blob", vec![0xff, 0x00, 0x41]).await.unwrap();
    let mut console = in_keys(Console::on(memory, 120, 30)).await;
    console.settled("e").await;
    assert!(
        console.screen().contains("bytes in hexadecimal"),
        "{}",
        console.screen()
    );
    console.settled("ctrl-end backspace backspace 2").await;
    save(&mut console).await;
    let entry = config.get("blob").await.unwrap().unwrap();
    assert_eq!(entry.value.unwrap().as_ref(), [0xff, 0x00, 0x42]);
}

/// A console that is about to save, on a store that can be made to fail.
async fn reviewing() -> (Console, Store, Faults) {
    let (memory, config) = store(&[("limits", LIMITS)]).await;
    let (faulty, faults) = Faulty::new(memory);
    let mut console = in_keys(Console::on(Arc::new(faulty), 120, 30)).await;
    console.settled("e").await;
    console.settled("down down end left 9").await;
    console.settled("ctrl-s").await;
    (console, config, faults)
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_acknowledgement_it_is_found_out_what_became_of_it() {
    for (fault, told, revision) in [
        (WriteFault::LoseAck, "it was found in the history", 2),
        (WriteFault::Drop, "it is not there, and may still come", 1),
    ] {
        let (mut console, config, faults) = reviewing().await;
        faults.next_write(fault);
        console.press("enter");
        console.shows(told).await;
        assert_eq!(stored(&config, "limits").await.1, Revision(revision));
        if revision == 2 {
            assert!(console.area_of(" Edit ").is_none());
            continue;
        }
        // Nothing is written again but by the user.
        let screen = console.screen();
        assert!(
            screen.contains("Enter write it again, on the same revision"),
            "{screen}"
        );
        console.settled("enter").await;
        assert!(
            console.screen().contains("saved: limits is at revision 2"),
            "{}",
            console.screen()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_comes_late_is_known_for_our_own() {
    let (mut console, config, faults) = reviewing().await;
    faults.next_write(WriteFault::Late);
    console.press("enter");
    console.shows("it is not there, and may still come").await;
    console.press("esc");
    assert!(console.area_of(" Edit ").is_some());
    faults.deliver_late().await;
    console.settle().await;
    assert_eq!(stored(&config, "limits").await.1, Revision(2));
    assert!(
        console.screen().contains("perhaps by your own write"),
        "{}",
        console.screen()
    );
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert!(
        console.screen().contains("limits is at revision 2"),
        "{}",
        console.screen()
    );
    assert_eq!(
        stored(&config, "limits").await.1,
        Revision(2),
        "it is not written twice"
    );
}
