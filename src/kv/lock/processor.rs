//! Work that is done under a lock, from acquiring to releasing in one call.

use std::sync::Arc;

use super::error::LockError;
use super::guard::{Guard, Kind, Reading, Writing};
use super::rw_lock::DistroRwLockError;
use crate::kv::Store;

/// Something that can be done with an input.
///
/// Implemented for functions too: `Fn(Input) -> Future<Output>`.
pub trait Processor<Input>: Send + Sync {
    /// What comes of it.
    type Output;

    /// Does it. Dropped where it stands if the caller is.
    fn process(&self, input: Input) -> impl Future<Output = Self::Output> + Send;
}

impl<Input, F, Fut> Processor<Input> for F
where
    F: Fn(Input) -> Fut + Send + Sync,
    Fut: Future + Send,
    Input: Send,
{
    type Output = Fut::Output;

    fn process(&self, input: Input) -> impl Future<Output = Self::Output> + Send {
        self(input)
    }
}

/// What can go wrong with work under a lock.
#[derive(Debug, thiserror::Error)]
pub enum WithLockProcessError<Output> {
    /// The lock was not acquired, and nothing was done.
    #[error("nothing was done: {0}")]
    Acquire(#[source] DistroRwLockError),
    /// It was done, but the lock was lost meanwhile, or could not be let go in order: somebody
    /// else may have held it at the same time.
    #[error("it was done, but {error}")]
    Release {
        /// What came of the work.
        output: Output,
        /// What went wrong.
        error: DistroRwLockError,
    },
}

impl<Output> WithLockProcessError<Output> {
    /// What came of the work, where it was done.
    pub fn into_output(self) -> Option<Output> {
        match self {
            Self::Acquire(_) => None,
            Self::Release { output, .. } => Some(output),
        }
    }
}

/// A processor that reads under a resource's lock.
#[derive(Debug)]
pub struct LockedResourceReadProcessor<'a, P>(Locked<'a, P>);

/// A processor that writes under a resource's lock.
#[derive(Debug)]
pub struct LockedResourceWriteProcessor<'a, P>(Locked<'a, P>);

#[derive(Debug)]
struct Locked<'a, P> {
    processor: Arc<P>,
    store: &'a Store,
    key: String,
}

impl<'a, P> LockedResourceReadProcessor<'a, P> {
    /// To be done under the read lock of that resource.
    pub fn new(processor: Arc<P>, store: &'a Store, key: impl Into<String>) -> Self {
        Self(Locked::new(processor, store, key.into()))
    }

    /// Acquires the lock, does it, and lets the lock go: also when it panics or is dropped.
    ///
    /// Cancel-safe in that the lock is let go.
    ///
    /// # Errors
    /// [`WithLockProcessError`], with the output where there is one.
    pub async fn process<Input>(
        &self,
        input: Input,
    ) -> Result<P::Output, WithLockProcessError<P::Output>>
    where
        P: Processor<Input>,
    {
        let guard = self.0.store.locks().read(self.0.key.clone()).await;
        self.0.under::<Reading, Input>(guard, input).await
    }
}

impl<'a, P> LockedResourceWriteProcessor<'a, P> {
    /// To be done under the write lock of that resource.
    pub fn new(processor: Arc<P>, store: &'a Store, key: impl Into<String>) -> Self {
        Self(Locked::new(processor, store, key.into()))
    }

    /// Acquires the lock, does it, and lets the lock go: also when it panics or is dropped.
    ///
    /// Cancel-safe in that the lock is let go.
    ///
    /// # Errors
    /// [`WithLockProcessError`], with the output where there is one.
    pub async fn process<Input>(
        &self,
        input: Input,
    ) -> Result<P::Output, WithLockProcessError<P::Output>>
    where
        P: Processor<Input>,
    {
        let guard = self.0.store.locks().write(self.0.key.clone()).await;
        self.0.under::<Writing, Input>(guard, input).await
    }
}

impl<'a, P> Locked<'a, P> {
    fn new(processor: Arc<P>, store: &'a Store, key: String) -> Self {
        Self {
            processor,
            store,
            key,
        }
    }

    async fn under<K: Kind, Input>(
        &self,
        guard: Result<Guard<K>, LockError>,
        input: Input,
    ) -> Result<P::Output, WithLockProcessError<P::Output>>
    where
        P: Processor<Input>,
    {
        let guard = guard.map_err(WithLockProcessError::Acquire)?;
        let output = self.processor.process(input).await;
        match guard.release().await {
            Ok(()) => Ok(output),
            Err(error) => Err(WithLockProcessError::Release { output, error }),
        }
    }
}
