//! A store that is only told of: one place to write records by hand, by a clock that is set.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use std::sync::Arc;

use super::super::{Feed, Lock, Now, Picture, Report};
use crate::kv::lock::diagnosis::Thresholds;
use crate::kv::lock::key_of;
use crate::kv::lock::lease::Lease;
use crate::kv::lock::record::Mode;
use crate::kv::lock::session::{Cause, Process, Session};
use crate::kv::lock::shizuku::{Shizuku, ShizukuMode};
use crate::kv::{BucketName, Entry, Interruption, Key, Operation, Revision, WatchEvent};

/// A claim, as it is to be written down.
#[derive(Clone)]
pub(super) struct Q {
    id: String,
    session: &'static str,
    mode: Mode,
    is_held: bool,
    owner: &'static str,
    label: &'static str,
    asked: u64,
    is_fenced_by_this_write: bool,
}

pub(super) fn held(session: &'static str, mode: Mode) -> Q {
    Q {
        id: format!("{session}-held"),
        session,
        mode,
        is_held: true,
        owner: "task-1",
        label: "job",
        asked: 0,
        is_fenced_by_this_write: false,
    }
}

pub(super) fn waits(session: &'static str, mode: Mode) -> Q {
    Q {
        id: format!("{session}-wait"),
        is_held: false,
        ..held(session, mode)
    }
}

impl Q {
    pub(super) fn owner(self, owner: &'static str) -> Self {
        let id = format!("{}-{owner}", self.id);
        Self { id, owner, ..self }
    }

    pub(super) fn label(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    pub(super) fn id(self, id: &str) -> Self {
        let id = id.to_owned();
        Self { id, ..self }
    }

    /// When it asked, by its own clock: seconds since 1970.
    pub(super) fn asked(self, asked: u64) -> Self {
        Self { asked, ..self }
    }

    pub(super) fn fence_of_this_write(self) -> Self {
        Self {
            is_fenced_by_this_write: true,
            ..self
        }
    }
}

/// The record of these claims.
pub(super) fn record(queue: &[Q], revision: u64) -> String {
    let mut claims = String::new();
    for (ticket, claim) in queue.iter().enumerate() {
        let comma = if ticket == 0 { "" } else { "," };
        let mode = match claim.mode {
            Mode::Read => "r",
            Mode::Write => "w",
        };
        let fence = if claim.is_fenced_by_this_write {
            revision
        } else {
            1
        };
        let state = if claim.is_held {
            format!("\"s\":\"held\",\"fence\":{fence}")
        } else {
            "\"s\":\"wait\"".to_owned()
        };
        let (id, sid, own, label) = (&claim.id, claim.session, claim.owner, claim.label);
        let asked = claim.asked * 1000;
        write!(
            claims,
            "{comma}{{\"id\":\"{id}\",\"sid\":\"{sid}\",\"k\":\"{mode}\",{state},\
             \"tkt\":{ticket},\"own\":\"{own}\",\"label\":\"{label}\",\"t_ms\":{asked}}}"
        )
        .unwrap();
    }
    format!("{{\"v\":1,\"next\":{},\"q\":[{claims}]}}", queue.len())
}

/// The session of that name, so many beats old.
pub(super) fn session(id: &str, beat: u64) -> Session {
    let number = id.trim_start_matches('s').parse().unwrap();
    let process = Process {
        host: format!("host-{id}"),
        boot_id: "another machine".to_owned(),
        pid: number,
        pidns: 1,
        start: u64::from(number),
    };
    let mut session = Session::new(process, Lease::default());
    session.beat = beat;
    session
}

/// A picture, and the store that it is told of.
pub(super) struct Scene {
    pub(super) picture: Picture,
    pub(super) boot: Duration,
    bucket: BucketName,
    revision: u64,
    /// How far the store's clock is ahead of ours.
    before: Duration,
    skew: i64,
    told: HashSet<String>,
}

impl Scene {
    /// At the beginning of all time, with one bucket.
    pub(super) fn new() -> Self {
        let bucket = BucketName::new("test").unwrap();
        let mut picture = Picture::new(Thresholds::default(), false);
        picture.add(&bucket, true);
        Self {
            picture,
            boot: Duration::ZERO,
            bucket,
            revision: 100,
            before: Duration::ZERO,
            skew: 0,
            told: HashSet::new(),
        }
    }

    /// Goes on in another bucket.
    pub(super) fn in_bucket(&mut self, bucket: &str) {
        self.bucket = BucketName::new(bucket).unwrap();
        self.picture.add(&self.bucket, true);
    }

    /// This machine's time of day is so many seconds from the store's.
    pub(super) fn skew(&mut self, seconds: i64) {
        self.skew = seconds;
    }

    fn event(&mut self, feed: Feed, event: WatchEvent) {
        self.picture.event(&self.bucket, feed, event, self.boot);
    }

    fn entry(&mut self, key: &Key, operation: Operation, value: Bytes) -> Entry {
        self.revision += 2;
        Entry {
            key: key.clone(),
            revision: Revision(self.revision),
            created: OffsetDateTime::UNIX_EPOCH + self.before + self.boot,
            operation,
            size: value.len() as u64,
            value: Some(value),
            ttl: None,
            expires: None,
        }
    }

    fn put(&mut self, feed: Feed, key: &Key, value: Bytes) {
        let entry = self.entry(key, Operation::Put, value);
        self.event(feed, WatchEvent::Entry(entry));
    }

    pub(super) fn lock(&mut self, resource: &str, queue: &[Q]) {
        let text = record(queue, self.revision + 2);
        self.text(resource, &text);
    }

