//! `demo`: a local file with sample buckets, and simulated services that keep changing them and
//! lock each other out, each over a connection of its own, as separate processes would.

mod data;
mod locks;
mod plan;
mod services;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{LocalPlace, Place, connect};
use crate::kv::backend::Backend;
use crate::kv::{CreateError, Store, WriteError};

use super::args::DemoArgs;
use super::connection::Connection;
use super::console;
use super::error::CliError;

use data::Data;

/// How many entries are written at once at the beginning: the file takes them together.
const AT_ONCE: usize = 64;

/// The same demo every time.
const SEED: u64 = 20_261;

pub(super) async fn run(connection: &Connection, args: DemoArgs) -> Result<(), CliError> {
    console::check_terminal()?;
    // Whoever keeps a file for it has been here before.
    let tour = args.file.is_none();
    let demo = start(args.file).await?;
    let place = Place::local(&demo.path);
    let ended = console::run(connection, place, Some(data::CONFIG.to_owned()), None, tour);
    demo.stop().await;
    ended
}

/// A running demo. Dropping it stops the services and removes a temporary file.
#[derive(Debug)]
pub struct Demo {
    /// The file.
    pub path: PathBuf,
    // The order matters: services stop before the file goes.
    runs: Option<watch::Sender<()>>,
    services: JoinSet<()>,
    _dir: Option<TempDir>,
}

impl Demo {
    /// Stops the services after the write that each may be at, and removes a temporary file.
    pub async fn stop(mut self) {
        self.runs = None;
        while self.services.join_next().await.is_some() {}
    }
}

/// Fills the file, or a temporary one, and starts the services. A file that the demo filled before
/// goes on from where it was.
///
/// # Errors
/// [`CliError::Demo`] for a file that holds buckets of somebody else: the services would write
/// over them. Otherwise whatever keeps the file from being made.
pub async fn start(file: Option<PathBuf>) -> Result<Demo, CliError> {
    let (path, dir) = match file {
        Some(path) => (path, None),
        None => {
            let dir = tempfile::Builder::new().prefix("kvscope-demo-").tempdir();
            let dir = dir.map_err(|error| CliError::Demo(error.to_string()))?;
            (dir.path().join("demo.db"), Some(dir))
        }
    };
    let data = Data::read().map_err(|error| CliError::Demo(error.to_string()))?;
    fill(&*open(&path).await?, &data, &path).await?;
    let (runs, demo_runs) = watch::channel(());
    let mut tasks = JoinSet::new();
    for service in plan::services(&data, SEED) {
        let backend = open(&path).await?;
        tasks.spawn(services::run(service, backend, demo_runs.clone()));
    }
    for locker in locks::lockers(SEED) {
        let backend = open(&path).await?;
        tasks.spawn(locks::run(locker, backend, demo_runs.clone()));
    }
    Ok(Demo {
        path,
        runs: Some(runs),
        services: tasks,
        _dir: dir,
    })
}

async fn open(path: &Path) -> Result<Arc<dyn Backend>, CliError> {
    let place = Place::Local(LocalPlace {
        path: path.to_owned(),
        create: true,
    });
    Ok(connect(&place, false).await?)
}

/// Makes the buckets and their entries, as far as they are not there.
async fn fill(backend: &dyn Backend, data: &Data, path: &Path) -> Result<(), CliError> {
    for bucket in backend.buckets().await? {
        if !data::is_ours(&bucket.config) {
            return Err(CliError::Demo(format!(
                "{} holds the bucket {}, which is not the demo's; name a new file",
                path.display(),
                bucket.config.name
            )));
        }
    }
    let buckets = data.buckets(backend.capabilities(), SEED);
    for seed in buckets.map_err(|error| CliError::Demo(error.to_string()))? {
        backend.create_bucket(&seed.config).await?;
        let store = Store::open(backend, seed.config.name.as_str()).await?;
        let ttl = seed.entry_ttl;
        let writes = seed.entries.into_iter().map(|(key, value)| {
            let store = &store;
            async move { store.create(key, value, ttl).await }
        });
        let mut written = stream::iter(writes).buffered(AT_ONCE);
        while let Some(result) = written.next().await {
            match result {
                // It goes on from where it was.
                Ok(_) | Err(CreateError::Exists { .. }) => {}
                Err(CreateError::Write(WriteError::Failed(error))) => return Err(error.into()),
                Err(CreateError::Write(error)) => return Err(CliError::Demo(error.to_string())),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Filter, WatchEvent, WatchFrom, WatchOptions};

    #[tokio::test]
    async fn a_demo_lives_and_leaves_nothing_behind() {
        let demo = start(None).await.unwrap();
        let dir = demo.path.parent().unwrap().to_owned();
        let backend = connect(&Place::local(&demo.path), true).await.unwrap();
        let store = Store::open(&*backend, data::ENDPOINTS).await.unwrap();
        let before = store.info().await.unwrap();
        assert!(before.keys > 40, "{}", before.keys);
        let now = WatchOptions::new(Filter::all()).from(WatchFrom::Now);
        let watch = store.watch(now).await.unwrap();
        let change = async {
            while let Some(event) = watch.next().await {
                if let WatchEvent::Entry(entry) = event {
                    return entry;
                }
            }
            panic!("the watch ended");
        };
        let soon = std::time::Duration::from_secs(20);
        let entry = tokio::time::timeout(soon, change).await.unwrap();
        assert!(entry.revision > before.last_revision);
        demo.stop().await;
        drop((watch, store, backend));
        assert!(!dir.exists());
    }

    #[tokio::test]
    async fn a_file_goes_on_from_where_it_was_and_one_of_others_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo.db");
        let demo = start(Some(path.clone())).await.unwrap();
        demo.stop().await;
        let backend = open(&path).await.unwrap();
        let store = Store::open(&*backend, data::CONFIG).await.unwrap();
        let ours = store.put("shared.motd", "changed by hand").await.unwrap();
        start(Some(path.clone())).await.unwrap().stop().await;
        let kept = store.get("shared.motd").await.unwrap().unwrap();
        assert_eq!(kept.revision, ours);

        let other = crate::kv::BucketName::new("other").unwrap();
        let other = crate::kv::backend::BucketConfig::new(other);
        backend.create_bucket(&other).await.unwrap();
        let refused = start(Some(path)).await.unwrap_err();
        assert!(refused.to_string().contains("other"), "{refused}");
    }
}
