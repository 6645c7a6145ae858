//! The connection is cut at every point of a save, and what is said of it is true each time.

use std::time::Duration;

use kvscope::edit::save::{Patience, Proof, carry_out};
use kvscope::edit::{Approved, Base, Ending, Proposal, Save};
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::{Faults, Faulty, WriteFault};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::nats::{NatsBackend, NatsOptions};
use kvscope::kv::{BucketName, Key, Revision, Store};

use crate::support::proxy::{LateProxy, Proxy, Wire};
use crate::support::{NatsServer, eventually, soon};

const SHORT: Patience = Patience {
    within: Duration::from_millis(500),
    between: Duration::from_millis(20),
};

async fn add(backend: &dyn Backend, history: u64) -> Store {
    let mut config = BucketConfig::new(BucketName::new("b").unwrap());
    config.history = history;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::open(backend, "b").await.unwrap();
    store.put("k", "base").await.unwrap();
    store
}

async fn open(store: &Store) -> Save {
    let entry = store.get("k").await.unwrap();
    Save::new(Key::new("k").unwrap(), Base::of(entry.as_ref()))
}

fn approved(text: &'static str) -> Approved {
    Proposal::of_bytes(text.into(), false, None)
        .approve()
        .unwrap()
}

async fn save(store: &Store, save: &mut Save, text: &'static str, patience: Patience) -> Ending {
    let step = save.put(approved(text), None);
    soon("the save ends", carry_out(store, save, step, patience)).await
}

async fn value(store: &Store) -> (String, Revision) {
    let entry = store.get("k").await.unwrap().unwrap();
    let value = entry.live_value().unwrap().to_vec();
    (String::from_utf8(value).unwrap(), entry.revision)
}

/// A backend with faults, on a file.
async fn on_file(folder: &tempfile::TempDir) -> (Store, Faults) {
    let mut options = OpenOptions::default();
    options.create = true;
    let path = folder.path().join("buckets.db");
    let (backend, faults) = Faulty::new(LocalBackend::open(path, options).await.unwrap());
    (add(&backend, 5).await, faults)
}

/// A backend with faults, on a server.
async fn on_server(server: &NatsServer) -> (Store, Faults) {
    let backend = NatsBackend::connect(NatsOptions::new(server.url()))
        .await
        .unwrap();
    let (backend, faults) = Faulty::new(backend);
    (add(&backend, 5).await, faults)
}

#[tokio::test]
async fn whatever_becomes_of_a_write_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start();
    for (store, faults) in [on_file(&folder).await, on_server(&server).await] {
        let mut edit = open(&store).await;
        faults.next_write(WriteFault::LoseAck);
        let ending = save(&store, &mut edit, "one", SHORT).await;
        let (now, revision) = value(&store).await;
        assert_eq!(now, "one");
        assert!(
            matches!(ending, Ending::Saved { revision: saved, proof: Proof::ReadBack } if saved == revision),
            "{ending:?}"
        );

        faults.next_write(WriteFault::Drop);
        let ending = save(&store, &mut edit, "two", SHORT).await;
        assert!(matches!(ending, Ending::NotLanded { .. }), "{ending:?}");
        assert_eq!(value(&store).await.0, "one");

        // It comes after all, and is known for ours when it is saved again.
        faults.next_write(WriteFault::Late);
        let ending = save(&store, &mut edit, "two", SHORT).await;
        assert!(matches!(ending, Ending::NotLanded { .. }), "{ending:?}");
        faults.deliver_late().await;
        let (_, landed) = value(&store).await;
        let ending = save(&store, &mut edit, "two", SHORT).await;
        assert!(
            matches!(ending, Ending::Saved { revision, .. } if revision == landed),
            "{ending:?}"
        );
        assert_eq!(value(&store).await, ("two".to_owned(), landed));

        faults.next_write(WriteFault::Fail);
        let ending = save(&store, &mut edit, "three", SHORT).await;
        assert!(matches!(ending, Ending::Failed(_)), "{ending:?}");
        assert_eq!(value(&store).await.0, "two");

        // Landed or not, when nothing can be read it says just that, and finds out later.
        for fault in [WriteFault::LoseAck, WriteFault::Drop] {
            let mut edit = open(&store).await;
            faults.next_write(fault);
            faults.fail_reads(1000);
            let ending = save(&store, &mut edit, "four", SHORT).await;
            assert!(matches!(ending, Ending::Unknown { .. }), "{ending:?}");
            faults.clear();
            let step = edit.look_again();
            let ending = carry_out(&store, &mut edit, step, SHORT).await;
            let is_there = value(&store).await.0 == "four";
            match ending {
                Ending::Saved { .. } => assert!(is_there),
                Ending::NotLanded { .. } => assert!(!is_there),
                other => panic!("{other:?}"),
            }
            store.put("k", "two").await.unwrap();
        }
    }
}