    /// The same, where so many writers had their turn that the readers are next.
    pub(super) fn lock_at_readers_turn(&mut self, resource: &str, queue: &[Q]) {
        let text = record(queue, self.revision + 2);
        let text = text.replacen("\"q\"", "\"max_streak\":1,\"streak\":1,\"q\"", 1);
        self.text(resource, &text);
    }

    pub(super) fn text(&mut self, resource: &str, text: &str) {
        let value = Bytes::from(text.to_owned());
        self.put(Feed::Locks, &key_of(resource).unwrap(), value);
    }

    pub(super) fn remove(&mut self, resource: &str) {
        let entry = self.entry(&key_of(resource).unwrap(), Operation::Delete, Bytes::new());
        self.event(Feed::Locks, WatchEvent::Entry(entry));
    }

    pub(super) fn session(&mut self, id: &'static str) -> &mut Self {
        self.beat(id);
        self
    }

    pub(super) fn sessions(&mut self, ids: &[&'static str]) {
        for id in ids {
            self.beat(id);
        }
    }

    pub(super) fn beat(&mut self, id: &str) {
        let bytes = session(id, self.revision).to_bytes().unwrap();
        self.told.insert(id.to_owned());
        self.put(Feed::Sessions, &Session::key_of(id).unwrap(), bytes.into());
    }

    pub(super) fn was_told(&self, id: &str) -> bool {
        self.told.contains(id)
    }

    pub(super) fn kill(&mut self, id: &str, why: Cause) {
        let dead = session(id, self.revision).killed(why, "killer").unwrap();
        self.told.insert(id.to_owned());
        let bytes = dead.to_bytes().unwrap();
        self.put(Feed::Sessions, &Session::key_of(id).unwrap(), bytes.into());
    }

    /// A session's record is deleted.
    pub(super) fn forget(&mut self, id: &str) {
        let entry = self.entry(
            &Session::key_of(id).unwrap(),
            Operation::Purge,
            Bytes::new(),
        );
        self.event(Feed::Sessions, WatchEvent::Entry(entry));
    }

    pub(super) fn gone(&mut self, id: &str) {
        self.picture.gone(&self.bucket, id);
    }

    /// A key of another service, and what is read there.
    pub(super) fn foreign(&mut self, key: &str, value: &[u8]) {
        let key = Key::new(key).unwrap();
        let entry = self.entry(&key, Operation::Put, Bytes::copy_from_slice(value));
        let without = Entry {
            value: None,
            ..entry.clone()
        };
        self.event(Feed::Others, WatchEvent::Entry(without));
        for (bucket, wanted) in self.picture.take_wanted() {
            assert_eq!(wanted, key);
            let entry = Some(entry.clone());
            self.picture.read(&bucket, &wanted, entry, self.boot);
        }
    }

    /// A lock of a `shizuku` service at `a`, so many seconds old, acquired at that time.
    pub(super) fn shizuku(
        &mut self,
        mode: ShizukuMode,
        readers: u64,
        writer_waits: bool,
        age: u64,
        acquired: i64,
    ) {
        // The beginning of all time would be a zeroed time.
        self.boot = Duration::from_secs(86_400);
        let acquired = 86_400_i64.saturating_add(acquired).max(0);
        let lock = Shizuku {
            mode,
            writer_waits,
            readers,
            acquired_at: Some(u64::try_from(acquired).unwrap()),
        };
        self.foreign("a", &lock.to_bytes());
        self.ready();
        self.pass(age);
    }

    pub(super) fn ready(&mut self) {
        for feed in [Feed::Locks, Feed::Sessions, Feed::Others] {
            self.event(feed, WatchEvent::Ready);
        }
    }

    pub(super) fn interrupt(&mut self, cause: &Interruption) {
        for feed in [Feed::Locks, Feed::Sessions, Feed::Others] {
            let cause = cause.clone();
            self.event(feed, WatchEvent::Interrupted { cause });
        }
    }

    pub(super) fn resume(&mut self, gap: bool) {
        for feed in [Feed::Locks, Feed::Sessions, Feed::Others] {
            self.event(feed, WatchEvent::Resumed { gap });
        }
    }

    /// The store forgets its newest revisions.
    pub(super) fn roll_back(&mut self) {
        self.revision = 10;
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.boot += Duration::from_secs(seconds);
    }

    /// Time passes before we look: what was told was from then.
    pub(super) fn pass_untold(&mut self, seconds: u64) {
        self.before += Duration::from_secs(seconds);
    }

    /// Time passes while these sessions go on beating.
    pub(super) fn pass_beating(&mut self, seconds: u64, ids: &[&'static str]) {
        for second in 1..=seconds {
            self.pass(1);
            if second % 2 == 0 {
                self.sessions(ids);
            }
        }
    }

    fn now(&self) -> Now {
        let store = OffsetDateTime::UNIX_EPOCH + self.before + self.boot;
        Now {
            boot: self.boot,
            wall: store + time::Duration::seconds(self.skew),
        }
    }

    pub(super) fn report(&self) -> Report {
        self.picture.whole_report(self.now())
    }

    /// What is told when only news is judged.
    pub(super) fn refresh(&mut self) -> Report {
        self.picture.report(self.now())
    }

    #[track_caller]
    pub(super) fn lock_named(&self, resource: &str) -> Arc<Lock> {
        let locks = self.report().locks;
        locks
            .into_iter()
            .find(|lock| lock.resource == resource)
            .expect("the lock")
    }
}
