//! The task behind a watch: from a consumer to the watcher's queue, through every outage.
//!
//! It always listens, however slow the watcher is. A snapshot is paced by its flow control: the
//! server hears that we keep up when the watcher does. What waits until then waits in the queue, as
//! entries, which are a third as large as the client's messages.
//!
//! Whenever its consumer has to be made anew it first looks whether the stream is still the one that
//! it was and still has everything; only then does it go on without a gap.

mod attach;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Info;
use futures_util::FutureExt;
use futures_util::future::{Fuse, FusedFuture as _};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::bucket::NatsBucket;
use super::census::Census;
use super::connect::jittered;
use super::consumer::{Consumer, Delivered, Fault, Heard};
use super::continuity::{Expiries, Known, Mark, Progress};
use super::link::LinkState;
use super::message::{Decoder, Place, Stored};
use crate::kv::{
    Entry, Error, Interruption, Watch, WatchEvent, WatchFrom, WatchOptions, WatchSender,
    watch_channel,
};

/// How often the stream is looked at for what no message tells of.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// After how many batches others have their turn. A bucket that loads would keep this task busy for a
/// tenth of a second and more, and where every thread of the runtime has such a one, nobody looks at
/// its clock. It is more than the client reads before it lets us have ours, or its messages would
/// pile up.
const TURN: u32 = 16;
/// The pauses between attempts to resume, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// In a bucket that is written to without a break, no message is ever the last one. So long after
/// everything that was there has been told, the snapshot is over all the same.
const BUSY_GRACE: Duration = Duration::from_millis(500);

/// Starts a watch. Fails where the first attempt fails; from then on it survives everything.
pub(super) async fn start(bucket: NatsBucket, options: WatchOptions) -> Result<Watch, Error> {
    let (sender, watch) = watch_channel();
    let mut pump = Pump {
        state: bucket.session.link.state(),
        decoder: bucket.decoder(options.values),
        bucket: Arc::new(bucket),
        options,
        sender,
        mark: None,
        told: None,
        complete: false,
        attached_before: false,
        lost_at: None,
        blocks: Blocks::default(),
        expiries: Expiries::default(),
        census: Census::default(),
        leaves_markers: false,
        interrupted_by: None,
    };
    let stretch = pump.begin().await?;
    let task = tokio::spawn(pump.run(stretch));
    Ok(watch.fed_by(task))
}

struct Pump {
    bucket: Arc<NatsBucket>,
    options: WatchOptions,
    sender: WatchSender,
    state: watch::Receiver<LinkState>,
    decoder: Decoder,
    /// The stream's counts when it was last looked at.
    mark: Option<Mark>,
    /// The newest message that was handed on.
    told: Option<Told>,
    /// Whether the snapshot has been told in full.
    complete: bool,
    attached_before: bool,
    /// What had been handed on last when the connection was lost last.
    lost_at: Option<u64>,
    /// How often it was lost for what no consumer can deliver.
    blocks: Blocks,
    /// When the messages that were handed on expire.
    expiries: Expiries,
    /// The keys that were handed on, where those should be all.
    census: Census,
    /// Whether the server writes a marker for a value that expires.
    leaves_markers: bool,
    /// What the watcher was told last, while it waits for the watch to go on.
    interrupted_by: Option<Interruption>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    revision: u64,
    stored: OffsetDateTime,
}

/// How often lately a live watch was lost for a message that no consumer can deliver.
///
/// Each costs the connection, and with it every other watch. Where somebody goes on writing such
/// messages, this one rests between them, for the others to be undisturbed.
#[derive(Debug, Default)]
struct Blocks {
    count: u32,
    last: Option<Instant>,
}

impl Blocks {
    /// So many in a row cost nothing.
    const FREE: u32 = 3;
    const FIRST_REST: Duration = Duration::from_millis(500);
    const LONGEST_REST: Duration = Duration::from_secs(15);
    /// After so long without one it is over.
    const OVER: Duration = Duration::from_secs(60);

