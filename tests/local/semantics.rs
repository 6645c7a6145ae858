//! What only time or a file shows: expiry, limits, settings, foreign keys.

use super::*;

#[tokio::test]
async fn an_expired_entry_is_gone_and_leaves_a_marker() {
    // Long enough that the watch has told of it before, and that the marker is there to be read.
    let (ttl, marker_ttl) = (Duration::from_secs(3), Duration::from_secs(60));
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 3;
    config.marker_ttl = Some(marker_ttl);
    let store = configured(&backend, config).await;
    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    store.put("a", "old").await.unwrap();
    let write = Write::put(key("a"), "new").with_ttl(ttl);
    store.write(write).await.unwrap();
    next_entry(&watch).await;
    let WatchEvent::Entry(new) = next(&watch).await else {
        panic!("the second put");
    };
    assert_eq!(new.ttl, Some(ttl));
    assert_eq!(new.expires, Some(new.created + ttl));
    // No older value comes back to light, and the marker's revision is one of its own.
    assert_eq!(
        next_entry(&watch).await,
        ("a".to_owned(), 3, Operation::Expire)
    );
    let marker = store.get("a").await.unwrap().unwrap();
    assert_eq!(
        (marker.operation, marker.revision.0),
        (Operation::Expire, 3)
    );
    assert_eq!(store.history("a").await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_marker_of_an_expired_entry_goes_too() {
    let second = Duration::from_secs(1);
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 3;
    config.marker_ttl = Some(second);
    let store = configured(&backend, config).await;
    store.put("a", "old").await.unwrap();
    let write = Write::put(key("a"), "new").with_ttl(second);
    store.write(write).await.unwrap();
    let gone = async {
        while store.info().await.unwrap().entries > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, gone).await.expect("the marker goes too");
    let info = store.info().await.unwrap();
    assert_eq!((info.keys, info.bytes, info.last_revision.0), (0, 0, 3));
    assert_eq!(store.update("a", "x", Revision(0)).await.unwrap().0, 4);
}

#[tokio::test]
async fn an_entry_is_gone_the_moment_it_expires() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.ttl = Some(Duration::from_millis(150));
    let store = configured(&backend, config).await;
    // On a busy machine it may expire before it is looked at: then it is put again.
    let put = async {
        loop {
            store.put("a", "1").await.unwrap();
            if let Some(entry) = store.get("a").await.unwrap() {
                return entry;
            }
        }
    };
    let entry = timeout(SOON, put).await.expect("it is there for a while");
    let expires = entry.expires.unwrap();
    loop {
        let before = time::OffsetDateTime::now_utc();
        let found = store.get("a").await.unwrap();
        if before >= expires {
            assert_eq!(found, None);
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.history("a").await.unwrap(), []);
    let next = store.update("a", "2", Revision::ABSENT).await.unwrap();
    assert_eq!(next.0, entry.revision.0 + 1);
}

#[tokio::test]
async fn settings_that_a_file_can_not_have() {
    let place = Place::new();
    let backend = place.open().await;
    let missing: [fn(&mut BucketConfig); 3] = [
        |config| config.replicas = 3,
        |config| config.storage = kvscope::kv::backend::Storage::Memory,
        |config| config.compression = true,
    ];
    for change in missing {
        let mut config = BucketConfig::new(name("b"));
        change(&mut config);
        let error = backend.create_bucket(&config).await.unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
    let changes: [fn(&mut BucketConfig); 3] = [
        |config| config.history = 65,
        |config| config.history = 0,
        |config| config.marker_ttl = Some(Duration::from_millis(1500)),
    ];
    for change in changes {
        let mut config = BucketConfig::new(name("b"));
        change(&mut config);
        let error = backend.create_bucket(&config).await.unwrap_err();
        assert!(matches!(error, Error::BucketConfig { .. }), "{error}");
    }
    assert_eq!(backend.buckets().await.unwrap(), []);
}

#[tokio::test]
async fn limits_hold_and_a_refused_write_changes_nothing() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.max_bytes = Some(100);
    config.max_value_size = Some(60);
    let store = configured(&backend, config.clone()).await;
    store.put("a", vec![0; 60]).await.unwrap();
    assert!(matches!(
        store.put("a", vec![0; 61]).await,
        Err(WriteError::Failed(Error::TooLarge {
            size: 61,
            limit: 60
        }))
    ));
    assert!(matches!(
        store.put("b", vec![0; 60]).await,
        Err(WriteError::Failed(Error::NoSpace { .. }))
    ));
    // In the place of its older entry it has room.
    assert_eq!(store.put("a", vec![1; 60]).await.unwrap().0, 2);
    let info = store.info().await.unwrap();
    assert_eq!((info.keys, info.entries, info.bytes), (1, 1, 61));
    let own_ttl = Write::put(key("a"), "x").with_ttl(Duration::from_secs(5));
    assert!(matches!(
        store.write(own_ttl).await,
        Err(WriteError::Failed(Error::Unsupported { .. }))
    ));
    config.max_bytes = None;
    config.max_value_size = None;
    backend.change_bucket(&config).await.unwrap();
    let large = vec![7; 1 << 20];
    store.put("large", large.clone()).await.unwrap();
    let read = store.get("large").await.unwrap().unwrap();
    assert_eq!(read.value.unwrap(), large);
}

#[tokio::test]
async fn a_shorter_history_and_another_ttl_fit_what_is_there() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 10;
    let store = configured(&backend, config.clone()).await;
    for n in 0..6 {
        store.put("a", n.to_string()).await.unwrap();
        store.put("b", n.to_string()).await.unwrap();
    }
    config.history = 2;
    config.ttl = Some(Duration::from_secs(1000));
    let info = backend.change_bucket(&config).await.unwrap();
    assert_eq!((info.keys, info.entries, info.bytes), (2, 4, 8));
    let history = store.history("a").await.unwrap();
    assert_eq!(history.len(), 2);
    for entry in history {
        assert_eq!(
            entry.expires,
            Some(entry.created + Duration::from_secs(1000))
        );
    }
    config.ttl = None;
    backend.change_bucket(&config).await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().expires, None);
}

#[tokio::test]
async fn foreign_keys_are_seen_and_removed_but_not_written() {
    let place = Place::new();
    let backend = place.open().await;
    let store = store(&backend, "b").await;
    let odd = "a\u{1b}[31m\0 ü";
    backend.plant(&name("b"), odd, "v").await.unwrap();
    let entry = store.get(odd).await.unwrap().unwrap();
    assert!(entry.key.is_foreign());
    assert_eq!(entry.key.as_str(), odd);
    let put = Write::put(Key::from_stored(odd), "w");
    assert!(matches!(
        store.write(put).await,
        Err(WriteError::Failed(Error::InvalidKey(_)))
    ));
    store.purge(odd, Some(entry.revision)).await.unwrap();
    let entries = store.history(odd).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].operation, Operation::Purge);
}
