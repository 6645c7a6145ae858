//! How long a command waits for what a watch tells before it gives up.

use std::time::Duration;

use tokio::time::Instant;

use crate::kv::{Error, Revision, Watch, WatchEvent};

/// How long to wait for the next entries of a watch that goes on.
const QUIET: Duration = Duration::from_secs(60);

/// Waits for what a watch tells: long while it goes on, and while it is interrupted no longer than
/// one waits for an answer. That it goes on for a moment and is interrupted again without having
/// told anything new is no end of an interruption.
#[derive(Debug)]
pub(super) struct Patience {
    what: String,
    timeout: Duration,
    newest: Revision,
    /// Since when it is interrupted, or was without telling anything new since.
    interrupted: Option<Instant>,
    goes_on: bool,
}

impl Patience {
    /// For `what` is done with the watch, in words; `timeout` is how long one waits for an answer.
    pub(super) fn new(what: String, timeout: Duration) -> Self {
        Self {
            what,
            timeout,
            newest: Revision::ABSENT,
            interrupted: None,
            goes_on: true,
        }
    }

    /// What the watch tells next.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when it took too long, [`Error::Closed`] when nothing more comes.
    pub(super) async fn next_batch(&mut self, watch: &Watch) -> Result<Vec<WatchEvent>, Error> {
        let (since, limit) = match self.interrupted {
            Some(since) if !self.goes_on => (since, self.timeout),
            _ => (Instant::now(), QUIET),
        };
        let batch = tokio::time::timeout_at(since + limit, watch.next_batch()).await;
        let events = batch.map_err(|_| Error::NoAnswer {
            what: self.what.clone(),
            after: limit,
        })?;
        let events = events.ok_or(Error::Closed)?;
        for event in &events {
            self.heard(event);
        }
        Ok(events)
    }

    fn heard(&mut self, event: &WatchEvent) {
        match event {
            WatchEvent::Entry(entry) if entry.revision > self.newest => {
                self.newest = entry.revision;
                self.interrupted = None;
            }
            WatchEvent::Entry(_) | WatchEvent::Ready => {}
            WatchEvent::Interrupted { .. } => {
                self.goes_on = false;
                self.interrupted.get_or_insert_with(Instant::now);
            }
            WatchEvent::Resumed { .. } => self.goes_on = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Interruption, watch_channel};

    fn interrupted() -> WatchEvent {
        let cause = Interruption::Disconnected;
        WatchEvent::Interrupted { cause }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_only_comes_and_goes_is_given_up() {
        let (sender, watch) = watch_channel();
        let mut patience = Patience::new("listing".to_owned(), Duration::from_secs(5));
        let begun = Instant::now();
        let flapping = async {
            loop {
                sender.send(interrupted());
                tokio::time::sleep(Duration::from_secs(1)).await;
                sender.send(WatchEvent::Resumed { gap: true });
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let listening = async {
            loop {
                if let Err(error) = patience.next_batch(&watch).await {
                    return error;
                }
            }
        };
        let error = tokio::select! {
            error = listening => error,
            () = flapping => unreachable!(),
        };
        assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_has_longer_than_one_that_is_interrupted() {
        let (sender, watch) = watch_channel();
        let mut patience = Patience::new("listing".to_owned(), Duration::from_secs(5));
        sender.send(interrupted());
        sender.send(WatchEvent::Resumed { gap: false });
        patience.next_batch(&watch).await.unwrap();
        let begun = Instant::now();
        patience.next_batch(&watch).await.unwrap_err();
        assert_eq!(begun.elapsed(), QUIET);
        sender.send(interrupted());
        patience.next_batch(&watch).await.unwrap();
        patience.next_batch(&watch).await.unwrap_err();
        assert_eq!(begun.elapsed(), QUIET);
    }
}
