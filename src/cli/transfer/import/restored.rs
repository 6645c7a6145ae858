//! An import that puts entries in place as they were: batch after batch, each all or nothing.

use super::super::reader::Lines;
use super::{Import, ImportError};
use crate::kv::{Entry, Revision, Store};

/// How many entries are restored at once, and how many bytes of values, give or take one.
const RESTORED: usize = 4096;
const RESTORED_BYTES: usize = 8 << 20;

impl Import<'_> {
    /// Puts the entries in place with their revisions and times, one transaction after the other.
    pub(super) async fn restore(
        &mut self,
        lines: &mut Lines,
        store: &Store,
        last: Revision,
        dry: bool,
    ) {
        let (mut batch, mut bytes) = (Vec::<Entry>::new(), 0);
        loop {
            let next = self.next_entry();
            let is_over = next.is_none() && {
                self.queue.extend(lines.next().await);
                self.queue.is_empty() || self.stop.is_some()
            };
            match next {
                Some((line, told))
                    if told.revision == Revision::ABSENT || told.created.is_none() =>
                {
                    self.stop = Some(ImportError::Line {
                        name: self.name.clone(),
                        line,
                        reason: "it has no revision or no time, which --exact would keep"
                            .to_owned(),
                    });
                }
                Some((_, told)) if told.revision <= last => self.counts.same += 1,
                Some((_, told)) => {
                    bytes += told.value.len();
                    batch.push(told.into_entry());
                }
                None => {}
            }
            if batch.len() >= RESTORED || bytes >= RESTORED_BYTES || is_over {
                let count = batch.len() as u64;
                let full = std::mem::take(&mut batch);
                let key = full.first().map(|entry| entry.key.clone());
                if let Some(key) = key
                    && !dry
                    && let Err(error) = store.backend().restore(full).await
                {
                    self.stop = Some(ImportError::Write {
                        name: self.name.clone(),
                        line: self.line,
                        key,
                        error: error.into(),
                    });
                    return;
                }
                self.counts.written += count;
                self.progress.add(count);
                bytes = 0;
            }
            if is_over {
                return;
            }
        }
    }
}
