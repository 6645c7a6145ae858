//! Buckets: made, listed, described, changed and deleted.

use super::bench::keys;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::backend::{
    Availability, BucketConfig, BucketInfo, Connection, Origin, Placement, Republish, Setting,
    Storage,
};
use crate::kv::{BucketName, Error, Revision, Store, WriteError};

fn no_such_bucket<T>(result: Result<T, Error>, call: &str) -> Outcome {
    match result {
        Err(Error::NoSuchBucket { .. }) => Ok(()),
        Err(error) => Err(Failure::new(format!("{call} gave {error:?}"))),
        Ok(_) => Err(Failure::new(format!("{call} worked without a bucket"))),
    }
}

pub(super) async fn place_describes_itself(bench: Bench) -> Outcome {
    bench.backend.ping().await?;
    let overview = bench.backend.overview().await?;
    that(!overview.address.is_empty(), "it has no address")?;
    that(!overview.engine.is_empty(), "it has no engine")?;
    let connection = bench.backend.connection().borrow().clone();
    equal(connection, Connection::Connected, "connection")?;
    that(bench.can().max_history > 0, "it keeps no entries at all")
}

pub(super) async fn create_is_idempotent(bench: Bench) -> Outcome {
    let config = bench.config()?;
    let store = bench.make(&config).await?;
    store.put("a", "1").await?;
    let before = store.info().await?;
    let again = bench.backend.create_bucket(&config).await?;
    equal(again.created, before.created, "made anew")?;
    equal(again.entries, 1, "entries after making it again")
}

pub(super) async fn create_with_other_settings_is_refused(bench: Bench) -> Outcome {
    let config = bench.config()?;
    bench.make(&config).await?.put("a", "1").await?;
    let other = BucketConfig {
        history: 5,
        description: "another".to_owned(),
        ..config.clone()
    };
    match bench.backend.create_bucket(&other).await {
        Err(Error::BucketExists { bucket }) => equal(&bucket, &config.name, "the bucket named")?,
        other => return Err(Failure::new(format!("{other:?}"))),
    }
    let store = Store::open(&*bench.backend, config.name.as_str()).await?;
    let info = store.info().await?;
    equal(info.config.history, 1, "history afterwards")?;
    equal(info.entries, 1, "entries afterwards")
}

pub(super) async fn settings_that_make_no_sense_are_refused(bench: Bench) -> Outcome {
    let can = bench.can();
    let mut senseless = vec![
        BucketConfig {
            history: 0,
            ..bench.config()?
        },
        BucketConfig {
            history: can.max_history + 1,
            ..bench.config()?
        },
    ];
    if !can.replicas {
        senseless.push(BucketConfig {
            replicas: 3,
            ..bench.config()?
        });
    }
    if !can.memory_storage {
        senseless.push(BucketConfig {
            storage: Storage::Memory,
            ..bench.config()?
        });
    }
    for config in senseless {
        match bench.backend.create_bucket(&config).await {
            Err(Error::BucketConfig { .. } | Error::Unsupported { .. }) => {}
            other => return Err(Failure::new(format!("{config:?} gave {other:?}"))),
        }
        no_such_bucket(
            bench.backend.bucket(&config.name).await,
            "opening what was refused",
        )?;
    }
    Ok(())
}

pub(super) async fn settings_come_back(bench: Bench) -> Outcome {
    let can = bench.can();
    let config = BucketConfig {
        description: "what it is for, in words: äöü 日本".to_owned(),
        history: can.max_history,
        ttl: Some(std::time::Duration::from_secs(3600)),
        marker_ttl: can.entry_ttl.then_some(std::time::Duration::from_secs(60)),
        max_bytes: Some(10 << 20),
        max_value_size: Some(4096),
        ..bench.config()?
    };
    let made = bench.backend.create_bucket(&config).await?;
    equal(&made.config, &config, "settings on making it")?;
    let bucket = bench.backend.bucket(&config.name).await?;
    equal(bucket.name(), &config.name, "the handle's name")?;
    equal(bucket.capabilities(), can, "the handle's capabilities")?;
    equal(&bucket.info().await?.config, &config, "settings afterwards")
}

