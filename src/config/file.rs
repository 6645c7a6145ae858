//! kvscope's own configuration file, `kvscope.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use crate::edit::draft::Policy;
use crate::kv::{Filter, Key};

/// What the user set once for all times.
///
/// What is told of by its name elsewhere (keys, commands, roles, colours) is kept with its place in
/// the file, so that whoever knows the names can say where one is wrong: [`Config::fault`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// The name of the theme.
    pub theme: Option<Spanned<String>>,
    /// Refuse every write, unless flags or environment say otherwise.
    pub read_only: bool,
    /// The names of JSON members whose values are masked on screen, instead of the built-in list.
    pub masks: Option<Vec<String>>,
    /// What is kept of unsaved text: `all`, `no-secrets` or `off`.
    #[serde(default)]
    pub drafts: Policy,
    /// JSON Schemas to check values against: the file for each `bucket/pattern`, where the pattern
    /// is one for keys. A file that is no whole path is looked for beside this file.
    #[serde(default)]
    pub schemas: BTreeMap<String, PathBuf>,
    /// How the console begins.
    pub defaults: Defaults,
    /// Keys by scope: which command each asks for. They come over the built-in ones.
    pub keys: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<String>>>,
    /// Looks by role, over those of the theme.
    pub colors: BTreeMap<Spanned<String>, Look>,
    /// What is particular to a context.
    pub contexts: BTreeMap<String, ContextConfig>,
    /// The file and its text, to find a place in.
    #[serde(skip)]
    source: (PathBuf, String),
}

/// How the console begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Defaults {
    /// The screen to begin on.
    pub screen: Option<Spanned<String>>,
    /// Show keys as a tree.
    pub tree: bool,
    /// Show deleted keys too.
    pub deleted: bool,
    /// How long to wait for an answer, where neither flags nor environment say.
    #[serde(deserialize_with = "duration")]
    pub timeout: Option<Duration>,
}

/// How a role looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Look {
    /// The colour of the text.
    pub fg: Option<Spanned<String>>,
    /// The colour behind it.
    pub bg: Option<Spanned<String>>,
    /// How it stands out.
    pub style: Option<Vec<Spanned<String>>>,
}

/// What is particular to a context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ContextConfig {
    /// Refuse every write there, unless the environment says otherwise.
    pub read_only: bool,
    /// The colour of its name in the header.
    pub color: Option<Spanned<String>>,
    /// What the header calls it, instead of its name.
    pub label: Option<String>,
}

fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let time = humantime::parse_duration(&text);
    time.map(Some)
        .map_err(|_| serde::de::Error::custom("not a time such as 5s or 500ms"))
}

impl Config {
    /// Reads the file that was named, or else the one in its usual place, where it may be missing.
    ///
    /// # Errors
    /// [`ConfigError::Read`] and [`ConfigError::File`].
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = named.map(Path::to_owned).or_else(Self::usual_path) else {
            return Ok(Self::default());
        };
        match std::fs::read_to_string(&path) {
            Ok(source) => {
                let mut config = Self::parse(&source, &path)?;
                let beside = path.parent().unwrap_or(Path::new(""));
                for file in config.schemas.values_mut() {
                    *file = beside.join(&*file);
                }
                Ok(config)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError::Read { path, error }),
        }
    }

    /// Where the file is looked for: `kvscope/kvscope.toml` in the system's place for
    /// configuration.
    pub fn usual_path() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("", "", "kvscope")?;
        Some(dirs.config_dir().join("kvscope.toml"))
    }

    /// The file with the schema for a key: that of the longest pattern which matches.
    pub fn schema_for(&self, bucket: &str, key: &Key) -> Option<&Path> {
        let matches = |place: &str| {
            place.split_once('/').is_some_and(|(of, pattern)| {
                of == bucket
                    && Filter::new(pattern).is_ok_and(|filter| filter.matches(key.as_str()))
            })
        };
        let found = self.schemas.iter().filter(|(place, _)| matches(place));
        let longest = found.max_by_key(|(place, _)| place.len());
        longest.map(|(_, file)| file.as_path())
    }

    fn parse(source: &str, path: &Path) -> Result<Self, ConfigError> {
        let read: Result<Self, toml::de::Error> = toml::from_str(source);
        match read {
            Ok(config) => Ok(Self {
                source: (path.to_owned(), source.to_owned()),
                ..config
            }),
            Err(error) => {
                let at = error.span().unwrap_or_default();
                Err(fault(path, source, &at, error.message().trim()))
            }
        }
    }

    /// The error for something in the file that makes no sense, by its place there.
    pub fn fault(&self, at: &Range<usize>, message: impl fmt::Display) -> ConfigError {
        let (path, source) = &self.source;
        fault(path, source, at, &message.to_string())
    }
}

