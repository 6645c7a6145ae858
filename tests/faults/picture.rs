//! What a watcher knows, kept as a screen would keep it, to be compared with the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use kvscope::kv::{Error, Filter, Interruption, Revision, Store, Watch, WatchEvent};

use crate::support::{eventually, soon};

/// A value, and the revision it came with.
type Held = (Revision, Bytes);

/// What a watcher knows of a bucket, from what it was told alone.
#[derive(Default)]
pub(crate) struct Picture {
    pub(crate) keys: BTreeMap<String, Held>,
    /// The keys that a snapshot has brought so far.
    pub(crate) since_gap: Option<BTreeMap<String, Held>>,
    pub(crate) interruptions: Vec<Interruption>,
    pub(crate) gaps: usize,
    pub(crate) resumptions: usize,
    pub(crate) ready: usize,
    pub(crate) interrupted: bool,
}

impl Picture {
    pub(crate) fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Entry(entry) => {
                let keys = self.since_gap.as_mut().unwrap_or(&mut self.keys);
                let name = entry.key.to_string();
                match entry.live_value() {
                    Some(value) => keys.insert(name, (entry.revision, value.clone())),
                    None => keys.remove(&name),
                };
            }
            WatchEvent::Ready => {
                self.ready += 1;
                if let Some(keys) = self.since_gap.take() {
                    self.keys = keys;
                }
            }
            WatchEvent::Interrupted { cause } => {
                self.interruptions.push(cause);
                self.interrupted = true;
            }
            WatchEvent::Resumed { gap } => {
                self.resumptions += 1;
                self.interrupted = false;
                if gap {
                    self.gaps += 1;
                    self.since_gap = Some(BTreeMap::new());
                }
            }
        }
    }

    /// Takes events until the condition holds.
    pub(crate) async fn until(&mut self, what: &str, watch: &Watch, holds: impl Fn(&Self) -> bool) {
        soon(what, async {
            while !holds(self) {
                self.take(watch.next().await.expect("the watch goes on"));
            }
        })
        .await;
    }

    /// Takes events until the picture is that of the store.
    pub(crate) async fn until_like(&mut self, what: &str, watch: &Watch, store: &Store) {
        let wanted = content(store).await;
        self.until(what, watch, |picture| {
            picture.since_gap.is_none() && !picture.interrupted && picture.keys == wanted
        })
        .await;
    }
}

/// What is in a bucket, asked of the store key by key, once it answers: a cluster that was just
/// put together again may be without a leader for a moment.
pub(crate) async fn content(store: &Store) -> BTreeMap<String, Held> {
    let mut content = Err(Error::Closed);
    eventually("a list of keys", async || {
        content = read_all(store).await;
        content.is_ok()
    })
    .await;
    content.unwrap()
}

async fn read_all(store: &Store) -> Result<BTreeMap<String, Held>, Error> {
    let mut content = BTreeMap::new();
    for entry in store.entries(Filter::all()).await? {
        let entry = store.get(&entry.key).await?.expect("the key is there");
        let value = entry.live_value().expect("it has a value").clone();
        content.insert(entry.key.to_string(), (entry.revision, value));
    }
    Ok(content)
}
