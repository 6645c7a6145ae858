//! The task behind one lock in one process: it drives a [`Line`], reads and writes for it, watches
//! the record while somebody waits, and tells callers what became of their wishes.
//!
//! It is the only one of its process that touches this record, so that wishes which come together
//! become one write. A caller that is dropped has sent its wish to give up by then: the lane goes
//! on until that is done.

mod pace;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::pace::Pace;
use super::clock::Clock;
use super::error::{LockError, Loss};
use super::heart::Life;
use super::lease::Lease;
use super::line::{Line, Next, Outcome};
use super::locks::LiveSession;
use super::notice::{News, Notice};
use super::overseer::Overseer;
use super::record::{DecodeError, Record, Refusal, Request};
use crate::kv::backend::{BucketBackend, Consistency, Write};
use crate::kv::{Entry, Filter, Key, Revision, Watch, WatchEvent, WatchOptions, WriteError};

/// How long a lane stays without a wish: the next one needs no read then, and no new watch.
const LINGER: Duration = Duration::from_secs(5);
/// How soon after it has let go a task asks again that does so in a loop.
const RETURN: Duration = Duration::from_micros(200);
/// How long the one who was let in has to write down what it was asked to.
const TRUST: Duration = Duration::from_millis(5);
/// How many turns one writes for itself after somebody was asked in vain.
const DISTRUST: u32 = 16;
/// What a caller wants of a lane.
#[derive(Debug)]
pub(super) enum Command {
    Acquire {
        request: Request,
        waits: bool,
        told: oneshot::Sender<Result<u64, LockError>>,
    },
    Release {
        id: String,
        told: Option<oneshot::Sender<Result<(), LockError>>>,
    },
    Downgrade {
        id: String,
        told: oneshot::Sender<Result<(), LockError>>,
    },
    /// Another process tells that it has written the record.
    Notice(Notice),
}

/// What a lane is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) bucket: Arc<dyn BucketBackend>,
    pub(super) resource: String,
    pub(super) key: Key,
    pub(super) session: String,
    pub(super) lease: Lease,
    pub(super) clock: Clock,
    pub(super) life: watch::Receiver<Life>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    /// Where the lane is known by its key.
    pub(super) home: Weak<LiveSession>,
    /// Keeps the session beating as long as the lane is there.
    pub(super) needed: mpsc::Sender<Infallible>,
}

/// The task's state.
#[derive(Debug)]
pub(super) struct Lane {
    parts: Parts,
    line: Line,
    /// Who waits to hear of an attempt.
    acquiring: HashMap<String, oneshot::Sender<Result<u64, LockError>>>,
    releasing: HashMap<String, Vec<oneshot::Sender<Result<(), LockError>>>>,
    downgrading: HashMap<String, oneshot::Sender<Result<(), LockError>>>,
    /// Granted while the session was not sure to live: to be told when it is.
    granted: VecDeque<(String, u64)>,
    watch: Option<Watch>,
    /// The newest record that was told of, not looked at yet.
    heard: Option<Heard>,
    /// Whether others tell this one when they let it in.
    notices: Notices,
    /// What others are to be told.
    news: Option<News>,
    /// When it let go last, unless it was asked again.
    left_at: Option<Instant>,
    /// Whether it was asked again as soon as it had let go.
    returns: bool,
    /// Until when somebody else has time to write for this one.
    entrusted_until: Option<Instant>,
    /// For how many turns it will ask nobody.
    distrust: u32,
    /// What others ask of this one, and at which revision.
    favours: Option<(Revision, Vec<Request>)>,
    oversight: Option<Oversight>,
    /// While an attempt waits: when the record is to be read again although nothing was heard.
    poll_at: Option<Instant>,
    /// Whether what is known next comes of that.
    polled: bool,
    pace: Pace,
    idle_since: Instant,
    /// Since when an attempt waits.
    waits_since: Option<Instant>,
    /// When one waited last.
    waited_at: Instant,
    /// Nobody will send a command any more.
    is_orphan: bool,
    loss: Option<Loss>,
}

