//! The settings of a bucket as text: as people type them, as they read them, and as the flags that
//! would do the same on the command line.
//!
//! The form of the console and the command line share this, so that a word means the same in both.
//! Nothing is drawn here.

pub mod facts;
mod read;

use std::time::Duration;

pub use self::read::{SettingError, limit, origin, set, time};
use crate::kv::backend::{BucketConfig, Origin, Setting};
use crate::kv::shell::word;

/// What a setting takes, in a few words.
pub fn hint(setting: Setting) -> &'static str {
    match setting {
        Setting::Description => "what the bucket is for",
        Setting::History => "entries kept per key",
        Setting::Ttl => "drop entries after this time, such as 1h or 7d; empty for never",
        Setting::MarkerTtl => {
            "announce what is dropped by markers kept for this time; lets entries have a TTL"
        }
        Setting::MaxBytes => "the most bytes in all, such as 1G; empty for no limit",
        Setting::MaxValueSize => "the largest value, such as 64K; empty for no limit",
        Setting::Storage => "file, or memory: lost with the server",
        Setting::Replicas => "on how many nodes",
        Setting::Compression => "whether the data is compressed",
        Setting::Placement => "a cluster, then tag:NAME for each tag that a node must have",
        Setting::Republish => "SOURCE DESTINATION, and `headers` to leave values out",
        Setting::Mirror => "BUCKET or BUCKET@DOMAIN that this one is a copy of",
        Setting::Sources => "BUCKET or BUCKET@DOMAIN, several with blanks between them",
        Setting::Metadata => "name=value, several with commas between them",
    }
}

/// A setting as it can be typed: [`set`] takes the text back.
pub fn shown(config: &BucketConfig, setting: Setting) -> String {
    let time = |time: Option<Duration>| {
        time.map_or_else(String::new, |time| {
            humantime::format_duration(time).to_string()
        })
    };
    match setting {
        Setting::Description => config.description.clone(),
        // Another client may have set up a stream that keeps everything.
        Setting::History if config.history == u64::MAX => "all".to_owned(),
        Setting::History => config.history.to_string(),
        Setting::Ttl => time(config.ttl),
        Setting::MarkerTtl => time(config.marker_ttl),
        Setting::MaxBytes => config.max_bytes.map_or_else(String::new, exact_size),
        Setting::MaxValueSize => config.max_value_size.map_or_else(String::new, exact_size),
        Setting::Storage => config.storage.as_str().to_owned(),
        Setting::Replicas => config.replicas.to_string(),
        Setting::Compression => if config.compression { "yes" } else { "no" }.to_owned(),
        Setting::Placement => {
            let cluster = config.placement.cluster.iter().cloned();
            let tags = config.placement.tags.iter().map(|tag| format!("tag:{tag}"));
            cluster.chain(tags).collect::<Vec<_>>().join(" ")
        }
        Setting::Republish => config.republish.as_ref().map_or_else(String::new, |to| {
            let headers = if to.headers_only { " headers" } else { "" };
            format!("{} {}{headers}", to.source, to.destination)
        }),
        Setting::Mirror => config.mirror.as_ref().map_or_else(String::new, origin_text),
        Setting::Sources => {
            let sources: Vec<_> = config.sources.iter().map(origin_text).collect();
            sources.join(" ")
        }
        Setting::Metadata => {
            let noted = config.metadata.iter();
            let noted: Vec<_> = noted
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            noted.join(", ")
        }
    }
}

/// The words that make one bucket of another, on the command line: `--ttl 1h`.
pub fn flags(before: &BucketConfig, after: &BucketConfig) -> Vec<String> {
    let mut words = Vec::new();
    for setting in Setting::ALL {
        if !setting.is_same(before, after) {
            flags_of(setting, before, after, &mut words);
        }
    }
    words
}

fn flags_of(
    setting: Setting,
    before: &BucketConfig,
    after: &BucketConfig,
    words: &mut Vec<String>,
) {
    let mut flag = |name: &str, value: &str| {
        let value = if value.is_empty() { "none" } else { value };
        words.push(format!("--{name} {}", word(value)));
    };
    let text = shown(after, setting);
    match setting {
        Setting::Description if text.is_empty() => words.push("--description ''".to_owned()),
        Setting::Description => flag("description", &text),
        Setting::History => flag("history", &text),
        // What humantime puts blanks into, a shell would cut.
        Setting::Ttl => flag("ttl", &text.replace(' ', "")),
        Setting::MarkerTtl => flag("marker-ttl", &text.replace(' ', "")),
        Setting::MaxBytes => flag("max-bucket-size", &text),
        Setting::MaxValueSize => flag("max-value-size", &text),
        Setting::Storage => flag("storage", &text),
        Setting::Replicas => flag("replicas", &text),
        Setting::Compression => words.push(format!("--compress={}", after.compression)),
        Setting::Placement => {
            if before.placement.cluster != after.placement.cluster {
                flag(
                    "cluster",
                    after.placement.cluster.as_deref().unwrap_or_default(),
                );
            }
            if before.placement.tags != after.placement.tags {
                several(&after.placement.tags, |tag| flag("tag", tag));
            }
        }
        Setting::Republish => match &after.republish {
            None => flag("republish-source", ""),
            Some(to) => {
                flag("republish-source", &to.source);
                flag("republish-destination", &to.destination);
                if to.headers_only {
                    words.push("--republish-headers".to_owned());
                }
            }
        },
        Setting::Mirror => flag("mirror", &text),
        Setting::Sources => {
            let sources: Vec<_> = after.sources.iter().map(origin_text).collect();
            several(&sources, |source| flag("source", source));
        }
        Setting::Metadata => {
            for (name, value) in &after.metadata {
                if before.metadata.get(name) != Some(value) {
                    flag("metadata", &format!("{name}={value}"));
                }
            }
            for name in before.metadata.keys() {
                if !after.metadata.contains_key(name) {
                    flag("metadata", &format!("{name}="));
                }
            }
        }
    }
}

