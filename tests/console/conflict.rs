//! Two who change one value: what is joined, what is asked, and that nothing is lost.

use kvscope::kv::{Revision, Store};

use super::editing::{editing, stored};
use super::harness::Console;

const BASE: &str = "{\n  \"currency\": \"EUR\",\n  \"max\": 1,\n  \"url\": \"v1\"\n}\n";

/// A console with `"max": 12` typed and looked at, on a value that is another by then.
async fn conflicting(theirs: Option<&str>) -> (Console, Store) {
    let (mut console, config) = editing(&[("limits", BASE)]).await;
    console.settled("down down end left 2").await;
    match theirs {
        Some(theirs) => config.put("limits", theirs.to_owned()).await.unwrap(),
        None => config.delete("limits", None).await.unwrap(),
    };
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    (console, config)
}

#[tokio::test(start_paused = true)]
async fn changes_of_different_paths_are_joined_and_shown_for_approval() {
    let theirs = BASE.replace("EUR", "USD");
    let (mut console, config) = conflicting(Some(&theirs)).await;
    let screen = console.screen();
    for words in [
        "limits moved from revision 1 to 2",
        ".max",
        ".currency",
        "merged",
        "All is joined",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    console.settled("ctrl-s").await;
    let screen = console.screen();
    assert!(
        screen.contains("Save limits on revision 2?") && screen.contains("1 → 12"),
        "{screen}"
    );
    assert!(
        !screen.contains(".currency"),
        "theirs is there already: {screen}"
    );
    console.settled("enter").await;
    assert!(
        console.screen().contains("merged and saved"),
        "{}",
        console.screen()
    );
    assert!(console.area_of(" Edit ").is_none());
    let wanted = theirs.replace("1,", "12,");
    assert_eq!(stored(&config, "limits").await, (wanted, Revision(3)));
}

#[tokio::test(start_paused = true)]
async fn the_same_path_needs_a_choice_and_can_be_edited() {
    let theirs = BASE.replace("1,", "7,");
    for (keys, wanted) in [("1", "12"), ("2", "7"), ("e", "99")] {
        let (mut console, config) = conflicting(Some(&theirs)).await;
        assert!(
            console.screen().contains("1 to choose"),
            "{}",
            console.screen()
        );
        console.settled("ctrl-s").await;
        assert!(
            console.screen().contains("1 to choose"),
            "it is not saved without"
        );
        console.press(keys);
        if keys == "e" {
            console.press("ctrl-u");
            console.type_text("9 9");
            console.press("enter");
            assert!(
                console.screen().contains("not JSON"),
                "{}",
                console.screen()
            );
            console.press("left backspace enter");
        }
        assert!(
            console.screen().contains("All is joined"),
            "{keys}: {}",
            console.screen()
        );
        console.settled("ctrl-s").await;
        if keys == "2" {
            // What they have is there already.
            assert!(
                console.screen().contains("byte for byte"),
                "{}",
                console.screen()
            );
        }
        console.settled("enter").await;
        let (value, _) = stored(&config, "limits").await;
        assert_eq!(value, BASE.replace("1,", &format!("{wanted},")), "{keys}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_of_several_lines_is_edited_in_the_editor() {
    let (mut console, config) = editing(&[("limits", "{\n  \"p\": 1,\n  \"z\": 0\n}")]).await;
    console.settled("down end left backspace").await;
    console.paste("{\"a\": 1, \"b\": 2}");
    let theirs = "{\n  \"p\": {\"c\": 3, \"d\": 4},\n  \"z\": 0\n}";
    config.put("limits", theirs).await.unwrap();
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert!(
        console.screen().contains("1 to choose"),
        "{}",
        console.screen()
    );
    console.settled("e").await;
    let screen = console.screen();
    assert!(
        screen.contains(" Edit .p of limits ─ a choice ") && screen.contains("\"b\": 2"),
        "{screen}"
    );
    // It is JSON, and checked as that; what is none can't stand there.
    console.settled("down end 9 delete").await;
    console.settled("ctrl-home delete").await;
    assert!(console.screen().contains("✖"), "{}", console.screen());
    console.settled("ctrl-s").await;
    assert!(
        console.screen().contains("it can't stand there: line"),
        "{}",
        console.screen()
    );
    assert!(console.area_of(" Edit .p").is_some());
    // Left without a word, it is not thrown away.
    console.settled("esc").await;
    assert!(
        console.screen().contains("The text is not taken"),
        "{}",
        console.screen()
    );
    console.settled("esc ctrl-u ctrl-u ctrl-u").await;
    for _ in 0..4 {
        console.settled("ctrl-u").await;
    }
    console
        .settled("ctrl-home down end left backspace 7 ctrl-s")
        .await;
    let screen = console.screen();
    assert!(
        screen.contains("All is joined") && screen.contains("edited"),
        "{screen}"
    );
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    let (value, revision) = stored(&config, "limits").await;
    assert_eq!(revision, Revision(3));
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!(value, serde_json::json!({"p": {"a": 7, "b": 2}, "z": 0}));
}

#[tokio::test(start_paused = true)]
async fn a_choice_of_several_lines_of_text_is_edited_to_the_letter() {
    let (mut console, config) = editing(&[("note", "one\ntwo\nthree\n")]).await;
    console.settled("down M enter M").await;
    config.put("note", "one\nT1\nT2\nthree\n").await.unwrap();
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert!(
        console.screen().contains("1 to choose"),
        "{}",
        console.screen()
    );
    console.settled("e").await;
    let screen = console.screen();
    assert!(screen.contains("of note ─ a choice "), "{screen}");
    console.settled("ctrl-home x ctrl-s").await;
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    let (value, _) = stored(&config, "note").await;
    assert_eq!(value, "one\nxM\nMtwo\nthree\n");
}

#[tokio::test(start_paused = true)]
async fn what_they_had_is_not_said_to_be_there_when_they_wrote_again() {
    let (mut console, config) = conflicting(Some(&BASE.replace("1,", "7,"))).await;
    console.press("2");
    let newer = BASE.replace("1,", "9,");
    config.put("limits", newer.clone()).await.unwrap();
    console.settled("ctrl-s").await;
    let screen = console.screen();
    for words in [
        "Save limits on revision 2?",
        "byte for byte",
        "Somebody wrote it meanwhile",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    console.settled("enter").await;
    let screen = console.screen();
    assert!(
        screen.contains("limits moved from revision 2 to 3") && !screen.contains("it is that"),
        "{screen}"
    );
    assert_eq!(stored(&config, "limits").await, (newer, Revision(3)));
}

#[tokio::test(start_paused = true)]
async fn it_goes_again_and_again_and_back_to_the_editor() {
    let (mut console, config) = conflicting(Some(&BASE.replace("EUR", "USD"))).await;
    console.settled("ctrl-s").await;
    // They write once more, between the look and the agreement.
    config
        .put("limits", BASE.replace("EUR", "USD").replace("v1", "v2"))
        .await
        .unwrap();
    console.settled("enter").await;
    let screen = console.screen();
    assert!(
        screen.contains("limits moved from revision 2 to 3"),
        "{screen}"
    );
    assert!(
        screen.contains(".url") && !screen.contains(".currency"),
        "{screen}"
    );
    // Back to the editor: the text is as it was typed.
    console.press("esc");
    assert!(
        console.row_in(" Edit ", "3   \"max\": 12,").is_some(),
        "{}",
        console.screen()
    );
    assert!(
        console
            .screen()
            .contains("changed by someone else: put at revision 3")
    );
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    let wanted = BASE
        .replace("EUR", "USD")
        .replace("v1", "v2")
        .replace("1,", "12,");
    assert_eq!(stored(&config, "limits").await, (wanted, Revision(4)));
}

#[tokio::test(start_paused = true)]
async fn a_key_deleted_meanwhile_is_a_conflict_too() {
    let (mut console, config) = conflicting(None).await;
    let screen = console.screen();
    assert!(
        screen.contains("was deleted") && screen.contains("1 to choose"),
        "{screen}"
    );
    console.settled("1 ctrl-s").await;
    console.settled("enter").await;
    assert_eq!(
        stored(&config, "limits").await,
        (BASE.replace("1,", "12,"), Revision(3))
    );
    // Left as they left it.
    let (mut console, config) = conflicting(None).await;
    console.settled("2 ctrl-s").await;
    assert!(
        console.screen().contains("the key stays gone"),
        "{}",
        console.screen()
    );
    assert!(config.get("limits").await.unwrap().unwrap().is_marker());
    assert!(console.area_of(" Edit ").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_over_a_secret_stays_masked() {
    let base = "{\n  \"token\": \"old\",\n  \"b\": 1\n}";
    let (mut console, config) = editing(&[("limits", base)]).await;
    console.settled("ctrl-t down end left left X").await;
    config
        .put("limits", base.replace("old", "theirs"))
        .await
        .unwrap();
    console.settled("ctrl-s").await;
    assert!(
        !console.screen().contains("olXd") && !console.screen().contains("oldX"),
        "{}",
        console.screen()
    );
    console.settled("enter").await;
    let screen = console.screen();
    assert!(
        screen.contains(".token") && screen.contains("1 to choose"),
        "{screen}"
    );
    assert!(
        !screen.contains("theirs\"") && !screen.contains("old"),
        "{screen}"
    );
    console.press("e");
    assert!(
        console.screen().contains("it is a secret"),
        "{}",
        console.screen()
    );
    console.press("m");
    assert!(
        console.screen().contains("\"theirs\""),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn it_fits_every_size() {
    let (mut console, _) = conflicting(Some(&BASE.replace("1,", "7,").replace("EUR", "USD"))).await;
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        console.resize(width, height);
        console.settle().await;
        let screen = console.screen();
        assert!(
            screen.contains(".max") && screen.contains("to choose"),
            "{width}×{height}:\n{screen}"
        );
    }
}
