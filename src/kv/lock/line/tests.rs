//! What one process does at one lock, step by step, against a store of one record.

use proptest::prelude::*;

use super::*;
use crate::kv::lock::record::Mode;
use crate::kv::lock::record::Refusal;

/// The record, where it is kept.
#[derive(Default)]
struct Shelf {
    record: Record,
    revision: Revision,
}

/// How a write ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    /// It lands, and nobody says so.
    Unheard,
    /// It is on its way, and may land at any time.
    Late,
    /// It never lands, and nobody says so.
    Vanished,
    Refused,
}

impl Shelf {
    fn write(&mut self, record: Record, base: Revision) -> bool {
        let fits = self.revision == base;
        if fits {
            self.record = record;
            self.revision = Revision(self.revision.0 + 1);
        }
        fits
    }

    /// Lets a line do what it wants to until it rests. What is late stays in `late`.
    fn serve(
        &mut self,
        line: &mut Line,
        mut fates: impl FnMut() -> Fate,
        late: &mut Vec<(Record, Revision)>,
    ) -> Vec<(String, Outcome)> {
        let mut outcomes = line.outcomes();
        for _ in 0..100 {
            match line.next() {
                Next::Rest => return outcomes,
                Next::Read => line.read(self.record.clone(), self.revision),
                Next::Write { record, base } => match fates() {
                    Fate::Acknowledged => {
                        if self.write(record, base) {
                            line.written(self.revision);
                        } else {
                            line.conflict();
                        }
                    }
                    Fate::Unheard => {
                        self.write(record, base);
                        line.unknown();
                    }
                    Fate::Late => {
                        late.push((record, base));
                        line.unknown();
                    }
                    Fate::Vanished => line.unknown(),
                    Fate::Refused => line.failed(),
                },
            }
            outcomes.extend(line.outcomes());
        }
        panic!("it never rests: {line:?}");
    }

    fn serve_well(&mut self, line: &mut Line) -> Vec<(String, Outcome)> {
        self.serve(line, || Fate::Acknowledged, &mut Vec::new())
    }
}

fn request(id: &str, session: &str, mode: Mode) -> Request {
    Request {
        id: id.to_owned(),
        session: session.to_owned(),
        mode,
        owner: id.to_owned(),
        label: String::new(),
        asked_ms: 0,
        max_writer_streak: None,
    }
}

fn granted(fence: u64) -> Outcome {
    Outcome::Granted { fence }
}

#[test]
fn wishes_that_come_together_are_one_write() {
    let mut shelf = Shelf::default();
    let mut line = Line::new("s");
    for id in ["a", "b", "c"] {
        line.acquire(request(id, "s", Mode::Read), true);
    }
    let outcomes = shelf.serve_well(&mut line);
    assert_eq!(outcomes.len(), 3);
    assert_eq!(shelf.revision, Revision(1));
    for id in ["a", "b", "c"] {
        line.release(id);
    }
    shelf.serve_well(&mut line);
    assert_eq!(shelf.revision, Revision(2));
    assert!(line.is_idle() && shelf.record.claims().is_empty());
}

#[test]
fn the_next_turn_needs_no_read() {
    let mut shelf = Shelf::default();
    let mut line = Line::new("s");
    line.acquire(request("a", "s", Mode::Write), true);
    shelf.serve_well(&mut line);
    line.release("a");
    shelf.serve_well(&mut line);
    line.acquire(request("b", "s", Mode::Write), true);
    assert!(matches!(line.next(), Next::Write { base, .. } if base == shelf.revision));
}

#[test]
fn the_same_owner_can_ask_again_as_soon_as_it_has_let_go() {
    let mut shelf = Shelf::default();
    let mut line = Line::new("s");
    line.acquire(request("a", "s", Mode::Write), true);
    shelf.serve_well(&mut line);
    line.release("a");
    let again = Request {
        owner: "a".to_owned(),
        ..request("b", "s", Mode::Write)
    };
    line.acquire(again, true);
    // Somebody else is there first, so that the record is read before it is written.
    shelf.write(shelf.record.clone(), shelf.revision);
    let outcomes = shelf.serve_well(&mut line);
    let ids: Vec<&str> = outcomes.iter().map(|(id, _)| id.as_str()).collect();
    assert!(ids.contains(&"a") && ids.contains(&"b"), "{outcomes:?}");
    assert!(
        !outcomes
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Refused(_)))
    );
}