fn fault(path: &Path, source: &str, at: &Range<usize>, message: &str) -> ConfigError {
    let before = source.get(..at.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    ConfigError::File {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: message.replace('\n', ", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Config, String> {
        Config::parse(source, Path::new("kvscope.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_optional() {
        let nothing = Config {
            source: ("kvscope.toml".into(), String::new()),
            ..Config::default()
        };
        assert_eq!(parse("").unwrap(), nothing);
        let config = parse("theme = \"light\"\nread_only = true\nmasks = [\"pin\"]\n").unwrap();
        assert_eq!(
            config.theme.as_ref().map(|name| name.get_ref().as_str()),
            Some("light")
        );
        assert!(config.read_only);
        assert_eq!(config.masks, Some(vec!["pin".to_owned()]));
    }

    #[test]
    fn the_longest_pattern_names_the_schema() {
        let config = "[schemas]\n'c/app.>' = 'app.json'\n'c/app.*.limits' = '/x/limits.json'\n";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kvscope.toml");
        std::fs::write(&path, config).unwrap();
        let config = Config::load(Some(&path)).unwrap();
        let file = |bucket, key: &str| config.schema_for(bucket, &Key::from_stored(key));
        assert_eq!(file("c", "app.a.limits"), Some(Path::new("/x/limits.json")));
        assert_eq!(
            file("c", "app.a"),
            Some(dir.path().join("app.json").as_path())
        );
        assert_eq!((file("c", "other"), file("d", "app.a")), (None, None));
        assert_eq!(config.drafts, Policy::NoSecrets);
        assert_eq!(parse("drafts = \"all\"").unwrap().drafts, Policy::All);
        assert!(
            parse("drafts = \"some\"")
                .unwrap_err()
                .contains("no-secrets")
        );
    }

    #[test]
    fn faults_are_told_with_line_and_column() {
        let error = parse("theme = \"dark\"\n  colour = 1\n").unwrap_err();
        assert!(
            error.starts_with("kvscope.toml, line 2, column 3: unknown field"),
            "{error}"
        );
        let error = parse("# é\nread_only = \"yes\"\n").unwrap_err();
        assert!(
            error.starts_with("kvscope.toml, line 2, column 13: "),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn names_keep_their_place() {
        let source = "[keys.global]\n\"q\" = \"quit\"\n\n[colors]\ndanger = { fg = \"red\" }\n\
                      [contexts.prod]\nread_only = true\ncolor = \"red\"\nlabel = \"PROD\"\n\
                      [defaults]\ntimeout = \"2s\"\ntree = true\n";
        let config = parse(source).unwrap();
        let (scope, keys) = config.keys.first_key_value().unwrap();
        assert_eq!(scope.get_ref(), "global");
        let (_, command) = keys.first_key_value().unwrap();
        let error = config.fault(&command.span(), "no such command").to_string();
        assert_eq!(error, "kvscope.toml, line 2, column 7: no such command");
        let (role, look) = config.colors.first_key_value().unwrap();
        assert_eq!(role.get_ref(), "danger");
        let red = look.fg.as_ref().unwrap();
        assert!(
            config
                .fault(&red.span(), "x")
                .to_string()
                .contains("line 5, column 17")
        );
        let prod = &config.contexts["prod"];
        assert!(prod.read_only && prod.label.as_deref() == Some("PROD"));
        assert_eq!(config.defaults.timeout, Some(Duration::from_secs(2)));
        let error = parse("[defaults]\ntimeout = \"soon\"\n").unwrap_err();
        assert!(error.contains("line 2, column 11: not a time"), "{error}");
        let error = parse("[contexts.prod]\nread_onyl = true\n").unwrap_err();
        assert!(error.contains("line 2, column 1"), "{error}");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let error = Config::load(Some(&dir.path().join("none.toml"))).unwrap_err();
        assert!(matches!(error, ConfigError::Read { .. }), "{error}");
    }
}
