//! What the simulated services are going to change, and when. Pure: the same seed makes the same
//! plans. Carrying them out is [`super::services`]' part.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::data::{CONFIG, Data, ENDPOINTS, FLAGS, Instance, REGIONS, hex, letters};

/// The jobs that run now and then.
const JOBS: [&str; 4] = [
    "jobs.reindex",
    "jobs.price-feed",
    "jobs.cleanup-carts",
    "jobs.nightly-export",
];

/// The pause between two heartbeats in one region. With fifteen or so instances in a region, each
/// of them beats well within its lease.
const BEAT_MILLIS: u64 = 1300;

/// How many rounds an instance misses that has fallen silent: more than its lease.
const SILENT_ROUNDS: u32 = 6;

/// One change that a service is going to make.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    /// How long after the change before it.
    pub(super) after: Duration,
    pub(super) bucket: &'static str,
    pub(super) key: String,
    pub(super) edit: Edit,
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edit {
    /// Members of its JSON document get new values; `stamp` names one that gets the present time.
    Merge {
        members: Vec<(&'static str, Value)>,
        stamp: Option<&'static str>,
    },
    /// An instance says that it is there; its times are filled in when it does.
    Announce {
        document: Value,
        /// It has just started. Else it keeps the version and the start that it told before.
        starts: bool,
    },
    /// It is deleted.
    Withdraw,
}

/// A simulated service: an endless plan.
pub(super) struct Service {
    /// What it is called in the log.
    pub(super) name: String,
    rng: fastrand::Rng,
    habit: Habit,
    planned: VecDeque<Planned>,
}

/// What a service keeps doing.
enum Habit {
    /// The instances of one region say that they are alive. Now and then one falls silent, and
    /// comes back when its lease has run out.
    Beat(Region),
    /// New versions are rolled out, instance after instance.
    Deploy {
        services: Vec<(String, Vec<Instance>)>,
        minor: u32,
    },
    /// Limits follow the load.
    Tune(Vec<String>),
    /// Flags are rolled out and back.
    Flag(Vec<String>),
    /// Jobs run and tell how far they are.
    Work,
    /// Secrets are rotated.
    Rotate(Vec<String>),
}

/// The instances of one region.
struct Region {
    instances: Vec<Instance>,
    /// Whose turn it is to beat.
    turn: usize,
    /// Who is silent, and for how many rounds still.
    silent: Option<(usize, u32)>,
}

/// All services of the demo.
pub(super) fn services(data: &Data, seed: u64) -> Vec<Service> {
    let names: Vec<String> = data.services.iter().map(|s| s.name.clone()).collect();
    let instances = data.instances();
    let mut habits = Vec::new();
    for region in REGIONS {
        let here = instances.iter().filter(|i| i.region == region);
        let region_habit = Habit::Beat(Region {
            instances: here.cloned().collect(),
            turn: 0,
            silent: None,
        });
        habits.push((format!("registry-{region}"), region_habit));
    }
    let of_service = |name: &String| {
        let its = instances.iter().filter(|i| i.service == *name);
        (name.clone(), its.cloned().collect())
    };
    let deploy = Habit::Deploy {
        services: names.iter().map(of_service).collect(),
        minor: 0,
    };
    habits.extend([
        ("deploy".to_owned(), deploy),
        ("tuner".to_owned(), Habit::Tune(names.clone())),
        (
            "flags".to_owned(),
            Habit::Flag(data.flags.keys().cloned().collect()),
        ),
        ("jobs".to_owned(), Habit::Work),
        ("vault".to_owned(), Habit::Rotate(names)),
    ]);
    let mut seeds = fastrand::Rng::with_seed(seed);
    let service = |(name, habit)| Service {
        name,
        rng: fastrand::Rng::with_seed(seeds.u64(..)),
        habit,
        planned: VecDeque::new(),
    };
    habits.into_iter().map(service).collect()
}

impl Service {
    /// The next change. `None` only for a service that has nothing to do at all.
    pub(super) fn next(&mut self) -> Option<Planned> {
        if self.planned.is_empty() {
            self.planned = self.habit.plan(&mut self.rng).into();
        }
        self.planned.pop_front()
    }
}

impl Habit {
    fn plan(&mut self, rng: &mut fastrand::Rng) -> Vec<Planned> {
        let plan = match self {
            Self::Beat(region) => region.beat(rng).map(|planned| vec![planned]),
            Self::Deploy { services, minor } => deploy(services, minor, rng),
            Self::Tune(services) => tune(services, rng).map(|planned| vec![planned]),
            Self::Flag(flags) => flag(flags, rng).map(|planned| vec![planned]),
            Self::Work => work(rng),
            Self::Rotate(services) => rotate(services, rng).map(|planned| vec![planned]),
        };
        plan.unwrap_or_default()
    }
}

impl Region {
    fn beat(&mut self, rng: &mut fastrand::Rng) -> Option<Planned> {
        let count = self.instances.len();
        self.turn = (self.turn + 1).checked_rem(count)?;
        match &mut self.silent {
            Some((who, rounds)) if *who == self.turn && *rounds > 0 => {
                *rounds -= 1;
                self.turn = (self.turn + 1) % count;
            }
            Some((who, _)) if *who == self.turn => self.silent = None,
            Some(_) => {}
            None if rng.u32(..60) == 0 => self.silent = Some((rng.usize(..count), SILENT_ROUNDS)),
            None => {}
        }
        let instance = self.instances.get(self.turn)?;
        let mut document = instance.document("1.0.0", "up", OffsetDateTime::UNIX_EPOCH);
        document["load"] = hundredths(rng, 5, 95);
        Some(Planned {
            after: around(rng, BEAT_MILLIS),
            bucket: ENDPOINTS,
            key: instance.key.clone(),
            edit: Edit::Announce {
                document,
                starts: false,
            },
        })
    }
}

/// A new version of one service: its release, then each instance drains, goes and comes back.
fn deploy(
    services: &[(String, Vec<Instance>)],
    minor: &mut u32,
    rng: &mut fastrand::Rng,
) -> Option<Vec<Planned>> {
    let (service, instances) = rng.choice(services)?;
    *minor += 1;
    let version = format!("1.{minor}.{}", rng.u32(..6));
    let release = vec![("version", json!(version)), ("commit", json!(hex(rng, 7)))];
    let mut planned = vec![Planned {
        after: around(rng, 30_000),
        bucket: CONFIG,
        key: format!("app.{service}.release"),
        edit: merge(release, Some("deployed_at")),
    }];
    for instance in instances {
        let starting = Edit::Announce {
            document: instance.document(&version, "starting", OffsetDateTime::UNIX_EPOCH),
            starts: true,
        };
        let steps = [
            (500, merge(vec![("state", json!("draining"))], None)),
            (900, Edit::Withdraw),
            (700, starting),
            (400, merge(vec![("state", json!("up"))], Some("last_beat"))),
        ];
        planned.extend(steps.map(|(millis, edit)| Planned {
            after: around(rng, millis),
            bucket: ENDPOINTS,
            key: instance.key.clone(),
            edit,
        }));
    }
    Some(planned)
}

fn tune(services: &[String], rng: &mut fastrand::Rng) -> Option<Planned> {
    let service = rng.choice(services)?;
    let (part, members) = match rng.u32(..4) {
        0 => {
            let connections = 8 + 4 * rng.u32(..16);
            ("database", vec![("max_connections", json!(connections))])
        }
        1 => {
            let level = rng.choice(["info", "info", "debug", "warn"])?;
            ("logging", vec![("level", json!(level))])
        }
        _ => {
            let rate = 50 * rng.u32(2..80);
            let limits = vec![
                ("max_per_second", json!(rate)),
                ("shed_load_above", hundredths(rng, 70, 95)),
            ];
            ("limits", limits)
        }
    };
    Some(Planned {
        after: around(rng, 4500),
        bucket: CONFIG,
        key: format!("app.{service}.{part}"),
        edit: merge(members, None),
    })
}

fn flag(flags: &[String], rng: &mut fastrand::Rng) -> Option<Planned> {
    let percent = rng.choice([0, 1, 5, 10, 25, 50, 75, 100])?;
    let members = vec![
        ("enabled", json!(percent > 0)),
        ("rollout_percent", json!(percent)),
    ];
    Some(Planned {
        after: around(rng, 6000),
        bucket: FLAGS,
        key: rng.choice(flags)?.clone(),
        edit: merge(members, None),
    })
}

/// A job runs from nothing to a hundred in a burst of small steps.
fn work(rng: &mut fastrand::Rng) -> Option<Vec<Planned>> {
    let job = rng.choice(JOBS)?;
    let step = |after, state: &str, percent: u32, rows: u32| Planned {
        after,
        bucket: CONFIG,
        key: job.to_owned(),
        edit: merge(
            vec![
                ("state", json!(state)),
                ("progress_percent", json!(percent)),
                ("rows", json!(rows)),
            ],
            Some("last_run"),
        ),
    };
    let mut planned = vec![step(around(rng, 15_000), "running", 0, 0)];
    let (mut percent, mut rows) = (0, 0);
    while percent < 100 {
        percent = (percent + rng.u32(8..30)).min(100);
        rows += rng.u32(500..9000);
        planned.push(step(around(rng, 300), "running", percent, rows));
    }
    planned.push(step(around(rng, 800), "idle", 100, rows));
    Some(planned)
}

fn rotate(services: &[String], rng: &mut fastrand::Rng) -> Option<Planned> {
    let service = rng.choice(services)?;
    let token = format!("demo_{}", letters(rng, 24));
    Some(Planned {
        after: around(rng, 45_000),
        bucket: CONFIG,
        key: format!("app.{service}.secrets"),
        edit: merge(vec![("api_token", json!(token))], Some("rotated_at")),
    })
}

fn merge(members: Vec<(&'static str, Value)>, stamp: Option<&'static str>) -> Edit {
    Edit::Merge { members, stamp }
}

/// A time around that many milliseconds.
pub(super) fn around(rng: &mut fastrand::Rng, millis: u64) -> Duration {
    Duration::from_millis(rng.u64(millis / 2..=millis * 3 / 2))
}

/// A share with two decimals, so that it reads like a measurement.
fn hundredths(rng: &mut fastrand::Rng, from: u32, to: u32) -> Value {
    json!(f64::from(rng.u32(from..=to)) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::super::data::LEASE;
    use super::*;
    use crate::kv::backend::Capabilities;
    use std::collections::HashSet;

    /// The plans of all services for that long, with the time of each.
    fn plans(seed: u64, time: Duration) -> Vec<(Duration, Planned)> {
        let data = Data::read().unwrap();
        let mut plans = Vec::new();
        for mut service in services(&data, seed) {
            let mut now = Duration::ZERO;
            while now < time {
                let planned = service.next().unwrap();
                now += planned.after;
                plans.push((now, planned));
            }
        }
        plans.sort_by_key(|(at, _)| *at);
        plans
    }

    #[test]
    fn the_same_seed_makes_the_same_plans() {
        let time = Duration::from_secs(300);
        assert_eq!(plans(7, time), plans(7, time));
        assert_ne!(plans(7, time), plans(8, time));
    }

    #[test]
    fn a_few_changes_a_second_with_bursts() {
        let seconds = 600;
        let plans = plans(1, Duration::from_secs(seconds));
        let mut per_second = vec![0_usize; usize::try_from(seconds).unwrap()];
        for (at, _) in &plans {
            if let Some(count) = per_second.get_mut(usize::try_from(at.as_secs()).unwrap()) {
                *count += 1;
            }
        }
        let mean = plans.len() as f64 / per_second.len() as f64;
        assert!((2.0..7.0).contains(&mean), "{mean} a second");
        let most = per_second.iter().max().unwrap();
        assert!((6..30).contains(most), "{most} in one second");
    }

    #[test]
    fn services_change_what_is_there() {
        let data = Data::read().unwrap();
        let buckets = data.buckets(Capabilities::minimal(), 1).unwrap();
        let mut known = HashSet::new();
        for seed in buckets {
            let keys = seed.entries.into_iter().map(|(key, _)| key);
            known.extend(keys.map(|key| (seed.config.name.to_string(), key)));
        }
        for (_, planned) in plans(3, Duration::from_secs(600)) {
            let place = (planned.bucket.to_owned(), planned.key);
            assert!(known.contains(&place), "{place:?}");
        }
    }

    #[test]
    fn every_instance_beats_within_its_lease_unless_it_falls_silent_for_longer() {
        for region in REGIONS {
            let data = Data::read().unwrap();
            let here = data
                .instances()
                .iter()
                .filter(|i| i.region == region)
                .count();
            let round = |millis: u64| Duration::from_millis(here as u64 * millis);
            assert!(round(BEAT_MILLIS * 3 / 2) < LEASE, "{here} in {region}");
            assert!(round(BEAT_MILLIS) * SILENT_ROUNDS > LEASE);
        }
    }
}
