//! Undoing one's own last write, whatever it was, if nobody wrote since.

use std::sync::Arc;

use kvscope::kv::Store;
use kvscope::kv::backend::{Backend as _, BucketConfig};
use kvscope::kv::memory::Memory;

use super::harness::Console;
use super::{in_keys, opened};

/// What a key holds, and at which revision; nothing where it is gone.
async fn holds(config: &Store, key: &str) -> (u64, Option<String>) {
    let entry = config.get(key).await.unwrap().unwrap();
    let value = entry
        .live_value()
        .map(|value| String::from_utf8(value.to_vec()).unwrap());
    (entry.revision.0, value)
}

/// Undoes, with a look at it first.
async fn undo(console: &mut Console, title: &str) {
    console.settled("u").await;
    assert!(console.screen().contains(title), "{}", console.screen());
    console.settled("enter").await;
    assert!(
        console.screen().contains("undone: limits is"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_undone_by_the_same_check() {
    let (mut console, config) = opened(&[("limits", "{\"a\": 1}")]).await;
    console.press("u");
    assert!(console.screen().contains("nothing of yours to undo"));
    console.settled("e").await;
    console.settled("down end backspace 2").await;
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert_eq!(
        holds(&config, "limits").await,
        (2, Some("{\"a\": 2}".to_owned()))
    );
    console.settled("u").await;
    let screen = console.screen();
    assert!(
        screen.contains("Undo revision 2 of limits?") && screen.contains("2 → 1"),
        "{screen}"
    );
    console.settled("enter").await;
    let before = (3, Some("{\"a\": 1}".to_owned()));
    assert_eq!(holds(&config, "limits").await, before);
    // The undoing is a write of its own. Somebody writes between the look and the agreement.
    console.settled("u").await;
    config.put("limits", "{}").await.unwrap();
    console.settled("enter").await;
    assert!(
        console.screen().contains("it has moved to revision 4"),
        "{}",
        console.screen()
    );
    assert_eq!(holds(&config, "limits").await, (4, Some("{}".to_owned())));
    // And where somebody did before, it is said at once.
    console.settled("esc u").await;
    assert!(
        console
            .screen()
            .contains("somebody wrote limits since, revision 4"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_undone_over_its_marker() {
    let (mut console, config) = opened(&[("limits", "{\"a\": 1}")]).await;
    console.settled("D").await;
    console.settled("enter").await;
    console.settled("esc").await;
    assert_eq!(holds(&config, "limits").await, (2, None));
    undo(&mut console, "Undo revision 2 of limits?").await;
    assert_eq!(
        holds(&config, "limits").await,
        (3, Some("{\"a\": 1}".to_owned()))
    );
    // And once more: it is deleted again.
    console.settled("u").await;
    let screen = console.screen();
    assert!(
        screen.contains("undoing that deletes it") && screen.contains("nats kv del config limits"),
        "{screen}"
    );
    console.settled("enter").await;
    assert!(
        console
            .screen()
            .contains("undone: limits is deleted again, revision 4"),
        "{}",
        console.screen()
    );
    assert_eq!(holds(&config, "limits").await, (4, None));
    // Somebody made it anew since.
    config.put("limits", "theirs").await.unwrap();
    console.settled("u").await;
    assert!(
        console
            .screen()
            .contains("somebody wrote limits since, revision 5"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_undone_where_no_history_is_kept() {
    let memory = Arc::new(Memory::new());
    let name = kvscope::kv::BucketName::new("config").unwrap();
    memory
        .create_bucket(&BucketConfig::new(name))
        .await
        .unwrap();
    let config = Store::open(&*memory, "config").await.unwrap();
    config.put("limits", "precious").await.unwrap();
    let mut console = in_keys(Console::on(memory, 120, 30)).await;
    console.settled("D").await;
    console.settled("enter").await;
    console.settled("esc").await;
    undo(&mut console, "Undo revision 2 of limits?").await;
    assert_eq!(
        holds(&config, "limits").await,
        (3, Some("precious".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_undone_by_deleting_it_at_its_revision() {
    let (mut console, config) = opened(&[("a", "1")]).await;
    console.settled("n").await;
    console.type_text("limits");
    console.settled("enter").await;
    console.type_text("new");
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert_eq!(holds(&config, "limits").await, (2, Some("new".to_owned())));
    // Somebody writes it between the look and the agreement.
    console.settled("u").await;
    config.put("limits", "theirs").await.unwrap();
    console.settled("enter").await;
    assert_eq!(
        holds(&config, "limits").await,
        (3, Some("theirs".to_owned()))
    );
    console.settled("esc").await;
    config.delete("limits", None).await.unwrap();
    // Made over a marker, it is undone to a marker.
    console.settled("n").await;
    console.type_text("limits");
    console.settled("enter").await;
    console.type_text("new");
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert_eq!(holds(&config, "limits").await, (5, Some("new".to_owned())));
    undo(&mut console, "undoing that deletes it").await;
    assert_eq!(holds(&config, "limits").await, (6, None));
}

#[tokio::test(start_paused = true)]
async fn a_revert_is_undone() {
    let (mut console, config) = opened(&[("limits", "first")]).await;
    config.put("limits", "second").await.unwrap();
    console.settle().await;
    console.settled("h").await;
    console.settled("j R").await;
    console.settled("enter").await;
    console.settled("esc").await;
    assert_eq!(
        holds(&config, "limits").await,
        (3, Some("first".to_owned()))
    );
    undo(&mut console, "Undo revision 3 of limits?").await;
    assert_eq!(
        holds(&config, "limits").await,
        (4, Some("second".to_owned()))
    );
    // One that brought a deleted key back is undone by deleting it again.
    config.delete("limits", None).await.unwrap();
    console.settle().await;
    console.settled("a h").await;
    console.settled("j R").await;
    console.settled("enter").await;
    console.settled("esc").await;
    assert_eq!(
        holds(&config, "limits").await,
        (6, Some("second".to_owned()))
    );
    undo(&mut console, "undoing that deletes it").await;
    assert_eq!(holds(&config, "limits").await, (7, None));
}

#[tokio::test(start_paused = true)]
async fn what_cant_be_undone_says_why() {
    let (mut console, config) = opened(&[("a", "1"), ("b", "2"), ("limits", "3")]).await;
    console.settled("G D p").await;
    console.type_text("limits");
    console.settled("enter").await;
    console.settled("esc u").await;
    assert!(
        console
            .screen()
            .contains("the purge of limits can't be undone"),
        "{}",
        console.screen()
    );
    console.settled("g X D").await;
    console.type_text("2");
    console.settled("enter").await;
    console.settled("esc u").await;
    assert!(
        console
            .screen()
            .contains("2 keys were deleted at once: h on each"),
        "{}",
        console.screen()
    );
    assert_eq!(holds(&config, "b").await.1, None);
}
