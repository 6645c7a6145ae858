//! Whole buckets in the console: made, changed, looked at, compacted, deleted.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig, Storage};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, ReadOnly, Store};

use super::harness::Console;
use super::store;

fn name(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

async fn at_buckets(memory: Arc<dyn Backend>) -> Console {
    let mut console = Console::on(memory, 120, 40);
    console.is_live().await;
    console.settle().await;
    console
}

async fn config_of(memory: &Memory, bucket: &str) -> BucketConfig {
    let bucket = memory.bucket(&name(bucket)).await.unwrap();
    bucket.info().await.unwrap().config
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_made_in_a_form() {
    let (memory, _) = store(&[("a", "1")]).await;
    let mut console = at_buckets(memory.clone()).await;
    console.press("n");
    let screen = console.screen();
    for words in ["New bucket", "history", "marker ttl", "‹ file ›", "(fixed)"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    // Nothing is saved without a name, and the keyboard goes where something is missing.
    console.press("ctrl-s");
    assert!(console.screen().contains("New bucket"));
    console.type_text("fl ags");
    assert!(console.screen().contains('✖'), "{}", console.screen());
    for _ in 0..4 {
        console.press("backspace");
    }
    console.type_text("ags");
    console.press("tab");
    console.type_text("what for");
    console.press("tab backspace");
    console.type_text("99");
    assert!(
        console.screen().contains("at most 64"),
        "{}",
        console.screen()
    );
    console.press("backspace tab");
    console.type_text("2h");
    // Down to where it is kept, and to memory.
    console.press("tab tab tab tab right");
    assert!(
        console.screen().contains(
            "kvscope bucket add flags --description 'what for' --history 9 --ttl 2h --storage memory"
        ),
        "{}",
        console.screen()
    );
    console.press("ctrl-s");
    console.settle().await;
    assert!(!console.screen().contains("New bucket"));
    assert!(console.screen().contains("made the bucket flags"));
    assert!(console.row_in(" Buckets ", "flags").is_some());
    let made = config_of(&memory, "flags").await;
    assert_eq!((made.history, made.storage), (9, Storage::Memory));
    assert_eq!(made.ttl, Some(Duration::from_secs(7200)));
    assert_eq!(made.description, "what for");
}

#[tokio::test(start_paused = true)]
async fn settings_are_changed_and_what_cannot_be_says_so() {
    let (memory, _) = store(&[("a", "1")]).await;
    let mut console = at_buckets(memory.clone()).await;
    console.press("e");
    console.settle().await;
    // The name first: it is fixed, so the keyboard is in the field after it.
    console.press("up");
    assert!(console.screen().contains("a bucket keeps its name"));
    console.press("down down backspace 7");
    assert!(console.screen().contains("bucket edit config --history 7"));
    for _ in 0..5 {
        console.press("down");
    }
    let screen = console.screen();
    assert!(
        screen.contains("Can't be changed: it stays where it was made"),
        "{screen}"
    );
    console.press("right x");
    // Leaving would lose something: that is asked, and nothing is lost by the question.
    console.press("esc");
    assert!(console.screen().contains("not saved yet"));
    console.press("x ctrl-s");
    console.settle().await;
    assert!(console.screen().contains("changed the bucket config"));
    let changed = config_of(&memory, "config").await;
    assert_eq!((changed.history, changed.storage), (7, Storage::File));
    assert_eq!(changed.marker_ttl, Some(Duration::from_secs(3600)));
}

#[tokio::test(start_paused = true)]
async fn what_others_changed_meanwhile_is_not_changed_back() {
    let (memory, _) = store(&[("a", "1")]).await;
    let mut console = at_buckets(memory.clone()).await;
    console.press("e");
    console.settle().await;
    let mut theirs = config_of(&memory, "config").await;
    theirs.description = "theirs".to_owned();
    memory.change_bucket(&theirs).await.unwrap();
    console.press("tab backspace 7 ctrl-s");
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("somebody changed it meanwhile"), "{screen}");
    assert_eq!(config_of(&memory, "config").await, theirs);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_deleted_by_its_name_alone() {
    let (memory, _) = store(&[("a", "1"), ("b", "2")]).await;
    let mut console = at_buckets(memory.clone()).await;
    console.press("D");
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("2 keys, 2 entries"), "{screen}");
    console.type_text("confi");
    console.press("enter");
    console.settle().await;
    assert!(console.screen().contains("Type the bucket's name"));
    assert!(memory.bucket(&name("config")).await.is_ok());
    console.type_text("g");
    console.press("enter");
    console.settle().await;
    assert!(console.screen().contains("deleted the bucket config"));
    assert!(memory.bucket(&name("config")).await.is_err());
    assert!(
        console.screen().contains("no buckets here"),
        "{}",
        console.screen()
    );
    // Escape leaves everything as it is.
    memory
        .create_bucket(&BucketConfig::new(name("next")))
        .await
        .unwrap();
    console.press("ctrl-r");
    console.settle().await;
    console.press("D esc");
    console.settle().await;
    assert!(memory.bucket(&name("next")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_bucket_and_compacting_it() {
    let (memory, config) = store(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let mut settings = config_of(&memory, "config").await;
    settings.max_bytes = Some(1000);
    memory.change_bucket(&settings).await.unwrap();
    config.delete("a", None).await.unwrap();
    let mut console = at_buckets(memory.clone()).await;
    console.press("i");
    console.settle().await;
    let screen = console.screen();
    for words in [
        "keys            3, 1 of them deleted",
        "of 1000 B █░",
        "last write      revision 4",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    console.press("C");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("2 keys have a value, 1 are deleted"),
        "{screen}"
    );
    assert!(screen.contains("older than 30 m: 0"), "{screen}");
    // The next ages are a day, a week, and any.
    console.press("a");
    console.settle().await;
    console.press("a");
    console.settle().await;
    console.press("a");
    console.settle().await;
    assert!(console.screen().contains("of any age: 1"));
    console.press("enter");
    console.settle().await;
    assert!(
        console.screen().contains("1 markers removed"),
        "{}",
        console.screen()
    );
    assert_eq!(config.get("a").await.unwrap(), None);
    console.press("esc");
    console.settle().await;
    assert!(!console.screen().contains("markers removed"));
    // The Server screen shows it too.
    console.press("4");
    console.settle().await;
    assert!(
        console.line_with("2 keys").contains("of 1000 B █░"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_written_nothing_is_offered() {
    let (memory, config) = store(&[("a", "1")]).await;
    config.delete("a", None).await.unwrap();
    let inner: Arc<dyn Backend> = memory.clone();
    let mut console = at_buckets(Arc::new(ReadOnly::new(inner))).await;
    for key in ["n", "e", "D"] {
        console.press(key);
        assert!(
            console.screen().contains("this connection is read-only"),
            "{key}"
        );
    }
    console.press("C");
    console.settle().await;
    for _ in 0..3 {
        console.press("a");
        console.settle().await;
    }
    console.press("enter");
    console.settle().await;
    assert!(
        console.screen().contains("they stay"),
        "{}",
        console.screen()
    );
    let store = Store::open(&*memory, "config").await.unwrap();
    assert!(store.get("a").await.unwrap().is_some());
}
