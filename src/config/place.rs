//! The place to connect to, and connecting. How flags, environment and contexts add up to its options is
//! in `options`.

mod command;
mod options;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use crate::kv::backend::Backend;
use crate::kv::local::{LocalBackend, OpenOptions};
use crate::kv::nats::{Auth, NatsBackend, NatsOptions, Secret, Tls};
use crate::kv::{Error, ReadOnly};

use self::options::{nats_options, servers_of};
use super::{ConfigError, ContextMeta, Contexts, Settings};

/// A place that holds buckets, and how to get in.
#[derive(Debug, Clone)]
pub enum Place {
    /// NATS servers.
    Nats(Box<NatsPlace>),
    /// A file.
    Local(LocalPlace),
}

/// NATS servers, and the context they come from.
#[derive(Debug, Clone)]
pub struct NatsPlace {
    /// How to connect.
    pub options: NatsOptions,
    /// The context whose servers these are. `None` where another server was named, even if it is
    /// entered with a context's credentials: the name would lie about where we are.
    pub context: Option<ContextMeta>,
    /// The context that was asked for by name, or whose servers these are: what the user's file
    /// forbids there is forbidden here, whatever else was said of the server.
    pub guarded_by: Option<String>,
}

/// An SQLite file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPlace {
    /// The file.
    pub path: PathBuf,
    /// Make the file if there is none.
    pub create: bool,
}

impl Place {
    /// A file that is there.
    pub fn local(path: impl Into<PathBuf>) -> Self {
        Self::Local(LocalPlace {
            path: path.into(),
            create: false,
        })
    }

    /// The place that the sources add up to.
    ///
    /// Flags come before the environment, the environment before the context, and the context that
    /// was named before the selected one. Credentials are taken from one source as a whole: a
    /// `--creds` on the command line leaves nothing of a context's user and password.
    ///
    /// # Errors
    /// [`ConfigError::Together`] for `--local` beside flags for a server,
    /// [`ConfigError::SocksProxy`], and whatever is wrong with the context.
    pub fn resolve(
        flags: &Settings,
        environment: &Settings,
        contexts: &Contexts,
    ) -> Result<Self, ConfigError> {
        if let Some(path) = &flags.local {
            return match flags.nats_flag() {
                None => Ok(Self::local(path)),
                Some(second) => Err(ConfigError::Together {
                    first: "--local",
                    second,
                }),
            };
        }
        if flags.context.is_some() && flags.no_context {
            return Err(ConfigError::Together {
                first: "--context",
                second: "--no-context",
            });
        }
        if let (Some(path), None) = (&environment.local, flags.nats_flag()) {
            return Ok(Self::local(path));
        }
        if environment.socks_proxy {
            return Err(ConfigError::SocksProxy);
        }
        let named = flags
            .context
            .clone()
            .or_else(|| environment.context.clone())
            .filter(|_| !flags.no_context);
        let name = if flags.no_context {
            None
        } else {
            named.clone().or_else(|| contexts.selected())
        };
        let context = name.map(|name| contexts.load(&name)).transpose()?;
        let (meta, base) = match context {
            Some(context) => (Some(context.meta), context.settings),
            None => (None, Settings::default()),
        };
        let options = nats_options(&[flags, environment, &base]);
        // A server that was named may be the context's own.
        let context =
            meta.filter(|_| addresses(&options.servers).eq(addresses(&servers_of(&base))));
        let its_own = context.as_ref().map(|context| context.name.clone());
        Ok(Self::Nats(Box::new(NatsPlace {
            options,
            context,
            guarded_by: named.or(its_own),
        })))
    }

    /// The place that a context names, for switching to it.
    ///
    /// # Errors
    /// Whatever is wrong with the context.
    pub fn of_context(name: &str, contexts: &Contexts) -> Result<Self, ConfigError> {
        let flags = Settings {
            context: Some(name.to_owned()),
            ..Settings::default()
        };
        Self::resolve(&flags, &Settings::default(), contexts)
    }

    /// What a person calls it: the context, the file's name, or the first server's address. Holds
    /// no secret.
    pub fn name(&self) -> String {
        match self {
            Self::Nats(place) => match &place.context {
                Some(context) => context.name.clone(),
                None => self.addresses().next().unwrap_or_default(),
            },
            Self::Local(place) => {
                let name = place.path.file_name().unwrap_or(place.path.as_os_str());
                name.to_string_lossy().into_owned()
            }
        }
    }

    /// Where it is: the servers' addresses without credentials, or the file's path.
    pub fn address(&self) -> String {
        match self {
            Self::Nats(_) => joined(self.addresses(), ", "),
            Self::Local(place) => place.path.display().to_string(),
        }
    }

    /// The context whose prohibitions hold here, by its name.
    pub fn guarded_by(&self) -> Option<&str> {
        match self {
            Self::Nats(place) => place.guarded_by.as_deref(),
            Self::Local(_) => None,
        }
    }

    /// The context it is, if it is one.
    pub fn context(&self) -> Option<&ContextMeta> {
        match self {
            Self::Nats(place) => place.context.as_ref(),
            Self::Local(_) => None,
        }
    }

    fn addresses(&self) -> impl Iterator<Item = String> {
        let servers = match self {
            Self::Nats(place) => place.options.servers.as_slice(),
            Self::Local(_) => &[],
        };
        addresses(servers)
    }
}

/// The addresses of servers, without credentials.
fn addresses(servers: &[Secret]) -> impl Iterator<Item = String> {
    servers
        .iter()
        .map(|server| without_credentials(server.expose()))
}

/// Connects to a place. Read-only wins over whatever the place would allow.
///
/// # Errors
/// Whatever keeps it from being reached or opened.
pub async fn connect(place: &Place, read_only: bool) -> Result<Arc<dyn Backend>, Error> {
    let backend: Arc<dyn Backend> = match place {
        Place::Nats(place) => {
            check_files(&place.options)?;
            NatsBackend::connect(place.options.clone()).await?
        }
        Place::Local(place) => {
            let options = OpenOptions {
                create: place.create && !read_only,
                read_only,
                ..OpenOptions::default()
            };
            LocalBackend::open(&place.path, options).await?
        }
    };
    Ok(if read_only {
        Arc::new(ReadOnly::new(backend))
    } else {
        backend
    })
}

/// Fails if a file that the options name can't be read. What a TLS or credentials library says of
/// one doesn't name it.
fn check_files(options: &NatsOptions) -> Result<(), Error> {
    let identity = match &options.auth {
        Auth::CredentialsFile(path) | Auth::NKeyFile(path) => Some(path),
        _ => None,
    };
    let Tls { ca, cert, key, .. } = &options.tls;
    let files = [identity, ca.as_ref(), cert.as_ref(), key.as_ref()];
    for path in files.into_iter().flatten() {
        std::fs::File::open(path).map_err(|error| Error::File {
            path: path.clone(),
            detail: format!("it can't be read: {error}"),
        })?;
    }
    Ok(())
}

/// An address without the user and password that it may hold.
fn joined(addresses: impl Iterator<Item = String>, between: &str) -> String {
    addresses.collect::<Vec<_>>().join(between)
}

fn without_credentials(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, address),
    };
    // The last one: a password can hold an @ of its own.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    match scheme {
        Some(scheme) => format!("{scheme}://{host}"),
        None => host.to_owned(),
    }
}