/// One flag for each, or one that says that there is none.
fn several(values: &[String], mut flag: impl FnMut(&str)) {
    if values.is_empty() {
        flag("");
    }
    for value in values {
        flag(value);
    }
}

/// The command line that makes this bucket, or that makes it of another one.
pub fn command(before: Option<&BucketConfig>, after: &BucketConfig) -> String {
    let plain = BucketConfig::new(after.name.clone());
    let verb = if before.is_some() { "edit" } else { "add" };
    let mut words = vec![format!("kvscope bucket {verb} {}", after.name)];
    words.extend(flags(before.unwrap_or(&plain), after));
    words.join(" ")
}

fn origin_text(origin: &Origin) -> String {
    match &origin.domain {
        Some(domain) => format!("{}@{domain}", origin.bucket),
        None => origin.bucket.to_string(),
    }
}

/// A size that is read back as the same number of bytes.
fn exact_size(bytes: u64) -> String {
    let units = [
        (1 << 40, "T"),
        (1 << 30, "G"),
        (1 << 20, "M"),
        (1 << 10, "K"),
    ];
    units
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(unit, name)| format!("{}{name}", bytes / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::BucketName;
    use crate::kv::backend::{Placement, Republish, Storage};

    fn plain() -> BucketConfig {
        BucketConfig::new(BucketName::new("b").unwrap())
    }

    fn full() -> BucketConfig {
        let origin = |name: &str, domain: Option<&str>| Origin {
            bucket: BucketName::new(name).unwrap(),
            domain: domain.map(str::to_owned),
        };
        BucketConfig {
            description: "it's for all".to_owned(),
            history: 5,
            ttl: Some(Duration::from_secs(5400)),
            marker_ttl: Some(Duration::from_secs(60)),
            max_bytes: Some(3 << 30),
            max_value_size: Some(1000),
            storage: Storage::Memory,
            replicas: 3,
            compression: true,
            placement: Placement {
                cluster: Some("eu".to_owned()),
                tags: vec!["ssd".to_owned(), "fast".to_owned()],
            },
            republish: Some(Republish {
                source: "$KV.b.>".to_owned(),
                destination: "told.>".to_owned(),
                headers_only: true,
            }),
            mirror: Some(origin("original", Some("hub"))),
            sources: vec![origin("one", None), origin("two", Some("leaf"))],
            metadata: [("team".to_owned(), "a=b".to_owned())].into(),
            ..plain()
        }
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        let mut typed = plain();
        for setting in Setting::ALL {
            let text = shown(&full(), setting);
            set(&mut typed, setting, &text).unwrap();
            assert!(setting.is_same(&typed, &full()), "{setting:?} {text:?}");
            let nothing = shown(&plain(), setting);
            let mut cleared = full();
            set(&mut cleared, setting, &nothing).unwrap();
            assert!(
                setting.is_same(&cleared, &plain()),
                "{setting:?} {nothing:?}"
            );
        }
        assert_eq!(typed, full());
    }

    #[test]
    fn what_changes_is_told_as_a_command() {
        assert_eq!(command(None, &plain()), "kvscope bucket add b");
        let changed = BucketConfig {
            ttl: Some(Duration::from_secs(5400)),
            description: "it's".to_owned(),
            ..plain()
        };
        assert_eq!(
            command(Some(&plain()), &changed),
            r"kvscope bucket edit b --description 'it'\''s' --ttl 1h30m"
        );
        assert_eq!(
            command(Some(&changed), &plain()),
            "kvscope bucket edit b --description '' --ttl none"
        );
        let all = command(None, &full());
        for words in [
            "--max-bucket-size 3G --max-value-size 1000",
            "--compress=true --cluster eu --tag ssd --tag fast",
            "--republish-source '$KV.b.>' --republish-destination 'told.>' --republish-headers",
            "--mirror original@hub --source one --source two@leaf --metadata team=a=b",
        ] {
            assert!(all.contains(words), "{all}");
        }
    }
}
