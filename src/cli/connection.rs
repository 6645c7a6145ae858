//! Where the commands connect: the flags for it, and what comes of them.

#![expect(
    clippy::doc_markdown,
    reason = "the texts are shown as help, just as they stand"
)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;

use crate::config::{
    Config, ConfigError, ContextConfig, Contexts, Environment, Place, Settings, connect,
};
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
    /// What the subjects of JetStream's API begin with
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        help_heading = "Connection"
    )]
    pub js_api_prefix: Option<String>,
    /// The prefix of the subjects that answers come back on
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        help_heading = "Connection"
    )]
    pub inbox_prefix: Option<String>,
    /// How long to wait for an answer, such as 5s [env: NATS_TIMEOUT]
    #[arg(long, global = true, value_name = "TIME", value_parser = wait)]
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
            js_api_prefix: given.js_api_prefix,
            jwt: None,
            seed: None,
            inbox_prefix: given.inbox_prefix,
            socks_proxy: false,
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
    /// Whether writes are refused, where the flag or the environment say so.
    read_only: Option<bool>,
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
            read_only: if global.read_only { Some(true) } else { switch },
            no_color: global.no_color || environment.get("NO_COLOR").is_some(),
            config,
            opened: Arc::default(),
        })
    }

    /// The place that flags, environment and contexts add up to.
    pub(super) fn place(&self) -> Result<Place, CliError> {
        let mut place = Place::resolve(&self.flags, &self.environment, &self.contexts)?;
        self.set_timeout(&mut place);
        Ok(place)
    }

    /// The place that a context names.
    pub(super) fn place_of_context(&self, name: &str) -> Result<Place, ConfigError> {
        let mut place = Place::of_context(name, &self.contexts)?;
        self.set_timeout(&mut place);
        Ok(place)
    }

    fn set_timeout(&self, place: &mut Place) {
        if let Place::Nats(nats) = place {
            nats.options.timeout = self.timeout();
        }
    }

    /// How this program is called to come to the same place: with what flags said of it.
    pub(super) fn program(&self) -> String {
        self.flags.command()
    }

    /// What the user's file says of a place's context.
    pub(super) fn context_config(&self, place: &Place) -> Option<&ContextConfig> {
        self.config.contexts.get(&place.context()?.name)
    }

    /// Whether writes are refused at a place: flag, then environment, then what the file says of
    /// everything or of the place's context.
    pub(super) fn is_read_only(&self, place: &Place) -> bool {
        let guard = place
            .guarded_by()
            .and_then(|name| self.config.contexts.get(name));
        let of_context = guard.is_some_and(|of| of.read_only);
        self.read_only
            .unwrap_or(self.config.read_only || of_context)
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
        let set = set.or(self.config.defaults.timeout);
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
        let backend = connect(place, self.is_read_only(place)).await?;
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

/// A time to wait, which can't be none: nothing would ever be reached.
fn wait(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(Duration::ZERO) => Err("it is no time at all".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(error.to_string()),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the parser wants something that can fail"
)]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}
