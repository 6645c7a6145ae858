//! `import`: from lines to a bucket.
//!
//! Many writes are under way at once, those of one key one after the other. Whatever stops the
//! import, what is under way is waited for, and everything before the line that is named is done.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior};

use super::landing::{Landing, Mode, Outcome, Why};
use super::line::{Head, Line, Told};
use super::ours::Ours;
use super::progress::Progress;
use super::reader::{Fault, Lines, Numbered};
use super::resume::{Resume, State};
use crate::cli::args::ImportArgs;
use crate::cli::connection::Connection;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::watch::interruption;
use crate::kv::backend::{Backend, BucketConfig, BucketInfo};
use crate::kv::{BucketName, Entry, Error, Key, Revision, Store, WriteError};

/// How many writes are under way at once, and how many bytes of values, give or take one.
const FLYING: usize = 1024;
const FLYING_BYTES: usize = 16 << 20;
/// How many entries are restored at once, and how many bytes of values, give or take one.
const RESTORED: usize = 4096;
const RESTORED_BYTES: usize = 8 << 20;
/// How often it is kept how far it got.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// How many keys that were left are named to a person.
const NAMED: u64 = 20;

/// Why an import is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line can't be taken.
    #[error("{name}, line {line}: {reason}; nothing after line {} was imported", line - 1)]
    Line {
        /// What was read.
        name: String,
        /// The number of the line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A line could not be written.
    #[error("{name}, line {line}, {key}: {error}")]
    Write {
        /// What was read.
        name: String,
        /// The number of the line.
        line: u64,
        /// The key that it is about.
        key: Key,
        /// What the store said.
        error: WriteError,
    },
    /// The end is missing.
    #[error("{name} ends after line {line}, and is not whole: {reason}. What it has was imported")]
    CutOff {
        /// What was read.
        name: String,
        /// The last line.
        line: u64,
        /// What is missing.
        reason: String,
    },
    /// It was interrupted.
    #[error("interrupted; everything up to line {line} is done")]
    Interrupted {
        /// The last of the lines that are all done.
        line: u64,
    },
    /// Others wrote to some keys at the same time.
    #[error("{count} keys were written to by somebody else meanwhile, and left")]
    Moved {
        /// How many.
        count: u64,
    },
    /// The store can't have some of the keys.
    #[error("{count} entries can't be stored here, and were left out")]
    Refused {
        /// How many.
        count: u64,
    },
    /// What was left can't be told.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
    /// How far it got can't be kept.
    #[error("how far the import got can't be kept: {0}")]
    Resume(io::Error),
}

impl ImportError {
    /// What to do about it.
    pub(in crate::cli) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Interrupted { .. } | Self::Write { .. } => Some(
                "With --resume FILE an import keeps how far it got, and the same command goes on.",
            ),
            Self::Line { .. } => Some("--dry-run looks through all lines and writes nothing."),
            Self::Moved { .. } => Some("The same command again looks at them anew."),
            _ => None,
        }
    }
}

pub(in crate::cli) async fn run(
    connection: &Connection,
    args: ImportArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let name = BucketName::new(&args.bucket).map_err(Error::from)?;
    let mut lines = Lines::open(args.file.as_deref())?;
    let mut first = VecDeque::from(lines.next().await);
    let head = match first.front() {
        Some((_, Ok(Line::Head(head)))) => Some((**head).clone()),
        _ => None,
    };
    let backend = if args.create && !args.dry_run {
        connection.backend_or_new_file().await?
    } else {
        connection.backend().await?
    };
    let opened = open(&*backend, &name, head.as_ref(), &args).await?;
    let (resume, state) = match &args.resume {
        Some(path) => {
            let (resume, state) = Resume::open(path, identity(&args, head.as_ref()))?;
            (Some(resume), state)
        }
        None => (None, None),
    };
    let total = head.as_ref().map(|head| head.expected);
    let mut import = Import {
        name: lines.name.clone(),
        output,
        progress: Progress::new("imported", total),
        head,
        queue: std::mem::take(&mut first),
        counts: Counts::default(),
        named: 0,
        skip: state.as_ref().map_or(0, |state| state.lines),
        line: 0,
        entries: 0,
        end: None,
        stop: None,
    };
    match opened {
        Opened::Missing => import.count_only(&mut lines).await,
        Opened::There(store, info) if args.exact => {
            if info.last_revision != Revision::ABSENT && state.is_none() {
                return Err(CliError::Usage(format!(
                    "--exact fills an empty bucket, and {name} is at revision {}",
                    info.last_revision
                )));
            }
            import
                .restore(&mut lines, &store, info.last_revision, args.dry_run)
                .await;
            if let Some(resume) = &resume {
                import.keep(resume, import.line, &Ours::default());
            }
        }
        Opened::There(store, info) => {
            let can = store.capabilities();
            let ours = state.map_or_else(Vec::new, |state: State| state.written);
            let landing = Landing {
                mode: args.mode,
                dry: args.dry_run,
                keeps_ttl: can.entry_ttl && info.config.marker_ttl.is_some(),
                ours: std::sync::Mutex::new(Ours::of(ours)),
                store,
            };
            import.land(&mut lines, landing, resume.as_ref()).await?;
        }
    }
    import.conclude(&args, resume)
}

