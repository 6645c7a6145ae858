//! What only the system account may ask: when servers write to the disk what they acknowledge.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::connect;
use super::options::NatsOptions;
use crate::kv::Error;
use crate::kv::doctor::Synced;

/// How long to wait for one more server after the last that answered.
const QUIET: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
struct Answer {
    data: Option<Varz>,
}

#[derive(Deserialize)]
struct Varz {
    server_name: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Deserialize, Default)]
struct JetStream {
    config: Option<JetStreamConfig>,
}

#[derive(Deserialize)]
struct JetStreamConfig {
    /// In nanoseconds.
    #[serde(default)]
    sync_interval: u64,
    #[serde(default)]
    sync_always: bool,
}

/// Asks all servers of a cluster, as a user of its system account.
///
/// # Errors
/// As [`NatsBackend::connect`](super::NatsBackend::connect), and [`Error::Denied`] for a user who
/// is not of that account.
pub async fn sync_of_servers(options: &NatsOptions) -> Result<Synced, Error> {
    let connected = Box::pin(connect::connect(options)).await?;
    let answers = ask_all(&connected.client, options.timeout).await;
    let mut late = Vec::new();
    let (mut after, mut answered) = (Duration::ZERO, false);
    for answer in answers {
        let Some(varz) = answer.data else {
            continue;
        };
        let Some(config) = varz.jetstream.config else {
            continue;
        };
        answered = true;
        if !config.sync_always {
            after = after.max(Duration::from_nanos(config.sync_interval));
            late.push(varz.server_name);
        }
    }
    match (answered, late.is_empty()) {
        (false, _) => Err(Error::Denied {
            what: "asking servers for their settings; it takes a user of the system account"
                .to_owned(),
        }),
        (true, true) => Ok(Synced::Always),
        (true, false) => {
            late.sort_unstable();
            Ok(Synced::Late {
                after,
                servers: late,
            })
        }
    }
}

async fn ask_all(client: &Client, patience: Duration) -> Vec<Answer> {
    let inbox = client.new_inbox();
    let mut answers = Vec::new();
    let Ok(mut subscription) = client.subscribe(inbox.clone()).await else {
        return answers;
    };
    let subject = "$SYS.REQ.SERVER.PING.VARZ";
    if client
        .publish_with_reply(subject, inbox, "".into())
        .await
        .is_err()
    {
        return answers;
    }
    let mut wait = patience;
    while let Ok(Some(message)) = tokio::time::timeout(wait, subscription.next()).await {
        // Nobody listens for it but the system account.
        if message.status.is_some() {
            break;
        }
        answers.extend(serde_json::from_slice::<Answer>(&message.payload));
        wait = QUIET;
    }
    answers
}
