//! Others who write the same key without any of our code: nats-py on a server, and compare-and-set by
//! hand on a file.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use kvscope::kv::{Store, WriteError};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::storm::Accepted;

/// Writes with nats-py so many times.
pub(crate) async fn nats_py(url: &str, bucket: &str, key: &str, writes: u64) -> Vec<Accepted> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/editing/stranger.py");
    let output = Command::new("python3")
        .arg(script)
        .args([url, bucket, key, &writes.to_string()])
        .env("PYTHONPATH", library())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("python3 is needed for this test");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nats-py failed: {told}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .zip(1..)
        .map(|(line, number)| {
            let written: Value = serde_json::from_str(line).unwrap();
            Accepted {
                revision: written["revision"].as_u64().unwrap(),
                value: written["value"].as_str().unwrap().to_owned(),
                meant: vec![(".stranger.n".to_owned(), json!(number))],
            }
        })
        .collect()
}

/// Where nats-py is: `scripts/test` puts it there.
fn library() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/nats-py");
    let folder = std::env::var_os("NATS_PY").map_or(usual, PathBuf::from);
    assert!(
        folder.join("nats").is_dir(),
        "nats-py is not in {}: run `scripts/test` once, which installs it, or name a folder that \
         holds it in NATS_PY",
        folder.display()
    );
    folder
}

/// Writes by hand so many times.
pub(crate) async fn by_hand(store: &Store, key: &str, writes: u64) -> Vec<Accepted> {
    let mut accepted = Vec::new();
    for number in 1..=writes {
        loop {
            let entry = store.get(key).await.unwrap().unwrap();
            let mut value: Value = serde_json::from_slice(entry.live_value().unwrap()).unwrap();
            value["stranger"]["n"] = json!(number);
            let text = serde_json::to_string_pretty(&value).unwrap();
            match store.update(key, text.clone(), entry.revision).await {
                Ok(revision) => {
                    accepted.push(Accepted {
                        revision: revision.0,
                        value: text,
                        meant: vec![(".stranger.n".to_owned(), json!(number))],
                    });
                    break;
                }
                Err(WriteError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    accepted
}
