//! Guards: the proof that a lock is held, and what can be asked of it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::error::{LockError, Loss};
use super::lane::Command;
use super::locks::LiveSession;
use super::record::Mode;

/// What a guard is for: [`Reading`] or [`Writing`].
pub trait Kind: sealed::Sealed + Send + Sync + Unpin + 'static {
    /// The mode that is asked for.
    const MODE: Mode;
}

/// A guard for reading, beside other readers.
#[derive(Debug, Clone, Copy)]
pub struct Reading;

/// A guard for writing, alone.
#[derive(Debug, Clone, Copy)]
pub struct Writing;

impl Kind for Reading {
    const MODE: Mode = Mode::Read;
}

impl Kind for Writing {
    const MODE: Mode = Mode::Write;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Reading {}
    impl Sealed for super::Writing {}
}

/// A guard for reading.
pub type ReadGuard = Guard<Reading>;
/// A guard for writing.
pub type WriteGuard = Guard<Writing>;

/// A lock that is held, as long as [`Guard::check`] says so.
///
/// Dropping it lets the lock go in the background; [`Guard::release`] waits until it is gone.
#[must_use = "the lock is let go when the guard is dropped"]
pub struct Guard<K> {
    claim: Claim,
    fence: u64,
    kind: PhantomData<K>,
}

/// How far a guard can be trusted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardState {
    /// The lock is held, for at least this long, and longer as soon as the session beats again.
    Valid {
        /// What is left of it.
        left: Duration,
    },
    /// The session has not beaten in time: others may take the lock away at any moment. Valid
    /// again if a beat lands before they do.
    Suspect,
    /// The lock is not held any more, and never will be by this guard.
    Lost(Loss),
}

impl<K: Kind> Guard<K> {
    pub(super) fn new(claim: Claim, fence: u64) -> Self {
        Self {
            claim,
            fence,
            kind: PhantomData,
        }
    }

    /// The fencing token: higher than that of every guard that held this lock before. Give it along
    /// with every write, and let what the lock guards refuse a lower one than it has seen.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// The resource whose lock it is.
    pub fn resource(&self) -> &str {
        &self.claim.resource
    }

    /// The session that it belongs to.
    pub fn session(&self) -> &str {
        &self.claim.session.id
    }

    /// How far it can be trusted now, by this machine's clock, asking nobody. A process that was
    /// stopped between this and its next step does not notice: what is worth more takes the
    /// [`fence`](Guard::fence).
    pub fn state(&self) -> GuardState {
        let session = &self.claim.session;
        let life = session.life.borrow();
        match &life.loss {
            Some(loss) => GuardState::Lost(loss.clone()),
            None => match life.valid_until.checked_sub(session.clock.now()) {
                Some(left) if !left.is_zero() => GuardState::Valid { left },
                _ => GuardState::Suspect,
            },
        }
    }

    /// Whether it is valid now.
    ///
    /// # Errors
    /// The state that it is in instead.
    pub fn check(&self) -> Result<(), GuardState> {
        match self.state() {
            GuardState::Valid { .. } => Ok(()),
            other => Err(other),
        }
    }

    /// Waits until the lock is lost for good. Cancel-safe.
    pub async fn lost(&self) -> Loss {
        let mut life = self.claim.session.life.clone();
        match life.wait_for(|life| life.loss.is_some()).await {
            Ok(life) => life.loss.clone().unwrap_or(Loss::Closed),
            Err(_) => Loss::Closed,
        }
    }

    /// Waits until the guard is not valid, be it lost or only suspect: the time to stop whatever
    /// leans on it. Cancel-safe.
    pub async fn invalid(&self) -> GuardState {
        let mut life = self.claim.session.life.clone();
        loop {
            life.mark_unchanged();
            let left = match self.state() {
                GuardState::Valid { left } => left,
                other => return other,
            };
            // A timer sleeps with the machine, the lease does not: it is asked again.
            let nap = left.min(Duration::from_secs(1));
            tokio::select! {
                changed = life.changed() => {
                    if changed.is_err() {
                        return GuardState::Lost(Loss::Closed);
                    }
                }
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Lets the lock go, and waits until it is, for a lease at the most. Cancel-safe: dropping the
    /// future does not stop it.
    ///
    /// # Errors
    /// [`LockError::Lost`] when it was not held to the end; the lock is gone all the same.
    /// [`LockError::Store`] when the store did not take it for as long as a lease: it is tried on, and
    /// when the session has ended, others take the lock away. [`LockError::Malformed`] when somebody
    /// wrote what is no record in its place; then nothing is written over that.
    pub async fn release(mut self) -> Result<(), LockError> {
        self.claim.release().await
    }
}

impl Guard<Writing> {
    /// Goes on as a reader, without letting a writer in between. Waiting readers are let in, unless
    /// a writer waits.
    ///
    /// Cancel-safe: a future that is dropped lets the lock go.
    ///
    /// # Errors
    /// [`LockError::Lost`] when the lock is not held any more, and those of [`Guard::release`]; the
    /// lock is let go then.
    pub async fn downgrade(self) -> Result<Guard<Reading>, LockError> {
        let (tell, told) = oneshot::channel();
        let id = self.claim.id.clone();
        let asked = self.claim.lane.send(Command::Downgrade { id, told: tell });
        if asked.is_err() {
            return Err(LockError::Lost(Loss::Closed));
        }
        told.await.unwrap_or(Err(LockError::Lost(Loss::Closed)))?;
        Ok(Guard::new(self.claim, self.fence))
    }
}

impl<K: Kind> fmt::Debug for Guard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("resource", &self.claim.resource)
            .field("mode", &K::MODE)
            .field("fence", &self.fence)
            .field("state", &self.state())
            .finish()
    }
}

/// One attempt, from the moment that it is asked for: whoever drops it gives it up.
pub(super) struct Claim {
    session: Arc<LiveSession>,
    lane: mpsc::UnboundedSender<Command>,
    id: String,
    resource: String,
    is_released: bool,
}

impl Claim {
    pub(super) fn new(
        session: Arc<LiveSession>,
        lane: mpsc::UnboundedSender<Command>,
        id: String,
        resource: String,
    ) -> Self {
        Self {
            session,
            lane,
            id,
            resource,
            is_released: false,
        }
    }

    async fn release(&mut self) -> Result<(), LockError> {
        let (tell, told) = oneshot::channel();
        self.give_up(Some(tell));
        told.await.unwrap_or(Err(LockError::Lost(Loss::Closed)))
    }

    fn give_up(&mut self, told: Option<oneshot::Sender<Result<(), LockError>>>) {
        self.is_released = true;
        let id = self.id.clone();
        // A lane that is gone has let everything go, or its runtime is gone with it.
        let _ = self.lane.send(Command::Release { id, told });
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_released {
            self.give_up(None);
        }
    }
}
