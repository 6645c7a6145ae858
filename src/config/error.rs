//! What can be wrong with what the user set.

use std::path::PathBuf;

/// Why it is not clear how to connect, or what the user wants.
///
/// The texts are for people and never hold a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Flags that can't stand together.
    #[error("{first} and {second} can't be used together")]
    Together {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// An environment variable has a value that means nothing.
    #[error("{name}={value:?} is not {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A file can't be read.
    #[error("{} can't be read: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The configuration file makes no sense.
    #[error("{}, line {line}, column {column}: {message}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line of the fault, from 1.
        line: usize,
        /// The column of the fault, from 1, in characters.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// No context has that name.
    #[error("there is no context {name:?} in {}", .dir.display())]
    NoSuchContext {
        /// The name.
        name: String,
        /// Where contexts are.
        dir: PathBuf,
    },
    /// The name can't be a context's.
    #[error("{name:?} can't be the name of a context")]
    ContextName {
        /// The name.
        name: String,
    },
    /// The context's file makes no sense.
    #[error("the context in {} makes no sense: {message}", .path.display())]
    ContextFormat {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The tool that keeps a context's credentials did not give them.
    #[error("the context {context:?} names {user:?}: {reason}")]
    Nsc {
        /// The context.
        context: String,
        /// The user that `nsc` was asked for.
        user: String,
        /// What it said.
        reason: String,
    },
    /// A SOCKS proxy is asked for, which kvscope can't use. Going without would lead past it.
    #[error(
        "NATS_SOCKS_PROXY is set, which kvscope can't use: open a tunnel and name its end with --server"
    )]
    SocksProxy,
    /// The context asks for something that kvscope can't do. Leaving it out would lead elsewhere,
    /// or in as somebody else.
    #[error("the context {context:?} sets {field}, which kvscope can't use: {help}")]
    ContextUnsupported {
        /// The context.
        context: String,
        /// The field of its file.
        field: &'static str,
        /// What to do.
        help: &'static str,
    },
}

impl ConfigError {
    /// Whether the command line itself is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Together { .. } | Self::Variable { .. } | Self::ContextName { .. }
        )
    }
}
