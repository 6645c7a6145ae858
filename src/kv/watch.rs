//! Watching keys: what can be watched, what a watcher is told, and the watcher's end of the queue
//! that it is told through. The queue and the backend's end of it are in `queue`.

mod queue;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;

use self::queue::Queue;
pub use self::queue::WatchSender;
use super::{Entry, Filter, Revision};

/// What a watcher is told.
///
/// The order: entries of the snapshot, once [`Ready`](Self::Ready) (also on an empty bucket), then
/// live entries. During the snapshot a key can come more than once, in the order of its revisions.
/// Entries of one key never go back in revision, but for a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// A key has this entry now.
    Entry(Entry),
    /// Everything that the bucket held when the watch began, or began again after a gap, has been
    /// told.
    Ready,
    /// What was told so far may be out of date from now on.
    Interrupted {
        /// Why.
        cause: Interruption,
    },
    /// The watch goes on.
    Resumed {
        /// Whether something may have been missed that will not be told any more: entries that
        /// were purged, a bucket that was made anew, a store that was rolled back. After a gap the
        /// whole snapshot comes again and then [`WatchEvent::Ready`]: keys that were not in it are
        /// gone. Revisions can be lower than before. A watch from [`WatchFrom::Now`] has no
        /// snapshot after a gap either: `Ready` comes at once, and then what is still to be told.
        gap: bool,
    },
}

/// Why a watch was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// The connection to the store is down.
    Disconnected,
    /// The store answers, but the watch fell silent.
    Stalled,
    /// The bucket is gone. The watch resumes when there is one of that name again.
    BucketGone,
    /// The bucket was made anew, or rolled back to an earlier state.
    BucketReplaced,
    /// The store refused to go on, in its own words.
    Refused(String),
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the connection is down"),
            Self::Stalled => f.write_str("the watch fell silent"),
            Self::BucketGone => f.write_str("the bucket is gone"),
            Self::BucketReplaced => f.write_str("the bucket was made anew or rolled back"),
            Self::Refused(reason) => write!(f, "the store refused: {reason}"),
        }
    }
}

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOptions {
    /// Which keys.
    pub filter: Filter,
    /// What to be told before live entries.
    pub from: WatchFrom,
    /// Whether to move values. Without, entries come with their size alone.
    pub values: bool,
}

impl WatchOptions {
    /// The newest entry of each of these keys, with values, then live ones.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            from: WatchFrom::Newest,
            values: true,
        }
    }

    /// The same without values.
    #[must_use]
    pub fn without_values(self) -> Self {
        Self {
            values: false,
            ..self
        }
    }

    /// The same with another beginning.
    #[must_use]
    pub fn from(self, from: WatchFrom) -> Self {
        Self { from, ..self }
    }
}

/// What a watcher is told before live entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchFrom {
    /// The newest entry of each key, markers included.
    Newest,
    /// Every entry that is kept.
    History,
    /// Every entry that is kept, from this revision on.
    Revision(Revision),
    /// Nothing: only what is written from now on.
    Now,
}

/// A running watch, for one task to take events from. Dropping it ends it, at the store too.
///
/// A watcher that is slow to take events is not told every one: of entries that wait, the newest
/// of each key stays. It always ends up with the newest entry of every key. A watch for
/// [`WatchFrom::History`] or [`WatchFrom::Revision`] is not thinned out before its `Ready`.
///
/// The watch ends (`None`) only when the backend is closed.
pub struct Watch {
    queue: Arc<Queue>,
    /// Stops whatever feeds the queue.
    _feeder: Option<AbortOnDrop>,
}

/// Both ends of a watch. Feed it from a task that is then given to [`Watch::fed_by`].
pub fn watch_channel() -> (WatchSender, Watch) {
    let queue = Arc::new(Queue::default());
    (
        WatchSender::new(Arc::clone(&queue)),
        Watch {
            queue,
            _feeder: None,
        },
    )
}

impl Watch {
    /// The watch, with the task that feeds it, which is aborted when the watch is dropped.
    #[must_use]
    pub fn fed_by(self, task: tokio::task::JoinHandle<()>) -> Self {
        Self {
            _feeder: Some(AbortOnDrop(task)),
            ..self
        }
    }

    /// The next event; `None` after the last one.
    ///
    /// Cancel-safe: an event is taken only when it is returned.
    pub async fn next(&self) -> Option<WatchEvent> {
        std::future::poll_fn(|context| self.poll_next_event(context)).await
    }

    /// All events that wait, at least one; `None` after the last one. One lock for many events:
    /// the way to take a snapshot of a million keys.
    ///
    /// Cancel-safe: events are taken only when they are returned.
    pub async fn next_batch(&self) -> Option<Vec<WatchEvent>> {
        self.next_batch_of(usize::MAX).await
    }

    /// The same, but no more events than this at once. What is left in the watch still holds up
    /// the store, which what was taken does not.
    ///
    /// Cancel-safe: events are taken only when they are returned.
    pub async fn next_batch_of(&self, most: usize) -> Option<Vec<WatchEvent>> {
        let mut batch = VecDeque::new();
        self.next_batch_into(&mut batch, most).await?;
        Some(batch.into())
    }

    /// The same, put behind what `batch` holds. Many batches with one and the same buffer cost far
    /// less memory than each with its own. `None` after the last one.
    ///
    /// Cancel-safe: events are taken only when it returns.
    pub async fn next_batch_into(
        &self,
        batch: &mut VecDeque<WatchEvent>,
        most: usize,
    ) -> Option<()> {
        std::future::poll_fn(|context| {
            let mut state = self.queue.lock();
            if state.events.is_empty() {
                return state.wait_or_end(context).map(|()| None);
            }
            state.take_into(batch, most.max(1));
            let has_room = state.has_room();
            drop(state);
            if has_room {
                self.queue.room.notify_one();
            }
            Poll::Ready(Some(()))
        })
        .await
    }

    pub(super) fn poll_next_event(&self, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        let mut state = self.queue.lock();
        let Some(event) = state.take_one() else {
            return state.wait_or_end(context).map(|()| None);
        };
        let has_room = state.has_room();
        drop(state);
        if has_room {
            self.queue.room.notify_one();
        }
        Poll::Ready(Some(event))
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.poll_next_event(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("waiting", &self.queue.lock().events.len())
            .finish()
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
