//! The watches of a bucket: what each is begun with, and what it tells.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use super::bucket::Feed;
use crate::kv::lock::name::KEY_PREFIX;
use crate::kv::lock::session::SESSION_PREFIX;
use crate::kv::{BucketName, Error, Filter, Key, Watch, WatchEvent, WatchFrom, WatchOptions};

/// What a watch told; nothing more comes after `None`.
pub(super) struct Told {
    pub(super) bucket: BucketName,
    pub(super) of: Watched,
    pub(super) events: Option<Vec<WatchEvent>>,
}

/// What a watch is of. One costs the store as much as another, so that there are no more than two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// The records of locks and those of sessions.
    Records,
    /// All keys, for locks of `shizuku` services.
    Others,
}

impl Watched {
    /// Which feeds of the picture it fills.
    pub(super) fn feeds(self) -> &'static [Feed] {
        match self {
            Self::Records => &[Feed::Locks, Feed::Sessions],
            Self::Others => &[Feed::Others],
        }
    }

    /// Which of these an entry belongs to.
    pub(super) fn feed_of(self, key: &Key) -> Feed {
        match self {
            Self::Others => Feed::Others,
            Self::Records if key.as_str().starts_with(SESSION_PREFIX) => Feed::Sessions,
            Self::Records => Feed::Locks,
        }
    }
}

/// How a bucket's watch is begun.
pub(super) fn watch_options(of: Watched, history: bool) -> Result<WatchOptions, Error> {
    Ok(match of {
        Watched::Records => {
            let filter = Filter::new(format!("{KEY_PREFIX}>"))?;
            let filter = filter.or(Filter::new(format!("{SESSION_PREFIX}>"))?);
            let from = if history {
                WatchFrom::History
            } else {
                WatchFrom::Newest
            };
            WatchOptions::new(filter).from(from)
        }
        Watched::Others => WatchOptions::new(Filter::all()).without_values(),
    })
}

/// What a watch tells, in as few pieces as it comes.
pub(super) fn told_by(watch: Watch, bucket: BucketName, of: Watched) -> BoxStream<'static, Told> {
    stream::unfold(Some(watch), move |watch| {
        let bucket = bucket.clone();
        async move {
            let watch = watch?;
            let events = watch.next_batch().await;
            let rest = events.is_some().then_some(watch);
            let told = Told { bucket, of, events };
            Some((told, rest))
        }
    })
    .boxed()
}
