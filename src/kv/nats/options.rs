//! How to reach a NATS server, and as whom. No connecting here.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the servers are and how to get in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NatsOptions {
    /// Server addresses, at least one: `nats://`, `tls://`, `ws://`, `wss://`, or `host:port`.
    /// A user and password inside an address are used, and never shown.
    pub servers: Vec<Secret>,
    /// Who we are.
    pub auth: Auth,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// The JetStream domain, where it is not the server's own.
    pub jetstream_domain: Option<String>,
    /// What the subjects of JetStream's API begin with, where an account imports it under a name
    /// of its own. It comes before the domain.
    pub jetstream_api_prefix: Option<String>,
    /// The prefix of the subjects that answers come back on, where an account allows only some.
    pub inbox_prefix: Option<String>,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// The name that the server shows for this connection.
    pub connection_name: String,
}

impl NatsOptions {
    /// The server at this address, without credentials, with a time limit of 5 seconds.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            servers: vec![Secret::new(server)],
            auth: Auth::None,
            tls: Tls::default(),
            jetstream_domain: None,
            jetstream_api_prefix: None,
            inbox_prefix: None,
            timeout: Duration::from_secs(5),
            connection_name: "kvscope".to_owned(),
        }
    }
}

/// Who we are to the server.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Nobody in particular.
    #[default]
    None,
    /// A user with a password.
    User {
        /// The user's name.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
    /// A file with an NKey seed.
    NKeyFile(PathBuf),
    /// A file with a user's JWT and NKey seed, as `nsc` writes it.
    CredentialsFile(PathBuf),
    /// A user's JWT and NKey seed themselves.
    Jwt {
        /// The JWT.
        jwt: Secret,
        /// The seed.
        seed: Secret,
    },
}

/// How a connection is encrypted, beyond what the server asks for.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Refuse to speak in clear.
    pub required: bool,
    /// Encrypt before the server's greeting.
    pub first: bool,
    /// A file of certificates to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// The file of our own certificate.
    pub cert: Option<PathBuf>,
    /// The file of our certificate's key.
    pub key: Option<PathBuf>,
}

/// Text that must not be shown: it has no `Display`, and its `Debug` is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text to hide.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Never log or show it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("••••")
    }
}