#[test]
fn a_refusal_stands_on_what_is_newer_than_the_wish() {
    let mut shelf = Shelf::default();
    let (mut mine, mut theirs) = (Line::new("s"), Line::new("t"));
    theirs.acquire(request("t1", "t", Mode::Write), true);
    shelf.serve_well(&mut theirs);
    mine.acquire(request("a", "s", Mode::Write), false);
    let refused = shelf.serve_well(&mut mine);
    assert_eq!(
        refused,
        [("a".to_owned(), Outcome::Refused(Refusal::WouldWait))]
    );
    theirs.release("t1");
    shelf.serve_well(&mut theirs);
    // What mine knows still says that it is held.
    mine.acquire(request("b", "s", Mode::Write), false);
    assert_eq!(shelf.serve_well(&mut mine), [("b".to_owned(), granted(3))]);
}

#[test]
fn what_may_still_land_is_written_over_before_it_is_forgotten() {
    let mut shelf = Shelf::default();
    let mut line = Line::new("s");
    line.acquire(request("a", "s", Mode::Write), true);
    let Next::Read = line.next() else { panic!() };
    line.read(Record::default(), Revision::ABSENT);
    let Next::Write { record: late, base } = line.next() else {
        panic!()
    };
    line.unknown();
    line.release("a");
    let outcomes = shelf.serve_well(&mut line);
    assert_eq!(outcomes, [("a".to_owned(), Outcome::Released)]);
    assert!(line.is_idle());
    assert_eq!(
        shelf.revision,
        Revision(1),
        "the record as it was, written again"
    );
    assert!(!shelf.write(late, base), "a ghost");
}

#[test]
fn an_older_word_is_no_news() {
    let mut shelf = Shelf::default();
    let mut line = Line::new("s");
    line.acquire(request("a", "s", Mode::Write), true);
    assert_eq!(shelf.serve_well(&mut line), [("a".to_owned(), granted(1))]);
    // Another wish meets somebody else's write, so that nothing is known for a moment.
    shelf.write(shelf.record.clone(), shelf.revision);
    line.acquire(request("b", "s", Mode::Read), true);
    let Next::Write { .. } = line.next() else {
        panic!()
    };
    line.conflict();
    line.told(Record::default(), Revision(1));
    assert_eq!(
        line.outcomes(),
        [],
        "a claim is not gone because an old record lacks it"
    );
    line.read(Record::default(), Revision(0));
    assert_eq!(
        line.outcomes(),
        [],
        "nor because a leader that is none any more says so"
    );
}

#[test]
fn a_claim_that_somebody_took_out_is_gone() {
    let mut shelf = Shelf::default();
    let mut line = Line::new("s");
    line.acquire(request("a", "s", Mode::Write), true);
    shelf.serve_well(&mut line);
    shelf.write(Record::default(), shelf.revision);
    line.told(shelf.record.clone(), shelf.revision);
    assert_eq!(line.outcomes(), [("a".to_owned(), Outcome::Gone)]);
    assert!(line.is_idle());
}

#[test]
fn a_claim_that_nobody_knows_is_taken_out() {
    let mut shelf = Shelf::default();
    let mut before = Line::new("s");
    before.acquire(request("ghost", "s", Mode::Write), true);
    shelf.serve_well(&mut before);
    let mut line = Line::new("s");
    line.acquire(request("a", "s", Mode::Write), true);
    assert_eq!(shelf.serve_well(&mut line), [("a".to_owned(), granted(2))]);
    assert_eq!(shelf.record.claims().len(), 1);
}

