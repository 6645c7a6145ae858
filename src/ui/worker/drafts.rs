//! Drafts of the console: written and read one after the other, in the order in which that was
//! asked for.
//!
//! A value with secrets has a draft too: its text has placeholders for them, and the value that it
//! was opened at is left out. Where the history still has that, they are found there again. Those
//! that were typed are found nowhere: they must be typed again.

use std::io;
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::config::{self, Keeping};
use crate::edit::draft::{Policy, Subject};
use crate::edit::save::Base;
use crate::edit::{Draft, Form};
use crate::ui::edits::{DraftState, Opened, Place, Typed};

/// Where drafts are kept, if they are.
#[derive(Debug, Clone, Default)]
pub struct Drafts {
    files: Option<config::Drafts>,
    /// Whoever writes or reads holds it.
    turn: Arc<Mutex<()>>,
}

impl Drafts {
    /// Drafts in these files.
    pub fn new(files: config::Drafts) -> Self {
        Self {
            files: Some(files),
            turn: Arc::default(),
        }
    }

    /// Does something with the files when it is its turn.
    async fn with<T, F>(&self, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(config::Drafts) -> T + Send + 'static,
    {
        let files = self.files.clone()?;
        let _turn = self.turn.lock().await;
        tokio::task::spawn_blocking(move || work(files)).await.ok()
    }

    /// Keeps what is typed.
    pub(super) async fn keep(&self, typed: Typed, base: Base) -> DraftState {
        let subjects = subjects(&typed.opened.address, &typed.opened.place);
        let kept = self.with(move |files| keep(&files, subjects, &typed, base));
        match kept.await {
            None => DraftState::NotKept("there is no folder for them".to_owned()),
            Some(Err(error)) => DraftState::NotKept(error.to_string()),
            Some(Ok((Keeping::Kept(_), 0))) => DraftState::Kept,
            Some(Ok((Keeping::Kept(_), lost))) => DraftState::KeptWithout(lost),
            Some(Ok((Keeping::Secret, _))) => DraftState::NotKept(
                "secrets stand in it in clear, and drafts = \"all\" is not set in the configuration"
                    .to_owned(),
            ),
            Some(Ok((Keeping::Off, _))) => {
                DraftState::NotKept("drafts are off in the configuration".to_owned())
            }
        }
    }

    /// Drops what was kept.
    pub(super) async fn drop(&self, of: &Opened) -> DraftState {
        let [plain, masked] = subjects(&of.address, &of.place);
        // Either it is gone, or the next opening offers it once more.
        let drop = move |files: config::Drafts| (files.remove(&plain), files.remove(&masked));
        let _ = self.with(drop).await;
        DraftState::Dropped
    }

    /// What was kept of a key, if anything was, and whether placeholders stand in it.
    pub(super) async fn find(&self, place: &str, of: &Place) -> Option<(Draft, bool)> {
        let [plain, masked] = subjects(place, of);
        let find = move |files: config::Drafts| {
            let found = |subject| files.find(subject).ok().flatten();
            (found(&plain), found(&masked))
        };
        match self.with(find).await? {
            (Some(plain), Some(masked)) if masked.kept_at > plain.kept_at => Some((masked, true)),
            (Some(plain), _) => Some((plain, false)),
            (None, masked) => masked.map(|masked| (masked, true)),
        }
    }
}

/// What a draft of a key is filed under: one with everything in it, and one with placeholders, which
/// the command line, that knows none, must not take for a text.
fn subjects(place: &str, of: &Place) -> [Subject; 2] {
    [place.to_owned(), format!("{place}, masked")].map(|place| Subject {
        place,
        bucket: of.bucket.to_string(),
        key: of.key.to_string(),
    })
}

/// Keeps a text; says also how many secrets that were typed into it had to be left out.
fn keep(
    files: &config::Drafts,
    [plain, masked]: [Subject; 2],
    typed: &Typed,
    base: Base,
) -> io::Result<(Keeping, usize)> {
    let masking = &typed.opened.masking;
    let draft = |subject: Subject, text: String, base: Base| Draft {
        subject,
        revision: base.revision,
        base: base.value,
        text,
        hex: typed.opened.source.form() == Form::Hex,
        kept_at: OffsetDateTime::now_utc(),
    };
    if files.policy() != Policy::All {
        let (text, lost) = typed.placeholders.hide(&typed.text, masking);
        if lost > 0 || !typed.placeholders.is_empty() {
            let without = Base {
                value: None,
                ..base
            };
            files.remove(&plain)?;
            return Ok((files.keep_masked(&draft(masked, text, without))?, lost));
        }
    }
    // A placeholder that was changed in part is a secret no more.
    let text = typed.placeholders.restore(&typed.text);
    let text = text.unwrap_or_else(|_| typed.text.clone());
    files.remove(&masked)?;
    Ok((files.keep(&draft(plain, text, base), masking)?, 0))
}
