//! The command line: its grammar, and a file for each family of commands.
//!
//! A command reads and writes through [`crate::kv`] and speaks through `output::Output`, the one
//! way to standard output. Every failure ends in [`CliError`], which knows its exit code
//! and what to tell a person.

mod args;
mod bucket;
mod choose;
mod completion;
mod connection;
mod console;
mod demo;
mod doctor;
mod edit;
mod error;
mod keys;
mod lock;
mod man;
mod output;
mod patience;
mod preview;
mod record;
mod revert;
mod table;
mod text;
mod transfer;
mod value;
mod watch;
mod write;

pub use args::{Cli, Command};
pub use completion::complete_if_asked;
pub use demo::{Demo, start as start_demo};
pub use error::CliError;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use args::LockCommand;
use connection::Connection;
use output::Output;

use crate::config::Environment;

/// Runs one command line to its end, tells what went wrong, and gives the exit code.
pub async fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::read(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come here too.
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            return match printed.map_err(CliError::from) {
                Ok(()) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
                Err(error) => {
                    error.tell(PROGRAM);
                    error.exit_code()
                }
            };
        }
    };
    let mut output = Output::new(cli.global.json);
    // It is as large as the largest command's state.
    let result = match Box::pin(dispatch(cli, &mut output)).await {
        Ok(code) => output.flush().map(|()| code).map_err(Failure::from),
        Err(failure) => {
            // What went wrong first is what is told, also where nothing more can be written.
            let _ = output.ending(&failure.error).and_then(|()| output.flush());
            Err(failure)
        }
    };
    match result {
        Ok(code) => code,
        Err(Failure { error, program }) => {
            error.tell(&program);
            error.exit_code()
        }
    }
}

/// How this program is called where nothing has to be said of the place.
const PROGRAM: &str = "kvscope";

/// What went wrong, and how the program is called to come to the place where it did.
struct Failure {
    error: CliError,
    program: String,
}

impl<E: Into<CliError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            program: PROGRAM.to_owned(),
        }
    }
}

async fn dispatch(cli: Cli, output: &mut Output) -> Result<ExitCode, Failure> {
    if let Some(Command::Lock(LockCommand::Exec(args))) = cli.command {
        return Ok(lock::become_command(args));
    }
    if let Some(Command::Lock(LockCommand::Supervise(args))) = cli.command {
        return Ok(lock::supervise(args).await?);
    }
    if let Some(Command::QueryValues(args)) = cli.command {
        crate::query::serve(&args.query, args.texts)?;
        return Ok(ExitCode::SUCCESS);
    }
    match cli.command {
        Some(Command::Completions(args)) => {
            completion::register(args.shell, output)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Man(args)) => {
            man::run(&args, output)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let connection = Connection::new(&cli.global, Environment::Process)?;
    let result = run_command(&connection, cli.command, output).await;
    connection.close().await;
    result.map_err(|error| Failure {
        error,
        program: connection.program(),
    })
}

async fn run_command(
    connection: &Connection,
    command: Option<Command>,
    output: &mut Output,
) -> Result<ExitCode, CliError> {
    let done = match command {
        None => console::open(connection, None, None),
        Some(Command::Open(open)) => console::open(connection, Some(open.bucket), open.key),
        Some(Command::Demo(args)) => demo::run(connection, args).await,
        Some(Command::Bucket(command)) => bucket::run(connection, *command, output).await,
        Some(Command::Ls(args)) => keys::list(connection, args, output).await,
        Some(Command::Get(args)) => keys::get(connection, args, output).await,
        Some(Command::History(args)) => keys::history(connection, args, output).await,
        Some(Command::Put(args)) => write::put(connection, args, output).await,
        Some(Command::Create(args)) => write::create(connection, args, output).await,
        Some(Command::Update(args)) => write::update(connection, args, output).await,
        Some(Command::Edit(args)) => edit::run(connection, args, output).await,
        Some(Command::Revert(args)) => revert::run(connection, args, output).await,
        Some(Command::Del(args)) => write::delete(connection, args, output).await,
        Some(Command::Purge(args)) => write::purge(connection, args, output).await,
        Some(Command::Watch(args)) => watch::run(connection, args, output).await,
        Some(Command::Doctor(args)) => return doctor::run(connection, args, output).await,
        Some(Command::Export(args)) => transfer::export(connection, args, output).await,
        Some(Command::Import(args)) => transfer::import(connection, args, output).await,
        Some(Command::Lock(LockCommand::Run(args))) => {
            return lock::command(connection, args).await;
        }
        Some(Command::Lock(command)) => lock::run(connection, command, output).await,
        Some(
            Command::Completions(_)
            | Command::Man(_)
            | Command::QueryValues(_)
            | Command::External(_),
        ) => Err(CliError::Usage(
            "give a command, or a bucket to open".to_owned(),
        )),
    };
    done.map(|()| ExitCode::SUCCESS)
}
