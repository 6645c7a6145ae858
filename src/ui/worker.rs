//! Effects become calls to the engine, and their answers become messages.
//!
//! The only file of the console that does IO, beside the terminal itself. Every call runs in a
//! task of its own; those of a place that was left are aborted.

mod breaking;
mod buckets;
mod doctor;
mod drafts;
mod editing;
mod ends;
mod locks;
mod portions;
mod sifting;
mod snapshot;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

pub use self::drafts::Drafts;
use self::editing::Means;
pub use self::ends::{Connector, Deliveries, Delivery, Guard, LockReports, Session};
use self::portions::Portions;
use super::edits::Ask;
use super::message::{
    Connected, Effect, MaskChange, Message, OpenEntry, Reply, RequestId, Target, WatchId,
};
use super::overlays::bucket::BucketTask;
use super::value::{Document, Masks};
use crate::config::Config;
use crate::kv::backend::{Backend, Consistency};
use crate::kv::{
    BucketName, Error, Filter, Key, ReadOnly, ReadOnlySwitch, WatchFrom, WatchOptions,
};
use crate::query::Query;

/// Runs effects.
#[derive(Debug)]
pub struct Worker {
    connector: Arc<dyn Connector>,
    /// Which parts of values are secret.
    masks: Arc<Masks>,
    /// Which were at the beginning.
    first_masks: Arc<Masks>,
    session: Option<Session>,
    /// The tasks of the session.
    tasks: JoinSet<()>,
    /// The task that leads to a session: the latest wish ends the one before.
    connecting: JoinSet<()>,
    /// The tasks that find out where one can go.
    looking: JoinSet<()>,
    watches: HashMap<WatchId, AbortHandle>,
    /// What stops the tasks on whole buckets.
    stops: HashMap<RequestId, oneshot::Sender<()>>,
    /// Whether writes are refused, at this place and at those after it.
    read_only: ReadOnlySwitch,
    /// Where unsaved text is kept.
    drafts: Drafts,
    /// Which files hold schemas.
    config: Arc<Config>,
    /// Where the task is asked that keeps it, one text after the other. It is not cut off when a
    /// place or the program is left.
    keeper: Option<mpsc::UnboundedSender<(RequestId, Means, Ask)>>,
    keeping: JoinSet<()>,
    /// Where the task is asked that observes the locks of the session.
    observer: Option<mpsc::UnboundedSender<locks::Ask>>,
    locks: Arc<locks::Slot>,
    replies: mpsc::UnboundedSender<Delivery>,
    batches: mpsc::Sender<Message>,
    /// The `kvscope` that runs queries, if it is not this very program.
    program: Option<PathBuf>,
}

impl Worker {
    /// How long to wait at the end for unsaved text to be on disk.
    const KEEPING: Duration = Duration::from_secs(5);
    /// How many batches of watches wait to be looked at. With more the loop would not pause between
    /// them, and whatever shares its processor would wait.
    const BATCHES: usize = 4;

    /// A worker, and where its messages come out.
    pub fn new(connector: Arc<dyn Connector>, masks: Masks) -> (Self, Deliveries) {
        let (replies, replies_out) = mpsc::unbounded_channel();
        let (batches, batches_out) = mpsc::channel(Self::BATCHES);
        let (locks, locks_out) = watch::channel(None);
        let masks = Arc::new(masks);
        let worker = Self {
            connector,
            first_masks: Arc::clone(&masks),
            masks,
            session: None,
            tasks: JoinSet::new(),
            connecting: JoinSet::new(),
            looking: JoinSet::new(),
            watches: HashMap::new(),
            stops: HashMap::new(),
            read_only: ReadOnlySwitch::default(),
            drafts: Drafts::default(),
            config: Arc::default(),
            keeper: None,
            keeping: JoinSet::new(),
            observer: None,
            locks: Arc::new(locks),
            replies,
            batches,
            program: None,
        };
        (
            worker,
            Deliveries {
                replies: replies_out,
                watches: batches_out,
                locks: LockReports(locks_out),
            },
        )
    }

    /// Queries are run by that `kvscope`: where the console is a part of another program.
    pub fn queries_run_by(&mut self, program: PathBuf) {
        self.program = Some(program);
    }

    /// Keeps unsaved text there from now on. Without this it is not kept.
    pub fn keep_drafts(&mut self, drafts: Drafts) {
        self.drafts = drafts;
    }

