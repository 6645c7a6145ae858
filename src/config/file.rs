//! kvscope's own configuration file, `kvscope.toml`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;

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
    /// What is kept of unsaved text, on this machine and for this user alone.
    pub drafts: Option<DraftsSetting>,
}

/// What is kept of unsaved text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DraftsSetting {
    /// All of it, secrets included.
    All,
    /// Nothing that is secret.
    #[default]
    NoSecrets,
    /// Nothing.
    Off,
}

/// Where unsaved text is kept: `kvscope/drafts` in the system's place for state, or where there is
/// none, for data.
pub fn drafts_folder() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "kvscope")?;
    let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
    Some(state.join("drafts"))
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
            Ok(source) => Self::parse(&source, &path),
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
