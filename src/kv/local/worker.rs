//! The threads that talk to SQLite: one that writes and reaps, and a few that read.
//!
//! Async code hands them jobs and waits for the answer. A caller that stops waiting leaves a job
//! that ends by itself, with no lock held.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::changes::Changes;
use super::fault::{Fault, WriteFault, error_of};
use super::file::DbFile;
use super::schema::{count, now};
use super::write::{next_expiry, reap};
use crate::kv::{Error, Key, WriteError};

/// How many threads read. More would only wait for the same disk.
const READERS: usize = 2;
/// How long the reaper rests after it failed, on a full disk for instance.
const REAP_AGAIN: Duration = Duration::from_secs(5);
/// How long the reaper trusts that the wall clock isn't set meanwhile.
const REAP_AT_LEAST: Duration = Duration::from_secs(60 * 60);

/// A connection that is opened when it is first needed.
pub(super) struct Session {
    // Before the file, whose claim must outlive it.
    connection: Option<Connection>,
    file: Arc<DbFile>,
}

impl Session {
    pub(super) fn new(file: Arc<DbFile>, connection: Option<Connection>) -> Self {
        Self { connection, file }
    }

    /// Does `what` on the file, if it is still there.
    pub(super) fn run<T>(
        &mut self,
        what: &str,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.file);
        job(self.ready(what)?).map_err(|fault| fault.into_error(file.path(), what))
    }

    /// Writes a key.
    pub(super) fn write<T>(
        &mut self,
        key: &Key,
        job: impl FnOnce(&mut Connection) -> Result<T, WriteFault>,
    ) -> Result<T, WriteError> {
        let file = Arc::clone(&self.file);
        let connection = self.ready("opening it")?;
        job(connection).map_err(|fault| fault.into_error(key, file.path()))
    }

    fn ready(&mut self, what: &str) -> Result<&mut Connection, Error> {
        self.file.check_in_place()?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self
                .file
                .connect()
                .map_err(|error| error_of(&error, self.file.path(), what))?,
        };
        Ok(self.connection.insert(connection))
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
    /// Starts them.
    pub(super) fn start(file: &Arc<DbFile>) -> std::io::Result<Self> {
        let (sender, jobs) = channel::<ReadJob>();
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let jobs = Arc::clone(&jobs);
            let mut session = Session::new(Arc::clone(file), None);
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

/// Something to do on the thread that writes. It answers whether it may have written.
pub(super) type WriteJob = Box<dyn FnOnce(&mut Session) -> bool + Send>;

/// What the thread that writes is told.
pub(super) enum Order {
    /// Do this.
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
        connection: Connection,
        changes: Arc<Changes>,
    ) -> std::io::Result<Self> {
        let (sender, orders) = channel();
        let session = Session::new(Arc::clone(file), Some(connection));
        let thread = spawn("kvscope-write", move || {
            write_until_closed(session, &orders, &changes);
        })?;
        Ok(Self {
            orders: Some(sender),
            thread: Some(thread),
        })
    }

    /// Hands a job over.
    pub(super) fn submit(&self, job: WriteJob) -> Result<(), Error> {
        let orders = self.orders.as_ref().ok_or(Error::Closed)?;
        orders.send(Order::Job(job)).map_err(|_| Error::Closed)
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

fn write_until_closed(mut session: Session, orders: &Receiver<Order>, changes: &Changes) {
    let mut reap_in = look(&mut session);
    loop {
        let order = match reap_in {
            Some(wait) => orders.recv_timeout(wait),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(Order::Job(job)) => {
                if job(&mut session) {
                    changes.announce();
                    session.file.touch_log();
                }
                reap_in = look(&mut session);
            }
            Ok(Order::Look) => reap_in = look(&mut session),
            Err(RecvTimeoutError::Timeout) => {
                reap_in = match session.run("dropping what has expired", |c| Ok(reap(c)?)) {
                    Ok(reaped) => {
                        if reaped.wrote {
                            changes.announce();
                            session.file.touch_log();
                        }
                        reaped.next.map(until)
                    }
                    Err(error) => {
                        tracing::warn!(%error, "expired entries stay in the file for now");
                        Some(REAP_AGAIN)
                    }
                };
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// How long until there is something to reap. A file that can't be read has nothing.
fn look(session: &mut Session) -> Option<Duration> {
    session
        .run("looking for expired entries", |c| Ok(next_expiry(c)?))
        .ok()
        .flatten()
        .map(until)
}

/// How long until a time on the wall clock, a little late rather than early.
fn until(at: i64) -> Duration {
    let wait = Duration::from_nanos(count(at.saturating_sub(now())));
    wait.min(REAP_AT_LEAST)
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
