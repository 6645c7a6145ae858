//! Pasts as steps of the record itself.

use proptest::prelude::*;

use super::*;
use crate::kv::Operation;
use crate::kv::lock::key_of;
use crate::kv::lock::record::{Request, Step};

/// A lock whose record is written every ten seconds.
#[derive(Default)]
struct Past {
    record: Record,
    history: Vec<Entry>,
}

impl Past {
    fn entry(&self, value: Option<Vec<u8>>) -> Entry {
        let at = self.history.len() as u64 + 1;
        let value = value.unwrap_or_default();
        Entry {
            key: key_of("a").unwrap(),
            // Other keys are written in between.
            revision: Revision(at * 10),
            created: time(at * 10),
            operation: if value.is_empty() {
                Operation::Delete
            } else {
                Operation::Put
            },
            size: value.len() as u64,
            value: Some(value.into()),
            ttl: None,
            expires: None,
        }
    }

    fn write(&mut self, step: Step) {
        if let Step::Write(record) = step {
            self.history
                .push(self.entry(Some(record.to_bytes().unwrap())));
            self.record = record;
        }
    }

    fn base(&self) -> Revision {
        self.history
            .last()
            .map_or(Revision::ABSENT, |entry| entry.revision)
    }

    fn ask(&mut self, who: &str, mode: Mode) {
        let request = Request {
            id: who.to_owned(),
            session: format!("session-{who}"),
            mode,
            owner: who.to_owned(),
            label: who.to_owned(),
            asked_ms: 3_000,
            max_writer_streak: None,
        };
        if let Ok(step) = self.record.acquire(request, self.base()) {
            self.write(step);
        }
    }

    fn release(&mut self, who: &str) {
        self.write(self.record.release(who, self.base()));
    }

    fn told(&self, deaths: &HashMap<String, Killed>) -> Vec<String> {
        let events = timeline(&self.history, deaths).events;
        let told = events.iter().map(|event| {
            let who = event.who.as_ref().map_or("-", |who| who.label.as_str());
            let at = (event.at - OffsetDateTime::UNIX_EPOCH).whole_seconds();
            format!("{at} {who} {:?}", event.what)
        });
        told.collect()
    }
}

