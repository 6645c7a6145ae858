//! The files with unsaved text, in the user's folder for state. What stands in them is decided in
//! [`crate::edit::draft`].

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::edit::draft::{Kept, Subject};
use crate::edit::{Draft, Masking};

use super::Config;
use crate::edit::draft::Policy;

/// Where this program keeps what is its own from one run to the next.
pub fn state_folder() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "kvscope")?;
    let folder = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
    Some(folder.to_owned())
}

/// The drafts of this user. Every call reads or writes files, and blocks while it does.
#[derive(Debug, Clone)]
pub struct Drafts {
    folder: Option<PathBuf>,
    policy: Policy,
}

/// What became of a draft that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// It is in this file, which only the user can read.
    Kept(PathBuf),
    /// It is not kept: it holds secrets.
    Secret,
    /// It is not kept: drafts are off, or the system names no folder for them.
    Off,
}

impl Drafts {
    /// The drafts in their usual folder, kept as the user's file says.
    pub fn of_user(config: &Config) -> Self {
        Self {
            folder: state_folder().map(|folder| folder.join("drafts")),
            policy: config.drafts,
        }
    }

    /// The drafts in a folder.
    pub fn at(folder: impl Into<PathBuf>, policy: Policy) -> Self {
        Self {
            folder: Some(folder.into()),
            policy,
        }
    }

    /// No drafts: none is found, and none is kept.
    pub fn none() -> Self {
        Self {
            folder: None,
            policy: Policy::Off,
        }
    }

    /// What is kept.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Keeps a draft instead of the one before it, as far as the policy lets it. It is there whole or
    /// not at all, whatever happens meanwhile. What must not be kept takes the one before it away.
    ///
    /// # Errors
    /// The folder or file can't be written.
    pub fn keep(&self, draft: &Draft, masking: &Masking) -> io::Result<Keeping> {
        self.write(draft, draft.keep(self.policy, masking))
    }

    /// The same for a draft that has placeholders for its secrets: see [`Draft::keep_masked`].
    ///
    /// # Errors
    /// The folder or file can't be written.
    pub fn keep_masked(&self, draft: &Draft) -> io::Result<Keeping> {
        self.write(draft, draft.keep_masked(self.policy))
    }

    fn write(&self, draft: &Draft, kept: Kept) -> io::Result<Keeping> {
        let Some(folder) = &self.folder else {
            return Ok(Keeping::Off);
        };
        let file = match kept {
            Kept::All(file) => file,
            refused => {
                self.remove(&draft.subject)?;
                return Ok(match refused {
                    Kept::Secret => Keeping::Secret,
                    Kept::Off | Kept::All(_) => Keeping::Off,
                });
            }
        };
        make_private(folder)?;
        // Made for the user alone.
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(&file)?;
        temporary.as_file().sync_all()?;
        let path = folder.join(draft.subject.file_name());
        temporary.persist(&path)?;
        Ok(Keeping::Kept(path))
    }

    /// The draft of a subject, if one is kept. A file that can't be read as one is none.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn find(&self, subject: &Subject) -> io::Result<Option<Draft>> {
        let Some(path) = self.path(subject) else {
            return Ok(None);
        };
        let file = match std::fs::read(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let draft = Draft::decode(&file).ok();
        Ok(draft.filter(|draft| draft.subject == *subject))
    }

    /// Takes the draft of a subject away. None is fine.
    ///
    /// # Errors
    /// It is there and can't be removed.
    pub fn remove(&self, subject: &Subject) -> io::Result<()> {
        let Some(path) = self.path(subject) else {
            return Ok(());
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, subject: &Subject) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(subject.file_name()))
    }
}

/// Makes a folder that only the user can look into.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::kv::Revision;
    use time::OffsetDateTime;

    fn draft(text: &str) -> Draft {
        Draft {
            subject: Subject {
                place: "p".to_owned(),
                bucket: "b".to_owned(),
                key: "k".to_owned(),
            },
            revision: Revision(7),
            base: None,
            text: text.to_owned(),
            hex: false,
            kept_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn drafts_are_the_users_alone_and_go_away() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/drafts");
        let drafts = Drafts::at(&folder, Policy::NoSecrets);
        let masking = Masking::default();
        let one = draft("one");
        assert_eq!(drafts.find(&one.subject).unwrap(), None);
        drafts.keep(&one, &masking).unwrap();
        let two = draft("two");
        let Keeping::Kept(path) = drafts.keep(&two, &masking).unwrap() else {
            panic!("not kept");
        };
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
        assert_eq!(drafts.find(&two.subject).unwrap(), Some(two));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

        // One that has become secret must not leave an old one behind.
        let secret = draft("token: x");
        assert_eq!(drafts.keep(&secret, &masking).unwrap(), Keeping::Secret);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        drafts.remove(&secret.subject).unwrap();
        let off = Drafts::at(&folder, Policy::Off);
        assert_eq!(off.keep(&one, &masking).unwrap(), Keeping::Off);
    }

    #[test]
    fn what_is_no_draft_is_none() {
        let home = tempfile::tempdir().unwrap();
        let drafts = Drafts::at(home.path(), Policy::All);
        let one = draft("one");
        std::fs::write(home.path().join(one.subject.file_name()), "{").unwrap();
        assert_eq!(drafts.find(&one.subject).unwrap(), None);
    }
}
