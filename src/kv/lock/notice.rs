//! What whoever changed a lock's record tells those who would wait for the news: beside the record,
//! at once, and to them alone.
//!
//! The record is the truth and the watch tells of it. But at a lock that many want a watch wakes all
//! of them at every change, for one to act; so they are content with a notice while they wait. It is
//! a hint like any other: nothing is lost with it but time.
//!
//! Whoever asks again right after it has let go has its claim added by the one whom it has let in,
//! with the write that this one makes anyway when it lets go in turn: see [`Line::entrust`].
//!
//! [`Line::entrust`]: super::line::Line::entrust

use std::collections::{BTreeSet, HashMap};

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::record::{Claim, Mode, Record, Request, State};
use crate::kv::backend::BucketBackend;
use crate::kv::{Key, Revision};

/// The version that is sent, and the only one that is heard.
const VERSION: u64 = 1;
/// The most bytes that one change is told with. Beyond that it is told without the record.
const MOST_BYTES: usize = 256 << 10;

/// That a lock's record was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// Where the record stands.
    pub(super) key: Key,
    /// The revision of the write.
    pub(super) revision: Revision,
    /// What was written; `None` where it was too much to tell to so many.
    pub(super) record: Option<Bytes>,
    /// Claims that the one who is told is to add when it writes on this revision.
    pub(super) requests: Vec<Request>,
}

/// The first line; the record follows.
#[derive(Serialize, Deserialize)]
struct Head {
    v: u64,
    key: String,
    rev: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ask: Vec<Request>,
}

impl Notice {
    fn to_bytes(&self) -> Option<Bytes> {
        let head = Head {
            v: VERSION,
            key: self.key.to_string(),
            rev: self.revision.0,
            ask: self.requests.clone(),
        };
        let mut bytes = BytesMut::from(&*serde_json::to_vec(&head).ok()?);
        bytes.put_u8(b'\n');
        bytes.put_slice(self.record.as_deref().unwrap_or_default());
        Some(bytes.freeze())
    }

    /// The notice that these bytes are. What is none is nothing to worry about.
    pub(super) fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        let record = bytes.slice(end + 1..);
        (head.v == VERSION).then(|| Self {
            key: Key::from_stored(head.key),
            revision: Revision(head.rev),
            record: (!record.is_empty()).then_some(record),
            requests: head.ask,
        })
    }
}

/// A write of a record that landed, to be told of.
#[derive(Debug)]
pub(super) struct News {
    sessions: BTreeSet<String>,
    revision: Revision,
    record: Bytes,
    requests: Vec<Request>,
}

impl News {
    /// What a write that landed is to those whom it lets in and those whom it adds; or else to the
    /// writer who holds, so that it knows the record that it will write over. `record` is `after` as
    /// it was written.
    pub(super) fn of(before: &Record, after: &Record, record: Bytes, revision: Revision) -> Self {
        let states = before
            .claims()
            .iter()
            .map(|claim| (claim.id.as_str(), claim.state));
        let states: HashMap<&str, State> = states.collect();
        let is_news = |claim: &&Claim| states.get(claim.id.as_str()) != Some(&claim.state);
        let session = |claim: &Claim| claim.session.clone();
        let changed = after.claims().iter().filter(is_news);
        let writers = after.holders().filter(|claim| claim.mode == Mode::Write);
        Self {
            sessions: changed.chain(writers).map(session).collect(),
            revision,
            record,
            requests: Vec::new(),
        }
    }

    /// Also to ask the one who is told to add these claims.
    pub(super) fn ask(&mut self, requests: Vec<Request>) {
        self.requests = requests;
    }

    /// With what was to be told of an earlier write, and was not.
    pub(super) fn after(mut self, earlier: Option<Self>) -> Self {
        self.sessions
            .extend(earlier.into_iter().flat_map(|news| news.sessions));
        self
    }

    /// Tells it to all but the one whose news it is.
    pub(super) async fn tell(mut self, bucket: &dyn BucketBackend, key: &Key, own: &str) {
        self.sessions.remove(own);
        let is_small = self.record.len() * self.sessions.len() <= MOST_BYTES;
        let notice = Notice {
            key: key.clone(),
            revision: self.revision,
            record: is_small.then_some(self.record),
            requests: self.requests,
        };
        let Some(notice) = notice.to_bytes() else {
            return;
        };
        for session in &self.sessions {
            bucket.notify(session, notice.clone()).await;
        }
    }
}
