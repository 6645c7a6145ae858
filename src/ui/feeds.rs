//! The watches that are running: one for each bucket, however many screens look at it.

use std::collections::BTreeMap;

use super::context::Context;
use super::message::{Effect, Millis, WatchId};
use crate::kv::{BucketName, Interruption, WatchEvent, WatchFrom};

/// The most buckets that are watched at once: each is a consumer at the server.
pub const MOST_FEEDS: usize = 64;

/// The running watches.
#[derive(Debug, Default)]
pub struct Feeds {
    feeds: BTreeMap<BucketName, Feed>,
}

/// One running watch.
#[derive(Debug)]
struct Feed {
    id: WatchId,
    /// Whether it began with everything that the bucket held.
    whole: bool,
    /// Whether what comes now is news, rather than a picture of what was there already.
    live: bool,
    /// Since when and why what was told may be out of date.
    interrupted: Option<(Millis, Interruption)>,
}

impl Feeds {
    /// Watches these buckets from now on, and no others; running watches go on.
    pub fn follow(&mut self, buckets: &[BucketName], ctx: &mut Context<'_>) {
        self.feeds.retain(|bucket, feed| {
            let stays = buckets.contains(bucket);
            if !stays {
                ctx.effect(Effect::Unwatch(feed.id));
            }
            stays
        });
        for bucket in buckets {
            if self.feeds.len() >= MOST_FEEDS {
                break;
            }
            if !self.feeds.contains_key(bucket) {
                self.begin(bucket, WatchFrom::Now, ctx);
            }
        }
    }

    /// Watches a bucket with everything that it holds now, from the beginning.
    pub fn open(&mut self, bucket: &BucketName, ctx: &mut Context<'_>) {
        if let Some(feed) = self.feeds.remove(bucket) {
            ctx.effect(Effect::Unwatch(feed.id));
        }
        self.begin(bucket, WatchFrom::Newest, ctx);
    }

    /// Whether a bucket is watched with everything that it held.
    pub fn is_open(&self, bucket: &BucketName) -> bool {
        self.feeds.get(bucket).is_some_and(|feed| feed.whole)
    }

    /// Forgets all watches: their connection is gone, and they with it.
    pub fn forget(&mut self) {
        self.feeds.clear();
    }

    fn begin(&mut self, bucket: &BucketName, from: WatchFrom, ctx: &mut Context<'_>) {
        let id = ctx.watch(|id| Effect::Watch(id, bucket.clone(), from));
        let whole = from == WatchFrom::Newest;
        self.feeds.insert(
            bucket.clone(),
            Feed {
                id,
                whole,
                live: false,
                interrupted: None,
            },
        );
    }

    /// The bucket of a watch that still runs.
    pub fn bucket_of(&self, id: WatchId) -> Option<BucketName> {
        self.feeds
            .iter()
            .find(|(_, feed)| feed.id == id)
            .map(|(bucket, _)| bucket.clone())
    }

    /// The watch of a bucket is over. It begins anew when the bucket is opened or listed again.
    pub fn ended(&mut self, bucket: &BucketName) {
        self.feeds.remove(bucket);
    }

    /// Keeps the state of a watch, and tells of each event whether it is news.
    pub fn note(&mut self, bucket: &BucketName, event: &WatchEvent, now: Millis) -> bool {
        let Some(feed) = self.feeds.get_mut(bucket) else {
            return false;
        };
        match event {
            WatchEvent::Entry(_) => return feed.live,
            WatchEvent::Ready => {
                feed.live = true;
                feed.interrupted = None;
            }
            WatchEvent::Interrupted { cause } => {
                let since = feed.interrupted.as_ref().map_or(now, |(since, _)| *since);
                feed.interrupted = Some((since, cause.clone()));
            }
            WatchEvent::Resumed { gap: false } => feed.interrupted = None,
            // Out of date until the whole picture has come again.
            WatchEvent::Resumed { gap: true } => feed.live = false,
        }
        true
    }

    /// Since when and why the picture of a bucket may be out of date.
    pub fn interrupted(&self, bucket: &BucketName) -> Option<&(Millis, Interruption)> {
        self.feeds.get(bucket)?.interrupted.as_ref()
    }

    /// How many buckets are watched.
    pub fn len(&self) -> usize {
        self.feeds.len()
    }

    /// Whether no bucket is watched.
    pub fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }
}
