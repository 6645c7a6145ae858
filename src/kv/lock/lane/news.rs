//! What a lane hears of its record, by the watch and by notices, and what it tells others.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::super::notice::Notice;
use super::store::record_of;
use super::{Lane, Parts, RETURN, next_event};
use crate::kv::{Revision, WatchEvent};

/// How often others have a turn before it is sure that a task does not ask again at once.
const RETURN_TURNS: usize = 64;
/// How long the one who was let in has to write down what it was asked to.
const TRUST: Duration = Duration::from_millis(5);

/// A record that was told of, by the watch or by whoever wrote it.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) revision: Revision,
    /// None for a record that was taken away.
    pub(super) value: Option<Bytes>,
}

/// What is known of the notices of others. They take the place of the watch once one has come: it
/// would wake everybody who waits whenever somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notices {
    /// None has come yet.
    Unproven,
    /// One has come.
    Proven,
    /// One was due and did not come: whoever was to send it can't.
    Failing,
}

impl Lane {
    /// Of the records that were heard of only the newest says anything: at a lock that many want,
    /// reading them all would be most of the work.
    pub(super) fn take_events(&mut self) {
        while let Some(event) = next_event(self.watch.as_ref()).now_or_never() {
            match event {
                Some(event) => self.event(event),
                None => self.watch = None,
            }
        }
        self.hear_out();
        if let Some((revision, requests)) = self.favours.take() {
            self.line.oblige(revision, requests);
        }
        if !self.line.is_entrusted() {
            self.entrusted_until = None;
        }
    }

    fn hear_out(&mut self) {
        let Some(heard) = self.heard.take() else {
            return;
        };
        match record_of(heard.value.as_ref()) {
            Ok(record) => {
                self.polled = false;
                self.line.told(record, heard.revision);
                self.pace.heard();
            }
            // Reading it tells everybody.
            Err(_) => self.line.forget(),
        }
    }

    pub(super) fn event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Entry(entry) => self.hear(entry.revision, entry.live_value().cloned()),
            WatchEvent::Resumed { gap: true } => {
                self.heard = None;
                self.line.forget();
            }
            WatchEvent::Resumed { gap: false }
            | WatchEvent::Ready
            | WatchEvent::Interrupted { .. } => {}
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        if self.notices == Notices::Unproven {
            self.notices = Notices::Proven;
        }
        if !notice.requests.is_empty() {
            self.favours = Some((notice.revision, notice.requests));
        }
        if notice.record.is_some() {
            self.hear(notice.revision, notice.record);
        } else if self.line.waits() && self.knows_less_than(notice.revision) {
            self.line.forget();
        }
    }

    fn knows_less_than(&self, revision: Revision) -> bool {
        let known = self.line.known();
        known.is_none_or(|(known, _)| known < revision)
    }

    /// Of two that were told of the newer one counts.
    fn hear(&mut self, revision: Revision, value: Option<Bytes>) {
        let is_news = |heard: &Heard| heard.revision < revision;
        if self.heard.as_ref().is_none_or(is_news) {
            self.heard = Some(Heard { revision, value });
        }
    }

    /// Tells others of what was written: whom it lets in may have no other way to hear of it at
    /// once.
    pub(super) async fn tell_others(&mut self) {
        if let Some(news) = self.news.take() {
            let Parts {
                bucket,
                key,
                session,
                ..
            } = &self.parts;
            news.tell(&**bucket, key, session).await;
        }
    }

    /// Leaves it to the one who is let in to write down who asks here. It has to write anyway: this
    /// one would write between, and both would have to write again.
    pub(super) async fn entrusts(&mut self) -> bool {
        let Some(news) = self.news.as_mut().filter(|_| self.distrust == 0) else {
            return false;
        };
        let Some((_, requests)) = self.line.entrust() else {
            return false;
        };
        news.ask(requests);
        self.entrusted_until = Some(Instant::now() + TRUST);
        self.tell_others().await;
        true
    }

    /// Whether somebody asks again at once for what was just let go. Others are told when that is
    /// known.
    pub(super) async fn is_asked_again(&mut self) -> bool {
        let Some(left_at) = self.left_at.filter(|_| self.returns) else {
            return false;
        };
        // Counted too, for a clock may stand still.
        for _ in 0..RETURN_TURNS {
            tokio::task::yield_now().await;
            if !self.parts.commands.is_empty() {
                return true;
            }
            if left_at.elapsed() >= RETURN {
                break;
            }
        }
        self.returns = false;
        false
    }
}
