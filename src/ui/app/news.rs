//! What happens by itself: a place is reached, watches and connections tell something, time passes.

use super::{App, Screen, context};
use crate::kv::backend::Connection;
use crate::kv::{Error, WatchEvent};
use crate::ui::context::Context;
use crate::ui::message::{Connected, Effect, Millis, WatchId};
use crate::ui::overlays::Overlay;
use crate::ui::overlays::tour::Tour;
use crate::ui::screens::locks::Locks;
use crate::ui::screens::server::Server;
use crate::ui::store_clock::StoreClock;

impl App {
    /// A new place is there, or can't be.
    pub(super) fn arrived(&mut self, answer: Result<Connected, Error>) {
        match answer {
            Err(error) => {
                self.connect.refused(&error);
                self.screen = Screen::Connect;
            }
            Ok(place) => {
                self.connect.connected();
                self.clock = StoreClock::of(place.capabilities.remote);
                self.place = Some(place);
                self.connection = Connection::Connected;
                self.round_trip = None;
                self.next_list = None;
                self.paused = None;
                self.screen = Screen::Browse;
                self.feeds.forget();
                self.activity.clear();
                self.server = Server::default();
                self.locks = Locks::default();
                self.leave_deeds();
                self.snapshot = None;
                self.leave_edits();
                let mut ctx = context!(self);
                self.browse.arrived(&mut ctx);
                if let Some(open) = self.browse.open_bucket() {
                    self.feeds.open(open, &mut ctx);
                }
                self.locks.follow(&self.browse.buckets_of_locks(), &mut ctx);
                self.measure();
                if let Some(first) = self.first_screen.take() {
                    self.go_to(first);
                }
                if std::mem::take(&mut self.tour) {
                    self.overlays.push(Overlay::Tour(Tour::default()));
                }
            }
        }
    }

    /// Watches the buckets that are listed, and the open one with everything in it.
    pub(super) fn follow_buckets(&mut self) {
        let mut ctx = context!(self);
        // The open bucket first: it is watched however many others there are.
        let open = self.browse.open_bucket().cloned();
        if let Some(open) = open.filter(|open| !self.feeds.is_open(open)) {
            self.browse.reload(&mut ctx);
            self.feeds.open(&open, &mut ctx);
        }
        self.feeds.follow(&self.browse.watched_buckets(), &mut ctx);
        self.locks.follow(&self.browse.buckets_of_locks(), &mut ctx);
    }

    pub(super) fn watched(&mut self, id: WatchId, batch: &[WatchEvent]) {
        let Some(bucket) = self.feeds.bucket_of(id) else {
            return;
        };
        let mut is_news = false;
        for event in batch {
            if self.feeds.note(&bucket, event, self.now) {
                self.activity.note(&bucket, event, self.now);
                is_news = true;
            }
        }
        if is_news {
            let soon = self.now + Self::LIST_AFTER;
            self.next_list = Some(self.next_list.map_or(soon, |at| at.min(soon)));
        }
        let mut ctx = context!(self);
        self.browse.watched(&bucket, batch, &mut ctx);
        self.edits_watched(&bucket, batch);
    }

    pub(super) fn watch_failed(&mut self, id: WatchId, error: &Error) {
        if let Some(bucket) = self.feeds.bucket_of(id) {
            self.feeds.ended(&bucket);
            self.browse.watch_failed(&bucket, error, self.now);
        }
    }

    pub(super) fn connection(&mut self, connection: Connection) {
        let was_down = self.connection != Connection::Connected;
        self.connection = connection;
        let mut ctx = context!(self);
        match (&self.connection, was_down) {
            (Connection::Connected, true) => {
                self.browse.reconnected(&mut ctx);
                if self.screen == Screen::Server {
                    self.server.ask(&mut ctx);
                }
                self.measure();
            }
            (Connection::Connected, false) => {}
            (Connection::Reconnecting { .. } | Connection::Closed { .. }, _) => {
                self.round_trip = None;
                self.browse.interrupted();
                self.server.interrupted();
            }
        }
    }

    pub(super) fn measure(&mut self) {
        if self.place.is_some() && self.ping.is_none() {
            let mut ctx = context!(self);
            self.ping = Some(ctx.request(Effect::Ping));
            self.next_ping = None;
        }
    }

    /// A file has no distance worth measuring again and again.
    pub(super) fn arm_ping(&mut self) {
        self.next_ping = self.is_far().then_some(self.now + Self::PING_EVERY);
    }

    pub(super) fn is_far(&self) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| place.capabilities.remote)
    }

    pub(super) fn deadline_came(&mut self) {
        let now = self.now;
        let due = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        if due(self.notice.as_ref().map(|notice| notice.until)) {
            self.notice = None;
        }
        if due(self.next_ping) {
            self.next_ping = None;
            self.measure();
        }
        self.edits_deadline_came();
        if self.paused.is_some() {
            return;
        }
        if due(self.next_list) {
            self.next_list = None;
            let mut ctx = context!(self);
            self.browse.ask_for_buckets(&mut ctx);
        }
        self.expire();
        let mut ctx = context!(self);
        self.browse.deadline_came(&mut ctx);
        self.locks.deadline_came(&mut ctx);
    }
}
