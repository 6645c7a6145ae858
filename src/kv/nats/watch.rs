//! The task behind a watch: from a consumer to the watcher's queue, through every outage.
//!
//! It always listens, however slow the watcher is, but for the snapshot, which is paced. Whenever
//! its consumer has to be made anew it first looks whether the stream is still the one that it was
//! and still has everything; only then does it go on without a gap.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::stream::Info;
use futures_util::FutureExt;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::bucket::NatsBucket;
use super::connect::jittered;
use super::consumer::{Consumer, Delivered, Fault, Heard, Wanted};
use super::continuity::{Expiries, Mark, Progress};
use super::link::LinkState;
use super::message::{Decoder, Place, Stored};
use crate::kv::backend::BucketBackend;
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
/// Payloads are left out, where nobody asked for values, if they are larger than this on average:
/// for smaller ones the header that tells the size costs more than the value.
const LARGE_VALUE: u64 = 4096;

/// Starts a watch. Fails where the first attempt fails; from then on it survives everything.
pub(super) async fn start(bucket: NatsBucket, options: WatchOptions) -> Result<Watch, Error> {
    let (sender, watch) = watch_channel();
    let tells_all =
        options.filter.is_all() && matches!(options.from, WatchFrom::Newest | WatchFrom::History);
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
        tells_all,
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
    /// Whether every message of a bucket without history is handed on.
    tells_all: bool,
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

    /// Looks at the stream and makes a consumer that goes on where the last one ended, or begins
    /// again.
    async fn attach(&mut self) -> Result<Stretch, Error> {
        let losses = self.state.borrow_and_update().losses;
        let info = match self.bucket.stream_info().await {
            Ok(info) => Some(info),
            // Not everybody may look at streams. Watching may be allowed all the same.
            Err(Error::Denied { .. }) => None,
            Err(Error::NoAnswer { .. }) if self.mark.is_none() => None,
            Err(error) => return Err(error),
        };
        self.decoder = self.bucket.decoder(self.options.values);
        let mark = info.as_ref().map(Mark::of);
        self.leaves_markers = info.as_ref().is_some_and(leaves_markers);
        let fetched = self.unreadable().await;
        let goes_on = self.can_go_on(mark.as_ref(), !fetched.is_empty()).await;
        let fetched = if goes_on { fetched } else { Vec::new() };
        let gap = self.attached_before && !goes_on;
        if gap
            && matches!((&self.mark, &mark), (Some(then), Some(now))
            if then.progress(now, u64::MAX) == Progress::Replaced)
        {
            self.interrupt(Interruption::BucketReplaced);
        }
        // A watch for what is new holds nothing that could be wrong: it goes on with what it can get.
        let keeps_place = self.options.from == WatchFrom::Now
            && matches!((&self.mark, &mark), (Some(then), Some(now))
                if then.progress(now, u64::MAX) != Progress::Replaced);
        let from = if goes_on || keeps_place {
            let told = self.told.map_or(0, |told| told.revision);
            after(
                fetched
                    .last()
                    .map_or(told, |message| message.place.revision),
            )
        } else {
            self.beginning(info.as_ref())
        };
        let wanted = Wanted {
            stream: self.bucket.stream(),
            filter: self.filter(from, info.as_ref()),
            from,
            headers_only: !self.options.values && info.as_ref().is_some_and(has_large_values),
        };
        let promised = match &info {
            Some(info) if info.config.num_replicas > 1 => {
                let filter = format!("{}{}", self.decoder.prefix, self.options.filter);
                let newest = self.bucket.newest(&filter).await;
                newest.unwrap_or(info.state.last_sequence)
            }
            _ => 0,
        };
        let consumer = Consumer::open(&self.bucket.session, &wanted)
            .await
            .map_err(|error| {
                let what = format!("watching the bucket {}", self.bucket.name());
                super::bucket::explain(&self.bucket.session, self.bucket.name(), &what, error)
            })?;
        if !goes_on {
            self.complete = false;
            let told = self.told.take();
            self.expiries.clear();
            if keeps_place {
                self.told = told;
            } else if self.options.from == WatchFrom::Now {
                // Whatever comes next is new: it is not to be compared with what was before.
                self.told = mark.as_ref().map(|mark| Told {
                    revision: mark.last,
                    stored: mark.last_stored,
                });
            }
        }
        if let Some(message) = fetched.last() {
            self.told = Some(Told::of(message.place));
        }
        self.attached_before = true;
        let begins = match wanted.from {
            DeliverPolicy::ByStartSequence { start_sequence } => start_sequence,
            _ => 1,
        };
        let only_new = self.options.from == WatchFrom::Now;
        let empty = only_new || (consumer.pending == 0 && promised < begins);
        let goal = mark.as_ref().map_or(u64::MAX, |mark| mark.last);
        self.mark = mark;
        Ok(Stretch {
            consumer,
            losses,
            gap,
            goal,
            passed_goal: None,
            promised,
            empty,
            fetched,
        })
    }

    /// After the connection was lost: what comes next, as far as no consumer can deliver it. The
    /// client gives up a connection on which a message comes whose headers it can't read. Whoever
    /// asked for that message again, as it comes, would lose every connection.
    async fn unreadable(&self) -> Vec<Stored> {
        let mut found: Vec<Stored> = Vec::new();
        if self.interrupted_by != Some(Interruption::Disconnected) {
            return found;
        }
        let filter = format!("{}{}", self.decoder.prefix, self.options.filter);
        loop {
            let told = self.told.map_or(0, |told| told.revision);
            let last = found.last().map_or(told, |message| message.place.revision);
            match self.bucket.next_after(last, &filter).await {
                Ok(Some(message)) if !message.is_readable => found.push(message),
                _ => return found,
            }
        }
    }

    /// Whether to go on after what was told last, rather than to begin again.
    ///
    /// Where the connection was lost because of a message, or twice at the same place of a
    /// snapshot, beginning again would only lead there again: then it is enough that nothing speaks
    /// against going on.
    async fn can_go_on(&mut self, now: Option<&Mark>, is_blocked: bool) -> bool {
        if self.interrupted_by.is_none() || !(self.complete || self.told.is_some() || is_blocked) {
            return false;
        }
        let told = self.told.map_or(0, |told| told.revision);
        let was_lost_here = !self.complete && self.lost_at.replace(told) == Some(told);
        if (is_blocked || was_lost_here)
            && let (Some(then), Some(now)) = (&self.mark, now)
            && matches!(
                then.progress(now, u64::MAX),
                Progress::Whole | Progress::Trimmed
            )
        {
            return true;
        }
        self.nothing_missed(now).await
    }

    /// The subjects to watch: none named, where that means all that the stream has, but for the
    /// last of each subject, where the server wants them named.
    fn filter(&self, from: DeliverPolicy, info: Option<&Info>) -> String {
        let filter = format!("{}{}", self.decoder.prefix, self.options.filter);
        match info {
            Some(info)
                if info.config.subjects == [filter.as_str()]
                    && from != DeliverPolicy::LastPerSubject =>
            {
                String::new()
            }
            _ => filter,
        }
    }

    /// Whether it is certain that the stream still has everything that was told, and everything
    /// that was not told yet.
    async fn nothing_missed(&self, now: Option<&Mark>) -> bool {
        let (Some(then), Some(now)) = (&self.mark, now) else {
            return false;
        };
        if then.progress(now, u64::MAX) != Progress::Whole {
            return false;
        }
        // The counts can match by chance after a rollback and new writes. The newest message that
        // is known of can't: it is looked up.
        let known = Told {
            revision: then.last,
            stored: then.last_stored,
        };
        let newest = match self.told {
            Some(told) if told.revision > known.revision => told,
            _ => known,
        };
        if newest.revision == 0 {
            return true;
        }
        if newest.revision == now.last {
            return newest.stored == now.last_stored;
        }
        let stored = self.bucket.stored_at(newest.revision).await;
        matches!(stored, Ok(Some(stored)) if stored == newest.stored)
    }

    /// Where a watch begins, or begins again after a gap.
    fn beginning(&self, info: Option<&Info>) -> DeliverPolicy {
        match (self.options.from, info) {
            (WatchFrom::Newest, Some(info)) if self.options.filter.is_all() && is_flat(info) => {
                DeliverPolicy::All
            }
            (WatchFrom::Newest, _) => DeliverPolicy::LastPerSubject,
            (WatchFrom::History, _) => DeliverPolicy::All,
            (WatchFrom::Revision(_), _) if self.attached_before => DeliverPolicy::All,
            (WatchFrom::Revision(first), info) => {
                // From beyond the end the server would skip what comes before.
                let end = info.map_or(u64::MAX, |info| info.state.last_sequence);
                after(first.0.saturating_sub(1).min(end))
            }
            (WatchFrom::Now, Some(info)) => after(info.state.last_sequence),
            (WatchFrom::Now, None) => DeliverPolicy::New,
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
                    if !self.complete || self.sender.is_swamped() {
                        tokio::select! {
                            () = self.sender.room() => stretch.consumer.forgive_silence(),
                            () = lost(&mut state, losses) => {
                                return Interruption::Disconnected;
                            }
                        }
                    }
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
        let knows_all = self.tells_all && info.config.max_messages_per_subject == 1;
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

fn after(sequence: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence {
        start_sequence: sequence.saturating_add(1),
    }
}

/// Whether a stream has so little history that all of it is sooner told than the newest message of
/// each subject is found.
fn is_flat(info: &Info) -> bool {
    let subjects = info.state.subjects_count;
    info.state.messages <= subjects + subjects / 4
}

fn leaves_markers(info: &Info) -> bool {
    info.config
        .subject_delete_marker_ttl
        .is_some_and(|ttl| !ttl.is_zero())
}

fn has_large_values(info: &Info) -> bool {
    info.state.bytes > LARGE_VALUE.saturating_mul(info.state.messages)
}

fn cause_of(error: &Error) -> Interruption {
    match error {
        Error::NoSuchBucket { .. } => Interruption::BucketGone,
        Error::Unreachable { .. } | Error::Closed => Interruption::Disconnected,
        Error::NoAnswer { .. } => Interruption::Stalled,
        other => Interruption::Refused(other.to_string()),
    }
}
