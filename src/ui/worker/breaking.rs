//! Breaking locks for the console: looking first, then killing, then taking out.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Delivery, deliver};
use crate::kv::backend::Backend;
use crate::kv::lock::breaking::{BreakError, Manner, Reset, Sight, reset_shizuku};
use crate::kv::lock::session::Process;
use crate::kv::{BucketName, Key, Revision, Store};
use crate::ui::message::{BreakSight, Message, Reply, RequestId};

/// What breaking would do.
pub(super) async fn look(
    backend: &dyn Backend,
    bucket: &BucketName,
    resource: &str,
    session: &str,
) -> Result<Arc<BreakSight>, BreakError> {
    let store = Store::open(backend, bucket.as_str()).await?;
    let sight = Sight::take(&store, resource, session).await?;
    Ok(Arc::new(BreakSight {
        pulse: sight.pulse(),
        next: sight.next(),
        quarantine: sight.quarantine(),
        overlap: sight.overlap(),
        sight,
    }))
}

/// Breaks what was looked at, and tells of each step.
pub(super) async fn run(
    id: RequestId,
    sight: Arc<BreakSight>,
    manner: Manner,
    replies: mpsc::UnboundedSender<Delivery>,
) {
    let tell = |reply| deliver(&replies, Message::Reply(id, reply));
    let breaking = match sight.sight.clone().begin(manner, &by()).await {
        Ok(breaking) => breaking,
        Err(error) => return tell(Reply::Killed(Err(error))),
    };
    tell(Reply::Killed(Ok(breaking.left())));
    tell(Reply::Broken(breaking.finish().await));
}

/// Resets the record of a `shizuku` service.
pub(super) async fn reset(
    backend: &dyn Backend,
    bucket: &BucketName,
    key: &Key,
    seen: Revision,
) -> Result<Reset, BreakError> {
    let store = Store::open(backend, bucket.as_str()).await?;
    reset_shizuku(&store, key, seen).await
}

/// Who does it, for people who read it later.
fn by() -> String {
    let variable = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let process = Process::current();
    format!(
        "{}@{}, kvscope console, pid {}",
        user.as_deref().unwrap_or("somebody"),
        process.host,
        process.pid
    )
}
