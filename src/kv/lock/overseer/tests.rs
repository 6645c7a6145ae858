//! Overseers of many sessions on a store in memory, far away, that can be cut off; on a clock that
//! stands still.

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::kv::backend::{Backend as _, BucketConfig};
use crate::kv::faulty::{Faults, Faulty};
use crate::kv::lock::record::{Mode, Request, Step};
use crate::kv::memory::Memory;
use crate::kv::{BucketName, Revision, Store};

const OWN: &str = "s_own";

/// Sessions of another machine, each of which beats, and a record of who holds and waits.
struct Place {
    faults: Faults,
    bucket: Arc<dyn BucketBackend>,
    store: Store,
    record: Record,
    hearts: Vec<(String, AbortHandle)>,
}

impl Place {
    /// So many who read, then so many who wait to write, and then oneself.
    async fn new(readers: usize, writers: usize, lease: Lease) -> Self {
        let memory = Arc::new(Memory::new());
        let name = BucketName::new("b").unwrap();
        let config = BucketConfig::new(name.clone());
        memory.create_bucket(&config).await.unwrap();
        let (faulty, faults) = Faulty::new(Arc::<Memory>::clone(&memory));
        let bucket = faulty.bucket(&name).await.unwrap();
        let mut place = Self {
            faults,
            store: Store::new(Arc::clone(&bucket)),
            bucket,
            record: Record::default(),
            hearts: Vec::new(),
        };
        for number in 0..readers {
            place.join(&format!("s_r{number}"), Mode::Read, lease).await;
        }
        for number in 0..writers {
            place
                .join(&format!("s_w{number}"), Mode::Write, lease)
                .await;
        }
        place.ask(OWN, Mode::Write);
        place
    }

    fn ask(&mut self, session: &str, mode: Mode) {
        let request = Request {
            id: format!("{session}.0"),
            session: session.to_owned(),
            mode,
            owner: session.to_owned(),
            label: String::new(),
            asked_ms: 0,
            max_writer_streak: None,
        };
        let step = self.record.acquire(request, Revision(1)).unwrap();
        let Step::Write(after) = step else {
            panic!("it is new");
        };
        self.record = after;
    }

    async fn join(&mut self, id: &str, mode: Mode, lease: Lease) {
        self.ask(id, mode);
        let process = Process {
            boot_id: "elsewhere".to_owned(),
            ..Process::current().clone()
        };
        let session = Session::new(process, lease);
        let key = Session::key_of(id).unwrap();
        let made = self.store.put(&key, session.to_bytes().unwrap()).await;
        let (store, mut at) = (self.store.clone(), made.unwrap());
        let late = lease.beat().mul_f64(fastrand::f64());
        let beats = async move {
            let mut session = session;
            sleep(late).await;
            loop {
                let next = session.beaten().unwrap();
                // Killed, or cut off: as a heart does, it tries again soon.
                match store.update(&key, next.to_bytes().unwrap(), at).await {
                    Ok(revision) => {
                        (session, at) = (next, revision);
                        sleep(lease.beat()).await;
                    }
                    Err(_) => sleep(lease.beat() / 8).await,
                }
            }
        };
        let beats = tokio::spawn(beats).abort_handle();
        self.hearts.push((id.to_owned(), beats));
    }

    fn stop(&self, id: &str) {
        let mut hearts = self.hearts.iter();
        let heart = hearts.find(|(heart, _)| heart == id);
        heart.unwrap().1.abort();
    }

    fn oversee(&self) -> mpsc::UnboundedReceiver<String> {
        let overseer = Overseer::new(
            Arc::clone(&self.bucket),
            OWN.to_owned(),
            Lease::default(),
            Clock::tokio(),
        );
        let (tell, dead) = mpsc::unbounded_channel();
        let (keep, records) = watch::channel(self.record.clone());
        tokio::spawn(async move {
            overseer.run(records, tell).await;
            drop(keep);
        });
        dead
    }

    async fn session(&self, id: &str) -> Session {
        let entry = self.store.get(Session::key_of(id).unwrap()).await.unwrap();
        Session::from_bytes(entry.unwrap().live_value().unwrap()).unwrap()
    }

    /// Nobody was killed but these.
    async fn the_others_live(&self, dead: &[&str]) {
        self.faults.delay(Duration::ZERO);
        for (id, _) in &self.hearts {
            let is_dead = dead.contains(&id.as_str());
            assert_eq!(self.session(id).await.dead.is_some(), is_dead, "{id}");
        }
    }
}

