//! Unsaved text: it outlives a quit, a lost terminal and a crash, and is offered again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kvscope::edit::draft::Policy;
use kvscope::kv::Error;
use kvscope::kv::memory::Memory;
use kvscope::ui::app::Settings;
use kvscope::ui::message::{Effect, Message, Target};
use kvscope::ui::worker::{Connector, Drafts, Session};

use super::harness::{Console, Places};
use super::{in_keys, store};

const LIMITS: &str = "{\n  \"max\": 1,\n  \"b\": 2\n}";

/// A console that keeps drafts in a folder, with the keyboard in the keys.
async fn keeping(memory: &Arc<Memory>, folder: &Path, policy: Policy) -> Console {
    let places = Places {
        given: Ok(Arc::clone(memory) as _),
        others: Vec::new(),
    };
    let folder = folder.join("drafts");
    let console = Console::with(places, 120, 30, |settings| {
        settings.drafts = Drafts::new(kvscope::config::Drafts::at(folder, policy));
    });
    in_keys(console).await
}

/// The files that were kept.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.join("drafts"));
    let entries = entries.into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Opens the editor and types an `x` in front.
async fn typed(console: &mut Console) {
    console.settled("e").await;
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
    console.settled("e").await;
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
    console.settled("t").await;
    assert!(
        console.row_in(" Edit ", "2   \"max\": 17,").is_some(),
        "{}",
        console.screen()
    );
    console.settled("ctrl-s").await;
    console.settled("enter").await;
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
    console.settled("esc k").await;
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
    console.settled("e").await;
    assert!(
        console
            .screen()
            .contains("from revision 1, since when the key has moved"),
        "{}",
        console.screen()
    );
    console.settled("t").await;
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert!(
        console
            .screen()
            .contains("limits moved from revision 1 to 2"),
        "{}",
        console.screen()
    );
    console.settled("ctrl-s").await;
    console.settled("enter").await;
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
        console.settled("e").await;
        console.press("x");
        if by_signal {
            console.tell(Message::Terminate);
        } else {
            console.press("ctrl-q");
        }
        assert_eq!(console.asked.last(), Some(&Effect::Quit));
        // What is not known to be on disk is not said to be.
        let farewell = console.app.farewell();
        assert!(farewell[0].contains("may be lost"), "{farewell:?}");
        console.settle().await;
        let farewell = console.app.farewell();
        assert!(
            farewell[0].contains("limits in config was kept as a draft"),
            "{farewell:?}"
        );
        assert_eq!(files(dir.path()).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, _) = store(&[("limits", LIMITS)]).await;
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    typed(&mut console).await;
    console.settled("esc d").await;
    assert!(files(dir.path()).is_empty());
    typed(&mut console).await;
    drop(console);
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    console.settled("e").await;
    console.settled("d").await;
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
    console.settled("e").await;
    console.settled("t ctrl-t").await;
    let screen = console.screen();
    assert!(
        screen.contains("\"max\": 17") && screen.contains("s3cret"),
        "{screen}"
    );
    // What is shown in clear is not written in clear, be it JSON or not.
    let mut kept = async |keys: &str| {
        console.press(keys);
        console.pass(2_000);
        console.settle().await;
        let kept = std::fs::read_to_string(&files(dir.path())[0]).unwrap();
        assert!(kept.contains("17") && !kept.contains("s3cret"), "{kept}");
        console.screen()
    };
    let screen = kept("ctrl-home x").await;
    assert!(!screen.contains("the draft is kept without"), "{screen}");
    // A new secret can't be found again: the draft is kept without it, and says so.
    let screen = kept("backspace ctrl-end up end left n").await;
    assert!(
        screen.contains("the draft is kept without the secret that you typed"),
        "{screen}"
    );
    drop(console);
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    console.settled("e").await;
    console.settled("t").await;
    let screen = console.screen();
    assert!(screen.contains("\"max\": 17"), "{screen}");
    assert!(
        screen.contains("a masked secret was changed in part, or is lost"),
        "{screen}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_draft_is_written_again_only_when_the_one_before_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, _) = store(&[("limits", LIMITS)]).await;
    let mut console = keeping(&memory, dir.path(), Policy::NoSecrets).await;
    console.settled("e").await;
    console.press("x");
    console.pass(2_000);
    // The disk is slow; it is typed on.
    console.press("y");
    console.pass(2_000);
    console.settle().await;
    console.pass(2_000);
    console.settle().await;
    let kept = std::fs::read_to_string(&files(dir.path())[0]).unwrap();
    assert!(kept.contains("xy{"), "{kept}");
}

/// Leads to the store `first` at once, and to another one after some time.
#[derive(Debug)]
struct Slowly {
    first: Arc<Memory>,
    other: Arc<Memory>,
}

impl Slowly {
    fn target() -> Target {
        Target::File("other.db".into())
    }
}

#[async_trait::async_trait]
impl Connector for Slowly {
    async fn places(&self) -> Vec<Target> {
        vec![Self::target()]
    }

    async fn connect(&self, target: &Target) -> Result<Session, Error> {
        let (address, backend) = match target {
            Target::Given => ("first", &self.first),
            _ => {
                tokio::time::sleep(Duration::from_secs(5)).await;
                ("other", &self.other)
            }
        };
        Ok(Session {
            backend: Arc::clone(backend) as _,
            label: address.to_owned(),
            address: address.to_owned(),
            command: "kvscope".to_owned(),
            brand: None,
            guard: None,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn going_to_another_place_keeps_the_text_for_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (first, config) = store(&[("limits", LIMITS)]).await;
    let (other, _) = store(&[("limits", "other")]).await;
    let console = |settings: &mut Settings| {
        let folder = dir.path().join("drafts");
        let drafts = kvscope::config::Drafts::at(folder, Policy::NoSecrets);
        settings.drafts = Drafts::new(drafts);
    };
    let places = || Slowly {
        first: Arc::clone(&first),
        other: Arc::clone(&other),
    };
    let mut moving = in_keys(Console::with(places(), 120, 30, console)).await;
    // On the way to the other place, something is edited here.
    moving.settled(":").await;
    moving.type_text("connect");
    moving.settled("enter").await;
    moving.settled("j enter 1").await;
    moving.settled("e").await;
    assert!(moving.area_of(" Edit ").is_some(), "{}", moving.screen());
    moving.press("x");
    moving
        .shows("of the place before: the unsaved text of limits in config was kept")
        .await;
    assert!(moving.area_of(" Edit ").is_none());
    let mut moving = in_keys(moving).await;
    assert_eq!(files(dir.path()).len(), 1);
    // There, nothing is offered; here, it is.
    moving.settled("e").await;
    assert!(moving.screen().contains("1 other"), "{}", moving.screen());
    drop(moving);
    let mut back = in_keys(Console::with(places(), 120, 30, console)).await;
    back.settled("e").await;
    back.settled("t").await;
    assert!(back.screen().contains("1 x{"), "{}", back.screen());
    assert_eq!(config.get("limits").await.unwrap().unwrap().revision.0, 1);
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
    console.settled("e").await;
    console.settled("t").await;
    console.settled("ctrl-s").await;
    let screen = console.screen();
    assert!(
        screen.contains("a masked secret was changed in part"),
        "{screen}"
    );
    assert!(!screen.contains("Enter save"), "{screen}");
}