#[derive(Debug)]
struct Oversight {
    records: watch::Sender<Record>,
    dead: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Drop for Oversight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A record that was told of, by the watch or by whoever wrote it.
#[derive(Debug)]
struct Heard {
    revision: Revision,
    /// None for a record that was taken away.
    value: Option<Bytes>,
}

/// What is known of the notices of others. They take the place of the watch once one has come: it
/// would wake everybody who waits whenever somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notices {
    /// None has come yet.
    Unproven,
    /// One has come.
    Proven,
    /// One was due and did not come: whoever was to send it can't.
    Failing,
}

/// What woke a lane.
enum Woken {
    Command(Option<Command>),
    Event(Option<WatchEvent>),
    Dead(Option<String>),
    Life,
    Time,
}

impl Lane {
    pub(super) fn new(parts: Parts) -> Self {
        let line = Line::new(parts.session.clone());
        let now = Instant::now();
        Self {
            parts,
            line,
            acquiring: HashMap::new(),
            releasing: HashMap::new(),
            downgrading: HashMap::new(),
            granted: VecDeque::new(),
            watch: None,
            heard: None,
            notices: Notices::Unproven,
            news: None,
            left_at: None,
            returns: false,
            entrusted_until: None,
            distrust: 0,
            favours: None,
            oversight: None,
            poll_at: None,
            polled: false,
            pace: Pace::default(),
            idle_since: now,
            waits_since: None,
            waited_at: now,
            is_orphan: false,
            loss: None,
        }
    }

    /// Serves until nobody can want anything any more.
    pub(super) async fn run(mut self) {
        loop {
            self.take_commands();
            self.take_events();
            self.on_life();
            self.tell();
            if self.entrusts().await {
                continue;
            }
            if let Some(rested) = self.pace.rested() {
                if rested.reads {
                    self.line.forget();
                }
                match self.line.next() {
                    Next::Read => {
                        self.tell_others().await;
                        self.read().await;
                        continue;
                    }
                    Next::Write { record, base } => {
                        self.write(&record, base).await;
                        continue;
                    }
                    Next::Rest => self.pace.nothing_to_do(),
                }
            }
            if self.is_asked_again().await {
                continue;
            }
            self.tell_others().await;
            self.look_around().await;
            if self.line.is_idle() {
                let is_over = self.is_orphan || self.idle_since.elapsed() >= LINGER;
                if is_over {
                    if self.leave() {
                        break;
                    }
                    // A guard whose claim is gone is still there, or somebody is about to ask.
                    self.idle_since = Instant::now();
                }
            } else {
                self.idle_since = Instant::now();
            }
            self.sleep().await;
        }
        drop(self.parts.needed);
    }

    /// Ends the lane, unless somebody has just asked something of it.
    fn leave(&mut self) -> bool {
        let Some(home) = self.parts.home.upgrade() else {
            return true;
        };
        home.forget_lane(&self.parts.key)
    }

    /// When to wake although nothing happens. `None` while a lock is held and nobody waits: there
    /// is nothing to do then.
    fn wake_at(&self) -> Option<Instant> {
        let idle = self.line.is_idle().then(|| self.idle_since + LINGER);
        let watch = self.watch.as_ref().map(|_| self.waited_at + LINGER);
        let times = [
            self.poll_at,
            self.oversight_at(),
            self.entrusted_until,
            idle,
            watch,
            self.pace.until(),
        ];
        times.into_iter().flatten().min()
    }

