//! The contexts of the nats CLI: where they are, and what they say. Nothing here connects.

mod nsc;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::kv::nats::Secret;

use super::{ConfigError, Environment, Settings};

/// The folder in which the nats CLI keeps its contexts, and the name of the selected one.
#[derive(Debug, Clone)]
pub struct Contexts {
    dir: PathBuf,
    home: PathBuf,
}

/// What a context says: settings, and what a person sees of it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its name and looks.
    pub meta: ContextMeta,
    /// What it sets.
    pub settings: Settings,
}

/// A context as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextMeta {
    /// The name.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// The colour scheme that the nats CLI would use; a hint at how to colour the place.
    pub color_scheme: Option<String>,
}

impl Contexts {
    /// The contexts of this user: in `$XDG_CONFIG_HOME/nats`, else in `~/.config/nats`, on every
    /// system, as the nats CLI has it.
    pub fn of_user(environment: Environment) -> Self {
        let home = directories::BaseDirs::new()
            .map(|dirs| dirs.home_dir().to_owned())
            .unwrap_or_default();
        let config = environment
            .get("XDG_CONFIG_HOME")
            .map_or_else(|| home.join(".config"), PathBuf::from);
        Self::new(config.join("nats"), home)
    }

    /// The contexts in a folder, for a user with that home.
    pub fn new(dir: impl Into<PathBuf>, home: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            home: home.into(),
        }
    }

    /// The names of all contexts, sorted. None where there is no folder.
    pub fn names(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.dir.join("context")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = files
            .filter_map(|file| {
                let path = file.ok()?.path();
                let is_context = path
                    .extension()
                    .is_some_and(|extension| extension == "json");
                let name = path.file_stem()?.to_str()?.to_owned();
                (is_context && path.is_file()).then_some(name)
            })
            .collect();
        names.sort_unstable();
        names
    }

    /// The name of the selected context, if one is.
    pub fn selected(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.dir.join("context.txt")).ok()?;
        let name = text.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// What each context is for, by name: its description, and whether it is the selected one. A
    /// context that can't be read has no words.
    pub fn in_words(&self) -> BTreeMap<String, String> {
        let selected = self.selected();
        let words = |name: &String| {
            let path = self.dir.join("context").join(format!("{name}.json"));
            let text = std::fs::read(path).ok();
            let fields = text.and_then(|text| serde_json::from_slice::<Fields>(&text).ok());
            let mut words = fields.map_or_else(String::new, |fields| fields.description);
            if Some(name) == selected.as_ref() {
                let gap = if words.is_empty() { "" } else { " · " };
                words = format!("the selected one{gap}{words}");
            }
            words
        };
        let names = self.names().into_iter();
        names.map(|name| (name.clone(), words(&name))).collect()
    }

    /// Reads the context of that name, or from that file if it is the path of one.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchContext`], [`ConfigError::ContextName`],
    /// [`ConfigError::ContextFormat`], [`ConfigError::ContextUnsupported`] and
    /// [`ConfigError::Read`].
    pub fn load(&self, name: &str) -> Result<Context, ConfigError> {
        let direct = Path::new(name);
        let is_json = direct
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_json && direct.is_file() {
            let stem = direct.file_stem().unwrap_or_default().to_string_lossy();
            return self.read(&stem, direct);
        }
        if name.is_empty() || name.contains("..") || name.contains(['/', '\\']) {
            return Err(ConfigError::ContextName {
                name: name.to_owned(),
            });
        }
        let dir = self.dir.join("context");
        let path = dir.join(format!("{name}.json"));
        if !path.is_file() {
            return Err(ConfigError::NoSuchContext {
                name: name.to_owned(),
                dir,
            });
        }
        self.read(name, &path)
    }

    fn read(&self, name: &str, path: &Path) -> Result<Context, ConfigError> {
        let text = std::fs::read(path).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        let fields: Fields =
            serde_json::from_slice(&text).map_err(|error| ConfigError::ContextFormat {
                path: path.to_owned(),
                // Only the place: the message could quote a secret from the file.
                message: format!(
                    "it is not the JSON of a context at line {}, column {}",
                    error.line(),
                    error.column()
                ),
            })?;
        fields.check(name)?;
        let mut settings = self.settings(&fields);
        if !fields.nsc.is_empty() {
            let profile = nsc::profile(name, &fields.nsc)?;
            settings.creds = Some(profile.creds);
            settings.server = settings.server.or(profile.servers);
        }
        Ok(Context {
            meta: ContextMeta {
                name: name.to_owned(),
                description: fields.description.clone(),
                color_scheme: text_of(&fields.color_scheme),
            },
            settings,
        })
    }

    fn settings(&self, fields: &Fields) -> Settings {
        let path = |text: &str| text_of(text).map(|text| self.expand(&text));
        Settings {
            server: text_of(&fields.url).map(Secret::new),
            user: text_of(&fields.user).map(Secret::new),
            password: text_of(&fields.password).map(Secret::new),
            token: text_of(&fields.token).map(Secret::new),
            creds: path(&fields.creds),
            nkey: path(&fields.nkey),
            tls_cert: path(&fields.cert),
            tls_key: path(&fields.key),
            tls_ca: path(&fields.ca),
            tls_first: fields.tls_first,
            js_domain: text_of(&fields.jetstream_domain),
            js_api_prefix: text_of(&fields.jetstream_api_prefix),
            jwt: text_of(&fields.user_jwt).map(Secret::new),
            seed: text_of(&fields.user_seed).map(Secret::new),
            inbox_prefix: text_of(&fields.inbox_prefix),
            ..Settings::default()
        }
    }

    /// The path with `~`, `$NAME` and `${NAME}` in it replaced, as the nats CLI does.
    fn expand(&self, text: &str) -> PathBuf {
        let text = text.strip_prefix("file://").unwrap_or(text);
        let home = self.home.to_string_lossy();
        let text = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
            _ => text.to_owned(),
        };
        let mut expanded = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, remaining) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
                Some(braced) => braced,
                None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
            };
            expanded.push_str(&std::env::var(name).unwrap_or_default());
            rest = remaining;
        }
        expanded.push_str(rest);
        PathBuf::from(expanded)
    }
}

