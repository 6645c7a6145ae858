//! Feeding a watch: its snapshot, then what is written, and what to say when the bucket or the
//! file goes away.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::read::{Part, PartOf, part};
use crate::kv::{
    BucketName, Error, Interruption, Revision, WatchEvent, WatchFrom, WatchOptions, WatchSender,
};

/// How long to wait before trying again to read a file that could not be read, unless something
/// changes before.
const RETRY: Duration = Duration::from_secs(1);

/// Where a watch stands.
pub(super) struct Feed {
    engine: Arc<Engine>,
    sender: WatchSender,
    part: PartOf,
    /// The bucket that is watched, of all that ever had its name.
    bucket: i64,
    /// Whether [`WatchEvent::Ready`] is still to come.
    in_snapshot: bool,
    interrupted: bool,
    /// Where it began, and begins again after a gap.
    from: WatchFrom,
}

impl Feed {
    /// The beginning of a watch on a bucket that is there.
    pub(super) async fn begin(
        engine: Arc<Engine>,
        name: BucketName,
        options: WatchOptions,
        sender: WatchSender,
    ) -> Result<Self, Error> {
        let row = {
            let name = name.clone();
            let what = format!("watching the bucket {name}");
            engine
                .read(what, move |connection| {
                    super::read::bucket(connection, &name)
                })
                .await?
        };
        let after = match options.from {
            WatchFrom::Newest | WatchFrom::History => Revision::ABSENT,
            WatchFrom::Revision(first) => Revision(first.0.saturating_sub(1)),
            WatchFrom::Now => row.info.last_revision,
        };
        let has_snapshot = options.from != WatchFrom::Now;
        if !has_snapshot {
            // At once: what is written before the first look comes after it.
            sender.send(WatchEvent::Ready);
        }
        Ok(Self {
            engine,
            sender,
            part: PartOf {
                bucket: name,
                filter: options.filter,
                after,
                newest: options.from == WatchFrom::Newest,
                values: options.values,
            },
            bucket: row.id,
            in_snapshot: has_snapshot,
            interrupted: false,
            from: options.from,
        })
    }

    /// Tells the watch what happens, until its task is aborted.
    pub(super) async fn run(mut self) {
        let mut changes = self.engine.changes();
        loop {
            changes.borrow_and_update();
            let waits_for_a_change = self.catch_up().await;
            if waits_for_a_change {
                if changes.changed().await.is_err() {
                    return;
                }
            } else {
                // Nothing may change the file while it can't be read.
                let _ = tokio::time::timeout(RETRY, changes.changed()).await;
            }
        }
    }

    /// Tells everything that is there to tell. Answers whether only a change can bring more.
    async fn catch_up(&mut self) -> bool {
        loop {
            if self.in_snapshot || self.sender.is_swamped() {
                self.sender.room().await;
            }
            let of = self.part.clone();
            let what = format!("watching the bucket {}", of.bucket);
            match self.engine.read(what, move |c| part(c, &of)).await {
                Ok(Some(part)) => {
                    if self.tell(part) {
                        return true;
                    }
                }
                Ok(None) => {
                    self.interrupt(Interruption::BucketGone);
                    return true;
                }
                Err(error) => {
                    self.interrupt(cause_of(&error));
                    return false;
                }
            }
        }
    }

    /// Tells one part. Answers whether it was the last for now.
    fn tell(&mut self, part: Part) -> bool {
        let is_another = part.bucket.id != self.bucket;
        let went_back = part.bucket.info.last_revision < self.part.after;
        if is_another || went_back {
            self.interrupt(Interruption::BucketReplaced);
            self.sender.send(WatchEvent::Resumed { gap: true });
            self.interrupted = false;
            self.bucket = part.bucket.id;
            self.in_snapshot = self.from != WatchFrom::Now;
            self.part.newest = self.from == WatchFrom::Newest;
            self.part.after = if self.in_snapshot {
                Revision::ABSENT
            } else {
                self.sender.send(WatchEvent::Ready);
                part.bucket.info.last_revision
            };
            // What was read began after a revision of the bucket before.
            return false;
        }
        if std::mem::take(&mut self.interrupted) {
            // The same bucket, and it only ever adds to its end.
            self.sender.send(WatchEvent::Resumed { gap: false });
        }
        self.part.after = part.upto;
        let entries = part.entries.into_iter().map(WatchEvent::Entry);
        if part.is_last && std::mem::take(&mut self.in_snapshot) {
            // From here on every entry is told, not just the newest ones.
            self.part.newest = false;
            self.sender.send_all(entries.chain([WatchEvent::Ready]));
        } else {
            self.sender.send_all(entries);
        }
        part.is_last
    }

    fn interrupt(&mut self, cause: Interruption) {
        if !std::mem::replace(&mut self.interrupted, true) {
            self.sender.send(WatchEvent::Interrupted { cause });
        }
    }
}

fn cause_of(error: &Error) -> Interruption {
    match error {
        Error::File { .. } => Interruption::Disconnected,
        other => Interruption::Refused(other.to_string()),
    }
}
