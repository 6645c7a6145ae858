//! The task behind one lock in one process: it drives a [`Line`], reads and writes for it, watches
//! the record while somebody waits, and tells callers what became of their wishes.
//!
//! It is the only one of its process that touches this record, so that wishes which come together
//! become one write. A caller that is dropped has sent its wish to give up by then: the lane goes
//! on until that is done.

mod callers;
mod looking;
mod news;
mod pace;
mod store;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use self::looking::{Oversight, Starting};
use self::news::{Heard, Notices};
use self::pace::Pace;
use super::clock::Clock;
use super::error::{LockError, Loss};
use super::heart::Life;
use super::lease::Lease;
use super::line::{Line, Next};
use super::locks::LiveSession;
use super::notice::{News, Notice};
use super::record::Request;
use crate::kv::backend::BucketBackend;
use crate::kv::{Key, Revision, Watch, WatchEvent};

/// How long a lane stays without a wish: the next one needs no read then, and no new watch.
const LINGER: Duration = Duration::from_secs(5);
/// How soon after it has let go a task asks again that does so in a loop.
const RETURN: Duration = Duration::from_micros(200);
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
    /// The most bytes that the bucket keeps in a value.
    pub(super) most: usize,
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
    /// The watch that is being set up.
    starting: Option<Starting>,
    /// Not to ask for another watch before then.
    watch_at: Option<Instant>,
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
    /// Since when the store has not done what it was asked.
    failing_since: Option<Instant>,
    /// Since when an attempt waits.
    waits_since: Option<Instant>,
    /// When one waited last.
    waited_at: Instant,
    /// Nobody will send a command any more.
    is_orphan: bool,
    loss: Option<Loss>,
}

/// What woke a lane.
enum Woken {
    Command(Option<Command>),
    Event(Option<WatchEvent>),
    Watch(Option<Watch>),
    Dead(Option<String>),
    Life,
    Time,
}

impl Lane {
    pub(super) fn new(parts: Parts) -> Self {
        let line = Line::new(parts.session.clone()).within(parts.most);
        let now = Instant::now();
        Self {
            parts,
            line,
            acquiring: HashMap::new(),
            releasing: HashMap::new(),
            downgrading: HashMap::new(),
            granted: VecDeque::new(),
            watch: None,
            starting: None,
            watch_at: None,
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
            failing_since: None,
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
            let is_nowhere = matches!(self.loss, Some(Loss::Vanished)) && self.fails_for_long();
            if self.is_orphan && is_nowhere {
                // Only then: a session that ends before its claims are gone leaves them to others,
                // who don't know its lease any more.
                break;
            }
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
            self.look_around();
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
            watch = started(self.starting.as_mut()) => Woken::Watch(watch),
            dead = next_dead(self.oversight.as_mut()) => Woken::Dead(dead),
            Ok(()) = self.parts.life.changed() => Woken::Life,
            () = until(wake_at) => Woken::Time,
        };
        match woken {
            Woken::Command(Some(command)) => self.command(command),
            Woken::Command(None) => self.is_orphan = true,
            Woken::Event(Some(event)) => self.event(event),
            Woken::Event(None) => self.watch = None,
            Woken::Watch(watch) => self.watches(watch),
            Woken::Dead(Some(session)) => {
                self.line.evict(&session);
                // Many who died together go in one write.
                let more = self.oversight.iter_mut();
                for session in more.flat_map(|o| std::iter::from_fn(|| o.dead.try_recv().ok())) {
                    self.line.evict(&session);
                }
            }
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
                if self.loss.is_some() || self.is_gone(&id) {
                    let _ = told.send(Err(self.eviction()));
                    return;
                }
                self.line.downgrade(&id);
                self.downgrading.insert(id, told);
            }
            Command::Notice(notice) => self.notice(notice),
        }
    }
}

async fn next_event(watch: Option<&Watch>) -> Option<WatchEvent> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

async fn started(starting: Option<&mut Starting>) -> Option<Watch> {
    match starting {
        Some(starting) => starting.watch().await,
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
