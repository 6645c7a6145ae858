//! Work whose lock can't be let go in order: what came of it is in the error.

use std::sync::Arc;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::{Faulty, WriteFault};
use kvscope::kv::lock::session::Session;
use kvscope::kv::lock::{LockError, LockedResourceWriteProcessor, Loss, WithLockProcessError};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Store};

use crate::support::soon;

async fn make_bucket(backend: &dyn Backend) -> Store {
    let config = BucketConfig::new(BucketName::new("locks").unwrap());
    backend.create_bucket(&config).await.unwrap();
    Store::open(backend, "locks").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_session_is_lost_while_the_work_is_done() {
    let store = make_bucket(&Memory::new()).await;
    let inner = store.clone();
    let work = Arc::new(move |number: u32| {
        let store = inner.clone();
        async move {
            let other = store.locks().read("other").await.unwrap();
            let key = Session::key_of(other.session()).unwrap();
            store.delete(&key, None).await.unwrap();
            // At the next beat it is known.
            other.lost().await;
            number + 1
        }
    });
    let processor = LockedResourceWriteProcessor::new(work, &store, "r");
    let ended = soon("the work", processor.process(6)).await;
    match ended {
        Err(WithLockProcessError::Release { output, error }) => {
            assert_eq!(output, 7);
            assert!(
                matches!(error, LockError::Lost(Loss::Vanished)),
                "{error:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_refuses_the_release() {
    let (backend, faults) = Faulty::new(Arc::new(Memory::new()));
    let store = make_bucket(&backend).await;
    let refuses = faults.clone();
    let work = Arc::new(move |number: u32| {
        refuses.every_nth_write(1, WriteFault::Fail);
        async move { number + 1 }
    });
    let processor = LockedResourceWriteProcessor::new(work, &store, "r");
    let ended = soon("the work", processor.process(6)).await;
    match ended {
        Err(WithLockProcessError::Release { output, error }) => {
            assert_eq!(output, 7);
            assert!(
                error.to_string().contains("a fault was asked for"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(faults.writes() > 1);
}
