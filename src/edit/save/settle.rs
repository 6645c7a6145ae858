//! What a look at a key says about a write of ours.

use crate::kv::backend::Change;
use crate::kv::{Entry, Operation, Revision};

use super::{Base, Look};

/// What is known of writes on a revision after a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The key is still at the revision: none of them is there so far.
    Untouched,
    /// This one of them came right after the revision; what the key holds now.
    Landed {
        which: usize,
        revision: Revision,
        newest: Base,
    },
    /// Something else came right after the revision: none of them is there, or ever will be.
    Refused(Base),
    /// What is kept does not reach back to the revision, and the key holds now what this one wanted.
    HoldsTheSame { which: usize, newest: Base },
    /// What is kept does not reach back to the revision.
    Unclear(Base),
}

/// Judges writes that expected a revision. One that landed is the very next entry after it: the
/// store takes no other.
pub(super) fn judge(base: Revision, writes: &[Change], look: &Look) -> Verdict {
    let mut entries: Vec<&Entry> = look.history.iter().chain(&look.newest).collect();
    entries.sort_by_key(|entry| entry.revision);
    let newest = Base::of(entries.last().copied());
    if newest.revision == base {
        return Verdict::Untouched;
    }
    let reaches_back = entries.iter().any(|entry| entry.revision == base);
    let first = entries.iter().find(|entry| entry.revision > base);
    let landed = first.and_then(|first| {
        let which = writes.iter().position(|write| is_made_by(first, write));
        Some((which?, first.revision))
    });
    // Where nothing was before, it can't be told whether the oldest that is kept is the first.
    match landed {
        Some((which, revision)) if reaches_back => Verdict::Landed {
            which,
            revision,
            newest,
        },
        _ if reaches_back => Verdict::Refused(newest),
        _ => {
            let last = entries.last();
            let same = |last: &&Entry| writes.iter().position(|write| is_made_by(last, write));
            match last.and_then(same) {
                Some(which) => Verdict::HoldsTheSame { which, newest },
                None => Verdict::Unclear(newest),
            }
        }
    }
}

/// Whether an entry is what a change makes of its key.
pub(super) fn is_made_by(entry: &Entry, change: &Change) -> bool {
    match change {
        Change::Put(value) => entry.live_value() == Some(value),
        Change::Delete => entry.operation == Operation::Delete,
        Change::Purge => entry.operation == Operation::Purge,
    }
}
