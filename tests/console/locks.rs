//! The Locks screen: what it shows of locks that are planted as data, and of real ones.

use std::sync::Arc;

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
    console.tell(scene.message());
    console
}

/// Something of everything.
fn night() -> Scene {
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
        .lock("nightly.report", 70, &[]);
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
        console.press("j j j j");
        console.settle().await;
        insta::assert_snapshot!(format!("locks_long_{width}x{height}"), console.screen());
        console.press("enter j");
        insta::assert_snapshot!(format!("locks_queue_{width}x{height}"), console.screen());
    }
    let mut console = console(&night(), 20, 5).await;
    console.press("2");
    insta::assert_snapshot!("locks_20x5", console.screen());
}
