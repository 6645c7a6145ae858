//! Making, changing and deleting buckets, each in one transaction.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::MAX_VALUE_SIZE;
use super::fault::Fault;
use super::read::bucket;
use super::schema::{BucketRow, now};
use super::write::refit;
use crate::kv::backend::{BucketConfig, BucketInfo, Offered, Reason, Setting};
use crate::kv::{BucketName, Error};

/// What a bucket of a file can be set to.
pub(super) const SETTINGS: Offered = Offered::ALL
    .without(Setting::Storage, Reason::OnDisk)
    .without(Setting::Replicas, Reason::OneFile)
    .without(Setting::Placement, Reason::OneFile)
    .without(Setting::Compression, Reason::NotPacked)
    .without(Setting::Republish, Reason::TellsNobody)
    .without(Setting::Mirror, Reason::CopiesNothing)
    .without(Setting::Sources, Reason::CopiesNothing);

/// The shortest time after which a bucket can drop its entries, as at NATS.
const MIN_TTL: Duration = Duration::from_millis(100);
/// The longest time to live, a hundred years, so that the time of expiry stays one that can be
/// kept.
const MAX_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Makes a bucket, unless it is there with the same settings.
pub(super) fn create(
    connection: &mut Connection,
    config: &BucketConfig,
) -> Result<BucketInfo, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(there) = BucketRow::find(&transaction, &config.name)? {
        return if there.info.config == *config {
            Ok(there.info)
        } else {
            Err(Fault::Engine(Error::BucketExists {
                bucket: config.name.clone(),
            }))
        };
    }
    BucketRow::insert(&transaction, config, now())?;
    let made = bucket(&transaction, &config.name)?;
    transaction.commit()?;
    Ok(made.info)
}

/// Changes the settings of a bucket, and its entries with them.
pub(super) fn change(
    connection: &mut Connection,
    config: &BucketConfig,
) -> Result<BucketInfo, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut row = bucket(&transaction, &config.name)?;
    SETTINGS
        .check_change(&row.info.config, config)
        .map_err(Fault::Engine)?;
    let before = std::mem::replace(&mut row.info.config, config.clone());
    row.save_config(&transaction)?;
    if config.history < before.history || config.ttl != before.ttl {
        refit(&transaction, &mut row, &before)?;
    }
    transaction.commit()?;
    Ok(row.info)
}

/// Deletes a bucket and all its entries.
pub(super) fn delete(connection: &mut Connection, name: &BucketName) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let row = bucket(&transaction, name)?;
    transaction.execute("DELETE FROM entry WHERE bucket = ?1", [row.id])?;
    transaction.execute("DELETE FROM bucket WHERE id = ?1", [row.id])?;
    transaction.commit()?;
    Ok(())
}

/// Refuses settings that a file can't have.
pub(super) fn check(config: &BucketConfig) -> Result<(), Error> {
    SETTINGS.check_new(config)?;
    config.check_history()?;
    match fault_of(config) {
        None => Ok(()),
        Some(reason) => Err(Error::BucketConfig {
            bucket: config.name.clone(),
            reason,
        }),
    }
}

fn fault_of(config: &BucketConfig) -> Option<String> {
    if config
        .ttl
        .is_some_and(|ttl| !(MIN_TTL..=MAX_TTL).contains(&ttl))
    {
        return Some("the time to live can be from 100 ms to a hundred years".to_owned());
    }
    if config.marker_ttl.is_some_and(|ttl| !is_entry_ttl(ttl)) {
        return Some("the time to keep markers is counted in whole seconds, at least 1".to_owned());
    }
    if config.max_bytes == Some(0) || config.max_value_size == Some(0) {
        return Some("a limit of 0 bytes leaves room for nothing".to_owned());
    }
    if config
        .max_value_size
        .is_some_and(|limit| limit > MAX_VALUE_SIZE)
    {
        return Some(format!("a value can have at most {MAX_VALUE_SIZE} bytes"));
    }
    None
}

/// Whether a time to live is one that a single entry can have.
pub(super) fn is_entry_ttl(ttl: Duration) -> bool {
    (Duration::from_secs(1)..=MAX_TTL).contains(&ttl) && ttl.subsec_nanos() == 0
}
