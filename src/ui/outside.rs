//! The user's own editor: a text goes out in a file, and comes back.
//!
//! The file is the user's alone, and what an editor that did not end well left in it is not thrown
//! away. Whoever calls has given the terminal back.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::config::{Environment, state_folder};

/// What is started where the user named nothing.
const USUAL: &str = "vi";
/// So many letters of a key's name are in the name of its file.
const NAME: usize = 100;
/// How long an editor may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(1);

/// A text for the user's own editor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handout {
    /// The key that it is of.
    pub key: String,
    /// What the name of its file ends in, without the dot: it tells the editor what it is.
    pub extension: &'static str,
    /// The text.
    pub text: String,
    /// Whether secrets stand in it in clear.
    pub is_secret: bool,
}

/// Why another editor made nothing of a text.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// The file could not be written or read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It could not be started.
    #[error(
        "the editor `{editor}` can't be started: {error}; $VISUAL or $EDITOR names the one to take"
    )]
    Start {
        /// The editor.
        editor: String,
        /// Why.
        error: io::Error,
    },
    /// It did not end well.
    #[error("the editor `{editor}` did not end well: {status}")]
    Status {
        /// The editor.
        editor: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// What it left is no text.
    #[error("the editor `{editor}` left what is no UTF-8 text")]
    NotText {
        /// The editor.
        editor: String,
    },
}

/// The user's editor (`$VISUAL`, or else `$EDITOR`, or else `vi`; each may hold arguments), with a
/// folder for its files that only the user can look into.
#[derive(Debug)]
pub struct Outside {
    command: String,
    folder: TempDir,
    file: PathBuf,
}

impl Outside {
    /// An editor for the value of a key. Secrets go where nothing reaches a disk, if the system has
    /// such a place.
    ///
    /// # Errors
    /// [`OutsideError::File`]: no folder can be made anywhere.
    pub fn new(key: &str, extension: &str, is_secret: bool) -> Result<Self, OutsideError> {
        let mut variables = ["VISUAL", "EDITOR"].into_iter();
        let command = variables.find_map(|name| Environment::Process.get(name));
        let folder = private_folder(is_secret)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name: String = key
            .chars()
            .map(|c| if plain(c) { c } else { '_' })
            .take(NAME)
            .collect();
        Ok(Self {
            command: command.unwrap_or_else(|| USUAL.to_owned()),
            file: folder.path().join(format!("{name}.{extension}")),
            folder,
        })
    }

    /// Lets the user edit a text, and gives back what came of it.
    ///
    /// Editors end a file with a line break; a text that has none gets one for as long as it is being
    /// edited. Dropping the future leaves the editor running.
    ///
    /// # Errors
    /// See [`OutsideError`]. What is in the file then is to be had from [`Outside::left`].
    pub async fn edit(&self, text: &str) -> Result<String, OutsideError> {
        self.edit_until(text, std::future::pending()).await
    }

    /// The same, until `ended` comes to an end: then the editor is ended, and what it has saved until
    /// then is the answer.
    ///
    /// # Errors
    /// See [`Outside::edit`].
    pub async fn edit_until(
        &self,
        text: &str,
        ended: impl Future<Output = ()>,
    ) -> Result<String, OutsideError> {
        self.edit_file(&self.file, text, ended).await
    }

    /// Lets the user edit a part of a value.
    ///
    /// # Errors
    /// See [`OutsideError`].
    pub async fn edit_part(&self, text: &str) -> Result<String, OutsideError> {
        let extension = self.file.extension().unwrap_or_default();
        let part = self.folder.path().join("part").with_extension(extension);
        let edited = self.edit_file(&part, text, std::future::pending()).await;
        let _ = std::fs::remove_file(&part);
        edited
    }

    async fn edit_file(
        &self,
        file: &Path,
        text: &str,
        ended: impl Future<Output = ()>,
    ) -> Result<String, OutsideError> {
        write_private(file, &shown(text))?;
        self.start(file, ended).await?;
        // By its name: many editors write another file and give it this name.
        let left = std::fs::read(file).map_err(|error| at(file, error))?;
        let left = String::from_utf8(left).map_err(|_| OutsideError::NotText {
            editor: self.command.clone(),
        })?;
        Ok(back(text, left))
    }

