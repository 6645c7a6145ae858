//! How to connect, from flags, environment and context: each setting from the strongest that has it,
//! credentials from one of them as a whole.

use crate::config::Settings;
use crate::kv::nats::{Auth, NatsOptions, Secret};

/// Where the nats CLI looks when nothing names a server.
pub(super) const DEFAULT_SERVER: &str = "nats://127.0.0.1:4222";

/// The addresses of servers in a list, which can hold passwords.
pub(super) fn named_servers(list: &Secret) -> impl Iterator<Item = &str> {
    let servers = list.expose().split(',').map(str::trim);
    servers.filter(|server| !server.is_empty())
}

/// The servers that one source comes to on its own.
pub(super) fn servers_of(source: &Settings) -> Vec<Secret> {
    let named = source.server.iter().flat_map(named_servers);
    let named: Vec<Secret> = named.map(Secret::new).collect();
    if named.is_empty() {
        return vec![Secret::new(DEFAULT_SERVER)];
    }
    named
}

/// Adds the sources up, the strongest first: flags, environment, context.
pub(super) fn nats_options(sources: &[&Settings; 3]) -> NatsOptions {
    let mut options = NatsOptions::new(DEFAULT_SERVER);
    let servers = sources.iter().find(|source| source.server.is_some());
    if let Some(servers) = servers {
        options.servers = servers_of(servers);
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