    async fn sleep(&mut self) {
        let wake_at = self.wake_at();
        let woken = tokio::select! {
            command = self.parts.commands.recv(), if !self.is_orphan => Woken::Command(command),
            event = next_event(self.watch.as_ref()) => Woken::Event(event),
            dead = next_dead(self.oversight.as_mut()) => Woken::Dead(dead),
            Ok(()) = self.parts.life.changed() => Woken::Life,
            () = until(wake_at) => Woken::Time,
        };
        match woken {
            Woken::Command(Some(command)) => self.command(command),
            Woken::Command(None) => self.is_orphan = true,
            Woken::Event(Some(event)) => self.event(event),
            Woken::Event(None) => self.watch = None,
            Woken::Dead(Some(session)) => self.line.evict(&session),
            Woken::Dead(None) => self.oversight = None,
            // What it means is looked at in every round.
            Woken::Life => {}
            Woken::Time => {
                if self.poll_at.is_some_and(|at| at <= Instant::now()) {
                    // The watch or a notice should have told, and yet.
                    self.poll_at = Some(Instant::now() + poll_pace());
                    self.polled = true;
                    self.line.forget();
                }
                if self
                    .entrusted_until
                    .is_some_and(|until| until <= Instant::now())
                {
                    self.distrust = DISTRUST;
                    self.line.take_back();
                }
            }
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.parts.commands.try_recv() {
            self.command(command);
        }
    }

    /// Of the records that were heard of only the newest says anything: at a lock that many want,
    /// reading them all would be most of the work.
    fn take_events(&mut self) {
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

    fn command(&mut self, command: Command) {
        match command {
            Command::Acquire { told, .. } if self.loss.is_some() => self.send_loss(told),
            Command::Acquire {
                request,
                waits,
                told,
            } => {
                // Who asks while the store is down is to hear of it.
                self.pace.asked();
                let left_at = self.left_at.take();
                self.returns = left_at.is_some_and(|left_at| left_at.elapsed() < RETURN);
                self.acquiring.insert(request.id.clone(), told);
                self.line.acquire(request, waits);
                if waits && !self.returns && !self.line.waits() && !self.line.makes_room() {
                    self.pace.let_pass(self.queue());
                }
            }
            Command::Release { id, told } => {
                if self.is_gone(&id) {
                    if let Some(told) = told {
                        let _ = told.send(Err(self.eviction()));
                    }
                    return;
                }
                self.acquiring.remove(&id);
                self.granted.retain(|(granted, _)| *granted != id);
                self.line.release(&id);
                self.releasing.entry(id).or_default().extend(told);
                if self.line.makes_room() {
                    self.pace.makes_room();
                }
            }
            Command::Downgrade { id, told } => {
                if self.is_gone(&id) {
                    let _ = told.send(Err(self.eviction()));
                    return;
                }
                self.line.downgrade(&id);
                self.downgrading.insert(id, told);
            }
            Command::Notice(notice) => self.notice(notice),
        }
    }

    fn notice(&mut self, notice: Notice) {
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

    /// Whether somebody else took out what is asked about.
    fn is_gone(&self, id: &str) -> bool {
        !self.line.attempts().any(|attempt| attempt == id)
    }

    fn eviction(&self) -> LockError {
        LockError::Lost(self.loss.clone().unwrap_or(Loss::Evicted))
    }

    fn event(&mut self, event: WatchEvent) {
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

    /// Takes notice of the session's loss. Callers may know of it already.
    fn on_life(&mut self) {
        let loss = self.parts.life.borrow_and_update().loss.clone();
        if self.loss.is_some() || loss.is_none() {
            return;
        }
        self.loss = loss;
        self.granted.clear();
        for (id, told) in std::mem::take(&mut self.acquiring) {
            self.line.release(&id);
            self.send_loss(told);
        }
    }

    fn send_loss(&self, told: oneshot::Sender<Result<u64, LockError>>) {
        let loss = self.loss.clone().unwrap_or(Loss::Closed);
        let _ = told.send(Err(LockError::Lost(loss)));
    }

    /// Tells callers what has become of their wishes.
    fn tell(&mut self) {
        for (id, outcome) in self.line.outcomes() {
            match outcome {
                Outcome::Granted { fence } => {
                    if self.polled && self.watch.is_none() {
                        self.notices = Notices::Failing;
                    }
                    self.granted.push_back((id, fence));
                }
                Outcome::Downgraded => {
                    if let Some(told) = self.downgrading.remove(&id) {
                        let _ = told.send(Ok(()));
                    }
                }
                Outcome::Refused(refusal) => self.refuse(&id, refusal),
                Outcome::Released => {
                    for told in self.releasing.remove(&id).unwrap_or_default() {
                        let _ = told.send(match &self.loss {
                            Some(loss) => Err(LockError::Lost(loss.clone())),
                            None => Ok(()),
                        });
                    }
                }
                Outcome::Gone => {
                    let loss = || self.loss.clone().unwrap_or(Loss::Evicted);
                    if let Some(told) = self.acquiring.remove(&id) {
                        let _ = told.send(Err(LockError::Lost(loss())));
                    }
                    if let Some(told) = self.downgrading.remove(&id) {
                        let _ = told.send(Err(LockError::Lost(loss())));
                    }
                }
            }
        }
        self.polled &= self.line.known().is_none();
        let valid_until = self.parts.life.borrow().valid_until;
        if self.parts.clock.now() >= valid_until {
            // A guard that is not valid is no use: the next beat comes first.
            return;
        }
        while let Some((id, fence)) = self.granted.pop_front() {
            // Whoever asked may be gone.
            let is_heard = match self.acquiring.remove(&id) {
                Some(told) => told.send(Ok(fence)).is_ok(),
                None => false,
            };
            if !is_heard {
                self.line.release(&id);
            }
        }
    }

    fn refuse(&mut self, id: &str, refusal: Refusal) {
        if let Some(told) = self.acquiring.remove(id) {
            let resource = self.parts.resource.clone();
            let _ = told.send(Err(LockError::Refused { resource, refusal }));
        }
    }

    async fn read(&mut self) {
        self.pace.begin();
        let entry = self
            .parts
            .bucket
            .get(&self.parts.key, Consistency::Leader)
            .await;
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                self.line.failed();
                let error = Arc::new(error);
                self.give_up(|| LockError::Store(Arc::clone(&error)));
                return;
            }
        };
        let revision = entry
            .as_ref()
            .map_or(Revision::ABSENT, |entry| entry.revision);
        match record_of(entry.as_ref().and_then(Entry::live_value)) {
            Ok(record) => self.line.read(record, revision),
            Err(error) => {
                self.line.failed();
                let key = self.parts.key.clone();
                let malformed = || LockError::Malformed {
                    key: key.clone(),
                    error: error.clone(),
                };
                for told in self.releasing.drain().flat_map(|(_, told)| told) {
                    let _ = told.send(Err(malformed()));
                }
                for (_, told) in self.downgrading.drain() {
                    let _ = told.send(Err(malformed()));
                }
                self.give_up(malformed);
            }
        }
    }

    async fn write(&mut self, record: &Record, base: Revision) {
        let bytes = match record.to_bytes() {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                tracing::error!(key = %self.parts.key, %error, "a lock record can't be written");
                self.line.failed();
                self.pace.failed();
                return;
            }
        };
        self.pace.begin();
        let queue = self.queue();
        let write = Write::put(self.parts.key.clone(), bytes.clone()).expecting(base);
        match self.parts.bucket.write(write).await {
            Ok(revision) => {
                if let Some((_, before)) = self.line.known() {
                    let news = News::of(before, record, bytes, revision);
                    self.news = Some(news.after(self.news.take()));
                    if !(self.returns && self.line.makes_room()) {
                        self.tell_others().await;
                    }
                }
                if self.line.makes_room() {
                    self.left_at = Some(Instant::now());
                    self.distrust = self.distrust.saturating_sub(1);
                }
                self.pace.landed();
                self.line.written(revision);
            }
            Err(WriteError::Conflict { .. }) => {
                self.line.conflict();
                let makes_room = self.line.makes_room();
                let hears = self.watch.is_some() || self.notices == Notices::Proven;
                self.pace.conflict(makes_room, hears, queue);
            }
            Err(WriteError::Unknown { reason, .. }) => {
                tracing::debug!(key = %self.parts.key, reason, "a write in doubt");
                self.line.unknown();
            }
            Err(WriteError::Failed(error)) => {
                self.line.failed();
                let error = Arc::new(error);
                self.give_up(|| LockError::Store(Arc::clone(&error)));
            }
        }
    }

    /// Tells others of what was written: whom it lets in may have no other way to hear of it at
    /// once.
    async fn tell_others(&mut self) {
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
    async fn entrusts(&mut self) -> bool {
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
    async fn is_asked_again(&mut self) -> bool {
        let Some(left_at) = self.left_at.filter(|_| self.returns) else {
            return false;
        };
        while left_at.elapsed() < RETURN {
            tokio::task::yield_now().await;
            if !self.parts.commands.is_empty() {
                return true;
            }
        }
        self.returns = false;
        false
    }

    /// The store failed or the record can't be read: whoever is not in the record yet is told, and
    /// the others are tried for again later.
    fn give_up(&mut self, error: impl Fn() -> LockError) {
        for id in self.line.abandon() {
            if let Some(told) = self.acquiring.remove(&id) {
                let _ = told.send(Err(error()));
            }
            self.releasing.remove(&id);
        }
        self.pace.failed();
    }

    /// How many wait, as far as is known.
    fn queue(&self) -> u32 {
        let waiters = self
            .line
            .known()
            .map(|(_, record)| record.waiters().count());
        u32::try_from(waiters.unwrap_or_default()).unwrap_or(u32::MAX)
    }

    /// While an attempt waits: the watch, and the oversight of those it waits for.
    async fn look_around(&mut self) {
        let watches = self.notices != Notices::Proven;
        if !watches {
            self.watch = None;
        }
        if !self.line.waits() {
            self.oversight = None;
            self.poll_at = None;
            self.waits_since = None;
            if self.waited_at.elapsed() >= LINGER {
                self.watch = None;
            }
            return;
        }
        self.waited_at = Instant::now();
        self.waits_since.get_or_insert(self.waited_at);
        self.poll_at.get_or_insert(self.waited_at + poll_pace());
        if watches
            && self.watch.is_none()
            && let Ok(filter) = Filter::new(self.parts.key.as_str())
        {
            // Without a watch the polling has to do.
            self.watch = self
                .parts
                .bucket
                .watch(WatchOptions::new(filter))
                .await
                .ok();
        }
        let Some((_, record)) = self.line.known() else {
            return;
        };
        match &self.oversight {
            Some(oversight) => {
                oversight.records.send_if_modified(|known| {
                    let is_new = known != record;
                    if is_new {
                        known.clone_from(record);
                    }
                    is_new
                });
            }
            None if self.oversight_at().is_some_and(|at| at <= self.waited_at) => {
                self.oversight = Some(self.oversee(record.clone()));
            }
            None => {}
        }
    }

    /// When to begin looking after those it waits for: most waits are over before.
    fn oversight_at(&self) -> Option<Instant> {
        let since = self.waits_since.filter(|_| self.oversight.is_none())?;
        Some(since + Overseer::first_look(self.parts.lease))
    }

    fn oversee(&self, record: Record) -> Oversight {
        let overseer = Overseer::new(
            Arc::clone(&self.parts.bucket),
            self.parts.session.clone(),
            self.parts.lease,
            self.parts.clock,
        );
        let (records, newest) = watch::channel(record);
        let (tell, dead) = mpsc::unbounded_channel();
        Oversight {
            records,
            dead,
            task: tokio::spawn(overseer.run(newest, tell)),
        }
    }
}

async fn next_event(watch: Option<&Watch>) -> Option<WatchEvent> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

async fn next_dead(oversight: Option<&mut Oversight>) -> Option<String> {
    match oversight {
        Some(oversight) => oversight.dead.recv().await,
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Between one and two seconds, so that those who wait don't ask all at once.
fn poll_pace() -> Duration {
    Duration::from_secs(1) + Duration::from_secs(1).mul_f64(fastrand::f64())
}

fn record_of(value: Option<&Bytes>) -> Result<Record, DecodeError> {
    match value {
        Some(value) => Record::from_bytes(value),
        None => Ok(Record::default()),
    }
}
