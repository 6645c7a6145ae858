//! The Locks screen: what it shows of locks that are planted as data, and of real ones.

use std::sync::Arc;

use kvscope::kv::BucketName;
use kvscope::kv::backend::Backend;
use kvscope::kv::faulty::Faulty;
use kvscope::kv::lock::{Locks, Settings};
use kvscope::kv::memory::Memory;

use super::bucket;
use super::harness::{Console, Places};
use super::planted::Planted;
use super::scene::{Scene, held, waits};

/// 2026-03-01 02:14:34 UTC.
const NOW: i64 = 1_772_331_274_000;

/// A console on a place without locks, which are then planted.
async fn console(scene: &Scene, width: u16, height: u16) -> Console {
    let planted = Planted::default();
    planted.plant("locks", "app.limits", "1", NOW - 60_000);
    scene.plant(&planted);
    let places = Places {
        given: Ok(Arc::new(planted)),
        others: Vec::new(),
    };
    let mut console = Console::at(NOW, places, (width, height), |_| {});
    console.is_live().await;
    console.settle().await;
    // Nothing more comes from the place itself, once it is known to be without locks.
    console.press("2");
    console.is_live().await;
    console.press("1");
    show(&mut console, scene);
    console
}

/// Tells of the locks, and draws them.
fn show(console: &mut Console, scene: &Scene) {
    console.tell(scene.message());
    console.pass(0);
}

/// Something of everything.
pub(crate) fn night() -> Scene {
    let mut scene = Scene::new(NOW);
    scene
        .session("s_8fk2", "batch-1", 4711, &[700, 2])
        .session("s_1qpz", "web-3", 902, &[400, 4])
        .session("s_api1", "web-1", 88, &[400, 1])
        .session("s_api2", "web-2", 89, &[400, 1])
        .session("s_cron", "ops", 12, &[400, 3])
        .session("s_slow", "web-3", 77, &[90, 17])
        .session("s_idx", "idx-1", 301, &[90, 1])
        .session("s_idx2", "idx-2", 302, &[90, 1])
        .lock(
            "billing.ledger",
            663,
            &[held("s_8fk2", 'r', 9077, "report")],
        )
        .lock(
            "billing.ledger",
            252,
            &[
                held("s_8fk2", 'r', 9077, "report"),
                waits("s_1qpz", 'w', "deploy"),
            ],
        )
        .lock(
            "billing.ledger",
            230,
            &[
                held("s_8fk2", 'r', 9077, "report"),
                waits("s_1qpz", 'w', "deploy"),
                waits("s_api1", 'r', "api"),
                waits("s_api2", 'r', "api"),
                waits("s_cron", 'r', "cron"),
            ],
        )
        .lock(
            "orders.shard-7",
            48,
            &[held("s_slow", 'w', 9_120, "deploy")],
        )
        .lock(
            "orders.shard-7",
            31,
            &[
                held("s_slow", 'w', 9_120, "deploy"),
                waits("s_api1", 'r', "api"),
            ],
        )
        .lock("search.index", 3, &[held("s_idx", 'w', 9_204, "indexer")])
        .lock(
            "search.index",
            2,
            &[
                held("s_idx", 'w', 9_204, "indexer"),
                waits("s_idx2", 'w', "indexer"),
            ],
        )
        .lock(
            "orders.shard-2",
            40,
            &[held("s_8fk2", 'r', 9_100, "report")],
        )
        .lock("nightly.report", 80, &[held("s_cron", 'w', 9_050, "cron")])
        .lock("nightly.report", 70, &[])
        .session("s_old", "batch-9", 55, &[90])
        .killed("s_old", "batch-9", 55, "broken", 6)
        .lock("archive.sweep", 60, &[held("s_old", 'w', 9_055, "sweep")])
        .lock(
            "archive.sweep",
            20,
            &[
                held("s_old", 'w', 9_055, "sweep"),
                waits("s_cron", 'w', "cron"),
            ],
        );
    scene.bucket("jobs");
    scene
        .session("s_a", "web-1", 88, &[90, 2])
        .session("s_b", "web-2", 89, &[90, 2])
        .lock("left", 60, &[held("s_a", 'w', 9_060, "mover")])
        .lock("right", 60, &[held("s_b", 'w', 9_061, "mover")])
        .lock(
            "left",
            50,
            &[held("s_a", 'w', 9_060, "mover"), waits("s_b", 'w', "mover")],
        )
        .lock(
            "right",
            50,
            &[held("s_b", 'w', 9_061, "mover"), waits("s_a", 'w', "mover")],
        )
        .shizuku("legacy.cache", 4, 0, 500, 500)
        .shizuku("legacy.import", 1, 3, 12, 12);
    scene
}

