//! What a place tells `kv::doctor`: the same through every wrapper.

use std::time::Duration;

use tokio::time::Instant;

use super::bench::Probe;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::{Error, Store};

/// How long it may take until a watch is counted.
const NOTICED: Duration = Duration::from_secs(20);

pub(super) async fn place_says_what_it_runs(bench: Bench) -> Outcome {
    let report = bench.backend.report().await?;
    equal(
        report.version.is_some(),
        bench.can().remote,
        "whether a version is told",
    )
}

pub(super) async fn bucket_says_who_watches_it(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    let quiet = store.backend().report().await?;
    equal(quiet.consumers, 0, "consumers before anybody watches")?;
    let (_probe, _) = Probe::all(&store).await?;
    if !bench.can().remote {
        let watched = store.backend().report().await?;
        return equal(watched, quiet, "a place where watches leave no trace");
    }
    // Of several nodes, the one that answers hears of it a moment later.
    let until = Instant::now() + NOTICED;
    loop {
        let watched = store.backend().report().await?;
        if watched.consumers == 1 || Instant::now() > until {
            return equal(watched.consumers, 1, "consumers of one watch");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn missing_bucket_has_no_report(bench: Bench) -> Outcome {
    let config = bench.config()?;
    let store: Store = bench.make(&config).await?;
    bench.backend.delete_bucket(&config.name).await?;
    match store.backend().report().await {
        Err(Error::NoSuchBucket { bucket }) => that(
            bucket == config.name.as_str(),
            format_args!("it says that {bucket} is missing"),
        ),
        other => Err(Failure::new(format!("a report of nothing: {other:?}"))),
    }
}
