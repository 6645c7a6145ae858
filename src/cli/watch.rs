//! `watch`: changes as they come.

use std::io::Write as _;

use time::OffsetDateTime;

use crate::kv::{Entry, Error, Filter, Revision, WatchEvent, WatchFrom, WatchOptions};
use crate::ui::text::visible;

use super::args::WatchArgs;
use super::connection::Connection;
use super::error::CliError;
#[cfg(unix)]
use super::lock::ignored;
use super::output::Output;
use super::preview::Preview;
use super::record::EntryRecord;
use super::text::clipped;

/// Runs until it is interrupted, which is a good end: Ctrl-C is how a watch is meant to stop.
pub(super) async fn run(
    connection: &Connection,
    args: WatchArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let filter = match &args.filter {
        Some(pattern) => Filter::new(pattern).map_err(Error::from)?,
        None => Filter::all(),
    };
    let from = match args.revision {
        Some(revision) => WatchFrom::Revision(Revision(revision)),
        None if args.history => WatchFrom::History,
        None if args.updates => WatchFrom::Now,
        None => WatchFrom::Newest,
    };
    let interrupted = interruption()?;
    tokio::pin!(interrupted);
    let follow = follow(
        connection,
        &args,
        WatchOptions::new(filter).from(from),
        output,
    );
    tokio::select! {
        biased;
        () = &mut interrupted => Ok(()),
        () = reader_gone() => Ok(()),
        ended = follow => ended,
    }
}

async fn follow(
    connection: &Connection,
    args: &WatchArgs,
    options: WatchOptions,
    output: &mut Output,
) -> Result<(), CliError> {
    // Kept for as long as the watch runs.
    let backend = connection.backend().await?;
    let store = crate::kv::Store::open(&*backend, &args.bucket).await?;
    let watch = store.watch(options).await?;
    let preview = Preview::new(connection.masks(), args.secrets.reveal);
    while let Some(events) = watch.next_batch().await {
        for event in events {
            match event {
                WatchEvent::Entry(entry) if entry.is_marker() && args.no_deletes => {}
                WatchEvent::Entry(entry) => show(&args.bucket, &entry, &preview, output)?,
                WatchEvent::Ready => {}
                WatchEvent::Interrupted { cause } => {
                    output.flush()?;
                    note(&format!(
                        "interrupted: {cause}; what was shown may be out of date"
                    ));
                }
                WatchEvent::Resumed { gap: false } => {
                    output.flush()?;
                    note("resumed; nothing was missed");
                }
                WatchEvent::Resumed { gap: true } => {
                    output.flush()?;
                    note(if args.updates {
                        "resumed after a gap; some changes may be missing"
                    } else {
                        "resumed after a gap; everything that is there now comes again"
                    });
                }
            }
        }
        output.flush()?;
    }
    Err(Error::Closed.into())
}

fn show(
    bucket: &str,
    entry: &Entry,
    preview: &Preview,
    output: &mut Output,
) -> Result<(), CliError> {
    if output.is_json() {
        return output.record(&EntryRecord::new(bucket, entry));
    }
    let columns = output.columns();
    let line = format!(
        "{}  {:<6}  {:>8}  {}  {}",
        clock(entry.created),
        entry.operation.as_str(),
        entry.revision.0,
        visible(entry.key.as_str()),
        preview.of(entry, columns),
    );
    let line = line.trim_end();
    match columns {
        Some(columns) => output.line(&clipped(line, columns)),
        None => output.line(line),
    }
}

/// The time to the second, in UTC.
fn clock(time: OffsetDateTime) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let utc = time.to_offset(time::UtcOffset::UTC);
    utc.format(&format).unwrap_or_else(|_| utc.to_string())
}

/// Tells something beside the output.
pub(super) fn note(text: &str) {
    // Where there is no standard error, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "kvscope: {}", visible(text));
}

/// Ends when nobody reads standard output any more, which a write would notice only when there is
/// something to write.
fn reader_gone() -> impl Future<Output = ()> {
    let (tell, told) = tokio::sync::oneshot::channel();
    #[cfg(unix)]
    {
        let waiting = std::thread::Builder::new().name("reader".to_owned());
        // Without the thread nothing is told.
        let _ = waiting.spawn(move || {
            use rustix::event::{PollFd, PollFlags, poll};
            let stdout = std::io::stdout();
            loop {
                let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
                match poll(&mut watched, None) {
                    Err(rustix::io::Errno::INTR) => {}
                    Ok(_)
                        if watched[0]
                            .revents()
                            .intersects(PollFlags::ERR | PollFlags::HUP) =>
                    {
                        let _ = tell.send(());
                        return;
                    }
                    Ok(_) | Err(_) => return,
                }
            }
        });
    }
    #[cfg(not(unix))]
    drop(tell);
    async move {
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Ends when somebody wants this process to stop.
pub(super) fn interruption() -> Result<impl Future<Output = ()>, CliError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let hangup = SignalKind::hangup();
        // `nohup` starts a program that is to outlive its terminal.
        let is_ignored = ignored() >> (hangup.as_raw_value() - 1) & 1 == 1;
        let mut hangup = (!is_ignored).then(|| signal(hangup)).transpose()?;
        Ok(async move {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hung_up => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            // Without a handler the default applies, which ends the process as well.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
