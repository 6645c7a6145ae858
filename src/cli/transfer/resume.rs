//! How far an import got, kept in a file, so that the same command goes on from there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::ranges::Ranges;
use crate::cli::error::CliError;
use crate::kv::Revision;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Which import it is: the bucket, the way, and the export.
    pub(super) import: String,
    /// All lines up to this one are done.
    pub(super) lines: u64,
    /// Those that are done behind it.
    pub(super) beyond: Vec<(u64, u64)>,
    /// The revisions that the import is known to have written.
    pub(super) written: Vec<(u64, u64)>,
    /// The bucket's last revision when the import began: all that it has written is behind.
    pub(super) began: u64,
}

/// The file.
#[derive(Debug)]
pub(super) struct Resume {
    path: PathBuf,
    import: String,
    began: u64,
}

impl Resume {
    /// The file, and what it says if it is there. An import that begins does so at this revision of
    /// the bucket.
    ///
    /// # Errors
    /// It can't be read, or is about another import.
    pub(super) fn open(
        path: &Path,
        import: String,
        last: Revision,
    ) -> Result<(Self, Option<State>), CliError> {
        let what = path.display().to_string();
        let text = match std::fs::read(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(CliError::Input { what, error }),
        };
        let state: Option<State> = match text.map(|text| serde_json::from_slice(&text)) {
            None => None,
            Some(Ok(state)) => Some(state),
            Some(Err(error)) => {
                return Err(CliError::Usage(format!(
                    "{what} does not say how far an import got: {error}"
                )));
            }
        };
        if let Some(state) = state.as_ref().filter(|state| state.import != import) {
            return Err(CliError::Usage(format!(
                "{what} is about another import: {}, and this is {import}",
                state.import
            )));
        }
        let path = path.to_owned();
        let began = state.as_ref().map_or(last.0, |state| state.began);
        let resume = Self {
            path,
            import,
            began,
        };
        Ok((resume, state))
    }

    /// Keeps how far it got. The file is replaced as a whole.
    pub(super) fn save(&self, lines: u64, beyond: &Ranges, ours: &Ranges) -> std::io::Result<()> {
        let state = State {
            import: self.import.clone(),
            lines,
            beyond: beyond.ranges(),
            written: ours.ranges(),
            began: self.began,
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(&state)?)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// There is nothing left to go on with.
    pub(super) fn done(self) {
        // It may never have been there.
        let _ = std::fs::remove_file(self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_belongs_to_one_import() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let open = |import: &str, last| Resume::open(&path, import.to_owned(), Revision(last));
        let (resume, state) = open("a", 5).unwrap();
        assert_eq!(state, None);
        let (ours, beyond) = (Ranges::of([(7, 7)]), Ranges::of([(14, 16)]));
        resume.save(12, &beyond, &ours).unwrap();
        let (resume, state) = open("a", 9).unwrap();
        let state = state.unwrap();
        assert_eq!(
            (state.lines, state.beyond, state.written, state.began),
            (12, vec![(14, 16)], vec![(7, 7)], 5)
        );
        assert!(open("b", 9).is_err());
        resume.done();
        assert!(!path.exists());
        std::fs::write(&path, "no state").unwrap();
        assert!(open("a", 5).is_err());
    }
}
