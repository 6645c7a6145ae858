//! The rules of the record, after every sequence of steps; and what decoding makes of anything.

use proptest::prelude::*;

use super::*;

/// Something that somebody tries.
#[derive(Debug, Clone)]
enum Act {
    Acquire {
        session: u8,
        owner: u8,
        mode: Mode,
        max_writer_streak: Option<NonZeroU32>,
    },
    AcquireAtOnce {
        session: u8,
        owner: u8,
        mode: Mode,
    },
    Release(prop::sample::Index),
    Downgrade(prop::sample::Index),
    Evict {
        session: u8,
    },
}

fn tries() -> impl Strategy<Value = Vec<Act>> {
    let mode = || prop_oneof![Just(Mode::Read), Just(Mode::Write)];
    let one = prop_oneof![
        4 => (0..4_u8, 0..3_u8, mode(), prop::option::weighted(0.2, 1..4_u32)).prop_map(
            |(session, owner, mode, most)| {
                let max_writer_streak = most.and_then(NonZeroU32::new);
                Act::Acquire { session, owner, mode, max_writer_streak }
            },
        ),
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
        max_writer_streak: None,
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
                Act::Acquire { session, owner, mode, max_writer_streak } => {
                    let asked = request(number, session, owner, mode);
                    record.acquire(Request { max_writer_streak, ..asked }, revision)
                }
                Act::AcquireAtOnce { session, owner, mode } => {
                    record.try_acquire_within(
                        request(number, session, owner, mode),
                        revision,
                        Record::MOST_BYTES,
                    )
                }
                Act::Release(index) => Ok(record.release(&some_id(&record, index), revision)),
                Act::Downgrade(index) => record.downgrade(&some_id(&record, index), revision),
                Act::Evict { session } => Ok(record.evict(&format!("s{session}"), revision)),
            };
            let Ok(Step::Write(after)) = step else { continue };
            prop_assert_eq!(after.broken_rule(), None);
            prop_assert_eq!(&after.clone().promoted(Revision(99)), &after);
            if after.claims().len() <= record.claims().len() {
                prop_assert!(!record.fits(after.to_bytes().unwrap().len() - 1));
            }
            let readers_turn = record.max_writer_streak().is_some_and(|most| record.writer_streak() >= most.get());
            let writer_waited = after.waiters().any(|claim| claim.mode == Mode::Write);
            for claim in after.holders() {
                let before = record.claim(&claim.id).map(|claim| claim.state);
                let State::Held { fence } = claim.state else { continue };
                if before != Some(claim.state) {
                    prop_assert!(fence > highest_fence, "fences rise");
                    prop_assert!(claim.mode == Mode::Write || !writer_waited || readers_turn, "writers first");
                }
            }
            let fences = after.holders().filter_map(|claim| match claim.state {
                State::Held { fence } => Some(fence),
                State::Waiting => None,
            });
            highest_fence = fences.fold(highest_fence, u64::max);
            // Other keys of the bucket take revisions in between, or all is restored elsewhere.
            revision = if gap == 4 { Revision(1) } else { Revision(revision.0 + gap) };
            prop_assert_eq!(Record::from_bytes(&after.to_bytes().unwrap()), Ok(after.clone()));
            record = after;
        }
    }

    #[test]
    fn decoding_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Record::from_bytes(&bytes);
    }

    #[test]
    fn what_decodes_of_a_damaged_record_is_a_record(
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let mut bytes = contended().to_bytes().unwrap();
        for damage in damages {
            damage.to(&mut bytes);
        }
        let Ok(record) = Record::from_bytes(&bytes) else { return Ok(()) };
        prop_assert_eq!(record.broken_rule(), None);
        prop_assert_eq!(Record::from_bytes(&record.to_bytes().unwrap()), Ok(record.clone()));
        // And it can be gone on with.
        for id in record.claims().iter().map(|claim| claim.id.clone()) {
            if let Step::Write(after) = record.release(&id, Revision(u64::MAX)) {
                prop_assert_eq!(after.broken_rule(), None);
            }
        }
        let last = record.acquire(request(99, 9, 9, Mode::Write), Revision(u64::MAX));
        if let Ok(Step::Write(after)) = last {
            prop_assert_eq!(after.broken_rule(), None);
        }
    }

    #[test]
    fn a_bound_is_kept_whoever_comes_and_goes(most in 1..4_u32, comers in prop::collection::vec(any::<bool>(), 1..40)) {
        // Writers never cease; the reader that came first still has its turn.
        let bounded = |id, mode| Request { max_writer_streak: NonZeroU32::new(most), ..owned(id, mode) };
        let mut record = written(Record::default().acquire(bounded(0, Mode::Write), Revision(0)));
        record = written(record.acquire(owned(1, Mode::Read), Revision(1)));
        let mut id = 2;
        for turn in 0..most {
            for is_reader in &comers {
                let mode = if *is_reader { Mode::Read } else { Mode::Write };
                record = written(record.acquire(owned(id, mode), Revision(2)));
                id += 1;
            }
            record = written(record.acquire(owned(id, Mode::Write), Revision(2)));
            id += 1;
            let holder = holders(&record)[0].to_owned();
            prop_assert_eq!(record.claim("c1").unwrap().state, State::Waiting);
            prop_assert_eq!(record.writer_streak(), turn);
            record = written(Ok(record.release(&holder, Revision(3))));
        }
        let holder = holders(&record)[0].to_owned();
        record = written(Ok(record.release(&holder, Revision(4))));
        let is_read = |claim: &Claim| claim.mode == Mode::Read && claim.state.is_held();
        prop_assert!(record.holders().all(is_read));
        let waiting_readers = record.waiters().filter(|claim| claim.mode == Mode::Read).count();
        prop_assert_eq!(waiting_readers, 0);
        prop_assert_eq!(record.writer_streak(), 0);
    }
}

