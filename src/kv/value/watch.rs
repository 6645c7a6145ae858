//! Watching typed values: what changed, without the events of the connection.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use time::OffsetDateTime;

use super::{ByteDeserialize, KvReadError, decode};
use crate::kv::{Entry, Filter, Key, Operation, Revision, Store, Watch, WatchEvent, WatchOptions};

/// What a key holds after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueEntry<T> {
    /// The key.
    pub key: Key,
    /// The value; `None` if the key is gone.
    pub value: Option<T>,
    /// The revision of the change. For a key that vanished during an outage, with no trace of how,
    /// the last one that was seen of it.
    pub revision: Revision,
    /// When the store took the change, by the store's clock; for a key that vanished as above.
    pub created: OffsetDateTime,
    /// What was done. A key that vanished without a trace counts as [`Operation::Purge`].
    pub operation: Operation,
    /// When the store will drop the value, by its own clock. It need not tell of it then.
    pub expires: Option<OffsetDateTime>,
}

/// A watch over typed values, for one task to take changes from: first what is there, then every
/// change. Dropping it ends it.
///
/// Outages are absorbed: the watch is silent while the store is away, and tells afterwards what
/// changed meanwhile, also that a key is gone. A value that is not of the type is an error item,
/// and the watch goes on. Of changes that nobody took yet, the newest of each key stays.
///
/// It ends (`None`) only when the backend is closed.
pub struct ValueWatch<T> {
    watch: Watch,
    state: Mutex<State>,
    of: PhantomData<fn() -> T>,
}

#[derive(Default)]
struct State {
    /// The newest entry that was told of each key, and in which snapshot.
    told: HashMap<Key, Told>,
    /// How many gaps there were: the number of the snapshot.
    gaps: u64,
    /// Whether a snapshot after a gap is being taken.
    after_gap: bool,
    /// Keys that were found to be gone, to be told next.
    gone: VecDeque<(Key, Told)>,
}

#[derive(Clone, Copy)]
struct Told {
    revision: Revision,
    created: OffsetDateTime,
    snapshot: u64,
    /// Whether it said that the key has no value.
    is_marker: bool,
}

impl<T: ByteDeserialize> ValueWatch<T> {
    pub(super) async fn begin(store: &Store, keys: &str) -> Result<Self, KvReadError> {
        let filter = Filter::new(keys).map_err(crate::kv::Error::from)?;
        Ok(Self {
            watch: store.watch(WatchOptions::new(filter)).await?,
            state: Mutex::default(),
            of: PhantomData,
        })
    }

    /// The next change; `None` after the last one.
    ///
    /// Cancel-safe: a change is taken only when it is returned.
    pub async fn next(&self) -> Option<Result<ValueEntry<T>, KvReadError>> {
        std::future::poll_fn(|context| self.poll_change(context)).await
    }

    fn poll_change(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<ValueEntry<T>, KvReadError>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((key, told)) = state.gone.pop_front() {
                return Poll::Ready(Some(Ok(ValueEntry {
                    key,
                    value: None,
                    revision: told.revision,
                    created: told.created,
                    operation: Operation::Purge,
                    expires: None,
                })));
            }
            let Some(event) = ready!(self.watch.poll_next_event(context)) else {
                return Poll::Ready(None);
            };
            if let Some(entry) = state.take(event) {
                return Poll::Ready(Some(decode(&entry).map(|value| ValueEntry {
                    key: entry.key,
                    value,
                    revision: entry.revision,
                    created: entry.created,
                    operation: entry.operation,
                    expires: entry.expires,
                })));
            }
        }
    }
}

impl State {
    /// The entry to tell for an event, if any.
    fn take(&mut self, event: WatchEvent) -> Option<Entry> {
        match event {
            WatchEvent::Entry(entry) => self.is_news(&entry).then_some(entry),
            WatchEvent::Ready => {
                if std::mem::take(&mut self.after_gap) {
                    let now = self.gaps;
                    let gone = self.told.extract_if(|_, told| told.snapshot != now);
                    // That a key is gone was told already where it left a marker.
                    self.gone.extend(gone.filter(|(_, told)| !told.is_marker));
                }
                None
            }
            WatchEvent::Resumed { gap: true } => {
                self.gaps += 1;
                self.after_gap = true;
                None
            }
            WatchEvent::Resumed { gap: false } | WatchEvent::Interrupted { .. } => None,
        }
    }

    /// Whether an entry was not told before. A snapshot after a gap repeats what is known; a
    /// bucket that was made anew can reuse a revision, and has another time then.
    fn is_news(&mut self, entry: &Entry) -> bool {
        let now = Told {
            revision: entry.revision,
            created: entry.created,
            snapshot: self.gaps,
            is_marker: entry.is_marker(),
        };
        let before = self.told.insert(entry.key.clone(), now);
        before.is_none_or(|b| (b.revision, b.created) != (now.revision, now.created))
    }
}

impl<T: ByteDeserialize> Stream for ValueWatch<T> {
    type Item = Result<ValueEntry<T>, KvReadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_change(context)
    }
}

impl<T> fmt::Debug for ValueWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueWatch").field(&self.watch).finish()
    }
}