/// What is there to import into.
enum Opened {
    There(Store, Box<BucketInfo>),
    /// It would be made.
    Missing,
}

async fn open(
    backend: &dyn Backend,
    name: &BucketName,
    head: Option<&Head>,
    args: &ImportArgs,
) -> Result<Opened, CliError> {
    match Store::open(backend, name.as_str()).await {
        Ok(store) => {
            let info = store.info().await?;
            return Ok(Opened::There(store, Box::new(info)));
        }
        Err(Error::NoSuchBucket { .. }) if args.create => {}
        Err(error) => return Err(error.into()),
    }
    if args.dry_run {
        return Ok(Opened::Missing);
    }
    let mut config = match head {
        Some(head) => head.settings.config(name.clone(), backend.capabilities()),
        None => BucketConfig::new(name.clone()),
    };
    if args.exact {
        // What is kept to be looked at should not run out.
        config.ttl = None;
        config.max_bytes = None;
    }
    let info = backend.create_bucket(&config).await?;
    crate::cli::watch::note(&format!("the bucket {name} was made"));
    let store = Store::open(backend, name.as_str()).await?;
    Ok(Opened::There(store, Box::new(info)))
}

/// What tells one import from another.
fn identity(args: &ImportArgs, head: Option<&Head>) -> String {
    let from = match head {
        Some(head) => format!("the export of {} from {}", head.bucket, head.exported),
        None => "lines without a head".to_owned(),
    };
    let how = match (args.exact, args.mode) {
        (true, _) => "exact",
        (false, Mode::Create) => "create",
        (false, Mode::Overwrite) => "overwrite",
        (false, Mode::Merge) => "merge",
    };
    format!("{from} into {} ({how})", args.bucket)
}

/// What the lines came to.
#[derive(Debug, Default)]
struct Counts {
    written: u64,
    same: u64,
    exists: u64,
    newer: u64,
    differs: u64,
    moved: u64,
    expired: u64,
    nothing_there: u64,
    refused: u64,
    without_ttl: u64,
}

/// A key that was not imported, for programs.
#[derive(Debug, Serialize)]
struct LeftRecord<'a> {
    bucket: &'a str,
    key: &'a str,
    line: u64,
    left: &'static str,
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The whole, for programs.
#[derive(Debug, Serialize)]
struct ImportRecord<'a> {
    bucket: &'a str,
    dry_run: bool,
    lines: u64,
    entries: u64,
    written: u64,
    same: u64,
    exists: u64,
    newer: u64,
    differs: u64,
    moved: u64,
    expired: u64,
    nothing_there: u64,
    refused: u64,
    without_ttl: u64,
}

struct Import<'a> {
    name: String,
    output: &'a mut Output,
    progress: Progress,
    head: Option<Head>,
    queue: VecDeque<Numbered>,
    counts: Counts,
    /// How many keys that were left have been named.
    named: u64,
    /// Lines that an earlier run has done.
    skip: u64,
    /// The last line that was looked at.
    line: u64,
    /// How many entries there were, those of earlier runs included.
    entries: u64,
    /// How many the end says that there are.
    end: Option<u64>,
    stop: Option<ImportError>,
}

/// A line on its way, or home.
struct Flight {
    line: u64,
    told: Told,
    end: Result<Outcome, WriteError>,
}

