//! The queue between a backend and a watcher, and the backend's end of it.
//!
//! It is the one place that decides what happens when a watcher can't keep up. A backend must never
//! stop listening to its server because somebody is slow to look, so the live part of a watch is
//! *coalesced*: of the entries that nobody took yet, only the newest of each key stays. The snapshot
//! before [`WatchEvent::Ready`] is paced instead: the backend waits for room.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use super::WatchEvent;
use crate::kv::{Entry, Key};

/// How many entries wait in the queue before the newest of each key replaces the older ones, and
/// before a snapshot is held up.
const SOFT_LIMIT: usize = 8192;
/// How many bytes of values wait in the queue before the backend is held up, whatever it brings.
const BYTE_LIMIT: u64 = 32 << 20;

/// The backend's end of a [`Watch`](super::Watch).
#[derive(Clone)]
pub struct WatchSender {
    queue: Arc<Queue>,
    _open: Arc<CloseOnDrop>,
}

impl fmt::Debug for WatchSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchSender")
            .field("waiting", &self.queue.lock().events.len())
            .finish()
    }
}

impl WatchSender {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self {
            _open: Arc::new(CloseOnDrop(Arc::clone(&queue))),
            queue,
        }
    }

    /// Tells an event. Never waits; a live entry may replace an older one of its key that nobody
    /// took yet.
    pub fn send(&self, event: WatchEvent) {
        self.send_all(std::iter::once(event));
    }

    /// Tells several events at once.
    pub fn send_all(&self, events: impl IntoIterator<Item = WatchEvent>) {
        let mut state = self.queue.lock();
        let events = events.into_iter();
        // At the most: what is left out of them leaves a little room.
        let (least, most) = events.size_hint();
        state.make_room(most.unwrap_or(least).min(SOFT_LIMIT));
        for event in events {
            state.push(event);
        }
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }

    /// Waits until the watcher has taken enough for more to be sent. Call it between the batches
    /// of a snapshot; in the live part only after [`WatchSender::is_swamped`].
    ///
    /// Cancel-safe.
    pub async fn room(&self) {
        loop {
            // Registered before the look, or a notification in between would be lost.
            let notified = self.queue.room.notified();
            if self.queue.lock().has_room() {
                return;
            }
            notified.await;
        }
    }

    /// Whether there is nothing for [`WatchSender::room`] to wait for.
    pub fn has_room(&self) -> bool {
        self.queue.lock().has_room()
    }

    /// Whether so many bytes wait that even live entries should be held up.
    pub fn is_swamped(&self) -> bool {
        self.queue.lock().bytes > BYTE_LIMIT
    }
}

/// What both ends share.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told when the watcher has taken enough for more to be sent.
    pub(super) room: Notify,
}

impl Queue {
    /// A watcher or a backend that panicked leaves a queue that is still whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits, and who for it.
#[derive(Default)]
pub(super) struct State {
    pub(super) events: VecDeque<WatchEvent>,
    /// Bytes of the values in `events`.
    bytes: u64,
    /// Events taken since the beginning: the index of `events[0]` in the whole watch.
    taken: u64,
    /// Whether the snapshot is over, so that entries may be coalesced.
    live: bool,
    /// Where in the whole watch the newest waiting entry of each key is. Empty until the queue is
    /// long enough to need it; complete for all entries from `coalesced_from` on.
    newest: HashMap<Key, u64>,
    /// The index in the whole watch from which on `newest` is complete. Only entries of one
    /// uninterrupted stretch replace each other.
    coalesced_from: Option<u64>,
    closed: bool,
    waker: Option<Waker>,
}

impl State {
    /// Room for more events, a quarter at a time: a snapshot that comes faster than it is taken
    /// would double it, beside what it had, at the very moment at which memory is short.
    fn make_room(&mut self, more: usize) {
        let length = self.events.len();
        if self.events.capacity() - length < more {
            self.events.reserve_exact(more.max(length / 4));
        }
    }

    fn push(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Entry(entry) => {
                self.bytes += value_length(&entry);
                if self.live && self.events.len() >= SOFT_LIMIT {
                    self.push_coalesced(entry);
                } else {
                    self.events.push_back(WatchEvent::Entry(entry));
                }
            }
            other => {
                match &other {
                    WatchEvent::Ready => self.live = true,
                    WatchEvent::Resumed { gap: true } => self.live = false,
                    WatchEvent::Interrupted { .. }
                    | WatchEvent::Resumed { gap: false }
                    | WatchEvent::Entry(_) => {}
                }
                self.events.push_back(other);
                // What comes before it must stay before it.
                self.newest.clear();
                self.coalesced_from = None;
            }
        }
    }

    fn push_coalesced(&mut self, entry: Entry) {
        let end = self.taken + self.events.len() as u64;
        self.coalesced_from.get_or_insert(end);
        let place = self
            .newest
            .get(&entry.key)
            .and_then(|at| at.checked_sub(self.taken));
        let waiting = place.and_then(|place| usize::try_from(place).ok());
        match waiting.and_then(|place| self.events.get_mut(place)) {
            Some(WatchEvent::Entry(older)) => {
                self.bytes = self.bytes.saturating_sub(value_length(older));
                *older = entry;
            }
            _ => {
                self.newest.insert(entry.key.clone(), end);
                self.events.push_back(WatchEvent::Entry(entry));
            }
        }
    }

    pub(super) fn take_one(&mut self) -> Option<WatchEvent> {
        let event = self.events.pop_front()?;
        self.taken += 1;
        self.bytes = self.bytes.saturating_sub(event_length(&event));
        if self.events.is_empty() {
            self.newest.clear();
            self.coalesced_from = None;
        }
        Some(event)
    }

