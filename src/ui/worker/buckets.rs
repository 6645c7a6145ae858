//! What is done to whole buckets.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::kv::backend::{Backend, BucketInfo};
use crate::kv::compact::{compact, survey};
use crate::kv::{BucketName, Error, Store};
use crate::ui::overlays::bucket::{BucketDone, BucketTask};

/// Does it.
pub(super) async fn run(backend: &dyn Backend, task: BucketTask) -> Result<BucketDone, Error> {
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
            BucketDone::Compacted(name, compact(&store, &found, |_| {}).await?)
        }
    })
}

async fn look(backend: &dyn Backend, name: &BucketName) -> Result<BucketInfo, Error> {
    backend.bucket(name).await?.info().await
}
