//! Random operations on a backend and on a model that is too plain to be wrong: after each, both
//! have to say the same.
//!
//! The model knows nothing of time, watches or outages; the suite does.

#![expect(
    clippy::unwrap_used,
    reason = "this is test code, outside of a test function"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kvscope::kv::backend::{Backend, BucketConfig, Write};
use kvscope::kv::{BucketName, Entry, Error, Filter, Key, Operation, Revision, Store, WriteError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const KEYS: [&str; 4] = ["a", "a.b", "a.c", "b"];

/// An operation, with places instead of revisions: those are only known when it runs.
#[derive(Debug, Clone)]
enum Step {
    Write(usize, Kind, Expect),
    GetRevision(usize, Expect),
}

#[derive(Debug, Clone)]
enum Kind {
    Put(Vec<u8>),
    Delete,
    Purge,
}

/// Which revision to name.
#[derive(Debug, Clone, Copy)]
enum Expect {
    Nothing,
    Absent,
    /// The key's newest.
    Current,
    /// The one that this many writes of the bucket ago was newest.
    Ago(u64),
    /// One that does not exist yet.
    Future(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let kind = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Kind::Put),
        1 => Just(Kind::Delete),
        1 => Just(Kind::Purge),
    ];
    let expect = prop_oneof![
        3 => Just(Expect::Nothing),
        1 => Just(Expect::Absent),
        4 => Just(Expect::Current),
        2 => (0u64..6).prop_map(Expect::Ago),
        1 => (1u64..3).prop_map(Expect::Future),
    ];
    let step = prop_oneof![
        5 => (key.clone(), kind, expect.clone()).prop_map(|(k, w, e)| Step::Write(k, w, e)),
        1 => (key, expect).prop_map(|(k, e)| Step::GetRevision(k, e)),
    ];
    prop::collection::vec(step, 1..30)
}

/// What JetStream's buckets do, as plainly as it can be said.
#[derive(Debug)]
struct Model {
    history: usize,
    last: u64,
    keys: BTreeMap<&'static str, Vec<Kept>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Kept {
    revision: u64,
    operation: Operation,
    value: Vec<u8>,
}

impl Model {
    fn current(&self, key: &str) -> u64 {
        let newest = self.keys.get(key).and_then(|kept| kept.last());
        newest.map_or(0, |kept| kept.revision)
    }

    fn resolve(&self, key: &str, expect: Expect) -> Option<Revision> {
        Some(Revision(match expect {
            Expect::Nothing => return None,
            Expect::Absent => 0,
            Expect::Current => self.current(key),
            Expect::Ago(ago) => self.last.saturating_sub(ago),
            Expect::Future(ahead) => self.last + ahead,
        }))
    }

    /// Whether a write goes through that expects this.
    fn admits(&self, key: &str, expected: Option<Revision>) -> bool {
        expected.is_none_or(|expected| expected.0 == self.current(key))
    }

    /// Keeps a write, at a revision of the store's choice.
    fn write(&mut self, key: &'static str, kind: &Kind, revision: u64) {
        self.last = revision;
        let kept = self.keys.entry(key).or_default();
        let (operation, value) = match kind {
            Kind::Put(value) => (Operation::Put, value.clone()),
            Kind::Delete => (Operation::Delete, Vec::new()),
            Kind::Purge => (Operation::Purge, Vec::new()),
        };
        if operation == Operation::Purge {
            kept.clear();
        }
        kept.push(Kept {
            revision,
            operation,
            value,
        });
        if kept.len() > self.history {
            kept.remove(0);
        }
    }
}

fn kept(entry: &Entry) -> Kept {
    Kept {
        revision: entry.revision.0,
        operation: entry.operation,
        value: entry.value.clone().unwrap_or_default().to_vec(),
    }
}

