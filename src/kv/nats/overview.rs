//! What is known of the server, the account and our connection, for people.

use std::sync::atomic::Ordering;

use async_nats::ServerInfo;
use serde::Deserialize;

use super::request::Session;
use crate::kv::Error;
use crate::kv::backend::{Connection, Fact, FactValue, Overview, Section};

/// An account's use of JetStream, and its limits. Not the library's: servers before 2.10 leave out
/// some of what that can't do without.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Account {
    memory: u64,
    storage: u64,
    streams: u64,
    consumers: u64,
    domain: Option<String>,
    limits: Limits,
    #[serde(rename = "api")]
    requests: Requests,
}

/// What an account may have at most; below zero where there is no limit.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Limits {
    #[serde(rename = "max_memory")]
    memory: i64,
    #[serde(rename = "max_storage")]
    storage: i64,
    #[serde(rename = "max_streams")]
    streams: i64,
    #[serde(rename = "max_consumers")]
    consumers: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: -1,
            storage: -1,
            streams: -1,
            consumers: -1,
        }
    }
}

/// How often an account asked for something.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Requests {
    total: u64,
    errors: u64,
}

/// Asks for the account; the rest is known.
pub(super) async fn overview(session: &Session) -> Result<Overview, Error> {
    let server = session.client.server_info();
    let account = account(session).await;
    let mut sections = vec![about_server(session, &server)];
    sections.push(match account {
        Ok(account) => about_account(&account),
        Err(Error::Unreachable { place, reason }) => {
            return Err(Error::Unreachable { place, reason });
        }
        Err(error) => Section {
            title: "JetStream",
            facts: vec![text("Account", error.to_string())],
        },
    });
    sections.push(about_connection(session, &server));
    Ok(Overview {
        address: session.place.clone(),
        engine: format!("nats-server {}", server.version),
        sections,
    })
}

/// The account's use of JetStream, and its limits.
pub(super) async fn account(session: &Session) -> Result<Account, Error> {
    let what = "looking at the JetStream account";
    session
        .ask(what, "INFO")
        .await
        .map_err(|error| error.into_error(session, what))
}

fn about_server(session: &Session, server: &ServerInfo) -> Section {
    let mut facts = vec![
        text("Name", &server.server_name),
        text("Version", &server.version),
        text("Address", format!("{}:{}", server.host, server.port)),
    ];
    if let Some(cluster) = &server.cluster {
        facts.push(text("Cluster", cluster));
    }
    if let Some(domain) = &server.domain {
        facts.push(text("Domain", domain));
    }
    if !server.connect_urls.is_empty() {
        facts.push(text("Other addresses", server.connect_urls.join(", ")));
    }
    facts.push(bytes(
        "Largest message",
        session.client.max_payload() as u64,
        None,
    ));
    facts.push(text("Go", &server.go));
    Section {
        title: "Server",
        facts,
    }
}

fn about_account(account: &Account) -> Section {
    let limits = &account.limits;
    let limit = |value: i64| u64::try_from(value).ok();
    let mut facts = vec![
        count("Streams", account.streams, limit(limits.streams)),
        count("Consumers", account.consumers, limit(limits.consumers)),
        bytes("On disk", account.storage, limit(limits.storage)),
        bytes("In memory", account.memory, limit(limits.memory)),
        count("Requests", account.requests.total, None),
        count("Refused requests", account.requests.errors, None),
    ];
    if let Some(domain) = &account.domain {
        facts.push(text("Domain", domain));
    }
    Section {
        title: "JetStream",
        facts,
    }
}

fn about_connection(session: &Session, server: &ServerInfo) -> Section {
    let statistics = session.client.statistics();
    let connects = statistics.connects.load(Ordering::Relaxed);
    let state = match &*session.link.connection().borrow() {
        Connection::Connected if session.link.is_leaving() => {
            "connected; the server says that it is about to stop".to_owned()
        }
        Connection::Connected => "connected".to_owned(),
        Connection::Reconnecting { reason, .. } => format!("reconnecting: {reason}"),
        Connection::Closed { reason } => format!("closed: {reason}"),
    };
    let mut facts = vec![
        text("State", state),
        text("Address", &session.place),
        text("JetStream API", &session.api),
        count("Client id", server.client_id, None),
        text("Client address", &server.client_ip),
        count("Reconnects", connects.saturating_sub(1), None),
        count("Slow consumers", session.link.slow_consumers(), None),
        count(
            "Messages in",
            statistics.in_messages.load(Ordering::Relaxed),
            None,
        ),
        count(
            "Messages out",
            statistics.out_messages.load(Ordering::Relaxed),
            None,
        ),
        bytes(
            "Bytes in",
            statistics.in_bytes.load(Ordering::Relaxed),
            None,
        ),
        bytes(
            "Bytes out",
            statistics.out_bytes.load(Ordering::Relaxed),
            None,
        ),
    ];
    if let Some(error) = session.link.last_error() {
        facts.push(text("Last complaint", error));
    }
    Section {
        title: "Connection",
        facts,
    }
}

fn text(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        name,
        value: FactValue::Text(value.into()),
    }
}

fn count(name: &'static str, used: u64, limit: Option<u64>) -> Fact {
    Fact {
        name,
        value: FactValue::Count { used, limit },
    }
}

fn bytes(name: &'static str, used: u64, limit: Option<u64>) -> Fact {
    Fact {
        name,
        value: FactValue::Bytes { used, limit },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_as_a_server_before_2_10_tells_it() {
        let told = r#"{"type":"io.nats.jetstream.api.v1.account_info_response","memory":0,
            "storage":80,"streams":2,"consumers":1,"limits":{"max_memory":-1,"max_storage":1024,
            "max_streams":-1,"max_consumers":-1,"max_ack_pending":-1,"memory_max_stream_bytes":-1,
            "storage_max_stream_bytes":-1,"max_bytes_required":false},
            "api":{"total":1,"errors":0}}"#;
        let account: Account = serde_json::from_str(told).unwrap();
        assert_eq!((account.streams, account.storage), (2, 80));
        let section = about_account(&account);
        let on_disk = section.facts.iter().find(|fact| fact.name == "On disk");
        let limited = FactValue::Bytes {
            used: 80,
            limit: Some(1024),
        };
        assert_eq!(on_disk.map(|fact| &fact.value), Some(&limited));
    }
}
