//! A bucket's settings as those of the stream that keeps it, and back.
//!
//! They are the settings that the other NATS clients give to the stream of a bucket (ADR-8).

use std::time::Duration;

use async_nats::jetstream::stream::{
    ClusterInfo, Compression, Config, DiscardPolicy, External, Info, Placement as StreamPlacement,
    Republish as StreamRepublish, Source, SourceInfo, StorageType, SubjectTransform,
};

use crate::kv::backend::{
    BucketConfig, BucketInfo, Copies, Follower, Inflow, Origin, Placement, Republish, Storage,
};
use crate::kv::{BucketName, Revision};

/// What the name of a bucket's stream begins with.
const STREAM_PREFIX: &str = "KV_";
/// How long the server remembers message ids, unless entries live shorter.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// What the names begin with under which the server itself notes things in a stream's metadata.
const SERVER_METADATA: &str = "_nats.";

/// The name of the stream that keeps a bucket.
pub(super) fn stream_of(bucket: &BucketName) -> String {
    format!("{STREAM_PREFIX}{bucket}")
}

/// The bucket that a stream keeps, if it keeps one.
pub(super) fn bucket_of(stream: &str) -> Option<BucketName> {
    BucketName::new(stream.strip_prefix(STREAM_PREFIX)?).ok()
}

/// Whether a stream is a copy of the one that keeps a bucket.
pub(super) fn is_mirror(stream: &Config) -> bool {
    let mirror = stream.mirror.as_ref();
    mirror.is_some_and(|mirror| bucket_of(&mirror.name).is_some())
}

/// What the subjects of a bucket's keys begin with.
///
/// The stream of a mirror holds the subjects of the bucket that it mirrors.
pub(super) fn subject_prefix(bucket: &BucketName, config: Option<&Config>) -> String {
    let mirrored = config
        .and_then(|config| config.mirror.as_ref())
        .and_then(|mirror| bucket_of(&mirror.name));
    format!("$KV.{}.", mirrored.as_ref().unwrap_or(bucket))
}

/// The stream for a new bucket with these settings.
pub(super) fn new_stream(config: &BucketConfig) -> Config {
    let mut stream = Config {
        name: stream_of(&config.name),
        subjects: vec![format!("$KV.{}.>", config.name)],
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_consumers: -1,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    };
    if let Some(origin) = &config.mirror {
        // It holds the subjects of its origin, and none of its own.
        stream.subjects.clear();
        stream.mirror_direct = true;
        stream.mirror = Some(source_of(origin));
    }
    apply(config, &mut stream);
    stream
}

/// Where a stream takes a bucket's entries from.
fn source_of(origin: &Origin) -> Source {
    Source {
        name: stream_of(&origin.bucket),
        external: origin.domain.as_ref().map(|domain| External {
            api_prefix: format!("$JS.{domain}.API"),
            delivery_prefix: None,
        }),
        ..Source::default()
    }
}

/// The bucket that a stream takes entries from. `None` if it is no bucket, or not all of one.
fn origin_of(source: &Source) -> Option<Origin> {
    let domain = match (&source.external, &source.domain) {
        (Some(external), _) => {
            let api = external.api_prefix.strip_prefix("$JS.")?;
            Some(api.strip_suffix(".API")?.to_owned())
        }
        (None, domain) => domain.clone(),
    };
    let bucket = bucket_of(&source.name)?;
    Some(Origin { bucket, domain })
}

/// The buckets that a stream takes entries from beside its own.
fn origins_of(stream: &Config) -> Vec<Origin> {
    let sources = stream.sources.iter().flatten();
    sources.filter_map(origin_of).collect()
}