/// Runs that many random sequences on backends that `make` gives, or as many as the variable
/// `PROPTEST_CASES` says.
///
/// # Panics
/// If a backend disagrees with the model, with the shortest sequence found.
pub(crate) fn check<B: Backend + 'static>(cases: u32, make: impl AsyncFn() -> Arc<B>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let backend: Arc<dyn Backend> = runtime.block_on(make());
    // A nats-server without streams removes the directory that they are in, now and then just
    // while it makes the next one. So there is always one.
    let keeper = BucketConfig::new(BucketName::new("keeper").unwrap());
    runtime.block_on(backend.create_bucket(&keeper)).unwrap();
    let asked_for = std::env::var("PROPTEST_CASES").ok();
    let config = Config {
        cases: asked_for
            .and_then(|text| text.parse().ok())
            .unwrap_or(cases),
        failure_persistence: None,
        ..Config::default()
    };
    let strategy = (prop_oneof![Just(1u64), 2u64..6], steps());
    let outcome = TestRunner::new(config).run(&strategy, |(history, steps)| {
        runtime.block_on(agree(&backend, history, &steps))
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

type Agreed = Result<(), TestCaseError>;

fn unexpected(error: impl std::error::Error) -> TestCaseError {
    TestCaseError::fail(format!("unexpected: {error} ({error:?})"))
}

/// One sequence, in a bucket of its own.
async fn agree(backend: &Arc<dyn Backend>, history: u64, steps: &[Step]) -> Agreed {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("model-{}-{count}", std::process::id());
    let mut config = BucketConfig::new(BucketName::new(name).unwrap());
    config.history = history;
    let created = backend.create_bucket(&config).await;
    created.map_err(unexpected)?;
    let bucket = backend.bucket(&config.name).await.map_err(unexpected)?;
    let store = Store::new(bucket);
    let mut model = Model {
        history: usize::try_from(history).unwrap(),
        last: 0,
        keys: BTreeMap::new(),
    };
    let mut outcome = Ok(());
    for step in steps {
        outcome = run(&store, &mut model, step).await;
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = same_state(&store, &model).await;
    }
    backend
        .delete_bucket(&config.name)
        .await
        .map_err(unexpected)?;
    outcome
}

async fn run(store: &Store, model: &mut Model, step: &Step) -> Agreed {
    match step {
        Step::Write(key, kind, expect) => {
            let name = KEYS[*key];
            let expected = model.resolve(name, *expect);
            let key = Key::new(name).unwrap();
            let write = match kind {
                Kind::Put(value) => Write::put(key, value.clone()),
                Kind::Delete => Write::delete(key),
                Kind::Purge => Write::purge(key),
            };
            let write = Write { expected, ..write };
            let ours = store.write(write).await;
            match ours {
                Ok(Revision(revision)) => {
                    prop_assert!(model.admits(name, expected), "written at {}", revision);
                    prop_assert!(revision > model.last, "revision {} is not newer", revision);
                    model.write(name, kind, revision);
                }
                Err(WriteError::Conflict { current, .. }) => {
                    prop_assert!(!model.admits(name, expected), "a conflict for nothing");
                    let told = current.map_or(model.current(name), |current| current.0);
                    prop_assert_eq!(told, model.current(name));
                }
                Err(error) => return Err(unexpected(error)),
            }
            same_key(store, model, name).await
        }
        Step::GetRevision(key, expect) => {
            let name = KEYS[*key];
            let revision = model.resolve(name, *expect).unwrap_or_default();
            let found = store.get_revision(name, revision).await;
            let found = found.map_err(unexpected)?.as_ref().map(kept);
            let all = model.keys.get(name);
            let wanted = all.and_then(|all| all.iter().find(|kept| kept.revision == revision.0));
            prop_assert_eq!(found.as_ref(), wanted);
            Ok(())
        }
    }
}

async fn same_key(store: &Store, model: &Model, key: &'static str) -> Agreed {
    let wanted = model.keys.get(key).cloned().unwrap_or_default();
    let newest = store.get(key).await.map_err(unexpected)?;
    let newest = newest.as_ref().map(kept);
    prop_assert_eq!(newest.as_ref(), wanted.last());
    let history = store.history(key).await.map_err(unexpected)?;
    let history: Vec<_> = history.iter().map(kept).collect();
    prop_assert_eq!(history, wanted);
    Ok(())
}

async fn same_state(store: &Store, model: &Model) -> Agreed {
    for key in KEYS {
        same_key(store, model, key).await?;
    }
    let info = store.info().await.map_err(unexpected)?;
    let entries: usize = model.keys.values().map(Vec::len).sum();
    prop_assert_eq!(info.keys, model.keys.len() as u64);
    prop_assert_eq!(info.entries, entries as u64);
    prop_assert_eq!(info.last_revision, Revision(model.last));
    for pattern in [">", "a.*", "b"] {
        let filter = Filter::new(pattern).map_err(|error| unexpected(Error::from(error)))?;
        let found = store.entries(filter.clone()).await.map_err(unexpected)?;
        let found: Vec<_> = found
            .iter()
            .map(|e| (e.revision.0, e.key.as_str().to_owned()))
            .collect();
        let mut wanted: Vec<_> = model
            .keys
            .iter()
            .filter(|(key, _)| filter.matches(key))
            .filter_map(|(key, all)| Some((all.last()?, (*key).to_owned())))
            .filter(|(kept, _)| kept.operation.is_put())
            .map(|(kept, key)| (kept.revision, key))
            .collect();
        wanted.sort_unstable();
        prop_assert_eq!(found, wanted, "keys under {}", pattern);
    }
    Ok(())
}
