//! The locks of one bucket, as one process takes them: the session, and asking for guards.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::clock::Clock;
use super::error::{LockError, Loss};
use super::guard::{Claim, Guard, Kind, Reading, Writing};
use super::heart::{Heart, Life};
use super::lane::{Command, Lane, Parts};
use super::lease::Lease;
use super::notice::Notice;
use super::record::Request;
use super::settings::Settings;
use super::{key_of, rw_lock};
use crate::kv::backend::BucketBackend;
use crate::kv::{Key, Notices, Store};

/// The locks of one bucket. Cheap to clone; all clones share one session, which is made by the
/// first lock that is asked for and beats as long as a clone or a guard is there.
///
/// What the guards promise, and what they can't, is said at [the module](super).
#[derive(Debug, Clone)]
pub struct Locks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: Arc<dyn BucketBackend>,
    settings: Settings,
    session: Mutex<Option<Beginning>>,
    /// What was acquired by name alone, to be released by name.
    by_name: rw_lock::Holds,
}

/// A session that is being made, for all who wait for it, or that was made. It is made on a task of
/// its own: who does not wait any more leaves it to the next.
type Beginning = Shared<BoxFuture<'static, Result<Arc<LiveSession>, LockError>>>;

impl Locks {
    /// The locks of a bucket, with settings of their own. [`Store::locks`] gives those that all
    /// clones of a store share.
    pub fn new(store: &Store, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                bucket: store.bucket(),
                settings,
                session: Mutex::new(None),
                by_name: rw_lock::Holds::default(),
            }),
        }
    }

    /// Asks to read under a resource's lock, beside other readers.
    pub fn read(&self, resource: impl Into<String>) -> Acquire<'_, Reading> {
        Acquire::new(self, resource.into(), true)
    }

    /// Asks to write under a resource's lock, alone.
    pub fn write(&self, resource: impl Into<String>) -> Acquire<'_, Writing> {
        Acquire::new(self, resource.into(), true)
    }

    /// Like [`Locks::read`], but only if it can be had at once; else
    /// [`Refusal::WouldWait`](super::record::Refusal::WouldWait).
    pub fn try_read(&self, resource: impl Into<String>) -> Acquire<'_, Reading> {
        Acquire::new(self, resource.into(), false)
    }

    /// Like [`Locks::write`], but only if it can be had at once; else
    /// [`Refusal::WouldWait`](super::record::Refusal::WouldWait).
    pub fn try_write(&self, resource: impl Into<String>) -> Acquire<'_, Writing> {
        Acquire::new(self, resource.into(), false)
    }

    /// The name of the present session, if there is one that lives. Asks nobody.
    #[must_use]
    pub fn session(&self) -> Option<String> {
        let session = self.beginning();
        let live = session.as_ref()?.peek()?.as_ref().ok()?;
        live.can_acquire().then(|| live.id.clone())
    }

    /// Ends the session: waits until every guard of it is dropped and its lock let go, and takes
    /// its record away. Where the bucket is gone, there is nothing to wait for. A process that ends
    /// without it leaves what it held to be found out by others, within a lease.
    ///
    /// The locks can be used again afterwards. Cancel-safe: the end goes on in the background.
    pub async fn close(&self) {
        self.inner.by_name.clear();
        let session = self.beginning().take();
        let Some(session) = session else {
            return;
        };
        let Ok(session) = session.await else {
            return;
        };
        let mut life = session.life.clone();
        drop(session);
        while life.changed().await.is_ok() {}
    }

    pub(super) fn by_name(&self) -> &rw_lock::Holds {
        &self.inner.by_name
    }

    /// The present session, or a new one where there is none that lives.
    async fn live(&self) -> Result<Arc<LiveSession>, LockError> {
        let beginning = self.begin();
        beginning.await
    }

    fn begin(&self) -> Beginning {
        let mut session = self.beginning();
        let is_good = |beginning: &&Beginning| match beginning.peek() {
            Some(Ok(live)) => live.can_acquire(),
            Some(Err(_)) => false,
            None => true,
        };
        if let Some(beginning) = session.as_ref().filter(is_good) {
            return beginning.clone();
        }
        let bucket = Arc::clone(&self.inner.bucket);
        let settings = self.inner.settings.clone();
        let task = tokio::spawn(async move { LiveSession::begin(bucket, &settings).await });
        // A task that does not end was ended with its runtime.
        let begun = task.map(|end| end.unwrap_or(Err(LockError::Lost(Loss::Closed))));
        let beginning = begun.boxed().shared();
        *session = Some(beginning.clone());
        beginning
    }

    fn beginning(&self) -> MutexGuard<'_, Option<Beginning>> {
        let session = self.inner.session.lock();
        session.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that is asked for: await it. It waits in the queue as long as it takes, unless
