//! The engine over NATS JetStream. The only place that imports `async-nats`.
//!
//! - `connect`, `link`: the connection and its state. `request`: every question and its answer.
//! - `settings`, `message`: buckets as streams, entries as messages. `listing`: which there are.
//! - `bucket`, `write`: reading and writing. `watch`, `consumer`, `continuity`, `census`: watching.
//! - `overview`: the server, for people. `report`, `system`: what it says for `kv::doctor`.

mod bucket;
mod census;
mod connect;
mod consumer;
mod continuity;
mod link;
mod listing;
mod message;
mod notices;
mod options;
mod overview;
mod report;
mod request;
mod settings;
mod system;
mod watch;
mod write;

pub use options::{Auth, NatsOptions, Secret, Tls};
pub use system::sync_of_servers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::Info;
use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;

use self::bucket::NatsBucket;
use self::request::{ApiError, CallError, Lost, Session, description, refused};
use super::backend::{
    Backend, BucketBackend, BucketConfig, BucketInfo, Capabilities, Connection, MAX_HISTORY,
    Offered, Overview, PlaceReport, Reason, Setting,
};
use super::{BucketName, Error};

/// What the subjects of JetStream's own API begin with.
const JS_API: &str = "$JS.API";

/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(1);

/// How many bytes the headers of a write can take. They count as part of a message.
const HEADERS: u64 = 128;

/// The buckets of a NATS server.
#[derive(Debug)]
pub struct NatsBackend {
    session: Arc<Session>,
}

impl NatsBackend {
    /// Connects, and looks whether there is JetStream.
    ///
    /// From then on the connection is made again whenever it breaks, for as long as the backend
    /// lives.
    ///
    /// # Errors
    /// Within the time limit of the options: [`Error::Unreachable`], [`Error::Unauthorized`],
    /// [`Error::Tls`], [`Error::NoJetStream`], and [`Error::File`] for credentials that can't be
    /// read. None of them holds a secret.
    pub async fn connect(options: NatsOptions) -> Result<Arc<Self>, Error> {
        let deadline = tokio::time::Instant::now() + options.timeout;
        // Boxed, because TLS and WebSockets make it large.
        let connected = Box::pin(connect::connect(&options)).await?;
        let api = api_prefix(&options);
        let session = Arc::new(Session {
            client: connected.client,
            link: connected.link,
            place: connected.place,
            foreign_domain: api != JS_API,
            api,
            timeout: options.timeout,
            consumers: tokio::sync::watch::Sender::new(0),
        });
        let account = tokio::time::timeout_at(deadline, overview::account(&session)).await;
        match account.unwrap_or_else(|_| Err(session.unanswered("JetStream", Lost::TimedOut))) {
            // Not everybody may look at the account, and a cluster without a leader still has
            // buckets to read.
            Ok(_) | Err(Error::Refused { .. } | Error::NoAnswer { .. }) => {}
            Err(Error::Denied { what }) if !what.starts_with("receiving") => {}
            Err(error) => return Err(error),
        }
        Ok(Arc::new(Self { session }))
    }

    async fn info(&self, name: &BucketName) -> Result<BucketInfo, Error> {
        let info = bucket::stream_info(&self.session, name).await?;
        to_bucket(&info, name)
    }
}

/// What a server like this one can do.
fn capabilities(session: &Session) -> Capabilities {
    let is_clustered = session.foreign_domain || session.client.server_info().cluster.is_some();
    Capabilities {
        entry_ttl: session.client.is_server_compatible(2, 11, 0),
        replicas: is_clustered,
        memory_storage: true,
        settings: offered(session, is_clustered),
        max_history: MAX_HISTORY,
        max_value_size: Some((session.client.max_payload() as u64).saturating_sub(HEADERS)),
        restores: false,
        remote: true,
        read_only: false,
        as_of: None,
    }
}

/// What the subjects of JetStream's API begin with.
fn api_prefix(options: &NatsOptions) -> String {
    let prefix = options.jetstream_api_prefix.as_deref();
    let prefix = prefix.map(|prefix| prefix.trim_end_matches('.').to_owned());
    let domain = options.jetstream_domain.as_ref();
    prefix
        .or_else(|| domain.map(|domain| format!("$JS.{domain}.API")))
        .unwrap_or_else(|| JS_API.to_owned())
}

/// Which settings a server like this one has. What it is too old to know it would leave out
/// without a word.
fn offered(session: &Session, is_clustered: bool) -> Offered {
    let is_at_least = |minor| session.client.is_server_compatible(2, minor, 0);
    let mut offered = Offered::ALL
        .with_fixed(Setting::Storage, Reason::StaysWhereMade)
        .with_fixed(Setting::Mirror, Reason::StaysACopy);
    if !is_clustered {
        let why = Reason::Alone;
        offered = offered.without(Setting::Replicas, why);
        offered = offered.without(Setting::Placement, why);
    }
    if !is_at_least(10) {
        let why = Reason::NeedsServer210;
        offered = offered.without(Setting::Compression, why);
        offered = offered.without(Setting::Sources, why);
        offered = offered.without(Setting::Metadata, why);
    }
    if !is_at_least(11) {
        offered = offered.without(Setting::MarkerTtl, Reason::NeedsServer211);
    }
    offered
}

