//! From text to settings.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kv::backend::{
    BucketConfig, MAX_HISTORY, Origin, Placement, Republish, Setting, Storage,
};
use crate::kv::{BucketName, InvalidBucketName};

/// Why a text is no value of a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// It is no number, or too small a one.
    #[error("{text:?} is not a number from 1 on")]
    Number {
        /// What was typed.
        text: String,
    },
    /// It is not how many entries a bucket can keep of a key.
    #[error("{text:?} is not a number from 1 to {MAX_HISTORY}")]
    History {
        /// What was typed.
        text: String,
    },
    /// It is no length of time.
    #[error("{text:?} is not a time such as 90s, 1h30m or 7d")]
    Time {
        /// What was typed.
        text: String,
    },
    /// It is no size.
    #[error("{text:?} is not a size such as 64K, 1G or a number of bytes")]
    Size {
        /// What was typed.
        text: String,
    },
    /// It is none of these words.
    #[error("{text:?} is neither {} nor {}", .words[0], .words[1])]
    Word {
        /// What was typed.
        text: String,
        /// What could have been.
        words: [&'static str; 2],
    },
    /// It is not of this form.
    #[error("{text:?} is not {form}")]
    Form {
        /// What was typed.
        text: String,
        /// What it should be like.
        form: &'static str,
    },
    /// It names a bucket that can't be.
    #[error(transparent)]
    Bucket(#[from] InvalidBucketName),
}

/// Gives a setting the value that a text means. Nothing, or `none`, takes it away.
///
/// # Errors
/// [`SettingError`]; the bucket is as it was then.
pub fn set(config: &mut BucketConfig, setting: Setting, text: &str) -> Result<(), SettingError> {
    let text = text.trim();
    match setting {
        Setting::Description => text.clone_into(&mut config.description),
        Setting::History => config.history = history(text)?,
        Setting::Ttl => config.ttl = time(text)?,
        Setting::MarkerTtl => config.marker_ttl = time(text)?,
        Setting::MaxBytes => config.max_bytes = limit(text)?,
        Setting::MaxValueSize => config.max_value_size = limit(text)?,
        Setting::Storage => config.storage = storage(text)?,
        Setting::Replicas => config.replicas = number(text)?,
        Setting::Compression => config.compression = yes_or_no(text)?,
        Setting::Placement => config.placement = placement(text)?,
        Setting::Republish => config.republish = republish(text)?,
        Setting::Mirror => config.mirror = unless_none(text).map(origin).transpose()?,
        Setting::Sources => {
            let names = unless_none(text).unwrap_or_default().split_whitespace();
            config.sources = names.map(origin).collect::<Result<_, _>>()?;
        }
        Setting::Metadata => config.metadata = metadata(text)?,
    }
    Ok(())
}

fn unless_none(text: &str) -> Option<&str> {
    let says_nothing = text.is_empty() || text.eq_ignore_ascii_case("none");
    (!says_nothing).then_some(text)
}

fn number(text: &str) -> Result<u64, SettingError> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| SettingError::Number {
        text: text.to_owned(),
    })
}

fn history(text: &str) -> Result<u64, SettingError> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=MAX_HISTORY).contains(number));
    number.ok_or_else(|| SettingError::History {
        text: text.to_owned(),
    })
}

/// A time such as `1h30m`; `None` for nothing, `none` or a time of zero.
///
/// # Errors
/// [`SettingError::Time`].
pub fn time(text: &str) -> Result<Option<Duration>, SettingError> {
    let Some(text) = unless_none(text) else {
        return Ok(None);
    };
    let time = humantime::parse_duration(text).map_err(|_| SettingError::Time {
        text: text.to_owned(),
    })?;
    Ok((!time.is_zero()).then_some(time))
}

/// A size such as `64K`, of 1,024 bytes each, as in the nats CLI; `None` for nothing or `none`.
///
/// # Errors
/// [`SettingError::Size`].
pub fn limit(text: &str) -> Result<Option<u64>, SettingError> {
    let Some(text) = unless_none(text) else {
        return Ok(None);
    };
    let size = parse_size::Config::new().with_binary().parse_size(text);
    match size {
        Ok(size) if size > 0 => Ok(Some(size)),
        _ => Err(SettingError::Size {
            text: text.to_owned(),
        }),
    }
}

