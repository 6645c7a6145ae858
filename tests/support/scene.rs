//! Locks as data: records at times of the test's own, judged by the engine's own picture.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::lock::diagnosis::Thresholds;
use kvscope::kv::lock::key_of;
use kvscope::kv::lock::observer::{Feed, Now, Picture};
use kvscope::kv::lock::session::Session;
use kvscope::kv::{BucketName, Entry, Interruption, Key, Operation, Revision, WatchEvent};
use kvscope::ui::message::{LockReport, Message};
use time::OffsetDateTime;

use super::planted::Planted;

/// How long the machine has been up.
const BOOT: Duration = Duration::from_secs(1_000_000);

/// A bucket's locks and sessions, each written so many seconds before now.
pub(crate) struct Scene {
    bucket: BucketName,
    /// The time of day, in milliseconds since 1970.
    now: i64,
    steps: Vec<(u64, BucketName, Feed, Key, Vec<u8>)>,
    buckets: Vec<BucketName>,
    interrupted: Vec<(u64, BucketName)>,
}

/// A claim of a lock's record.
pub(crate) struct Claim {
    session: String,
    mode: char,
    fence: Option<u64>,
    owner: String,
    label: String,
}

/// One who holds.
pub(crate) fn held(session: &str, mode: char, fence: u64, label: &str) -> Claim {
    Claim {
        session: session.to_owned(),
        mode,
        fence: Some(fence),
        owner: format!("task-{session}"),
        label: label.to_owned(),
    }
}

/// One who waits.
pub(crate) fn waits(session: &str, mode: char, label: &str) -> Claim {
    Claim {
        fence: None,
        ..held(session, mode, 0, label)
    }
}

impl Scene {
    pub(crate) fn new(now: i64) -> Self {
        let bucket = BucketName::new("locks").unwrap();
        Self {
            buckets: vec![bucket.clone()],
            bucket,
            now,
            steps: Vec::new(),
            interrupted: Vec::new(),
        }
    }

    /// Goes on in another bucket.
    pub(crate) fn bucket(&mut self, name: &str) -> &mut Self {
        self.bucket = BucketName::new(name).unwrap();
        self.buckets.push(self.bucket.clone());
        self
    }

    /// A process with a session, and how long ago it was seen to beat.
    pub(crate) fn session(&mut self, id: &str, host: &str, pid: u32, beats: &[u64]) -> &mut Self {
        for (beat, ago) in (1..).zip(beats) {
            self.session_is(id, host, pid, beat, "", *ago);
        }
        self
    }

