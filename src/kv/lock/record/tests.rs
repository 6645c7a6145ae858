//! The rules of the record, after every sequence of steps; and what decoding makes of anything.

use proptest::prelude::*;

use super::*;

/// Something that somebody tries.
#[derive(Debug, Clone)]
enum Act {
    Acquire { session: u8, owner: u8, mode: Mode },
    AcquireAtOnce { session: u8, owner: u8, mode: Mode },
    Release(prop::sample::Index),
    Downgrade(prop::sample::Index),
    Evict { session: u8 },
}

fn tries() -> impl Strategy<Value = Vec<Act>> {
    let mode = || prop_oneof![Just(Mode::Read), Just(Mode::Write)];
    let one = prop_oneof![
        4 => (0..4_u8, 0..3_u8, mode())
            .prop_map(|(session, owner, mode)| Act::Acquire { session, owner, mode }),
        1 => (0..4_u8, 0..3_u8, mode())
            .prop_map(|(session, owner, mode)| Act::AcquireAtOnce { session, owner, mode }),
        4 => any::<prop::sample::Index>().prop_map(Act::Release),
        1 => any::<prop::sample::Index>().prop_map(Act::Downgrade),
        1 => (0..4_u8).prop_map(|session| Act::Evict { session }),
    ];
    prop::collection::vec(one, 0..60)
}

fn request(id: usize, session: u8, owner: u8, mode: Mode) -> Request {
    Request {
        id: format!("c{id}"),
        session: format!("s{session}"),
        mode,
        owner: format!("t{owner}"),
        label: "label".to_owned(),
        asked_ms: 1,
    }
}

fn some_id(record: &Record, index: prop::sample::Index) -> String {
    match record.claims() {
        [] => "nobody".to_owned(),
        claims => index.get(claims).id.clone(),
    }
}

proptest! {
    #[test]
    fn every_sequence_of_steps_keeps_the_rules(tries in tries(), gaps in prop::collection::vec(1..5_u64, 60)) {
        let mut record = Record::default();
        let mut revision = Revision::ABSENT;
        let mut highest_fence = 0;
        for (number, (one, gap)) in tries.into_iter().zip(gaps).enumerate() {
            let step = match one {
                Act::Acquire { session, owner, mode } => {
                    record.acquire(request(number, session, owner, mode), revision)
                }
                Act::AcquireAtOnce { session, owner, mode } => {
                    record.try_acquire(request(number, session, owner, mode), revision)
                }
                Act::Release(index) => Ok(record.release(&some_id(&record, index), revision)),
                Act::Downgrade(index) => record.downgrade(&some_id(&record, index), revision),
                Act::Evict { session } => Ok(record.evict(&format!("s{session}"), revision)),
            };
            let Ok(Step::Write(after)) = step else { continue };
            prop_assert_eq!(after.broken_rule(), None);
            let writer_waited = after.waiters().any(|claim| claim.mode == Mode::Write);
            for claim in after.holders() {
                let before = record.claim(&claim.id).map(|claim| claim.state);
                let State::Held { fence } = claim.state else { continue };
                if before != Some(claim.state) {
                    prop_assert!(fence > highest_fence, "fences rise");
                    prop_assert!(claim.mode == Mode::Write || !writer_waited, "writers first");
                }
            }
            let fences = after.holders().filter_map(|claim| match claim.state {
                State::Held { fence } => Some(fence),
                State::Waiting => None,
            });
            highest_fence = fences.fold(highest_fence, u64::max);
            // Other keys of the bucket take revisions in between.
            revision = Revision(revision.0 + gap);
            prop_assert_eq!(Record::from_bytes(&after.to_bytes().unwrap()), Ok(after.clone()));
            record = after;
        }
    }

    #[test]
    fn decoding_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Record::from_bytes(&bytes);
    }

    #[test]
    fn decoding_a_damaged_record_never_panics(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = contended().to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(record) = Record::from_bytes(&bytes) {
            prop_assert_eq!(record.broken_rule(), None);
        }
    }
}

/// A reader holds, a writer waits, and behind it a reader.
fn contended() -> Record {
    let mut record = Record::default();
    for (id, mode) in [Mode::Read, Mode::Write, Mode::Read]
        .into_iter()
        .enumerate()
    {
        let session = u8::try_from(id).unwrap();
        record = written(record.acquire(request(id, session, 0, mode), Revision(7)));
    }
    record
}

fn written(step: Result<Step, Refusal>) -> Record {
    match step {
        Ok(Step::Write(record)) => record,
        other => panic!("{other:?}"),
    }
}

