//! Which buckets there are.
//!
//! A server has streams of other kinds too, and perhaps thousands of them. It sorts out by subjects
//! alone, which a mirror has none of: those are found by their names, and looked at one by one.

use std::collections::HashSet;

use async_nats::jetstream::stream::Info;
use futures_util::{StreamExt as _, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::request::Session;
use super::{bucket, settings};
use crate::kv::backend::BucketInfo;
use crate::kv::{BucketName, Error};

/// How many mirrors are looked at at once.
const AT_ONCE: usize = 16;

#[derive(Serialize)]
struct Request {
    offset: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'static str>,
}

/// One page of a list: of streams, or of their names.
#[derive(Deserialize)]
struct Page<T> {
    total: usize,
    #[serde(default = "Option::default")]
    streams: Option<Vec<T>>,
}

/// The buckets, by name.
pub(super) async fn buckets(session: &Session) -> Result<Vec<BucketInfo>, Error> {
    let streams: Vec<Info> = all(session, "STREAM.LIST", Some("$KV.>")).await?;
    let mut buckets: Vec<BucketInfo> = streams.iter().filter_map(settings::bucket_info).collect();
    buckets.extend(mirrors(session, &buckets).await?);
    buckets.sort_unstable_by(|a, b| a.config.name.cmp(&b.config.name));
    // A stream that is made or deleted between two pages shifts the others.
    buckets.dedup_by(|a, b| a.config.name == b.config.name);
    Ok(buckets)
}

/// The buckets without subjects of their own, as far as they may be looked at.
async fn mirrors(session: &Session, listed: &[BucketInfo]) -> Result<Vec<BucketInfo>, Error> {
    let names: Vec<String> = match all(session, "STREAM.NAMES", None).await {
        Ok(names) => names,
        Err(error @ Error::Unreachable { .. }) => return Err(error),
        // Not everybody who may list buckets may ask for the names of all streams.
        Err(error) => {
            tracing::debug!(%error, "mirrors are not listed");
            return Ok(Vec::new());
        }
    };
    let listed: HashSet<&BucketName> = listed.iter().map(|info| &info.config.name).collect();
    let others: Vec<BucketName> = names
        .iter()
        .filter_map(|name| settings::bucket_of(name))
        .filter(|name| !listed.contains(name))
        .collect();
    let infos = stream::iter(others).map(|name| async move {
        // One that went away meanwhile, or may not be looked at, is not listed.
        let info = bucket::stream_info(session, &name).await.ok()?;
        settings::is_mirror(&info.config)
            .then(|| settings::bucket_info(&info))
            .flatten()
    });
    let found: Vec<Option<BucketInfo>> = infos.buffer_unordered(AT_ONCE).collect().await;
    Ok(found.into_iter().flatten().collect())
}

/// All pages of a list.
async fn all<T: DeserializeOwned>(
    session: &Session,
    verb: &str,
    subject: Option<&'static str>,
) -> Result<Vec<T>, Error> {
    let what = "listing the buckets";
    let mut found = Vec::new();
    loop {
        let request = Request {
            offset: found.len(),
            subject,
        };
        let page: Page<T> = session
            .ask_with(what, verb, &request)
            .await
            .map_err(|error| error.into_error(session, what))?;
        let streams = page.streams.unwrap_or_default();
        let is_last = streams.is_empty() || found.len() + streams.len() >= page.total;
        found.extend(streams);
        if is_last {
            return Ok(found);
        }
    }
}
