//! Clocks that differ, and times that run out: both go by the store's.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend as _, BucketConfig};
use kvscope::kv::faulty::Faulty;
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Store};

use super::harness::{Console, Places};

/// How long entries of the bucket live. What has run out leaves no marker there.
const TTL: Duration = Duration::from_secs(120);

/// A console on another machine's store, whose clock differs from the console's by so many
/// milliseconds.
async fn console(fast: i64) -> (Console, Store) {
    let memory = Arc::new(Memory::new());
    let mut config = BucketConfig::new(BucketName::new("leases").unwrap());
    config.ttl = Some(TTL);
    memory.create_bucket(&config).await.unwrap();
    let store = Store::open(&*memory, "leases").await.unwrap();
    store.put("lease", "mine").await.unwrap();
    let (faulty, faults) = Faulty::new(memory);
    faults.far_away();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let places = Places {
        given: Ok(Arc::new(faulty)),
        others: Vec::new(),
    };
    let mut console = Console::at(now + fast, places, (120, 30), |_| {});
    console.is_live().await;
    console.settle().await;
    (console, store)
}

/// Time passes on all clocks.
async fn pass(console: &mut Console, time: Duration) {
    for _ in 0..time.as_secs() {
        tokio::time::advance(Duration::from_secs(1)).await;
        console.pass(1_000);
        console.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_takes_no_key_away_and_is_told() {
    for (fast, words) in [(180_000, "3 m fast"), (-180_000, "3 m slow")] {
        let (mut console, _) = console(fast).await;
        pass(&mut console, Duration::from_secs(60)).await;
        let screen = console.screen();
        assert!(screen.contains("● live"), "{screen}");
        assert!(
            screen.contains(&format!("this clock is {words}")),
            "{screen}"
        );
        let row = console.row_in(" Keys ", "lease ").expect("it is there");
        assert!(
            row.contains(" 1 m "),
            "its age, by the store's clock: {row}"
        );
        assert!(screen.contains("put 1 m ago"), "{screen}");
        let left = screen.contains("TTL 1.0 m left") || screen.contains("TTL 59");
        assert!(left, "{screen}");
        console.resize(60, 20);
        let header = console.screen().lines().next().unwrap().to_owned();
        assert!(header.contains("clock!"), "{header}");
        console.resize(120, 30);

        // By the store's clock it is over now.
        pass(&mut console, Duration::from_secs(62)).await;
        let screen = console.screen();
        assert!(screen.contains("this bucket is empty"), "{screen}");
        assert!(screen.contains("Select a key"), "{screen}");
        console.press("4");
        console.settle().await;
        console.shows(&format!("this clock is {words}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_agrees_is_not_spoken_of() {
    let (mut console, _) = console(0).await;
    pass(&mut console, Duration::from_secs(60)).await;
    assert!(!console.screen().contains("clock"), "{}", console.screen());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_meanwhile_takes_no_key_away() {
    let (mut console, _) = console(0).await;
    pass(&mut console, Duration::from_secs(3)).await;
    console.pass(3_600_000);
    console.settle().await;
    let screen = console.screen();
    assert!(console.row_in(" Keys ", "lease ").is_some(), "{screen}");
    pass(&mut console, TTL).await;
    let screen = console.screen();
    assert!(screen.contains("this bucket is empty"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn a_value_goes_with_its_key_when_its_time_is_over() {
    let memory = Arc::new(Memory::new());
    let mut config = BucketConfig::new(BucketName::new("leases").unwrap());
    config.ttl = Some(TTL);
    memory.create_bucket(&config).await.unwrap();
    let store = Store::open(&*memory, "leases").await.unwrap();
    store.put("a", "first").await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    store.put("b", "second").await.unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let places = Places {
        given: Ok(memory),
        others: Vec::new(),
    };
    let mut console = Console::at(now + 60_000, places, (120, 30), |_| {});
    console.is_live().await;
    console.shows("first").await;
    console.settle().await;
    pass(&mut console, Duration::from_secs(62)).await;
    let screen = console.screen();
    assert!(!screen.contains("first"), "{screen}");
    assert!(screen.contains("second"), "the next one is shown: {screen}");
    pass(&mut console, Duration::from_secs(62)).await;
    let screen = console.screen();
    assert!(!screen.contains("second"), "{screen}");
    assert!(screen.contains("Select a key"), "{screen}");
}