#[derive(Deserialize)]
struct Deleted {}

#[async_trait]
impl Backend for NatsBackend {
    fn capabilities(&self) -> Capabilities {
        capabilities(&self.session)
    }

    fn connection(&self) -> tokio::sync::watch::Receiver<Connection> {
        self.session.link.connection()
    }

    /// A request that nobody listens to: the server says so at once, whatever the account may do.
    async fn ping(&self) -> Result<Duration, Error> {
        let subject = self.session.client.new_inbox();
        let begun = Instant::now();
        match self.session.request(subject, None, Bytes::new()).await {
            Ok(_) | Err(Lost::NobodyListens | Lost::Denied(_)) => Ok(begun.elapsed()),
            Err(lost) => Err(self.session.unanswered("a ping", lost)),
        }
    }

    async fn overview(&self) -> Result<Overview, Error> {
        overview::overview(&self.session).await
    }

    async fn report(&self) -> Result<PlaceReport, Error> {
        report::place(&self.session).await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        listing::buckets(&self.session).await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error> {
        let config = match bucket::stream_info(&self.session, name).await {
            Ok(info) => Some(info.config),
            // Keys can be read without permission to look at streams, and without a leader.
            Err(Error::Denied { .. } | Error::NoAnswer { .. }) => None,
            Err(Error::Refused { code, .. }) if code == ErrorCode::CLUSTER_NOT_AVAILABLE.0 => None,
            Err(error) => return Err(error),
        };
        let session = Arc::clone(&self.session);
        Ok(Arc::new(NatsBucket::new(
            session,
            name.clone(),
            config.as_ref(),
        )))
    }

    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        let name = &config.name;
        config.check_history()?;
        capabilities(&self.session).settings.check_new(config)?;
        let stream = settings::new_stream(config);
        let verb = format!("STREAM.CREATE.{}", stream.name);
        let what = format!("making the bucket {name}");
        match self.session.call::<Info>(&what, &verb, &stream).await {
            Ok(info) => to_bucket(&info, name),
            Err(error) if error.is(ErrorCode::STREAM_NAME_EXIST) => {
                let info = self.info(name).await?;
                if info.config == *config {
                    Ok(info)
                } else {
                    Err(Error::BucketExists {
                        bucket: name.clone(),
                    })
                }
            }
            Err(error) => Err(self.not_configured(name, &what, error)),
        }
    }

    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        let name = &config.name;
        let info = bucket::stream_info(&self.session, name).await?;
        let before = to_bucket(&info, name)?.config;
        if before.history != config.history {
            config.check_history()?;
        }
        capabilities(&self.session)
            .settings
            .check_change(&before, config)?;
        let mut stream = info.config;
        settings::apply(config, &mut stream);
        let verb = format!("STREAM.UPDATE.{}", stream.name);
        let what = format!("changing the bucket {name}");
        match self.session.call::<Info>(&what, &verb, &stream).await {
            Ok(info) => to_bucket(&info, name),
            Err(error) => Err(self.not_configured(name, &what, error)),
        }
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        let what = format!("deleting the bucket {name}");
        let verb = format!("STREAM.DELETE.{}", settings::stream_of(name));
        match self.session.ask::<Deleted>(&what, &verb).await {
            Ok(_) => Ok(()),
            Err(error) => Err(bucket::explain(&self.session, name, &what, error)),
        }
    }

    /// While the connection is down there is nobody to tell; the server drops a consumer that
    /// nobody listens to by itself.
    async fn close(&self) {
        let mut consumers = self.session.consumers.subscribe();
        let mut state = self.session.link.state();
        tokio::select! {
            _ = consumers.wait_for(|count| *count == 0) => {}
            _ = state.wait_for(|state| !state.up) => {}
            () = tokio::time::sleep(LEAVING) => {}
        }
    }
}

impl NatsBackend {
    /// The error for a bucket that could not be set up.
    fn not_configured(&self, name: &BucketName, what: &str, error: CallError) -> Error {
        let is_about_settings = |error: &ApiError| {
            matches!(
                error.error_code(),
                ErrorCode::STREAM_INVALID_CONFIG
                    | ErrorCode::STREAM_SUBJECT_OVERLAP
                    | ErrorCode::STREAM_REPLICAS_NOT_UPDATABLE
                    | ErrorCode::STREAM_LIMITS
            ) || error.code() == 400
        };
        match error {
            CallError::Api(error) => match refused(&self.session, what, &error) {
                Error::Refused { .. } if is_about_settings(&error) => Error::BucketConfig {
                    bucket: name.clone(),
                    reason: description(&error),
                },
                _ if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Error::NoSuchBucket {
                    bucket: name.to_string(),
                },
                other => other,
            },
            CallError::Failed(error) => error,
        }
    }
}

fn to_bucket(info: &Info, name: &BucketName) -> Result<BucketInfo, Error> {
    settings::bucket_info(info).ok_or_else(|| Error::Protocol {
        what: format!("looking at the bucket {name}"),
        detail: format!("the stream {:?} is no bucket", info.config.name),
    })
}