/// What can befall stored bytes.
#[derive(Debug, Clone)]
enum Damage {
    /// One byte is another.
    Byte(prop::sample::Index, u8),
    /// A word is another one of the format.
    Word(prop::sample::Index, &'static str),
    /// A piece is missing.
    Cut(prop::sample::Index, usize),
    /// A piece stands there twice.
    Twice(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let words = prop::sample::select(vec![
        "0",
        "1",
        "9",
        "18446744073709551615",
        "-1",
        "null",
        "\"r\"",
        "\"w\"",
        "\"wait\"",
        "\"held\"",
        "\"fence\"",
        "\"streak\":1,\"q\"",
        "\"max_streak\":1,\"q\"",
        "[]",
        "{}",
    ]);
    prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        3 => (at(), words).prop_map(|(at, word)| Damage::Word(at, word)),
        1 => (at(), 1..60_usize).prop_map(|(at, length)| Damage::Cut(at, length)),
        1 => (at(), 1..200_usize).prop_map(|(at, length)| Damage::Twice(at, length)),
    ]
}

impl Damage {
    fn to(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Byte(at, byte) => *at.get_mut(bytes) = *byte,
            Self::Word(at, word) => {
                // A word ends where JSON's signs are.
                let is_sign = |byte: &u8| b",:[]{}".contains(byte);
                let start = at.index(bytes.len());
                let start = bytes[..start]
                    .iter()
                    .rposition(is_sign)
                    .map_or(0, |sign| sign + 1);
                let end = bytes[start..]
                    .iter()
                    .position(is_sign)
                    .map_or(bytes.len(), |sign| start + sign);
                bytes.splice(start..end, word.bytes());
            }
            Self::Cut(at, length) => {
                let start = at.index(bytes.len());
                let end = bytes.len().min(start + length);
                bytes.drain(start..end);
            }
            Self::Twice(at, length) => {
                let start = at.index(bytes.len());
                let end = bytes.len().min(start + length);
                let piece = bytes[start..end].to_vec();
                bytes.splice(end..end, piece);
            }
        }
    }
}

