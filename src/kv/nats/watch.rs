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
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::bucket::NatsBucket;
use super::connect::jittered;
use super::consumer::{Consumer, Delivered, Fault, Heard};
use super::continuity::{Expiries, Mark, Progress};
use super::link::LinkState;
use super::message::{Decoder, Place, Stored};
use crate::kv::{
    Entry, Error, Interruption, Watch, WatchEvent, WatchFrom, WatchOptions, WatchSender,
    watch_channel,
};

/// How often the stream is looked at for what no message tells of.
const CHECK_EVERY: Duration = Duration::from_secs(10);
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
        expiries: Expiries::default(),
        leaves_markers: false,
        interrupted_by: None,
    };
    let stretch = pump.attach().await?;
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
    /// When the messages that were handed on expire.
    expiries: Expiries,
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
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.attach().await {
                Ok(stretch) => {
                    self.interrupted_by = None;
                    self.sender.send(WatchEvent::Resumed { gap: stretch.gap });
                    let entries = stretch.fetched.iter();
                    let entries = entries.filter_map(|message| self.decoder.stored_entry(message));
                    self.sender.send_all(entries.map(WatchEvent::Entry));
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
        let mut state = self.state.clone();
        let losses = stretch.losses;
        let check = check(Arc::clone(&self.bucket), self.told);
        tokio::pin!(check);
        loop {
            tokio::select! {
                biased;
                () = lost(&mut state, losses) => {
                    return Interruption::Disconnected;
                }
                heard = stretch.consumer.hear(&mut messages) => {
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
                }
                () = self.sender.room(), if stretch.consumer.is_asked() => {
                    stretch.consumer.keep_up();
                }
                (told_before, looked) = &mut check => {
                    if let Some(cause) = self.on_check(told_before, looked) {
                        return cause;
                    }
                    check.set(self::check(Arc::clone(&self.bucket), self.told));
                }
            }
        }
    }

    /// Hands on what had come before the connection was lost.
    fn take_rest(&mut self, stretch: &mut Stretch) {
        let mut messages = Vec::new();
        while let Some(Ok(heard)) = stretch.consumer.hear(&mut messages).now_or_never() {
            self.hand_on(stretch, &mut messages, heard);
        }
    }

    fn hand_on(&mut self, stretch: &mut Stretch, messages: &mut Vec<Delivered>, heard: Heard) {
        let mut events = Vec::with_capacity(messages.len() + 1);
        let mut complete = self.complete;
        let now = OffsetDateTime::now_utc();
        for delivered in messages.drain(..) {
            let Delivered {
                message,
                place,
                pending,
            } = delivered;
            self.told = Some(Told::of(place));
            let headers = message.headers.as_ref();
            let entry = self
                .decoder
                .entry(&message.subject, headers, &message.payload, place);
            // A value that expires where there are markers is replaced by one.
            let silent = |entry: &&Entry| entry.is_marker() || !self.leaves_markers;
            let end = entry
                .as_ref()
                .filter(silent)
                .and_then(|entry| entry.expires);
            self.expiries.note(place.created, end, now);
            events.extend(entry.map(WatchEvent::Entry));
            if !complete && pending == 0 && place.revision >= stretch.promised {
                complete = true;
                events.push(WatchEvent::Ready);
            }
        }
        let idle = matches!(heard, Heard::Idle(up_to) if up_to >= stretch.promised);
        if !complete && (idle || self.is_past(stretch)) {
            complete = true;
            events.push(WatchEvent::Ready);
        }
        self.complete = complete;
        if !events.is_empty() {
            self.sender.send_all(events);
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

    /// Compares the stream with what it was, and remembers what it is.
    fn on_check(
        &mut self,
        told_before: Option<Told>,
        looked: Result<Info, Error>,
    ) -> Option<Interruption> {
        let info = match looked {
            Ok(info) => info,
            Err(Error::NoSuchBucket { .. }) => return Some(Interruption::BucketGone),
            // If the server is in trouble, the connection or the consumer tells.
            Err(_) => return None,
        };
        self.decoder = self.bucket.decoder(self.options.values);
        let now = Mark::of(&info);
        let is_up_to_date = self.told.is_none_or(|told| told.revision >= now.last);
        let tells_all = self.options.filter.is_all()
            && matches!(self.options.from, WatchFrom::Newest | WatchFrom::History);
        let knows_all = tells_all && info.config.max_messages_per_subject == 1;
        let expired = if knows_all && is_up_to_date {
            self.expiries.until(OffsetDateTime::now_utc())
        } else {
            u64::MAX
        };
        let behind = told_before.is_some_and(|told| told.revision > now.last);
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

/// Looks at the stream after a while. Also gives back what had been told before.
async fn check(bucket: Arc<NatsBucket>, told: Option<Told>) -> (Option<Told>, Result<Info, Error>) {
    tokio::time::sleep(jittered(CHECK_EVERY)).await;
    (told, bucket.stream_info().await)
}

fn cause_of(error: &Error) -> Interruption {
    match error {
        Error::NoSuchBucket { .. } => Interruption::BucketGone,
        Error::Unreachable { .. } | Error::Closed => Interruption::Disconnected,
        Error::NoAnswer { .. } => Interruption::Stalled,
        other => Interruption::Refused(other.to_string()),
    }
}
