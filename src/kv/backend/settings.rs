//! The settings that a bucket can have, one by one, and which of them a place offers.
//!
//! What a setting's value looks like to people is not here.

use std::fmt;

use super::BucketConfig;
use crate::kv::{BucketName, Error};

/// One setting of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// What the bucket is for.
    Description,
    /// How many entries are kept per key.
    History,
    /// After which time entries are dropped.
    Ttl,
    /// For how long the marker of a dropped entry stays.
    MarkerTtl,
    /// The most bytes in all.
    MaxBytes,
    /// The largest value.
    MaxValueSize,
    /// On disk or in memory.
    Storage,
    /// On how many nodes.
    Replicas,
    /// Whether the data is compressed.
    Compression,
    /// On which nodes.
    Placement,
    /// Where writes are published again.
    Republish,
    /// The bucket that this one is a copy of.
    Mirror,
    /// The buckets whose entries come into this one.
    Sources,
    /// What else is noted of it.
    Metadata,
}

impl Setting {
    /// Every setting, in the order in which people are shown them.
    pub const ALL: [Self; 14] = [
        Self::Description,
        Self::History,
        Self::Ttl,
        Self::MarkerTtl,
        Self::MaxBytes,
        Self::MaxValueSize,
        Self::Storage,
        Self::Replicas,
        Self::Compression,
        Self::Placement,
        Self::Republish,
        Self::Mirror,
        Self::Sources,
        Self::Metadata,
    ];

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::History => "history",
            Self::Ttl => "ttl",
            Self::MarkerTtl => "marker ttl",
            Self::MaxBytes => "max size",
            Self::MaxValueSize => "max value size",
            Self::Storage => "storage",
            Self::Replicas => "replicas",
            Self::Compression => "compression",
            Self::Placement => "placement",
            Self::Republish => "republish",
            Self::Mirror => "mirror",
            Self::Sources => "sources",
            Self::Metadata => "metadata",
        }
    }

    /// Whether two buckets have the same of it.
    pub fn is_same(self, one: &BucketConfig, other: &BucketConfig) -> bool {
        match self {
            Self::Description => one.description == other.description,
            Self::History => one.history == other.history,
            Self::Ttl => one.ttl == other.ttl,
            Self::MarkerTtl => one.marker_ttl == other.marker_ttl,
            Self::MaxBytes => one.max_bytes == other.max_bytes,
            Self::MaxValueSize => one.max_value_size == other.max_value_size,
            Self::Storage => one.storage == other.storage,
            Self::Replicas => one.replicas == other.replicas,
            Self::Compression => one.compression == other.compression,
            Self::Placement => one.placement == other.placement,
            Self::Republish => one.republish == other.republish,
            Self::Mirror => one.mirror == other.mirror,
            Self::Sources => one.sources == other.sources,
            Self::Metadata => one.metadata == other.metadata,
        }
    }
}

/// Whether a place lets a setting be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It can be chosen, and changed later.
    Changeable,
    /// It can be chosen when the bucket is made, and not changed any more, for this reason.
    Fixed(Reason),
    /// It can't be chosen here, for this reason.
    Missing(Reason),
}

/// Why a setting can't be chosen, or not be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The place doesn't know it.
    NotHere,
    /// It takes a newer server.
    NeedsServer210,
    /// It takes a newer server.
    NeedsServer211,
    /// It takes a cluster.
    Alone,
    /// Data is not moved from one kind of storage to another.
    StaysWhereMade,
    /// A mirror doesn't become anything else.
    StaysACopy,
    /// A file is on disk.
    OnDisk,
    /// A file is in one place only.
    OneFile,
    /// A file keeps values as they come.
    NotPacked,
    /// A file tells nobody.
    TellsNobody,
    /// A file copies from nowhere.
    CopiesNothing,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHere => "this place doesn't have it",
            Self::NeedsServer210 => "the server is older than 2.10",
            Self::NeedsServer211 => "the server is older than 2.11",
            Self::Alone => "the server is not in a cluster",
            Self::StaysWhereMade => "it stays where it was made",
            Self::StaysACopy => "a copy stays one, and of the same bucket",
            Self::OnDisk => "a file keeps its buckets on disk",
            Self::OneFile => "a file keeps one copy, where it is",
            Self::NotPacked => "a file keeps its values as they are",
            Self::TellsNobody => "a file has nobody to publish to",
            Self::CopiesNothing => "a file copies from nowhere",
        })
    }
}

/// What a place offers of each setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered([Availability; Setting::ALL.len()]);

impl Offered {
    /// Every setting, to be chosen and changed.
    pub const ALL: Self = Self([Availability::Changeable; Setting::ALL.len()]);

    /// What a place offers that keeps entries and nothing more.
    pub const fn minimal() -> Self {
        const WHY: Reason = Reason::NotHere;
        Self::ALL
            .without(Setting::Replicas, WHY)
            .without(Setting::Compression, WHY)
            .without(Setting::Placement, WHY)
            .without(Setting::Republish, WHY)
            .without(Setting::Mirror, WHY)
            .without(Setting::Sources, WHY)
            .without(Setting::Metadata, WHY)
    }

