//! `lock break --reset`: a record of a `shizuku` service is set to nobody inside.

use crate::kv::lock::breaking::{BreakError, reset_shizuku};
use crate::kv::lock::shizuku::{Shizuku, ShizukuMode};
use crate::kv::{Key, Revision, Store};

use super::super::super::args::LockBreakArgs;
use super::super::super::error::CliError;
use super::super::super::output::Output;
use super::super::super::record::WrittenRecord;
use super::super::super::text::sentence;
use super::super::super::write::{Beforehand, confirm, refuse_if_read_only};

/// Resets the record on the revision that is shown.
pub(super) async fn reset(
    store: &Store,
    args: &LockBreakArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let key = Key::from_stored(args.resource.as_str());
    refuse_if_read_only(
        store.capabilities(),
        &format!("resetting the lock at {key}"),
    )?;
    let entry = store.get(&key).await?;
    let Some((entry, value)) = entry.as_ref().and_then(|e| Some((e, e.live_value()?))) else {
        return Err(BreakError::NoKey { key }.into());
    };
    let Some(shizuku) = Shizuku::from_bytes(value) else {
        return Err(BreakError::NotShizuku { key }.into());
    };
    let seen = args.revision.map_or(entry.revision, Revision);
    if seen == entry.revision {
        let question = format!(
            "{key} at revision {seen}: {}. Set it to nobody inside and nobody waiting?",
            inside(shizuku)
        );
        confirm(&question, Beforehand::yes(args.yes))?;
    }
    let reset = reset_shizuku(store, &key, seen).await?;
    if output.is_json() {
        return output.record(&WrittenRecord {
            bucket: &args.bucket,
            key: key.as_str(),
            revision: reset.revision.0,
        });
    }
    let line = format!(
        "{} {key} reset at revision {}; before: {}",
        args.bucket,
        reset.revision,
        inside(reset.before)
    );
    output.line(&sentence(&line))
}

fn inside(lock: Shizuku) -> String {
    let inside = match lock.mode {
        ShizukuMode::Idle => "nobody inside".to_owned(),
        ShizukuMode::Read => format!("{} readers inside", lock.readers),
        ShizukuMode::Write => "a writer inside".to_owned(),
    };
    if lock.writer_waits {
        format!("{inside}, a writer is said to wait")
    } else {
        inside
    }
}