/// A bucket that differs from others in one setting.
fn with(setting: Setting, plain: BucketConfig, origin: &BucketName) -> BucketConfig {
    let minute = std::time::Duration::from_secs(60);
    let origin = || Origin {
        bucket: origin.clone(),
        domain: None,
    };
    match setting {
        Setting::Description => BucketConfig {
            description: "what for".to_owned(),
            ..plain
        },
        Setting::History => BucketConfig {
            history: 3,
            ..plain
        },
        Setting::Ttl => BucketConfig {
            ttl: Some(minute),
            ..plain
        },
        Setting::MarkerTtl => BucketConfig {
            marker_ttl: Some(minute),
            ..plain
        },
        Setting::MaxBytes => BucketConfig {
            max_bytes: Some(1 << 20),
            ..plain
        },
        Setting::MaxValueSize => BucketConfig {
            max_value_size: Some(1 << 10),
            ..plain
        },
        Setting::Storage => BucketConfig {
            storage: Storage::Memory,
            ..plain
        },
        Setting::Replicas => BucketConfig {
            replicas: if plain.replicas == 1 { 3 } else { 1 },
            ..plain
        },
        Setting::Compression => BucketConfig {
            compression: true,
            ..plain
        },
        Setting::Placement => BucketConfig {
            placement: Placement {
                cluster: Some("test".to_owned()),
                tags: Vec::new(),
            },
            ..plain
        },
        Setting::Republish => BucketConfig {
            republish: Some(Republish {
                source: format!("$KV.{}.>", plain.name),
                destination: format!("told.{}.>", plain.name),
                headers_only: true,
            }),
            ..plain
        },
        Setting::Mirror => BucketConfig {
            mirror: Some(origin()),
            ..plain
        },
        Setting::Sources => BucketConfig {
            sources: vec![origin()],
            ..plain
        },
        Setting::Metadata => BucketConfig {
            metadata: [("team".to_owned(), "billing".to_owned())].into(),
            ..plain
        },
    }
}

pub(super) async fn each_setting_is_kept_or_refused(bench: Bench) -> Outcome {
    let origin = bench.config()?;
    bench.make(&origin).await?;
    let offered = bench.can().settings;
    for setting in Setting::ALL {
        let plain = bench.config()?;
        let config = with(setting, plain.clone(), &origin.name);
        that(
            !setting.is_same(&plain, &config),
            format_args!("{setting:?} is not tried"),
        )?;
        let made = bench.backend.create_bucket(&config).await;
        match (offered.of(setting), made) {
            (Availability::Missing(_), Err(Error::Unsupported { what, .. })) => {
                equal(what, setting.name(), "what can't be had")?;
                no_such_bucket(bench.backend.bucket(&config.name).await, "what was refused")?;
            }
            (Availability::Changeable | Availability::Fixed(_), Ok(info)) => {
                equal(&info.config, &config, setting.name())?;
                // Asked for again it is the same bucket, so it was understood as it was meant.
                bench.backend.create_bucket(&config).await?;
            }
            (offered, made) => {
                let found = format!("{setting:?} is {offered:?} and gave {made:?}");
                return Err(Failure::new(found));
            }
        }
    }
    Ok(())
}

pub(super) async fn each_setting_is_changed_or_refused(bench: Bench) -> Outcome {
    let origin = bench.config()?;
    bench.make(&origin).await?;
    let offered = bench.can().settings;
    for setting in Setting::ALL {
        let plain = bench.config()?;
        let store = bench.make(&plain).await?;
        store.put("a", "1").await?;
        let wanted = with(setting, plain.clone(), &origin.name);
        let changed = bench.backend.change_bucket(&wanted).await;
        let after = store.info().await?;
        match (offered.of(setting), changed) {
            (Availability::Missing(_), Err(Error::Unsupported { .. }))
            | (Availability::Fixed(_), Err(Error::BucketConfig { .. })) => {
                equal(&after.config, &plain, "settings after a refusal")?;
            }
            (Availability::Changeable, Ok(_)) => {
                equal(&after.config, &wanted, setting.name())?;
                let back = bench.backend.change_bucket(&plain).await?;
                equal(&back.config, &plain, "settings changed back")?;
            }
            (offered, changed) => {
                let found = format!("{setting:?} is {offered:?} and gave {changed:?}");
                return Err(Failure::new(found));
            }
        }
        that(store.get("a").await?.is_some(), "the data went with it")?;
    }
    Ok(())
}

pub(super) async fn all_are_listed_by_name(bench: Bench) -> Outcome {
    let configs = [bench.config()?, bench.config()?, bench.config()?];
    // The last first, so that the order of making is not the order of names.
    for config in configs.iter().rev() {
        bench.make(config).await?.put("a", "1").await?;
    }
    let listed = bench.backend.buckets().await?;
    that(
        listed.is_sorted_by(|a, b| a.config.name < b.config.name),
        "the list is not in the order of names",
    )?;
    for config in &configs {
        let ours = |info: &&BucketInfo| info.config.name == config.name;
        let info = listed
            .iter()
            .find(ours)
            .ok_or_else(|| Failure::new(format!("{} is not listed", config.name)))?;
        equal(&info.config, config, "settings in the list")?;
        equal(info.entries, 1, "entries in the list")?;
    }
    bench.backend.delete_bucket(&configs[1].name).await?;
    let listed = bench.backend.buckets().await?;
    let left = |name: &BucketName| listed.iter().any(|info| info.config.name == *name);
    that(!left(&configs[1].name), "a deleted bucket is listed")?;
    that(left(&configs[0].name), "another bucket went with it")
}

