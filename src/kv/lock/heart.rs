//! A session that lives: its record is made, beats as long as anybody needs it, and is taken away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use super::error::{LockError, Loss};
use super::lease::Lease;
use super::session::{Process, Session};
use crate::kv::backend::{BucketBackend, Consistency, Write};
use crate::kv::{Entry, Error, Key, Revision, WriteError};

/// How long the marker of a session that ended is kept, where the bucket can drop it by itself.
const MARKER_TTL: Duration = Duration::from_secs(3600);

/// What a session knows of its own life.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Until when its guards are valid, by the session's clock.
    pub(super) valid_until: Duration,
    /// How it was lost, if it was. It never comes back from that.
    pub(super) loss: Option<Loss>,
    /// The revision of the last beat: the bucket has come so far.
    pub(super) revision: Revision,
}

/// The record of this process's session, and the task that renews it.
#[derive(Debug)]
pub(super) struct Heart {
    bucket: Arc<dyn BucketBackend>,
    key: Key,
    lease: Lease,
    clock: Clock,
    session: Session,
    /// Where the record was last known to be.
    revision: Revision,
    /// A beat that may have landed or may land yet.
    doubt: Option<Beat>,
}

#[derive(Debug, Clone)]
struct Beat {
    session: Session,
    bytes: Bytes,
    /// When it was first sent.
    sent: Duration,
}

enum Beaten {
    /// It landed, and was sent then.
    Landed(Duration),
    /// Not so far.
    Failed(Option<Error>),
    Lost(Loss),
}

impl Heart {
    /// Makes the session's record. It is acknowledged when this returns: before that nobody must
    /// see the session's name.
    pub(super) async fn begin(
        bucket: Arc<dyn BucketBackend>,
        id: &str,
        process: Process,
        lease: Lease,
        clock: Clock,
    ) -> Result<(Self, Life), LockError> {
        let session = Session::new(process, lease);
        let mut heart = Self {
            bucket,
            key: Session::key_of(id)?,
            lease,
            clock,
            session: session.clone(),
            revision: Revision::ABSENT,
            doubt: None,
        };
        let begun = clock.now();
        loop {
            match heart.beat(session.clone()).await {
                Beaten::Landed(sent) => {
                    let valid_until = lease.valid_until(sent);
                    let life = Life {
                        valid_until,
                        loss: None,
                        revision: heart.revision,
                    };
                    return Ok((heart, life));
                }
                Beaten::Lost(loss) => return Err(LockError::Lost(loss)),
                Beaten::Failed(Some(error)) => return Err(error.into()),
                // Nobody has seen the name yet: a record that lands late is one of nobody.
                Beaten::Failed(None) if clock.now().saturating_sub(begun) > lease.length() => {
                    let what = format!("making {}", heart.key);
                    return Err(LockError::Unknown(what));
                }
                Beaten::Failed(None) => tokio::time::sleep(heart.retry()).await,
            }
        }
    }

    /// Beats until nobody holds the other end of `needed` any more, then takes the record away.
    pub(super) async fn run(
        mut self,
        life: watch::Sender<Life>,
        mut needed: mpsc::Receiver<Infallible>,
    ) {
        let mut wait = self.lease.beat();
        loop {
            tokio::select! {
                _ = needed.recv() => break,
                () = tokio::time::sleep(wait) => {}
            }
            let Some(next) = self.session.beaten() else {
                break;
            };
            let beaten = match self.beat(next).await {
                // Where a bucket is missing for as long as that, there is none to come back to.
                Beaten::Failed(Some(Error::NoSuchBucket { .. }))
                    if self.clock.now() >= life.borrow().valid_until =>
                {
                    Beaten::Lost(Loss::Vanished)
                }
                beaten => beaten,
            };
            match beaten {
                Beaten::Landed(sent) => {
                    let valid_until = self.lease.valid_until(sent);
                    life.send_modify(|life| {
                        life.valid_until = valid_until;
                        life.revision = self.revision;
                    });
                    let since = self.clock.now().saturating_sub(sent);
                    wait = self.lease.beat().saturating_sub(since);
                }
                Beaten::Failed(error) => {
                    tracing::debug!(key = %self.key, ?error, "no beat");
                    wait = self.retry();
                }
                Beaten::Lost(loss) => {
                    tracing::warn!(key = %self.key, %loss, "the session is lost");
                    life.send_modify(|life| life.loss = Some(loss));
                    // What it held is still to be let go, under its name.
                    let _ = needed.recv().await;
                    break;
                }
            }
        }
        self.end().await;
    }

