//! Many editors and a stranger on one JSON value, with acknowledgements and writes that get lost.
//!
//! Every write that the store took is laid beside the one before it: it must hold what its editor
//! meant to change, and change nothing else. An update that was lost would show as a change that
//! nobody meant.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kvscope::edit::merge::{Choice, Merged, Origin};
use kvscope::edit::save::{Patience, Proof, carry_out};
use kvscope::edit::{Approved, Base, Diff, Ending, Masking, Merge, Proposal, Save, Source};
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::{Faulty, Odds};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::nats::{NatsBackend, NatsOptions};
use kvscope::kv::{BucketName, Key, Store};
use serde_json::{Value, json};

use crate::recorder::{Mind, Recorder, Recording};
use crate::stranger;
use crate::support::NatsServer;

const BUCKET: &str = "b";
const KEY: &str = "app.limits";
const EDITORS: u64 = 6;
/// How many edits there are on each of the two backends, the stranger's included, unless
/// `KVSCOPE_EDITS` says otherwise.
const EDITS: u64 = 5_000;
const BY_STRANGER: u64 = 250;

/// A write that the store took.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) revision: u64,
    pub(crate) value: String,
    /// What it was to change: paths and what is to stand there.
    pub(crate) meant: Vec<(String, Value)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_edit_is_lost_on_a_server() {
    let server = NatsServer::start();
    let mut backends: Vec<Arc<dyn Backend>> = Vec::new();
    for _ in 0..EDITORS {
        backends.push(
            NatsBackend::connect(NatsOptions::new(server.url()))
                .await
                .unwrap(),
        );
    }
    let url = server.url();
    let edits = prepare(&backends[0]).await;
    let stranger =
        tokio::spawn(async move { stranger::nats_py(&url, BUCKET, KEY, BY_STRANGER).await });
    storm("a server", backends, edits, stranger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_edit_is_lost_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("buckets.db");
    let mut backends: Vec<Arc<dyn Backend>> = Vec::new();
    for _ in 0..=EDITORS {
        let mut options = OpenOptions::default();
        options.create = true;
        backends.push(LocalBackend::open(&path, options).await.unwrap());
    }
    let other = backends.pop().unwrap();
    let edits = prepare(&backends[0]).await;
    let store = Store::open(&*other, BUCKET).await.unwrap();
    let stranger = tokio::spawn(async move { stranger::by_hand(&store, KEY, BY_STRANGER).await });
    storm("a file", backends, edits, stranger).await;
}

/// Makes the value that all of them edit.
async fn prepare(backend: &Arc<dyn Backend>) -> Accepted {
    let mut config = BucketConfig::new(BucketName::new(BUCKET).unwrap());
    config.history = 64;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::open(&**backend, BUCKET).await.unwrap();
    let mut value = json!({
        "currency": "EUR",
        "shared": {"a": 0, "b": 0, "c": {"d": 0}},
        "list": [0, 0, 0, 0],
        "stranger": {"n": 0},
        "editors": {},
    });
    for editor in 0..EDITORS {
        value["editors"][format!("e{editor}")] = json!({"n": 0});
    }
    let value = value.to_string();
    let revision = store.put(KEY, value.clone()).await.unwrap();
    Accepted {
        revision: revision.0,
        value,
        meant: Vec::new(),
    }
}

async fn storm(
    place: &str,
    backends: Vec<Arc<dyn Backend>>,
    first: Accepted,
    stranger: tokio::task::JoinHandle<Vec<Accepted>>,
) {
    let began = Instant::now();
    let edits =
        std::env::var("KVSCOPE_EDITS").map_or(EDITS, |edits| edits.parse().expect("a number"));
    let each = (edits - BY_STRANGER).div_ceil(EDITORS);
    let plain = Store::open(&*backends[0], BUCKET).await.unwrap();
    let recording = Recording::default();
    let mut editors = Vec::new();
    for (number, backend) in backends.into_iter().enumerate() {
        let recorder = Recorder::new(backend, &recording);
        let mind = recorder.mind();
        let (faulty, faults) = Faulty::new(Arc::new(recorder));
        let odds = Odds {
            lose_ack: 0.01,
            drop: 0.01,
            ..Odds::default()
        };
        faults.at_random(number as u64, odds);
        let store = Store::open(&faulty, BUCKET).await.unwrap();
        let editor = Editor {
            number: number as u64,
            store,
            random: fastrand::Rng::with_seed(number as u64),
            mind,
            counts: Counts::default(),
        };
        editors.push(tokio::spawn(editor.edit(each)));
    }
    let mut accepted = vec![first];
    let mut counts = Counts::default();
    for editor in editors {
        counts.add(&editor.await.unwrap());
    }
    accepted.extend(recording.taken());
    accepted.extend(stranger.await.unwrap());
    accepted.sort_by_key(|write| write.revision);
    let counters = accepted.iter().filter_map(|write| write.meant.first());
    let edits = counters
        .map(|(path, edit)| format!("{path} {edit}"))
        .collect::<HashSet<_>>()
        .len();
    let lost = lost_updates(&accepted);
    println!(
        "{place}: {edits} edits in {:.1} s, {} merges, {} of them with a choice, {} doubts cleared up, \
         {} not; lost updates: {}",
        began.elapsed().as_secs_f64(),
        counts.merges,
        counts.choices,
        counts.doubts,
        counts.unclear,
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(edits as u64, each * EDITORS + BY_STRANGER);
    assert!(counts.merges > 0 && counts.choices > 0 && counts.doubts > 0);
    let newest = plain.get(KEY).await.unwrap().unwrap();
    let last = accepted.last().unwrap();
    assert_eq!(newest.revision.0, last.revision);
    assert_eq!(newest.live_value().unwrap(), last.value.as_bytes());
}

/// The changes that nobody meant, and the ones that were meant and are not there, write by write.
fn lost_updates(accepted: &[Accepted]) -> Vec<String> {
    let mut lost = Vec::new();
    for pair in accepted.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert_eq!(
            before.revision + 1,
            after.revision,
            "a write that nobody made"
        );
        let masking = Masking::default();
        let diff = Diff::between(
            Some(before.value.as_bytes()),
            Some(after.value.as_bytes()),
            &masking,
        );
        let changes = diff.by_path.expect("JSON");
        let value: Value = serde_json::from_str(&after.value).unwrap();
        for change in &changes {
            let path = change.path.to_string();
            let now = change.new.as_ref().map(|new| new.revealed().to_owned());
            let meant = after.meant.iter().find(|(meant, _)| *meant == path);
            if meant.map(|(_, value)| value.to_string()) != now {
                lost.push(format!("revision {}: {change:?}", after.revision));
            }
        }
        for (path, meant) in &after.meant {
            if at(&value, path) != Some(meant) {
                lost.push(format!(
                    "revision {}: {path} is not {meant}",
                    after.revision
                ));
            }
        }
    }
    lost
}

fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    value.pointer(&path.replace(['.', '['], "/").replace(']', ""))
}

