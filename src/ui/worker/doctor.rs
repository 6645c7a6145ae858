//! Looking for what is set dangerously, no deeper than a console may look unasked.

use crate::kv::backend::Backend;
use crate::kv::doctor::{Finding, Look, Synced, diagnose, gather};
use crate::kv::{Entry, Error};
use crate::ui::value::Masks;

/// How many values of each bucket are looked into.
const VALUES: usize = 500;

pub(super) async fn look(
    backend: &dyn Backend,
    command: &str,
    masks: &Masks,
) -> Result<Vec<Finding>, Error> {
    let is_secret = |entry: &Entry| masks.find_in(entry);
    let look = Look {
        command,
        bucket: None,
        values: VALUES,
        is_secret: &is_secret,
        synced: Synced::Unseen,
        clock: time::OffsetDateTime::now_utc,
    };
    Ok(diagnose(&gather(backend, &look).await?))
}