    /// Checks values against the schemas that the user's configuration names from now on.
    pub fn take_schemas(&mut self, config: Config) {
        self.config = Arc::new(config);
    }

    /// Starts what an effect asks for. What concerns the terminal is not done here.
    pub fn run(&mut self, effect: Effect) {
        while self.tasks.try_join_next().is_some() {}
        match effect {
            Effect::Places(id) => self.places(id),
            Effect::Connect(id, target) => self.connect(id, target),
            Effect::Buckets(id) => {
                self.ask(id, |backend| async move {
                    Reply::Buckets(backend.buckets().await)
                });
            }
            Effect::Entry(id, bucket, key) => {
                let masks = Arc::clone(&self.masks);
                self.ask(id, |backend| async move {
                    Reply::Entry(read_entry(&*backend, &bucket, &key, masks).await)
                });
            }
            Effect::Clock(id, bucket) => {
                self.ask(id, |backend| async move {
                    Reply::Clock(read_clock(&*backend, &bucket).await)
                });
            }
            Effect::Ping(id) => {
                self.ask(
                    id,
                    |backend| async move { Reply::Ping(backend.ping().await) },
                );
            }
            Effect::Overview(id) => {
                self.ask(id, |backend| async move {
                    Reply::Overview(backend.overview().await)
                });
            }
            Effect::Doctor(id) => self.examine(id),
            Effect::Watch(id, bucket, from) => self.watch(id, bucket, from),
            Effect::Sift(id, bucket, query) => self.sift(id, bucket, query),
            Effect::Unwatch(id) => {
                if let Some(task) = self.watches.remove(&id) {
                    task.abort();
                }
            }
            Effect::Locks(buckets) => {
                self.ask_observer(locks::Ask::Buckets(buckets));
            }
            Effect::ForeignLocks => {
                self.ask_observer(locks::Ask::Foreign);
            }
            Effect::Timeline(id, bucket, key) => {
                self.ask_observer(locks::Ask::Timeline(id, bucket, key));
            }
            Effect::Sight(id, bucket, resource, session) => {
                self.ask(id, |backend| async move {
                    Reply::Sight(breaking::look(&*backend, &bucket, &resource, &session).await)
                });
            }
            Effect::Break(id, sight, manner) => {
                let replies = self.replies.clone();
                self.tasks.spawn(breaking::run(id, sight, manner, replies));
            }
            Effect::Reset(id, bucket, key, seen) => {
                self.ask(id, |backend| async move {
                    Reply::Reset(breaking::reset(&*backend, &bucket, &key, seen).await)
                });
            }
            Effect::Snapshot(id, path, place) => {
                if !self.ask_observer(locks::Ask::Snapshot(id, path, place)) {
                    let answer = Reply::Snapshot(Err(Error::Closed));
                    deliver(&self.replies, Message::Reply(id, answer));
                }
            }
            Effect::Masks(change) => {
                self.masks = match change {
                    MaskChange::AsAtFirst => Arc::clone(&self.first_masks),
                    MaskChange::Only(words) => Arc::new(Masks::new(words)),
                    MaskChange::Also(words) => Arc::new(self.masks.and(words)),
                };
            }
            Effect::Bucket(id, task) => self.bucket(id, task),
            Effect::Stop(id) => {
                if let Some(stop) = self.stops.remove(&id) {
                    // It may be over already.
                    let _ = stop.send(());
                }
            }
            Effect::ReadOnly(id, on) => self.set_read_only(id, on),
            Effect::Edit(id, ask) => self.edit(id, *ask),
            Effect::Outside(..)
            | Effect::Copy(_)
            | Effect::Suspend
            | Effect::Redraw
            | Effect::Quit => {}
        }
    }

    /// Leaves the session before for a new one, and tells the console what it needs to know.
    pub fn adopt(&mut self, id: RequestId, mut session: Session) -> Message {
        // Every handle is taken from it, so that the switch holds for all of them.
        let switch = self.read_only.clone();
        session.backend = Arc::new(ReadOnly::switched(session.backend, switch));
        self.tasks = JoinSet::new();
        self.watches.clear();
        self.observer = None;
        // What was told of the place before is not to be taken for this one.
        self.locks.send_replace(None);
        let connected = Connected {
            label: session.label.clone(),
            address: session.address.clone(),
            capabilities: session.backend.capabilities(),
            brand: session.brand.clone(),
        };
        self.follow_connection(&session);
        self.session = Some(session);
        Message::Reply(id, Reply::Connected(Ok(connected)))
    }

