//! The threads that talk to SQLite: one that writes and reaps, and a few that read.
//!
//! Async code hands them jobs and waits for the answer. A caller that stops waiting leaves a job
//! that ends by itself, with no lock held.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::changes::Changes;
use super::fault::{Fault, WriteFault, error_of};
use super::file::{DbFile, Link};
use super::schema::{count, now};
use super::write::{next_expiry, reap, write_all};
use crate::kv::backend::{Change, Write};
use crate::kv::{BucketName, Error, Revision, WriteError};

/// How many threads read. More would only wait for the same disk.
const READERS: usize = 2;
/// The most writes of keys in one transaction, and the most bytes of values, give or take one:
/// other processes wait meanwhile.
const GROUP_WRITES: usize = 512;
const GROUP_BYTES: u64 = 8 << 20;
/// How long the reaper rests after it failed, on a full disk for instance.
const REAP_AGAIN: Duration = Duration::from_secs(5);
/// How long the reaper trusts that the wall clock isn't set meanwhile.
const REAP_AT_LEAST: Duration = Duration::from_secs(60 * 60);

/// A connection that is opened when it is first needed.
pub(super) struct Session {
    // Before the file, whose claim must outlive it.
    link: Option<Link>,
    file: Arc<DbFile>,
    /// How many connections there have been.
    links: u64,
}

impl Session {
    pub(super) fn new(file: Arc<DbFile>, link: Option<Link>) -> Self {
        Self {
            link,
            file,
            links: 0,
        }
    }

    /// Does `what` on the file, if it is still there.
    pub(super) fn run<T>(
        &mut self,
        what: &str,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.file);
        let link = self.ready(what)?;
        let done = job(&mut link.connection).map_err(|fault| fault.into_error(file.path(), what));
        if file.has_outrun(link) {
            return Err(Error::File {
                path: file.path().to_owned(),
                detail: format!("{what} came upon a program that writes it; try again"),
            });
        }
        done
    }

    /// Changes whenever the data that is read can be other data, but for what
    /// `PRAGMA data_version` tells.
    pub(super) fn links(&self) -> u64 {
        self.links
    }

    fn ready(&mut self, what: &str) -> Result<&mut Link, Error> {
        self.file.check_in_place()?;
        let link = match self.link.take() {
            Some(link) if !self.file.has_outrun(&link) => link,
            _ => {
                self.links += 1;
                let link = self.file.connect();
                let link = link.map_err(|error| error_of(&error, self.file.path(), what))?;
                self.file.note_beside(&link);
                // They may have been taken away since they were looked at.
                self.file.check_in_place()?;
                link
            }
        };
        Ok(self.link.insert(link))
    }
}

/// Something to do on a thread that reads.
pub(super) type ReadJob = Box<dyn FnOnce(&mut Session) + Send>;

/// The threads that read. Dropping them waits until they are done.
pub(super) struct Readers {
    jobs: Option<Sender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts them; the first takes the connection that is there already, if any.
    pub(super) fn start(file: &Arc<DbFile>, mut first: Option<Link>) -> std::io::Result<Self> {
        let (sender, jobs) = channel::<ReadJob>();
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let jobs = Arc::clone(&jobs);
            let mut session = Session::new(Arc::clone(file), first.take());
            threads.push(spawn("kvscope-read", move || {
                while let Some(job) = next_of(&jobs) {
                    job(&mut session);
                }
            })?);
        }
        Ok(Self {
            jobs: Some(sender),
            threads,
        })
    }

    /// Hands a job over.
    pub(super) fn submit(&self, job: ReadJob) -> Result<(), Error> {
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).map_err(|_| Error::Closed)
    }
}

fn next_of(jobs: &Mutex<Receiver<ReadJob>>) -> Option<ReadJob> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            join(thread);
        }
    }
}

/// Something to do on the thread that writes.
pub(super) type WriteJob = Box<dyn FnOnce(&mut Session) + Send>;

/// A write of a key, and who waits for its end.
pub(super) struct KeyWrite {
    pub(super) bucket: BucketName,
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<Revision, WriteError>>,
}

/// What the thread that writes is told.
pub(super) enum Order {
    /// Write this key.
    Write(KeyWrite),
    /// Write something else.
    Job(WriteJob),
    /// Somebody else wrote: see when the next entry expires.
    Look,
}

/// The thread that writes, and drops what has expired. Dropping it waits until it is done.
pub(super) struct Writer {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it.
    pub(super) fn start(
        file: &Arc<DbFile>,
        link: Link,
        changes: Arc<Changes>,
    ) -> std::io::Result<Self> {
        let (sender, orders) = channel();
        let session = Session::new(Arc::clone(file), Some(link));
        let scribe = Scribe {
            session,
            orders,
            changes,
            put_off: None,
            reap_at: None,
        };
        let thread = spawn("kvscope-write", move || scribe.run())?;
        Ok(Self {
            orders: Some(sender),
            thread: Some(thread),
        })
    }

