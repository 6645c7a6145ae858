//! `revert`: a key gets back the value of an earlier revision, if nobody writes meanwhile.

use std::sync::Arc;

use crate::edit::save::{Patience, carry_out};
use crate::edit::{Base, Ending, Masking, Proposal, Save, Warning};
use crate::kv::{Error, Key, Revision};
use crate::ui::text::visible;

use super::args::RevertArgs;
use super::connection::Connection;
use super::edit::{changes, failure};
use super::error::CliError;
use super::output::Output;
use super::record::WrittenRecord;
use super::write::{Beforehand, confirm, refuse_if_read_only};

pub(super) async fn run(
    connection: &Connection,
    args: RevertArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let key = Key::new(&args.key).map_err(Error::from)?;
    let store = connection.store(&args.bucket).await?;
    refuse_if_read_only(store.capabilities(), &format!("reverting {key}"))?;
    let revision = Revision(args.revision);
    let Some(earlier) = store.get_revision(&key, revision).await? else {
        return Err(CliError::NoRevision {
            bucket: args.bucket,
            key,
            revision,
        });
    };
    let newest = store.get(&key).await?;
    let (earlier, base) = (Base::of(Some(&earlier)), Base::of(newest.as_ref()));
    let expected = base.revision;
    // It comes back as it was, with its time to live, if it had one.
    let ttl = match earlier.kept_ttl(store.takes_ttl().await) {
        Ok(None) if earlier.value.is_some() => {
            base.ttl.map(Warning::LosesTtl).map_or(Ok(None), Err)
        }
        kept => kept,
    };
    if let Err(warning) = &ttl {
        super::edit::tell(&warning.to_string());
    }
    if !args.force {
        let masking = Masking::new(&Arc::new(connection.masks()), key.as_str());
        ask(&args, &base, &earlier, &masking)?;
    }
    let mut save = Save::new(key, base);
    let step = match earlier.value {
        // It was there before, so there is nothing to warn of.
        Some(value) => save.put(
            Proposal::of_bytes(value, false, None).acknowledge(),
            ttl.unwrap_or_default(),
        ),
        None => save.delete(),
    };
    let ending = carry_out(&store, &mut save, step, Patience::default()).await;
    let done = match ending {
        Ending::Unchanged => "is so already,",
        Ending::Saved { .. } => "reverted",
        ending => return Err(failure(&store, &save, expected, ending)),
    };
    let (bucket, key) = (store.name().as_str(), save.key().as_str());
    let now = save.base().revision;
    if output.is_json() {
        return output.record(&WrittenRecord {
            bucket,
            key,
            revision: now.0,
        });
    }
    let key = visible(key);
    output.line(&format!("{bucket} {key} {done} at revision {now}"))
}

/// Shows what would change, and asks.
fn ask(args: &RevertArgs, base: &Base, earlier: &Base, masking: &Masking) -> Result<(), CliError> {
    let diff = crate::edit::Diff::between(base.value.as_deref(), earlier.value.as_deref(), masking);
    if diff.is_empty() {
        return Ok(());
    }
    let changes = changes(&diff).join("\n");
    let question = format!(
        "Revert {} in {} to revision {}?",
        args.key, args.bucket, args.revision
    );
    super::edit::tell(&changes);
    confirm(&question, Beforehand::force(args.force))
}