/// A server behind a wire, the store through it and the store beside it.
async fn behind(proxy_url: String, server: &NatsServer) -> (Store, Store) {
    let direct = NatsBackend::connect(NatsOptions::new(server.url()))
        .await
        .unwrap();
    let beside = add(&*direct, 5).await;
    let mut options = NatsOptions::new(proxy_url);
    options.timeout = Duration::from_secs(3);
    let through = NatsBackend::connect(options).await.unwrap();
    (Store::open(&*through, "b").await.unwrap(), beside)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_is_cut_around_the_write_is_told_truly() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let (store, beside) = behind(proxy.url(), &server).await;
    let mut edit = open(&store).await;
    proxy.set(Wire::Cut);
    let ending = save(&store, &mut edit, "mine", SHORT).await;
    // The cut and the write race: what counts is that the words fit.
    let is_there = value(&beside).await.0 == "mine";
    match ending {
        Ending::Saved { .. } => assert!(is_there),
        Ending::Failed(_) | Ending::NotLanded { .. } => assert!(!is_there),
        Ending::Unknown { .. } => {}
        other => panic!("{other:?}"),
    }
    proxy.set(Wire::Whole);
    eventually("it is saved", async || {
        let step = edit.put(approved("mine"), None);
        let ending = carry_out(&store, &mut edit, step, SHORT).await;
        matches!(ending, Ending::Saved { .. } | Ending::Unchanged)
    })
    .await;
    assert_eq!(value(&beside).await.0, "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_loses_the_answer_is_found_out_when_it_is_back() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let (store, beside) = behind(proxy.url(), &server).await;
    let mut edit = open(&store).await;
    proxy.set(Wire::DropAnswers);
    let patience = Patience {
        within: Duration::from_secs(20),
        ..SHORT
    };
    let step = edit.put(approved("mine"), None);
    let saving = async { carry_out(&store, &mut edit, step, patience).await };
    let healing = async {
        eventually("it has landed", async || value(&beside).await.0 == "mine").await;
        proxy.hang_up().await;
    };
    let (ending, ()) = soon("it is found out", async { tokio::join!(saving, healing) }).await;
    let (_, revision) = value(&beside).await;
    assert!(
        matches!(ending, Ending::Saved { revision: saved, proof: Proof::ReadBack } if saved == revision),
        "{ending:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_writes_over_a_save_in_doubt_is_told_from_one_who_was_first() {
    for landed in [true, false] {
        let server = NatsServer::start();
        let proxy = Proxy::to(server.port()).await;
        let (store, beside) = behind(proxy.url(), &server).await;
        let mut edit = open(&store).await;
        proxy.set(if landed {
            Wire::DropAnswers
        } else {
            Wire::Stalled
        });
        let patience = Patience {
            within: Duration::from_secs(20),
            ..SHORT
        };
        let step = edit.put(approved("mine"), None);
        let saving = async { carry_out(&store, &mut edit, step, patience).await };
        let meanwhile = async {
            if landed {
                eventually("it has landed", async || value(&beside).await.0 == "mine").await;
            }
            let theirs = beside.put("k", "theirs").await.unwrap();
            proxy.hang_up().await;
            theirs
        };
        let (ending, theirs) =
            soon("it is found out", async { tokio::join!(saving, meanwhile) }).await;
        assert_eq!(value(&beside).await, ("theirs".to_owned(), theirs));
        match ending {
            Ending::Overwritten { newest, .. } if landed => assert_eq!(newest.revision, theirs),
            Ending::Conflict { newest } if !landed => assert_eq!(newest.revision, theirs),
            other => panic!("landed: {landed}, {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_comes_late_does_no_harm() {
    let server = NatsServer::start();
    let proxy = LateProxy::to(server.port()).await;
    let (store, beside) = behind(proxy.url(), &server).await;
    let mut edit = open(&store).await;
    proxy.keep();
    let patience = Patience {
        within: Duration::from_secs(20),
        ..SHORT
    };
    let step = edit.put(approved("first"), None);
    let saving = async { carry_out(&store, &mut edit, step, patience).await };
    let hanging_up = async {
        proxy.has_kept_a_write().await;
        proxy.hang_up();
    };
    let (ending, ()) = soon("it is found out", async {
        tokio::join!(saving, hanging_up)
    })
    .await;
    assert!(matches!(ending, Ending::NotLanded { .. }), "{ending:?}");
    // Saved again with another text; then the first one arrives.
    let ending = save(&store, &mut edit, "second", patience).await;
    assert!(matches!(ending, Ending::Saved { .. }), "{ending:?}");
    let saved = value(&beside).await;
    proxy.deliver().await;
    assert_eq!(value(&beside).await, saved);
    assert_eq!(saved.0, "second");
}
