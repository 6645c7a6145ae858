//! The model check: the lock's pure code in a small world in which everything that can go wrong
//! does, in every order.
//!
//! What is checked is the program's own code (`record`, `line`, `session`, `lease`), not a drawing
//! of it; what is around it (store, wires, clocks, operators) is in [`world`], [`events`] and
//! [`steps`]. A check ends in one of two ways: every world was visited, or a bound was reached; it
//! prints which.
//! Not in it are the tasks that drive this code, and an eviction that was forced by hand.
//!
//! `KVSCOPE_MODEL=long` checks larger worlds, for some minutes.

mod ends;
mod events;
mod steps;
mod world;

use std::num::NonZeroU32;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, UniformChooser};

use self::steps::{Mistake, Role, Setup};
use self::world::{Mishaps, Time};
use super::record::Mode;

const WRITER: Role = Role {
    mode: Mode::Write,
    waits: true,
    downgrades: false,
    attempts: 1,
};

const READER: Role = Role {
    mode: Mode::Read,
    ..WRITER
};

/// One that wants the lock at once or not at all.
const HASTY: Role = Role {
    waits: false,
    ..WRITER
};

/// A writer that may go on as a reader.
const SETTLING: Role = Role {
    downgrades: true,
    ..WRITER
};

/// One that comes twice.
const AGAIN: Role = Role {
    attempts: 2,
    ..WRITER
};

const CALM: Mishaps = Mishaps {
    crashes: 0,
    breaks: 0,
    unknowns: 0,
    failures: 0,
    cancels: 0,
    stale_reads: 0,
    outages: 0,
    stalls: 0,
    entrusts: 0,
};

/// Somebody leaves it to another to write for it, and gives up, or crashes.
const TRUST: Mishaps = Mishaps {
    entrusts: 1,
    unknowns: 1,
    cancels: 1,
    crashes: 1,
    ..CALM
};

/// Everything that can happen to reads and writes.
const WIRES: Mishaps = Mishaps {
    unknowns: 1,
    failures: 1,
    cancels: 1,
    stale_reads: 1,
    ..CALM
};

/// One who lives is taken for dead, or broken by an operator.
const LEASES: Mishaps = Mishaps {
    stalls: 1,
    breaks: 1,
    ..CALM
};

fn is_long() -> bool {
    std::env::var("KVSCOPE_MODEL").is_ok_and(|form| form == "long")
}

fn setup(roles: &[Role], mishaps: Mishaps) -> Setup {
    Setup {
        roles: roles.to_vec(),
        time: Time::in_ticks_of(7),
        victims: 1,
        max_writer_streak: None,
        mishaps,
        mistake: None,
    }
}

/// Checks invariants 1 to 7 in every world, or in so many of them as come first.
fn check(name: &str, setup: Setup, most: Option<usize>) {
    let begun = Instant::now();
    let mut checker = setup
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(most) = most {
        checker = checker.target_state_count(most);
    }
    tell(name, &checker.spawn_bfs().join(), most, begun);
}

/// Checks them on ways that are chosen by chance.
fn wander(name: &str, setup: Setup, states: usize) {
    let begun = Instant::now();
    let checker = setup
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(states);
    let checker = checker.spawn_simulation(1, UniformChooser).join();
    tell(name, &checker, Some(states), begun);
}

fn tell(name: &str, checker: &impl Checker<Setup>, most: Option<usize>, begun: Instant) {
    let states = checker.state_count();
    let extent = match most {
        Some(most) if states >= most => "bounded",
        _ => "exhausted",
    };
    println!(
        "{name}: {extent}: {states} states, {} unique, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64(),
    );
    for (property, path) in checker.discoveries() {
        let expectation = checker.model().property(property).expectation;
        assert!(
            !expectation.discovery_is_failure(),
            "{name}: {property}: after {:#?}\n{:#?}",
            path.clone().into_actions(),
            path.last_state()
        );
    }
}

#[test]
fn nothing_breaks_when_writes_come_late_or_never() {
    let stale = |count| Mishaps {
        stale_reads: count,
        ..WIRES
    };
    check("two writers, wires", setup(&[WRITER, WRITER], WIRES), None);
    let hasty = setup(&[HASTY, SETTLING], WIRES);
    check("one in haste and one that settles, wires", hasty, None);
    let bound = (!is_long()).then_some(250_000);
    let again = setup(&[AGAIN, AGAIN], TRUST);
    check("two writers that come again, entrusted", again, bound);
    let crash = Mishaps { crashes: 1, ..CALM };
    let all = [WRITER, WRITER, READER];
    let bound = (!is_long()).then_some(200_000);
    check(
        "two writers and a reader, a crash",
        setup(&all, crash),
        bound,
    );
    if is_long() {
        check("two writers and a reader", setup(&all, CALM), None);
        let twice = Mishaps {
            unknowns: 2,
            crashes: 1,
            outages: 1,
            ..stale(2)
        };
        let most = Some(20_000_000);
        let two = setup(&[WRITER, WRITER], twice);
        check("two writers, wires twice, a crash, an outage", two, most);
        check("two writers and a reader, wires", setup(&all, WIRES), most);
        let fair = Setup {
            max_writer_streak: NonZeroU32::new(1),
            ..setup(&[AGAIN, WRITER, READER], CALM)
        };
        check("writers that come again and a bound on them", fair, most);
        let many = setup(&[AGAIN, SETTLING, READER, READER], twice);
        wander("four, everything on the wires, by chance", many, 20_000_000);
    }
}