#[test]
fn dead_sessions_are_taken_out_all_at_once() {
    let mut shelf = Shelf::default();
    for session in ["t", "u"] {
        let mut line = Line::new(session);
        line.acquire(request(session, session, Mode::Read), true);
        shelf.serve_well(&mut line);
    }
    let mut line = Line::new("s");
    line.acquire(request("a", "s", Mode::Write), true);
    shelf.serve_well(&mut line);
    let before = shelf.revision.0;
    line.evict("t");
    line.evict("u");
    assert_eq!(
        shelf.serve_well(&mut line),
        [("a".to_owned(), granted(before + 1))]
    );
    assert_eq!(shelf.revision.0, before + 1);
}

#[derive(Debug, Clone)]
enum Deed {
    Acquire {
        line: usize,
        mode: Mode,
        waits: bool,
    },
    Release {
        line: usize,
        which: usize,
    },
    Serve {
        line: usize,
        fates: Vec<Fate>,
    },
    LandLate {
        which: usize,
    },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let mode = prop_oneof![Just(Mode::Read), Just(Mode::Write)];
    let fate = prop_oneof![
        4 => Just(Fate::Acknowledged),
        1 => Just(Fate::Unheard),
        1 => Just(Fate::Late),
        1 => Just(Fate::Vanished),
        1 => Just(Fate::Refused),
    ];
    let deed = prop_oneof![
        (0..3usize, mode, any::<bool>()).prop_map(|(line, mode, waits)| Deed::Acquire {
            line,
            mode,
            waits
        }),
        (0..3usize, any::<usize>()).prop_map(|(line, which)| Deed::Release { line, which }),
        (0..3usize, prop::collection::vec(fate, 1..4))
            .prop_map(|(line, fates)| Deed::Serve { line, fates }),
        any::<usize>().prop_map(|which| Deed::LandLate { which }),
    ];
    prop::collection::vec(deed, 0..40)
}

proptest! {
    /// Whatever is lost and whatever comes late: in the end nobody is left in the record, nobody
    /// waits, and no two conflicting claims ever stood there as held.
    #[test]
    fn whatever_is_lost_the_record_ends_empty(deeds in deeds()) {
        let mut shelf = Shelf::default();
        let mut late = Vec::new();
        let mut lines: Vec<Line> = ["s", "t", "u"].map(Line::new).into();
        for (number, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Acquire { line, mode, waits } => {
                    let session = ["s", "t", "u"][line];
                    lines[line].acquire(request(&format!("{session}{number}"), session, mode), waits);
                }
                Deed::Release { line, which } => {
                    let ids: Vec<String> = lines[line].attempts().map(str::to_owned).collect();
                    if !ids.is_empty() {
                        lines[line].release(&ids[which % ids.len()]);
                    }
                }
                Deed::Serve { line, fates } => {
                    let mut fates = fates.into_iter();
                    let mut refused = false;
                    shelf.serve(&mut lines[line], || {
                        let fate = fates.next().unwrap_or(Fate::Acknowledged);
                        if fate == Fate::Refused && refused { Fate::Acknowledged } else {
                            refused |= fate == Fate::Refused;
                            fate
                        }
                    }, &mut late);
                }
                Deed::LandLate { which } if !late.is_empty() => {
                    let (record, base) = late.swap_remove(which % late.len());
                    shelf.write(record, base);
                }
                Deed::LandLate { .. } => {}
            }
            let writers = shelf.record.holders().filter(|claim| claim.mode == Mode::Write).count();
            let holders = shelf.record.holders().count();
            prop_assert!(writers == 0 || holders == 1);
        }
        for line in &mut lines {
            let ids: Vec<String> = line.attempts().map(str::to_owned).collect();
            for id in &ids {
                line.release(id);
            }
        }
        for line in &mut lines {
            line.forget();
            shelf.serve_well(line);
            prop_assert!(line.is_idle());
        }
        for (record, base) in late {
            shelf.write(record, base);
        }
        prop_assert_eq!(shelf.record.claims(), &[]);
    }
}