    pub(super) fn take_into(&mut self, batch: &mut VecDeque<WatchEvent>, most: usize) {
        let count = most.min(self.events.len());
        let before = batch.len();
        if batch.capacity() == 0 && count == self.events.len() {
            std::mem::swap(batch, &mut self.events);
        } else {
            batch.extend(self.events.drain(..count));
        }
        self.taken += count as u64;
        if self.events.is_empty() {
            self.bytes = 0;
            self.newest.clear();
            self.coalesced_from = None;
            // Likely about as many come next, so the room stays; what a snapshot needed goes after it.
            let kept = if self.live {
                SOFT_LIMIT
            } else {
                SOFT_LIMIT * 4
            };
            self.events.shrink_to(kept);
        } else {
            let bytes: u64 = batch.range(before..).map(event_length).sum();
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.events.len() < SOFT_LIMIT && self.bytes <= BYTE_LIMIT
    }

    /// Nothing waits: the end of the watch, or the waker is left for the next event.
    pub(super) fn wait_or_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.closed {
            return Poll::Ready(());
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

fn value_length(entry: &Entry) -> u64 {
    entry.value.as_ref().map_or(0, |value| value.len() as u64)
}

fn event_length(event: &WatchEvent) -> u64 {
    match event {
        WatchEvent::Entry(entry) => value_length(entry),
        WatchEvent::Ready | WatchEvent::Interrupted { .. } | WatchEvent::Resumed { .. } => 0,
    }
}

struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::watch::{Interruption, watch_channel};
    use crate::kv::{Operation, Revision};
    use bytes::Bytes;
    use time::OffsetDateTime;

    fn entry(key: &str, revision: u64) -> WatchEvent {
        WatchEvent::Entry(Entry {
            key: Key::from_stored(key),
            revision: Revision(revision),
            created: OffsetDateTime::UNIX_EPOCH,
            operation: Operation::Put,
            size: 1,
            value: Some(Bytes::from_static(b"v")),
            ttl: None,
            expires: None,
        })
    }

    #[tokio::test]
    async fn events_come_in_order_and_the_watch_ends_with_its_sender() {
        let (sender, watch) = watch_channel();
        sender.send_all([entry("a", 1), WatchEvent::Ready, entry("a", 2)]);
        assert_eq!(watch.next().await, Some(entry("a", 1)));
        assert_eq!(
            watch.next_batch().await,
            Some(vec![WatchEvent::Ready, entry("a", 2)])
        );
        drop(sender);
        assert_eq!(watch.next().await, None);
    }

    #[tokio::test]
    async fn what_a_watcher_leaves_holds_up_the_snapshot_and_what_it_took_does_not() {
        let (sender, watch) = watch_channel();
        let waiting = SOFT_LIMIT as u64 + 2;
        sender.send_all((1..=waiting).map(|revision| entry("a", revision)));
        assert!(!sender.has_room());
        assert_eq!(
            watch.next_batch_of(2).await,
            Some(vec![entry("a", 1), entry("a", 2)])
        );
        assert!(!sender.has_room(), "as many wait as may");
        assert_eq!(watch.next_batch_of(0).await, Some(vec![entry("a", 3)]));
        assert!(sender.has_room());
        sender.room().await;
        let rest = watch.next_batch_of(usize::MAX).await.unwrap();
        assert_eq!(rest.len() as u64, waiting - 3);
        assert_eq!(watch.queue.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_slow_watcher_keeps_the_newest_of_each_key() {
        let (sender, watch) = watch_channel();
        sender.send(WatchEvent::Ready);
        let keys: u64 = 50;
        let writes = SOFT_LIMIT as u64 * 4;
        for revision in 1..=writes {
            sender.send(entry(&format!("k{}", revision % keys), revision));
        }
        let batch = watch.next_batch().await.unwrap();
        assert!(batch.len() <= SOFT_LIMIT + 51, "{}", batch.len());
        let mut last = HashMap::new();
        for event in batch {
            if let WatchEvent::Entry(entry) = event {
                let before = last.insert(entry.key.clone(), entry.revision);
                assert!(before < Some(entry.revision), "a key went back in revision");
            }
        }
        for revision in writes - keys + 1..=writes {
            assert_eq!(
                last[format!("k{}", revision % keys).as_str()],
                Revision(revision)
            );
        }
    }

    #[tokio::test]
    async fn entries_never_cross_an_interruption() {
        let (sender, watch) = watch_channel();
        sender.send(WatchEvent::Ready);
        for revision in 1..=SOFT_LIMIT as u64 + 10 {
            sender.send(entry("k", revision));
        }
        sender.send(WatchEvent::Interrupted {
            cause: Interruption::Disconnected,
        });
        sender.send(entry("k", 99_999));
        let batch = watch.next_batch().await.unwrap();
        assert_eq!(batch.last(), Some(&entry("k", 99_999)));
        assert!(matches!(
            batch[batch.len() - 2],
            WatchEvent::Interrupted { .. }
        ));
    }

    #[tokio::test]
    async fn a_snapshot_is_held_up_until_the_watcher_takes_it() {
        let (sender, watch) = watch_channel();
        for revision in 1..=SOFT_LIMIT as u64 {
            sender.send(entry("k", revision));
        }
        let room = sender.room();
        tokio::pin!(room);
        assert!(futures_util::poll!(&mut room).is_pending());
        assert_eq!(watch.next_batch().await.unwrap().len(), SOFT_LIMIT);
        room.await;
    }
}
