//! The engine over NATS JetStream. The only place that imports `async-nats`.

mod options;

pub use options::{Auth, NatsOptions, Secret, Tls};
