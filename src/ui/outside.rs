//! The user's own editor: a text goes out in a file, and comes back.

use std::io::{self, Write as _};

use tokio::process::Command;

use crate::config::Environment;

/// Why another editor made nothing of a text.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutsideError {
    /// The file could not be written or read.
    #[error("the text can't be handed out: {0}")]
    File(#[from] io::Error),
    /// It could not be started.
    #[error("{editor} can't be started: {error}; $VISUAL or $EDITOR names the editor to take")]
    Start {
        /// The editor.
        editor: String,
        /// Why.
        error: io::Error,
    },
    /// It did not end well.
    #[error("{editor} ended with {status}: the text is as it was")]
    Status {
        /// The editor.
        editor: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// What it left is no text.
    #[error("what {editor} left is not UTF-8: the text is as it was")]
    NotText {
        /// The editor.
        editor: String,
    },
}

/// Lets `$VISUAL`, or else `$EDITOR`, or else `vi`, have a text, in a file of the user's alone whose
/// name ends with the suffix. Both variables may hold arguments. Whoever calls has given the
/// terminal back.
///
/// Dropping the future leaves the editor running, and takes the file away from it.
///
/// # Errors
/// See [`OutsideError`]; the text is then as it was.
pub(super) async fn edit(text: &str, suffix: &str) -> Result<String, OutsideError> {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| Environment::Process.get(name))
        .unwrap_or_else(|| "vi".to_owned());
    // Editors end a file with a line break; a text without one gets one for that time.
    let ends_in_line = text.is_empty() || text.ends_with('\n');
    let mut file = tempfile::Builder::new()
        .prefix("kvscope-")
        .suffix(suffix)
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    if !ends_in_line {
        file.write_all(b"\n")?;
    }
    file.flush()?;
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("kvscope")
        .arg(file.path())
        .status()
        .await;
    match status {
        Err(error) => return Err(OutsideError::Start { editor, error }),
        Ok(status) if !status.success() => return Err(OutsideError::Status { editor, status }),
        Ok(_) => {}
    }
    // By its name: many editors write another file and give it this name.
    let left = std::fs::read(file.path())?;
    let mut left = String::from_utf8(left).map_err(|_| OutsideError::NotText { editor })?;
    if !ends_in_line && left.ends_with('\n') {
        left.pop();
    }
    Ok(left)
}