impl Import<'_> {
    /// The next entry, if there is one at hand.
    fn next_entry(&mut self) -> Option<(u64, Told)> {
        while self.stop.is_none() {
            let (number, line) = self.queue.pop_front()?;
            match line {
                Ok(Line::Entry(told)) => {
                    self.line = number;
                    self.entries += 1;
                    if number > self.skip {
                        return Some((number, told));
                    }
                    self.progress.add(1);
                }
                // A second head comes with a second export, which is as good as the first.
                Ok(Line::Head(head)) => {
                    self.line = number;
                    self.head = Some(*head);
                }
                Ok(Line::End(end)) => {
                    self.line = number;
                    self.end = Some(self.end.unwrap_or(0) + end.end);
                }
                Err(fault) => {
                    self.stop = Some(ImportError::Line {
                        name: self.name.clone(),
                        line: number,
                        reason: match fault {
                            Fault::Line(fault) => fault.to_string(),
                            other => other.to_string(),
                        },
                    });
                }
            }
        }
        None
    }

    /// Goes through the lines, for a bucket that is not there.
    async fn count_only(&mut self, lines: &mut Lines) {
        loop {
            while let Some((_, told)) = self.next_entry() {
                if told.operation.is_put() {
                    self.counts.written += 1;
                } else {
                    self.counts.nothing_there += 1;
                }
            }
            self.queue.extend(lines.next().await);
            if self.queue.is_empty() {
                return;
            }
        }
    }

    /// Puts the entries in place with their revisions and times, one transaction after the other.
    async fn restore(&mut self, lines: &mut Lines, store: &Store, last: Revision, dry: bool) {
        let (mut batch, mut bytes) = (Vec::<Entry>::new(), 0);
        loop {
            let next = self.next_entry();
            let is_over = next.is_none() && {
                self.queue.extend(lines.next().await);
                self.queue.is_empty() || self.stop.is_some()
            };
            match next {
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

    /// Writes the entries, many at once.
    async fn land(
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

    fn name_left(&mut self, left: &LeftRecord<'_>) {
        if self.output.is_json() {
            if let Err(CliError::Output(error)) = self.output.record(left) {
                self.stop.get_or_insert(ImportError::Output(error));
            }
            return;
        }
        // A million keys that are there already are no news one by one.
        if left.left == Why::Exists.as_str() {
            return;
        }
        self.named += 1;
        if self.named > NAMED {
            return;
        }
        let at = left.current.unwrap_or_default();
        let what = match &left.reason {
            Some(reason) => reason.clone(),
            None if left.left == Why::Newer.as_str() => {
                format!("left: it was written later there, at revision {at}")
            }
            None if left.left == Why::Differs.as_str() => {
                format!("left: it differs there, at revision {at}")
            }
            None => "left: somebody else wrote it meanwhile".to_owned(),
        };
        self.progress.note(&format!("{}: {what}", left.key));
        if self.named == NAMED {
            self.progress
                .note("more are left than are named here; --json names them all");
        }
    }

    fn keep(&mut self, resume: &Resume, lines: u64, ours: &Ours) {
        if let Err(error) = resume.save(lines, ours) {
            self.stop.get_or_insert(ImportError::Resume(error));
        }
    }

    /// Tells what came of it.
    fn conclude(mut self, args: &ImportArgs, resume: Option<Resume>) -> Result<(), CliError> {
        drop(std::mem::replace(
            &mut self.progress,
            Progress::new("", None),
        ));
        let stop = self.stop.take().or_else(|| self.missing());
        self.summary(args)?;
        let counts = &self.counts;
        match stop {
            Some(stop) => return Err(CliError::Import(stop)),
            None => {
                if let Some(resume) = resume {
                    resume.done();
                }
            }
        }
        if counts.refused > 0 {
            let count = counts.refused;
            return Err(CliError::Import(ImportError::Refused { count }));
        }
        if counts.moved > 0 {
            let count = counts.moved;
            return Err(CliError::Import(ImportError::Moved { count }));
        }
        Ok(())
    }

    /// What is missing of an export that was begun.
    fn missing(&self) -> Option<ImportError> {
        self.head.as_ref()?;
        let reason = match self.end {
            None => "the line that ends an export is missing".to_owned(),
            Some(end) if end != self.entries => {
                format!("it has {} entries, and had {end}", self.entries)
            }
            Some(_) => return None,
        };
        Some(ImportError::CutOff {
            name: self.name.clone(),
            line: self.line,
            reason,
        })
    }

    fn summary(&mut self, args: &ImportArgs) -> Result<(), CliError> {
        let counts = &self.counts;
        if self.output.is_json() {
            return self.output.record(&ImportRecord {
                bucket: &args.bucket,
                dry_run: args.dry_run,
                lines: self.line,
                entries: self.entries,
                written: counts.written,
                same: counts.same,
                exists: counts.exists,
                newer: counts.newer,
                differs: counts.differs,
                moved: counts.moved,
                expired: counts.expired,
                nothing_there: counts.nothing_there,
                refused: counts.refused,
                without_ttl: counts.without_ttl,
            });
        }
        let verb = if args.dry_run {
            "would be written"
        } else {
            "written"
        };
        let mut words = vec![format!("{} {verb}", counts.written)];
        let others = [
            (counts.same, "the same already"),
            (counts.exists, "left: they have a value"),
            (counts.newer, "left: written later there"),
            (counts.differs, "left: they differ there"),
            (counts.moved, "left: somebody else wrote them meanwhile"),
            (counts.expired, "left out: their time was over"),
            (counts.nothing_there, "deletions of what is not there"),
            (counts.refused, "refused"),
            (counts.without_ttl, "written without their time to live"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0);
        words.extend(others.map(|(count, what)| format!("{count} {what}")));
        self.output
            .line(&format!("{}: {}", args.bucket, words.join(", ")))
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

fn ours_of(landing: &Landing) -> Ours {
    let ours = landing.ours.lock();
    ours.unwrap_or_else(PoisonError::into_inner).clone()
}
