//! kvscope's own configuration file, `kvscope.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use crate::edit::draft::Policy;
use crate::kv::{Filter, Key};

/// What the user set once for all times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The name of the theme.
    pub theme: Option<String>,
    /// Refuse every write, unless flags or environment say otherwise.
    #[serde(default)]
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
        toml::from_str(source).map_err(|error| {
            let before = error.span().and_then(|span| source.get(..span.start));
            let before = before.unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            ConfigError::File {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                message: error.message().trim().replace('\n', ", "),
            }
        })
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
        assert_eq!(parse("").unwrap(), Config::default());
        let config = parse("theme = \"light\"\nread_only = true\nmasks = [\"pin\"]\n").unwrap();
        assert_eq!(config.theme.as_deref(), Some("light"));
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
    fn a_file_that_was_named_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let error = Config::load(Some(&dir.path().join("none.toml"))).unwrap_err();
        assert!(matches!(error, ConfigError::Read { .. }), "{error}");
    }
}
