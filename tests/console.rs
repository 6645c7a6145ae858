//! The console as a user meets it: keys in, screens out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

#[path = "support/console.rs"]
mod harness;

use std::sync::Arc;

use harness::Console;
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Store};

async fn bucket(backend: &dyn Backend, name: &str) -> Store {
    let mut config = BucketConfig::new(BucketName::new(name).unwrap());
    config.history = 5;
    backend.create_bucket(&config).await.unwrap();
    Store::open(backend, name).await.unwrap()
}

#[tokio::test]
async fn buckets_keys_and_values_are_there() {
    let backend = Arc::new(Memory::new());
    let config = bucket(&*backend, "config").await;
    config
        .put(
            "app.billing.limits",
            r#"{"currency":"EUR","max_per_day":25000}"#,
        )
        .await
        .unwrap();
    config.put("app.search", "on").await.unwrap();
    let mut console = Console::on(backend, 120, 20);
    console.is_live().await;
    console.shows("app.billing.limits").await;
    console.press("enter");
    console.shows("25000").await;
    println!("{}", console.screen());
}

#[tokio::test]
async fn looks() {
    let backend = Arc::new(Memory::new());
    let config = bucket(&*backend, "config").await;
    bucket(&*backend, "flags").await;
    for n in 0..30 {
        config
            .put(
                format!("app.service-{n}.limits"),
                format!(
                    "{{\"n\":{n},\"password\":\"x\",\"list\":[1,2,{{\"a\":null}}],\"t\":true}}"
                ),
            )
            .await
            .unwrap();
    }
    config.delete("app.service-3.limits", None).await.unwrap();
    let mut console = Console::on(backend, 80, 24);
    console.is_live().await;
    console.press("enter");
    console.shows("••••").await;
    println!("{}", console.screen());
    console.press("t");
    console.press("enter");
    println!("{}", console.screen());
    console.resize(50, 12);
    println!("{}", console.screen());
    console.press("enter");
    println!("{}", console.screen());
    console.resize(140, 30);
    console.press("?");
    println!("{}", console.screen());
    console.press("esc :");
    println!("{}", console.screen());
    console.press("esc 3");
    config.put("app.x", "y").await.unwrap();
    console.shows("app.x").await;
    println!("{}", console.screen());
    console.press("4");
    println!("{}", console.screen());
    console.resize(20, 5);
    println!("{}", console.screen());
}