pub(super) async fn info_counts(bench: Bench) -> Outcome {
    let store = bench.store(3).await?;
    let empty = store.info().await?;
    equal((empty.keys, empty.entries), (0, 0), "counts when empty")?;
    equal(empty.last_revision, Revision::ABSENT, "revision when empty")?;
    for value in ["1", "2", "3", "4"] {
        store.put("a", value).await?;
    }
    store.put("b", "1").await?;
    let last = store.delete("b", None).await?;
    let info = store.info().await?;
    equal(info.keys, 2, "keys, one of them a marker")?;
    equal(info.entries, 5, "entries: three of a, two of b")?;
    equal(info.last_revision, last, "last revision")?;
    that(info.bytes > 0, "five entries take no bytes")?;
    that(
        info.last_write.is_none_or(|at| at >= info.created),
        "written before it was made",
    )?;
    let last = store.purge("b", None).await?;
    let info = store.info().await?;
    equal((info.keys, info.entries), (2, 4), "counts after a purge")?;
    equal(info.last_revision, last, "last revision after a purge")
}

pub(super) async fn change_keeps_the_data(bench: Bench) -> Outcome {
    let config = bench.config()?;
    let store = bench.make(&config).await?;
    let revision = store.put("a", "1").await?;
    let wanted = BucketConfig {
        history: 4,
        description: "changed".to_owned(),
        ..config.clone()
    };
    let changed = bench.backend.change_bucket(&wanted).await?;
    equal(&changed.config, &wanted, "settings on changing it")?;
    equal(&store.info().await?.config, &wanted, "settings afterwards")?;
    let entry = store.get("a").await?;
    equal(
        entry.map(|entry| entry.revision),
        Some(revision),
        "the entry",
    )?;
    store.put("a", "2").await?;
    equal(
        store.history("a").await?.len(),
        2,
        "history under the new settings",
    )?;
    if bench.can().memory_storage {
        let moved = BucketConfig {
            storage: Storage::Memory,
            ..wanted
        };
        match bench.backend.change_bucket(&moved).await {
            Err(Error::BucketConfig { .. }) => {}
            other => return Err(Failure::new(format!("moving it to memory gave {other:?}"))),
        }
    }
    Ok(())
}

pub(super) async fn less_history_trims(bench: Bench) -> Outcome {
    let config = BucketConfig {
        history: 5,
        ..bench.config()?
    };
    let store = bench.make(&config).await?;
    for value in ["1", "2", "3", "4"] {
        store.put("a", value).await?;
    }
    let less = BucketConfig {
        history: 2,
        ..config
    };
    bench.backend.change_bucket(&less).await?;
    let history = store.history("a").await?;
    let values: Vec<_> = history.iter().filter_map(|e| e.value.as_deref()).collect();
    equal(values, [b"3", b"4"], "what is left")
}

pub(super) async fn missing_bucket_is_said_to_be_missing(bench: Bench) -> Outcome {
    let config = bench.config()?;
    no_such_bucket(bench.backend.bucket(&config.name).await, "bucket")?;
    no_such_bucket(bench.backend.change_bucket(&config).await, "change_bucket")?;
    no_such_bucket(
        bench.backend.delete_bucket(&config.name).await,
        "delete_bucket",
    )
}

pub(super) async fn handle_outlives_its_bucket(bench: Bench) -> Outcome {
    let config = BucketConfig {
        history: 2,
        ..bench.config()?
    };
    let store = bench.make(&config).await?;
    let first = store.info().await?;
    store.put("a", "old").await?;
    bench.backend.delete_bucket(&config.name).await?;

    no_such_bucket(store.info().await, "info")?;
    no_such_bucket(store.get("a").await, "get")?;
    no_such_bucket(store.peek("a").await, "peek")?;
    no_such_bucket(store.get_revision("a", Revision(1)).await, "get_revision")?;
    no_such_bucket(store.history("a").await, "history")?;
    match store.put("a", "nowhere").await {
        Err(WriteError::Failed(error)) => no_such_bucket::<()>(Err(error), "put")?,
        other => return Err(Failure::new(format!("put without a bucket gave {other:?}"))),
    }

    let anew = bench.backend.create_bucket(&config).await?;
    that(
        anew.created != first.created,
        "it can't be told from the one before",
    )?;
    equal(store.get("a").await?, None, "the key in the new bucket")?;
    equal(store.history("a").await?, Vec::new(), "its history")?;
    store.update("a", "new", Revision::ABSENT).await?;
    let entries = store.entries(crate::kv::Filter::all()).await?;
    equal(keys(&entries), ["a"], "keys in the new bucket")
}
