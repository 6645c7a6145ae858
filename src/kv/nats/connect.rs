//! Making the connection: options to a client. What can go wrong on the way is in `words`.

mod words;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;

use self::words::explain;
use super::link::Link;
use super::options::{Auth, NatsOptions, Secret};
use crate::kv::Error;

/// How often the client asks the server whether it is there. A cut connection that nobody closed
/// shows after three of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to reconnect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);
/// How many connections are lost as soon as they are made before the pauses get longer. A server that
/// is restarted again and again is not to be waited for.
const FREE_LIVES: usize = 4;
/// How many messages a subscription holds for us. More than a consumer sends ahead of its flow
/// control, 32 MiB, in messages of the size that keys usually have.
const SUBSCRIPTION_CAPACITY: usize = 1 << 19;
/// How many bytes are read at once. The client reads up to 128 times before it lets others have
/// their turn, and each message is more than twice as large as what was read of it.
const READ_BUFFER: u16 = 16 << 10;

/// A client that is connected, and where to.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) link: Arc<Link>,
    /// The addresses, without credentials.
    pub(super) place: String,
}

/// Connects, within the time limit of the options.
pub(super) async fn connect(options: &NatsOptions) -> Result<Connected, Error> {
    let servers = parse_servers(&options.servers)?;
    let place = servers.place.clone();
    let link = Arc::new(Link::new());
    let client_options = client_options(options, &servers, &link).await?;

    let connecting = client_options.connect(servers.addresses);
    let client = match tokio::time::timeout(options.timeout, connecting).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(explain(&place, &options.tls, &error)),
        Err(_) => {
            return Err(Error::Unreachable {
                place,
                reason: format!("no answer within {} ms", options.timeout.as_millis()),
            });
        }
    };
    Ok(Connected {
        client,
        link,
        place,
    })
}

async fn client_options(
    options: &NatsOptions,
    servers: &Servers,
    link: &Arc<Link>,
) -> Result<ConnectOptions, Error> {
    let attempts = u32::try_from(servers.addresses.len().max(1)).unwrap_or(u32::MAX);
    let events = Arc::clone(link);
    let tries = Arc::clone(link);
    let lives = Arc::clone(link);
    let mut client = ConnectOptions::new()
        .name(&options.connection_name)
        .connection_timeout(options.timeout / attempts)
        .request_timeout(Some(options.timeout))
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .read_buffer_capacity(READ_BUFFER)
        .max_reconnects(None)
        .reconnect_delay_callback(move |attempt| {
            reconnect_pause(attempt.max(lives.short_lives() as usize / FREE_LIVES + 1))
        })
        .event_callback(move |event| {
            events.on_event(event);
            std::future::ready(())
        })
        .reconnect_to_server_callback(move |servers, _| {
            tries.on_attempt(&servers);
            // The client's own choice of server will do.
            std::future::ready(None)
        })
        .require_tls(options.tls.required);
    if options.tls.first {
        client = client.tls_first();
    }
    if let Some(prefix) = &options.inbox_prefix {
        client = client.custom_inbox_prefix(prefix);
    }
    if let Some(ca) = &options.tls.ca {
        if !read(ca).await?.contains("BEGIN CERTIFICATE") {
            return Err(Error::Tls {
                place: servers.place.clone(),
                reason: format!("there is no certificate to trust in {}", ca.display()),
            });
        }
        client = client.add_root_certificates(ca.clone());
    }
    match (&options.tls.cert, &options.tls.key) {
        (Some(cert), Some(key)) => {
            client = client.add_client_certificate(cert.clone(), key.clone());
        }
        (None, None) => {}
        _ => {
            return Err(Error::Tls {
                place: servers.place.clone(),
                reason: "a certificate needs its key, and a key its certificate".to_owned(),
            });
        }
    }
    match &options.auth {
        Auth::None => Ok(match &servers.auth {
            Some(UrlAuth::User { name, password }) => {
                client.user_and_password(name.clone(), password.expose().to_owned())
            }
            Some(UrlAuth::Token(token)) => client.token(token.expose().to_owned()),
            None => client,
        }),
        Auth::User { name, password } => {
            Ok(client.user_and_password(name.clone(), password.expose().to_owned()))
        }
        Auth::Token(token) => Ok(client.token(token.expose().to_owned())),
        Auth::NKeyFile(path) => Ok(client.nkey(read_seed(path).await?)),
        Auth::Jwt { jwt, seed } => {
            let text = format!(
                "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
                 -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
                jwt.expose(),
                seed.expose()
            );
            // What is wrong could quote them.
            client.credentials(&text).map_err(|_| Error::Unauthorized {
                place: servers.place.clone(),
                reason: "the JWT and its seed are not a pair that can sign in".to_owned(),
            })
        }
        Auth::CredentialsFile(path) => client
            .credentials_file(path)
            .await
            .map_err(|error| unreadable(path, &error)),
    }
}

