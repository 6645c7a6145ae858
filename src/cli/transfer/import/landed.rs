//! An import that writes: many lines under way at once, those of one key one after the other.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior};

use super::super::landing::{Landing, Outcome, Why};
use super::super::line::Told;
use super::super::ranges::Ranges;
use super::super::reader::Lines;
use super::super::resume::Resume;
use super::told::LeftRecord;
use super::{Import, ImportError};
use crate::cli::error::CliError;
use crate::cli::watch::interruption;
use crate::kv::{Key, WriteError};

/// How many writes are under way at once, and how many bytes of values, give or take one.
const FLYING: usize = 1024;
const FLYING_BYTES: usize = 16 << 20;
/// How often it is kept how far it got.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// A line on its way, or home.
struct Flight {
    line: u64,
    told: Told,
    end: Result<Outcome, WriteError>,
}

impl Import<'_> {
    /// Writes the entries, many at once.
    pub(super) async fn land(
        &mut self,
        lines: &mut Lines,
        landing: Landing,
        resume: Option<&Resume>,
    ) -> Result<(), CliError> {
        let landing = Arc::new(landing);
        let mut flying: FuturesUnordered<BoxFuture<'static, Flight>> = FuturesUnordered::new();
        let (mut numbers, mut keys, mut bytes) = (BTreeSet::new(), HashSet::new(), 0);
        // The line that waits for an earlier one of its key.
        let mut waiting: Option<(u64, Told)> = None;
        let mut is_read = false;
        let interrupted = interruption()?;
        tokio::pin!(interrupted);
        let mut keep = tokio::time::interval_at(Instant::now() + KEEP_EVERY, KEEP_EVERY);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while flying.len() < FLYING && bytes < FLYING_BYTES && self.stop.is_none() {
                let Some((line, told)) = waiting.take().or_else(|| self.next_entry()) else {
                    break;
                };
                if !keys.insert(told.key.clone()) {
                    waiting = Some((line, told));
                    break;
                }
                numbers.insert(line);
                bytes += told.value.len();
                let landing = Arc::clone(&landing);
                flying.push(Box::pin(async move {
                    let end = landing.land(&told).await;
                    Flight { line, told, end }
                }));
            }
            let wants_lines =
                !is_read && self.stop.is_none() && waiting.is_none() && self.queue.is_empty();
            if flying.is_empty() && !wants_lines && (self.stop.is_some() || waiting.is_none()) {
                break;
            }
            tokio::select! {
                biased;
                () = &mut interrupted, if self.stop.is_none() => {
                    self.stop = Some(ImportError::Interrupted { line: 0 });
                }
                Some(flight) = flying.next(), if !flying.is_empty() => {
                    keys.remove(&flight.told.key);
                    bytes -= flight.told.value.len();
                    let line = flight.line;
                    if self.landed(flight, &landing) {
                        numbers.remove(&line);
                        if resume.is_some() {
                            self.beyond.insert(line);
                        }
                    }
                }
                batch = lines.next(), if wants_lines => {
                    is_read = batch.is_empty();
                    self.queue.extend(batch);
                }
                _ = keep.tick(), if resume.is_some() => {
                    if let Some(resume) = resume {
                        let done = done(&numbers, waiting.as_ref(), self.line);
                        self.keep(resume, done, &ours_of(&landing));
                    }
                }
            }
        }
        let done = done(&numbers, waiting.as_ref(), self.line);
        if let Some(resume) = resume {
            self.keep(resume, done, &ours_of(&landing));
        }
        if let Some(ImportError::Interrupted { line }) = &mut self.stop {
            *line = done;
        }
        Ok(())
    }

    /// Takes in what became of a line; says whether it is done.
    fn landed(&mut self, flight: Flight, landing: &Landing) -> bool {
        let Flight { line, told, end } = flight;
        let outcome = match end {
            Ok(outcome) => outcome,
            Err(error) => {
                self.failed(line, told.key, error);
                return false;
            }
        };
        self.progress.add(1);
        let counts = &mut self.counts;
        match outcome {
            Outcome::Written => {
                counts.written += 1;
                if !landing.keeps_ttl && told.lifetime().is_some() {
                    counts.without_ttl += 1;
                }
            }
            Outcome::Same => counts.same += 1,
            Outcome::Expired => counts.expired += 1,
            Outcome::NothingThere => counts.nothing_there += 1,
            Outcome::Left(why, current) => {
                match why {
                    Why::Exists => counts.exists += 1,
                    Why::Newer => counts.newer += 1,
                    Why::Differs => counts.differs += 1,
                    Why::Moved => counts.moved += 1,
                }
                self.name_left(&LeftRecord {
                    bucket: landing.store.name().as_str(),
                    key: told.key.as_str(),
                    line,
                    left: why.as_str(),
                    current: Some(current.0),
                    reason: None,
                });
            }
            Outcome::Refused(error) => {
                counts.refused += 1;
                self.name_left(&LeftRecord {
                    bucket: landing.store.name().as_str(),
                    key: told.key.as_str(),
                    line,
                    left: "refused",
                    current: None,
                    reason: Some(error.to_string()),
                });
            }
        }
        true
    }

    /// The first line that failed tells why; those behind it failed of the same.
    fn failed(&mut self, line: u64, key: Key, error: WriteError) {
        let is_first = match &self.stop {
            Some(ImportError::Write { line: first, .. }) => line < *first,
            Some(_) => false,
            None => true,
        };
        if is_first {
            self.stop = Some(ImportError::Write {
                name: self.name.clone(),
                line,
                key,
                error,
            });
        }
    }
}

/// The last of the lines that are all done.
fn done(numbers: &BTreeSet<u64>, waiting: Option<&(u64, Told)>, line: u64) -> u64 {
    let first = numbers.first().copied();
    let first = first
        .into_iter()
        .chain(waiting.map(|(line, _)| *line))
        .min();
    first.map_or(line, |first| first - 1)
}

fn ours_of(landing: &Landing) -> Ranges {
    let ours = landing.ours.lock();
    ours.unwrap_or_else(PoisonError::into_inner).clone()
}