    /// Does something to a whole bucket, and tells how far it is.
    fn bucket(&mut self, id: RequestId, task: BucketTask) {
        self.stops.retain(|_, stop| !stop.is_closed());
        let (stop, stopped) = oneshot::channel();
        self.stops.insert(id, stop);
        let replies = self.replies.clone();
        let tell = move |done| {
            deliver(&replies, Message::Reply(id, Reply::Bucket(Ok(done))));
        };
        self.ask(id, |backend| async move {
            Reply::Bucket(buckets::run(&*backend, task, stopped, tell).await)
        });
    }

    /// Refuses every write from now on, or lets them through again.
    fn set_read_only(&mut self, id: RequestId, on: bool) {
        self.read_only.set(on);
        if let Some(session) = &self.session {
            let answer = Reply::ReadOnly(on, session.backend.capabilities());
            deliver(&self.replies, Message::Reply(id, answer));
        }
    }

    /// Looks for what is set dangerously.
    fn examine(&mut self, id: RequestId) {
        let masks = Arc::clone(&self.masks);
        let command = self.session.as_ref().map(|session| session.command.clone());
        let command = command.unwrap_or_default();
        self.ask(id, |backend| async move {
            Reply::Findings(doctor::look(&*backend, &command, &masks).await)
        });
    }

    /// Does something for editing.
    fn edit(&mut self, id: RequestId, ask: Ask) {
        let Some(session) = &self.session else {
            return;
        };
        let means = Means {
            backend: Arc::clone(&session.backend),
            place: session.address.clone(),
            masks: Arc::clone(&self.masks),
            drafts: self.drafts.clone(),
            config: Arc::clone(&self.config),
        };
        let replies = self.replies.clone();
        let tell = move |id, told| {
            deliver(&replies, Message::Reply(id, Reply::Edit(Box::new(told))));
        };
        if !matches!(ask, Ask::Keep(..) | Ask::Drop(_)) {
            self.tasks
                .spawn(async move { tell(id, means.answer(ask).await) });
            return;
        }
        let keeper = self.keeper.get_or_insert_with(|| {
            let (asks, mut asked) = mpsc::unbounded_channel::<(RequestId, Means, Ask)>();
            self.keeping.spawn(async move {
                while let Some((id, means, ask)) = asked.recv().await {
                    tell(id, means.answer(ask).await);
                }
            });
            asks
        });
        // It ends with this worker and not before.
        let _ = keeper.send((id, means, ask));
    }

    /// Ends all watches and the session. Waits for the store to hear of it, but not for long.
    pub async fn shut_down(mut self) {
        self.keeper = None;
        let kept = async { while self.keeping.join_next().await.is_some() {} };
        // A disk that does not answer must not keep the program.
        let _ = tokio::time::timeout(Self::KEEPING, kept).await;
        self.tasks.shutdown().await;
        self.connecting.shutdown().await;
        self.looking.shutdown().await;
        if let Some(session) = &self.session {
            session.backend.close().await;
        }
    }

    fn places(&mut self, id: RequestId) {
        let (connector, replies) = (Arc::clone(&self.connector), self.replies.clone());
        self.looking = JoinSet::new();
        self.looking.spawn(async move {
            let places = connector.places().await;
            deliver(&replies, Message::Reply(id, Reply::Places(places)));
        });
    }

    fn connect(&mut self, id: RequestId, target: Target) {
        self.connecting = JoinSet::new();
        let (connector, replies) = (Arc::clone(&self.connector), self.replies.clone());
        self.connecting.spawn(async move {
            match connector.connect(&target).await {
                Ok(session) => {
                    // Nobody listens: the console is gone, and with it the wish to connect.
                    let _ = replies.send(Delivery::Session(id, session));
                }
                Err(error) => {
                    deliver(&replies, Message::Reply(id, Reply::Connected(Err(error))));
                }
            }
        });
    }

