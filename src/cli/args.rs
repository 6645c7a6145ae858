//! The grammar of the command line. What the commands do is elsewhere.

#![expect(
    clippy::doc_markdown,
    reason = "the texts are shown as help, just as they stand"
)]

mod bucket;
mod data;
mod examples;
mod lock;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::connection::ConnectionArgs;

pub(super) use bucket::{
    BucketAddArgs, BucketCommand, BucketCompactArgs, BucketEditArgs, BucketInfoArgs,
};
pub(super) use data::Shell;
pub(super) use data::{
    CompletionsArgs, DoctorArgs, ExportArgs, ImportArgs, ManArgs, QueryValuesArgs,
};
pub(super) use lock::{
    LockBreakArgs, LockCommand, LockExecArgs, LockLsArgs, LockRunArgs, LockShowArgs,
    LockSuperviseArgs, LookArgs,
};

const EXAMPLES: &str = "\
Examples:
  kvscope demo                                  look around, with nothing but this program
  kvscope                                       the console at the nats CLI's selected context
  kvscope --context prod-eu config              ... opened at a bucket
  kvscope --local app.db bucket add config --history 5
  kvscope bucket edit config --ttl 7d --dry-run
  kvscope bucket compact config --older-than 1d
  kvscope put config app.billing.limits @limits.json
  kvscope get config app.billing.limits --json
  kvscope update config app.billing.limits '{\"max\":2}' 8841
  kvscope edit config app.billing.limits        in your editor, saved if nobody else wrote
  kvscope watch config 'app.billing.>' --json
  kvscope lock run config migrations --wait 30s -- ./migrate.sh
  kvscope lock ls                               who holds, who waits, and what is stuck
  kvscope lock show config billing.ledger

A bucket that is called like a command is opened with `kvscope open NAME`.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict (the revision moved),
5 lock wait timed out or lease lost, 6 refused by read-only, 7 not known whether it was
written.";

/// A terminal console for NATS JetStream key-value buckets, and for such buckets in a file.
#[derive(Debug, Parser)]
#[command(
    name = "kvscope",
    version,
    after_help = EXAMPLES,
    override_usage = "kvscope [OPTIONS] [BUCKET [KEY]]\n       kvscope [OPTIONS] COMMAND",
    subcommand_value_name = "COMMAND",
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command; without one the console is opened.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Where to connect, and as whom.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Refuse every write [env: KVSCOPE_READ_ONLY]
    #[arg(long, global = true)]
    pub read_only: bool,
    /// The configuration file, instead of the usual one [env: KVSCOPE_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Use no colours [env: NO_COLOR]
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the console at a bucket; `kvscope BUCKET [KEY]` for short
    Open(OpenArgs),
    /// Open the console on a local file with sample buckets and services that keep changing them
    Demo(DemoArgs),
    /// List, show, make, change, compact and remove buckets
    #[command(subcommand)]
    Bucket(Box<BucketCommand>),
    /// List keys, or without a bucket, buckets
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Get a key's value: exactly into a pipe, made visible on a terminal
    Get(GetArgs),
    /// Put a value into a key, whatever is there
    Put(PutArgs),
    /// Put a value into a key that has none
    Create(PutArgs),
    /// Put a value into a key that is at a certain revision
    Update(UpdateArgs),
    /// Edit a value in $VISUAL or $EDITOR, and save it if nobody else wrote meanwhile
    Edit(EditArgs),
    /// Give a key back the value that it had at an earlier revision
    Revert(RevertArgs),
    /// Delete a key; what the bucket keeps of its history stays
    #[command(visible_alias = "rm")]
    Del(RemoveArgs),
    /// Delete a key and its history
    Purge(RemoveArgs),
    /// Show what is kept of a key's past, oldest first
    History(HistoryArgs),
    /// Show changes as they come, until Ctrl-C
    Watch(WatchArgs),
    /// Look for what is set dangerously, and say how to fix it
    Doctor(DoctorArgs),
    /// Write a bucket as lines of JSON
    Export(ExportArgs),
    /// Read such lines into a bucket
    Import(ImportArgs),
    /// See who holds locks and who waits, run a command under a lock, break one
    #[command(subcommand)]
    Lock(LockCommand),
    /// Print what a shell needs to complete commands, buckets and keys
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them
    Man(ManArgs),
    /// Run a query over values on standard input: how this program calls itself.
    #[command(hide = true)]
    QueryValues(QueryValuesArgs),
    /// A bucket, and perhaps a key: the words of `open` without the word itself.
    #[command(external_subcommand)]
    External(Vec<OsString>),
}

