//! The simulated services at work: each carries out its plans over a connection of its own.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::watch;
use tracing::debug;

use crate::cli::record::timestamp;
use crate::kv::backend::{Backend, Write};
use crate::kv::{Entry, Key, Revision, Store, WriteError};

use super::data::{ENDPOINTS, LEASE, compact, pretty};
use super::plan::{Edit, Planned, Service};

/// Runs a service until the demo ends, which is when the sender of `demo` is dropped. A write that
/// is under way then is finished.
pub(super) async fn run(
    mut service: Service,
    backend: Arc<dyn Backend>,
    mut demo: watch::Receiver<()>,
) {
    while let Some(planned) = service.next() {
        tokio::select! {
            _ = demo.changed() => return,
            () = tokio::time::sleep(planned.after) => {}
        }
        // An operator may have caused it on purpose: by deleting the bucket, by being faster.
        if let Err(error) = carry_out(&*backend, &planned).await {
            debug!(service = service.name, key = planned.key, %error, "a change was not made");
        }
    }
}

async fn carry_out(backend: &dyn Backend, planned: &Planned) -> Result<(), WriteError> {
    let store = Store::open(backend, planned.bucket).await?;
    let entry = store.get(&planned.key).await?;
    let Some(write) = write_for(planned, entry.as_ref())? else {
        return Ok(());
    };
    let is_leased = planned.bucket == ENDPOINTS && planned.edit != Edit::Withdraw;
    let write = if is_leased && store.capabilities().entry_ttl {
        write.with_ttl(LEASE)
    } else {
        write
    };
    let revision = entry.map_or(Revision::ABSENT, |entry| entry.revision);
    store.write(write.expecting(revision)).await?;
    Ok(())
}

/// The write that makes the change. `None` where there is nothing to change: a key that is gone or
/// is no document any more was meant to be so by somebody.
fn write_for(planned: &Planned, entry: Option<&Entry>) -> Result<Option<Write>, WriteError> {
    let key = Key::new(&planned.key)?;
    let value = entry.and_then(Entry::live_value);
    let document = value.and_then(|value| serde_json::from_slice::<Value>(value).ok());
    let now = json!(timestamp(OffsetDateTime::now_utc()));
    Ok(match &planned.edit {
        Edit::Withdraw => value.map(|_| Write::delete(key)),
        Edit::Announce {
            document: announced,
            starts,
        } => {
            let mut announced = announced.clone();
            announced["last_beat"] = now.clone();
            announced["started_at"] = now;
            if let (Some(before), false) = (&document, starts) {
                for member in ["version", "started_at", "state"] {
                    if let Some(known) = before.get(member) {
                        announced[member] = known.clone();
                    }
                }
            }
            Some(Write::put(key, compact(&announced)))
        }
        Edit::Merge { members, stamp } => {
            let (Some(Value::Object(mut object)), Some(value)) = (document, value) else {
                return Ok(None);
            };
            for (member, value) in members {
                object.insert((*member).to_owned(), value.clone());
            }
            if let Some(member) = stamp {
                object.insert((*member).to_owned(), now);
            }
            let document = Value::Object(object);
            let text = if value.contains(&b'\n') {
                pretty(&document)
            } else {
                compact(&document)
            };
            Some(Write::put(key, text))
        }
    })
}