fn holders(record: &Record) -> Vec<&str> {
    record.holders().map(|claim| claim.id.as_str()).collect()
}

#[test]
fn writers_come_before_readers_that_ask_later() {
    let record = contended();
    assert_eq!(holders(&record), ["c0"]);
    let record = written(Ok(record.release("c0", Revision(8))));
    assert_eq!(holders(&record), ["c1"]);
    assert_eq!(record.claim("c1").unwrap().state, State::Held { fence: 9 });
    let record = written(Ok(record.release("c1", Revision(9))));
    assert_eq!(holders(&record), ["c2"]);
}

#[test]
fn a_writer_that_goes_on_as_a_reader_lets_readers_in() {
    let mut record = Record::default();
    for (id, mode) in [Mode::Write, Mode::Read, Mode::Read]
        .into_iter()
        .enumerate()
    {
        let session = u8::try_from(id).unwrap();
        record = written(record.acquire(request(id, session, 0, mode), Revision(1)));
    }
    let record = written(record.downgrade("c0", Revision(3)));
    assert_eq!(holders(&record), ["c0", "c1", "c2"]);
    assert_eq!(record.downgrade("c0", Revision(4)), Ok(Step::Nothing));
}

#[test]
fn a_dead_session_goes_with_all_its_claims() {
    let record = written(Ok(contended().evict("s1", Revision(8))));
    assert_eq!(
        holders(&record),
        ["c0", "c2"],
        "the reader behind the writer is let in"
    );
    assert_eq!(record.evict("s1", Revision(9)), Step::Nothing);
}

#[test]
fn what_would_wait_for_itself_is_refused() {
    let reader = written(Record::default().acquire(request(0, 0, 0, Mode::Read), Revision(0)));
    let again = |mode| reader.acquire(request(1, 0, 0, mode), Revision(1));
    assert_eq!(again(Mode::Write), Err(Refusal::Upgrade));
    assert_eq!(again(Mode::Read), Err(Refusal::Reentry { is_held: true }));
    assert_eq!(
        reader.acquire(request(0, 0, 0, Mode::Read), Revision(1)),
        Ok(Step::Nothing)
    );
    let write = reader.try_acquire(request(1, 1, 0, Mode::Write), Revision(1));
    assert_eq!(write, Err(Refusal::WouldWait));
    assert_eq!(reader.downgrade("c9", Revision(1)), Err(Refusal::Gone));
}

#[test]
fn the_queue_has_an_end() {
    let mut record = Record::default();
    for id in 0..Record::MOST_CLAIMS {
        let owner = Request {
            owner: format!("t{id}"),
            ..request(id, 0, 0, Mode::Write)
        };
        record = written(record.acquire(owner, Revision(id as u64)));
    }
    let more = Request {
        owner: "one more".to_owned(),
        ..request(9999, 0, 0, Mode::Write)
    };
    assert_eq!(record.acquire(more, Revision(2000)), Err(Refusal::Full));
    assert!(record.to_bytes().unwrap().len() <= Record::MOST_BYTES);
}

#[test]
fn foreign_records_are_told_and_left_alone() {
    let of = |text: &str| Record::from_bytes(text.as_bytes()).unwrap_err();
    assert_eq!(
        of(r#"{"v":2,"anything":true}"#),
        DecodeError::Version { version: 2 }
    );
    assert!(matches!(of("[]"), DecodeError::Format { .. }));
    assert!(matches!(
        of(r#"{"v":1,"next":0,"q":[],"more":1}"#),
        DecodeError::Format { .. }
    ));
    let claim = |id: &str, ticket: u64, rest: &str| {
        format!(r#"{{"id":"{id}","sid":"s","tkt":{ticket},"own":"t","label":"","t_ms":0,{rest}}}"#)
    };
    let record = |claims: &[String]| format!(r#"{{"v":1,"next":9,"q":[{}]}}"#, claims.join(","));
    let writes = r#""k":"w","s":"held","fence":1"#;
    for (claims, rule) in [
        (
            vec![claim("a", 0, writes), claim("b", 1, writes)],
            "a writer holds alone",
        ),
        (
            vec![claim("a", 0, r#""k":"r","s":"wait""#)],
            "nobody waits who could hold",
        ),
        (
            vec![
                claim("a", 3, writes),
                claim("a", 4, r#""k":"w","s":"wait""#),
            ],
            "an id of its own",
        ),
        (vec![claim("a", 9, writes)], "in the order of their tickets"),
        (vec![claim("a", 0, r#""k":"w","s":"held""#)], "have a fence"),
    ] {
        let error = of(&record(&claims)).to_string();
        assert!(error.contains(rule), "{error}");
    }
}