#[derive(Default)]
struct Counts {
    merges: u64,
    choices: u64,
    doubts: u64,
    unclear: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.merges += other.merges;
        self.choices += other.choices;
        self.doubts += other.doubts;
        self.unclear += other.unclear;
    }
}

struct Editor {
    number: u64,
    store: Store,
    random: fastrand::Rng,
    /// What it means to change now.
    mind: Mind,
    counts: Counts,
}

impl Editor {
    async fn edit(mut self, edits: u64) -> Counts {
        for edit in 1..=edits {
            let entry = self.store.get(KEY).await.unwrap();
            let base = Base::of(entry.as_ref());
            let source = Source::open(base.value.clone().unwrap());
            let mut meant = self.meant(edit);
            let text = edited(source.text(), &meant);
            // Others write while this one thinks.
            for _ in 0..self.random.u8(0..4) {
                tokio::task::yield_now().await;
            }
            let save = Save::new(Key::new(KEY).unwrap(), base);
            let approved = Proposal::new(&source, &text, None)
                .unwrap()
                .approve()
                .unwrap();
            self.save(save, approved, &mut meant).await;
        }
        self.counts
    }

    /// Its own counter, and now and then something that others change too.
    fn meant(&mut self, edit: u64) -> Vec<(String, Value)> {
        let unique = json!(edit * 1000 + self.number);
        let mut meant = vec![(format!(".editors.e{}.n", self.number), json!(edit))];
        if self.random.u8(0..3) == 0 {
            let shared = [".shared.a", ".shared.b", ".shared.c.d"];
            meant.push((shared[self.random.usize(0..3)].to_owned(), unique.clone()));
        }
        if self.random.u8(0..4) == 0 {
            meant.push((format!(".list[{}]", self.random.u8(0..4)), unique));
        }
        meant
    }

    async fn save(
        &mut self,
        mut save: Save,
        mut approved: Approved,
        meant: &mut Vec<(String, Value)>,
    ) {
        loop {
            let mine = approved.bytes().clone();
            self.mind.set(meant);
            let step = save.put(approved, None);
            let ending = carry_out(&self.store, &mut save, step, Patience::default()).await;
            let newest = match ending {
                Ending::Saved { proof, .. } => {
                    self.counts.doubts += u64::from(proof != Proof::Acknowledged);
                    return;
                }
                Ending::Overwritten { .. } => {
                    self.counts.doubts += 1;
                    return;
                }
                // What was unclear had landed, and stands as it was meant.
                Ending::Unchanged => return,
                Ending::NotLanded { .. } => {
                    self.counts.doubts += 1;
                    approved = again(mine);
                    continue;
                }
                Ending::Conflict { newest } => newest,
                Ending::Unclear { newest, .. } => {
                    self.counts.unclear += 1;
                    newest
                }
                other => panic!("{other:?}"),
            };
            let merged = self.merge(save.base(), mine, &newest, meant);
            save.rebase(newest);
            approved = again(merged);
        }
    }

    fn merge(
        &mut self,
        base: &Base,
        mine: Bytes,
        newest: &Base,
        meant: &mut Vec<(String, Value)>,
    ) -> Bytes {
        let (base, theirs) = (base.value.clone(), newest.value.clone());
        let mut merge = Merge::new(base, Some(mine), theirs, Masking::default());
        self.counts.merges += 1;
        self.counts.choices += u64::from(merge.unresolved() > 0);
        for row in 0..merge.rows().len() {
            if merge.rows()[row].origin != Origin::Conflict {
                continue;
            }
            let place = merge.rows()[row].place.to_string();
            if self.random.bool() {
                merge.choose(row, Choice::Mine).unwrap();
            } else {
                merge.choose(row, Choice::Theirs).unwrap();
                meant.retain(|(path, _)| *path != place);
            }
        }
        match merge.result().unwrap() {
            Merged::Value(value) => value,
            Merged::Gone => panic!("nobody deletes"),
        }
    }
}

fn again(value: Bytes) -> Approved {
    Proposal::of_bytes(value, true, None).approve().unwrap()
}

fn edited(text: &str, meant: &[(String, Value)]) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    for (path, new) in meant {
        let pointer = path.replace(['.', '['], "/").replace(']', "");
        *value.pointer_mut(&pointer).unwrap() = new.clone();
    }
    serde_json::to_string_pretty(&value).unwrap()
}
