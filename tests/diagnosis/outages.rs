//! What a server can suffer, each on a server of its own: nobody may be blamed for it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::stage::{Outcome, Stage, wanted};
use crate::support::{NatsServer, eventually};

const LEASE: u64 = 6;
/// Who looks for the first time when the server is there again finds sessions that have not beaten
/// for longer than their leases, and says so until they do.
const FIRST_LOOK: &[&str] = &["Json:suspect-holder"];

pub(crate) async fn run() -> Vec<Outcome> {
    let (mut outage, rolled_back) = tokio::join!(outage(), rolled_back());
    outage.extend(rolled_back);
    outage
}

/// The server is gone for longer than anybody's lease.
async fn outage() -> Vec<Outcome> {
    let mut server = NatsServer::start();
    let mut stage = Stage::new("nats", server.url()).await;
    stage.open().await;
    let (mut holder, mut waiter) = tokio::join!(stage.worker(LEASE), stage.worker(LEASE));
    let begun = Instant::now();
    holder.take("write one outage").await;
    waiter.say("write w outage").await;
    let before = wanted("before an outage", "outage", "contended", FIRST_LOOK);
    let before = stage.sees(before, begun).await;
    server.kill();
    tokio::time::sleep(Duration::from_secs(LEASE + 1)).await;
    server.restart();
    let begun = Instant::now();
    let after = wanted(
        "an outage that is just over",
        "outage",
        "contended",
        FIRST_LOOK,
    );
    let after = stage.sees_anew(after, begun).await;
    // As long as it takes until silence would count again.
    tokio::time::sleep(Duration::from_secs(LEASE)).await;
    stage.keep((holder, waiter));
    stage.close(vec![before, after]).await
}

/// The stream goes back to what it was some time ago.
async fn rolled_back() -> Vec<Outcome> {
    let mut server = NatsServer::start();
    let mut stage = Stage::new("nats", server.url()).await;
    stage.open().await;
    let (mut holder, mut waiter) = tokio::join!(stage.worker(LEASE), stage.worker(LEASE));
    let begun = Instant::now();
    holder.take("write one rolled").await;
    let before = wanted(
        "before a stream is rolled back",
        "rolled",
        "healthy",
        FIRST_LOOK,
    );
    let before = stage.sees(before, begun).await;
    server.kill();
    let kept = tempfile::tempdir().unwrap();
    copy(&server.store(), kept.path());
    server.restart();
    // It may be told first that the server is not there yet.
    eventually("the waiter is in line", async || {
        waiter.say("write w rolled").await;
        stage.has_waiter("rolled").await
    })
    .await;
    let queued = wanted(
        "a waiter that will be forgotten",
        "rolled",
        "contended",
        FIRST_LOOK,
    );
    let queued = stage.sees(queued, begun).await;
    let begun = Instant::now();
    server.kill();
    // A dead waiter would be one in truth for who has read of it, so it dies when nobody reads.
    stage.is_unanswered(begun).await;
    waiter.kill().await;
    std::fs::remove_dir_all(server.store()).unwrap();
    copy(kept.path(), &server.store());
    server.restart();
    let begun = Instant::now();
    let after = wanted(
        "a stream that was rolled back",
        "rolled",
        "healthy",
        FIRST_LOOK,
    );
    let after = stage.sees_anew(after, begun).await;
    tokio::time::sleep(Duration::from_secs(LEASE)).await;
    stage.keep(holder);
    stage.close(vec![before, queued, after]).await
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}