    fn note(&mut self) {
        let is_over = self.last.is_none_or(|last| last.elapsed() > Self::OVER);
        self.count = if is_over { 1 } else { self.count + 1 };
        self.last = Some(Instant::now());
    }

    fn pause(&self) -> Duration {
        let Some(doublings) = self.count.checked_sub(Self::FREE + 1) else {
            return Duration::ZERO;
        };
        let rest = Self::FIRST_REST * 2_u32.pow(doublings.min(5));
        rest.min(Self::LONGEST_REST)
    }
}

/// What a look at the stream gave, and what had been told when it began.
struct Looked {
    told: Option<Told>,
    known: Known,
    info: Result<Info, Error>,
}

impl Told {
    fn of(place: Place) -> Self {
        Self {
            revision: place.revision,
            stored: place.created,
        }
    }
}

/// The time with one consumer.
struct Stretch {
    consumer: Consumer,
    /// Which connection it hangs on.
    losses: u64,
    /// Whether something was missed before it.
    gap: bool,
    /// The newest message of the stream when it began.
    goal: u64,
    /// Since when all of those have been told.
    passed_goal: Option<Instant>,
    /// The newest message that is certain to come. On a single server the consumer itself knows
    /// when it has no more, and this is 0.
    promised: u64,
    /// Whether there is nothing to tell before what is written from now on.
    empty: bool,
    /// Messages that had to be fetched, because no consumer can deliver them to us.
    fetched: Vec<Stored>,
}

impl Pump {
    /// Attaches for the first time; again, for as long as one waits for an answer, where the
    /// connection was lost meanwhile. It may be one that others lost.
    async fn begin(&mut self) -> Result<Stretch, Error> {
        let session = Arc::clone(&self.bucket.session);
        let until = Instant::now() + session.timeout;
        loop {
            let losses = session.link.state().borrow().losses;
            let error = match self.attach().await {
                Ok(stretch) => return Ok(stretch),
                Err(error) => error,
            };
            let was_lost = session.link.state().borrow().losses != losses;
            if !was_lost || Instant::now() >= until {
                return Err(error);
            }
            session.reconnected().await;
        }
    }

    async fn run(mut self, mut stretch: Stretch) {
        loop {
            let cause = self.follow(&mut stretch).await;
            if cause == Interruption::Disconnected {
                self.take_rest(&mut stretch);
            }
            drop(stretch);
            self.interrupt(cause);
            match self.resume().await {
                Some(next) => stretch = next,
                None => return,
            }
        }
    }

    fn interrupt(&mut self, cause: Interruption) {
        if self.interrupted_by.as_ref() != Some(&cause) {
            self.sender.send(WatchEvent::Interrupted {
                cause: cause.clone(),
            });
            self.interrupted_by = Some(cause);
        }
    }