/// A request of a task that asks for nothing else.
fn owned(id: usize, mode: Mode) -> Request {
    Request {
        owner: format!("t{id}"),
        ..request(id, 0, 0, mode)
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
    let write = reader.try_acquire_within(
        request(1, 1, 0, Mode::Write),
        Revision(1),
        Record::MOST_BYTES,
    );
    assert_eq!(write, Err(Refusal::WouldWait));
    assert_eq!(reader.downgrade("c9", Revision(1)), Err(Refusal::Gone));
}

#[test]
fn the_queue_has_an_end() {
    let mut record = Record::default();
    for id in 0..Record::MOST_CLAIMS {
        record = written(record.acquire(owned(id, Mode::Write), Revision(id as u64)));
    }
    let more = owned(9999, Mode::Write);
    assert_eq!(record.acquire(more, Revision(2000)), Err(Refusal::Full));
    assert!(record.to_bytes().unwrap().len() <= Record::MOST_BYTES);
    let mut bytes = record.to_bytes().unwrap();
    let next = bytes
        .windows(4)
        .position(|window| window == b"1024")
        .unwrap();
    bytes.splice(next..next + 4, u64::MAX.to_string().bytes());
    let worn = Record::from_bytes(&bytes).unwrap();
    let worn = written(Ok(worn.release("c0", Revision(2000))));
    assert_eq!(
        worn.acquire(owned(9999, Mode::Write), Revision(2001)),
        Err(Refusal::Full),
        "tickets don't begin again"
    );
}

#[test]
fn the_record_stays_small_whoever_is_granted() {
    let long = |id| Request {
        label: "l".repeat(1000),
        ..owned(id, Mode::Read)
    };
    let mut record = written(Record::default().acquire(owned(0, Mode::Write), Revision(0)));
    let mut id = 1;
    let refusal = loop {
        match record.acquire(long(id), Revision(1)) {
            Ok(step) => record = written(Ok(step)),
            Err(refusal) => break refusal,
        }
        id += 1;
    };
    let most = Record::MOST_BYTES;
    assert_eq!(refusal, Refusal::TooLarge { most });
    assert!(record.claims().len() > 200);
    let all = written(Ok(record.release("c0", Revision(u64::MAX - 1))));
    assert_eq!(all.holders().count(), id - 1);
    assert!(all.to_bytes().unwrap().len() <= Record::MOST_BYTES);
    let alone = Request {
        label: "\u{1}".repeat(Record::MOST_BYTES / 6),
        ..owned(0, Mode::Read)
    };
    let refused = Record::default().acquire(alone, Revision(0));
    assert_eq!(refused, Err(Refusal::TooLarge { most }));
}

#[test]
fn the_last_to_ask_sets_the_bound_and_it_goes_with_the_last_claim() {
    let most = NonZeroU32::new;
    let asks = |id, max_writer_streak| Request {
        max_writer_streak,
        ..owned(id, Mode::Write)
    };
    let first = written(Record::default().acquire(asks(0, None), Revision(0)));
    assert_eq!(first.max_writer_streak(), None);
    let plain = String::from_utf8(first.to_bytes().unwrap()).unwrap();
    assert!(
        !plain.contains("streak"),
        "records without stay as they were"
    );
    let second = written(first.acquire(asks(1, most(1)), Revision(1)));
    let third = written(second.acquire(asks(2, most(3)), Revision(2)));
    assert_eq!(third.max_writer_streak(), most(3));
    let mut record = written(third.acquire(asks(3, None), Revision(3)));
    assert_eq!(record.max_writer_streak(), most(3));
    for id in ["c0", "c1", "c2", "c3"] {
        assert_eq!(record.max_writer_streak(), most(3));
        record = written(Ok(record.release(id, Revision(4))));
    }
    assert_eq!(record.max_writer_streak(), None);
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
    let counting = |counts: &str, claims: &[String]| {
        of(&format!(
            r#"{{"v":1,"next":9,{counts},"q":[{}]}}"#,
            claims.join(",")
        ))
        .to_string()
    };
    let reads = r#""k":"r","s":"held","fence":1"#;
    for (error, rule) in [
        (counting(r#""max_streak":1"#, &[]), "with the last claim"),
        (
            counting(r#""streak":1"#, &[claim("a", 0, writes)]),
            "only under a bound",
        ),
        (
            counting(r#""max_streak":2,"streak":1"#, &[claim("a", 0, reads)]),
            "ends the writers' row",
        ),
        (
            counting(r#""max_streak":0"#, &[claim("a", 0, reads)]),
            "no lock record",
        ),
    ] {
        assert!(error.contains(rule), "{error}");
    }
}
