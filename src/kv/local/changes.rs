//! Learning that the file was written to, by this process or another, at no cost while nobody
//! writes.
//!
//! Own writes are announced by the thread that made them. For others' writes, one watch on the
//! folder wakes one thread, which asks SQLite whether the data changed (`PRAGMA data_version`).
//! A log is written *before* its entries become visible, so each wake-up is followed by further
//! looks at doubling distances. Writers of this engine touch the log once more afterwards, so
//! that no sync is too slow to be noticed.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use super::claim::path_beside;
use super::file::{Absence, DbFile};
use super::worker::{Order, Session, join, spawn};
use crate::kv::backend::Connection;

/// How long after a notification the second look comes. Each further one takes twice as long.
const FIRST_AGAIN: Duration = Duration::from_millis(1);
/// The last distance. A commit that takes longer than all of them together is seen by the touch
/// that follows it.
const LAST_AGAIN: Duration = Duration::from_millis(512);
/// How often to look where the system gives no notifications.
const POLL: Duration = Duration::from_millis(40);

/// What the rest of the engine waits on.
#[derive(Debug)]
pub(super) struct Changes {
    /// Counts up with every change.
    generation: watch::Sender<u64>,
    connection: watch::Sender<Connection>,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            generation: watch::Sender::new(0),
            connection: watch::Sender::new(Connection::Connected),
        }
    }

    /// Wakes everybody who waits for a change.
    pub(super) fn announce(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Something that changes with every change.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Whether the file is there.
    pub(super) fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.subscribe()
    }

    /// Notes whether the file is there, and tells watches when that changed.
    fn note(&self, in_place: Result<(), Absence>) {
        let changed = self.connection.send_if_modified(|state| {
            let next = match in_place {
                Ok(()) => Connection::Connected,
                // It does not come back by itself.
                Err(Absence::ForGood(error)) => Connection::Closed {
                    reason: error.to_string(),
                },
                Err(Absence::ForNow(error)) => Connection::Reconnecting {
                    since: SystemTime::now(),
                    attempts: 0,
                    reason: error.to_string(),
                },
            };
            let changed = std::mem::discriminant(&next) != std::mem::discriminant(state);
            if changed {
                *state = next;
            }
            changed
        });
        if changed {
            self.announce();
        }
    }
}

/// What the thread is told.
enum Signal {
    Touched,
    Stop,
}

/// Watches the file for others' writes. Dropping it ends it.
pub(super) struct Notifier {
    watcher: Option<RecommendedWatcher>,
    signals: SyncSender<Signal>,
    thread: Option<JoinHandle<()>>,
    /// Why there are no notifications, where there are none.
    polls_because: Option<String>,
}

impl Notifier {
    /// Starts it.
    pub(super) fn start(
        file: &Arc<DbFile>,
        changes: Arc<Changes>,
        writer: Option<Sender<Order>>,
    ) -> std::io::Result<Self> {
        // One place: a signal that waits stands for all that come meanwhile.
        let (signals, received) = sync_channel(1);
        let (watcher, polls_because) = match watch_folder(file, signals.clone()) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => {
                tracing::warn!(%error, "no file notifications, so the file is polled");
                (None, Some(error.to_string()))
            }
        };
        let looker = Looker {
            session: Session::new(Arc::clone(file), None),
            file: Arc::clone(file),
            changes,
            writer,
            seen: None,
        };
        let polls = polls_because.is_some();
        let thread = spawn("kvscope-notify", move || looker.run(&received, polls))?;
        Ok(Self {
            watcher,
            signals,
            thread: Some(thread),
            polls_because,
        })
    }

    /// Why there are no notifications, where there are none.
    pub(super) fn polls_because(&self) -> Option<&str> {
        self.polls_because.as_deref()
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.watcher = None;
        // Waits at most for one look: the thread takes what is there.
        if self.signals.send(Signal::Stop).is_err() {
            tracing::debug!("the notifier had ended before");
        }
        if let Some(thread) = self.thread.take() {
            join(thread);
        }
    }
}

/// Watches the folder: a watch on the log itself would end when the log is made anew.
fn watch_folder(file: &DbFile, signals: SyncSender<Signal>) -> notify::Result<RecommendedWatcher> {
    let names = ["", "-wal", "-shm"].map(|ending| path_beside(file.path(), ending));
    let names = names.map(|path| path.file_name().unwrap_or_default().to_owned());
    let folder = file
        .path()
        .parent()
        .ok_or_else(|| notify::Error::generic("the file is in no folder"))?;
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns_us = match &event {
            Ok(event) => {
                event.need_rescan()
                    || !event.kind.is_access()
                        && event.paths.iter().any(|path| concerns(&names, path))
            }
            Err(_) => true,
        };
        if concerns_us {
            // Full means that a signal waits already.
            let _ = signals.try_send(Signal::Touched);
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Whether a path is one of those names, in whatever folder.
fn concerns(names: &[OsString], path: &Path) -> bool {
    path.file_name()
        .is_some_and(|found| names.iter().any(|name| name == found))
}

/// The thread's side.
struct Looker {
    session: Session,
    file: Arc<DbFile>,
    changes: Arc<Changes>,
    writer: Option<Sender<Order>>,
    /// Which connection it was, and what it told.
    seen: Option<(u64, i64)>,
}

impl Looker {
    fn run(mut self, signals: &Receiver<Signal>, polls: bool) {
        // What was written before the thread began to look counts as a change.
        let mut again = Some(Duration::ZERO);
        loop {
            let signal = match again {
                Some(wait) => signals.recv_timeout(wait),
                None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            again = match (signal, again) {
                (Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected), _) => return,
                _ if polls => Some(POLL),
                (Ok(Signal::Touched), _) => Some(FIRST_AGAIN),
                (Err(RecvTimeoutError::Timeout), Some(wait)) if wait < LAST_AGAIN => {
                    Some((wait * 2).max(FIRST_AGAIN))
                }
                (Err(RecvTimeoutError::Timeout), _) => None,
            };
            self.look();
        }
    }

    fn look(&mut self) {
        let in_place = self.file.look_in_place();
        let is_there = in_place.is_ok();
        self.changes.note(in_place);
        if !is_there {
            return;
        }
        let version = self.session.run("looking for changes", |connection| {
            Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
        });
        let Ok(version) = version else {
            // Whoever reads next learns why.
            self.seen = None;
            return;
        };
        let now = (self.session.links(), version);
        if self.seen.replace(now) != Some(now) {
            self.changes.announce();
            if let Some(writer) = &self.writer {
                // The writer ends after this thread.
                let _ = writer.send(Order::Look);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_and_what_sqlite_keeps_beside_it_concern_us() {
        let names = ["app.db", "app.db-wal", "app.db-shm"].map(OsString::from);
        for (path, ours) in [
            ("/data/app.db", true),
            ("/data/app.db-wal", true),
            ("/data/app.db-shm", true),
            ("/data/app.db.bak", false),
            ("/data/app.db-journal.old", false),
            ("/data/other", false),
            ("/", false),
        ] {
            assert_eq!(concerns(&names, Path::new(path)), ours, "{path}");
        }
    }
}
