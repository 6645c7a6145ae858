//! Whole buckets in the console: made, changed, looked at, compacted, deleted.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig, Storage};
use kvscope::kv::faulty::Faulty;
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, ReadOnly, Store};

use super::harness::Console;
use super::planted::Planted;
use super::session::run;
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
        console
            .screen()
            .contains("\"99\" is not a number from 1 to 64"),
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

/// A console on a bucket with so many deleted keys, each of which takes 10 ms to be removed, with
/// what there is to remove on the screen.
async fn about_to_compact(deleted: usize) -> (Console, Arc<Memory>) {
    let (memory, config) = store(&[("a", "1")]).await;
    for n in 0..deleted {
        config.delete(format!("k{n}"), None).await.unwrap();
    }
    let (slow, faults) = Faulty::new(memory.clone());
    let mut console = at_buckets(Arc::new(slow)).await;
    console.press("C");
    console.settle().await;
    for _ in 0..3 {
        console.press("a");
        console.settle().await;
    }
    let words = format!("of any age: {deleted}.");
    assert!(console.screen().contains(&words), "{}", console.screen());
    faults.delay(Duration::from_millis(100));
    (console, memory)
}

async fn markers(memory: &Memory) -> u64 {
    let bucket = memory.bucket(&name("config")).await.unwrap();
    bucket.info().await.unwrap().keys - 1
}

#[tokio::test(start_paused = true)]
async fn compacting_tells_how_far_it_is_and_can_be_stopped() {
    let (mut console, memory) = about_to_compact(200).await;
    console.press("enter");
    assert!(console.screen().contains("removing … 0 of 200"));
    console
        .until("more than a page of it is gone", |screen| {
            let at = screen.find("removing … ").unwrap() + "removing … ".len();
            let done: u64 = screen[at..].split(' ').next().unwrap().parse().unwrap();
            done >= 32
        })
        .await;
    console.press("s");
    assert!(
        console.screen().contains("stopping … "),
        "{}",
        console.screen()
    );
    console.shows("; stopped, ").await;
    let line = console.line_with("; stopped, ");
    let left = markers(&memory).await;
    assert!((1..=168).contains(&left), "{line}");
    assert!(
        line.contains(&format!("; stopped, {left} are left")),
        "{line}"
    );
    // What is left can be removed later.
    console.press("C");
    console.shows(&format!("of any age: {left}")).await;
    console.press("enter");
    console.shows(&format!("{left} markers removed.")).await;
    assert_eq!(markers(&memory).await, 0);
}

#[tokio::test(start_paused = true)]
async fn compacting_goes_on_when_its_dialog_is_left() {
    let (mut console, memory) = about_to_compact(100).await;
    console.press("enter esc");
    assert!(!console.screen().contains("removing"));
    console.shows("config: 100 markers removed").await;
    assert_eq!(markers(&memory).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_palette_reaches_buckets_from_everywhere() {
    let (memory, _) = store(&[("a", "1")]).await;
    let other = BucketConfig::new(name("other"));
    memory.create_bucket(&other).await.unwrap();
    let mut console = at_buckets(memory.clone()).await;
    // From the keys it is the open bucket that is meant, whatever is selected in the list.
    console.press("j");
    run(&mut console, "about-bucket");
    assert!(
        console.screen().contains("Bucket other"),
        "{}",
        console.screen()
    );
    console.press("esc k enter");
    console.settle().await;
    run(&mut console, "edit-bucket");
    console.settle().await;
    assert!(
        console.screen().contains(" Bucket config "),
        "{}",
        console.screen()
    );
    console.press("esc");
    for screen in ["2", "3", "4"] {
        console.press(screen);
        console.settle().await;
        // Nothing is selected here that could be meant.
        run(&mut console, "compact");
        let words = "no bucket is selected; name it: compact NAME";
        assert!(console.screen().contains(words), "{}", console.screen());
        run(&mut console, "compact other");
        console.settle().await;
        assert!(
            console.screen().contains("Bucket other"),
            "{}",
            console.screen()
        );
        console.press("esc");
        run(&mut console, "new-bucket");
        assert!(console.screen().contains("New bucket"));
        console.press("esc");
    }
    run(&mut console, "delete-bucket other");
    console.settle().await;
    console.type_text("other");
    console.press("enter");
    console.settle().await;
    assert!(memory.bucket(&name("other")).await.is_err());
    // One that is not listed is named all the same.
    run(&mut console, "about-bucket hidden");
    console.settle().await;
    assert!(
        console.screen().contains("there is no bucket \"hidden\""),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_mirror_says_so_and_repeats_nothing() {
    let planted = Planted::default();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    for bucket in ["config", "copy"] {
        planted.plant(bucket, "a", "1", now - 5_000);
    }
    planted.mirror("copy", "config");
    let mut console = at_buckets(Arc::new(planted.clone())).await;
    assert!(
        console
            .row_in(" Buckets ", "copy")
            .unwrap()
            .contains(" mirror ")
    );
    assert!(
        !console
            .row_in(" Buckets ", "config")
            .unwrap()
            .contains("mirror")
    );
    console.press("3");
    for bucket in ["config", "copy"] {
        planted.plant(bucket, "a", "2", now);
    }
    console.settle().await;
    let told = console.pane(" Activity ");
    assert_eq!(
        told.iter().filter(|row| row.contains("put")).count(),
        1,
        "{told:#?}"
    );
    console.press("4");
    console.settle().await;
    assert!(
        console.screen().contains("mirror of config"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn the_smallest_window_still_shows_what_is_asked() {
    let (memory, config) = store(&[("a", "1"), ("b", "2")]).await;
    config.delete("a", None).await.unwrap();
    let mut console = Console::on(memory.clone(), 40, 10);
    console.is_live().await;
    console.settle().await;
    console.press("esc n");
    let screen = console.screen();
    assert!(
        screen.contains("description") && screen.contains("history"),
        "{screen}"
    );
    console.press("esc C");
    console.settle().await;
    for _ in 0..3 {
        console.press("a");
        console.settle().await;
    }
    let screen = console.screen();
    assert!(screen.contains("of any age: 1."), "{screen}");
    assert!(screen.contains("Enter remove"), "{screen}");
    console.press("enter");
    console.settle().await;
    assert!(
        console.screen().contains("1 markers removed."),
        "{}",
        console.screen()
    );
    console.press("esc 4");
    console.settle().await;
    assert!(
        console.screen().contains("read and write"),
        "{}",
        console.screen()
    );
}