fn time(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_past_is_told_with_how_long_everything_lasted() {
    let mut past = Past::default();
    past.ask("writer", Mode::Write);
    past.ask("reader", Mode::Read);
    past.ask("late", Mode::Write);
    past.write(past.record.downgrade("writer", past.base()).unwrap());
    past.release("writer");
    past.release("reader");
    let told = past.told(&HashMap::new());
    assert_eq!(
        told,
        [
            "10 writer Granted { fence: 1, waited: Some(0ns) }",
            "20 reader Queued",
            "30 late Queued",
            "40 writer Downgraded",
            "50 writer Released { held: Some(40s) }",
            "50 late Granted { fence: 41, waited: Some(20s) }",
            "60 reader Cancelled { waited: Some(40s) }",
        ]
    );
    let timeline = timeline(&past.history, &HashMap::new());
    let waits = timeline.waits();
    assert_eq!(percentile(&waits, 50), Some(Duration::ZERO));
    assert_eq!(percentile(&waits, 99), Some(Duration::from_secs(20)));
    assert_eq!(timeline.holds(), [Duration::from_secs(40)]);
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn what_is_not_kept_is_not_made_up() {
    let mut past = Past::default();
    past.ask("old", Mode::Write);
    past.ask("next", Mode::Write);
    past.ask("third", Mode::Write);
    past.release("old");
    past.release("next");
    past.history.drain(..2);
    let told = past.told(&HashMap::new());
    assert_eq!(
        told,
        [
            "40 old Released { held: None }",
            "40 next Granted { fence: 31, waited: None }",
            "50 next Released { held: Some(10s) }",
            "50 third Granted { fence: 41, waited: None }",
        ]
    );
}

#[test]
fn a_dead_session_is_evicted_and_does_not_release() {
    let mut past = Past::default();
    past.ask("dead", Mode::Write);
    past.ask("next", Mode::Write);
    past.write(past.record.evict("session-dead", past.base()));
    let death = Death {
        why: Cause::Silent,
        by: "next".to_owned(),
    };
    let killed = Killed {
        death,
        at: time(25),
        revision: Revision(25),
    };
    let deaths = HashMap::from([("session-dead".to_owned(), killed.clone())]);
    let told = past.told(&deaths);
    assert_eq!(told.len(), 5);
    assert!(told[2].starts_with("25 dead Killed"), "{told:?}");
    assert_eq!(
        told[3],
        "30 dead Evicted { was_held: true, lasted: Some(20s) }"
    );
    assert_eq!(told[4], "30 next Granted { fence: 21, waited: Some(10s) }");
    // One that let go before it died did so itself.
    let late = Killed {
        revision: Revision(35),
        ..killed
    };
    let told = past.told(&HashMap::from([("session-dead".to_owned(), late)]));
    assert_eq!(told[2], "30 dead Released { held: Some(20s) }");
}

#[test]
fn a_deleted_or_unreadable_record_begins_anew() {
    let mut past = Past::default();
    past.ask("a", Mode::Write);
    past.history.push(past.entry(None));
    past.record = Record::default();
    past.ask("b", Mode::Write);
    past.history.push(past.entry(Some(b"?".to_vec())));
    past.ask("c", Mode::Write);
    let told = past.told(&HashMap::new());
    assert_eq!(told[1], "20 - Removed");
    assert_eq!(told[2], "30 b Granted { fence: 21, waited: Some(0ns) }");
    assert_eq!(told[3], "40 - Unreadable");
    assert_eq!(
        told.len(),
        4,
        "nothing is known of who came before: {told:?}"
    );
}

proptest! {
    /// Whoever is granted was queued before or acquires at once, and everybody's end is told once.
    #[test]
    fn every_turn_has_one_beginning_and_one_end(
        steps in prop::collection::vec((0..6_usize, any::<bool>(), any::<bool>()), 0..40)
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut past = Past::default();
        for (who, asks, writes) in steps {
            let mode = if writes { Mode::Write } else { Mode::Read };
            if asks {
                past.ask(names[who], mode);
            } else {
                past.release(names[who]);
            }
        }
        let timeline = timeline(&past.history, &HashMap::new());
        for name in names {
            let mut state = "away";
            for event in &timeline.events {
                if event.who.as_ref().is_none_or(|who| who.label != name) {
                    continue;
                }
                state = match (state, &event.what) {
                    ("away", What::Queued) => "waits",
                    ("away" | "waits", What::Granted { .. }) => "holds",
                    ("waits", What::Cancelled { .. }) => "away",
                    ("holds", What::Released { .. }) => "away",
                    (state, what) => return Err(TestCaseError::fail(format!("{state}: {what:?}"))),
                };
            }
            let claim = past.record.claim(name);
            let now = claim.map_or("away", |claim| if claim.state.is_held() { "holds" } else { "waits" });
            prop_assert_eq!(state, now);
        }
        let waits = timeline.waits();
        prop_assert!(waits.is_sorted());
    }
}

#[test]
fn a_session_that_renewed_too_late_while_it_held_is_told_of() {
    use crate::kv::lock::lease::Lease;
    use crate::kv::lock::session::{Process, Session};

    let mut past = Past::default();
    past.ask("w", Mode::Write);
    past.ask("r", Mode::Read);
    let mut told = timeline(&past.history, &HashMap::new());
    let process = Process {
        host: "host".to_owned(),
        boot_id: "boot".to_owned(),
        pid: 1,
        pidns: 1,
        start: 1,
    };
    let session = Session::new(process, Lease::default());
    let beat = |revision: u64, at: u64| Entry {
        key: Session::key_of("session-w").unwrap(),
        revision: Revision(revision),
        created: time(at),
        value: Some(session.to_bytes().unwrap().into()),
        ..past.history[0].clone()
    };
    // Once before it held, once while it did; 13 s are still in time.
    let beats = [beat(2, 1), beat(5, 60), beat(21, 73), beat(31, 103)];
    told.add_lapses("session-w", &beats);
    told.add_lapses("session-nobody", &beats);
    let lapses: Vec<String> = told
        .events
        .iter()
        .filter(|event| matches!(event.what, What::Lapsed { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lapses,
        ["writer w's session renewed its lease too late, after 30 s"]
    );
}
