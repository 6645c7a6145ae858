//! Watches on a file.

use super::*;

#[tokio::test]
async fn a_watch_outlives_its_bucket() {
    let place = Place::new();
    let backend = place.open().await;
    let store_b = store(&backend, "b").await;
    let before = store_b.info().await.unwrap().created;
    store_b.put("a", "1").await.unwrap();
    store_b.put("b", "1").await.unwrap();
    let watch = store_b
        .watch(WatchOptions::new(Filter::all()))
        .await
        .unwrap();
    next_entry(&watch).await;
    next_entry(&watch).await;
    assert_eq!(next(&watch).await, WatchEvent::Ready);

    backend.delete_bucket(&name("b")).await.unwrap();
    assert_eq!(
        next(&watch).await,
        WatchEvent::Interrupted {
            cause: Interruption::BucketGone
        }
    );
    assert!(matches!(
        store_b.get("a").await,
        Err(Error::NoSuchBucket { .. })
    ));
    store(&backend, "b").await;
    assert_eq!(next(&watch).await, WatchEvent::Resumed { gap: true });
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    assert_eq!(store_b.put("c", "1").await.unwrap(), Revision(1));
    assert_eq!(next_entry(&watch).await.0, "c");
    assert!(store_b.info().await.unwrap().created > before);
}

#[tokio::test]
async fn a_filter_a_beginning_and_a_size_without_its_value() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 5;
    let store = configured(&backend, config).await;
    for (key, value) in [("a.x", "1"), ("b.x", "22"), ("a.x", "333"), ("a.y", "4444")] {
        store.put(key, value).await.unwrap();
    }
    store.delete("a.y", None).await.unwrap();
    let told = async |options: WatchOptions| {
        let watch = store.watch(options).await.unwrap();
        let mut told = Vec::new();
        loop {
            match next(&watch).await {
                WatchEvent::Entry(entry) => told.push((entry.revision.0, entry.size)),
                WatchEvent::Ready => return told,
                other => panic!("{other:?}"),
            }
        }
    };
    let all = WatchOptions::new(Filter::all());
    assert_eq!(told(all.clone()).await, [(2, 2), (3, 3), (5, 0)]);
    assert_eq!(
        told(all.clone().from(WatchFrom::History)).await,
        [(1, 1), (2, 2), (3, 3), (4, 4), (5, 0)]
    );
    assert_eq!(
        told(all.clone().from(WatchFrom::Revision(Revision(4)))).await,
        [(4, 4), (5, 0)]
    );
    assert_eq!(told(all.from(WatchFrom::Now)).await, []);
    let some = WatchOptions::new(Filter::new("a.*").unwrap()).without_values();
    assert_eq!(told(some).await, [(3, 3), (5, 0)]);
    let one = WatchOptions::new(Filter::new("a.x").unwrap()).without_values();
    assert_eq!(told(one).await, [(3, 3)]);
}
