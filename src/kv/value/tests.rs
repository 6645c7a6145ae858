//! Typed values on the backend in memory, and through faults.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kv::backend::{Backend, BucketConfig};
use crate::kv::faulty::{Faults, Faulty, WriteFault};
use crate::kv::memory::Memory;
use crate::kv::{
    BucketName, Error, KeyValue, KeyValueRead, KeyValueWrite, KeyedValue, KvReadError,
    KvWriteError, Operation, Revision, StaticKeyIndexedValue, Store, ValueWatch,
};
use crate::{JsonByteDes, JsonByteSer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonByteDes, JsonByteSer)]
struct Limits {
    rate: u32,
}

impl StaticKeyIndexedValue for Limits {
    fn key() -> String {
        "config.limits".to_owned()
    }
}

/// A value whose key depends on it, and whose type has a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonByteDes, JsonByteSer)]
struct Endpoint<A> {
    name: String,
    address: A,
}

impl<A> KeyedValue for Endpoint<A> {
    fn own_key(&self) -> String {
        format!("endpoint.{}", self.name)
    }
}

fn config() -> BucketConfig {
    BucketConfig {
        history: 5,
        marker_ttl: Some(Duration::from_secs(60)),
        ..BucketConfig::new(BucketName::new("values").unwrap())
    }
}

async fn store() -> Store {
    Memory::with_bucket(&config()).await.unwrap().1
}

async fn faulty_store() -> (Memory, Store, Faults) {
    let (memory, _) = Memory::with_bucket(&config()).await.unwrap();
    let (place, faults) = Faulty::new(Arc::new(memory.clone()));
    let store = Store::open(&place, "values").await.unwrap();
    (memory, store, faults)
}

#[tokio::test]
async fn a_static_value_is_written_read_and_deleted() {
    let store = store().await;
    assert_eq!(
        Limits::read_from(&store, Limits::key()).await.unwrap(),
        None
    );
    let first = Limits { rate: 1 }.write_to_anyway(&store).await.unwrap();
    assert_eq!(
        Limits::read_from(&store, "config.limits").await.unwrap(),
        Some(Limits { rate: 1 })
    );
    let second = Limits { rate: 2 }
        .write_to_atomically(&store, first)
        .await
        .unwrap();
    let old = Limits::read_revision_from(&store, Limits::key(), first).await;
    assert_eq!(old.unwrap(), Some(Limits { rate: 1 }));
    Limits::delete_atomically(&store, Limits::key(), second)
        .await
        .unwrap();
    assert_eq!(
        Limits::read_from(&store, Limits::key()).await.unwrap(),
        None
    );
    let purged = Limits::purge_anyway(&store, Limits::key()).await.unwrap();
    let gone = Limits::read_revision_from(&store, Limits::key(), first).await;
    assert_eq!(gone.unwrap(), None);
    Limits::purge_atomically(&store, Limits::key(), purged)
        .await
        .unwrap();
    Limits::delete_anyway(&store, Limits::key()).await.unwrap();
}

#[tokio::test]
async fn a_dynamic_value_goes_to_its_own_key_or_to_a_named_one() {
    let store = store().await;
    let endpoint = Endpoint {
        name: "billing".to_owned(),
        address: vec![10, 0, 0, 1],
    };
    endpoint.write_to_anyway(&store).await.unwrap();
    let read = Endpoint::<Vec<u8>>::read_from(&store, "endpoint.billing")
        .await
        .unwrap();
    assert_eq!(read.as_ref(), Some(&endpoint));
    let elsewhere = endpoint.under("copy.billing");
    elsewhere.create_write(&store).await.unwrap();
    let read = Endpoint::read_from(&store, String::from("copy.billing")).await;
    assert_eq!(read.unwrap(), Some(endpoint));
}