    fn ask<F>(&mut self, id: RequestId, call: impl FnOnce(Arc<dyn Backend>) -> F)
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let Some(session) = &self.session else {
            return;
        };
        let answer = call(Arc::clone(&session.backend));
        let replies = self.replies.clone();
        self.tasks.spawn(async move {
            deliver(&replies, Message::Reply(id, answer.await));
        });
    }

    /// Asks the task that observes locks, which begins with the first question; says whether it
    /// hears.
    fn ask_observer(&mut self, ask: locks::Ask) -> bool {
        let Some(session) = &self.session else {
            return false;
        };
        let observer = self.observer.get_or_insert_with(|| {
            let (asks, asked) = mpsc::unbounded_channel();
            let backend = Arc::clone(&session.backend);
            let (slot, replies) = (Arc::clone(&self.locks), self.replies.clone());
            self.tasks.spawn(locks::run(backend, asked, slot, replies));
            asks
        });
        // It ended when the place was closed: there is nothing to observe.
        observer.send(ask).is_ok()
    }

    fn follow_connection(&mut self, session: &Session) {
        let mut connection = session.backend.connection();
        let replies = self.replies.clone();
        self.tasks.spawn(async move {
            loop {
                let state = connection.borrow_and_update().clone();
                deliver(&replies, Message::Connection(state));
                if connection.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn watch(&mut self, id: WatchId, bucket: BucketName, from: WatchFrom) {
        let Some(session) = &self.session else {
            return;
        };
        let backend = Arc::clone(&session.backend);
        let (replies, batches) = (self.replies.clone(), self.batches.clone());
        let task = self.tasks.spawn(async move {
            let options = WatchOptions::new(Filter::all()).without_values().from(from);
            let begun = match backend.bucket(&bucket).await {
                Ok(bucket) => bucket.watch(options).await,
                Err(error) => Err(error),
            };
            let watch = match begun {
                Ok(watch) => watch,
                Err(error) => return deliver(&replies, Message::WatchFailed(id, error)),
            };
            let mut portions = Portions::new(watch);
            while let Some(portion) = portions.next().await {
                if batches.send(Message::Watch(id, portion)).await.is_err() {
                    return;
                }
            }
            deliver(&replies, Message::WatchFailed(id, Error::Closed));
        });
        self.watches.insert(id, task);
    }

    fn sift(&mut self, id: WatchId, bucket: BucketName, query: Query) {
        let Some(session) = &self.session else {
            return;
        };
        let backend = Arc::clone(&session.backend);
        let (replies, batches) = (self.replies.clone(), self.batches.clone());
        let program = self.program.clone();
        let task = self.tasks.spawn(async move {
            let ended = sifting::run(id, &*backend, &bucket, query, program, &batches).await;
            if let Err(ended) = ended {
                deliver(&replies, Message::SiftingEnded(id, ended.to_string()));
            }
        });
        self.watches.insert(id, task);
    }
}

fn deliver(replies: &mpsc::UnboundedSender<Delivery>, message: Message) {
    // The console is gone: there is nobody left to tell.
    let _ = replies.send(Delivery::Message(message));
}

async fn read_clock(
    backend: &dyn Backend,
    bucket: &BucketName,
) -> Result<Option<OffsetDateTime>, Error> {
    backend.bucket(bucket).await?.clock().await
}

/// Reads an entry from the copy that decides writes. Where that does not answer (a cluster that
/// lost its leader), any copy is better than none, as long as the screen says so.
async fn read_entry(
    backend: &dyn Backend,
    bucket: &BucketName,
    key: &Key,
    masks: Arc<Masks>,
) -> Result<Option<Box<OpenEntry>>, Error> {
    let bucket = backend.bucket(bucket).await?;
    let (entry, consistency) = match bucket.get(key, Consistency::Leader).await {
        Err(error @ (Error::NoAnswer { .. } | Error::Denied { .. })) => {
            let entry = bucket.get(key, Consistency::Any).await.map_err(|_| error)?;
            (entry, Consistency::Any)
        }
        answer => (answer?, Consistency::Leader),
    };
    let Some(entry) = entry else {
        return Ok(None);
    };
    let value = entry.value.clone().unwrap_or_default();
    let is_secret = masks.is_secret(key.as_str());
    // A value can be large: a thread that may take its time makes it ready.
    let document = tokio::task::spawn_blocking(move || Document::new(value, &masks, is_secret));
    let document = document.await.map_err(|_| Error::Closed)?;
    Ok(Some(Box::new(OpenEntry {
        entry,
        document,
        consistency,
    })))
}
