//! The suite that every backend and every wrapper passes: the contract, as tests.
//!
//! A case makes buckets of its own under unique names, so that cases run next to each other and a
//! server needs no cleaning in between. A case for what a place says it can't do checks that it
//! is refused. Here are the list, the runner and what a case gets; the cases are in the folder.
//!
//! Properties over random operations are not here but in the crate's tests.

mod bench;
mod buckets;
mod entries;
mod failure;
mod notices;
mod outages;
mod races;
mod read_only;
mod reports;
mod restores;
mod ttl;
mod updates;
mod values;
mod watches;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

pub use self::bench::{Bench, Probe};
pub use self::failure::{Failure, Outcome, equal, that};
pub use self::read_only::READ_ONLY_CASES;
use super::backend::Backend;

/// One promise of the contract, and the check that it is kept.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it is called in reports: the file it is in, and the promise.
    pub name: &'static str,
    run: fn(Bench) -> Run,
}

type Run = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Case {
    /// Runs the case.
    ///
    /// # Errors
    /// [`Failure`]: what was promised, and what was found.
    pub async fn run(&self, bench: Bench) -> Outcome {
        (self.run)(bench).await
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! cases {
    ($($file:ident::$case:ident),* $(,)?) => {
        &[$(Case {
            name: concat!(stringify!($file), "::", stringify!($case)),
            run: |bench| Box::pin($file::$case(bench)),
        }),*]
    };
}
use cases;

/// Every case for a backend that can be written to.
pub const CASES: &[Case] = cases![
    // They wait for what expires, and others go on meanwhile.
    ttl::entry_expires,
    ttl::update_without_ttl_takes_it_away,
    ttl::bucket_ttl_drops_everything,
    buckets::place_describes_itself,
    buckets::create_is_idempotent,
    buckets::create_with_other_settings_is_refused,
    buckets::settings_that_make_no_sense_are_refused,
    buckets::settings_come_back,
    buckets::each_setting_is_kept_or_refused,
    buckets::each_setting_is_changed_or_refused,
    buckets::all_are_listed_by_name,
    buckets::info_counts,
    buckets::change_keeps_the_data,
    buckets::less_history_trims,
    buckets::missing_bucket_is_said_to_be_missing,
    buckets::handle_outlives_its_bucket,
    entries::absent_key_has_nothing,
    entries::put_and_get,
    entries::revisions_rise_over_the_whole_bucket,
    entries::delete_leaves_a_marker_and_the_history,
    entries::purge_leaves_a_marker_alone,
    entries::forgetting_leaves_nothing_of_a_gone_key,
    entries::forgetting_spares_what_is_there,
    entries::absent_key_can_be_deleted,
    entries::history_is_trimmed_per_key,
    entries::revision_belongs_to_its_key,
    entries::any_copy_catches_up,
    entries::key_listing_is_what_is_there,
    updates::absent_means_no_entry_at_all,
    updates::marker_revision_creates_anew,
    updates::update_needs_the_newest_revision,
    updates::delete_and_purge_can_expect,
    updates::impossible_revisions_conflict,
    updates::other_keys_do_not_disturb,
    updates::create_goes_over_markers,
    values::sizes_come_back,
    values::largest_value_fits,
    values::too_large_is_refused,
    values::bucket_limit_is_kept,
    values::any_bytes_come_back,
    values::awkward_keys_work,
    values::foreign_keys_are_removed_but_never_put,
    ttl::fraction_of_a_second_is_never_cut,
    ttl::ttl_needs_a_bucket_set_up_for_it,
    ttl::create_keeps_its_ttl_over_a_marker,
    watches::empty_bucket_is_ready,
    watches::filter_that_matches_nothing_is_ready,
    watches::snapshot_then_live,
    watches::markers_are_in_the_snapshot,
    watches::live_markers_come,
    watches::filters_are_kept,
    watches::values_stay_behind_when_not_wanted,
    watches::history_comes_in_order,
    watches::revision_is_a_beginning,
    watches::now_skips_what_was,
    watches::two_watches_are_independent,
    watches::missing_bucket_cannot_be_watched,
    watches::large_values_come_through,
    watches::dropped_watch_harms_nobody,
    races::one_writer_wins_each_revision,
    races::no_increment_is_lost,
    races::one_create_wins,
    races::watcher_ends_with_the_newest,
    races::snapshot_of_many_keys,
    races::snapshot_while_writing_misses_nothing,
    notices::who_listens_hears_what_is_told_under_its_name,
    restores::entries_are_put_in_place_as_they_were,
    restores::what_is_not_behind_is_refused_with_all_that_comes_with_it,
    reports::place_says_what_it_runs,
    reports::bucket_says_who_watches_it,
    reports::missing_bucket_has_no_report,
    outages::deleted_bucket_interrupts_until_it_is_back,
    outages::replaced_bucket_is_a_gap,
    outages::replaced_bucket_has_no_snapshot_for_what_is_new,
];

/// A backend, and how to try it.
#[derive(Debug, Clone)]
pub struct Suite {
    backend: Arc<dyn Backend>,
    replicas: u64,
    many_keys: usize,
    at_once: usize,
    time_limit: Duration,
}

impl Suite {
    /// The suite for a backend: one replica, 20,000 keys where many are called for, four cases at
    /// once, two minutes for each.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            replicas: 1,
            many_keys: 20_000,
            at_once: 4,
            time_limit: Duration::from_secs(120),
        }
    }

    /// The same with all buckets on that many nodes.
    #[must_use]
    pub fn replicas(self, replicas: u64) -> Self {
        Self { replicas, ..self }
    }

    /// The same with that many keys where many are called for.
    #[must_use]
    pub fn many_keys(self, many_keys: usize) -> Self {
        Self { many_keys, ..self }
    }

    /// The same with that many cases at once, at least one.
    #[must_use]
    pub fn at_once(self, at_once: usize) -> Self {
        let at_once = at_once.max(1);
        Self { at_once, ..self }
    }

    /// Runs every case and prints how each went.
    pub async fn run(&self) -> Report {
        self.run_cases(CASES).await
    }

    /// Runs these cases and prints how each went.
    pub async fn run_cases(&self, cases: &[Case]) -> Report {
        let runs = cases.iter().map(|case| self.run_case(*case));
        let failed = stream::iter(runs)
            .buffer_unordered(self.at_once)
            .filter_map(|failed| async { failed })
            .collect()
            .await;
        Report {
            run: cases.len(),
            failed,
        }
    }

    /// In a task of its own, so that a panic fails the case and not the others.
    async fn run_case(&self, case: Case) -> Option<(&'static str, Failure)> {
        let bench = Bench::new(Arc::clone(&self.backend), self.replicas, self.many_keys);
        let began = Instant::now();
        let task = tokio::spawn({
            let bench = bench.clone();
            let limit = self.time_limit;
            async move { tokio::time::timeout(limit, case.run(bench)).await }
        });
        let outcome = match task.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::new("it did not end in time")),
            Err(panic) => Err(Failure::new(panic.to_string())),
        };
        bench.clean_up().await;
        let took = began.elapsed().as_millis();
        match outcome {
            Ok(()) => {
                println!("    ok {} ({took} ms)", case.name);
                None
            }
            Err(failure) => {
                println!("FAILED {} ({took} ms): {failure}", case.name);
                Some((case.name, failure))
            }
        }
    }
}

/// Runs every case against a backend.
pub async fn run_all(backend: Arc<dyn Backend>) -> Report {
    Suite::new(backend).run().await
}

/// How a run of the suite went.
#[derive(Debug)]
#[must_use = "a report that nobody looks at lets every backend pass"]
pub struct Report {
    /// How many cases were run.
    pub run: usize,
    /// The cases that failed.
    pub failed: Vec<(&'static str, Failure)>,
}

impl Report {
    /// Fails the test that calls it if any case failed.
    ///
    /// # Panics
    /// If any case failed, with all of them.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.failed.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} cases failed", self.failed.len(), self.run)?;
        for (name, failure) in &self.failed {
            write!(f, "\n  {name}: {failure}")?;
        }
        Ok(())
    }
}
