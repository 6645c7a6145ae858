//! Against a real nats-server, with another client that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, kv};
use futures_util::TryStreamExt as _;

use super::pty::Terminal;
use super::support::proxy::{Proxy, Wire};
use super::support::{NatsServer, eventually, soon};

/// Another client.
async fn client(server: &NatsServer) -> jetstream::Context {
    let options =
        async_nats::ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(50));
    let client = options.connect(server.url()).await.unwrap();
    jetstream::new(client)
}

async fn bucket(context: &jetstream::Context, name: &str) -> kv::Store {
    let config = kv::Config {
        bucket: name.to_owned(),
        history: 5,
        ..kv::Config::default()
    };
    context.create_key_value(config).await.unwrap()
}

/// The keys of a bucket and their revisions, as the server has them.
async fn stored(bucket: &kv::Store) -> Vec<(String, u64)> {
    let names: Vec<String> = bucket.keys().await.unwrap().try_collect().await.unwrap();
    let mut keys = Vec::new();
    for name in names {
        let entry = bucket
            .entry(&name)
            .await
            .unwrap()
            .expect("the key is there");
        keys.push((name, entry.revision));
    }
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_writes_and_keys_work() {
    let server = NatsServer::start();
    let context = client(&server).await;
    let config = bucket(&context, "config").await;
    config
        .put("app.limits", r#"{"max": 25000}"#.into())
        .await
        .unwrap();
    config.put("motd", "hello".into()).await.unwrap();
    bucket(&context, "flags").await;
    let mut terminal = Terminal::run(&["-s", &server.url()]);
    terminal.shows("app.limits");
    terminal.shows("25000");
    terminal.is_live();
    terminal.shows("flags");
    terminal.shows_keys(&stored(&config).await);
    // A change appears, lights up, and fades by itself.
    config
        .put("app.limits", r#"{"max": 31000}"#.into())
        .await
        .unwrap();
    let lit = |screen: &vt100::Screen| screen.contents().contains("●app.limits");
    terminal.until("lights up", lit);
    terminal.shows("31000");
    terminal.until("fades", |screen| !lit(screen));
    config.put("new.key", "x".into()).await.unwrap();
    config.delete("motd").await.unwrap();
    terminal.shows_keys(&stored(&config).await);
    terminal.press("\r/new\r");
    terminal.shows("1 found");
    terminal.shows("new.key ─ rev 4");
    terminal.press("\x1b");
    terminal.until("shows all", |screen| !screen.contents().contains("found"));
    terminal.press("t");
    terminal.shows("▾ new");
    terminal.press("3");
    config.put("while.away", "y".into()).await.unwrap();
    terminal.shows("put    while.away");
    terminal.press("4");
    terminal.shows("nats-server 2.");
    terminal.press("1");
    terminal.resize(80, 24);
    terminal.until("fits the size", |screen| {
        let rows: Vec<_> = screen.rows(0, 80).collect();
        rows[23].contains("q quit") && rows[0].contains("● live")
    });
    terminal.press("q");
    assert!(terminal.ends().success());
    terminal.is_given_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_a_watching_console_with_writes_going_on() {
    let mut server = NatsServer::start();
    let context = client(&server).await;
    let config = bucket(&context, "config").await;
    for n in 0..20 {
        config.put(format!("key.{n:02}"), "0".into()).await.unwrap();
    }
    let terminal = Terminal::run(&["-s", &server.url()]);
    terminal.shows_keys(&stored(&config).await);

    let over = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let (is_over, counts, bucket) = (Arc::clone(&over), Arc::clone(&written), config.clone());
    let writer = tokio::spawn(async move {
        let mut n = 0_u64;
        while !is_over.load(Ordering::Relaxed) {
            n += 1;
            let key = format!("key.{:02}", n * 7 % 25);
            let write = async {
                if n.is_multiple_of(11) {
                    bucket.delete(&key).await.is_ok()
                } else {
                    bucket.put(&key, n.to_string().into()).await.is_ok()
                }
            };
            // Whether a write that got no answer has landed is for the server to tell.
            let done = tokio::time::timeout(Duration::from_millis(300), write).await;
            counts.fetch_add(u64::from(done == Ok(true)), Ordering::Relaxed);
        }
    });
    for round in 0..20 {
        let before = written.load(Ordering::Relaxed);
        eventually("writes go on", async || {
            written.load(Ordering::Relaxed) > before + 5
        })
        .await;
        server.kill();
        terminal.until("says that it is stale", |screen| {
            let header = screen.rows(0, 120).next().unwrap();
            header.contains("reconnecting (") && header.contains("stale since ")
        });
        assert!(
            terminal.screen().contains("key.0"),
            "round {round}: what is there stays"
        );
        server.restart();
        terminal.is_live();
    }
    over.store(true, Ordering::Relaxed);
    soon("the writer ends", writer).await.unwrap();
    terminal.shows_keys(&stored(&config).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_deleted_and_made_anew_and_a_cut_wire() {
    let server = NatsServer::start();
    let context = client(&server).await;
    let config = bucket(&context, "config").await;
    for key in ["a", "b", "same"] {
        config.put(key, "old".into()).await.unwrap();
    }
    let proxy = Proxy::to(server.port()).await;
    let terminal = Terminal::run(&["-s", &proxy.url(), "config", "same"]);
    terminal.shows_keys(&stored(&config).await);
    context.delete_key_value("config").await.unwrap();
    terminal.shows("stale since");
    assert!(
        terminal.screen().contains("same"),
        "what was there stays readable"
    );
    let config = bucket(&context, "config").await;
    config.put("fresh", "1".into()).await.unwrap();
    config.put("same", "new".into()).await.unwrap();
    terminal.shows_keys(&stored(&config).await);

    proxy.set(Wire::Cut);
    terminal.shows("reconnecting (");
    terminal.shows("stale since");
    config.put("same", "newer".into()).await.unwrap();
    config.put("unseen", "1".into()).await.unwrap();
    config.purge("fresh").await.unwrap();
    proxy.set(Wire::Whole);
    terminal.shows_keys(&stored(&config).await);
    terminal.shows("newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_closed_leaves_no_watch_behind() {
    let server = NatsServer::start();
    let context = client(&server).await;
    let config = bucket(&context, "config").await;
    config.put("app.limits", "first".into()).await.unwrap();
    let terminal = Terminal::run(&["-s", &server.url(), "config"]);
    terminal.shows("first");
    terminal.is_live();
    let mut stream = context.get_stream("KV_config").await.unwrap();
    assert!(stream.info().await.unwrap().state.consumer_count > 0);
    let status = tokio::task::spawn_blocking(|| terminal.close().ends());
    let status = status.await.unwrap().expect("it ends");
    assert_eq!(status.signal(), None, "{status:?}");
    // The server drops one by itself only after a time without interest.
    let consumers = stream.info().await.unwrap().state.consumer_count;
    assert_eq!(consumers, 0, "watches are ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_at_first() {
    let mut server = NatsServer::start();
    let config = bucket(&client(&server).await, "config").await;
    config.put("there", "1".into()).await.unwrap();
    server.kill();
    let mut terminal = Terminal::run(&["-s", &server.url()]);
    terminal.shows("can't be reached");
    for way in ["Try again", "Open a file", "Demo", "○ not connected"] {
        terminal.shows(way);
    }
    server.restart();
    terminal.press("r");
    terminal.shows("there");
    terminal.is_live();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_hostile_reaches_the_terminal() {
    let server = NatsServer::start();
    let context = client(&server).await;
    let config = bucket(&context, "config").await;
    let hostile = "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}5m\u{202e}gnp\u{2066}\u{200b}e\u{301}日本";
    let value = format!("plain\n{hostile}\r\u{8}\u{0}\u{1b}c\u{1b}[2J");
    config.put("a-plain-key", value.into()).await.unwrap();
    let json = format!("{{\"{}\": [\"\u{202e}\u{9d}0;x\u{9c}\"]}}", "n\u{7f}");
    config.put("b-json", json.into()).await.unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    config.put("c-bytes", bytes.into()).await.unwrap();
    let subject = format!("$KV.config.{hostile}");
    context
        .publish(subject, "foreign".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let mut terminal = Terminal::run(&["-s", &server.url()]);
    terminal.is_live();
    terminal.shows("Keys 4");
    terminal.press("\r");
    for key in ["rev 4", "a-plain-key ─", "b-json ─", "c-bytes ─"] {
        terminal.shows(key);
        terminal.press("\r");
        terminal.shows("json/text/hex");
        for _ in 0..3 {
            terminal.press("v");
        }
        terminal.press("\x1b[D");
        terminal.shows("tree/list");
        terminal.press("j");
    }
    terminal.press("t");
    terminal.shows("· tree");
    terminal.press("3");
    let subject = format!("$KV.config.{hostile}.2");
    context
        .publish(subject, "foreign".into())
        .await
        .unwrap()
        .await
        .unwrap();
    terminal.shows("put ");
    terminal.press("q");
    terminal.ends();
    terminal.is_given_back();
    only_harmless(&terminal.sent());
}

/// Fails when there is something in it but printable text and the sequences that the console
/// draws with.
fn only_harmless(sent: &[u8]) {
    let text = std::str::from_utf8(sent).expect("UTF-8");
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            let is_hidden = letter.is_control()
                || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
            assert!(!is_hidden, "{letter:?} was sent");
            continue;
        }
        assert_eq!(
            letters.next(),
            Some('['),
            "an escape that is no CSI was sent"
        );
        let mut sequence = String::new();
        for letter in letters.by_ref() {
            sequence.push(letter);
            if ('@'..='~').contains(&letter) {
                break;
            }
        }
        let (parameters, last) = sequence.split_at(sequence.len() - 1);
        let is_known = match last {
            // To a place, in a style, or clear.
            "H" | "m" | "J" => parameters.chars().all(|c| c.is_ascii_digit() || c == ';'),
            "h" | "l" => [
                "?1049", "?1000", "?1002", "?1003", "?1015", "?1006", "?2004", "?2026", "?25", "8",
            ]
            .contains(&parameters),
            _ => false,
        };
        assert!(is_known, "{sequence:?} was sent");
    }
}
