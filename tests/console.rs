//! The console as a user meets it: keys in, screens out.

mod support {
    pub mod console;
}

use std::sync::Arc;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Store};
use support::console::Console;

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
