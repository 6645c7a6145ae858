//! Drafts on disk: readable by the user alone, one file for each key, written whole or not at all.
//!
//! They are written and read one after the other, in the order in which that was asked for.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::edit::Draft;
use crate::edit::Form;
use crate::edit::draft::{Kept, Policy, Subject};
use crate::edit::save::Base;
use crate::ui::edits::{DraftState, Place, Typed};

/// Where drafts are kept, if they are.
#[derive(Debug, Clone, Default)]
pub struct Drafts {
    folder: Option<PathBuf>,
    policy: Policy,
    /// Whoever writes or reads holds it.
    turn: Arc<Mutex<()>>,
}

impl Drafts {
    /// Drafts in this folder, which need not be there yet.
    pub fn new(folder: PathBuf, policy: Policy) -> Self {
        Self {
            folder: Some(folder),
            policy,
            turn: Arc::default(),
        }
    }

    fn path(&self, place: &str, of: &Place) -> Option<(PathBuf, Subject)> {
        let subject = Subject {
            place: place.to_owned(),
            bucket: of.bucket.to_string(),
            key: of.key.to_string(),
        };
        let path = self.folder.as_ref()?.join(subject.file_name());
        Some((path, subject))
    }

    /// Keeps what is typed.
    pub(super) async fn keep(&self, place: &str, typed: Typed, base: Base) -> DraftState {
        let Some((path, subject)) = self.path(place, &typed.opened.place) else {
            return DraftState::NotKept("there is no folder for them".to_owned());
        };
        let _turn = self.turn.lock().await;
        let policy = self.policy;
        let keep = move || {
            let Ok(text) = typed.placeholders.restore(&typed.text) else {
                return DraftState::NotKept("a masked secret was changed in part".to_owned());
            };
            let draft = Draft {
                subject,
                revision: base.revision,
                base: base.value,
                text,
                hex: typed.opened.source.form() == Form::Hex,
                kept_at: OffsetDateTime::now_utc(),
            };
            match draft.keep(policy, &typed.opened.masking) {
                Kept::All(file) => match write(&path, &file) {
                    Ok(()) => DraftState::Kept,
                    Err(error) => DraftState::NotKept(error.to_string()),
                },
                kept => {
                    // What was kept before is older than what is not kept now.
                    remove(&path);
                    let why = match kept {
                        Kept::Secret => {
                            "the value has secrets in it; drafts = \"all\" in the configuration keeps them in clear"
                        }
                        _ => "drafts = \"off\" in the configuration",
                    };
                    DraftState::NotKept(why.to_owned())
                }
            }
        };
        match tokio::task::spawn_blocking(keep).await {
            Ok(state) => state,
            Err(error) => DraftState::NotKept(error.to_string()),
        }
    }

    /// Drops what was kept.
    pub(super) async fn drop(&self, place: &str, of: &Place) -> DraftState {
        if let Some((path, _)) = self.path(place, of) {
            let _turn = self.turn.lock().await;
            // Either it is gone, or the next opening offers it once more.
            let _ = tokio::task::spawn_blocking(move || remove(&path)).await;
        }
        DraftState::Dropped
    }

    /// What was kept of a key, if anything was.
    pub(super) async fn read(&self, place: &str, of: &Place) -> Option<Draft> {
        let (path, subject) = self.path(place, of)?;
        let _turn = self.turn.lock().await;
        let read = move || {
            let draft = Draft::decode(&fs::read(path).ok()?).ok()?;
            (draft.subject == subject).then_some(draft)
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }
}

/// Writes a file whole: it is there as before, or as it is to be.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // A temporary file is the user's alone from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

fn remove(path: &Path) {
    // There may be none.
    let _ = fs::remove_file(path);
}
