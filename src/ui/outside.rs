//! The user's own editor: a text goes out in a file, and comes back.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::process::{Child, Command};

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

/// How long an editor may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(1);

/// Lets `$VISUAL`, or else `$EDITOR`, or else `vi`, have a text, in a file of the user's alone whose
/// name ends with the suffix. Both variables may hold arguments. Whoever calls has given the
/// terminal back.
///
/// When `ended` comes to an end before the editor does, the editor is ended, and what it has saved
/// until then is the answer.
///
/// Dropping the future leaves the editor running, and takes the file away from it.
///
/// # Errors
/// See [`OutsideError`]; the text is then as it was.
pub(super) async fn edit(
    text: &str,
    suffix: &str,
    ended: impl Future<Output = ()>,
) -> Result<String, OutsideError> {
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
    let child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("kvscope")
        .arg(file.path())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Err(OutsideError::Start { editor, error }),
    };
    tokio::select! {
        biased;
        () = ended => end(&mut child).await,
        status = child.wait() => match status {
            Err(error) => return Err(OutsideError::Start { editor, error }),
            Ok(status) if !status.success() => return Err(OutsideError::Status { editor, status }),
            Ok(_) => {}
        },
    }
    // By its name: many editors write another file and give it this name.
    let left = std::fs::read(file.path())?;
    let mut left = String::from_utf8(left).map_err(|_| OutsideError::NotText { editor })?;
    if !ends_in_line && left.ends_with('\n') {
        left.pop();
    }
    Ok(left)
}

/// Tells an editor to end, and ends it if it does not.
async fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process};
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(id, Signal::TERM);
        }
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        // The same.
        let _ = child.kill().await;
    }
}