#[test]
fn nothing_breaks_when_leases_run_out() {
    let late = Mishaps {
        unknowns: 1,
        ..LEASES
    };
    for (name, roles) in [
        ("two writers, leases", [WRITER, WRITER]),
        ("a reader is the victim, leases", [READER, WRITER]),
        ("a reader comes in, leases", [SETTLING, READER]),
    ] {
        let bound = (!is_long()).then_some(250_000);
        check(name, setup(&roles, LEASES), bound);
    }
    if is_long() {
        let fine = |roles: &[Role], mishaps, seconds| Setup {
            time: Time::in_ticks_of(seconds),
            ..setup(roles, mishaps)
        };
        let most = Some(20_000_000);
        let two = [WRITER, WRITER];
        check("two writers, leases, late writes", setup(&two, late), most);
        check(
            "two writers, leases in finer time",
            fine(&two, LEASES, 3),
            most,
        );
        let both = Setup {
            victims: 2,
            ..setup(&two, LEASES)
        };
        check("two writers, leases of both", both, most);
        let all = Mishaps {
            crashes: 1,
            stalls: 2,
            ..late
        };
        let three = Setup {
            victims: 3,
            ..fine(&[AGAIN, SETTLING, READER], all, 1)
        };
        wander(
            "three, everything, finest time, by chance",
            three,
            20_000_000,
        );
    }
}

/// Invariant 8. By a check of its own: see [`ends`].
#[test]
fn everybody_who_waits_is_served_in_the_end() {
    let crash = Mishaps {
        crashes: 1,
        ..WIRES
    };
    let ends = Mishaps {
        crashes: 1,
        stalls: 1,
        ..CALM
    };
    let mut setups = vec![
        ("two writers, wires", setup(&[WRITER, WRITER], WIRES)),
        (
            "two writers that come again, entrusted",
            setup(
                &[AGAIN, WRITER],
                Mishaps {
                    cancels: 0,
                    ..TRUST
                },
            ),
        ),
        (
            "a writer and a reader, a crash, a stall",
            setup(&[WRITER, READER], ends),
        ),
    ];
    if is_long() {
        setups.extend([
            (
                "two writers, wires, a crash",
                setup(&[WRITER, WRITER], crash),
            ),
            (
                "two writers and a reader",
                setup(&[WRITER, WRITER, READER], CALM),
            ),
        ]);
    }
    for (name, setup) in setups {
        let begun = Instant::now();
        let graph = ends::explore(&setup);
        println!(
            "{name}: exhausted: {} worlds, {} steps between them, {:.1} s",
            graph.worlds,
            graph.steps,
            begun.elapsed().as_secs_f64()
        );
        assert_eq!(graph.stuck, None, "{name}: no good end after this");
    }
}

/// A check that finds nothing in a wrong program says nothing of a right one.
#[test]
fn every_known_mistake_is_found() {
    const CONFLICT: &str = "1 no two valid guards conflict";
    const GHOST: &str = "6 no claim of a live session lacks an owner";
    let unknown = Mishaps {
        unknowns: 1,
        ..CALM
    };
    let cancel = Mishaps {
        cancels: 1,
        ..unknown
    };
    let entrust = Mishaps {
        cancels: 1,
        entrusts: 1,
        ..CALM
    };
    for (mistake, mishaps, found) in [
        (Mistake::EvictWithoutKill, LEASES, CONFLICT),
        (Mistake::BreakWithoutQuarantine, LEASES, CONFLICT),
        (Mistake::ValidFromAcknowledgement, LEASES, CONFLICT),
        (Mistake::CancelWithoutNoOp, cancel, GHOST),
        (Mistake::ConflictIsFailure, unknown, GHOST),
        (Mistake::EntrustWithoutDoubt, entrust, GHOST),
    ] {
        let wrong = Setup {
            mistake: Some(mistake),
            ..setup(&[AGAIN, WRITER], mishaps)
        };
        // One thread: the first way that is found is the shortest.
        let checker = wrong.checker().finish_when(HasDiscoveries::AnyFailures);
        let checker = checker.spawn_bfs().join();
        let Some(path) = checker.discovery(found) else {
            panic!("{mistake:?}: nothing breaks {found:?}");
        };
        let steps = path.into_actions();
        println!(
            "{mistake:?}: found after {} steps, {} states: {steps:?}",
            steps.len(),
            checker.state_count()
        );
    }
}