/// Lets a stream take entries from these buckets. Its other sources stay as they are.
fn set_sources(config: &BucketConfig, stream: &mut Config) {
    if origins_of(stream) == config.sources {
        return;
    }
    let before = stream.sources.take().unwrap_or_default();
    let wanted = |source: &Source| {
        config
            .sources
            .iter()
            .find(|o| Some(*o) == origin_of(source).as_ref())
    };
    let mut sources: Vec<Source> = before
        .into_iter()
        .filter(|source| origin_of(source).is_none() || wanted(source).is_some())
        .collect();
    let have: Vec<Origin> = sources.iter().filter_map(origin_of).collect();
    for origin in config
        .sources
        .iter()
        .filter(|origin| !have.contains(origin))
    {
        let mut source = source_of(origin);
        // The keys of the other bucket become keys of this one.
        source.subject_transforms = vec![SubjectTransform {
            source: format!("$KV.{}.>", origin.bucket),
            destination: format!("$KV.{}.>", config.name),
        }];
        sources.push(source);
    }
    stream.sources = Some(sources).filter(|sources| !sources.is_empty());
}

/// Changes the stream of a bucket to these settings, and leaves alone what they don't speak of.
pub(super) fn apply(config: &BucketConfig, stream: &mut Config) {
    stream.description = Some(config.description.clone()).filter(|text| !text.is_empty());
    // Everything is kept where another program set no limit.
    stream.max_messages_per_subject = i64::try_from(config.history).unwrap_or(-1);
    stream.max_age = config.ttl.unwrap_or_default();
    stream.max_bytes = limit(config.max_bytes);
    stream.max_message_size = i32::try_from(limit(config.max_value_size)).unwrap_or(i32::MAX);
    stream.storage = match config.storage {
        Storage::File => StorageType::File,
        Storage::Memory => StorageType::Memory,
    };
    stream.num_replicas = usize::try_from(config.replicas).unwrap_or(usize::MAX);
    if config.compression != is_compressed(stream) {
        stream.compression = Some(if config.compression {
            Compression::S2
        } else {
            Compression::None
        });
    }
    stream.subject_delete_marker_ttl = config.marker_ttl;
    // It can be allowed later, and never forbidden again.
    stream.allow_message_ttl |= config.marker_ttl.is_some();
    if placement_of(stream) != config.placement {
        stream.placement = (config.placement != Placement::default()).then(|| StreamPlacement {
            cluster: config.placement.cluster.clone(),
            tags: config.placement.tags.clone(),
        });
    }
    stream.republish = config.republish.as_ref().map(|republish| StreamRepublish {
        source: republish.source.clone(),
        destination: republish.destination.clone(),
        headers_only: republish.headers_only,
    });
    set_sources(config, stream);
    stream
        .metadata
        .retain(|name, _| name.starts_with(SERVER_METADATA));
    let metadata = config.metadata.iter();
    stream
        .metadata
        .extend(metadata.map(|(name, value)| (name.clone(), value.clone())));
    if let Some(ttl) = config.ttl {
        // Longer than entries live, the server refuses.
        stream.duplicate_window = stream.duplicate_window.min(ttl);
    }
}

