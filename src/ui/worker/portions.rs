//! What a watch brings, in portions that the console takes in without a stutter.
//!
//! Between two portions the console looks at the keyboard. A snapshot comes in the order of its
//! writes, all over the place; a stretch of it put into the order of its keys is taken in far
//! sooner, since neighbours in the index are neighbours in memory. What the portions are for is
//! not known here.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant, timeout_at};

use crate::kv::{Watch, WatchEvent};

/// The most events in a portion: a millisecond of work for the console.
const PORTION: usize = 1024;
/// The longest stretch of a snapshot that is put in order, in events.
const STRETCH: usize = 1 << 15;
/// How much shorter a stretch is than what was told before: the first keys come at once.
const SHARE: usize = 4;
/// How long events are held back for a stretch to fill.
const HELD: Duration = Duration::from_millis(30);

/// A watch whose events come in portions.
#[derive(Debug)]
pub(super) struct Portions {
    watch: Watch,
    /// What was taken from the watch and not handed on yet.
    waiting: VecDeque<WatchEvent>,
    /// Whether a snapshot is being told.
    snapshot: bool,
    /// How many events of the snapshot were told.
    told: usize,
}

impl Portions {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            watch,
            waiting: VecDeque::new(),
            snapshot: true,
            told: 0,
        }
    }

    /// The next portion; `None` after the last one.
    pub(super) async fn next(&mut self) -> Option<Vec<WatchEvent>> {
        if self.waiting.is_empty() {
            self.wait_for_stretch().await?;
        }
        let count = self.waiting.len().min(PORTION);
        Some(self.waiting.drain(..count).collect())
    }

    /// Takes what waits in the watch; of a snapshot a longer stretch, its entries in the order of
    /// keys.
    async fn wait_for_stretch(&mut self) -> Option<()> {
        let wanted = (self.told / SHARE).min(STRETCH);
        let events = &mut self.waiting;
        let most = if self.snapshot {
            events.reserve_exact(wanted);
            // What waits longer than that waits where it holds up the store.
            wanted.max(PORTION)
        } else {
            // What a snapshot needed, or a great many live ones, is needed once.
            events.shrink_to(PORTION);
            usize::MAX
        };
        self.watch.next_batch_into(events, most).await?;
        if self.snapshot {
            let until = Instant::now() + HELD;
            let mut entries_only = events.iter().all(is_entry);
            while entries_only && events.len() < wanted {
                let before = events.len();
                // The end of the watch comes again with the next call.
                let more = self.watch.next_batch_into(events, wanted - before);
                let Ok(Some(())) = timeout_at(until, more).await else {
                    break;
                };
                entries_only = events.range(before..).all(is_entry);
            }
            self.told += events.len();
            // What is no entry divides what was before it from what came after.
            let events = events.make_contiguous();
            for run in events.chunk_by_mut(|a, b| is_entry(a) && is_entry(b)) {
                sort(run);
            }
        }
        for event in &self.waiting {
            match event {
                WatchEvent::Ready => self.snapshot = false,
                WatchEvent::Resumed { gap: true } => (self.snapshot, self.told) = (true, 0),
                WatchEvent::Entry(_)
                | WatchEvent::Interrupted { .. }
                | WatchEvent::Resumed { gap: false } => {}
            }
        }
        Some(())
    }
}

fn is_entry(event: &WatchEvent) -> bool {
    matches!(event, WatchEvent::Entry(_))
}

/// Puts entries into the order of their keys, which is nearly that of the index. Those of one key
/// stay as they were told.
fn sort(run: &mut [WatchEvent]) {
    // The numbers are sorted in place of the entries, which are large.
    let mut order: Vec<(&str, usize)> = Vec::with_capacity(run.len());
    for (place, event) in run.iter().enumerate() {
        if let WatchEvent::Entry(entry) = event {
            order.push((entry.key.as_str(), place));
        }
    }
    order.sort_unstable();
    let mut places: Vec<usize> = order.into_iter().map(|(_, place)| place).collect();
    // Along each cycle of the permutation, without a second copy of the entries.
    for start in 0..places.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut places[at], at);
            if from == start || from == at {
                break;
            }
            run.swap(at, from);
            at = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;
    use crate::kv::{Entry, Key, Operation, Revision, WatchSender, watch_channel};

    fn entry(key: &str, revision: u64) -> WatchEvent {
        WatchEvent::Entry(Entry {
            key: Key::from_stored(key),
            revision: Revision(revision),
            created: OffsetDateTime::UNIX_EPOCH,
            operation: Operation::Put,
            size: 1,
            value: Some(Bytes::new()),
            ttl: None,
            expires: None,
        })
    }

    fn send(sender: &WatchSender, keys: &[&str]) {
        sender.send_all((1..).zip(keys).map(|(n, key)| entry(key, n)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_is_in_the_order_of_keys_and_what_follows_is_not() {
        let (sender, watch) = watch_channel();
        let mut portions = Portions::new(watch);
        send(&sender, &["b", "c", "a", "b"]);
        sender.send(WatchEvent::Ready);
        send(&sender, &["z", "y"]);
        let expected = vec![
            entry("a", 3),
            entry("b", 1),
            entry("b", 4),
            entry("c", 2),
            WatchEvent::Ready,
        ];
        let portion = portions.next().await.unwrap();
        assert_eq!(portion[..5], expected);
        send(&sender, &["x", "w"]);
        assert_eq!(
            portions.next().await.unwrap(),
            [entry("x", 1), entry("w", 2)]
        );
        drop(sender);
        assert_eq!(portions.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_back_for_long_and_no_portion_is_large() {
        let (sender, watch) = watch_channel();
        let mut portions = Portions::new(watch);
        sender.send_all((0..5000).map(|n| entry(&format!("k{n}"), n)));
        let mut seen = 0;
        while seen < 5000 {
            let portion = portions.next().await.unwrap();
            assert!(portion.len() <= PORTION);
            seen += portion.len();
        }
        // A stretch would be longer by now, but no more comes.
        send(&sender, &["a"]);
        let begun = Instant::now();
        assert_eq!(portions.next().await.unwrap(), [entry("a", 1)]);
        assert!(begun.elapsed() <= HELD * 2);
    }

    proptest! {
        #[test]
        fn sorting_is_stable(keys in proptest::collection::vec("[ab.]{1,3}", 0..40)) {
            let mut run: Vec<_> = (0..).zip(&keys).map(|(n, key)| entry(key, n)).collect();
            let mut expected = run.clone();
            expected.sort_by(|a, b| match (a, b) {
                (WatchEvent::Entry(a), WatchEvent::Entry(b)) => {
                    a.key.as_str().cmp(b.key.as_str())
                }
                _ => std::cmp::Ordering::Equal,
            });
            sort(&mut run);
            prop_assert_eq!(run, expected);
        }
    }
}