    /// The session was killed.
    pub(crate) fn killed(
        &mut self,
        id: &str,
        host: &str,
        pid: u32,
        why: &str,
        ago: u64,
    ) -> &mut Self {
        let dead = format!(r#","dead":{{"why":"{why}","by":"ops@desk"}}"#);
        self.session_is(id, host, pid, 99, &dead, ago)
    }

    fn session_is(
        &mut self,
        id: &str,
        host: &str,
        pid: u32,
        beat: u64,
        dead: &str,
        ago: u64,
    ) -> &mut Self {
        let value = format!(
            r#"{{"v":1,"host":{},"boot_id":"another machine","pid":{pid},"pidns":1,"start":{pid},"lease_ms":15000,"beat":{beat}{dead}}}"#,
            serde_json::to_string(host).unwrap()
        );
        let key = Session::key_of(id).unwrap();
        self.step(ago, Feed::Sessions, key, value.into_bytes())
    }

    /// A lock's record, so long ago.
    pub(crate) fn lock(&mut self, resource: &str, ago: u64, claims: &[Claim]) -> &mut Self {
        let claims: Vec<String> = claims
            .iter()
            .enumerate()
            .map(|(ticket, claim)| {
                let state = match claim.fence {
                    Some(fence) => format!(r#""s":"held","fence":{fence}"#),
                    None => r#""s":"wait""#.to_owned(),
                };
                format!(
                    r#"{{"id":"c{ticket}","sid":{sid},"k":"{mode}",{state},"tkt":{ticket},"own":{own},"label":{label},"t_ms":0}}"#,
                    sid = serde_json::to_string(&claim.session).unwrap(),
                    mode = claim.mode,
                    own = serde_json::to_string(&claim.owner).unwrap(),
                    label = serde_json::to_string(&claim.label).unwrap(),
                )
            })
            .collect();
        let next = claims.len();
        let value = format!(r#"{{"v":1,"next":{next},"q":[{}]}}"#, claims.join(","));
        let key = key_of(resource).unwrap();
        self.step(ago, Feed::Locks, key, value.into_bytes())
    }

    /// What stands where a lock's record belongs.
    pub(crate) fn record(&mut self, resource: &str, ago: u64, value: &str) -> &mut Self {
        let key = key_of(resource).unwrap();
        self.step(ago, Feed::Locks, key, value.as_bytes().to_vec())
    }

    /// A record of a `shizuku` service.
    pub(crate) fn shizuku(
        &mut self,
        key: &str,
        flags: u8,
        readers: u64,
        acquired: u64,
        ago: u64,
    ) -> &mut Self {
        let mut value = vec![flags];
        value.extend(readers.to_be_bytes());
        let at = match acquired {
            0 => 0,
            ago => u64::try_from(self.now / 1000).unwrap() - ago,
        };
        value.extend(at.to_be_bytes());
        self.step(ago, Feed::Others, Key::new(key).unwrap(), value)
    }

    /// The bucket's watches were interrupted so long ago.
    pub(crate) fn interrupt(&mut self, ago: u64) -> &mut Self {
        self.interrupted.push((ago, self.bucket.clone()));
        self
    }

    fn step(&mut self, ago: u64, feed: Feed, key: Key, value: Vec<u8>) -> &mut Self {
        self.steps
            .push((ago, self.bucket.clone(), feed, key, value));
        self
    }

    /// Plants the past of the locks, for whoever reads it.
    pub(crate) fn plant(&self, planted: &Planted) {
        let mut steps: Vec<_> = self.steps.iter().collect();
        steps.sort_by_key(|step| std::cmp::Reverse(step.0));
        for (ago, bucket, feed, key, value) in steps {
            if *feed == Feed::Locks {
                let at = self.now - i64::try_from(*ago).unwrap() * 1000;
                planted.plant(bucket.as_str(), key.as_str(), value, at);
            }
        }
    }

    /// What the console is told of all that.
    pub(crate) fn message(&self) -> Message {
        Message::Locks(Arc::new(self.report()))
    }

    fn report(&self) -> LockReport {
        let mut picture = Picture::new(Thresholds::default(), false);
        let longest = self.steps.iter().map(|step| step.0).max().unwrap_or(0);
        let begun = BOOT.saturating_sub(Duration::from_secs(longest + 1));
        for bucket in &self.buckets {
            picture.add(bucket, true);
            for feed in [Feed::Locks, Feed::Sessions, Feed::Others] {
                picture.event(bucket, feed, WatchEvent::Ready, begun);
            }
        }
        let mut order: Vec<usize> = (0..self.steps.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(self.steps[*at].0));
        let wall = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.now) * 1_000_000);
        let wall = wall.unwrap();
        for (revision, at) in (9_000..).zip(order) {
            let (ago, bucket, feed, key, value) = &self.steps[at];
            let ago = Duration::from_secs(*ago);
            let entry = Entry {
                key: key.clone(),
                revision: Revision(revision),
                created: wall - ago,
                operation: Operation::Put,
                size: value.len() as u64,
                value: Some(value.clone().into()),
                ttl: None,
                expires: None,
            };
            match feed {
                Feed::Others => {
                    let told = Entry {
                        value: None,
                        ..entry.clone()
                    };
                    picture.event(
                        bucket,
                        *feed,
                        WatchEvent::Entry(told),
                        BOOT.saturating_sub(ago),
                    );
                    picture.take_wanted();
                    picture.read(bucket, key, Some(entry), BOOT.saturating_sub(ago));
                }
                _ => picture.event(
                    bucket,
                    *feed,
                    WatchEvent::Entry(entry),
                    BOOT.saturating_sub(ago),
                ),
            }
        }
        for (ago, bucket) in &self.interrupted {
            for feed in [Feed::Locks, Feed::Sessions, Feed::Others] {
                let cause = Interruption::Disconnected;
                let at = BOOT.saturating_sub(Duration::from_secs(*ago));
                picture.event(bucket, feed, WatchEvent::Interrupted { cause }, at);
            }
        }
        LockReport {
            report: picture.report(Now { boot: BOOT, wall }),
            at: self.now,
            boot: BOOT,
        }
    }
}
