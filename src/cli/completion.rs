//! Completing command lines: the shell asks this program, which alone knows the buckets and keys.
//!
//! Nothing is ever told where something goes wrong: a shell that completes nothing is better than
//! one that prints errors between the words.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{ArgMatches, Command, FromArgMatches as _};
use clap_complete::engine::ValueCompleter as _;
use clap_complete::env::Shells;
use clap_complete::{ArgValueCompleter, CompleteEnv, CompletionCandidate, PathCompleter};

use crate::config::{Contexts, Environment};
use crate::kv::lock::{KEY_PREFIX, resource_of};
use crate::kv::{Filter, Store, WatchEvent, WatchOptions};

use super::args::{Cli, Global, Shell};
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;

/// How long a shell waits at most.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The most names that are offered.
const NAMES: usize = 500;
/// Where the engine looks for the shell that asks.
const VARIABLE: &str = "KVSCOPE_COMPLETE";
/// For bash, which takes words apart in a way that the engine's own script does not know.
const BASH: &str = include_str!("../../assets/completions/kvscope.bash");
/// What the engine's script for zsh lacks.
const ZSH_END: &str = include_str!("../../assets/completions/_kvscope");
/// What is in names beside letters and digits. A name with anything else could be a command to a shell
/// that takes it as it stands.
const HARMLESS: &str = "-_./=@+,:%";

/// Answers a shell that asks how a command line goes on, and ends the process; otherwise it does
/// nothing.
pub fn complete_if_asked() {
    if std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty()) {
        CompleteEnv::with_factory(grammar).var(VARIABLE).complete();
    }
}

/// Prints what a shell needs to ask.
pub(super) fn register(shell: Shell, output: &mut Output) -> Result<(), CliError> {
    if matches!(shell, Shell::Bash) {
        return output.bytes(BASH.as_bytes());
    }
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(shell.as_str()) else {
        return Err(CliError::Usage("this shell is not known".to_owned()));
    };
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "kvscope", "kvscope", "kvscope", &mut script)?;
    output.bytes(&script)?;
    match shell {
        Shell::Zsh => output.bytes(ZSH_END.as_bytes()),
        Shell::Bash | Shell::Fish => Ok(()),
    }
}

/// The grammar, with the arguments that name things which only a store knows.
fn grammar() -> Command {
    with_names(Cli::grammar())
}

fn with_names(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let completer = match argument.get_id().as_str() {
            "bucket" => ArgValueCompleter::new(|current: &OsStr| named(current, buckets)),
            "resource" => ArgValueCompleter::new(|current: &OsStr| named(current, resources)),
            "value" => ArgValueCompleter::new(files),
            "key" | "filter" => ArgValueCompleter::new(|current: &OsStr| named(current, keys)),
            "context" | "system_context" => {
                ArgValueCompleter::new(|current: &OsStr| named(current, contexts))
            }
            _ => return argument,
        };
        argument.add(completer)
    });
    command.mut_subcommands(with_names)
}

/// What the words of the command line say so far.
struct Asked {
    connection: Connection,
    bucket: Option<String>,
}

/// The names that begin with what is typed.
fn named<F>(current: &OsStr, names: impl FnOnce(Asked, String) -> F) -> Vec<CompletionCandidate>
where
    F: Future<Output = Option<Vec<String>>>,
{
    let Some(typed) = current.to_str() else {
        return Vec::new();
    };
    let Some(asked) = asked() else {
        return Vec::new();
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let names = async { tokio::time::timeout(PATIENCE, names(asked, typed.to_owned())).await };
    let found = runtime.block_on(names);
    let found = found.ok().flatten().unwrap_or_default();
    let mut found: Vec<String> = found
        .into_iter()
        .filter(|name| name.starts_with(typed) && name.chars().all(is_harmless))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(CompletionCandidate::new).collect()
}

fn is_harmless(c: char) -> bool {
    c.is_ascii_alphanumeric() || HARMLESS.contains(c)
}

/// Files whose content is to be the value: behind an @.
fn files(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(path) = current.to_str().and_then(|typed| typed.strip_prefix('@')) else {
        return Vec::new();
    };
    let files = PathCompleter::any().complete(path.as_ref()).into_iter();
    files.map(|file| file.add_prefix("@")).collect()
}

/// Reads the words that the shell hands over, as far as they make sense.
fn asked() -> Option<Asked> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let begin = words.iter().position(|word| word == "--")? + 1;
    let matches = Cli::grammar()
        .ignore_errors(true)
        .try_get_matches_from(&words[begin..])
        .ok()?;
    let global = Global::from_arg_matches(deepest(&matches)).ok()?;
    let connection = Connection::new(&global, Environment::Process).ok()?;
    let bucket = deepest(&matches).try_get_one::<String>("bucket");
    Some(Asked {
        connection,
        bucket: bucket.ok().flatten().cloned(),
    })
}

fn deepest(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, below)) => deepest(below),
        None => matches,
    }
}

async fn contexts(_: Asked, _: String) -> Option<Vec<String>> {
    Some(Contexts::of_user(Environment::Process).names())
}

async fn buckets(asked: Asked, _: String) -> Option<Vec<String>> {
    let backend = asked.connection.backend().await.ok()?;
    let infos = backend.buckets().await.ok()?;
    Some(
        infos
            .iter()
            .map(|info| info.config.name.to_string())
            .collect(),
    )
}

/// Keys, by what stands before their last dot: the store looks for no others.
async fn keys(asked: Asked, typed: String) -> Option<Vec<String>> {
    let filter = match typed.rsplit_once('.') {
        Some((before, _)) => Filter::new(format!("{before}.>")).ok()?,
        None => Filter::all(),
    };
    live(asked, filter, |key| key.starts_with(&typed)).await
}

/// What is or was locked.
async fn resources(asked: Asked, typed: String) -> Option<Vec<String>> {
    let is_wanted =
        |key: &str| resource_of(key).is_some_and(|resource| resource.starts_with(&typed));
    let keys = live(
        asked,
        Filter::new(format!("{KEY_PREFIX}>")).ok()?,
        is_wanted,
    )
    .await?;
    Some(keys.iter().filter_map(|key| resource_of(key)).collect())
}

/// The keys that are there and wanted, as many as are offered.
async fn live(
    asked: Asked,
    filter: Filter,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<Vec<String>> {
    let backend = asked.connection.backend().await.ok()?;
    let store = Store::open(&*backend, &asked.bucket?).await.ok()?;
    let options = WatchOptions::new(filter).without_values();
    let watch = store.watch(options).await.ok()?;
    let mut names = Vec::new();
    while let Some(event) = watch.next().await {
        match event {
            WatchEvent::Entry(entry) if entry.is_marker() => {
                names.retain(|name| *name != *entry.key.as_str());
            }
            WatchEvent::Entry(entry) if is_wanted(entry.key.as_str()) => {
                names.push(entry.key.as_str().to_owned());
            }
            WatchEvent::Ready => break,
            _ => {}
        }
        if names.len() >= NAMES {
            break;
        }
    }
    drop(watch);
    asked.connection.close().await;
    Some(names)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_grammar_stays_whole() {
        super::grammar().debug_assert();
    }
}