/// [`Acquire::within`] says otherwise.
///
/// Cancel-safe: a future that is dropped gives up its place, or the lock if it was just granted,
/// in the background.
///
/// # Errors
/// Those of [`LockError`]: re-entry by the same task and upgrades are refused, a full queue too.
#[must_use = "nothing is asked for before it is awaited"]
#[derive(Debug)]
pub struct Acquire<'a, K> {
    locks: &'a Locks,
    resource: String,
    waits: bool,
    owner: Option<String>,
    label: Option<String>,
    within: Option<Duration>,
    kind: PhantomData<K>,
}

impl<'a, K: Kind> Acquire<'a, K> {
    fn new(locks: &'a Locks, resource: String, waits: bool) -> Self {
        Self {
            locks,
            resource,
            waits,
            owner: None,
            label: None,
            within: None,
            kind: PhantomData,
        }
    }

    /// What people call the one who asks. Anybody who can read the bucket can read it.
    pub fn label(self, label: impl Into<String>) -> Self {
        let label = Some(label.into());
        Self { label, ..self }
    }

    /// Who asks, in place of the running task: the same owner can't hold a lock twice, and a
    /// circle of owners who wait for each other is a deadlock.
    pub fn owner(self, owner: impl Into<String>) -> Self {
        let owner = Some(owner.into());
        Self { owner, ..self }
    }

    /// Gives up after this time, with [`LockError::TimedOut`].
    pub fn within(self, time: Duration) -> Self {
        let within = Some(time);
        Self { within, ..self }
    }

    async fn acquire(self) -> Result<Guard<K>, LockError> {
        let Some(within) = self.within else {
            return self.wait().await;
        };
        let resource = self.resource.clone();
        match tokio::time::timeout(within, self.wait()).await {
            Ok(guard) => guard,
            Err(_) => Err(LockError::TimedOut {
                resource,
                waited: within,
            }),
        }
    }

    async fn wait(self) -> Result<Guard<K>, LockError> {
        let key = key_of(&self.resource)?;
        let session = self.locks.live().await?;
        let settings = &self.locks.inner.settings;
        let request = Request {
            id: session.next_id(),
            session: session.id.clone(),
            mode: K::MODE,
            owner: self.owner.unwrap_or_else(running_task),
            label: self.label.unwrap_or_else(|| settings.label.clone()),
            asked_ms: now_ms(),
            max_writer_streak: settings.max_writer_streak,
        };
        let (tell, told) = oneshot::channel();
        let lane = session.lane(&key, &self.resource);
        let claim = Claim::new(session, lane.clone(), request.id.clone(), self.resource);
        let asked = lane.send(Command::Acquire {
            request,
            waits: self.waits,
            told: tell,
        });
        if asked.is_err() {
            return Err(LockError::Lost(Loss::Closed));
        }
        match told.await {
            Ok(Ok(fence)) => Ok(Guard::new(claim, fence)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(LockError::Lost(Loss::Closed)),
        }
    }
}

impl<'a, K: Kind> IntoFuture for Acquire<'a, K> {
    type Output = Result<Guard<K>, LockError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.acquire())
    }
}