/// A context's file. Fields that are unknown here are left alone: newer versions of the nats CLI
/// write more of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    description: String,
    url: String,
    socks_proxy: String,
    token: String,
    user: String,
    password: String,
    creds: String,
    nkey: String,
    cert: String,
    key: String,
    ca: String,
    nsc: String,
    jetstream_domain: String,
    jetstream_api_prefix: String,
    inbox_prefix: String,
    user_jwt: String,
    user_seed: String,
    color_scheme: String,
    tls_first: bool,
    windows_cert_store: String,
}

impl Fields {
    /// Refuses what can't be honoured. `jetstream_event_prefix` is not among it: kvscope reads no
    /// events.
    fn check(&self, context: &str) -> Result<(), ConfigError> {
        let unsupported = [
            (
                "socks_proxy",
                &self.socks_proxy,
                "open a tunnel and name its end with --server",
            ),
            (
                "windows_cert_store",
                &self.windows_cert_store,
                "export the certificate and set cert and key",
            ),
        ];
        let references = [
            ("creds", &self.creds),
            ("nkey", &self.nkey),
            ("user_jwt", &self.user_jwt),
            ("user_seed", &self.user_seed),
            ("password", &self.password),
            ("token", &self.token),
        ];
        let refuse = |field, help| {
            Err(ConfigError::ContextUnsupported {
                context: context.to_owned(),
                field,
                help,
            })
        };
        for (field, value, help) in unsupported {
            if !value.is_empty() {
                return refuse(field, help);
            }
        }
        for (field, value) in references {
            let is_reference = ["op://", "nsc://", "env://", "data:"]
                .iter()
                .any(|scheme| value.starts_with(scheme));
            if is_reference {
                return refuse(
                    field,
                    "a reference to a secret kept elsewhere; give the secret by flag or variable",
                );
            }
        }
        Ok(())
    }
}