    /// Attaches again, however long it takes. `None` when the connection was closed.
    async fn resume(&mut self) -> Option<Stretch> {
        let mut pause = FIRST_PAUSE;
        loop {
            let state = self.state.wait_for(|state| state.up || state.closed).await;
            if state.map_or(true, |state| state.closed) {
                return None;
            }
            // Many watches, and many programs, come back at once.
            tokio::time::sleep(jittered(pause.max(self.blocks.pause()))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.attach().await {
                Ok(stretch) => {
                    self.interrupted_by = None;
                    self.sender.send(WatchEvent::Resumed { gap: stretch.gap });
                    let entries = stretch.fetched.iter();
                    let entries = entries.filter_map(|message| self.decoder.stored_entry(message));
                    let entries: Vec<Entry> =
                        entries.filter(|entry| self.is_wanted(entry)).collect();
                    self.census
                        .note(entries.iter().map(|entry| entry.key.as_str()));
                    self.sender
                        .send_all(entries.into_iter().map(WatchEvent::Entry));
                    return Some(stretch);
                }
                Err(error) => self.interrupt(cause_of(&error)),
            }
        }
    }

    /// Hands on what the consumer delivers, until that ends.
    async fn follow(&mut self, stretch: &mut Stretch) -> Interruption {
        if !self.complete && stretch.empty {
            self.complete = true;
            self.sender.send(WatchEvent::Ready);
        }
        let mut messages = Vec::new();
        let mut batches: u32 = 0;
        let mut state = self.state.clone();
        let losses = stretch.losses;
        let pause = tokio::time::sleep(jittered(CHECK_EVERY));
        let look = Fuse::terminated();
        tokio::pin!(pause, look);
        loop {
            tokio::select! {
                biased;
                () = lost(&mut state, losses) => {
                    return Interruption::Disconnected;
                }
                heard = stretch.consumer.hear(&self.decoder, &mut messages) => {
                    match heard {
                        Ok(heard) => self.hand_on(stretch, &mut messages, heard),
                        Err(Fault::Silent | Fault::Skipped) => return Interruption::Stalled,
                        Err(Fault::Ended) => return Interruption::Disconnected,
                    }
                    if self.complete && self.sender.is_swamped() {
                        tokio::select! {
                            () = self.sender.room() => stretch.consumer.forgive_silence(),
                            () = lost(&mut state, losses) => {
                                return Interruption::Disconnected;
                            }
                        }
                    }
                    if self.complete || self.sender.has_room() {
                        stretch.consumer.keep_up();
                    }
                    batches = batches.wrapping_add(1);
                    if batches.is_multiple_of(TURN) {
                        tokio::task::yield_now().await;
                    }
                }
                () = self.sender.room(), if stretch.consumer.is_asked() => {
                    stretch.consumer.keep_up();
                }
                () = &mut pause, if look.is_terminated() => look.set(self.look().fuse()),
                looked = &mut look => {
                    if let Some(cause) = self.on_look(looked) {
                        return cause;
                    }
                    pause.as_mut().reset(Instant::now() + jittered(CHECK_EVERY));
                }
            }
        }
    }

    /// Hands on what had come before the connection was lost.
    fn take_rest(&mut self, stretch: &mut Stretch) {
        let mut messages = Vec::new();
        while let Some(Ok(heard)) = stretch
            .consumer
            .hear(&self.decoder, &mut messages)
            .now_or_never()
        {
            self.hand_on(stretch, &mut messages, heard);
        }
    }

    fn hand_on(&mut self, stretch: &mut Stretch, messages: &mut Vec<Delivered>, heard: Heard) {
        let now = OffsetDateTime::now_utc();
        // Behind how many of the messages the snapshot is over.
        let mut over = None;
        for (before, delivered) in messages.iter_mut().enumerate() {
            let place = delivered.place;
            self.told = Some(Told::of(place));
            // A value that expires where there are markers is replaced by one.
            let silent = |entry: &&Entry| entry.is_marker() || !self.leaves_markers;
            let end = delivered
                .entry
                .as_ref()
                .filter(silent)
                .and_then(|entry| entry.expires);
            self.expiries.note(place.created, end, now);
            if over.is_none() && delivered.pending == 0 && place.revision >= stretch.promised {
                over = Some(before + 1);
            }
            if !delivered.entry.as_ref().is_some_and(|e| self.is_wanted(e)) {
                delivered.entry = None;
            }
        }
        let told = messages.iter().filter_map(|told| told.entry.as_ref());
        self.census.note(told.map(|entry| entry.key.as_str()));
        let idle = matches!(heard, Heard::Idle(up_to) if up_to >= stretch.promised);
        if !self.complete && over.is_none() && (idle || self.is_past(stretch)) {
            over = Some(messages.len());
        }
        let over = over.filter(|_| !self.complete);
        self.complete |= over.is_some();
        let events = |told: Delivered| told.entry.map(WatchEvent::Entry);
        if let Some(count) = over {
            let snapshot = messages.drain(..count).filter_map(events);
            self.sender
                .send_all(snapshot.chain(std::iter::once(WatchEvent::Ready)));
        }
        if !messages.is_empty() {
            self.sender.send_all(messages.drain(..).filter_map(events));
        }
    }

    /// Whether everything that was there when the stretch began has been told a while ago.
    fn is_past(&self, stretch: &mut Stretch) -> bool {
        if self.told.is_none_or(|told| told.revision < stretch.goal) {
            return false;
        }
        let since = stretch.passed_goal.get_or_insert_with(Instant::now);
        since.elapsed() >= BUSY_GRACE
    }

    /// Whether an entry is one of those to be told. Where there are several patterns, more may come
    /// than they name.
    fn is_wanted(&self, entry: &Entry) -> bool {
        let filter = &self.options.filter;
        filter.patterns().nth(1).is_none() || filter.matches(entry.key.as_str())
    }

    /// Whether every key of the bucket is told.
    fn tells_all(&self) -> bool {
        self.options.filter.is_all()
            && matches!(self.options.from, WatchFrom::Newest | WatchFrom::History)
    }

    /// Looks at the stream. Also gives back what has been told before: all of that must be there.
    fn look(&mut self) -> impl Future<Output = Looked> + use<> {
        let bucket = Arc::clone(&self.bucket);
        let told = self.told;
        let known = Known {
            keys: self.census.count(),
            expired: self.expiries.ever(OffsetDateTime::now_utc()),
        };
        async move {
            let info = bucket.stream_info().await;
            Looked { told, known, info }
        }
    }

    /// Compares the stream with what it was, and remembers what it is.
    fn on_look(&mut self, looked: Looked) -> Option<Interruption> {
        let info = match looked.info {
            Ok(info) => info,
            Err(Error::NoSuchBucket { .. }) => return Some(Interruption::BucketGone),
            // If the server is in trouble, the connection or the consumer tells.
            Err(_) => return None,
        };
        self.decoder = self.bucket.decoder(self.options.values);
        let now = Mark::of(&info);
        let is_up_to_date = self.told.is_none_or(|told| told.revision >= now.last);
        let knows_all = self.tells_all() && info.config.max_messages_per_subject == 1;
        let expired = if knows_all && is_up_to_date {
            self.expiries.until(OffsetDateTime::now_utc())
        } else {
            u64::MAX
        };
        if looked.known.has_lost(&now) {
            // The counts of then and now may well explain each other. It has to begin again.
            self.mark = None;
            return Some(Interruption::BucketReplaced);
        }
        let behind = looked.told.is_some_and(|told| told.revision > now.last);
        let progress = self
            .mark
            .as_ref()
            .map_or(Progress::Trimmed, |then| then.progress(&now, expired));
        match progress {
            Progress::Whole | Progress::Trimmed if !behind => {
                self.mark = Some(now);
                None
            }
            _ => Some(Interruption::BucketReplaced),
        }
    }
}

/// Waits until the connection is another than the one after so many losses.
async fn lost(state: &mut watch::Receiver<LinkState>, losses: u64) {
    let is_other = |state: &LinkState| !state.up || state.losses != losses;
    // An error means that the connection is gone for good.
    let _ = state.wait_for(is_other).await;
}

fn cause_of(error: &Error) -> Interruption {
    match error {
        Error::NoSuchBucket { .. } => Interruption::BucketGone,
        Error::Unreachable { .. } | Error::Closed => Interruption::Disconnected,
        Error::NoAnswer { .. } => Interruption::Stalled,
        other => Interruption::Refused(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_lost_again_and_again_rests_in_between() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.pause(), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            blocks.note();
            pauses.push(blocks.pause());
        }
        assert!(pauses[..3].iter().all(Duration::is_zero));
        assert!(pauses.is_sorted());
        assert_eq!(pauses[3], Blocks::FIRST_REST);
        assert_eq!(pauses[11], Blocks::LONGEST_REST);
        tokio::time::advance(Blocks::OVER * 2).await;
        blocks.note();
        assert_eq!(blocks.pause(), Duration::ZERO);
    }
}
