//! The filter over values of an open bucket: which query, and how far it has looked.

use crate::query::Query;
use crate::ui::index::KeyIndex;
use crate::ui::message::{Sifted, WatchId};
use crate::ui::shown;
use crate::ui::text::figures;

/// A filter over values, while it is on.
#[derive(Debug)]
pub(super) struct Sifting {
    /// The watch that tells of what matches.
    pub(super) id: WatchId,
    query: Query,
    /// All keys: what is shown is another index, of those that match.
    pub(super) whole: KeyIndex,
    looked: u64,
    unfit: u64,
    stopped: u64,
    /// Why it looks no further.
    ended: Option<String>,
}

impl Sifting {
    pub(super) fn new(id: WatchId, query: Query, whole: KeyIndex) -> Self {
        Self {
            id,
            query,
            whole,
            looked: 0,
            unfit: 0,
            stopped: 0,
            ended: None,
        }
    }

    /// Takes in how far it has looked.
    pub(super) fn note(&mut self, sifted: &Sifted) {
        self.looked = sifted.looked;
        self.unfit = sifted.unfit;
        self.stopped = sifted.stopped;
    }

    /// It looks no further.
    pub(super) fn end(&mut self, reason: String) {
        self.ended = Some(reason);
    }

    /// How far it has looked, in words; `is_loading` until all that was there has been looked at.
    pub(super) fn words(&self, found: usize, is_loading: bool) -> String {
        let mut words = vec![figures::count(found as u64) + " found"];
        if is_loading || self.ended.is_some() {
            let all = figures::count(self.whole.counts().live as u64);
            words.push(format!(
                "{} of {all} looked at",
                figures::count(self.looked)
            ));
        }
        if self.ended.is_some() {
            words.push("stopped".to_owned());
        }
        if self.unfit > 0 {
            words.push(format!("{} unfit", figures::count(self.unfit)));
        }
        if self.stopped > 0 {
            words.push(format!("{} took too long", figures::count(self.stopped)));
        }
        // The longest last: it is what is cut off.
        words.push(format!("where {}", shown::plain(self.query.as_str())));
        words.join(" · ")
    }
}
