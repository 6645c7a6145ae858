//! What the screens look like. Entries and clock are planted, so that no picture changes by itself.

use std::sync::Arc;

use kvscope::ui::message::Target;

use super::harness::{Console, Places};
use super::planted::Planted;

/// 2026-03-01 02:14:07 UTC.
const NOW: i64 = 1_772_331_247_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

const LIMITS: &str = r#"{
  "currency": "EUR",
  "max_per_day": 25000,
  "provider": {
    "url": "https://pay.example/v2",
    "token": "abc123",
    "regions": ["eu-1", "eu-2"]
  },
  "dry_run": false
}
"#;

fn planted() -> Planted {
    let planted = Planted::default();
    let plant = |key: &str, value: &str, age: i64| planted.plant("config", key, value, NOW - age);
    plant("app.billing.providers", "[\"stripe\", \"adyen\"]", 3 * HOUR);
    plant("app.billing.secrets", "{\"token\": \"x\"}", 50 * HOUR);
    plant("app.checkout.timeout", "30s", 26 * HOUR);
    plant("app.search.index", "v7", 4 * MINUTE);
    plant("ops.motd", "Maintenance on Sunday.\n", 400 * HOUR);
    plant("app.billing.limits", LIMITS, 12_000);
    planted.plant("endpoints", "web-1", "10.0.0.1:8080", NOW - HOUR);
    planted.plant("flags", "dark-mode", "true", NOW - 30 * HOUR);
    planted.plant("flags", "new-checkout", "false", NOW - 31 * HOUR);
    planted.delete("config", "app.old", NOW - HOUR);
    planted
}

async fn console(width: u16, height: u16) -> (Console, Planted) {
    let planted = planted();
    let places = Places {
        given: Ok(Arc::new(planted.clone())),
        others: Vec::new(),
    };
    let mut console = Console::at(NOW, places, (width, height), |_| {});
    console.is_live().await;
    console.settle().await;
    console.press("enter");
    console.settle().await;
    (console, planted)
}

#[tokio::test(start_paused = true)]
async fn browse_wide() {
    let (mut console, planted) = console(120, 35).await;
    console.press("t *");
    planted.plant("config", "app.search.index", "v8", NOW);
    console.settle().await;
    insta::assert_snapshot!("browse_120x35", console.screen());
}

#[tokio::test(start_paused = true)]
async fn browse_narrow() {
    let (console, _) = console(80, 24).await;
    insta::assert_snapshot!("browse_80x24", console.screen());
}

#[tokio::test(start_paused = true)]
async fn activity() {
    let (mut console, planted) = console(100, 16).await;
    console.press("3");
    planted.plant("flags", "dark-mode", "false", NOW - 2_000);
    planted.plant("config", "app.billing.limits", LIMITS, NOW - 1_000);
    planted.delete("config", "ops.motd", NOW);
    console.settle().await;
    insta::assert_snapshot!("activity_100x16", console.screen());
}

#[tokio::test(start_paused = true)]
async fn server() {
    let (mut console, _) = console(100, 24).await;
    console.press("4");
    console.settle().await;
    insta::assert_snapshot!("server_100x24", console.screen());
}

#[tokio::test(start_paused = true)]
async fn connect() {
    let places = Places {
        given: Err("connection refused".to_owned()),
        others: vec![(Target::Context("prod-eu".to_owned()), Arc::new(planted()))],
    };
    let mut console = Console::at(NOW, places, (80, 14), |_| {});
    console.shows("connection refused").await;
    console.settle().await;
    insta::assert_snapshot!("connect_80x14", console.screen());
}

#[tokio::test(start_paused = true)]
async fn help() {
    let (mut console, _) = console(100, 30).await;
    console.press("?");
    insta::assert_snapshot!("help_100x30", console.screen());
}

#[tokio::test(start_paused = true)]
async fn palette() {
    let (mut console, _) = console(100, 24).await;
    console.press(":");
    console.type_text("re");
    insta::assert_snapshot!("palette_100x24", console.screen());
}