fn leases(count: f64) -> Duration {
    Lease::default().length().mul_f64(count)
}

/// One of many dies, with the store so far away: only that one is found out, and in time.
async fn one_of(readers: usize, distance: Duration) -> f64 {
    let place = Place::new(readers, 0, Lease::default()).await;
    place.faults.delay(distance);
    let mut dead = place.oversee();
    assert!(timeout(leases(1.5), dead.recv()).await.is_err(), "all live");
    place.stop("s_r7");
    let died = Instant::now();
    let found = timeout(leases(1.3), dead.recv()).await;
    assert_eq!(found.expect("in time").as_deref(), Some("s_r7"));
    let took = died.elapsed();
    place.the_others_live(&["s_r7"]).await;
    took.as_secs_f64() / leases(1.0).as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn one_of_many_is_found_out_in_time_however_far_the_store() {
    for (readers, distance) in [(22, 200), (33, 200), (600, 0), (1000, 200)] {
        let took = one_of(readers, Duration::from_millis(distance)).await;
        println!("{readers} readers, {distance} ms: {took:.2} leases");
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_die_together_are_found_out_together() {
    let place = Place::new(1000, 0, Lease::default()).await;
    place.faults.delay(Duration::from_millis(200));
    let mut dead = place.oversee();
    sleep(leases(2.0)).await;
    for (id, _) in &place.hearts {
        place.stop(id);
    }
    let mut found = HashSet::new();
    let all = async {
        while found.len() < place.hearts.len() {
            found.insert(dead.recv().await.unwrap());
        }
    };
    timeout(leases(1.3), all).await.expect("in time");
}

#[tokio::test(start_paused = true)]
async fn an_outage_kills_nobody() {
    for readers in [3, 100] {
        let place = Place::new(readers, 0, Lease::default()).await;
        place.faults.delay(Duration::from_millis(20));
        let mut dead = place.oversee();
        for (outage, seconds) in [5, 20, 100].into_iter().enumerate() {
            sleep(leases(1.1)).await;
            place.faults.cut();
            sleep(Duration::from_secs(seconds)).await;
            if outage == 1 {
                place.faults.restore_with_gap();
            } else {
                place.faults.restore();
            }
        }
        assert!(timeout(leases(2.0), dead.recv()).await.is_err());
        place.the_others_live(&[]).await;
        // What was seen before does not keep the dead alive.
        place.stop("s_r1");
        let found = timeout(leases(1.3), dead.recv()).await;
        assert_eq!(found.unwrap().as_deref(), Some("s_r1"));
    }
}

/// The store goes away as soon as a session has died: that one is not held to be dead for it.
#[tokio::test(start_paused = true)]
async fn silence_in_an_outage_does_not_count() {
    let place = Place::new(2, 0, Lease::default()).await;
    let mut dead = place.oversee();
    sleep(leases(2.0)).await;
    place.stop("s_r0");
    sleep(leases(0.5)).await;
    place.faults.cut();
    sleep(leases(5.0)).await;
    place.faults.restore();
    let restored = Instant::now();
    assert_eq!(dead.recv().await.as_deref(), Some("s_r0"));
    assert!(restored.elapsed() >= Lease::default().silence());
    place.the_others_live(&["s_r0"]).await;
}

/// A process that was stopped, or a machine that slept, has not heard the beats of others.
#[tokio::test(start_paused = true)]
async fn who_was_stopped_itself_kills_nobody() {
    for readers in [3, 40] {
        let place = Place::new(readers, 0, Lease::default()).await;
        place.faults.delay(Duration::from_millis(20));
        let mut dead = place.oversee();
        for _ in 0..5 {
            sleep(leases(0.7)).await;
            tokio::time::advance(leases(3.0)).await;
        }
        assert!(timeout(leases(2.0), dead.recv()).await.is_err());
        place.the_others_live(&[]).await;
    }
}

/// A read that fails now and then is no outage where others are answered.
#[tokio::test(start_paused = true)]
async fn a_failing_read_among_others_hides_no_death() {
    let place = Place::new(20, 0, Lease::default()).await;
    let mut dead = place.oversee();
    sleep(leases(2.0)).await;
    let faults = place.faults.clone();
    let failing = tokio::spawn(async move {
        loop {
            faults.fail_reads(1);
            sleep(Duration::from_secs(2)).await;
        }
    });
    place.stop("s_r3");
    let found = timeout(leases(1.3), dead.recv()).await;
    assert_eq!(found.unwrap().as_deref(), Some("s_r3"));
    failing.abort();
}

/// Leases are those of the ones that are watched over, whatever one's own.
#[tokio::test(start_paused = true)]
async fn each_is_judged_by_its_own_lease() {
    for seconds in [1, 60, 600] {
        let lease = Lease::new(Duration::from_secs(seconds)).unwrap();
        let place = Place::new(3, 0, lease).await;
        let mut dead = place.oversee();
        assert!(timeout(lease.length() * 4, dead.recv()).await.is_err());
        place.stop("s_r0");
        let died = Instant::now();
        assert_eq!(dead.recv().await.as_deref(), Some("s_r0"));
        let took = died.elapsed();
        assert!(took > lease.length() * 3 / 4 && took < lease.length() * 13 / 10);
        place.the_others_live(&["s_r0"]).await;
    }
}

/// The first who waits lives, and looks after nobody.
#[tokio::test(start_paused = true)]
async fn others_do_the_duty_of_one_who_does_not() {
    for (readers, neglectful) in [(1, 1), (3, 2), (40, 1)] {
        let place = Place::new(readers, neglectful, Lease::default()).await;
        let mut dead = place.oversee();
        place.stop("s_r0");
        let neglectful = u32::try_from(neglectful).unwrap();
        let within = leases(3.0) * neglectful + leases(1.3);
        let found = timeout(within, dead.recv()).await;
        assert_eq!(found.expect("in time").as_deref(), Some("s_r0"));
        place.the_others_live(&["s_r0"]).await;
    }
}

/// A long lease runs out although it is only looked at now and then.
#[tokio::test(start_paused = true)]
async fn who_looks_seldom_sees_long_silences_too() {
    let mut place = Place::new(0, 0, Lease::default()).await;
    place.record = Record::default();
    let long = Lease::new(Duration::from_secs(120)).unwrap();
    place.join("s_long", Mode::Write, long).await;
    place.join("s_first", Mode::Write, Lease::default()).await;
    place.ask(OWN, Mode::Write);
    let mut dead = place.oversee();
    sleep(leases(3.0)).await;
    place.stop("s_long");
    let found = timeout(long.silence() + leases(6.0), dead.recv()).await;
    assert_eq!(found.expect("in time").as_deref(), Some("s_long"));
    place.the_others_live(&["s_long"]).await;
}

/// The holder's record is taken away by hand: its guards are valid for as long as its lease says.
#[tokio::test(start_paused = true)]
async fn a_record_that_vanishes_does_not_shorten_a_lease() {
    let lease = Lease::new(Duration::from_secs(600)).unwrap();
    let place = Place::new(1, 0, lease).await;
    let mut dead = place.oversee();
    sleep(leases(1.0)).await;
    place.stop("s_r0");
    let key = Session::key_of("s_r0").unwrap();
    place.store.purge(&key, None).await.unwrap();
    let vanished = Instant::now();
    assert_eq!(dead.recv().await.as_deref(), Some("s_r0"));
    let took = vanished.elapsed();
    assert!(took >= lease.silence() && took < lease.length() * 13 / 10);
}

/// Who watches many is told of one that vanishes, or dies by another's hand, as well.
#[tokio::test(start_paused = true)]
async fn a_death_by_another_hand_is_heard_of_at_once() {
    let place = Place::new(100, 0, Lease::default()).await;
    let mut dead = place.oversee();
    sleep(leases(2.0)).await;
    for (id, why) in [("s_r5", Cause::Ended), ("s_r6", Cause::Broken)] {
        place.stop(id);
        let key = Session::key_of(id).unwrap();
        let died = Instant::now();
        let killed = place.session(id).await.killed(why, "other").unwrap();
        place
            .store
            .put(&key, killed.to_bytes().unwrap())
            .await
            .unwrap();
        while dead.recv().await.as_deref() != Some(id) {}
        let took = died.elapsed();
        let quarantine = match why {
            Cause::Broken => Lease::default().silence(),
            _ => Duration::ZERO,
        };
        assert!(
            took >= quarantine && took < quarantine + leases(0.1),
            "{took:?}"
        );
    }
}
