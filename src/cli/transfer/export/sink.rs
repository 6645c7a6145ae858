//! Where the lines of an export go: standard output; a file that takes its name when it is whole; a
//! file that is written in place, so that what was written stays when it is cut off.

use std::fs::{File, TryLockError};
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;

use super::super::line::Head;
use super::ExportError;
use super::kept::Kept;
use crate::cli::error::CliError;
use crate::cli::output::{Output, write_record};
use crate::kv::Revision;

/// How many bytes are written at once.
const BUFFER: usize = 64 << 10;

/// Where the lines go.
#[derive(Debug)]
pub(super) enum Sink<'a> {
    Stdout(&'a mut Output),
    /// Beside the file that it becomes.
    File(BufWriter<NamedTempFile>, &'a Path),
    /// The file itself.
    InPlace(BufWriter<File>),
}

impl<'a> Sink<'a> {
    pub(super) fn file(path: &'a Path) -> Result<Self, CliError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Whoever finds what a kill has left should know what it is.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(|error| failed(path, error))?;
        Ok(Self::File(BufWriter::with_capacity(BUFFER, file), path))
    }

    /// The file behind what it has of this export, and what that is. A torn line at its end is cut
    /// off.
    ///
    /// # Errors
    /// The file can't be read or written, somebody else writes it, or it has something else.
    pub(super) fn resumed(
        path: &'a Path,
        head: &Head,
        last: Revision,
    ) -> Result<(Self, Option<Kept>), CliError> {
        let unfit = |reason| {
            CliError::Export(ExportError::Unfit {
                path: path.to_owned(),
                reason,
            })
        };
        let mut file = open(path).map_err(|error| failed(path, error))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => unfit("another export writes it".to_owned()),
            TryLockError::Error(error) => failed(path, error),
        })?;
        let kept = Kept::read(BufReader::with_capacity(BUFFER, &file))
            .and_then(|kept| match kept {
                Some(kept) => kept.check(head, last).map(|()| Some(kept)),
                None => Ok(None),
            })
            .map_err(unfit)?;
        let length = kept.as_ref().map_or(0, |kept| kept.bytes);
        let cut = file
            .set_len(length)
            .and_then(|()| file.seek(SeekFrom::End(0)));
        cut.map_err(|error| failed(path, error))?;
        Ok((Self::InPlace(BufWriter::with_capacity(BUFFER, file)), kept))
    }

    pub(super) fn record(&mut self, record: &impl Serialize) -> Result<(), CliError> {
        match self {
            Self::Stdout(output) => output.record(record),
            Self::File(writer, _) => Ok(write_record(writer, record)?),
            Self::InPlace(writer) => Ok(write_record(writer, record)?),
        }
    }

    /// Everything has been told.
    pub(super) fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Stdout(output) => output.flush(),
            Self::File(mut writer, path) => {
                writer.flush()?;
                let file = writer
                    .into_inner()
                    .map_err(std::io::IntoInnerError::into_error)?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|error| error.error)?;
                Ok(())
            }
            Self::InPlace(mut writer) => {
                writer.flush()?;
                Ok(writer.get_ref().sync_all()?)
            }
        }
    }
}

/// The file, which is made if it is not there. It may have secrets in it, so it is nobody else's.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn failed(path: &Path, error: std::io::Error) -> CliError {
    CliError::File {
        path: path.to_owned(),
        error,
    }
}
