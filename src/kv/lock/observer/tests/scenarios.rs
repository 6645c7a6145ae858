//! Scenarios as plain data: what the store tells and when, and what a person must read then.

use super::scene::{Scene, held, waits};
use crate::kv::Interruption;
use crate::kv::lock::diagnosis::Verdict;
use crate::kv::lock::record::Mode::{Read, Write};
use crate::kv::lock::session::Cause;
use crate::kv::lock::shizuku::ShizukuMode;

/// What happens.
pub(super) type Script = fn(&mut Scene);

/// The script, the verdict on the lock `a` when it has run, and words of the reason.
pub(super) const SCENARIOS: &[(&str, Script, Verdict, &[&str])] = &[
    (
        "nobody holds",
        |scene| {
            scene.lock("a", &[]);
            scene.ready();
        },
        Verdict::Idle,
        &["Nobody holds it and nobody waits; last let go at 00:00:00Z"],
    ),
    (
        "one holds and beats",
        |scene| {
            scene.session("s1").lock("a", &[held("s1", Write)]);
            scene.ready();
            scene.pass_beating(300, &["s1"]);
        },
        Verdict::Healthy,
        &[
            "Writer job@host-s1 (pid 1) holds since 00:00:00Z, its session beat",
            "alive",
        ],
    ),
    (
        "between two beats",
        |scene| {
            scene.session("s1").lock("a", &[held("s1", Write)]);
            scene.ready();
            scene.pass(13);
        },
        Verdict::Healthy,
        &[],
    ),
    (
        "a lock is told before the session that holds it",
        |scene| {
            scene.lock("a", &[held("s1", Write), waits("s2", Read)]);
            scene.ready();
            scene.pass(5);
        },
        Verdict::Contended,
        &["its session is not known yet"],
    ),
    (
        "a short queue",
        |scene| {
            scene.sessions(&["s1", "s2", "s3"]);
            scene.lock(
                "a",
                &[held("s1", Write), waits("s2", Write), waits("s3", Write)],
            );
            scene.ready();
            scene.pass_beating(31, &["s1", "s2", "s3"]);
        },
        Verdict::Contended,
        &["2 in line, the longest for 31 s"],
    ),
    (
        "a writer starves behind a slow reader, and readers behind the writer",
        |scene| {
            scene.sessions(&["s1", "s2", "s3", "s4"]);
            scene.lock("a", &[held("s1", Read)]);
            scene.ready();
            scene.pass_beating(60, &["s1", "s2", "s3", "s4"]);
            let queue = [
                held("s1", Read),
                waits("s2", Write),
                waits("s3", Read),
                waits("s4", Read),
            ];
            scene.lock("a", &queue);
            scene.pass_beating(252, &["s1", "s2", "s3", "s4"]);
        },
        Verdict::LongHeld,
        &[
            "Writer job@host-s2 has waited 4 m 12 s: reader job@host-s1 (pid 1) holds since 00:00:00Z, its session beat",
            "alive, slow. 2 readers wait because a writer is queued.",
        ],
    ),
    (
        "a long queue that moves",
        |scene| {
            let all = ["s1", "s2", "s3"];
            scene.sessions(&all);
            scene.lock("a", &[held("s1", Write), waits("s3", Write)]);
            scene.ready();
            for _ in 0..40 {
                scene.pass_beating(2, &all);
                scene.lock("a", &[held("s2", Write).id("x"), waits("s3", Write)]);
                scene.pass_beating(2, &all);
                scene.lock("a", &[held("s1", Write), waits("s3", Write)]);
            }
        },
        Verdict::LongHeld,
        &["holders take turns, about 2 s each"],
    ),
    (
        "a holder falls silent",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.pass_beating(14, &["s2"]);
        },
        Verdict::SuspectHolder,
        &[
            "has not beaten for 14 s: paused, cut off or dead; unless it beats, writer job@host-s2 takes over",
        ],
    ),
    (
        "a holder was silent long before anybody looked",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.pass_untold(40);
            scene.beat("s2");
            scene.ready();
        },
        Verdict::SuspectHolder,
        &["has not beaten for 40 s, by the store's clock"],
    ),
    (
        "a silent one beats again",
        |scene| {
            scene.session("s1").lock("a", &[held("s1", Write)]);
            scene.ready();
            scene.pass(40);
            scene.beat("s1");
        },
        Verdict::Healthy,
        &[],
    ),
    (
        "a killed holder that nobody took out",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.kill("s1", Cause::Silent);
            scene.pass_beating(5, &["s2"]);
        },
        Verdict::DeadHolder,
        &[
            "was killed by killer 5 s ago: writer job@host-s2, the first in line, should have taken it out",
        ],
    ),
    (
        "a holder that was killed a moment ago",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.kill("s1", Cause::Silent);
            scene.pass(1);
        },
        Verdict::SuspectHolder,
        &["is about to be taken out"],
    ),
    (
        "a holder whose process is gone",
        |scene| {
            scene.session("s1").lock("a", &[held("s1", Write)]);
            scene.ready();
            scene.gone("s1");
        },
        Verdict::DeadHolder,
        &["its process is not on this machine any more: nobody waits who would take it out"],
    ),
    (
        "a holder without a session",
        |scene| {
            scene.lock("a", &[held("s1", Write)]);
            scene.ready();
            scene.pass(17);
        },
        Verdict::DeadHolder,
        &["(session s1)", "there is no record of its session"],
    ),
    (
        "a broken holder in its quarantine",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.kill("s1", Cause::Broken);
            scene.pass_beating(5, &["s2"]);
        },
        Verdict::Quarantined,
        &[
            "was broken by killer: 11 s more",
            "then writer job@host-s2 is next",
        ],
    ),
    (
        "a broken holder after its quarantine",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.kill("s1", Cause::Broken);
            scene.pass_beating(18, &["s2"]);
        },
        Verdict::DeadHolder,
        &["was broken by killer 18 s ago"],
    ),
    (
        "a crashed waiter at the head",
        |scene| {
            scene.sessions(&["s1", "s2", "s3"]);
            scene.lock(
                "a",
                &[held("s1", Write), waits("s2", Write), waits("s3", Write)],
            );
            scene.ready();
            scene.kill("s2", Cause::Silent);
            scene.pass_beating(3, &["s1", "s3"]);
        },
        Verdict::GhostWaiter,
        &["is in line at place 1", "1 other waits behind it"],
    ),
    (
        "a deadlock of two",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write).label("two")]);
            scene.lock("b", &[held("s2", Write).label("two"), waits("s1", Write)]);
            scene.ready();
        },
        Verdict::Deadlock,
        &[
            "job@host-s1 waits for b, held by two@host-s2; two@host-s2 waits for a, held by job@host-s1. None of them can go on. Breaking ",
        ],
    ),
    (
        "a deadlock of three",
        |scene| {
            scene.sessions(&["s1", "s2", "s3"]);
            scene.lock("a", &[held("s1", Write), waits("s3", Read)]);
            scene.lock("b", &[held("s2", Read), waits("s1", Write)]);
            scene.lock("c", &[held("s3", Write), waits("s2", Write)]);
            scene.ready();
        },
        Verdict::Deadlock,
        &[
            "job@host-s1 waits for b",
            "job@host-s2 waits for c",
            "job@host-s3 waits for a",
        ],
    ),
    (
        "two tasks of one process are no deadlock",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write).owner("other")]);
            scene.lock("b", &[held("s2", Write), waits("s1", Write).owner("other")]);
            scene.ready();
        },
        Verdict::Contended,
        &[
            "Possibly a deadlock, if these processes wait with what they hold: job@host-s1 waits for b",
        ],
    ),
    (
        "a task that nobody names is no deadlock",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock(
                "a",
                &[held("s1", Write).owner(""), waits("s2", Write).owner("")],
            );
            scene.lock(
                "b",
                &[held("s2", Write).owner(""), waits("s1", Write).owner("")],
            );
            scene.ready();
        },
        Verdict::Contended,
        &["Possibly"],
    ),
    (
        "a reader that will be let in before the writer it holds up",
        |scene| {
            scene.sessions(&["s1", "s2", "s3"]);
            // Without the bound, s3 waits for s2, who waits for what s3 holds.
            let queue = [held("s1", Read), waits("s2", Write), waits("s3", Read)];
            scene.lock_at_readers_turn("a", &queue);
            scene.lock("b", &[held("s3", Write), waits("s2", Write)]);
            scene.ready();
        },
        Verdict::Contended,
        &[],
    ),
    (
        "a reader behind a writer that it holds up",
        |scene| {
            scene.sessions(&["s1", "s2", "s3"]);
            let queue = [held("s1", Read), waits("s2", Write), waits("s3", Read)];
            scene.lock("a", &queue);
            scene.lock("b", &[held("s3", Write), waits("s2", Write)]);
            scene.ready();
        },
        Verdict::Deadlock,
        &["job@host-s3 waits for a, in line behind job@host-s2"],
    ),
    (
        "a circle with a dead one in it ends by itself",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.lock("b", &[held("s2", Write), waits("s1", Write)]);
            scene.ready();
            scene.kill("s2", Cause::Silent);
            scene.pass_beating(1, &["s1"]);
        },
        Verdict::Contended,
        &[],
    ),
    (
        "other tasks of the same process hold and wait elsewhere",
        |scene| {
            scene.session("s1");
            scene.lock("a", &[held("s1", Write), waits("s1", Write).owner("other")]);
            scene.lock(
                "b",
                &[
                    held("s1", Write).owner("third"),
                    waits("s1", Write).owner("fourth"),
                ],
            );
            scene.ready();
        },
        Verdict::Contended,
        &[],
    ),
    (
        "no lock record",
        |scene| {
            scene.text("a", "{\"v\":1,");
            scene.ready();
        },
        Verdict::Malformed,
        &["_lock.a is no lock record", "left alone"],
    ),
    (
        "a record of a version to come",
        |scene| {
            scene.text("a", "{\"v\":2}");
            scene.ready();
        },
        Verdict::Malformed,
        &["version 2"],
    ),
    (
        "the host's clock is an hour behind",
        |scene| {
            scene.skew(-3600);
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.pass_beating(10, &["s1", "s2"]);
        },
        Verdict::Contended,
        &["the longest for 10 s"],
    ),
    (
        "the host's clock is an hour ahead",
        |scene| {
            scene.skew(3600);
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.pass_beating(10, &["s1", "s2"]);
        },
        Verdict::Contended,
        &["the longest for 10 s"],
    ),
    (
        "a server's outage is just over",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.interrupt(&Interruption::Disconnected);
            scene.pass(40);
            scene.resume(false);
            scene.beat("s2");
            scene.pass(10);
        },
        Verdict::Contended,
        &[],
    ),
    (
        "a store was rolled back",
        |scene| {
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write), waits("s2", Write)]);
            scene.ready();
            scene.pass(12);
            scene.interrupt(&Interruption::BucketReplaced);
            scene.resume(true);
            scene.roll_back();
            scene.sessions(&["s1", "s2"]);
            scene.lock("a", &[held("s1", Write)]);
            scene.ready();
            scene.pass(12);
        },
        Verdict::Healthy,
        &[],
    ),
    (
        "a shizuku writer",
        |scene| scene.shizuku(ShizukuMode::Write, 0, false, 10, 0),
        Verdict::Healthy,
        &["A writer is inside since 00:00:00Z. It expires in 50 s."],
    ),
    (
        "shizuku readers, and a writer that waits",
        |scene| scene.shizuku(ShizukuMode::Read, 3, true, 10, 0),
        Verdict::Contended,
        &["3 readers are inside, and a writer's flag is up"],
    ),
    (
        "a shizuku writer over its time",
        |scene| scene.shizuku(ShizukuMode::Write, 0, false, 61, 0),
        Verdict::Expired,
        &["A writer is inside since 00:00:00Z, over the 60 s"],
    ),
    (
        "shizuku readers with a zeroed time",
        |scene| scene.shizuku(ShizukuMode::Read, 2, false, 5, -1_000_000),
        Verdict::Expired,
        &["2 readers are inside", "zeroed acquired_at"],
    ),
    (
        "a shizuku flag that was just set",
        |scene| scene.shizuku(ShizukuMode::Idle, 0, true, 5, 0),
        Verdict::Contended,
        &["writer's flag is up"],
    ),
    (
        "a stale shizuku flag",
        |scene| scene.shizuku(ShizukuMode::Idle, 0, true, 61, 0),
        Verdict::GhostWaiter,
        &["stale writer_waiting", "No reader gets in"],
    ),
    (
        "an idle shizuku lock",
        |scene| scene.shizuku(ShizukuMode::Idle, 0, false, 90, 0),
        Verdict::Idle,
        &["Nobody is inside; last written at 00:00:00Z"],
    ),
    (
        "a shizuku lock that contradicts itself",
        |scene| scene.shizuku(ShizukuMode::Idle, 2, false, 1, 0),
        Verdict::Malformed,
        &["its mode is idle, and it counts 2 readers"],
    ),
    (
        "what was a shizuku lock is none any more",
        |scene| {
            scene.shizuku(ShizukuMode::Idle, 0, false, 1, 0);
            scene.foreign("a", b"just some text");
        },
        Verdict::Malformed,
        &["A shizuku lock was kept here, and its 14 bytes of now are none"],
    ),
];