/// Where to open the console.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The bucket
    pub bucket: String,
    /// The key in it
    pub key: Option<String>,
}

/// What the demo takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Use this file and keep it, instead of a temporary one
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Which keys to list, and how.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// The bucket
    pub bucket: Option<String>,
    /// Only keys that match: * stands for one token between dots, > for the rest
    pub filter: Option<String>,
    /// Only keys for whose value this query, in the language of jq, gives something true
    #[arg(long, value_name = "QUERY", conflicts_with = "all")]
    pub query: Option<String>,
    /// Print the keys alone
    #[arg(short, long, conflicts_with = "json")]
    pub names: bool,
    /// Also keys that are gone and left a marker
    #[arg(short, long)]
    pub all: bool,
}

/// Which entry to get, and how.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The bucket
    pub bucket: String,
    /// The key
    pub key: String,
    /// The entry at this revision, instead of the newest
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// Print what this query, in the language of jq, gives for the value; with --json, an object for
    /// each result
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,
    /// Exactly the value's bytes, even on a terminal; of a query, strings without quotes
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
}

/// What to write.
#[derive(Debug, Args)]
pub struct PutArgs {
    /// The bucket
    pub bucket: String,
    /// The key
    pub key: String,
    /// The value; @FILE for a file's content, - or nothing for standard input
    #[arg(allow_negative_numbers = true)]
    pub value: Option<OsString>,
    /// How to take the value.
    #[command(flatten)]
    pub options: ValueOptions,
}

/// What to write over which revision.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The bucket
    pub bucket: String,
    /// The key
    pub key: String,
    /// The value; @FILE for a file's content, - for standard input
    #[arg(allow_negative_numbers = true)]
    pub value: OsString,
    /// The revision that the key must be at; 0 if it must not exist
    pub revision: u64,
    /// How to take the value.
    #[command(flatten)]
    pub options: ValueOptions,
}

/// How to take a value.
#[derive(Debug, Args)]
pub struct ValueOptions {
    /// Take VALUE as it stands, even if it is - or begins with @
    #[arg(long)]
    pub literal: bool,
    /// Let the store drop the value after this time, in whole seconds
    #[arg(long, value_name = "TIME", value_parser = entry_ttl)]
    pub ttl: Option<Duration>,
}

/// What to edit.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The bucket
    pub bucket: String,
    /// The key
    pub key: String,
    /// Make the key if it is not there
    #[arg(long)]
    pub create: bool,
    /// Edit the bytes in hexadecimal, whatever they are
    #[arg(long)]
    pub hex: bool,
}

/// What to give back.
#[derive(Debug, Args)]
pub struct RevertArgs {
    /// The bucket
    pub bucket: String,
    /// The key
    pub key: String,
    /// The revision whose value it is to have
    pub revision: u64,
    /// Don't ask first
    #[arg(short, long)]
    pub force: bool,
}

/// What to remove.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The bucket
    pub bucket: String,
    /// The key
    pub key: String,
    /// Only if the key is at this revision
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// Don't ask first
    #[arg(short, long)]
    pub force: bool,
}

/// Whose past to show.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The bucket
    pub bucket: String,
    /// The key
    pub key: String,
    /// What to do with secrets.
    #[command(flatten)]
    pub secrets: SecretArgs,
}

/// What to do with secrets in lines that people read.
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// Show secrets, which are masked otherwise; --json masks nothing
    #[arg(long)]
    pub reveal: bool,
}

/// What to watch, and from where.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The bucket
    pub bucket: String,
    /// Only keys that match: * stands for one token between dots, > for the rest
    pub filter: Option<String>,
    /// Begin with every entry that is kept, instead of the newest of each key
    #[arg(long, conflicts_with_all = ["updates", "revision"])]
    pub history: bool,
    /// Only what is written from now on
    #[arg(long, visible_alias = "updates-only", conflicts_with = "revision")]
    pub updates: bool,
    /// Begin at this revision
    #[arg(long, visible_alias = "from", value_name = "N")]
    pub revision: Option<u64>,
    /// Leave out deletions
    #[arg(long)]
    pub no_deletes: bool,
    /// What to do with secrets.
    #[command(flatten)]
    pub secrets: SecretArgs,
}

