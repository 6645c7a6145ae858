//! Breaking locks in one process, on a store in memory, with a clock that stands still.

use std::sync::Arc;

use super::super::locks::Locks;
use super::super::record::Request;
use super::super::settings::Settings;
use super::super::shizuku::{Shizuku, ShizukuMode};
use super::*;
use crate::kv::backend::{Backend as _, BucketConfig};
use crate::kv::faulty::{Faults, Faulty, WriteFault};
use crate::kv::memory::Memory;
use crate::kv::read_only::ReadOnly;
use crate::kv::{BucketName, Store};

/// A bucket, and two processes that use its locks.
struct Place {
    store: Store,
    faults: Faults,
    memory: Arc<Memory>,
    holder: Locks,
    waiter: Locks,
    clock: Clock,
}

async fn place() -> Place {
    let memory = Arc::new(Memory::new());
    let config = BucketConfig::new(BucketName::new("b").unwrap());
    memory.create_bucket(&config).await.unwrap();
    let clock = Clock::tokio();
    let locks = |store: &Store, label: &str| {
        let settings = Settings::default().clock(clock).label(label);
        Locks::new(store, settings)
    };
    let plain = Store::open(&*memory, "b").await.unwrap();
    let (faulty, faults) = Faulty::new(Arc::<Memory>::clone(&memory));
    Place {
        store: Store::open(&faulty, "b").await.unwrap(),
        faults,
        holder: locks(&plain, "holder"),
        waiter: locks(&plain, "waiter"),
        memory,
        clock,
    }
}

impl Place {
    async fn sight(&self, resource: &str, session: &str) -> Sight {
        let sight = Sight::take_by(&self.store, resource, session, self.clock).await;
        sight.unwrap()
    }

    async fn waits(&self, resource: &str, count: usize) {
        let key = key_of(resource).unwrap();
        while read_record(&self.store, &key)
            .await
            .unwrap()
            .0
            .waiters()
            .count()
            != count
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_one_holds_only_when_the_guard_has_run_out() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let other = place.holder.read("other").await.unwrap();
    let waiter = place.waiter.clone();
    let waiting = tokio::spawn(async move { waiter.write("a").await });
    place.waits("a", 1).await;

    let sight = place.sight("a", guard.session()).await;
    assert_eq!(sight.pulse(), Pulse::Alive);
    assert_eq!(sight.quarantine(), Lease::default().silence());
    assert_eq!(sight.next()[0].label, "waiter");
    assert_eq!(sight.elsewhere()[0].resource, "other");

    let breaking = sight.begin(Manner::Quarantined, "operator").await.unwrap();
    let death = Death {
        why: Cause::Broken,
        by: "operator".to_owned(),
    };
    assert_eq!(breaking.death(), Some(&death));
    assert_eq!(breaking.left(), Lease::default().silence());
    assert!(guard.check().is_ok(), "it does not know yet");
    breaking.quarantine().await;
    assert!(guard.check().is_err() && other.check().is_err());
    let broken = breaking.finish().await.unwrap();
    let freed: Vec<&str> = broken.freed.iter().map(|f| f.resource.as_str()).collect();
    assert_eq!(freed, ["a", "other"]);
    let holders: Vec<_> = broken.freed[0].record.holders().collect();
    assert_eq!(holders[0].label, "waiter");
    let next = waiting.await.unwrap().unwrap();
    assert!(next.fence() > guard.fence());
}

#[tokio::test(start_paused = true)]
async fn a_forced_break_is_at_once_and_says_for_how_long_two_may_hold() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let sight = place.sight("a", guard.session()).await;
    let overlap = sight.overlap().unwrap();
    assert_eq!(overlap, Lease::default().length() / 8 * 7);
    let breaking = sight.begin(Manner::Forced, "operator").await.unwrap();
    assert!(breaking.left().is_zero());
    let broken = breaking.finish().await.unwrap();
    assert!(!broken.freed[0].by_others);
    assert!(broken.freed[0].record.claims().is_empty());
    let begun = place.clock.now();
    guard.invalid().await;
    assert!(place.clock.now() <= begun + overlap);
}