#[tokio::test]
async fn the_atomic_read_is_a_base_for_a_write_whatever_the_key_holds() {
    let store = store().await;
    for rate in 0..4 {
        let found = Limits::read_from_atomically(&store, Limits::key())
            .await
            .unwrap();
        assert_eq!(found.value, None, "a key without a value");
        let limits = Limits { rate };
        let written = limits
            .write_to_atomically(&store, found.revision)
            .await
            .unwrap();
        let found = Limits::read_from_atomically(&store, Limits::key())
            .await
            .unwrap();
        assert_eq!((found.value, found.revision), (Some(limits), written));
        if rate % 2 == 0 {
            Limits::delete_anyway(&store, Limits::key()).await.unwrap();
        } else {
            Limits::purge_anyway(&store, Limits::key()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn conflicts_are_conflicts() {
    let store = store().await;
    let limits = Limits { rate: 1 };
    let current = limits.create_write(&store).await.unwrap();
    let conflicts = [
        limits.create_write(&store).await,
        limits.write_to_atomically(&store, 0).await,
        limits.write_to_atomically(&store, 77).await,
        Limits::delete_atomically(&store, Limits::key(), 77).await,
        Limits::purge_atomically(&store, Limits::key(), 77).await,
    ];
    for conflict in conflicts {
        match conflict {
            Err(KvWriteError::Conflict { current: told, .. }) => assert_eq!(told, Some(current)),
            other => panic!("{other:?}"),
        }
    }
    Limits::delete_anyway(&store, Limits::key()).await.unwrap();
    limits.create_write(&store).await.unwrap();
}

#[tokio::test]
async fn an_unknown_end_is_not_a_failure() {
    let (_memory, store, faults) = faulty_store().await;
    let limits = Limits { rate: 1 };
    faults.next_writes([Some(WriteFault::LoseAck), Some(WriteFault::Fail)]);
    let unknown = limits.write_to_anyway(&store).await;
    assert!(
        matches!(unknown, Err(KvWriteError::Unknown { .. })),
        "{unknown:?}"
    );
    let failed = limits.write_to_anyway(&store).await;
    assert!(
        matches!(failed, Err(KvWriteError::Failed(Error::Refused { .. }))),
        "{failed:?}"
    );
    faults.fail_reads(1);
    let read = Limits::read_from(&store, Limits::key()).await;
    assert!(
        matches!(read, Err(KvReadError::Store(Error::NoAnswer { .. }))),
        "{read:?}"
    );
}

#[tokio::test]
async fn faults_in_a_value_name_the_key_and_not_the_value() {
    let store = store().await;
    store
        .put("config.limits", r#"{"rate": "hunter2"}"#)
        .await
        .unwrap();
    let error = Limits::read_from(&store, Limits::key()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value of config.limits at revision 1 can't be read: the JSON has another shape than \
         the type (at rate, line 1 column 18)"
    );
    let map = std::collections::BTreeMap::from([((1, "hunter2"), 1)]);
    let endpoint = Endpoint {
        name: "a".to_owned(),
        address: map,
    };
    let error = endpoint.write_to_anyway(&store).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value for endpoint.a can't be written: it has no form in JSON"
    );
    let error = Limits { rate: 1 }
        .under("not a key")
        .write_to_anyway(&store)
        .await;
    assert!(
        matches!(error, Err(KvWriteError::Failed(Error::InvalidKey(_)))),
        "{error:?}"
    );
}

/// The next change: its key, its value or the text of its error, and what was done.
async fn change(watch: &ValueWatch<Limits>) -> (String, Result<Option<u32>, ()>, Operation) {
    match watch.next().await.unwrap() {
        Ok(entry) => {
            let rate = entry.value.map(|limits| limits.rate);
            (entry.key.to_string(), Ok(rate), entry.operation)
        }
        Err(KvReadError::Decode { key, .. }) => (key.to_string(), Err(()), Operation::Put),
        Err(error) => panic!("{error}"),
    }
}

fn put(key: &str, rate: u32) -> (String, Result<Option<u32>, ()>, Operation) {
    (key.to_owned(), Ok(Some(rate)), Operation::Put)
}

#[tokio::test]
async fn a_watch_tells_what_is_there_and_what_changes() {
    let store = store().await;
    Limits { rate: 1 }
        .under("a")
        .write_to_anyway(&store)
        .await
        .unwrap();
    let watch = Limits::watch(&store, "a").await.unwrap();
    assert_eq!(change(&watch).await, put("a", 1));
    Limits { rate: 2 }
        .under("b")
        .write_to_anyway(&store)
        .await
        .unwrap();
    store.put("a", "not JSON").await.unwrap();
    assert_eq!(
        change(&watch).await,
        ("a".to_owned(), Err(()), Operation::Put)
    );
    Limits { rate: 3 }
        .under("a")
        .write_to_anyway(&store)
        .await
        .unwrap();
    assert_eq!(change(&watch).await, put("a", 3));
    Limits::delete_anyway(&store, "a").await.unwrap();
    assert_eq!(
        change(&watch).await,
        ("a".to_owned(), Ok(None), Operation::Delete)
    );
    assert!(Limits::watch(&store, "a..b").await.is_err());
}

#[tokio::test]
async fn an_outage_without_a_gap_is_not_seen() {
    let (memory, store, faults) = faulty_store().await;
    let direct = Store::open(&memory, "values").await.unwrap();
    let watch = Limits::watch(&store, ">").await.unwrap();
    Limits { rate: 1 }
        .under("a")
        .write_to_anyway(&direct)
        .await
        .unwrap();
    assert_eq!(change(&watch).await, put("a", 1));
    faults.cut();
    Limits { rate: 2 }
        .under("b")
        .write_to_anyway(&direct)
        .await
        .unwrap();
    faults.restore();
    assert_eq!(change(&watch).await, put("b", 2));
}

#[tokio::test]
async fn after_a_gap_a_deletion_is_not_told_again() {
    let (memory, store, faults) = faulty_store().await;
    let direct = Store::open(&memory, "values").await.unwrap();
    let write = async |key: &str, rate| {
        let value = Limits { rate };
        value.under(key).write_to_anyway(&direct).await.unwrap();
    };
    write("a", 1).await;
    let watch = Limits::watch(&store, ">").await.unwrap();
    assert_eq!(change(&watch).await, put("a", 1));
    Limits::delete_anyway(&direct, "a").await.unwrap();
    let deleted = ("a".to_owned(), Ok(None), Operation::Delete);
    assert_eq!(change(&watch).await, deleted);

    faults.cut();
    faults.restore_with_gap();
    write("new", 2).await;
    assert_eq!(change(&watch).await, put("new", 2));

    // Nor that a key has vanished which was known to be deleted.
    faults.cut();
    memory.delete_bucket(&config().name).await.unwrap();
    memory.create_bucket(&config()).await.unwrap();
    faults.restore_with_gap();
    let gone = ("new".to_owned(), Ok(None), Operation::Purge);
    assert_eq!(change(&watch).await, gone);
    write("later", 3).await;
    assert_eq!(change(&watch).await, put("later", 3));
}

#[tokio::test]
async fn after_a_gap_what_changed_is_told_and_what_is_gone() {
    let (memory, store, faults) = faulty_store().await;
    let direct = Store::open(&memory, "values").await.unwrap();
    for (key, rate) in [("changed", 1), ("gone", 2), ("same", 3)] {
        Limits { rate }
            .under(key)
            .write_to_anyway(&direct)
            .await
            .unwrap();
    }
    let watch = Limits::watch(&store, ">").await.unwrap();
    for (key, rate) in [("changed", 1), ("gone", 2), ("same", 3)] {
        assert_eq!(change(&watch).await, put(key, rate));
    }
    faults.cut();
    // The bucket is made anew and has the same revisions, but for the key that is gone.
    let same = direct.get("same").await.unwrap().unwrap();
    memory.delete_bucket(&config().name).await.unwrap();
    memory.create_bucket(&config()).await.unwrap();
    Limits { rate: 4 }
        .under("changed")
        .write_to_anyway(&direct)
        .await
        .unwrap();
    faults.restore_with_gap();
    assert_eq!(change(&watch).await, put("changed", 4));
    let mut gone = [change(&watch).await, change(&watch).await];
    gone.sort_by(|a, b| a.0.cmp(&b.0));
    let nothing = |key: &str| (key.to_owned(), Ok(None), Operation::Purge);
    assert_eq!(gone, [nothing("gone"), nothing("same")]);
    assert_eq!(same.revision, Revision(3));

    faults.cut();
    faults.restore_with_gap();
    Limits { rate: 5 }
        .under("new")
        .write_to_anyway(&direct)
        .await
        .unwrap();
    assert_eq!(
        change(&watch).await,
        put("new", 5),
        "what is the same was told again"
    );
}

#[tokio::test(start_paused = true)]
async fn an_expiry_is_told() {
    let store = store().await;
    let watch = Limits::watch(&store, "a").await.unwrap();
    let ttl = Some(Duration::from_secs(5));
    let created = store.create("a", r#"{"rate": 1}"#, ttl).await.unwrap();
    let entry = watch.next().await.unwrap().unwrap();
    assert_eq!(entry.revision, created);
    assert_eq!(entry.expires, Some(entry.created + Duration::from_secs(5)));
    assert_eq!(
        change(&watch).await,
        ("a".to_owned(), Ok(None), Operation::Expire)
    );
}

/// Any of the three names, and all of them at once, bring the calls into scope.
#[tokio::test]
async fn one_trait_has_three_names() {
    fn all<T: KeyValue + KeyValueRead + KeyValueWrite>() {}
    all::<Limits>();
}
