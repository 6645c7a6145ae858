//! How far a transfer is: a bar on the terminal, and nothing anywhere else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, if that is a terminal. Dropping it takes it away.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar for so many entries, where that is known.
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        // It hides itself where nobody looks.
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "{msg} {human_pos} of {human_len} {wide_bar} {per_sec}, {eta} left",
            None => "{msg} {human_pos} {spinner} {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.set_message(what);
        Self(bar)
    }

    /// So many more are done.
    pub(super) fn add(&self, entries: u64) {
        self.0.inc(entries);
    }

    /// Tells something beside the bar.
    pub(super) fn note(&self, text: &str) {
        self.0.suspend(|| crate::cli::watch::note(text));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
