//! Asking the person at the terminal. Where there is none, every answer is no.

use std::io::{self, IsTerminal as _, Write as _};

use super::super::error::CliError;
use super::super::text::sentence;
use crate::kv::Key;

/// The person at the terminal, or nobody.
#[derive(Debug)]
pub(super) struct Terminal {
    is_there: bool,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self {
            is_there: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Tells something, if somebody is there. What goes wrong in the end is told anyway.
    pub(super) fn tell(&self, text: &str) {
        if self.is_there {
            tell(text);
        }
    }

    /// Asks a question until it is answered with one of the letters. `None`: nobody is there, or the
    /// input has ended.
    pub(super) fn choose(&self, question: &str, letters: &str) -> Result<Option<char>, CliError> {
        if !self.is_there {
            return Ok(None);
        }
        loop {
            let mut stderr = io::stderr();
            write!(stderr, "{}: ", sentence(question))?;
            stderr.flush()?;
            let mut answer = String::new();
            if io::stdin().read_line(&mut answer)? == 0 {
                return Ok(None);
            }
            let mut answer = answer.trim().chars();
            match (answer.next(), answer.next()) {
                (Some(letter), None) if letters.contains(letter) => return Ok(Some(letter)),
                _ => {}
            }
        }
    }

    /// Asks for a yes.
    pub(super) fn agrees(&self, question: &str) -> Result<bool, CliError> {
        Ok(self.choose(&format!("{question} y or n"), "yn")? == Some('y'))
    }

    /// Asks whether to edit again what can't be saved at all.
    ///
    /// # Errors
    /// Nobody is there to do so.
    pub(super) fn wants_to_edit_again(&self, why: &str, key: &Key) -> Result<bool, CliError> {
        match self.choose("e edit again, q leave", "eq")? {
            Some(letter) => Ok(letter == 'e'),
            None => Err(CliError::Unfit {
                key: key.clone(),
                why: why.to_owned(),
            }),
        }
    }
}

/// Tells something on the terminal, in lines, if somebody is there.
pub(in crate::cli) fn tell(text: &str) {
    if !io::stderr().is_terminal() {
        return;
    }
    for line in text.lines() {
        // Where standard error is gone there is nobody to tell.
        let _ = writeln!(io::stderr(), "{}", sentence(line));
    }
}
