//! What is done to whole buckets.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::kv::backend::{Backend, BucketInfo};
use crate::kv::compact::{compact, survey};
use crate::kv::{BucketName, Error, Store};
use crate::ui::overlays::bucket::{BucketDone, BucketTask};

/// How often it is told how far something is.
const PACE: Duration = Duration::from_millis(100);

/// Does it. What takes long is told on the way, and can be stopped.
pub(super) async fn run(
    backend: &dyn Backend,
    task: BucketTask,
    stop: oneshot::Receiver<()>,
    tell: impl Fn(BucketDone) + Send + Sync,
) -> Result<BucketDone, Error> {
    Ok(match task {
        BucketTask::Look(name) => BucketDone::Info(Box::new(look(backend, &name).await?)),
        BucketTask::Make(config) => {
            BucketDone::Made(Box::new(backend.create_bucket(&config).await?))
        }
        BucketTask::Change { seen, wanted } => {
            // What others changed meanwhile must not be changed back unseen.
            if look(backend, &seen.name).await?.config != *seen {
                return Err(Error::BucketConfig {
                    bucket: seen.name,
                    reason: "somebody changed it meanwhile; leave, and look at it again".to_owned(),
                });
            }
            BucketDone::Changed(Box::new(backend.change_bucket(&wanted).await?))
        }
        BucketTask::Delete(name) => {
            backend.delete_bucket(&name).await?;
            BucketDone::Deleted(name)
        }
        BucketTask::Survey(name, older_than) => {
            let store = Store::open(backend, name.as_str()).await?;
            let found = survey(&store, older_than, OffsetDateTime::now_utc()).await?;
            BucketDone::Survey(Arc::new(found))
        }
        BucketTask::Compact(name, found) => {
            let store = Store::open(backend, name.as_str()).await?;
            // Whoever dropped the other end wishes for nothing.
            let stopped = async {
                if stop.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let mut told = Instant::now();
            let progress = |done| {
                if told.elapsed() >= PACE {
                    told = Instant::now();
                    tell(BucketDone::Compacting(done));
                }
            };
            BucketDone::Compacted(name, compact(&store, &found, stopped, progress).await?)
        }
    })
}

async fn look(backend: &dyn Backend, name: &BucketName) -> Result<BucketInfo, Error> {
    backend.bucket(name).await?.info().await
}