    async fn start(
        &self,
        file: &Path,
        ended: impl Future<Output = ()>,
    ) -> Result<(), OutsideError> {
        let editor = || self.command.clone();
        // A shell takes the arguments and quotes in the variable apart, as it does for others that
        // honour it.
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("{}{} \"$@\"", exec(&self.command), self.command))
            .arg(&self.command)
            .arg(file)
            .stdout(output_for_people().map_err(|error| at(file, error))?)
            .spawn();
        let failed = |error| OutsideError::Start {
            editor: editor(),
            error,
        };
        let mut child = child.map_err(failed)?;
        tokio::select! {
            biased;
            () = ended => end(&mut child).await,
            status = child.wait() => {
                let status = status.map_err(failed)?;
                if !status.success() {
                    let editor = editor();
                    return Err(OutsideError::Status { editor, status });
                }
            }
        }
        Ok(())
    }

    /// What the editor left in its file, if that is a text and another one than this. To be asked
    /// when it did not end well.
    pub fn left(&self, text: &str) -> Option<String> {
        let left = std::fs::read_to_string(&self.file).ok()?;
        let left = back(text, left);
        (left != text).then_some(left)
    }

    /// Leaves a text in the file, and says where that is. A file that is no text stays as it is.
    ///
    /// # Errors
    /// [`OutsideError::File`].
    pub fn leave(self, text: &str) -> Result<PathBuf, OutsideError> {
        let left = std::fs::read_to_string(&self.file);
        let is_there = self.file.exists();
        if !is_there || left.is_ok_and(|left| back(text, left) != text) {
            write_private(&self.file, text)?;
        }
        let _ = self.folder.keep();
        Ok(self.file)
    }
}

impl Handout {
    /// Lets the user's own editor have it, at the longest until `ended` comes to an end; what came of
    /// it, or in words why nothing did, and where what it left is.
    pub(super) async fn edit(self, ended: impl Future<Output = ()>) -> Result<String, String> {
        let told = |error: OutsideError| error.to_string();
        let outside = Outside::new(&self.key, self.extension, self.is_secret).map_err(told)?;
        let error = match outside.edit_until(&self.text, ended).await {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let is_no_text = matches!(error, OutsideError::NotText { .. });
        let kept = match outside.left(&self.text) {
            Some(left) => Some(outside.leave(&left).map_err(told)?),
            None if is_no_text => Some(outside.leave(&self.text).map_err(told)?),
            None => None,
        };
        let kept = kept.map_or_else(String::new, |path| {
            format!("; what it left is in {}", path.display())
        });
        Err(format!("{error}: the text here is as it was{kept}"))
    }
}

/// What makes a shell become a command instead of waiting for it, so that whoever ends the shell ends
/// the command. Only for one program with its arguments.
fn exec(command: &str) -> &'static str {
    let first = command.split_whitespace().next().unwrap_or_default();
    let is_more = command.contains([';', '&', '|', '<', '>', '(', '$', '`', '\n']);
    if first.contains('=') || is_more {
        ""
    } else {
        "exec "
    }
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

/// A text as it is in the file.
fn shown(text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{text}{end}")
}

/// The way back.
fn back(text: &str, mut left: String) -> String {
    let had_none = !text.is_empty() && !text.ends_with('\n');
    if had_none && left.ends_with('\n') {
        left.pop();
    }
    left
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

fn private_folder(is_secret: bool) -> Result<TempDir, OutsideError> {
    let in_memory = || {
        Environment::Process
            .get("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
    };
    let kept = || state_folder().map(|folder| folder.join("edits"));
    let mut places = Vec::new();
    if is_secret {
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

fn write_private(file: &Path, text: &str) -> Result<(), OutsideError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| at(file, error))
}

fn at(path: &Path, error: io::Error) -> OutsideError {
    OutsideError::File {
        path: path.to_owned(),
        error,
    }
}
