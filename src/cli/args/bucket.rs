//! The grammar of `bucket`, and how its flags become a bucket's settings.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;
use crate::cli::CliError;
use crate::kv::backend::{BucketConfig, Republish, Setting};
use crate::ui::bucket::{SettingError, origin, set};

/// The commands on buckets.
#[derive(Debug, Subcommand)]
pub enum BucketCommand {
    /// List the buckets
    #[command(visible_alias = "list")]
    Ls,
    /// Show a bucket's settings, its size against its limits, and the nodes that keep it
    Info(BucketInfoArgs),
    /// Make a bucket
    Add(BucketAddArgs),
    /// Change a bucket's settings; only those that are given
    Edit(BucketEditArgs),
    /// Remove what deleted keys and crashed holders of locks have left behind
    Compact(BucketCompactArgs),
    /// Remove a bucket with all its keys
    #[command(visible_alias = "del")]
    Rm {
        /// The bucket
        bucket: String,
        /// Don't ask first
        #[arg(short, long)]
        force: bool,
    },
}

/// Which bucket to show, and how closely.
#[derive(Debug, Args)]
pub struct BucketInfoArgs {
    /// The bucket
    pub bucket: String,
    /// Count deleted keys however many keys there are
    #[arg(long)]
    pub count: bool,
}

/// A bucket to make.
#[derive(Debug, Args)]
pub struct BucketAddArgs {
    /// The bucket
    pub bucket: String,
    /// Its settings.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// The bucket that this one is a copy of; @DOMAIN where it is in another domain
    #[arg(long, value_name = "BUCKET[@DOMAIN]")]
    pub mirror: Option<String>,
}

/// A bucket to change.
#[derive(Debug, Args)]
pub struct BucketEditArgs {
    /// The bucket
    pub bucket: String,
    /// Its settings.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// A bucket to compact.
#[derive(Debug, Args)]
pub struct BucketCompactArgs {
    /// The bucket
    pub bucket: String,
    /// Leave markers that are younger: somebody may not have heard of them yet
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30m")]
    pub older_than: Duration,
    /// Only count what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Don't ask first
    #[arg(short, long)]
    pub force: bool,
}

/// The settings of a bucket; `none` takes one away.
#[derive(Debug, Args)]
pub struct SettingArgs {
    /// What it is for
    #[arg(long)]
    pub description: Option<String>,
    /// How many entries to keep per key; 1 in a new bucket
    #[arg(long, value_name = "N")]
    pub history: Option<String>,
    /// Drop entries after this time, such as 1h or 7d
    #[arg(long, value_name = "TIME")]
    pub ttl: Option<String>,
    /// Announce dropped entries by markers that stay for this time, and let entries have a time
    /// to live of their own
    #[arg(long, value_name = "TIME")]
    pub marker_ttl: Option<String>,
    /// The largest size of the whole, such as 1GB
    #[arg(long, value_name = "BYTES")]
    pub max_bucket_size: Option<String>,
    /// The largest value, such as 64KB
    #[arg(long, value_name = "BYTES")]
    pub max_value_size: Option<String>,
    /// Where to keep it: file or memory
    #[arg(long, value_name = "WHERE")]
    pub storage: Option<String>,
    /// On how many nodes to keep it
    #[arg(long, value_name = "N")]
    pub replicas: Option<String>,
    /// Compress the data
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub compress: Option<bool>,
    /// The cluster to keep it in
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// A tag that a node must have to keep it; can be given several times
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Publish writes to these subjects again ...
    #[arg(long, value_name = "SUBJECTS")]
    pub republish_source: Option<String>,
    /// ... under these
    #[arg(long, value_name = "SUBJECTS")]
    pub republish_destination: Option<String>,
    /// ... without their values
    #[arg(long)]
    pub republish_headers: bool,
    /// A bucket whose entries come into this one too; can be given several times
    #[arg(long, value_name = "BUCKET[@DOMAIN]")]
    pub source: Vec<String>,
    /// Something to note of it; no value takes it away; can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub metadata: Vec<String>,
}

impl BucketAddArgs {
    /// Gives a new bucket these settings.
    pub(in crate::cli) fn apply(&self, config: &mut BucketConfig) -> Result<(), CliError> {
        self.settings.apply(config)?;
        if let Some(mirror) = &self.mirror {
            set(config, Setting::Mirror, mirror)?;
        }
        Ok(())
    }
}

impl SettingArgs {
    /// Gives a bucket the settings that were named.
    pub(in crate::cli) fn apply(&self, config: &mut BucketConfig) -> Result<(), CliError> {
        let words = [
            (Setting::Description, &self.description),
            (Setting::History, &self.history),
            (Setting::Ttl, &self.ttl),
            (Setting::MarkerTtl, &self.marker_ttl),
            (Setting::MaxBytes, &self.max_bucket_size),
            (Setting::MaxValueSize, &self.max_value_size),
            (Setting::Storage, &self.storage),
            (Setting::Replicas, &self.replicas),
        ];
        for (setting, text) in words {
            if let Some(text) = text {
                set(config, setting, text)?;
            }
        }
        if let Some(compress) = self.compress {
            config.compression = compress;
        }
        if let Some(cluster) = &self.cluster {
            config.placement.cluster = Some(cluster.clone()).filter(|name| name != "none");
        }
        if !self.tag.is_empty() {
            config.placement.tags = without_none(&self.tag).cloned().collect();
        }
        self.apply_republish(config)?;
        if !self.source.is_empty() {
            let sources = without_none(&self.source).map(|source| origin(source));
            config.sources = sources.collect::<Result<_, _>>()?;
        }
        for pair in &self.metadata {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(CliError::Usage(format!("{pair:?} is not NAME=VALUE")));
            };
            if value.is_empty() {
                config.metadata.remove(name);
            } else {
                config.metadata.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }

    fn apply_republish(&self, config: &mut BucketConfig) -> Result<(), CliError> {
        if self.republish_source.as_deref() == Some("none") {
            config.republish = None;
            return Ok(());
        }
        let before = config.republish.take();
        let source = self.republish_source.clone();
        let destination = self.republish_destination.clone();
        let is_named = source.is_some() || destination.is_some() || self.republish_headers;
        if !is_named {
            config.republish = before;
            return Ok(());
        }
        let was = before.as_ref();
        config.republish = match (
            source.or_else(|| was.map(|was| was.source.clone())),
            destination.or_else(|| was.map(|was| was.destination.clone())),
        ) {
            (Some(source), Some(destination)) => Some(Republish {
                source,
                destination,
                headers_only: self.republish_headers,
            }),
            _ => {
                return Err(CliError::Usage(
                    "--republish-source and --republish-destination need each other".to_owned(),
                ));
            }
        };
        Ok(())
    }
}

fn without_none(words: &[String]) -> impl Iterator<Item = &String> {
    words.iter().filter(|word| *word != "none")
}

impl From<SettingError> for CliError {
    fn from(error: SettingError) -> Self {
        Self::Usage(error.to_string())
    }
}