impl Cli {
    /// The command line, the program's name first.
    ///
    /// A first word that is no command opens the console: `kvscope BUCKET KEY` is read as
    /// `kvscope open BUCKET KEY`, so that flags may follow, and a key may be called `ls`.
    ///
    /// # Errors
    /// Faults in the command line, and requests for help or the version.
    pub fn read(mut arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let parse = |arguments: &[OsString]| {
            let matches = Self::grammar().try_get_matches_from(arguments)?;
            Self::from_arg_matches(&matches)
        };
        let cli = parse(&arguments)?;
        let Some(Command::External(words)) = &cli.command else {
            return Ok(cli);
        };
        let before = arguments.len().saturating_sub(words.len());
        arguments.insert(before, "open".into());
        parse(&arguments)
    }

    /// The whole grammar, with an example or two for each command.
    pub(super) fn grammar() -> clap::Command {
        examples::added_to(Self::command())
    }
}

/// How long an entry can be let live: a store counts in whole seconds.
fn entry_ttl(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(time) if time.is_zero() || time.subsec_nanos() > 0 => {
            Err("it is not a number of whole seconds, from 1 on".to_owned())
        }
        Ok(time) => Ok(time),
        Err(error) => Err(error.to_string()),
    }
}

/// A time such as `90s` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Cli, clap::Error> {
        let words = words.split_whitespace().map(OsString::from);
        Cli::read(std::iter::once("kvscope".into()).chain(words).collect())
    }

    fn opened(words: &str) -> (String, Option<String>) {
        match read(words).unwrap().command {
            Some(Command::Open(open)) => (open.bucket, open.key),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_grammar_is_whole() {
        Cli::grammar().debug_assert();
    }

    #[test]
    fn a_word_that_is_no_command_is_a_bucket() {
        assert!(read("").unwrap().command.is_none());
        assert_eq!(opened("config"), ("config".to_owned(), None));
        assert_eq!(
            opened("config ls"),
            ("config".to_owned(), Some("ls".to_owned()))
        );
        assert_eq!(opened("open ls"), ("ls".to_owned(), None));
        assert_eq!(
            opened("open ls get"),
            ("ls".to_owned(), Some("get".to_owned()))
        );
        assert!(read("config a b").is_err());
    }

    #[test]
    fn flags_stand_before_and_after() {
        for words in [
            "--local x.db --json config app",
            "config app --json --local x.db",
            "--json config --local x.db app",
        ] {
            let cli = read(words).unwrap();
            assert!(cli.global.json, "{words}");
            assert_eq!(cli.global.connection.local, Some("x.db".into()), "{words}");
            assert!(matches!(cli.command, Some(Command::Open(_))), "{words}");
        }
        let cli = read("--local x.db ls config --json").unwrap();
        assert!(cli.global.json && matches!(cli.command, Some(Command::Ls(_))));
    }

    #[test]
    fn values_that_look_like_flags() {
        let Some(Command::Put(put)) = read("put b k -5").unwrap().command else {
            panic!()
        };
        assert_eq!(put.value, Some("-5".into()));
        let Some(Command::Put(put)) = read("put b k -").unwrap().command else {
            panic!()
        };
        assert_eq!(put.value, Some("-".into()));
        let Some(Command::Update(update)) = read("update b k -1.5 7").unwrap().command else {
            panic!()
        };
        assert_eq!((update.value, update.revision), ("-1.5".into(), 7));
    }

    #[test]
    fn times() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
    }

    #[test]
    fn usage_is_two() {
        for words in [
            "get",
            "get b",
            "update b k v",
            "put b k v --nonsense",
            "bucket frobnicate",
        ] {
            assert_eq!(read(words).unwrap_err().exit_code(), 2, "{words}");
        }
        assert_eq!(read("--help").unwrap_err().exit_code(), 0);
    }
}
