//! kvscope: a console for NATS JetStream key-value buckets, and the engine under it.
//!
//! ```text
//! main ─► cli ─► ui ─► edit ─► kv      config ◄── main, cli, ui      kv imports none of them
//! ```
//!
//! [`kv`] is the engine: no terminal, no argument parser, no configuration file. A service links
//! it alone with `default-features = false` and one or both of the features `nats` and `local`.
//! The console (`ui`), the command line (`cli`), what both need for editing values safely ([`edit`]),
//! for running jq's language over values ([`query`]) and the configuration (`config`) come with the
//! feature `console`, which is on by default.
//!
//! # A service's configuration in a bucket
//!
//! ```
//! use kvscope::kv::{KeyValue, StaticKeyIndexedValue};
//! use serde::{Serialize, Deserialize};
//! use kvscope::JsonByteDes;
//! # use kvscope::kv::{KvReadError, Store};
//!
//! #[derive(Serialize, Deserialize, JsonByteDes)]
//! struct DatabaseConfig {
//!     url: String,
//!     username: String,
//!     password: String,
//!     max_connections: u32,
//! }
//!
//! impl StaticKeyIndexedValue for DatabaseConfig {
//!     fn key() -> String {
//!         "config.database".to_string()
//!     }
//! }
//!
//! async fn initialize_database(store: &Store) -> Result<DatabasePool, Error> {
//!     // Read config from KV store
//!     let config = match DatabaseConfig::read_from(store, DatabaseConfig::key()).await? {
//!         Some(config) => config,
//!         None => return Err(Error::ConfigNotFound),
//!     };
//!
//!     // Initialize database connection pool
//!     DatabasePool::connect(&config.url)
//!         .with_credentials(&config.username, &config.password)
//!         .with_max_connections(config.max_connections)
//!         .build()
//!         .await
//! }
//! #
//! # #[derive(Default)]
//! # struct DatabasePool {
//! #     url: String,
//! #     credentials: (String, String),
//! #     max_connections: u32,
//! # }
//! # impl DatabasePool {
//! #     fn connect(url: &str) -> Self {
//! #         Self { url: url.to_owned(), ..Self::default() }
//! #     }
//! #     fn with_credentials(self, username: &str, password: &str) -> Self {
//! #         Self { credentials: (username.to_owned(), password.to_owned()), ..self }
//! #     }
//! #     fn with_max_connections(self, max_connections: u32) -> Self {
//! #         Self { max_connections, ..self }
//! #     }
//! #     async fn build(self) -> Result<Self, Error> {
//! #         Ok(self)
//! #     }
//! # }
//! # #[derive(Debug)]
//! # enum Error {
//! #     ConfigNotFound,
//! #     Read(KvReadError),
//! # }
//! # impl From<KvReadError> for Error {
//! #     fn from(error: KvReadError) -> Self {
//! #         Self::Read(error)
//! #     }
//! # }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     use kvscope::kv::backend::{Backend, BucketConfig};
//! #     use kvscope::kv::{BucketName, memory::Memory};
//! #     let place = Memory::new();
//! #     place.create_bucket(&BucketConfig::new(BucketName::new("config")?)).await?;
//! #     let store = Store::open(&place, "config").await?;
//! #     let missing = initialize_database(&store).await;
//! #     assert!(matches!(missing, Err(Error::ConfigNotFound)));
//! #     let config = DatabaseConfig {
//! #         url: "postgres://db".to_owned(),
//! #         username: "app".to_owned(),
//! #         password: "hunter2".to_owned(),
//! #         max_connections: 16,
//! #     };
//! #     store.put(DatabaseConfig::key(), serde_json::to_vec(&config)?).await?;
//! #     let pool = initialize_database(&store).await.map_err(|e| format!("{e:?}"))?;
//! #     assert_eq!(pool.url, "postgres://db");
//! #     assert_eq!(pool.credentials, ("app".to_owned(), "hunter2".to_owned()));
//! #     assert_eq!(pool.max_connections, 16);
//! #     store.put(DatabaseConfig::key(), r#"{"url": 7}"#).await?;
//! #     let broken = initialize_database(&store).await;
//! #     assert!(matches!(broken, Err(Error::Read(KvReadError::Decode { .. }))));
//! #     Ok(())
//! # }
//! ```

// The derives name this crate; in its own tests that is the crate itself.
#[cfg(test)]
extern crate self as kvscope;

#[cfg(feature = "console")]
pub mod cli;
#[cfg(feature = "console")]
pub mod config;
#[cfg(feature = "console")]
pub mod edit;
pub mod kv;
#[cfg(feature = "console")]
pub mod query;
#[cfg(feature = "console")]
pub mod ui;

pub use kvscope_derive::{JsonByteDes, JsonByteSer};
