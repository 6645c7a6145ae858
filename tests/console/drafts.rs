//! Unsaved text: it outlives a quit, a lost terminal and a crash, and is offered again.

use std::path::Path;
use std::sync::Arc;

use kvscope::edit::draft::Policy;
use kvscope::kv::memory::Memory;
use kvscope::ui::message::{Effect, Message};
use kvscope::ui::worker::Drafts;

use super::harness::{Console, Places};
use super::store;

const LIMITS: &str = "{\n  \"max\": 1,\n  \"b\": 2\n}";

/// A console that keeps drafts in a folder, with the keyboard in the keys.
async fn keeping(memory: &Arc<Memory>, folder: &Path, policy: Policy) -> Console {
    let places = Places {
        given: Ok(Arc::clone(memory) as _),
        others: Vec::new(),
    };
    let folder = folder.join("drafts");
    let mut console = Console::with(places, 120, 30, |settings| {
        settings.drafts = Drafts::new(kvscope::config::Drafts::at(folder, policy));
    });
    console.is_live().await;
    console.settle().await;
    console.press("enter");
    console.settle().await;
    console
}

/// The files that were kept.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.join("drafts"));
    let entries = entries.into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Opens the editor and types an `x` in front.
async fn typed(console: &mut Console) {
    console.press("e");
    console.settle().await;
    console.press("down end left 7");
    console.pass(2_000);
    console.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_nothing_and_a_save_ends_the_draft() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, config) = store(&[("limits", LIMITS)]).await;
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    typed(&mut console).await;
    assert_eq!(files(dir.path()).len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&files(dir.path())[0])
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "the user's alone");
    }
    drop(console);
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    console.press("e");
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("A text that was not saved is here"),
        "{}",
        console.screen()
    );
    assert!(
        console.row_in(" Edit ", "2   \"max\": 1,").is_some(),
        "the store's is shown"
    );
    console.press("t");
    console.settle().await;
    assert!(
        console.row_in(" Edit ", "2   \"max\": 17,").is_some(),
        "{}",
        console.screen()
    );
    console.press("ctrl-s");
    console.settle().await;
    console.press("enter");
    console.settle().await;
    let entry = config.get("limits").await.unwrap().unwrap();
    assert_eq!(
        entry.value.unwrap().as_ref(),
        LIMITS.replace("1,", "17,").as_bytes()
    );
    assert!(files(dir.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_draft_from_before_somebodys_change_is_joined_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, config) = store(&[("limits", LIMITS)]).await;
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    typed(&mut console).await;
    console.press("esc k");
    console.settle().await;
    assert!(
        console.screen().contains("kept as a draft"),
        "{}",
        console.screen()
    );
    config
        .put("limits", LIMITS.replace('2', "3"))
        .await
        .unwrap();
    console.settle().await;
    console.press("e");
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("from revision 1, since when the key has moved"),
        "{}",
        console.screen()
    );
    console.press("t");
    console.settle().await;
    console.press("ctrl-s");
    console.settle().await;
    console.press("enter");
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("limits moved from revision 1 to 2"),
        "{}",
        console.screen()
    );
    console.press("ctrl-s");
    console.settle().await;
    console.press("enter");
    console.settle().await;
    let entry = config.get("limits").await.unwrap().unwrap();
    let wanted = LIMITS.replace("1,", "17,").replace("2\n", "3\n");
    assert_eq!(
        String::from_utf8(entry.value.unwrap().to_vec()).unwrap(),
        wanted
    );
}

#[tokio::test(start_paused = true)]
async fn leaving_by_mistake_keeps_it_and_says_so() {
    for by_signal in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _) = store(&[("limits", LIMITS)]).await;
        let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
        console.press("e");
        console.settle().await;
        console.press("x");
        if by_signal {
            console.tell(Message::Terminate);
        } else {
            console.press("ctrl-q");
        }
        assert_eq!(console.asked.last(), Some(&Effect::Quit));
        let farewell = console.app.farewell();
        assert!(
            farewell[0].contains("limits in config was kept as a draft"),
            "{farewell:?}"
        );
        console.settle().await;
        assert_eq!(files(dir.path()).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, _) = store(&[("limits", LIMITS)]).await;
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    typed(&mut console).await;
    console.press("esc d");
    console.settle().await;
    assert!(files(dir.path()).is_empty());
    typed(&mut console).await;
    drop(console);
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    console.press("e");
    console.settle().await;
    console.press("d");
    console.settle().await;
    assert!(files(dir.path()).is_empty());
    assert!(
        console.row_in(" Edit ", "2   \"max\": 1,").is_some(),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn secrets_are_not_written_in_clear_and_are_found_again() {
    let value = "{\n  \"max\": 1,\n  \"token\": \"s3cret\"\n}";
    let dir = tempfile::tempdir().unwrap();
    let (memory, config) = store(&[("limits", value)]).await;
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    typed(&mut console).await;
    let kept = std::fs::read_to_string(&files(dir.path())[0]).unwrap();
    assert!(kept.contains("17") && !kept.contains("s3cret"), "{kept}");
    drop(console);
    config
        .put("limits", value.replace("s3cret", "other"))
        .await
        .unwrap();
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    console.press("e");
    console.settle().await;
    console.press("t ctrl-t");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("\"max\": 17") && screen.contains("s3cret"),
        "{screen}"
    );
    // In clear, it is not kept any more.
    console.press("ctrl-home x");
    console.pass(2_000);
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("no draft is kept: secrets stand in it"),
        "{}",
        console.screen()
    );
    assert!(files(dir.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn lost_secrets_are_not_taken_for_bullets() {
    let value = "{\n  \"max\": 1,\n  \"token\": \"s3cret\"\n}";
    let dir = tempfile::tempdir().unwrap();
    let (memory, config) = store(&[("limits", value)]).await;
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    typed(&mut console).await;
    drop(console);
    // What it was begun with is not in the history any more.
    for n in 0..6 {
        config
            .put("limits", format!("{{\"max\": {n}}}"))
            .await
            .unwrap();
    }
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    console.press("e");
    console.settle().await;
    console.press("t");
    console.settle().await;
    console.press("ctrl-s");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("a masked secret was changed in part"),
        "{screen}"
    );
    assert!(!screen.contains("Enter save"), "{screen}");
}
