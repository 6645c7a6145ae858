//! The place to connect to: how flags, environment and contexts add up to it, and connecting.

use std::path::PathBuf;
use std::sync::Arc;

use crate::kv::backend::Backend;
use crate::kv::local::{LocalBackend, OpenOptions};
use crate::kv::nats::{Auth, NatsBackend, NatsOptions, Secret, Tls};
use crate::kv::shell::word;
use crate::kv::{Error, ReadOnly};

use super::{ConfigError, ContextMeta, Contexts, Settings};

/// Where the nats CLI looks when nothing names a server.
const DEFAULT_SERVER: &str = "nats://127.0.0.1:4222";

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
            .or_else(|| environment.context.clone());
        let name = if flags.no_context {
            None
        } else {
            named.or_else(|| contexts.selected())
        };
        let context = name.map(|name| contexts.load(&name)).transpose()?;
        let (meta, base) = match context {
            Some(context) => (Some(context.meta), context.settings),
            None => (None, Settings::default()),
        };
        let is_elsewhere = flags.server.is_some() || environment.server.is_some();
        Ok(Self::Nats(Box::new(NatsPlace {
            options: nats_options(&[flags, environment, &base]),
            context: meta.filter(|_| !is_elsewhere),
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
            Self::Nats(_) => self.addresses().collect::<Vec<_>>().join(", "),
            Self::Local(place) => place.path.display().to_string(),
        }
    }

    /// How `kvscope` is called to come here: for commands that people are shown to copy. Holds no
    /// secret, so that credentials from flags have to be given again.
    pub fn command(&self) -> String {
        let (flag, what) = match self {
            Self::Local(place) => ("--local", place.path.display().to_string()),
            Self::Nats(place) => match &place.context {
                Some(context) => ("--context", context.name.clone()),
                None => ("-s", self.addresses().collect::<Vec<_>>().join(",")),
            },
        };
        format!("kvscope {flag} {}", word(&what))
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
        servers
            .iter()
            .map(|server| without_credentials(server.expose()))
    }
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

/// Adds the sources up, the strongest first: flags, environment, context.
fn nats_options(sources: &[&Settings; 3]) -> NatsOptions {
    let servers = first(sources, |s| &s.server);
    let mut options = NatsOptions::new(DEFAULT_SERVER);
    if let Some(servers) = servers {
        let named: Vec<Secret> = servers
            .expose()
            .split(',')
            .map(str::trim)
            .filter(|server| !server.is_empty())
            .map(Secret::new)
            .collect();
        if !named.is_empty() {
            options.servers = named;
        }
    }
    options.auth = auth(sources);
    options.tls.ca = first(sources, |s| &s.tls_ca);
    options.tls.cert = first(sources, |s| &s.tls_cert);
    options.tls.key = first(sources, |s| &s.tls_key);
    options.tls.first = sources.iter().any(|source| source.tls_first);
    // As the nats CLI: whoever brings certificates wants them used.
    options.tls.required =
        options.tls.first || options.tls.ca.is_some() || options.tls.cert.is_some();
    options.jetstream_domain = first(sources, |s| &s.js_domain);
    // The one that is named nearer wins: a domain on the command line is none of a context's prefix.
    options.jetstream_api_prefix = sources
        .iter()
        .find(|s| s.js_api_prefix.is_some() || s.js_domain.is_some())
        .and_then(|s| s.js_api_prefix.clone());
    options.inbox_prefix = first(sources, |s| &s.inbox_prefix);
    if let Some(timeout) = first(sources, |s| &s.timeout) {
        options.timeout = timeout;
    }
    options
}

fn first<T: Clone>(sources: &[&Settings; 3], field: impl Fn(&Settings) -> &Option<T>) -> Option<T> {
    sources.iter().find_map(|source| field(source).clone())
}

/// Who we are: what the strongest source says that says anything.
fn auth(sources: &[&Settings; 3]) -> Auth {
    let [flags, environment, context] = *sources;
    let said = flags.password.as_ref().or(environment.password.as_ref());
    let (source, password) = if flags.names_credentials() {
        (flags, said)
    } else if environment.names_credentials() {
        (environment, said)
    } else {
        (context, said.or(context.password.as_ref()))
    };
    if let Some(user) = &source.user {
        return match password {
            Some(password) => Auth::User {
                name: user.expose().to_owned(),
                password: password.clone(),
            },
            // The nats CLI takes a user without a password for a token, but not from a context.
            None if std::ptr::eq(source, context) => Auth::User {
                name: user.expose().to_owned(),
                password: Secret::new(""),
            },
            None => Auth::Token(user.clone()),
        };
    }
    if let Some(path) = &source.creds {
        return Auth::CredentialsFile(path.clone());
    }
    if let Some(path) = &source.nkey {
        return Auth::NKeyFile(path.clone());
    }
    if let Some(jwt) = &source.jwt {
        return Auth::Jwt {
            jwt: jwt.clone(),
            seed: source.seed.clone().unwrap_or_else(|| Secret::new("")),
        };
    }
    source.token.clone().map_or(Auth::None, Auth::Token)
}

/// An address without the user and password that it may hold.
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

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    type Variables = &'static [(&'static str, &'static str)];

    fn contexts(selected: Option<&str>) -> (tempfile::TempDir, Contexts) {
        let dir = tempfile::tempdir().unwrap();
        let context = |name: &str, text: &str| {
            std::fs::write(dir.path().join("context").join(name), text).unwrap();
        };
        std::fs::create_dir(dir.path().join("context")).unwrap();
        context(
            "prod.json",
            r#"{"url": "nats://prod:4222", "user": "op", "password": "pw", "ca": "/ca.pem"}"#,
        );
        context(
            "test.json",
            r#"{"url": "nats://test:4222", "token": "tok"}"#,
        );
        if let Some(name) = selected {
            std::fs::write(dir.path().join("context.txt"), name).unwrap();
        }
        let contexts = Contexts::new(dir.path(), "/home/op");
        (dir, contexts)
    }

    fn nats(place: Place) -> NatsPlace {
        match place {
            Place::Nats(place) => *place,
            Place::Local(place) => panic!("{place:?}"),
        }
    }

    fn resolve(
        flags: &Settings,
        variables: Variables,
        selected: Option<&str>,
    ) -> Result<Place, ConfigError> {
        let (_dir, contexts) = contexts(selected);
        let environment = Settings::from_env(&Environment::MadeUp(variables))?;
        Place::resolve(flags, &environment, &contexts)
    }

    fn address_of(place: Result<Place, ConfigError>) -> String {
        place.unwrap().address()
    }

    fn server(address: &str) -> Settings {
        Settings {
            server: Some(Secret::new(address)),
            ..Settings::default()
        }
    }

    fn context(name: &str) -> Settings {
        Settings {
            context: Some(name.to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn flags_then_environment_then_named_then_selected_then_default() {
        let none = Settings::default();
        assert_eq!(address_of(resolve(&none, &[], None)), DEFAULT_SERVER);
        assert_eq!(
            address_of(resolve(&none, &[], Some("prod"))),
            "nats://prod:4222"
        );
        let named: Variables = &[("NATS_CONTEXT", "test")];
        assert_eq!(
            address_of(resolve(&none, named, Some("prod"))),
            "nats://test:4222"
        );
        assert_eq!(
            address_of(resolve(&context("prod"), named, None)),
            "nats://prod:4222"
        );
        let both: Variables = &[("NATS_CONTEXT", "test"), ("NATS_URL", "nats://env:1")];
        assert_eq!(address_of(resolve(&none, both, None)), "nats://env:1");
        assert_eq!(
            address_of(resolve(&server("nats://flag:1"), both, None)),
            "nats://flag:1"
        );
        let no_context = Settings {
            no_context: true,
            ..Settings::default()
        };
        assert_eq!(
            address_of(resolve(&no_context, &[], Some("prod"))),
            DEFAULT_SERVER
        );
    }

    #[test]
    fn a_file_and_a_server() {
        let local = Settings {
            local: Some("x.db".into()),
            ..Settings::default()
        };
        let url: Variables = &[("NATS_URL", "nats://env:1")];
        assert_eq!(address_of(resolve(&local, url, Some("prod"))), "x.db");
        let local: Variables = &[("KVSCOPE_LOCAL", "env.db"), ("NATS_URL", "nats://e:1")];
        assert_eq!(
            address_of(resolve(&Settings::default(), local, None)),
            "env.db"
        );
        assert_eq!(
            address_of(resolve(&server("nats://f:1"), local, None)),
            "nats://f:1"
        );
        let both = Settings {
            local: Some("x.db".into()),
            ..server("nats://f:1")
        };
        let error = resolve(&both, &[], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--local and --server can't be used together"
        );
        assert!(error.is_usage());
    }

    #[test]
    fn credentials_come_from_one_source_as_a_whole() {
        let creds = Settings {
            creds: Some("/op.creds".into()),
            ..Settings::default()
        };
        let place = nats(resolve(&creds, &[("NATS_USER", "envuser")], Some("prod")).unwrap());
        assert!(
            matches!(place.options.auth, Auth::CredentialsFile(_)),
            "{:?}",
            place.options.auth
        );
        assert_eq!(place.options.tls.ca, Some("/ca.pem".into()));

        let place = nats(resolve(&Settings::default(), &[], Some("prod")).unwrap());
        assert!(matches!(&place.options.auth, Auth::User { name, .. } if name == "op"));

        let password: Variables = &[("NATS_PASSWORD", "other")];
        let place = nats(resolve(&Settings::default(), password, Some("prod")).unwrap());
        let Auth::User { name, password } = &place.options.auth else {
            panic!("{:?}", place.options.auth);
        };
        assert_eq!((name.as_str(), password.expose()), ("op", "other"));
    }

    #[test]
    fn a_user_without_a_password_is_a_token() {
        let user: Variables = &[("NATS_USER", "s3cret")];
        let place = nats(resolve(&Settings::default(), user, Some("prod")).unwrap());
        assert!(matches!(&place.options.auth, Auth::Token(token) if token.expose() == "s3cret"));
        let both: Variables = &[("NATS_USER", "u"), ("NATS_PASSWORD", "p")];
        let place = nats(resolve(&Settings::default(), both, Some("prod")).unwrap());
        assert!(matches!(&place.options.auth, Auth::User { name, .. } if name == "u"));
    }

    #[test]
    fn a_prefix_of_the_api_and_a_domain_come_from_the_nearest() {
        let domain = Settings {
            js_domain: Some("hub".to_owned()),
            ..Settings::default()
        };
        let prefix = Settings {
            js_api_prefix: Some("JS.acc".to_owned()),
            ..Settings::default()
        };
        let none = Settings::default();
        let options = nats_options(&[&domain, &none, &prefix]);
        assert_eq!(options.jetstream_api_prefix, None);
        assert_eq!(options.jetstream_domain.as_deref(), Some("hub"));
        let options = nats_options(&[&prefix, &none, &domain]);
        assert_eq!(options.jetstream_api_prefix.as_deref(), Some("JS.acc"));
    }

    #[test]
    fn a_proxy_is_never_passed_by() {
        let proxy: Variables = &[("NATS_SOCKS_PROXY", "socks5://p:1080")];
        let error = resolve(&Settings::default(), proxy, None).unwrap_err();
        assert!(matches!(error, ConfigError::SocksProxy), "{error}");
        let local = Settings {
            local: Some("x.db".into()),
            ..Settings::default()
        };
        assert!(resolve(&local, proxy, None).is_ok());
    }

    #[test]
    fn a_place_is_called_what_it_is() {
        let place = resolve(&Settings::default(), &[], Some("prod")).unwrap();
        assert_eq!(place.name(), "prod");
        let elsewhere = resolve(&server("nats://localhost:4222"), &[], Some("prod")).unwrap();
        assert_eq!(elsewhere.name(), "nats://localhost:4222");
        assert_eq!(elsewhere.context(), None);
        assert_eq!(Place::local("/var/lib/app.db").name(), "app.db");
    }

    #[test]
    fn no_secret_is_shown() {
        let place = resolve(
            &server("nats://bob:hunter2@n1:4222, tls://to@ken@n2, plain:4222"),
            &[("NATS_PASSWORD", "hunter2")],
            Some("prod"),
        )
        .unwrap();
        assert_eq!(place.address(), "nats://n1:4222, tls://n2, plain:4222");
        assert_eq!(nats(place.clone()).options.servers.len(), 3);
        let shown = format!("{place:?} {} {}", place.name(), place.address());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn switches_are_never_guessed() {
        let environment = Environment::MadeUp(&[("A", "YES"), ("B", "0"), ("C", "maybe")]);
        assert_eq!(environment.switch("A").unwrap(), Some(true));
        assert_eq!(environment.switch("B").unwrap(), Some(false));
        assert!(environment.switch("C").is_err());
        assert_eq!(environment.switch("D").unwrap(), None);
        let timeout = Environment::MadeUp(&[("NATS_TIMEOUT", "soon")]);
        assert!(Settings::from_env(&timeout).is_err());
    }
}
