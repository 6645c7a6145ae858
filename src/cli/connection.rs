//! Where the commands connect: the flags for it, and what comes of them.

#![expect(
    clippy::doc_markdown,
    reason = "the texts are shown as help, just as they stand"
)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;

use crate::config::{Config, Contexts, Environment, Place, Settings, connect};
use crate::edit::Masks;
use crate::kv::Store;
use crate::kv::backend::Backend;
use crate::kv::nats::Secret;

use super::args::{Global, duration};
use super::error::CliError;

/// How long to wait for an answer where nothing was said; the nats CLI waits as long.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where to connect, and as whom: the flags of the nats CLI, and `--local`.
///
/// The environment is read by [`Settings::from_env`], not by the parser: it must be told from the
/// flags, and its secrets must not come up in the help.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// Server addresses, separated by commas [env: NATS_URL]
    #[arg(short, long, global = true, value_name = "URL", value_parser = secret)]
    #[arg(help_heading = "Connection")]
    pub server: Option<Secret>,
    /// A context of the nats CLI [env: NATS_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub context: Option<String>,
    /// Start from no context, not even the selected one
    #[arg(long, global = true, help_heading = "Connection")]
    pub no_context: bool,
    /// A file to open instead of a server [env: KVSCOPE_LOCAL]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub local: Option<PathBuf>,
    /// A file with credentials [env: NATS_CREDS]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub creds: Option<PathBuf>,
    /// A file with an NKey seed [env: NATS_NKEY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub nkey: Option<PathBuf>,
    /// The user, or without a password, a token [env: NATS_USER]
    #[arg(long, global = true, value_parser = secret, help_heading = "Connection")]
    pub user: Option<Secret>,
    /// The user's password; better in the environment [env: NATS_PASSWORD]
    #[arg(long, global = true, value_parser = secret, help_heading = "Connection")]
    pub password: Option<Secret>,
    /// A token; better in the environment [env: NATS_TOKEN]
    #[arg(long, global = true, value_parser = secret, help_heading = "Connection")]
    pub token: Option<Secret>,
    /// A file with our TLS certificate [env: NATS_CERT]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub tlscert: Option<PathBuf>,
    /// A file with the certificate's key [env: NATS_KEY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub tlskey: Option<PathBuf>,
    /// A file with certificates to trust [env: NATS_CA]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub tlsca: Option<PathBuf>,
    /// Encrypt before the server's greeting
    #[arg(long, global = true, help_heading = "Connection")]
    pub tlsfirst: bool,
    /// The JetStream domain
    #[arg(
        long,
        global = true,
        value_name = "DOMAIN",
        help_heading = "Connection"
    )]
    pub js_domain: Option<String>,
    /// The prefix of the subjects that answers come back on
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        help_heading = "Connection"
    )]
    pub inbox_prefix: Option<String>,
    /// How long to wait for an answer, such as 5s [env: NATS_TIMEOUT]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    #[arg(help_heading = "Connection")]
    pub timeout: Option<Duration>,
}

impl ConnectionArgs {
    fn settings(&self) -> Settings {
        let given = self.clone();
        Settings {
            local: given.local,
            context: given.context,
            no_context: given.no_context,
            server: given.server,
            user: given.user,
            password: given.password,
            token: given.token,
            creds: given.creds,
            nkey: given.nkey,
            tls_cert: given.tlscert,
            tls_key: given.tlskey,
            tls_ca: given.tlsca,
            tls_first: given.tlsfirst,
            js_domain: given.js_domain,
            inbox_prefix: given.inbox_prefix,
            timeout: given.timeout,
        }
    }
}

/// Everything that a command needs to know before it connects.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// What the flags set.
    flags: Settings,
    /// What the environment set.
    environment: Settings,
    /// The contexts to choose from.
    pub(super) contexts: Contexts,
    /// The user's file.
    pub(super) config: Config,
    /// Whether writes are refused: flag, then environment, then file.
    pub(super) read_only: bool,
    /// Whether colours are unwanted.
    pub(super) no_color: bool,
    /// What was connected to.
    opened: Arc<Mutex<Vec<Arc<dyn Backend>>>>,
}

impl Connection {
    pub(super) fn new(global: &Global, environment: Environment) -> Result<Self, CliError> {
        let file = global.config.clone();
        let file = file.or_else(|| environment.get("KVSCOPE_CONFIG").map(PathBuf::from));
        let config = Config::load(file.as_deref())?;
        let switch = environment.switch("KVSCOPE_READ_ONLY")?;
        Ok(Self {
            flags: global.connection.settings(),
            environment: Settings::from_env(&environment)?,
            contexts: Contexts::of_user(environment),
            read_only: global.read_only || switch.unwrap_or(config.read_only),
            no_color: global.no_color || environment.get("NO_COLOR").is_some(),
            config,
            opened: Arc::default(),
        })
    }

    /// The place that flags, environment and contexts add up to.
    pub(super) fn place(&self) -> Result<Place, CliError> {
        Ok(Place::resolve(
            &self.flags,
            &self.environment,
            &self.contexts,
        )?)
    }

    /// What is secret.
    pub(super) fn masks(&self) -> Masks {
        match &self.config.masks {
            Some(words) => Masks::new(words),
            None => Masks::default(),
        }
    }

    /// How long to wait for an answer.
    pub(super) fn timeout(&self) -> Duration {
        let set = self.flags.timeout.or(self.environment.timeout);
        set.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Connects.
    pub(super) async fn backend(&self) -> Result<Arc<dyn Backend>, CliError> {
        self.connect(&self.place()?).await
    }

    /// Connects; a file that is not there is made.
    pub(super) async fn backend_or_new_file(&self) -> Result<Arc<dyn Backend>, CliError> {
        let mut place = self.place()?;
        if let Place::Local(local) = &mut place {
            local.create = true;
        }
        self.connect(&place).await
    }

    async fn connect(&self, place: &Place) -> Result<Arc<dyn Backend>, CliError> {
        let backend = connect(place, self.read_only).await?;
        self.opened().push(Arc::clone(&backend));
        Ok(backend)
    }

    /// Leaves everything that was connected to, so that nothing of ours stays there.
    pub(super) async fn close(&self) {
        let opened = std::mem::take(&mut *self.opened());
        for backend in opened {
            backend.close().await;
        }
    }

    fn opened(&self) -> MutexGuard<'_, Vec<Arc<dyn Backend>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, and opens a bucket.
    pub(super) async fn store(&self, bucket: &str) -> Result<Store, CliError> {
        Ok(Store::open(&*self.backend().await?, bucket).await?)
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the parser wants something that can fail"
)]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}
