//! The user's editor on the command line, where a Ctrl-C is for whoever has the terminal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::error::CliError;
use crate::edit::{Form, Masking, Source};
use crate::ui::outside::{Outside, OutsideError};

/// The user's editor, with a file for it.
#[derive(Debug)]
pub(super) struct Editor {
    outside: Outside,
    /// Whether a Ctrl-C is for us: while the editor has the terminal, it is for the editor.
    ours_to_die: Arc<AtomicBool>,
}

impl Editor {
    /// An editor for the value of a key.
    pub(super) fn new(key: &str, source: &Source, masking: &Masking) -> Result<Self, CliError> {
        let extension = match source.form() {
            Form::Json(_) => "json",
            Form::Text => "txt",
            Form::Hex => "hex",
        };
        let is_secret = masking.finds_any(source.stored());
        let ours_to_die = Arc::new(AtomicBool::new(true));
        #[cfg(unix)]
        signal_hook::flag::register_conditional_default(
            signal_hook::consts::SIGINT,
            Arc::clone(&ours_to_die),
        )?;
        Ok(Self {
            outside: Outside::new(key, extension, is_secret)?,
            ours_to_die,
        })
    }

    /// Lets the user edit a text, and gives back what came of it.
    ///
    /// # Errors
    /// The editor did not end well. What it left in the file is not looked at.
    pub(super) async fn edit(&self, text: &str) -> Result<String, CliError> {
        self.with_terminal(self.outside.edit(text)).await
    }

    /// Lets the user edit a part of a value.
    pub(super) async fn edit_part(&self, text: &str) -> Result<String, CliError> {
        self.with_terminal(self.outside.edit_part(text)).await
    }

    async fn with_terminal(
        &self,
        edits: impl Future<Output = Result<String, OutsideError>>,
    ) -> Result<String, CliError> {
        self.ours_to_die.store(false, Ordering::Relaxed);
        let edited = edits.await;
        self.ours_to_die.store(true, Ordering::Relaxed);
        Ok(edited?)
    }

    /// What the editor left in its file, if that is a text and another one than this. To be asked
    /// when it did not end well.
    pub(super) fn left(&self, text: &str) -> Option<String> {
        self.outside.left(text)
    }

    /// Leaves a text in the file, and says where that is. A file that is no text stays as it is.
    pub(super) fn leave(self, text: &str) -> Result<PathBuf, CliError> {
        Ok(self.outside.leave(text)?)
    }
}
