//! How far a transfer is: a bar on the terminal, and nothing anywhere else.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};

/// How often it is drawn: also when nothing goes on, for then the rate falls.
const TICK: Duration = Duration::from_millis(200);

/// A bar on standard error, if that is a terminal. Dropping it takes it away.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar for so many entries, where that is known.
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let template = match total {
            Some(_) => "{msg} {human_pos} of {human_len} {wide_bar} {rate}{left}",
            None => "{msg} {human_pos} {spinner} {rate}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(
                style
                    .progress_chars("━━─")
                    .with_key("rate", rate)
                    .with_key("left", left),
            );
        }
        // It hides itself where nobody looks.
        if !bar.is_hidden() {
            bar.set_message(what);
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// So many more are done.
    pub(super) fn add(&self, entries: u64) {
        self.0.inc(entries);
    }

    /// So many are done since before: they count, but not for the rate.
    pub(super) fn skip(&self, entries: u64) {
        self.0.inc(entries);
        // It must have seen them before it forgets at which rate they came.
        match self.0.length() {
            Some(length) => self.0.set_length(length),
            None => self.0.unset_length(),
        }
        self.0.reset_eta();
    }

    /// Tells something beside the bar.
    pub(super) fn note(&self, text: &str) {
        self.0.suspend(|| crate::cli::watch::note(text));
    }

    /// Takes it away.
    pub(super) fn end(&self) {
        if !self.0.is_finished() {
            self.0.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// How many entries a second.
fn rate(state: &ProgressState, text: &mut dyn Write) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate of counts is as a count is"
    )]
    let rate = state.per_sec().round() as u64;
    // A bar can't complain.
    let _ = write!(text, "{}/s", HumanCount(rate));
}

/// How long it goes on, once there is a rate.
fn left(state: &ProgressState, text: &mut dyn Write) {
    if state.per_sec() >= 1.0 {
        let _ = write!(text, ", {:#} left", HumanDuration(state.eta()));
    }
}