fn text_of(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(files: &[(&str, &str)]) -> (tempfile::TempDir, Contexts) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let contexts = Contexts::new(dir.path(), "/home/op");
        (dir, contexts)
    }

    #[test]
    fn a_context_as_the_nats_cli_writes_it() {
        let (_dir, contexts) = contexts(&[(
            "context/prod-eu.json",
            r#"{"description": "Production", "url": "nats://n1:4222,nats://n2:4222",
                "socks_proxy": "", "token": "", "user": "", "password": "",
                "creds": "~/nats/op.creds", "nkey": "", "cert": "/c.pem", "key": "/k.pem",
                "ca": "", "nsc": "", "jetstream_domain": "hub", "jetstream_api_prefix": "",
                "jetstream_event_prefix": "", "inbox_prefix": "_INBOX_op", "user_jwt": "",
                "color_scheme": "red", "tls_first": true, "a_newer_field": 7}"#,
        )]);
        let context = contexts.load("prod-eu").unwrap();
        assert_eq!(context.meta.name, "prod-eu");
        assert_eq!(context.meta.description, "Production");
        assert_eq!(context.meta.color_scheme.as_deref(), Some("red"));
        let settings = context.settings;
        assert_eq!(
            settings.server.unwrap().expose(),
            "nats://n1:4222,nats://n2:4222"
        );
        assert_eq!(
            settings.creds,
            Some(PathBuf::from("/home/op/nats/op.creds"))
        );
        assert_eq!(settings.tls_cert, Some(PathBuf::from("/c.pem")));
        assert_eq!(settings.tls_ca, None);
        assert!(settings.tls_first);
        assert_eq!(settings.js_domain.as_deref(), Some("hub"));
        assert_eq!(settings.inbox_prefix.as_deref(), Some("_INBOX_op"));
        assert!(settings.user.is_none() && settings.token.is_none());
    }

    #[test]
    fn names_and_the_selected_one() {
        let (_dir, contexts) = contexts(&[
            ("context/b.json", r#"{"description": "Production"}"#),
            ("context/a.json", "{}"),
            ("context/notes.txt", ""),
            ("context.txt", "b\n"),
        ]);
        assert_eq!(contexts.names(), ["a", "b"]);
        assert_eq!(contexts.selected().as_deref(), Some("b"));
        let words = contexts.in_words();
        assert_eq!(words["b"], "the selected one · Production");
        assert_eq!(words["a"], "");
        let nothing = Contexts::new("/nowhere/at/all", "/");
        assert!(nothing.names().is_empty() && nothing.selected().is_none());
    }

    #[test]
    fn a_context_can_be_named_by_its_file() {
        let (dir, contexts) = contexts(&[("elsewhere.json", r#"{"url": "nats://x:1"}"#)]);
        let path = dir.path().join("elsewhere.json");
        let context = contexts.load(path.to_str().unwrap()).unwrap();
        assert_eq!(context.meta.name, "elsewhere");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_and_secrets_stay_out_of_it() {
        let (_dir, contexts) = contexts(&[
            ("context/cert.json", r#"{"windows_cert_store": "user"}"#),
            ("context/proxy.json", r#"{"socks_proxy": "socks://p"}"#),
            ("context/op.json", r#"{"password": "op://vault/hunter2"}"#),
            ("context/bad.json", r#"{"password": "hunter2" "user": 1}"#),
        ]);
        for (name, word) in [
            ("cert", "windows_cert_store"),
            ("proxy", "socks_proxy"),
            ("op", "password"),
        ] {
            let error = contexts.load(name).unwrap_err();
            assert!(
                matches!(error, ConfigError::ContextUnsupported { .. }),
                "{error}"
            );
            let text = error.to_string();
            assert!(text.contains(word) && !text.contains("hunter2"), "{text}");
        }
        let text = contexts.load("bad").unwrap_err().to_string();
        assert!(
            text.contains("line 1") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn a_jwt_and_a_prefix_of_the_api() {
        let (_dir, contexts) = contexts(&[(
            "context/jwt.json",
            r#"{"user_jwt": "ey.j.w", "user_seed": "SUAB", "jetstream_api_prefix": "JS.acc"}"#,
        )]);
        let settings = contexts.load("jwt").unwrap().settings;
        assert_eq!(settings.jwt.unwrap().expose(), "ey.j.w");
        assert_eq!(settings.seed.unwrap().expose(), "SUAB");
        assert_eq!(settings.js_api_prefix.as_deref(), Some("JS.acc"));
    }

    #[test]
    fn names_that_lead_out_of_the_folder() {
        let (_dir, contexts) = contexts(&[]);
        for name in ["", "../x", "a/b"] {
            let error = contexts.load(name).unwrap_err();
            assert!(matches!(error, ConfigError::ContextName { .. }), "{name:?}");
        }
        let error = contexts.load("none").unwrap_err();
        assert!(matches!(error, ConfigError::NoSuchContext { .. }));
    }

    #[test]
    fn variables_in_paths() {
        let (_dir, contexts) = contexts(&[]);
        let home = std::env::var("PATH").unwrap();
        assert_eq!(
            contexts.expand("$PATH/x"),
            PathBuf::from(format!("{home}/x"))
        );
        assert_eq!(
            contexts.expand("a${PATH}b"),
            PathBuf::from(format!("a{home}b"))
        );
        assert_eq!(contexts.expand("~"), PathBuf::from("/home/op"));
        assert_eq!(contexts.expand("~bob/x"), PathBuf::from("~bob/x"));
        assert_eq!(contexts.expand("file:///x/y"), PathBuf::from("/x/y"));
    }
}
