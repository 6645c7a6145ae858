//! The `kvscope` program: a runtime around the command line, and the log.

use std::process::ExitCode;
use std::sync::Mutex;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A million keys are millions of small allocations, made by one thread and freed by another. With
/// this allocator loading them takes a fifth less time and memory than with glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(report) => {
            eprintln!("kvscope: {report:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> color_eyre::Result<ExitCode> {
    color_eyre::install()?;
    kvscope::cli::complete_if_asked();
    log_where_asked()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    {
        let _inside = runtime.enter();
        outlive_file_limits()?;
    }
    let code = runtime.block_on(kvscope::cli::run(std::env::args_os().collect()));
    // A read of standard input may still hang; nobody waits for it any more.
    runtime.shutdown_background();
    Ok(code)
}

/// Makes a write beyond `ulimit -f` fail, so that it can be told, instead of ending the program.
/// The handler stays for good, though nobody listens to it.
#[cfg(unix)]
fn outlive_file_limits() -> std::io::Result<()> {
    use rustix::process::Signal;
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

/// Nothing to do: there are no such limits.
#[cfg(not(unix))]
fn outlive_file_limits() -> std::io::Result<()> {
    Ok(())
}

/// Writes a log to the file that `KVSCOPE_LOG` names, if it names one.
fn log_where_asked() -> color_eyre::Result<()> {
    let Some(path) = std::env::var_os("KVSCOPE_LOG").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path);
    let file = file.map_err(|error| {
        color_eyre::eyre::eyre!("the log {} can't be written: {error}", path.display())
    })?;
    // Only our own spans in detail: what libraries tell at that level may hold payloads.
    let targets = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("kvscope", LevelFilter::DEBUG);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Mutex::new(file));
    tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .init();
    Ok(())
}
