//! A watch that can be cut, and goes on with or without a gap.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::kv::backend::BucketBackend;
use crate::kv::{Error, Interruption, Watch, WatchEvent, WatchOptions, WatchSender, watch_channel};

/// The state of the connection, with enough of its past that nobody misses a cut by being slow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Link {
    /// How often it was cut.
    cuts: u64,
    /// How often it was restored.
    restores: u64,
    /// How often it was restored with a gap.
    gaps: u64,
}

impl Link {
    pub(super) fn is_up(self) -> bool {
        self.cuts == self.restores
    }

    /// Cuts it, and says whether it was up.
    pub(super) fn cut(&mut self) -> bool {
        let was_up = self.is_up();
        self.cuts += u64::from(was_up);
        was_up
    }

    /// Restores it, and says whether it was down.
    pub(super) fn restore(&mut self, gap: bool) -> bool {
        let was_down = !self.is_up();
        self.restores += u64::from(was_down);
        self.gaps += u64::from(was_down && gap);
        was_down
    }
}

/// A watch of the bucket over that link.
pub(super) async fn watch(
    bucket: Arc<dyn BucketBackend>,
    options: WatchOptions,
    link: watch::Receiver<Link>,
) -> Result<Watch, Error> {
    let seen = *link.borrow();
    let inner = bucket.watch(options.clone()).await?;
    let (sender, watch) = watch_channel();
    let wire = Wire {
        bucket,
        options,
        link,
        seen,
        inner,
        live: false,
        sender,
    };
    Ok(watch.fed_by(tokio::spawn(wire.run())))
}

struct Wire {
    bucket: Arc<dyn BucketBackend>,
    options: WatchOptions,
    link: watch::Receiver<Link>,
    /// The state of the link that the watcher was told of.
    seen: Link,
    inner: Watch,
    /// Whether the snapshot is over.
    live: bool,
    sender: WatchSender,
}

impl Wire {
    async fn run(mut self) {
        loop {
            let now = *self.link.borrow_and_update();
            if now.cuts != self.seen.cuts {
                let cause = Interruption::Disconnected;
                self.sender.send(WatchEvent::Interrupted { cause });
                if self.go_on().await.is_none() {
                    return;
                }
                continue;
            }
            tokio::select! {
                // A cut comes before what was under way: nothing passes a link that is down.
                biased;
                alive = self.link.changed() => if alive.is_err() { return },
                batch = self.inner.next_batch() => match batch {
                    Some(batch) => self.pass_on(batch).await,
                    None => return,
                },
            }
        }
    }

    async fn pass_on(&mut self, batch: Vec<WatchEvent>) {
        for event in &batch {
            match event {
                WatchEvent::Ready => self.live = true,
                WatchEvent::Resumed { gap: true } => self.live = false,
                _ => {}
            }
        }
        if !self.live || self.sender.is_swamped() {
            self.sender.room().await;
        }
        self.sender.send_all(batch);
    }

    /// Waits until the link is up again, and tells how. `None` when there is no more link.
    async fn go_on(&mut self) -> Option<()> {
        loop {
            let up = *self.link.wait_for(|link| link.is_up()).await.ok()?;
            let gap = up.gaps != self.seen.gaps;
            if gap {
                match self.bucket.watch(self.options.clone()).await {
                    Ok(inner) => self.inner = inner,
                    // Not there at the moment: the outage is not over for this watch.
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                }
                self.live = false;
            }
            self.seen = up;
            self.sender.send(WatchEvent::Resumed { gap });
            return Some(());
        }
    }
}
