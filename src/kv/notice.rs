//! Notices: what one process tells another at once, beside the store. How they travel is each
//! backend's matter.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// The notices that were told under a name since it was listened to. Dropping it ends that.
pub struct Notices(Pin<Box<dyn Stream<Item = Bytes> + Send + Sync>>);

impl Notices {
    /// The notices that a backend brings.
    #[cfg(any(test, feature = "nats", feature = "testing"))]
    pub(crate) fn new(stream: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// The next one; `None` when there will be no more. Cancel-safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.0.next().await
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}
