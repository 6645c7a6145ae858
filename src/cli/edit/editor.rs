//! The user's editor, and the file that it works on.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tokio::process::Command;

use super::super::error::CliError;
use crate::config::{Environment, state_folder};
use crate::edit::{Form, Masking, Source};

/// What is started where the user named nothing.
const USUAL: &str = "vi";

/// The user's editor, with a folder for its file that only the user can look into.
#[derive(Debug)]
pub(super) struct Editor {
    command: String,
    folder: TempDir,
    file: PathBuf,
    /// Whether a Ctrl-C is for us: while the editor has the terminal, it is for the editor.
    ours_to_die: Arc<AtomicBool>,
}

impl Editor {
    /// An editor for the value of a key. The file's name tells an editor what it is.
    pub(super) fn new(key: &str, source: &Source, masking: &Masking) -> Result<Self, CliError> {
        let mut variables = ["VISUAL", "EDITOR"].into_iter();
        let command = variables.find_map(|name| Environment::Process.get(name));
        let folder = private_folder(masking.finds_any(source.stored()))?;
        let extension = match source.form() {
            Form::Json(_) => "json",
            Form::Text => "txt",
            Form::Hex => "hex",
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name: String = key
            .chars()
            .map(|c| if plain(c) { c } else { '_' })
            .take(100)
            .collect();
        let ours_to_die = Arc::new(AtomicBool::new(true));
        #[cfg(unix)]
        signal_hook::flag::register_conditional_default(
            signal_hook::consts::SIGINT,
            Arc::clone(&ours_to_die),
        )?;
        Ok(Self {
            command: command.unwrap_or_else(|| USUAL.to_owned()),
            file: folder.path().join(format!("{name}.{extension}")),
            folder,
            ours_to_die,
        })
    }

    /// Lets the user edit a text, and gives back what came of it.
    ///
    /// Editors end a file with a line break; a text that has none gets one for as long as it is being
    /// edited.
    ///
    /// # Errors
    /// The editor did not end well. What it left in the file is not looked at.
    pub(super) async fn edit(&self, text: &str) -> Result<String, CliError> {
        self.edit_file(&self.file, text).await
    }

    /// Lets the user edit a part of a value.
    pub(super) async fn edit_part(&self, text: &str) -> Result<String, CliError> {
        let extension = self.file.extension().unwrap_or_default();
        let part = self.folder.path().join("part").with_extension(extension);
        let edited = self.edit_file(&part, text).await;
        let _ = std::fs::remove_file(&part);
        edited
    }

    async fn edit_file(&self, file: &Path, text: &str) -> Result<String, CliError> {
        let ends_in_line = text.is_empty() || text.ends_with('\n');
        let shown = if ends_in_line {
            text.to_owned()
        } else {
            format!("{text}\n")
        };
        write_private(file, &shown)?;
        self.start(file).await?;
        let edited = std::fs::read(file).map_err(|error| at(file, error))?;
        let mut edited = String::from_utf8(edited).map_err(|error| CliError::Editor {
            editor: self.command.clone(),
            how: format!("left what is no UTF-8 text: {error}"),
        })?;
        if !ends_in_line && edited.ends_with('\n') {
            edited.pop();
        }
        Ok(edited)
    }

    async fn start(&self, file: &Path) -> Result<(), CliError> {
        let failed = |how: String| CliError::Editor {
            editor: self.command.clone(),
            how,
        };
        self.ours_to_die.store(false, Ordering::Relaxed);
        // A shell takes the arguments and quotes in the variable apart, as it does for others that
        // honour it.
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("{} \"$@\"", self.command))
            .arg(&self.command)
            .arg(file)
            .stdout(output_for_people()?)
            .status()
            .await;
        self.ours_to_die.store(true, Ordering::Relaxed);
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("did not end well: {status}"))),
            Err(error) => Err(failed(format!("can't be started: {error}"))),
        }
    }

    /// What the editor left in its file, if that is a text. To be asked when it did not end well.
    pub(super) fn left(&self) -> Option<String> {
        std::fs::read_to_string(&self.file).ok()
    }

    /// Leaves a text in the file, and says where that is. A file that is no text stays as it is.
    pub(super) fn leave(self, text: &str) -> Result<PathBuf, CliError> {
        if self.left().is_some_and(|left| left != text) || !self.file.exists() {
            write_private(&self.file, text)?;
        }
        let _ = self.folder.keep();
        Ok(self.file)
    }
}

/// Where the editor's screen goes: to the terminal, also where our own output goes elsewhere, and
/// never into our own output.
fn output_for_people() -> io::Result<Stdio> {
    if io::stdout().is_terminal() {
        return Ok(Stdio::inherit());
    }
    #[cfg(unix)]
    {
        use std::os::fd::AsFd as _;
        Ok(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?))
    }
    #[cfg(not(unix))]
    Ok(Stdio::null())
}

/// A folder for the user alone. Secrets go where nothing reaches a disk, if the system has such a
/// place.
fn private_folder(secret: bool) -> Result<TempDir, CliError> {
    let in_memory = || {
        Environment::Process
            .get("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
    };
    let kept = || state_folder().map(|folder| folder.join("edits"));
    let mut places = Vec::new();
    if secret {
        places.extend(in_memory());
    }
    places.extend(kept());
    places.push(std::env::temp_dir());
    let mut last = None;
    for place in places {
        let made = std::fs::create_dir_all(&place).and_then(|()| {
            let mut builder = tempfile::Builder::new();
            builder.prefix("kvscope-");
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            builder.tempdir_in(&place)
        });
        match made {
            Ok(folder) => return Ok(folder),
            Err(error) => last = Some(at(&place, error)),
        }
    }
    Err(last.unwrap_or_else(|| at(Path::new("."), io::ErrorKind::NotFound.into())))
}

fn write_private(file: &Path, text: &str) -> Result<(), CliError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| at(file, error))
}

fn at(path: &Path, error: io::Error) -> CliError {
    CliError::File {
        path: path.to_owned(),
        error,
    }
}
