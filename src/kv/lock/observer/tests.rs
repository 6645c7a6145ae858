//! What an observer makes of what it is told: scenarios as plain data, and what holds in all of them.

mod live;
mod scenarios;
mod scene;

use std::time::Duration;

use proptest::prelude::*;

use self::scenarios::SCENARIOS;
use self::scene::{Scene, held, waits};
use super::Freshness;
use crate::kv::Interruption;
use crate::kv::lock::diagnosis::Verdict;
use crate::kv::lock::record::Mode::{Read, Write};
use crate::kv::lock::session::Cause;
use crate::kv::lock::shizuku::{Shizuku, ShizukuMode};
use crate::kv::lock::timeline::Basis;

#[test]
fn each_scenario_has_its_verdict_and_its_reason() {
    let mut wrong = Vec::new();
    for (name, script, verdict, words) in SCENARIOS {
        let mut scene = Scene::new();
        script(&mut scene);
        let lock = scene.lock_named("a");
        let has_words = words.iter().all(|words| lock.reason.contains(words));
        if lock.verdict != *verdict || !has_words {
            wrong.push(format!("{name}: {}: {}", lock.verdict, lock.reason));
        }
    }
    println!(
        "{} of {} verdicts right",
        SCENARIOS.len() - wrong.len(),
        SCENARIOS.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_verdict_has_a_scenario() {
    let all = [
        Verdict::Malformed,
        Verdict::Deadlock,
        Verdict::DeadHolder,
        Verdict::Quarantined,
        Verdict::SuspectHolder,
        Verdict::GhostWaiter,
        Verdict::Expired,
        Verdict::LongHeld,
        Verdict::Contended,
        Verdict::Healthy,
        Verdict::Idle,
    ];
    for verdict in all {
        let mut verdicts = SCENARIOS.iter().map(|(_, _, verdict, _)| *verdict);
        assert!(verdicts.any(|known| known == verdict), "{verdict}");
        assert_eq!(verdict.is_fault(), verdict <= Verdict::LongHeld);
    }
}

#[test]
fn times_are_those_of_the_writes_and_say_where_they_are_not() {
    let mut scene = Scene::new();
    scene.sessions(&["s1", "s2"]);
    scene.pass_untold(100);
    // The first that is kept: who holds has for at least as long, who waits says since when.
    scene.lock("a", &[held("s1", Write), waits("s2", Write).asked(70)]);
    scene.ready();
    scene.pass(10);
    let lock = scene.lock_named("a");
    let (holder, waiter) = (&lock.holders[0], &lock.waiters[0]);
    assert_eq!(holder.since.basis, Basis::Kept);
    assert_eq!(holder.lasted, Duration::from_secs(10));
    assert_eq!(waiter.since.basis, Basis::Asker);
    assert_eq!(waiter.lasted, Duration::from_secs(40));
    assert_eq!((waiter.position, holder.position), (Some(1), None));
    // A clock that is ahead: never negative.
    scene.lock("b", &[held("s1", Write), waits("s2", Write).asked(9_000)]);
    assert_eq!(scene.lock_named("b").waiters[0].lasted, Duration::ZERO);
    // What is seen to change is known.
    scene.lock("a", &[held("s2", Write).id("s2-wait")]);
    scene.pass(5);
    let lock = scene.lock_named("a");
    assert_eq!(lock.holders[0].since.basis, Basis::Write);
    assert_eq!(lock.holders[0].lasted, Duration::from_secs(5));
}

#[test]
fn a_grant_by_the_very_revision_is_known_without_what_came_before() {
    let mut scene = Scene::new();
    scene.sessions(&["s1", "s2"]);
    let queue = [held("s1", Write).fence_of_this_write(), waits("s2", Read)];
    scene.lock("a", &queue);
    scene.ready();
    let lock = scene.lock_named("a");
    assert_eq!(lock.holders[0].since.basis, Basis::Write);
}

#[test]
fn while_a_watch_is_interrupted_everything_stays_as_it_was() {
    let mut scene = Scene::new();
    scene.session("s1").lock("a", &[held("s1", Write)]);
    assert_eq!(scene.lock_named("a").freshness, Freshness::Loading);
    scene.ready();
    scene.pass(10);
    scene.interrupt(&Interruption::Disconnected);
    scene.pass(100);
    let lock = scene.lock_named("a");
    assert_eq!(lock.verdict, Verdict::Healthy);
    assert_eq!(lock.holders[0].lasted, Duration::from_secs(10));
    assert!(
        matches!(&lock.freshness, Freshness::Stale { since, .. } if *since == Duration::from_secs(10))
    );
    scene.resume(false);
    let lock = scene.lock_named("a");
    assert_eq!(
        (&lock.freshness, lock.verdict),
        (&Freshness::Live, Verdict::Healthy)
    );
    scene.pass(14);
    assert_eq!(scene.lock_named("a").verdict, Verdict::SuspectHolder);
}

#[test]
fn after_a_gap_what_does_not_come_again_is_gone() {
    let mut scene = Scene::new();
    scene.session("s1").lock("a", &[held("s1", Write)]);
    scene.lock("b", &[]);
    scene.ready();
    scene.interrupt(&Interruption::BucketReplaced);
    scene.resume(true);
    scene.session("s1");
    assert_eq!(
        scene.report().locks.len(),
        2,
        "shown until the whole has come"
    );
    assert!(!scene.picture.is_loaded());
    scene.lock("b", &[]);
    scene.ready();
    assert_eq!(scene.report().locks.len(), 1);
    scene.remove("b");
    assert_eq!(scene.report().locks.len(), 0);
}

#[test]
fn faults_come_first_and_are_counted() {
    let mut scene = Scene::new();
    scene.sessions(&["s1", "s2"]);
    scene.lock("a", &[]);
    scene.lock("b", &[held("s1", Write), waits("s2", Write)]);
    scene.text("c", "?");
    scene.ready();
    scene.pass_beating(61, &["s1", "s2"]);
    let report = scene.report();
    let order: Vec<&str> = report.locks.iter().map(|lock| &*lock.resource).collect();
    assert_eq!(order, ["c", "b", "a"]);
    assert_eq!(
        report.summary.to_string(),
        "3 locks, 2 at fault (1 malformed, 1 long-held), 1 waiting"
    );
    assert_eq!(report.summary.longest_wait(), Duration::from_secs(61));
}

#[test]
fn a_circle_across_buckets_must_have_stood_for_a_while() {
    let mut scene = Scene::new();
    scene.sessions(&["s1", "s2"]);
    scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
    scene.ready();
    scene.in_bucket("other");
    scene.sessions(&["s1", "s2"]);
    scene.lock("b", &[held("s2", Write), waits("s1", Write)]);
    scene.ready();
    assert_eq!(scene.lock_named("b").verdict, Verdict::Contended);
    scene.pass(1);
    let lock = scene.lock_named("b");
    assert_eq!(lock.verdict, Verdict::Deadlock);
    assert!(
        lock.reason.contains("waits for a (in test), held by"),
        "{}",
        lock.reason
    );
}

#[test]
fn values_of_the_length_of_a_foreign_lock_are_mostly_just_values() {
    let mut scene = Scene::new();
    scene.foreign("text", b"nine byte");
    scene.foreign("longer", b"seventeen bytes..");
    let idle = Shizuku {
        mode: ShizukuMode::Idle,
        writer_waits: false,
        readers: 0,
        acquired_at: None,
    };
    scene.foreign("lock", &idle.to_bytes());
    scene.ready();
    let report = scene.report();
    let names: Vec<&str> = report.locks.iter().map(|lock| &*lock.resource).collect();
    assert_eq!(names, ["lock"]);
    assert_eq!(report.locks[0].format(), "shizuku");
}

#[test]
fn a_large_place_is_judged_in_one_go() {
    let mut scene = Scene::new();
    let all = ["s1", "s2", "s3", "s4", "s5", "s6"];
    scene.sessions(&all);
    for number in 0..2_000 {
        let mut queue = vec![held("s1", Write)];
        queue.extend(all[1..].iter().map(|session| waits(session, Write)));
        scene.lock(&format!("lock-{number}"), &queue);
    }
    scene.ready();
    let begun = std::time::Instant::now();
    let report = scene.report();
    println!("2,000 locks with 10,000 waiters in {:?}", begun.elapsed());
    assert_eq!(
        (report.summary.locks, report.summary.waiting),
        (2_000, 10_000)
    );
    assert_eq!(report.summary.faults, 0);
}

#[test]
fn in_a_large_place_circles_are_looked_for_beside_the_rest() {
    let mut scene = Scene::new();
    scene.sessions(&["s1", "s2", "s3"]);
    for number in 0..1_200 {
        let waiter = waits("s2", Write).owner("waits");
        scene.lock(
            &format!("lock-{number}"),
            &[held("s1", Write).owner("holds"), waiter],
        );
    }
    scene.ready();
    assert_eq!(scene.refresh().summary.faults, 0);
    let search = scene
        .picture
        .search()
        .expect("there is somebody to look for");
    scene.picture.searched(search.run());
    scene.lock("a", &[held("s2", Write), waits("s3", Write)]);
    scene.lock("b", &[held("s3", Write), waits("s2", Write)]);
    assert_eq!(scene.refresh().summary.faults, 0, "not looked for yet");
    let search = scene.picture.search().expect("others wait");
    scene.picture.searched(search.run());
    let report = scene.refresh();
    assert_eq!(report.summary.verdicts.get(&Verdict::Deadlock), Some(&2));
    assert!(scene.picture.search().is_none(), "nobody else waits");
    // What is not looked at says it too.
    assert_eq!(report.whole().locks, scene.report().locks);
    scene.lock("b", &[held("s3", Write)]);
    scene.refresh();
    let search = scene.picture.search().expect("one waits no more");
    scene.picture.searched(search.run());
    assert_eq!(scene.refresh().summary.faults, 0);
}

/// What can happen to a picture, in any order.
#[derive(Debug, Clone)]
enum Happens {
    Lock(u8, u8),
    Beat(u8),
    Kill(u8),
    Forget(u8),
    Pass(u16),
    Gone(u8),
    Foreign(u8, u8),
    Interrupt,
    Resume(bool),
    Ready,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (0..3_u8, 0..6_u8).prop_map(|(lock, queue)| Happens::Lock(lock, queue)),
        (0..4_u8).prop_map(Happens::Beat),
        (0..4_u8).prop_map(Happens::Kill),
        (0..4_u8).prop_map(Happens::Forget),
        (0..40_u16).prop_map(Happens::Pass),
        (0..4_u8).prop_map(Happens::Gone),
        (0..6_u8, 0..2_u8).prop_map(|(flags, readers)| Happens::Foreign(flags, readers)),
        Just(Happens::Interrupt),
        any::<bool>().prop_map(Happens::Resume),
        Just(Happens::Ready),
    ]
}

proptest! {
    /// Whatever happens: an answer, no age below zero or from before the beginning, and nobody
    /// dead who was not killed, gone, or missing for long.
    #[test]
    fn nobody_is_declared_dead_lightly(
        script in prop::collection::vec((happens(), any::<bool>()), 0..60),
    ) {
        let mut scene = Scene::new();
        let name = |number: u8| ["s0", "s1", "s2", "s3"][usize::from(number)];
        let mut killed = Vec::new();
        let mut forgotten = Vec::new();
        for (happens, looks) in script {
            match happens {
                Happens::Lock(lock, queue) => {
                    let lock = ["a", "b", "c"][usize::from(lock)];
                    let queue = match queue {
                        0 => vec![],
                        1 => vec![held("s0", Write)],
                        2 => vec![held("s1", Read), held("s2", Read)],
                        3 => vec![held("s1", Write), waits("s0", Write), waits("s3", Read)],
                        4 => vec![held("s0", Write), waits("s1", Write)],
                        _ => vec![held("s2", Read), waits("s3", Write), waits("s1", Read)],
                    };
                    scene.lock(lock, &queue);
                }
                Happens::Beat(session) if !killed.contains(&session) => {
                    forgotten.retain(|known| *known != session);
                    scene.beat(name(session));
                }
                Happens::Beat(_) => {}
                Happens::Kill(session) => {
                    killed.push(session);
                    scene.kill(name(session), Cause::Silent);
                }
                Happens::Forget(session) => {
                    killed.retain(|known| *known != session);
                    forgotten.push(session);
                    scene.forget(name(session));
                }
                Happens::Pass(seconds) => scene.pass(u64::from(seconds)),
                Happens::Gone(session) => {
                    forgotten.push(session);
                    scene.gone(name(session));
                }
                Happens::Foreign(flags, readers) => {
                    let lock = Shizuku {
                        mode: [ShizukuMode::Idle, ShizukuMode::Read, ShizukuMode::Write]
                            [usize::from(flags) / 2],
                        writer_waits: flags % 2 == 0,
                        readers: u64::from(readers),
                        acquired_at: Some(scene.boot.as_secs()),
                    };
                    scene.foreign("theirs", &lock.to_bytes());
                }
                Happens::Interrupt => scene.interrupt(&Interruption::Stalled),
                Happens::Resume(gap) => {
                    scene.resume(gap);
                    if gap {
                        // Everything comes again, and who does not is not there.
                        killed.clear();
                        forgotten = vec![0, 1, 2, 3];
                    }
                }
                Happens::Ready => scene.ready(),
            }
            let report = scene.report();
            if looks {
                // Judging only what is new gives the same as judging everything.
                let news = scene.refresh();
                prop_assert_eq!(&news.summary, &report.summary);
                prop_assert_eq!(news.whole().locks, report.locks.clone());
            }
            for lock in report.locks {
                prop_assert!(!lock.reason.is_empty());
                for party in lock.holders.iter().chain(&lock.waiters) {
                    prop_assert!(party.lasted <= scene.boot + Duration::from_secs(1));
                    let number = (0..4).find(|number| name(*number) == party.session).unwrap();
                    let may_be_dead = killed.contains(&number)
                        || forgotten.contains(&number)
                        || !scene.was_told(&party.session);
                    prop_assert!(!party.standing.is_dead() || may_be_dead, "{party:?}");
                }
            }
        }
    }
}