    /// The same without a setting, for this reason.
    #[must_use]
    pub const fn without(self, setting: Setting, why: Reason) -> Self {
        self.with(setting, Availability::Missing(why))
    }

    /// The same with a setting that stays as it was when the bucket was made, for this reason.
    #[must_use]
    pub const fn with_fixed(self, setting: Setting, why: Reason) -> Self {
        self.with(setting, Availability::Fixed(why))
    }

    const fn with(mut self, setting: Setting, availability: Availability) -> Self {
        self.0[setting as usize] = availability;
        self
    }

    /// Whether a setting can be chosen.
    pub fn of(&self, setting: Setting) -> Availability {
        // The order of the variants is the order of `ALL`; a test holds them to it.
        self.0[setting as usize]
    }

    /// Refuses a new bucket with a setting that can't be chosen.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the reason.
    pub fn check_new(&self, config: &BucketConfig) -> Result<(), Error> {
        let plain = BucketConfig::new(config.name.clone());
        for setting in Setting::ALL {
            if let Availability::Missing(why) = self.of(setting)
                && !setting.is_same(&plain, config)
            {
                return Err(Error::Unsupported {
                    what: setting.name(),
                    reason: why.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Refuses a change of a setting that can't be changed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for one that can't be chosen here at all, [`Error::BucketConfig`]
    /// for one that stays as it was when the bucket was made.
    pub fn check_change(&self, before: &BucketConfig, after: &BucketConfig) -> Result<(), Error> {
        for setting in Setting::ALL {
            if setting.is_same(before, after) {
                continue;
            }
            match self.of(setting) {
                Availability::Changeable => {}
                Availability::Fixed(why) => {
                    return Err(Error::BucketConfig {
                        bucket: after.name.clone(),
                        reason: format!("the {} can't be changed: {why}", setting.name()),
                    });
                }
                Availability::Missing(why) => {
                    return Err(Error::Unsupported {
                        what: setting.name(),
                        reason: why.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// On which nodes a bucket is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The cluster; the one where it is made if there is none.
    pub cluster: Option<String>,
    /// Only on nodes with all of these tags.
    pub tags: Vec<String>,
}

/// Where the writes to a bucket are published again, for services that don't watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Republish {
    /// Which subjects: a pattern.
    pub source: String,
    /// Under which subjects: a pattern too.
    pub destination: String,
    /// Whether the values stay behind.
    pub headers_only: bool,
}

/// A bucket whose entries come into another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The bucket.
    pub bucket: BucketName,
    /// The domain that it is in, where that is not this one.
    pub domain: Option<String>,
}

/// The nodes that keep a bucket, as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// The name of the cluster, where there is one.
    pub cluster: Option<String>,
    /// The node that decides writes. `None` while there is none.
    pub leader: Option<String>,
    /// The nodes that follow it.
    pub followers: Vec<Follower>,
}

/// A node that keeps a copy of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    /// Its name.
    pub name: String,
    /// Whether it has everything that the leader has.
    pub is_current: bool,
    /// Whether it is gone, as far as the others know.
    pub is_offline: bool,
    /// When the leader last heard of it, counted back from now. `None` where it never did since it
    /// leads: the leader before it, if that crashed.
    pub last_heard: Option<std::time::Duration>,
    /// How many operations it is behind.
    pub lag: u64,
}

/// How a bucket stands with one that its entries come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inflow {
    /// What it is called there, in the words of the store.
    pub name: String,
    /// How many entries have not come yet.
    pub lag: u64,
    /// When something was last heard from there, counted back from now. `None`: never.
    pub last_heard: Option<std::time::Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::backend::Storage;

    fn config() -> BucketConfig {
        BucketConfig::new(BucketName::new("b").unwrap())
    }

    #[test]
    fn each_setting_has_its_place_and_tells_its_own_difference() {
        for (place, setting) in Setting::ALL.into_iter().enumerate() {
            assert_eq!(setting as usize, place, "{setting:?} is out of order");
            assert!(setting.is_same(&config(), &config()));
        }
        let other = BucketConfig {
            replicas: 3,
            ..config()
        };
        let differing: Vec<_> = Setting::ALL
            .into_iter()
            .filter(|setting| !setting.is_same(&config(), &other))
            .collect();
        assert_eq!(differing, [Setting::Replicas]);
    }

    #[test]
    fn what_is_not_offered_is_refused_with_its_reason() {
        let offered = Offered::minimal().with_fixed(Setting::Storage, Reason::StaysWhereMade);
        let replicated = BucketConfig {
            replicas: 3,
            ..config()
        };
        let error = offered.check_new(&replicated).unwrap_err();
        assert!(matches!(
            error,
            Error::Unsupported {
                what: "replicas",
                ..
            }
        ));
        assert!(offered.check_change(&config(), &replicated).is_err());

        let in_memory = BucketConfig {
            storage: Storage::Memory,
            ..config()
        };
        offered.check_new(&in_memory).unwrap();
        let error = offered.check_change(&config(), &in_memory).unwrap_err();
        assert!(
            error.to_string().contains("stays where it was made"),
            "{error}"
        );
        offered.check_change(&in_memory, &in_memory).unwrap();
    }
}