/// The pause before an attempt: none before the first, then longer and longer, never twice the
/// same, so that the clients of a server that comes back don't all knock at once.
fn reconnect_pause(attempt: usize) -> Duration {
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(attempt - 2).unwrap_or(u32::MAX).min(6);
    jittered((Duration::from_millis(50) * 2_u32.pow(doublings)).min(RECONNECT_PAUSE))
}

/// Between half of the pause and all of it.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Server addresses, taken apart.
struct Servers {
    /// Without credentials.
    addresses: Vec<ServerAddr>,
    /// The first credentials that stood in an address.
    auth: Option<UrlAuth>,
    /// For people.
    place: String,
}

enum UrlAuth {
    User { name: String, password: Secret },
    Token(Secret),
}

fn parse_servers(servers: &[Secret]) -> Result<Servers, Error> {
    let mut addresses = Vec::new();
    let mut auth = None;
    for server in servers {
        // What is wrong is told without the address: it may hold a password.
        let bad = |reason: String| Error::BadAddress { reason };
        let address: ServerAddr = server
            .expose()
            .trim()
            .parse()
            .map_err(|error: std::io::Error| bad(error.to_string()))?;
        if address.host().is_empty() {
            return Err(bad("it names no host".to_owned()));
        }
        if let (None, Some(name)) = (&auth, address.username()) {
            auth = Some(match address.password() {
                Some(password) => UrlAuth::User {
                    name: decoded(name),
                    password: Secret::new(decoded(password)),
                },
                None => UrlAuth::Token(Secret::new(decoded(name))),
            });
        }
        let mut url = address.into_inner();
        url.set_username("")
            .and_then(|()| url.set_password(None))
            .map_err(|()| bad("it names no host".to_owned()))?;
        addresses.push(ServerAddr::from_url(url).map_err(|error| bad(error.to_string()))?);
    }
    if addresses.is_empty() {
        return Err(Error::Unreachable {
            place: "NATS".to_owned(),
            reason: "no server address was given".to_owned(),
        });
    }
    let place = addresses
        .iter()
        .map(|address| address.as_url_str().trim_end_matches('/'))
        .collect::<Vec<_>>()
        .join(", ");
    Ok(Servers {
        addresses,
        auth,
        place,
    })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The text of a file.
async fn read(path: &Path) -> Result<String, Error> {
    let text = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await
    };
    let text = text.map_err(|_| Error::Closed)?;
    text.map_err(|error| Error::File {
        path: path.to_owned(),
        detail: match error.kind() {
            // What it says of that may quote the file.
            std::io::ErrorKind::InvalidData => "it is no text".to_owned(),
            _ => error.to_string(),
        },
    })
}

/// The seed in an NKey file, which may have comments around it.
async fn read_seed(path: &Path) -> Result<String, Error> {
    let text = read(path).await?;
    text.lines()
        .map(str::trim)
        .find(|line| line.starts_with('S'))
        .map(str::to_owned)
        .ok_or_else(|| Error::File {
            path: path.to_owned(),
            detail: "there is no NKey seed in it".to_owned(),
        })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let detail = match error.kind() {
        // Its text may quote the file.
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::Other => {
            "it is not a credentials file".to_owned()
        }
        _ => error.to_string(),
    };
    Error::File {
        path: path.to_owned(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(addresses: &[&str]) -> Result<Servers, Error> {
        parse_servers(
            &addresses
                .iter()
                .copied()
                .map(Secret::new)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn credentials_leave_the_address() {
        let found = servers(&["nats://ann:p%40ss@a.example:4333", "b.example"]).unwrap();
        assert_eq!(found.place, "nats://a.example:4333, nats://b.example");
        let Some(UrlAuth::User { name, password }) = found.auth else {
            panic!("no user");
        };
        assert_eq!((name.as_str(), password.expose()), ("ann", "p@ss"));

        let found = servers(&["nats://s3cr3t@a.example"]).unwrap();
        assert!(matches!(found.auth, Some(UrlAuth::Token(t)) if t.expose() == "s3cr3t"));
    }

    #[test]
    fn a_bad_address_is_not_quoted() {
        for address in ["http://u:s3cr3t@h", "nats://u:s3cr3t@h:99999", "nats://"] {
            let error = servers(&[address]).err().unwrap().to_string();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
        assert!(servers(&[]).is_err());
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(reconnect_pause(1), Duration::ZERO);
        for attempt in 2..100 {
            let pause = reconnect_pause(attempt);
            assert!(pause >= Duration::from_millis(25) && pause <= RECONNECT_PAUSE);
        }
        assert!(reconnect_pause(50) >= RECONNECT_PAUSE / 2);
    }
}
