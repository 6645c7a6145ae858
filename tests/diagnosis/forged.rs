//! Records written by hand: what no process would write, or would write only after minutes.

use std::time::{Duration, UNIX_EPOCH};

use kvscope::kv::Store;
use kvscope::kv::lock::key_of;
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::session::{Cause, Process, Session};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// A claim of a session; who waits says how many seconds ago it asked.
pub(crate) fn held(session: &str, mode: &str) -> Value {
    claim(session, mode, true, 0)
}

pub(crate) fn waits(session: &str, mode: &str, asked: i64) -> Value {
    claim(session, mode, false, asked)
}

fn claim(session: &str, mode: &str, is_held: bool, asked: i64) -> Value {
    let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let mut claim = json!({
        "id": format!("{session}.{}", fastrand::u32(..)), "sid": session, "k": mode,
        "s": if is_held { "held" } else { "wait" },
        "own": format!("task-{session}"), "label": format!("job-{session}"),
        "t_ms": now - asked * 1000,
    });
    if is_held {
        claim["fence"] = json!(1);
    }
    claim
}

/// A lock's record. It says of itself that it is not the first.
pub(crate) async fn lock(store: &Store, resource: &str, claims: &[Value]) {
    let mut claims = claims.to_vec();
    for (ticket, claim) in claims.iter_mut().enumerate() {
        claim["tkt"] = json!(ticket + 10);
    }
    let record = json!({"v": 1, "next": claims.len() + 10, "q": claims});
    text(store, resource, &record.to_string()).await;
}

/// Something where a lock's record belongs.
pub(crate) async fn text(store: &Store, resource: &str, text: &str) {
    store
        .put(key_of(resource).unwrap(), text.to_owned())
        .await
        .unwrap();
}

/// A record of a `shizuku` service; `acquired` seconds ago, `None` for a zeroed time.
pub(crate) async fn shizuku(
    store: &Store,
    key: &str,
    flags: u8,
    readers: u64,
    acquired: Option<u64>,
) {
    let mut bytes = vec![flags];
    bytes.extend(readers.to_be_bytes());
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    bytes.extend(acquired.map_or(0, |ago| now - ago).to_be_bytes());
    store.put(key, bytes).await.unwrap();
}

/// A session of a machine that is not this one.
pub(crate) fn session(id: &str, lease: Duration) -> Session {
    let process = Process {
        host: format!("host-{id}"),
        boot_id: format!("the machine of {id}"),
        pid: 4711,
        pidns: 1,
        start: 1,
    };
    Session::new(process, Lease::new(lease).unwrap())
}

async fn write(store: &Store, id: &str, session: &Session) {
    let key = Session::key_of(id).unwrap();
    store.put(key, session.to_bytes().unwrap()).await.unwrap();
}

/// A session that beats, this part of its lease after each beat, until it is aborted.
pub(crate) async fn beating(store: &Store, id: &str, lease: Duration, part: f64) -> Beating {
    let mut session = session(id, lease);
    write(store, id, &session).await;
    let (store, id) = (store.clone(), id.to_owned());
    Beating(tokio::spawn(async move {
        loop {
            tokio::time::sleep(lease.mul_f64(part)).await;
            session = session.beaten().unwrap();
            write(&store, &id, &session).await;
        }
    }))
}

/// Stops beating when it is dropped.
pub(crate) struct Beating(JoinHandle<()>);

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A session that was killed just now.
pub(crate) async fn killed(store: &Store, id: &str, why: Cause) {
    let session = session(id, Duration::from_secs(15));
    write(store, id, &session.killed(why, "another").unwrap()).await;
}
