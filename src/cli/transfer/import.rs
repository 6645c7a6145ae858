//! `import`: from lines to a bucket.
//!
//! Whatever stops an import, what is under way is waited for, and everything before the line that is
//! named is done.
//!
//! - `landed`: writing the lines. `restored`: putting entries in place as they were.
//! - `told`: what is said of it all. `error`: why it is not whole.

mod error;
mod landed;
mod restored;
mod told;

use std::collections::VecDeque;
use std::sync::Mutex;

use super::landing::{Earlier, Landing, Mode};
use super::line::{Head, Line, Told};
use super::progress::Progress;
use super::ranges::Ranges;
use super::reader::{Fault, Lines, Numbered};
use super::resume::{Resume, State};
use crate::cli::args::ImportArgs;
use crate::cli::connection::Connection;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::record::timestamp;
use crate::kv::backend::{Backend, BucketConfig, BucketInfo};
use crate::kv::{BucketName, Error, Revision, Store};

pub(in crate::cli) use self::error::ImportError;
use self::told::Counts;

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
    let (resume, state) = match (&args.resume, &opened) {
        (Some(path), Opened::There(_, info)) => {
            let import = identity(&args, head.as_ref(), info);
            let (resume, state) = Resume::open(path, import, info.last_revision)?;
            (Some(resume), state)
        }
        _ => (None, None),
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
        skip: state.as_ref().map_or(0, |state: &State| state.lines),
        beyond: Ranges::of(state.iter().flat_map(|state| state.beyond.clone())),
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
            // Where it goes on is seen by the revisions that are there; the file says that it may.
            if let Some(resume) = &resume {
                import.keep(resume, 0, &Ranges::default());
            }
            import
                .restore(&mut lines, &store, info.last_revision, args.dry_run)
                .await;
        }
        Opened::There(store, info) => {
            let can = store.capabilities();
            let landing = Landing {
                mode: args.mode,
                dry: args.dry_run,
                keeps_ttl: can.entry_ttl && info.config.marker_ttl.is_some(),
                earlier: state.as_ref().map(|state| Earlier {
                    after: Revision(state.began),
                    until: info.last_revision,
                }),
                ours: Mutex::new(Ranges::of(
                    state.map_or_else(Vec::new, |state| state.written),
                )),
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
fn identity(args: &ImportArgs, head: Option<&Head>, bucket: &BucketInfo) -> String {
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
    // A bucket that was made anew has nothing of what was imported into the one before.
    let made = timestamp(bucket.created);
    format!("{from} into {}, made {made} ({how})", args.bucket)
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
    /// Lines that are done, by an earlier run or this one, before one in front of them is.
    beyond: Ranges,
    /// The last line that was looked at.
    line: u64,
    /// How many entries there were, those of earlier runs included.
    entries: u64,
    /// How many the end says that there are.
    end: Option<u64>,
    stop: Option<ImportError>,
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
                    if number <= self.skip || self.beyond.contains(number) {
                        continue;
                    }
                    if self.skip > 0 {
                        self.skip = 0;
                        self.progress.skip(self.entries - 1);
                    }
                    return Some((number, told));
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

    fn keep(&mut self, resume: &Resume, lines: u64, ours: &Ranges) {
        self.beyond.forget_up_to(lines);
        if let Err(error) = resume.save(lines, &self.beyond, ours) {
            self.stop.get_or_insert(ImportError::Resume(error));
        }
    }

    /// Tells what came of it.
    fn conclude(mut self, args: &ImportArgs, resume: Option<Resume>) -> Result<(), CliError> {
        self.progress.end();
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
}
