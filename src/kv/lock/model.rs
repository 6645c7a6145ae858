//! The model check: the lock's pure code in a small world in which everything that can go wrong
//! does, in every order.
//!
//! What is checked is the program's own code (`record`, `line`, `session`, `lease`), not a drawing
//! of it; what is around it (store, wires, clocks, operators) is in [`world`] and [`steps`]. A
//! check ends in one of two ways: every world was visited, or a bound was reached; it prints which.
//!
//! `KVSCOPE_MODEL=long` checks larger worlds, for minutes.

mod ends;
mod steps;
mod world;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, UniformChooser};

use self::steps::{Mistake, Role, Setup};
use self::world::{Mishaps, Time, World};
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

/// Where a check stops, if it was not through before.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Nothing,
    Worlds(usize),
}

fn is_long() -> bool {
    std::env::var("KVSCOPE_MODEL").is_ok_and(|form| form == "long")
}

fn setup(roles: &[Role], mishaps: Mishaps) -> Setup {
    Setup {
        roles: roles.to_vec(),
        time: Time::in_ticks_of(7),
        mishaps,
        mistake: None,
    }
}

/// Checks invariants 1 to 7.
fn check(name: &str, setup: Setup, bound: Bound) {
    let begun = Instant::now();
    let mut checker = setup
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Bound::Worlds(most) = bound {
        checker = checker.target_state_count(most);
    }
    let checker = checker.spawn_bfs().join();
    let bounded = match bound {
        Bound::Worlds(most) if checker.state_count() >= most => format!("bounded at {most} states"),
        _ => "exhausted".to_owned(),
    };
    println!(
        "{name}: {bounded}, {} states, {} of them unique, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64(),
    );
    for (property, path) in checker.discoveries() {
        let expectation = checker.model().property(property).expectation;
        if expectation.discovery_is_failure() {
            let steps = path.clone().into_actions();
            panic!(
                "{name}: {property}: after {steps:#?}\n{:#?}",
                path.last_state()
            );
        }
    }
}

#[test]
fn probe() {
    let kinds = std::env::var("PROBE").unwrap_or_default();
    let mut mishaps = Mishaps::default();
    let mut roles = Vec::new();
    for kind in kinds.chars() {
        match kind {
            'c' => mishaps.crashes += 1,
            'b' => mishaps.breaks += 1,
            'u' => mishaps.unknowns += 1,
            'f' => mishaps.failures += 1,
            'x' => mishaps.cancels += 1,
            's' => mishaps.stale_reads += 1,
            'o' => mishaps.outages += 1,
            't' => mishaps.stalls += 1,
            'w' => roles.push(WRITER),
            'r' => roles.push(READER),
            'd' => roles.push(Role {
                downgrades: true,
                ..WRITER
            }),
            'y' => roles.push(Role {
                waits: false,
                ..WRITER
            }),
            'W' => roles.push(Role {
                attempts: 2,
                ..WRITER
            }),
            other => panic!("{other}"),
        }
    }
    let most = std::env::var("MOST")
        .ok()
        .and_then(|most| most.parse().ok());
    check(
        &kinds,
        setup(&roles, mishaps),
        most.map_or(Bound::Nothing, Bound::Worlds),
    );
    if std::env::var("ENDS").is_ok() {
        let begun = Instant::now();
        let graph = ends::explore(&setup(&roles, mishaps));
        println!(
            "{} worlds, {} steps, {:?}, {:?}",
            graph.worlds,
            graph.steps,
            graph.stuck,
            begun.elapsed()
        );
    }
}
