//! Attaching a watch to its stream: from where on, with which consumer, and whether something can
//! have been missed. What then comes is handed on in `watch`.

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::stream::Info;

use super::{Pump, Stretch, Told};
use crate::kv::backend::BucketBackend;
use crate::kv::nats::bucket;
use crate::kv::nats::consumer::{Consumer, Wanted};
use crate::kv::nats::continuity::{Mark, Progress};
use crate::kv::nats::message::Stored;
use crate::kv::{Error, Interruption, WatchFrom};

/// Payloads are left out, where nobody asked for values, if they are larger than this on average:
/// for smaller ones the header that tells the size costs more than the value.
const LARGE_VALUE: u64 = 4096;
/// How many messages that can be delivered are fetched, after one that can't, to find the next of
/// that kind: they seldom come alone, and each that is delivered costs a connection.
const LOOK_AHEAD: usize = 64;
/// How many messages are fetched at once.
const MOST_FETCHED: usize = 4096;

impl Pump {
    /// Looks at the stream and makes a consumer that goes on where the last one ended, or begins
    /// again.
    pub(super) async fn attach(&mut self) -> Result<Stretch, Error> {
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
        if self.complete && !fetched.is_empty() {
            self.blocks.note();
        }
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
            filters: self.filters(from, info.as_ref()),
            from,
            headers_only: !self.options.values && info.as_ref().is_some_and(has_large_values),
        };
        let promised = match &info {
            Some(info) if info.config.num_replicas > 1 => {
                let mut newest = 0;
                for subject in self.subjects() {
                    let last = self.bucket.newest(&subject).await;
                    newest = newest.max(last.unwrap_or(info.state.last_sequence));
                }
                newest
            }
            _ => 0,
        };
        let consumer = Consumer::open(&self.bucket.session, &wanted)
            .await
            .map_err(|error| {
                let what = format!("watching the bucket {}", self.bucket.name());
                bucket::explain(&self.bucket.session, self.bucket.name(), &what, error)
            })?;
        if !goes_on {
            self.complete = false;
            let told = self.told.take();
            self.expiries.clear();
            if self.tells_all() {
                let subjects = mark.as_ref().map_or(0, |mark| mark.subjects);
                self.census.begin(subjects);
            }
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

    /// After the connection was lost: what comes next, as far as no consumer can deliver it, and
    /// what lies between. The client gives up a connection on which a message comes whose subject
    /// or headers it can't read. Whoever asked for that message again, as it comes, would lose
    /// every connection.
    async fn unreadable(&self) -> Vec<Stored> {
        let mut found: Vec<Stored> = Vec::new();
        if self.interrupted_by != Some(Interruption::Disconnected) {
            return found;
        }
        let subjects = self.delivered();
        let mut readable = 0;
        while readable < LOOK_AHEAD && found.len() < MOST_FETCHED {
            let told = self.told.map_or(0, |told| told.revision);
            let last = found.last().map_or(told, |message| message.place.revision);
            match self.next_of(&subjects, last).await {
                Some(message) if !message.is_readable => {
                    readable = 0;
                    found.push(message);
                }
                Some(message) if !found.is_empty() => {
                    readable += 1;
                    found.push(message);
                }
                _ => break,
            }
        }
        found
    }

    /// The first message of these subjects after that sequence, if it can be had.
    async fn next_of(&self, subjects: &[String], sequence: u64) -> Option<Stored> {
        let mut next: Option<Stored> = None;
        for subject in subjects {
            let found = self.bucket.next_after(sequence, subject).await.ok()?;
            next = match (next, found) {
                (Some(a), Some(b)) if b.place.revision < a.place.revision => Some(b),
                (a, b) => a.or(b),
            };
        }
        next
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
    fn filters(&self, from: DeliverPolicy, info: Option<&Info>) -> Vec<String> {
        let filters = self.delivered();
        match info {
            Some(info)
                if info.config.subjects == filters && from != DeliverPolicy::LastPerSubject =>
            {
                Vec::new()
            }
            _ => filters,
        }
    }

    /// The subjects that are delivered. An older server knows no more than one pattern: what is
    /// not wanted is left out when it is handed on.
    fn delivered(&self) -> Vec<String> {
        let client = &self.bucket.session.client;
        match self.subjects() {
            several if several.len() > 1 && !client.is_server_compatible(2, 10, 0) => {
                vec![format!("{}>", self.decoder.prefix)]
            }
            subjects => subjects,
        }
    }

    /// The subjects of the keys that are wanted.
    fn subjects(&self) -> Vec<String> {
        let patterns = self.options.filter.patterns();
        patterns
            .map(|pattern| format!("{}{pattern}", self.decoder.prefix))
            .collect()
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

pub(super) fn leaves_markers(info: &Info) -> bool {
    info.config
        .subject_delete_marker_ttl
        .is_some_and(|ttl| !ttl.is_zero())
}

fn has_large_values(info: &Info) -> bool {
    info.state.bytes > LARGE_VALUE.saturating_mul(info.state.messages)
}
