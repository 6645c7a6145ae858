//! The grammar of what moves and queries whole buckets.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::transfer::Mode;

/// What to export, and how.
#[derive(Debug, Args)]
#[command(after_help = EXPORT)]
pub struct ExportArgs {
    /// The bucket
    pub bucket: String,
    /// Only keys that match: * stands for one token between dots, > for the rest
    pub filter: Option<String>,
    /// Every entry that is kept, instead of the newest of each key
    #[arg(long)]
    pub history: bool,
    /// Only entries from this revision on
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub from_revision: u64,
    /// Write this file, once it is whole, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the file as it grows, and go on behind what an earlier run left in it. Keys that were
    /// removed in between without leaving a marker are not seen: they stay in the file
    #[arg(long, requires = "output")]
    pub resume: bool,
}

const EXPORT: &str = "\
Examples:
  kvscope export config --output config.jsonl
  kvscope export config --output config.jsonl --resume
  kvscope export config 'app.billing.>' | gzip > billing.jsonl.gz
  kvscope export locks --history | kvscope --local snapshot.kv import locks --create --exact";

/// What to import, and how.
#[derive(Debug, Args)]
#[command(after_help = IMPORT)]
pub struct ImportArgs {
    /// The bucket
    pub bucket: String,
    /// The file with the lines; - or nothing for standard input
    pub file: Option<PathBuf>,
    /// What to do with keys that are there already
    #[arg(long, value_enum, default_value_t = Mode::Create)]
    pub mode: Mode,
    /// Look through it all, say what would become of it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Make the bucket if there is none, set up as the exported one was
    #[arg(long)]
    pub create: bool,
    /// Keep revisions and times as they were, and let nothing expire: for a file, and an empty
    /// bucket in it
    #[arg(long, conflicts_with = "mode")]
    pub exact: bool,
    /// Keep in this file how far it got, and go on from there if it is there
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub resume: Option<PathBuf>,
}

const IMPORT: &str = "\
Examples:
  kvscope import config config.jsonl --dry-run --mode overwrite
  kvscope import config config.jsonl --mode merge
  kvscope import config config.jsonl --resume config.state
  kvscope export config | kvscope --local copy.db import config --create

Nothing is ever written over what others wrote meanwhile, in any mode.";

/// What to look at.
#[derive(Debug, Args)]
#[command(after_help = DOCTOR)]
pub struct DoctorArgs {
    /// One bucket alone
    pub bucket: Option<String>,
    /// Also ask the servers when they write to the disk, by a context of the system account
    #[arg(long, value_name = "NAME")]
    pub system_context: Option<String>,
    /// How many values of each bucket to look into
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub values: usize,
}

const DOCTOR: &str = "\
Examples:
  kvscope doctor
  kvscope doctor locks --system-context sys
  kvscope doctor --json | jq -r 'select(.severity == \"severe\") | .fix'

Exit codes: 0 nothing is severe, 1 something is or nothing could be looked at, others as everywhere.";

/// What the process that runs a query is told.
#[derive(Debug, Args)]
pub struct QueryValuesArgs {
    /// The query
    pub query: String,
    /// Also answer what the query gives
    #[arg(long)]
    pub texts: bool,
}

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// A shell that can be helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

impl Shell {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// Where manual pages go.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for every command into this folder, instead of the first to standard output
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}