    /// Gives it an order.
    pub(super) fn submit(&self, order: Order) -> Result<(), Error> {
        let orders = self.orders.as_ref().ok_or(Error::Closed)?;
        orders.send(order).map_err(|_| Error::Closed)
    }

    /// A way to give it orders. It goes on as long as there is one.
    pub(super) fn orders(&self) -> Option<Sender<Order>> {
        self.orders.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            join(thread);
        }
    }
}

/// The writing thread's side.
struct Scribe {
    session: Session,
    orders: Receiver<Order>,
    changes: Arc<Changes>,
    /// An order that was taken while looking for more writes to put with others.
    put_off: Option<Order>,
    reap_at: Option<Instant>,
}

impl Scribe {
    fn run(mut self) {
        self.look();
        loop {
            // Also in the midst of many orders, or the expired would stay for as long.
            if self.reap_at.is_some_and(|at| at <= Instant::now()) {
                self.reap();
            }
            match self.next() {
                Ok(Order::Write(first)) => self.write(first),
                Ok(Order::Job(job)) => {
                    job(&mut self.session);
                    self.wrote();
                }
                Ok(Order::Look) => self.look(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(&mut self) -> Result<Order, RecvTimeoutError> {
        if let Some(order) = self.put_off.take() {
            return Ok(order);
        }
        match self.reap_at {
            Some(at) => self
                .orders
                .recv_timeout(at.saturating_duration_since(Instant::now())),
            None => self
                .orders
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Writes a key, and with it those that wait already.
    fn write(&mut self, first: KeyWrite) {
        let mut bytes = size_of(&first.write);
        let mut group = vec![first];
        while group.len() < GROUP_WRITES && bytes < GROUP_BYTES {
            match self.orders.try_recv() {
                Ok(Order::Write(write)) => {
                    bytes += size_of(&write.write);
                    group.push(write);
                }
                Ok(other) => {
                    self.put_off = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        // Nobody waits for these any more, and they have not begun.
        group.retain(|write| !write.reply.is_closed());
        let file = Arc::clone(&self.session.file);
        let ends = match self.session.ready("opening it") {
            Ok(link) => {
                let writes = group.iter().map(|w| (&w.bucket, &w.write));
                write_all(&mut link.connection, writes)
            }
            Err(error) => refuse_all(&file, error, group.len()),
        };
        for (KeyWrite { write, reply, .. }, end) in group.into_iter().zip(ends) {
            let end = end.map_err(|fault| fault.into_error(&write.key, file.path()));
            // Whoever waited may have gone meanwhile.
            drop(reply.send(end));
        }
        self.wrote();
    }

    /// Tells the others that something may have been written.
    fn wrote(&mut self) {
        self.changes.announce();
        self.session.file.touch_log();
        self.look();
    }

    /// Finds out when there is something to reap. A file that can't be read has nothing.
    fn look(&mut self) {
        let next = self
            .session
            .run("looking for expired entries", |c| Ok(next_expiry(c)?))
            .ok()
            .flatten();
        self.reap_at = next.map(instant_of);
    }

    fn reap(&mut self) {
        match self
            .session
            .run("dropping what has expired", |c| Ok(reap(c)?))
        {
            Ok(reaped) => {
                self.reap_at = reaped.next.map(instant_of);
                if reaped.wrote {
                    self.changes.announce();
                    self.session.file.touch_log();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "expired entries stay in the file for now");
                self.reap_at = Some(Instant::now() + REAP_AGAIN);
            }
        }
    }
}

/// The ends of writes to a file that can't be reached: the first has the error, and the others
/// say the same in its words.
fn refuse_all(file: &DbFile, error: Error, count: usize) -> Vec<Result<Revision, WriteFault>> {
    let detail = match &error {
        Error::File { detail, .. } => detail.clone(),
        other => other.to_string(),
    };
    let same = || Error::File {
        path: file.path().to_owned(),
        detail: detail.clone(),
    };
    std::iter::once(error)
        .chain(std::iter::repeat_with(same))
        .take(count)
        .map(|error| Err(WriteFault::Before(Fault::Engine(error))))
        .collect()
}

/// The bytes of the value that a write brings.
fn size_of(write: &Write) -> u64 {
    match &write.change {
        Change::Put(value) => value.len() as u64,
        Change::Delete | Change::Purge => 0,
    }
}

/// When it will be that time on the wall clock, as far as one can know.
fn instant_of(at: i64) -> Instant {
    let wait = Duration::from_nanos(count(at.saturating_sub(now())));
    Instant::now() + wait.min(REAP_AT_LEAST)
}

/// Starts a thread.
pub(super) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
}

/// Waits for a thread. One that panicked has said so itself.
pub(super) fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the local engine panicked");
    }
}
