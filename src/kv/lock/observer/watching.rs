//! The watches of a bucket: what each is begun with, and what it tells.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use super::bucket::Feed;
use crate::kv::lock::name::KEY_PREFIX;
use crate::kv::lock::session::SESSION_PREFIX;
use crate::kv::{BucketName, Error, Filter, Watch, WatchEvent, WatchFrom, WatchOptions};

/// What a watch told; nothing more comes after `None`.
pub(super) struct Told {
    pub(super) bucket: BucketName,
    pub(super) feed: Feed,
    pub(super) events: Option<Vec<WatchEvent>>,
}

/// How a bucket's watch is begun.
pub(super) fn watch_options(feed: Feed, history: bool) -> Result<WatchOptions, Error> {
    Ok(match feed {
        Feed::Locks => {
            let filter = Filter::new(format!("{KEY_PREFIX}>"))?;
            let from = if history {
                WatchFrom::History
            } else {
                WatchFrom::Newest
            };
            WatchOptions::new(filter).from(from)
        }
        Feed::Sessions => WatchOptions::new(Filter::new(format!("{SESSION_PREFIX}>"))?),
        Feed::Others => WatchOptions::new(Filter::all()).without_values(),
    })
}

/// What a watch tells, in as few pieces as it comes.
pub(super) fn told_by(watch: Watch, bucket: BucketName, feed: Feed) -> BoxStream<'static, Told> {
    stream::unfold(Some(watch), move |watch| {
        let bucket = bucket.clone();
        async move {
            let watch = watch?;
            let events = watch.next_batch().await;
            let rest = events.is_some().then_some(watch);
            let told = Told {
                bucket,
                feed,
                events,
            };
            Some((told, rest))
        }
    })
    .boxed()
}
