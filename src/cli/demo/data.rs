//! What the demo's buckets hold at the beginning: the configuration of a web shop that is not
//! there, its feature flags and its running services. Secrets in it are made up.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::cli::record::timestamp;
use crate::kv::backend::{BucketConfig, Capabilities};
use crate::kv::lock::shizuku::{Shizuku, ShizukuMode};
use crate::kv::{BucketName, InvalidBucketName};

pub(super) const CONFIG: &str = "config";
pub(super) const FLAGS: &str = "flags";
pub(super) const ENDPOINTS: &str = "endpoints";
pub(super) const LOCKS: &str = "locks";

/// The regions that instances run in.
pub(super) const REGIONS: [&str; 3] = ["eu-1", "us-1", "ap-1"];

/// After this time without a heartbeat an instance is gone.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// How long it is remembered that a session ended.
const MARKER_TTL: Duration = Duration::from_secs(600);

/// A lock of a service on the `shizuku` crate.
const LEGACY: &str = "legacy.invoice-run";

/// By this a bucket is known to be the demo's own.
const MARK: &str = "(kvscope demo)";

/// How many routes the large value has.
const ROUTES: usize = 1800;

/// Nobody inside, and a writer that is said to wait, for ever.
fn stale_flag() -> Bytes {
    let lock = Shizuku {
        mode: ShizukuMode::Idle,
        writer_waits: true,
        readers: 0,
        acquired_at: Some(0),
    };
    lock.to_bytes().into()
}

/// A bucket as it is at the beginning.
pub(super) struct Seed {
    pub(super) config: BucketConfig,
    pub(super) entries: Vec<(String, Bytes)>,
    /// The time to live of every entry, where the store can.
    pub(super) entry_ttl: Option<Duration>,
}

/// Everything that the demo's data is made of.
pub(super) struct Data {
    pub(super) services: Vec<ServiceInfo>,
    pub(super) flags: BTreeMap<String, Value>,
    shared: BTreeMap<String, Value>,
}

/// A service of the shop.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ServiceInfo {
    pub(super) name: String,
    team: String,
    language: String,
    port: u16,
    instances: usize,
    requests_per_second: u64,
}

/// An instance of a service: where it runs, and under which key it says so.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) service: String,
    pub(super) region: &'static str,
    pub(super) key: String,
    host: String,
    port: u16,
}

impl Data {
    /// Reads what comes with the program.
    pub(super) fn read() -> Result<Self, serde_json::Error> {
        Ok(Self {
            services: serde_json::from_str(include_str!("../../../assets/demo/services.json"))?,
            flags: serde_json::from_str(include_str!("../../../assets/demo/flags.json"))?,
            shared: serde_json::from_str(include_str!("../../../assets/demo/shared.json"))?,
        })
    }

