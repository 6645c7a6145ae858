//! What one source says about where to connect and as whom: the flags, the environment, or a
//! context. How the sources add up is in [`Place::resolve`](super::Place::resolve).

use std::path::PathBuf;
use std::time::Duration;

use crate::kv::nats::Secret;

use super::ConfigError;

/// What one source sets. What it leaves open is `None`.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// A file instead of a server.
    pub local: Option<PathBuf>,
    /// The context to start from.
    pub context: Option<String>,
    /// Start from no context, not even the selected one.
    pub no_context: bool,
    /// Server addresses, separated by commas. They can hold a password.
    pub server: Option<Secret>,
    /// The user, or, in flags and environment without a password, a token.
    pub user: Option<Secret>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A token.
    pub token: Option<Secret>,
    /// A file with a JWT and a seed.
    pub creds: Option<PathBuf>,
    /// A file with a seed.
    pub nkey: Option<PathBuf>,
    /// A file with our certificate.
    pub tls_cert: Option<PathBuf>,
    /// A file with our certificate's key.
    pub tls_key: Option<PathBuf>,
    /// A file with certificates to trust.
    pub tls_ca: Option<PathBuf>,
    /// Encrypt before the server's greeting.
    pub tls_first: bool,
    /// A user's JWT itself.
    pub jwt: Option<Secret>,
    /// The seed that belongs to the JWT.
    pub seed: Option<Secret>,
    /// The JetStream domain.
    pub js_domain: Option<String>,
    /// What the subjects of JetStream's API begin with.
    pub js_api_prefix: Option<String>,
    /// The prefix of the subjects that answers come back on.
    pub inbox_prefix: Option<String>,
    /// Whether a SOCKS proxy is asked for, which there is no way to use.
    pub socks_proxy: bool,
    /// How long to wait for an answer.
    pub timeout: Option<Duration>,
}

impl Settings {
    /// What the environment says: the variables of the nats CLI, and `KVSCOPE_LOCAL`. An empty
    /// variable says nothing.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] for a `NATS_TIMEOUT` that is no duration.
    pub fn from_env(environment: &Environment) -> Result<Self, ConfigError> {
        let text = |name| environment.get(name);
        let secret = |name| environment.get(name).map(Secret::new);
        let path = |name| environment.get(name).map(PathBuf::from);
        let timeout = text("NATS_TIMEOUT")
            .map(|value| {
                humantime::parse_duration(&value).map_err(|_| ConfigError::Variable {
                    name: "NATS_TIMEOUT",
                    value,
                    expected: "a time such as 5s or 500ms",
                })
            })
            .transpose()?;
        Ok(Self {
            local: path("KVSCOPE_LOCAL"),
            context: text("NATS_CONTEXT"),
            server: secret("NATS_URL"),
            user: secret("NATS_USER"),
            password: secret("NATS_PASSWORD"),
            token: secret("NATS_TOKEN"),
            creds: path("NATS_CREDS"),
            nkey: path("NATS_NKEY"),
            tls_cert: path("NATS_CERT"),
            tls_key: path("NATS_KEY"),
            tls_ca: path("NATS_CA"),
            timeout,
            socks_proxy: text("NATS_SOCKS_PROXY").is_some(),
            ..Self::default()
        })
    }

    /// The name of the first flag that only means something to a NATS server.
    pub(super) fn nats_flag(&self) -> Option<&'static str> {
        let set = [
            ("--server", self.server.is_some()),
            ("--context", self.context.is_some()),
            ("--no-context", self.no_context),
            ("--creds", self.creds.is_some()),
            ("--nkey", self.nkey.is_some()),
            ("--user", self.user.is_some()),
            ("--password", self.password.is_some()),
            ("--token", self.token.is_some()),
            ("--tlscert", self.tls_cert.is_some()),
            ("--tlskey", self.tls_key.is_some()),
            ("--tlsca", self.tls_ca.is_some()),
            ("--tlsfirst", self.tls_first),
            ("--js-domain", self.js_domain.is_some()),
            ("--js-api-prefix", self.js_api_prefix.is_some()),
            ("--inbox-prefix", self.inbox_prefix.is_some()),
        ];
        set.into_iter()
            .find(|(_, is_set)| *is_set)
            .map(|(name, _)| name)
    }

    /// Whether it says who we are. A password alone does not: it completes another source's user.
    pub(super) fn names_credentials(&self) -> bool {
        self.user.is_some()
            || self.token.is_some()
            || self.creds.is_some()
            || self.nkey.is_some()
            || self.jwt.is_some()
    }
}

/// The environment variables. A type of its own, so that a test can make one up.
#[derive(Debug, Clone, Copy)]
pub enum Environment {
    /// This process's own.
    Process,
    /// These variables and no others.
    MadeUp(&'static [(&'static str, &'static str)]),
}

impl Environment {
    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => std::env::var(name).ok()?,
            Self::MadeUp(variables) => {
                let found = variables.iter().find(|(known, _)| *known == name)?;
                found.1.to_owned()
            }
        };
        (!value.is_empty()).then_some(value)
    }

    /// The value of a variable that is a switch.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] when it is neither on nor off: a switch that guards writes must
    /// not be guessed.
    pub fn switch(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            _ => Err(ConfigError::Variable {
                name,
                value,
                expected: "true or false",
            }),
        }
    }
}