/// What is known of a bucket from its stream. `None` for a stream that is no bucket's.
pub(super) fn bucket_info(info: &Info) -> Option<BucketInfo> {
    let stream = &info.config;
    let mut config = BucketConfig::new(bucket_of(&stream.name)?);
    config.description = stream.description.clone().unwrap_or_default();
    // The server keeps everything where nothing is set, which no KV client does.
    config.history = u64::try_from(stream.max_messages_per_subject)
        .ok()
        .filter(|history| *history > 0)
        .unwrap_or(u64::MAX);
    config.ttl = some(stream.max_age);
    config.marker_ttl = stream.subject_delete_marker_ttl.and_then(some);
    config.max_bytes = u64::try_from(stream.max_bytes).ok();
    config.max_value_size = u64::try_from(stream.max_message_size)
        .ok()
        .filter(|size| *size > 0);
    config.storage = match stream.storage {
        StorageType::File => Storage::File,
        StorageType::Memory => Storage::Memory,
    };
    config.replicas = stream.num_replicas as u64;
    config.compression = is_compressed(stream);
    config.placement = placement_of(stream);
    config.republish = stream.republish.as_ref().map(|republish| Republish {
        source: republish.source.clone(),
        destination: republish.destination.clone(),
        headers_only: republish.headers_only,
    });
    config.mirror = stream.mirror.as_ref().and_then(origin_of);
    config.sources = origins_of(stream);
    let noted = stream.metadata.iter();
    config.metadata = noted
        .filter(|(name, _)| !name.starts_with(SERVER_METADATA))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();

    let state = &info.state;
    let mut bucket = BucketInfo::new(config, info.created);
    bucket.keys = state.subjects_count;
    bucket.entries = state.messages;
    bucket.bytes = state.bytes;
    bucket.last_revision = Revision(state.last_sequence);
    bucket.last_write = (state.last_sequence > 0).then_some(state.last_timestamp);
    bucket.copies = info.cluster.as_ref().and_then(copies);
    bucket.inflows = info
        .mirror
        .iter()
        .chain(&info.sources)
        .map(inflow)
        .collect();
    Some(bucket)
}

fn placement_of(stream: &Config) -> Placement {
    let placement = stream.placement.as_ref();
    placement.map_or_else(Placement::default, |at| Placement {
        cluster: at.cluster.clone().filter(|cluster| !cluster.is_empty()),
        tags: at.tags.clone(),
    })
}

/// The nodes that keep a stream. A server that is alone has only itself to name.
fn copies(cluster: &ClusterInfo) -> Option<Copies> {
    let name = cluster.name.clone().filter(|name| !name.is_empty());
    let followers: Vec<Follower> = cluster
        .replicas
        .iter()
        .map(|peer| Follower {
            name: peer.name.clone(),
            is_current: peer.current,
            is_offline: peer.offline,
            last_heard: (peer.current || !peer.active.is_zero()).then_some(peer.active),
            lag: peer.lag.unwrap_or(0),
        })
        .collect();
    (name.is_some() || !followers.is_empty()).then(|| Copies {
        cluster: name,
        leader: cluster.leader.clone().filter(|leader| !leader.is_empty()),
        followers,
    })
}

fn inflow(info: &SourceInfo) -> Inflow {
    Inflow {
        name: bucket_of(&info.name).map_or_else(|| info.name.clone(), |bucket| bucket.to_string()),
        lag: info.lag,
        last_heard: info.active,
    }
}

fn is_compressed(stream: &Config) -> bool {
    stream.compression == Some(Compression::S2)
}

fn some(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// The server writes "no limit" as -1.
fn limit(bytes: Option<u64>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_has_the_subjects_of_its_origin() {
        let bucket = BucketName::new("copy").unwrap();
        assert_eq!(subject_prefix(&bucket, None), "$KV.copy.");
        let mirror = Config {
            mirror: Some(async_nats::jetstream::stream::Source {
                name: "KV_origin".to_owned(),
                ..Default::default()
            }),
            ..Config::default()
        };
        assert_eq!(subject_prefix(&bucket, Some(&mirror)), "$KV.origin.");
    }

    #[test]
    fn duplicates_are_not_remembered_longer_than_entries_live() {
        let mut config = BucketConfig::new(BucketName::new("b").unwrap());
        assert_eq!(new_stream(&config).duplicate_window, DUPLICATE_WINDOW);
        config.ttl = Some(Duration::from_secs(7));
        assert_eq!(new_stream(&config).duplicate_window.as_secs(), 7);
    }

    #[test]
    fn only_kv_streams_are_buckets() {
        assert_eq!(bucket_of("KV_a").unwrap().as_str(), "a");
        for stream in ["KV_", "OBJ_a", "kv_a", "KV_ä"] {
            assert!(bucket_of(stream).is_none(), "{stream}");
        }
    }
}