    /// The running instances of all services, spread over the regions.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let mut instances = Vec::new();
        for (place, service) in self.services.iter().enumerate() {
            for number in 0..service.instances {
                let region = REGIONS[(place + number) % REGIONS.len()];
                let id = fastrand::Rng::with_seed((place * 16 + number) as u64).u16(..);
                instances.push(Instance {
                    service: service.name.clone(),
                    region,
                    key: format!("{}.{region}.i-{id:04x}", service.name),
                    host: format!("10.{}.{place}.{}", number + 20, number + 10),
                    port: service.port,
                });
            }
        }
        instances
    }

    /// The buckets with all their entries. The same seed makes the same ones, but for times.
    pub(super) fn buckets(
        &self,
        capabilities: Capabilities,
        seed: u64,
    ) -> Result<Vec<Seed>, InvalidBucketName> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = OffsetDateTime::now_utc();
        let flags = self.flags.iter();
        let flags = flags.map(|(key, flag)| (key.clone(), pretty(flag)));
        let endpoints = self.instances().into_iter().map(|instance| {
            let document = instance.document("1.0.0", "up", now);
            (instance.key, compact(&document))
        });
        let lease = capabilities.entry_ttl.then_some(LEASE);
        Ok(vec![
            Seed {
                config: bucket(CONFIG, "What the shop's services are set to", 5)?,
                entries: self.config_entries(&mut rng, now),
                entry_ttl: None,
            },
            Seed {
                config: bucket(FLAGS, "What the shop's services try out", 10)?,
                entries: flags.collect(),
                entry_ttl: None,
            },
            Seed {
                config: BucketConfig {
                    marker_ttl: lease,
                    ..bucket(ENDPOINTS, "Where the shop's services run", 1)?
                },
                entries: endpoints.collect(),
                entry_ttl: lease,
            },
            Seed {
                config: BucketConfig {
                    marker_ttl: capabilities.entry_ttl.then_some(MARKER_TTL),
                    ..bucket(LOCKS, "Who of the shop's services holds what", 32)?
                },
                // Of an old service: its writer gave up and left its flag.
                entries: vec![(LEGACY.to_owned(), stale_flag())],
                entry_ttl: None,
            },
        ])
    }

    fn config_entries(&self, rng: &mut fastrand::Rng, now: OffsetDateTime) -> Vec<(String, Bytes)> {
        let mut entries = Vec::new();
        for service in &self.services {
            for (part, value) in service.config(rng, now) {
                entries.push((format!("app.{}.{part}", service.name), pretty(&value)));
            }
        }
        for (key, value) in &self.shared {
            entries.push((key.clone(), pretty(value)));
        }
        let mut filter = vec![0; 4096];
        rng.fill(&mut filter);
        let nginx = include_bytes!("../../../assets/demo/nginx.conf");
        let motd = include_bytes!("../../../assets/demo/motd.txt");
        let logo = include_bytes!("../../../assets/demo/logo.png");
        entries.extend([
            ("edge.nginx".to_owned(), Bytes::from_static(nginx)),
            ("edge.routes".to_owned(), pretty(&self.routes(rng))),
            ("shared.motd".to_owned(), Bytes::from_static(motd)),
            ("branding.logo".to_owned(), Bytes::from_static(logo)),
            ("search.bloom-filter".to_owned(), filter.into()),
        ]);
        entries
    }

    /// One large document.
    fn routes(&self, rng: &mut fastrand::Rng) -> Value {
        let services = self.services.iter().cycle().take(ROUTES).enumerate();
        let routes = services.map(|(number, service)| {
            let methods: &[&str] = if number % 4 == 0 {
                &["GET", "POST"]
            } else {
                &["GET"]
            };
            json!({
                "id": format!("r-{number:05}"),
                "match": {
                    "host": "shop.example",
                    "path": format!("/{}/v{}/p{}", service.name, 1 + number % 3, number / 7),
                    "methods": methods,
                },
                "to": service.name,
                "weight": rng.u32(1..=100),
                "timeout_ms": 250 * rng.u32(1..=12),
            })
        });
        json!({ "version": 3, "routes": routes.collect::<Vec<_>>() })
    }
}

