//! `--query`: which keys to list by their values, and what to print of one value.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use crate::kv::{Entry, Key};
use crate::query::{Answer, Query, Sieve};

use super::error::CliError;
use super::keys::Row;
use super::watch::note;

/// How many values are handed to the query at once, and how many bytes of them, give or take one.
const VALUES: usize = 512;
const BYTES: usize = 4 << 20;

/// Keys that are being chosen from by their values.
#[derive(Debug)]
pub(super) struct Choice {
    sieve: Sieve,
    waiting: Vec<(Key, Row)>,
    values: Vec<Bytes>,
    bytes: usize,
    no_json: u64,
    failed: u64,
    stopped: u64,
    /// What the first of those failed of.
    first_failure: String,
}

impl Choice {
    pub(super) fn new(query: Query) -> io::Result<Self> {
        Ok(Self {
            sieve: Sieve::new(query)?,
            waiting: Vec::new(),
            values: Vec::new(),
            bytes: 0,
            no_json: 0,
            failed: 0,
            stopped: 0,
            first_failure: String::new(),
        })
    }

    /// Takes in an entry with its value.
    pub(super) async fn offer(
        &mut self,
        entry: Entry,
        row: Row,
        rows: &mut BTreeMap<Key, Row>,
    ) -> Result<(), CliError> {
        let value = entry.value.unwrap_or_default();
        self.bytes += value.len();
        self.values.push(value);
        self.waiting.push((entry.key, row));
        if self.values.len() >= VALUES || self.bytes >= BYTES {
            self.decide(rows).await?;
        }
        Ok(())
    }

    /// The key is gone: what waits of it counts no more.
    pub(super) fn forget(&mut self, gone: &Key) {
        while let Some(at) = self.waiting.iter().position(|(key, _)| key == gone) {
            self.waiting.remove(at);
            self.bytes -= self.values.remove(at).len();
        }
    }

    /// Decides on all that wait.
    pub(super) async fn decide(&mut self, rows: &mut BTreeMap<Key, Row>) -> Result<(), CliError> {
        let answers = self.sieve.ask(&self.values).await?;
        for ((key, row), answer) in self.waiting.drain(..).zip(answers) {
            match answer {
                Answer::Match(_) => {
                    rows.insert(key, row);
                }
                // Of two entries of a key the later one counts.
                Answer::NoMatch(_) => {
                    rows.remove(&key);
                }
                Answer::NoJson(_) => self.no_json += 1,
                Answer::Failed(reason) => {
                    if self.failed == 0 {
                        self.first_failure = format!("{key}: {reason}");
                    }
                    self.failed += 1;
                }
                Answer::Stopped(reason) => {
                    self.stopped += 1;
                    note(&format!("{key}: the query was stopped: {reason}"));
                }
            }
        }
        self.values.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Tells what could not be decided.
    pub(super) fn tell(&self) {
        if self.no_json > 0 {
            note(&format!("{} values are no JSON", self.no_json));
        }
        if self.failed > 0 {
            let (failed, first) = (self.failed, &self.first_failure);
            note(&format!(
                "the query can't be applied to {failed} values; the first is {first}"
            ));
        }
    }
}

/// What a query gives for a value: JSON, a line each.
pub(super) async fn results(query: &str, value: Bytes) -> Result<String, CliError> {
    let mut sieve = Sieve::new(Query::new(query)?)?.with_texts();
    let answers = sieve.ask(&[value]).await?;
    let failed = match answers.into_iter().next() {
        Some(Answer::Match(texts) | Answer::NoMatch(texts)) => return Ok(texts),
        Some(Answer::NoJson(reason)) => format!("the value is no JSON: {reason}"),
        Some(Answer::Failed(reason)) => reason,
        Some(Answer::Stopped(reason)) => format!("it was stopped: {reason}"),
        None => return Ok(String::new()),
    };
    Err(CliError::QueryFailed(failed))
}