/// The task that runs this, or the thread where there is none. Threads can share a name.
pub(super) fn running_task() -> String {
    if let Some(task) = tokio::task::try_id() {
        return format!("task-{task}");
    }
    let thread = std::thread::current();
    let id = format!("{:?}", thread.id());
    let number: String = id.chars().filter(char::is_ascii_digit).collect();
    match thread.name() {
        Some(name) => format!("thread-{number}-{name}"),
        None => format!("thread-{number}"),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A session that beats, with the lanes of the locks that it deals with.
#[derive(Debug)]
pub(super) struct LiveSession {
    pub(super) id: String,
    pub(super) lease: Lease,
    pub(super) clock: Clock,
    pub(super) life: watch::Receiver<Life>,
    bucket: Arc<dyn BucketBackend>,
    lanes: Mutex<HashMap<Key, mpsc::UnboundedSender<Command>>>,
    claims: AtomicU64,
    /// The most bytes that the bucket keeps in a value.
    most: usize,
    needed: mpsc::Sender<Infallible>,
    /// Hands on what others tell this session.
    ears: Option<AbortHandle>,
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        if let Some(ears) = &self.ears {
            ears.abort();
        }
    }
}

impl LiveSession {
    async fn begin(
        bucket: Arc<dyn BucketBackend>,
        settings: &Settings,
    ) -> Result<Arc<Self>, LockError> {
        let id = format!("s_{}", random_name());
        let process = settings.process.clone();
        let (lease, clock) = (settings.lease, settings.clock);
        let (heart, life) = Heart::begin(Arc::clone(&bucket), &id, process, lease, clock).await?;
        let (tell_life, life) = watch::channel(life);
        let (needed, is_needed) = mpsc::channel(1);
        tokio::spawn(heart.run(tell_life, is_needed));
        // Before anybody can see the session's name in a lock. It can do without.
        let notices = bucket.listen(&id).await.ok().flatten();
        let most = most_bytes(&*bucket).await;
        Ok(Arc::new_cyclic(|live| Self {
            ears: notices
                .map(|notices| tokio::spawn(hear(notices, Weak::clone(live))).abort_handle()),
            id,
            lease,
            clock,
            life,
            bucket,
            lanes: Mutex::default(),
            claims: AtomicU64::new(0),
            most,
            needed,
        }))
    }

    fn can_acquire(&self) -> bool {
        self.life.has_changed().is_ok() && self.life.borrow().loss.is_none()
    }

    /// Unique for every attempt: the session's random name, and a number.
    fn next_id(&self) -> String {
        let number = self.claims.fetch_add(1, Ordering::Relaxed);
        format!("{}.{number}", self.id)
    }

    /// The way to the task that deals with a lock.
    fn lane(self: &Arc<Self>, key: &Key, resource: &str) -> mpsc::UnboundedSender<Command> {
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.get(key)
            && !lane.is_closed()
        {
            return lane.clone();
        }
        let (lane, commands) = mpsc::unbounded_channel();
        tokio::spawn(
            Lane::new(Parts {
                bucket: Arc::clone(&self.bucket),
                resource: resource.to_owned(),
                key: key.clone(),
                session: self.id.clone(),
                lease: self.lease,
                clock: self.clock,
                life: self.life.clone(),
                most: self.most,
                commands,
                home: Arc::downgrade(self),
                needed: self.needed.clone(),
            })
            .run(),
        );
        lanes.insert(key.clone(), lane.clone());
        lane
    }

    /// Forgets the lane of a lock if nobody holds a way to it but the map.
    pub(super) fn forget_lane(&self, key: &Key) -> bool {
        let mut lanes = self.lanes();
        let is_needed = lanes.get(key).is_some_and(|lane| lane.strong_count() > 1);
        if !is_needed {
            lanes.remove(key);
        }
        !is_needed
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Key, mpsc::UnboundedSender<Command>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How large a lock's record can get in the bucket, with what a write takes beside the value.
async fn most_bytes(bucket: &dyn BucketBackend) -> usize {
    /// The headers of a write that expects a revision.
    const HEADERS: u64 = 256;
    let of_bucket = match bucket.info().await {
        Ok(info) => info.config.max_value_size,
        // It may not be allowed to ask: then a write tells, if ever.
        Err(_) => None,
    };
    let limits = [of_bucket, bucket.capabilities().max_value_size];
    let most = limits.into_iter().flatten().min().unwrap_or(u64::MAX);
    usize::try_from(most.saturating_sub(HEADERS)).unwrap_or(usize::MAX)
}

/// Hands on to the lanes what others tell of their locks, until there is nobody to tell.
async fn hear(mut notices: Notices, session: Weak<LiveSession>) {
    while let Some(notice) = notices.next().await {
        let Some(session) = session.upgrade() else {
            return;
        };
        if let Some(notice) = Notice::from_bytes(&notice)
            && let Some(lane) = session.lanes().get(&notice.key)
        {
            // One that is over has nothing to wait for.
            let _ = lane.send(Command::Notice(notice));
        }
    }
}

/// Ten letters and digits: unique without asking anybody.
fn random_name() -> String {
    const NAME: usize = 10;
    std::iter::repeat_with(|| fastrand::digit(36))
        .take(NAME)
        .collect()
}