/// Somebody asks to write and gives up, over and over again: each time is two writes.
async fn churn(store: &Store, times: usize) {
    let key = key_of("a").unwrap();
    for turn in 0..times {
        let request = Request {
            id: format!("churn.{turn}"),
            session: "s_churn".to_owned(),
            mode: Mode::Write,
            owner: "churn".to_owned(),
            label: "churn".to_owned(),
            asked_ms: 0,
            max_writer_streak: None,
        };
        for comes in [true, false] {
            loop {
                let (record, base) = read_record(store, &key).await.unwrap();
                let step = if comes {
                    record.acquire(request.clone(), base).unwrap()
                } else {
                    record.release(&request.id, base)
                };
                let Step::Write(after) = step else { break };
                let write = store.update(&key, after.to_bytes().unwrap(), base);
                if write.await.is_ok() {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_written_all_the_time_is_broken_as_it_was_shown() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let waiter = place.waiter.clone();
    let waiting = tokio::spawn(async move { waiter.write("a").await });
    place.waits("a", 1).await;
    let sight = place.sight("a", guard.session()).await;
    let store = place.store.clone();
    let churning = tokio::spawn(async move { churn(&store, 5_000).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let breaking = sight.clone().begin(Manner::Quarantined, "op").await;
    let breaking = breaking.unwrap();
    assert!(breaking.sight().revision() > sight.revision());
    let broken = breaking.finish().await.unwrap();
    assert_eq!(
        broken.freed[0].record.holders().next().unwrap().label,
        "waiter"
    );
    waiting.await.unwrap().unwrap().check().unwrap();
    churning.abort();
}

#[tokio::test(start_paused = true)]
async fn what_matters_is_whose_claim_it_is_and_who_comes_next() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let alone = place.sight("a", guard.session()).await;
    let waiter = place.waiter.clone();
    let waiting = tokio::spawn(async move { waiter.write("a").await });
    place.waits("a", 1).await;
    let now = place.sight("a", guard.session()).await;
    assert!(!alone.is_as_shown(now.record()), "somebody is next now");
    // The same process takes the lock again: that is another claim.
    waiting.abort();
    place.waits("a", 0).await;
    guard.release().await.unwrap();
    let again = place.holder.write("a").await.unwrap();
    let now = place.sight("a", again.session()).await;
    assert_eq!(now.session_id(), alone.session_id());
    assert!(!alone.is_as_shown(now.record()), "it has let go since");
    let error = alone.begin(Manner::Quarantined, "op").await.unwrap_err();
    assert!(matches!(error, BreakError::Moved { .. }), "{error}");
    again.check().unwrap();
    // Readers come in together: more of them change nothing.
    let queue = |ids: &[&str]| {
        let request = |id: &&str| Request {
            id: (*id).to_owned(),
            session: format!("s_{id}"),
            mode: Mode::Read,
            owner: String::new(),
            label: String::new(),
            asked_ms: 0,
            max_writer_streak: None,
        };
        ids.iter().fold(now.record().clone(), |record, id| {
            match record.acquire(request(id), Revision(1)).unwrap() {
                Step::Write(after) => after,
                Step::Nothing => record,
            }
        })
    };
    let one = Sight {
        record: queue(&["r1"]),
        ..now.clone()
    };
    assert!(one.is_as_shown(&queue(&["r1", "r2"])));
    assert!(!one.is_as_shown(&queue(&["r2"])), "another one is next");
    assert!(!one.is_as_shown(&queue(&[])));
}

#[tokio::test(start_paused = true)]
async fn what_has_moved_is_left_alone_and_shown() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let sight = place.sight("a", guard.session()).await;
    let waiter = place.waiter.clone();
    let waiting = tokio::spawn(async move { waiter.write("a").await });
    place.waits("a", 1).await;
    let error = sight.clone().begin(Manner::Quarantined, "op").await;
    let BreakError::Moved {
        expected,
        current,
        record,
        ..
    } = error.unwrap_err()
    else {
        panic!("it moved");
    };
    assert!(expected == sight.revision() && current > expected);
    assert_eq!(record.unwrap().waiters().count(), 1);
    assert_eq!(
        place.sight("a", guard.session()).await.pulse(),
        Pulse::Alive
    );
    let error = Sight::take(&place.store, "a", "s_none").await.unwrap_err();
    assert!(matches!(error, BreakError::NoClaim { .. }), "{error}");
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_beat_does_not_save_a_session_unless_it_was_to_be_silent() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let sight = place.sight("a", guard.session()).await;
    tokio::time::sleep(Lease::default().beat() * 3 / 2).await;
    let silent = sight.clone().only_if_silent();
    let error = silent.begin(Manner::Quarantined, "op").await.unwrap_err();
    assert!(matches!(error, BreakError::Beats { .. }), "{error}");
    assert!(guard.check().is_ok());
    let breaking = sight.begin(Manner::Quarantined, "op").await.unwrap();
    breaking.quarantine().await;
    assert!(guard.check().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_write_is_found_out() {
    for fault in [WriteFault::LoseAck, WriteFault::Drop, WriteFault::Late] {
        let place = place().await;
        let guard = place.holder.write("a").await.unwrap();
        let sight = place.sight("a", guard.session()).await;
        place.faults.next_writes([Some(fault)]);
        let breaking = sight.begin(Manner::Forced, "op").await.unwrap();
        assert_eq!(breaking.death().unwrap().by, "op", "{fault:?}");
        place.faults.next_writes([Some(fault)]);
        let broken = breaking.finish().await.unwrap();
        assert!(broken.freed[0].record.claims().is_empty(), "{fault:?}");
        assert!(!broken.freed[0].by_others, "{fault:?}");
        // What comes late changes nothing any more.
        place.faults.deliver_late().await;
        let again = breaking.finish().await.unwrap();
        assert_eq!(again.freed[0].revision, broken.freed[0].revision);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_told_as_not_knowing() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let sight = place.sight("a", guard.session()).await;
    place.faults.next_writes([Some(WriteFault::Fail)]);
    let error = sight.clone().begin(Manner::Forced, "op").await.unwrap_err();
    assert!(matches!(error, BreakError::Store(_)), "{error}");
    place.faults.every_nth_write(1, WriteFault::Drop);
    let error = sight.begin(Manner::Forced, "op").await.unwrap_err();
    assert!(matches!(error, BreakError::Unknown { .. }), "{error}");
    assert!(guard.check().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dead_already_is_only_taken_out() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let id = guard.session().to_owned();
    let found = Found::read(&place.store, &id).await.unwrap();
    let session = found.content.unwrap().unwrap();
    let dead = session.killed(Cause::Silent, "another").unwrap();
    let key = Session::key_of(&id).unwrap();
    let put = place.store.put(&key, dead.to_bytes().unwrap()).await;
    put.unwrap();
    let sight = place.sight("a", &id).await;
    assert!(sight.quarantine().is_zero());
    assert_eq!(sight.overlap(), Some(Duration::ZERO));
    let breaking = sight.begin(Manner::Quarantined, "op").await.unwrap();
    assert_eq!(breaking.death().unwrap().by, "another");
    breaking.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_record_is_waited_out_and_one_that_lives_again_is_left() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let id = guard.session().to_owned();
    let key = Session::key_of(&id).unwrap();
    let before = place.store.get(&key).await.unwrap().unwrap();
    place.store.purge(&key, None).await.unwrap();
    let sight = place.sight("a", &id).await;
    assert_eq!(sight.pulse(), Pulse::Missing);
    // Nobody knows what its lease was.
    assert_eq!(sight.overlap(), Some(Lease::LONGEST / 8 * 7));
    let breaking = sight.begin(Manner::Quarantined, "op").await.unwrap();
    assert_eq!(breaking.left(), Lease::LONGEST / 8 * 9);
    breaking.quarantine().await;
    // As a store that was rolled back has it.
    let value = before.live_value().unwrap().clone();
    place.store.put(&key, value).await.unwrap();
    let error = breaking.finish().await.unwrap_err();
    assert!(matches!(error, BreakError::Alive { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_can_not_be_read_is_broken_by_force_alone() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let key = Session::key_of(guard.session()).unwrap();
    place.store.put(&key, r#"{"v":9}"#).await.unwrap();
    let sight = place.sight("a", guard.session()).await;
    assert_eq!(sight.overlap(), None, "it goes on beating");
    let error = sight.clone().begin(Manner::Quarantined, "op").await;
    let error = error.unwrap_err();
    assert!(matches!(error, BreakError::Unreadable { .. }), "{error}");
    let breaking = sight.begin(Manner::Forced, "op").await.unwrap();
    let broken = breaking.finish().await.unwrap();
    assert!(broken.freed[0].record.claims().is_empty());
    let kept = place.store.get(&key).await.unwrap().unwrap();
    assert_eq!(kept.live_value().unwrap(), r#"{"v":9}"#);
}

#[tokio::test(start_paused = true)]
async fn read_only_refuses_before_anything_is_tried() {
    let place = place().await;
    let guard = place.holder.write("a").await.unwrap();
    let read_only = ReadOnly::new(Arc::<Memory>::clone(&place.memory));
    let store = Store::open(&read_only, "b").await.unwrap();
    let sight = Sight::take(&store, "a", guard.session()).await.unwrap();
    let refused = sight.begin(Manner::Forced, "op").await.unwrap_err();
    let is_refused =
        |error: &BreakError| matches!(error, BreakError::Store(Error::ReadOnly { .. }));
    assert!(is_refused(&refused), "{refused}");
    let key = Key::new("k").unwrap();
    let refused = reset_shizuku(&store, &key, Revision(1)).await.unwrap_err();
    assert!(is_refused(&refused), "{refused}");
    assert!(guard.check().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_record_of_others_is_reset_on_the_revision_that_was_seen() {
    let place = place().await;
    let key = Key::new("legacy").unwrap();
    let stale = Shizuku {
        mode: ShizukuMode::Idle,
        writer_waits: true,
        readers: 0,
        acquired_at: Some(1_000),
    };
    for fault in [None, Some(WriteFault::LoseAck), Some(WriteFault::Drop)] {
        let seen = place.store.put(&key, stale.to_bytes()).await.unwrap();
        let late = reset_shizuku(&place.store, &key, Revision(seen.0 - 1)).await;
        if seen.0 > 1 {
            let late = late.unwrap_err();
            assert!(matches!(late, BreakError::Moved { .. }), "{late}");
        }
        place.faults.next_writes([fault]);
        let reset = reset_shizuku(&place.store, &key, seen).await.unwrap();
        assert_eq!(reset.before, stale);
        let entry = place.store.get(&key).await.unwrap().unwrap();
        assert_eq!(entry.live_value().unwrap().as_ref(), [0; 17]);
        assert_eq!(entry.revision, reset.revision);
    }
    let seen = place.store.put(&key, "no lock").await.unwrap();
    let error = reset_shizuku(&place.store, &key, seen).await.unwrap_err();
    assert!(matches!(error, BreakError::NotShizuku { .. }), "{error}");
}