#[tokio::test(start_paused = true)]
async fn looks_at_every_size() {
    for (width, height) in [(80, 24), (120, 35), (200, 60)] {
        let mut console = console(&night(), width, height).await;
        console.press("2");
        console.settle().await;
        insta::assert_snapshot!(format!("locks_{width}x{height}"), console.screen());
        console.press("j j j j j");
        console.settle().await;
        insta::assert_snapshot!(format!("locks_long_{width}x{height}"), console.screen());
        console.press("enter j");
        insta::assert_snapshot!(format!("locks_queue_{width}x{height}"), console.screen());
    }
    let mut console = console(&night(), 80, 24).await;
    console.press("2");
    console.resize(20, 5);
    insta::assert_snapshot!("locks_20x5", console.screen());
}

/// The rows of the table: the first word of each.
fn resources(console: &Console) -> Vec<String> {
    let rows = console.pane(" Locks ").into_iter();
    let words = rows.filter_map(|row| row.split_whitespace().next().map(str::to_owned));
    words
        .skip_while(|word| word != "resource")
        .skip(1)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn faults_are_told_from_anywhere_and_stand_first() {
    let mut console = console(&night(), 120, 35).await;
    let header = |console: &Console| console.screen().lines().next().unwrap().to_owned();
    assert!(
        header(&console).contains("2 Locks!"),
        "{}",
        header(&console)
    );
    console.press("3");
    assert!(header(&console).contains("2 Locks!"));
    console.resize(60, 20);
    assert!(header(&console).contains(" 2!"), "{}", header(&console));
    console.resize(120, 35);
    console.press("2");
    let rows = resources(&console);
    assert_eq!(
        rows[..6],
        [
            "left",
            "right",
            "archive.sweep",
            "orders.shard-7",
            "legacy.cache",
            "billing.ledger"
        ]
    );
    // A healthy place says nothing.
    let mut calm = Scene::new(NOW);
    calm.session("s", "web", 1, &[3])
        .lock("a", 10, &[held("s", 'w', 1, "api")]);
    show(&mut console, &calm);
    assert!(!header(&console).contains('!'), "{}", header(&console));
}

#[tokio::test(start_paused = true)]
async fn the_selection_is_a_lock_and_not_a_row() {
    let mut scene = Scene::new(NOW);
    scene
        .session("s", "web", 1, &[100, 3])
        .lock("b", 10, &[held("s", 'w', 1, "api")])
        .lock("d", 10, &[held("s", 'w', 1, "api")]);
    let mut console = console(&scene, 120, 35).await;
    console.press("2 j");
    assert!(
        console
            .selected_in(" Locks ")
            .unwrap()
            .trim_start()
            .starts_with('d')
    );
    // Others come before it, one of them at fault.
    scene
        .lock("a", 5, &[held("s", 'w', 1, "api")])
        .session("gone", "web", 2, &[100, 60])
        .lock("z", 70, &[held("gone", 'w', 1, "api")]);
    show(&mut console, &scene);
    console.settle().await;
    assert_eq!(resources(&console), ["z", "a", "b", "d"]);
    assert!(
        console
            .selected_in(" Locks ")
            .unwrap()
            .trim_start()
            .starts_with('d')
    );
    // Where it goes away, its place is taken by the next.
    let mut without = Scene::new(NOW);
    without
        .session("s", "web", 1, &[100, 3])
        .lock("a", 5, &[held("s", 'w', 1, "api")]);
    show(&mut console, &without);
    assert_eq!(resources(&console), ["a"]);
    assert!(
        console
            .selected_in(" Locks ")
            .unwrap()
            .trim_start()
            .starts_with('a')
    );
}

#[tokio::test(start_paused = true)]
async fn filters_and_orders() {
    let mut console = console(&night(), 120, 35).await;
    console.press("2 /");
    console.type_text("batch-1");
    assert_eq!(resources(&console), ["billing.ledger", "orders.shard-2"]);
    console.press("enter esc");
    assert_eq!(resources(&console).len(), 10);
    let run = |console: &mut Console, line: &str| {
        console.press(":");
        console.type_text(line);
        console.press("enter");
    };
    run(&mut console, "locks stuck");
    assert_eq!(resources(&console).len(), 6, "{}", console.screen());
    assert!(console.screen().contains("6 shown · stuck"));
    run(&mut console, "waiters");
    let rows = resources(&console);
    assert!(rows.contains(&"search.index".to_owned()) && rows.contains(&"legacy.cache".to_owned()));
    assert!(!rows.contains(&"nightly.report".to_owned()));
    run(&mut console, "held");
    assert!(!resources(&console).contains(&"legacy.cache".to_owned()));
    console.press("esc");
    assert_eq!(resources(&console).len(), 10);
    console.press("s");
    assert!(console.screen().contains("by wait ↓"));
    assert_eq!(resources(&console)[0], "billing.ledger");
    console.press("s s s S");
    assert!(console.screen().contains("by resource ↑"));
    assert_eq!(resources(&console)[0], "search.index");
    // Esc has nothing more to take away here, and leaves.
    console.press("esc");
    assert!(console.area_of(" Keys ").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_a_process_holds_and_waits_for_and_what_would_be_freed() {
    let mut console = console(&night(), 120, 35).await;
    console.press("2 j j j j j p");
    let screen = console.screen();
    assert_eq!(
        resources(&console),
        ["billing.ledger", "orders.shard-2"],
        "{screen}"
    );
    let told = console.pane(" Locks ").join(" ");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = "pid 4711 on batch-1 holds 2 and waits for 0. If it goes: billing.ledger goes to \
                  writer deploy@web-3; orders.shard-2 is free.";
    assert!(told.contains(wanted), "{told}");
    console.press("esc");
    // Its session in another bucket has another name: the process is the same.
    console.press(":");
    console.type_text("session s_api1");
    console.press("enter");
    assert_eq!(
        resources(&console),
        ["left", "right", "orders.shard-7", "billing.ledger"],
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn from_a_key_to_its_lock_and_back() {
    let mut console = console(&night(), 120, 35).await;
    console.press(":");
    console.type_text("bucket locks");
    console.press("enter");
    console.settle().await;
    console.press(":");
    console.type_text("key _lock.billing.ledger");
    console.press("enter");
    console.settle().await;
    console.press("L");
    let selected = console.selected_in(" Locks ").unwrap_or_default();
    assert!(selected.contains("billing.ledger"), "{}", console.screen());
    console.press("L");
    console.settle().await;
    assert!(
        console
            .selected_in(" Keys ")
            .unwrap()
            .starts_with("_lock.billing.ledger")
    );
    console.press(":");
    console.type_text("key app.limits");
    console.press("enter L");
    assert!(console.screen().contains("no lock is kept at this key"));
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_date_is_never_shown_as_current() {
    let mut scene = night();
    scene.interrupt(20);
    let mut console = console(&scene, 120, 35).await;
    console.press("2");
    console.settle().await;
    let screen = console.screen();
    // Twenty seconds before 02:14:34; the bucket `jobs` is the one that was interrupted.
    assert!(screen.contains("◌ stale since 02:14:14"), "{screen}");
    assert!(
        console.line_with("left ").contains("◌ deadlock"),
        "{screen}"
    );
    assert!(screen.contains("As of 02:14:14"), "{screen}");
    assert!(screen.contains("─ ◌ deadlock"), "{screen}");
    assert!(!screen.contains("● live"), "{screen}");
    let before = console.line_with(" left ");
    console.pass(30_000);
    assert_eq!(console.line_with(" left "), before, "its ages stand still");
    assert!(
        console.line_with("billing.ledger").contains("4 m 42 s"),
        "others go on"
    );
}

#[tokio::test(start_paused = true)]
async fn ages_go_on_at_one_pace_and_not_without_need() {
    let mut console = console(&night(), 120, 35).await;
    console.press("2");
    console.settle().await;
    let begun = console.now;
    let mut frames = 0;
    while let Some(at) = console.app.deadline().filter(|at| *at <= begun + 10_000) {
        let step = at - console.now;
        assert!(step >= 1_000, "a frame for every row: {step} ms");
        console.pass(step);
        frames += 1;
    }
    assert_eq!(frames, 10);
    let mut idle = Scene::new(NOW);
    idle.lock("at.rest", 100, &[]);
    show(&mut console, &idle);
    console.pass(60_000);
    console.settle().await;
    assert_eq!(console.app.deadline(), None, "nobody holds, nobody waits");
}

#[tokio::test(start_paused = true)]
async fn names_that_others_chose_are_made_visible() {
    let mut scene = Scene::new(NOW);
    scene
        .session("s1", "\u{202e}tsoh", 7, &[3])
        .lock(
            "表/\u{1b}]0;x\u{7}漢字",
            10,
            &[
                held("s1", 'w', 1, "😀\u{1b}[2J\nrm -rf"),
                waits(
                    "s\u{1b}[31m2",
                    'w',
                    "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字",
                ),
            ],
        )
        .record("odd\u{9b}31m", 5, "{\"v\":9,\"q\":[]}");
    for (width, height) in [(80, 24), (120, 35), (200, 60)] {
        let mut console = console(&scene, width, height).await;
        console.press("2");
        console.settle().await;
        console.press("j enter");
        console.settle().await;
        let screen = console.screen();
        assert!(
            !screen.chars().any(|c| c != '\n' && c.is_control()),
            "{screen:?}"
        );
        assert!(!screen.contains('\u{202e}'), "{screen:?}");
        insta::assert_snapshot!(format!("locks_awkward_{width}x{height}"), screen);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_and_the_queue_are_clicked() {
    let mut console = console(&night(), 120, 35).await;
    let (x, y) = console.place_of("2 Locks!");
    console.click(x, y);
    let (x, y) = console.place_of("billing.ledger");
    console.click(x, y);
    console.settle().await;
    assert!(
        console.area_of(" billing.ledger ─ rev").is_some(),
        "{}",
        console.screen()
    );
    let (x, y) = console.place_of("3 reader api@web-2");
    console.click(x, y);
    assert!(
        console
            .screen()
            .contains("pid 89 on web-2 · session s_api2"),
        "{}",
        console.screen()
    );
    console.press("x");
    console.shows("waits for").await;
    let title = "Break reader api@web-2's wait for billing.ledger?";
    assert!(console.area_of(title).is_some(), "{}", console.screen());
}

#[tokio::test(start_paused = true)]
async fn real_locks_are_live_and_buckets_join_and_leave() {
    let memory = Arc::new(Memory::new());
    let store = bucket(&*memory, "locks").await;
    let locks = Locks::new(&store, Settings::default().label("report"));
    let mut console = Console::on(Arc::clone(&memory) as _, 120, 35);
    console.is_live().await;
    console.press("2");
    console.shows("there are no locks in these buckets").await;
    let mut rows = console.pane(" Locks ").into_iter();
    let row = rows.find(|row| row.contains("there are no locks"));
    assert!(row.is_some_and(|row| row.starts_with(" there")));
    let guard = locks.write("billing.ledger").await.unwrap();
    console.shows("● healthy").await;
    assert!(console.line_with("billing.ledger").contains("report@"));
    console.shows("writer report acquired").await;
    guard.release().await.unwrap();
    console.shows("○ idle").await;
    // The past is not read again for every change.
    console.pass(1_000);
    console.shows("writer report released after").await;

    let jobs = bucket(&*memory, "jobs").await;
    let others = Locks::new(&jobs, Settings::default().label("mover"));
    let _guard = others.read("left").await.unwrap();
    console.press("ctrl-r");
    console.shows("mover@").await;
    memory
        .delete_bucket(&BucketName::new("jobs").unwrap())
        .await
        .unwrap();
    console.press("ctrl-r");
    console
        .until("forgets the bucket", |screen| !screen.contains("mover@"))
        .await;
    assert!(console.screen().contains("billing.ledger"));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_and_what_happened_meanwhile_is_there_after_it() {
    let memory = Arc::new(Memory::new());
    let store = bucket(&*memory, "locks").await;
    let locks = Locks::new(&store, Settings::default().label("report"));
    let guard = locks.write("billing.ledger").await.unwrap();
    let (faulty, faults) = Faulty::new(Arc::clone(&memory) as _);
    let mut console = Console::on(Arc::new(faulty), 120, 35);
    console.is_live().await;
    console.press("2");
    console.shows("● healthy").await;
    faults.cut();
    console.shows("◌ healthy").await;
    console
        .until("says since when", |screen| {
            screen.contains("· ◌ stale since")
        })
        .await;
    let before = console.line_with("billing.ledger");
    console.pass(60_000);
    assert_eq!(
        console.line_with("billing.ledger"),
        before,
        "its ages stand still"
    );
    assert!(!console.screen().contains("● live"));
    guard.release().await.unwrap();
    let other = Locks::new(&store, Settings::default().label("deploy"));
    let _held = other.read("orders.shard-7").await.unwrap();
    faults.restore();
    console.is_live().await;
    console.shows("○ idle").await;
    console.shows("deploy@").await;
    assert!(!console.screen().contains("◌"), "{}", console.screen());
}
