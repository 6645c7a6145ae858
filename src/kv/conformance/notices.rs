//! What processes tell each other beside the store, where the place has a way for it.

use bytes::Bytes;

use super::{Bench, Failure, Outcome, equal};
use crate::kv::Notices;

async fn next(notices: &mut Notices) -> Result<Bytes, Failure> {
    let next = notices.next().await;
    next.ok_or_else(|| Failure::new("the notices ended"))
}

pub(super) async fn who_listens_hears_what_is_told_under_its_name(bench: Bench) -> Outcome {
    let (store, other) = (bench.store(1).await?, bench.store(1).await?);
    let bucket = store.backend();
    let Some(mut one) = bucket.listen("one").await? else {
        // Nothing happens there, and nothing fails.
        bucket.notify("one", Bytes::from_static(b"lost")).await;
        return Ok(());
    };
    let Some(mut two) = bucket.listen("two").await? else {
        return Err(Failure::new("one can be listened to, two can't"));
    };
    other
        .backend()
        .notify("one", Bytes::from_static(b"of another bucket"))
        .await;
    bucket
        .notify("nobody", Bytes::from_static(b"not heard"))
        .await;
    bucket.notify("one", Bytes::from_static(b"first")).await;
    bucket.notify("one", Bytes::from_static(b"")).await;
    bucket.notify("two", Bytes::from(vec![7; 200 << 10])).await;
    equal(
        &*next(&mut one).await?,
        b"first".as_slice(),
        "what one hears",
    )?;
    equal(
        &*next(&mut one).await?,
        b"".as_slice(),
        "what one hears then",
    )?;
    equal(
        &*next(&mut two).await?,
        vec![7; 200 << 10].as_slice(),
        "what two hears",
    )?;
    equal(
        bucket.info().await?.entries,
        0,
        "entries that are left of it",
    )
}