    fn retry(&self) -> Duration {
        (self.lease.beat() / 8).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }

    /// How long a write may take before it is asked what became of it: there must be time for
    /// another.
    fn patience(&self) -> Duration {
        self.lease.length() / 4
    }

    /// Writes the next state of the session, or the one that is still in doubt.
    async fn beat(&mut self, next: Session) -> Beaten {
        let doubt = self.doubt.take();
        let was_in_doubt = doubt.is_some();
        let Ok(beat) = doubt.map_or_else(|| self.first_sent_now(next), Ok) else {
            // A session can always be written; if not, nobody else is to blame.
            return Beaten::Lost(Loss::Closed);
        };
        let write = Write::put(self.key.clone(), beat.bytes.clone()).expecting(self.revision);
        match tokio::time::timeout(self.patience(), self.bucket.write(write)).await {
            Ok(Ok(revision)) => self.landed(beat, revision),
            Ok(Err(WriteError::Failed(error))) => {
                // This try came to nothing; the one before it may land all the same, and counts
                // from its own sending.
                self.doubt = was_in_doubt.then_some(beat);
                Beaten::Failed(Some(error))
            }
            Ok(Err(WriteError::Conflict { .. } | WriteError::Unknown { .. })) | Err(_) => {
                self.find_out(beat).await
            }
        }
    }

    fn first_sent_now(&self, session: Session) -> Result<Beat, serde_json::Error> {
        Ok(Beat {
            bytes: session.to_bytes()?.into(),
            session,
            sent: self.clock.now(),
        })
    }

    fn landed(&mut self, beat: Beat, revision: Revision) -> Beaten {
        self.revision = revision;
        self.session = beat.session;
        Beaten::Landed(beat.sent)
    }

    /// What became of a beat that was not acknowledged.
    async fn find_out(&mut self, beat: Beat) -> Beaten {
        let read = self.bucket.get(&self.key, Consistency::Leader);
        let Ok(Ok(entry)) = tokio::time::timeout(self.patience(), read).await else {
            self.doubt = Some(beat);
            return Beaten::Failed(None);
        };
        let revision = entry
            .as_ref()
            .map_or(Revision::ABSENT, |entry| entry.revision);
        let value = entry.as_ref().and_then(Entry::live_value);
        if value == Some(&beat.bytes) {
            return self.landed(beat, revision);
        }
        if revision == self.revision {
            // Still to come, or never: the same bytes again, so that it does not matter which.
            self.doubt = Some(beat);
            return Beaten::Failed(None);
        }
        let Some(value) = value else {
            return Beaten::Lost(Loss::Vanished);
        };
        match Session::from_bytes(value) {
            Ok(found) => match found.dead.clone() {
                Some(death) => Beaten::Lost(Loss::Killed(death)),
                // An earlier beat of our own: the store was rolled back, or it is a leader that
                // does not know yet that it is none any more. The next write tells.
                None if found.beat < beat.session.beat && revision < self.revision => {
                    self.revision = revision;
                    self.doubt = Some(beat);
                    Beaten::Failed(None)
                }
                None => Beaten::Lost(Loss::Replaced),
            },
            Err(_) => Beaten::Lost(Loss::Replaced),
        }
    }

    /// Takes the record away: it has no claim any more that would need it. A try: who finds it
    /// later finds a session that is silent.
    async fn end(&self) {
        let read = self.bucket.get(&self.key, Consistency::Leader);
        let Ok(Ok(Some(entry))) = tokio::time::timeout(self.patience(), read).await else {
            return;
        };
        let purge = Write::purge(self.key.clone()).expecting(entry.revision);
        let short = purge.clone().with_ttl(MARKER_TTL);
        let can_expire = self.bucket.capabilities().entry_ttl;
        let tries = can_expire.then_some(short).into_iter().chain([purge]);
        for purge in tries {
            let ended = tokio::time::timeout(self.patience(), self.bucket.write(purge)).await;
            match ended {
                // The bucket is not set up for markers that expire.
                Ok(Err(WriteError::Failed(Error::Unsupported { .. }))) => {}
                Ok(Ok(_) | Err(_)) | Err(_) => return,
            }
        }
    }
}