fn storage(text: &str) -> Result<Storage, SettingError> {
    match text.to_ascii_lowercase().as_str() {
        "file" | "f" => Ok(Storage::File),
        "memory" | "m" => Ok(Storage::Memory),
        _ => Err(SettingError::Word {
            text: text.to_owned(),
            words: ["file", "memory"],
        }),
    }
}

fn yes_or_no(text: &str) -> Result<bool, SettingError> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "on" => Ok(true),
        "no" | "n" | "false" | "off" | "none" | "" => Ok(false),
        _ => Err(SettingError::Word {
            text: text.to_owned(),
            words: ["yes", "no"],
        }),
    }
}

fn placement(text: &str) -> Result<Placement, SettingError> {
    let mut placement = Placement::default();
    for word in unless_none(text).unwrap_or_default().split_whitespace() {
        match word.strip_prefix("tag:") {
            Some(tag) if !tag.is_empty() => placement.tags.push(tag.to_owned()),
            None if placement.cluster.is_none() => placement.cluster = Some(word.to_owned()),
            _ => {
                return Err(SettingError::Form {
                    text: text.to_owned(),
                    form: "one cluster and any number of tag:NAME",
                });
            }
        }
    }
    Ok(placement)
}

fn republish(text: &str) -> Result<Option<Republish>, SettingError> {
    let Some(text) = unless_none(text) else {
        return Ok(None);
    };
    let words: Vec<_> = text.split_whitespace().collect();
    let (source, destination, headers_only) = match words.as_slice() {
        [source, destination] => (source, destination, false),
        [source, destination, "headers"] => (source, destination, true),
        _ => {
            return Err(SettingError::Form {
                text: text.to_owned(),
                form: "SOURCE DESTINATION, perhaps with `headers` behind it",
            });
        }
    };
    Ok(Some(Republish {
        source: (*source).to_owned(),
        destination: (*destination).to_owned(),
        headers_only,
    }))
}

/// A bucket, perhaps of another domain: `BUCKET` or `BUCKET@DOMAIN`.
///
/// # Errors
/// [`SettingError::Bucket`].
pub fn origin(text: &str) -> Result<Origin, SettingError> {
    let (bucket, domain) = match text.split_once('@') {
        Some((bucket, domain)) => (bucket, Some(domain)),
        None => (text, None),
    };
    Ok(Origin {
        bucket: BucketName::new(bucket)?,
        domain: domain
            .filter(|domain| !domain.is_empty())
            .map(str::to_owned),
    })
}

fn metadata(text: &str) -> Result<BTreeMap<String, String>, SettingError> {
    let pairs = unless_none(text).unwrap_or_default().split(',');
    let pairs = pairs.map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(SettingError::Form {
                text: pair.to_owned(),
                form: "name=value",
            }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_told_and_changes_nothing() {
        let plain = BucketConfig::new(BucketName::new("b").unwrap());
        for (setting, text, word) in [
            (Setting::History, "0", "number"),
            (Setting::History, "-1", "number"),
            (Setting::History, "65", "1 to 64"),
            (Setting::Ttl, "soon", "90s"),
            (Setting::MaxBytes, "much", "64K"),
            (Setting::MaxBytes, "0", "64K"),
            (Setting::Storage, "tape", "memory"),
            (Setting::Compression, "perhaps", "yes"),
            (Setting::Placement, "eu us", "cluster"),
            (Setting::Republish, "only", "DESTINATION"),
            (Setting::Mirror, "a b", "bucket"),
            (Setting::Metadata, "team", "name=value"),
        ] {
            let mut config = plain.clone();
            let error = set(&mut config, setting, text).unwrap_err().to_string();
            assert!(error.contains(word), "{setting:?}: {error}");
            assert_eq!(config, plain);
        }
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(limit("64KB").unwrap(), Some(65_536));
        assert_eq!(limit("1024").unwrap(), Some(1024));
        assert_eq!(limit("none").unwrap(), None);
        assert_eq!(time("1h30m").unwrap(), Some(Duration::from_secs(5400)));
        assert_eq!(time("0s").unwrap(), None);
        assert_eq!(time("").unwrap(), None);
    }
}