impl ServiceInfo {
    fn config(&self, rng: &mut fastrand::Rng, now: OffsetDateTime) -> Vec<(String, Value)> {
        let (name, rate) = (&self.name, self.requests_per_second);
        let parts = [
            (
                "http",
                json!({
                    "listen": format!("0.0.0.0:{}", self.port),
                    "read_timeout_ms": 5000,
                    "write_timeout_ms": 10_000,
                    "max_body_bytes": 1_048_576,
                    "tls": { "enabled": true, "min_version": "1.3" },
                }),
            ),
            (
                "database",
                json!({
                    "url": format!("postgres://db-{name}.internal:5432/{name}"),
                    "username": format!("svc_{name}"),
                    "password": format!("demo-{}", letters(rng, 14)),
                    "max_connections": 8 + rate / 40,
                    "statement_timeout_ms": 2500,
                }),
            ),
            (
                "limits",
                json!({
                    "max_per_second": rate * 2,
                    "burst": rate * 4,
                    "max_in_flight": 32 + rate / 8,
                    "shed_load_above": 0.85,
                }),
            ),
            (
                "retry",
                json!({ "attempts": 3, "base_ms": 50, "max_ms": 2000, "jitter": true }),
            ),
            (
                "logging",
                json!({ "level": "info", "format": "json", "sample": { "debug": 0.01 } }),
            ),
            (
                "release",
                json!({
                    "version": "1.0.0",
                    "commit": hex(rng, 7),
                    "team": self.team,
                    "language": self.language,
                    "deployed_at": timestamp(now),
                    "deployed_by": "deploy@ci",
                }),
            ),
            (
                "secrets",
                json!({
                    "api_token": format!("demo_{}", letters(rng, 24)),
                    "signing_key": letters(rng, 32),
                    "rotated_at": timestamp(now),
                }),
            ),
        ];
        let parts = parts.map(|(part, value)| (part.to_owned(), value));
        let regions = REGIONS.map(|region| {
            let value = json!({ "replicas": self.instances, "weight": 100, "drain": false });
            (format!("region.{region}"), value)
        });
        parts.into_iter().chain(regions).collect()
    }
}

impl Instance {
    /// What the instance says of itself.
    pub(super) fn document(&self, version: &str, state: &str, now: OffsetDateTime) -> Value {
        json!({
            "service": self.service,
            "host": self.host,
            "port": self.port,
            "region": self.region,
            "version": version,
            "state": state,
            "load": 0.2,
            "started_at": timestamp(now),
            "last_beat": timestamp(now),
        })
    }
}

/// Whether the settings are those of a bucket that the demo made.
pub(super) fn is_ours(config: &BucketConfig) -> bool {
    config.description.ends_with(MARK)
}

fn bucket(name: &str, purpose: &str, history: u64) -> Result<BucketConfig, InvalidBucketName> {
    Ok(BucketConfig {
        description: format!("{purpose} {MARK}"),
        history,
        ..BucketConfig::new(BucketName::new(name)?)
    })
}

/// The document as a person would have written it.
pub(super) fn pretty(document: &Value) -> Bytes {
    format!("{document:#}\n").into()
}

/// The document as a program writes it.
pub(super) fn compact(document: &Value) -> Bytes {
    document.to_string().into()
}

/// A made-up secret.
pub(super) fn letters(rng: &mut fastrand::Rng, length: usize) -> String {
    std::iter::repeat_with(|| rng.alphanumeric())
        .take(length)
        .collect()
}

/// A made-up digest.
pub(super) fn hex(rng: &mut fastrand::Rng, length: usize) -> String {
    std::iter::repeat_with(|| rng.digit(16))
        .take(length)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Key;

    #[test]
    fn there_is_something_of_everything_and_every_key_can_be_written() {
        let data = Data::read().unwrap();
        let buckets = data.buckets(Capabilities::minimal(), 1).unwrap();
        let mut keys = 0;
        for seed in &buckets {
            let mut names: Vec<&str> = seed.entries.iter().map(|(key, _)| &**key).collect();
            keys += names.len();
            for (key, value) in &seed.entries {
                Key::new(key).unwrap();
                assert!(!value.is_empty(), "{key}");
            }
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), seed.entries.len(), "a key comes twice");
            assert!(is_ours(&seed.config));
        }
        assert!(keys > 200, "{keys}");
        let values: Vec<&Bytes> = buckets
            .iter()
            .flat_map(|seed| seed.entries.iter().map(|(_, value)| value))
            .collect();
        let largest = values.iter().map(|value| value.len()).max().unwrap();
        assert!((200_000..1_000_000).contains(&largest), "{largest}");
        assert!(
            values
                .iter()
                .any(|value| std::str::from_utf8(value).is_err())
        );
    }

    #[test]
    fn the_same_seed_makes_the_same_secrets() {
        let secret = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            letters(&mut rng, 14)
        };
        assert_eq!(secret(7), secret(7));
        assert_ne!(secret(7), secret(8));
    }
}
