//! What editing asks for: reading, comparing, checking, writing.
//!
//! Whatever walks a value goes to a thread that may take its time. What proposals are made of is in
//! `propose.rs`.

mod propose;

use std::sync::Arc;
use std::time::Duration;

use self::propose::Terms;
use super::drafts::Drafts;
use crate::config::Config;
use crate::edit::save::{Base, Patience, Save, Step, carry_out};
use crate::edit::schema;
use crate::edit::{Diff, Draft, Ending, Form, Masking, Masks, Merge, Schema, Source, pretty};
use crate::kv::backend::{Backend, Write};
use crate::kv::{BucketName, Entry, Error, Key, Revision, Store};
use crate::ui::diff::{as_it_is, summary};
use crate::ui::edits::{Ask, Checking, Opened, Opening, Place, Resumed, Told};
use crate::ui::placeholders::Placeholders;
use crate::ui::text::Run;
use crate::ui::value::Document;

/// The most columns that what a write changed is told in.
const SUMMARY: usize = 200;

/// Everything that an answer can take.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) backend: Arc<dyn Backend>,
    /// The place, as its drafts know it.
    pub(super) place: String,
    pub(super) masks: Arc<Masks>,
    pub(super) drafts: Drafts,
    pub(super) config: Arc<Config>,
}

impl Means {
    /// Does what was asked for.
    pub(super) async fn answer(self, ask: Ask) -> Told {
        let masks = Arc::clone(&self.masks);
        let masking = move |key: &Key| Masking::new(&masks, key.as_str());
        match ask {
            Ask::History(place) => Told::History(self.history(&place).await),
            Ask::Changed(place, revision) => {
                Told::Changed(self.changed(&place, revision).await.unwrap_or_default())
            }
            Ask::Compare { key, older, newer } => {
                let masking = masking(&key);
                let compare = move || Diff::between(older.as_deref(), newer.as_deref(), &masking);
                Told::Compared(Arc::new(aside(compare).await))
            }
            Ask::Look { key, value } => {
                let masks = Arc::clone(&self.masks);
                let is_secret = masks.is_secret(key.as_str());
                let look = move || Box::new(Document::new(value, &masks, is_secret));
                Told::Looked(aside(look).await)
            }
            Ask::Open(place) => Told::Opened(self.open(place).await.map(Box::new)),
            Ask::OpenNew(place, ttl) => Told::Opened(self.open_new(place, ttl).await.map(Box::new)),
            Ask::Check(typed) => Told::Checked(aside(move || propose::check(&typed)).await),
            Ask::Format(text) => Told::Formatted(aside(move || pretty(&text)).await),
            Ask::Mask(typed) => {
                let mask = move || {
                    typed
                        .placeholders
                        .mask_again(&typed.text, &typed.opened.masking)
                };
                Told::Masked(aside(mask).await)
            }
            Ask::Propose(typed, save) => {
                let proposed = aside(move || propose::text(&typed, *save)).await;
                Told::Proposed(proposed.map(Box::new))
            }
            Ask::ProposeBytes {
                bucket,
                save,
                bytes,
                ttl,
                schema,
            } => {
                let terms = Terms {
                    masking: masking(save.key()),
                    entry_ttl: self.entry_ttl(&bucket).await,
                    bucket,
                    ttl,
                    schema,
                };
                let propose = move || propose::bytes(terms, *save, bytes);
                Told::Proposed(Ok(Box::new(aside(propose).await)))
            }
            Ask::ProposeRevert { place, to, over } => {
                let proposed = self.propose_revert(place, *to, *over).await;
                let proposed = proposed.map_err(|error| error.to_string());
                Told::Proposed(proposed.map(Box::new))
            }
            Ask::ProposeUndo(bucket, undoable) => {
                let proposed = self.propose_undo(bucket, *undoable).await;
                Told::Proposed(proposed.map(Box::new))
            }
            Ask::CarryOut {
                bucket,
                save,
                write,
                learns,
            } => {
                let (save, ending) = self.carry_out(&bucket, *save, write, learns).await;
                Told::Ended(Box::new(save), ending)
            }
            Ask::Merge(sides) => {
                let masking = masking(&sides.key);
                let merge = move || Merge::new(sides.base, sides.mine, sides.theirs, masking);
                Told::Merged(Box::new(aside(merge).await))
            }
            Ask::Keep(typed, base) => Told::Kept(self.drafts.keep(typed, base).await),
            Ask::Drop(opened) => Told::Kept(self.drafts.drop(&opened).await),
        }
    }

    async fn store(&self, bucket: &BucketName) -> Result<Store, Error> {
        Store::open(&*self.backend, bucket.as_str()).await
    }

    async fn history(&self, place: &Place) -> Result<Vec<Entry>, Error> {
        self.store(&place.bucket).await?.history(&place.key).await
    }

    /// What a write changed inside the value, if it is still kept; without one before it, what the
    /// value is.
    async fn changed(&self, place: &Place, revision: Revision) -> Option<Vec<Run<'static>>> {
        let entries = self.history(place).await.ok()?;
        let at = entries
            .iter()
            .position(|entry| entry.revision == revision)?;
        let value = |entry: &Entry| entry.live_value().cloned();
        let newer = value(entries.get(at)?)?;
        // Without one before it, it may be new, or the one before is not kept any more.
        let older = at.checked_sub(1).and_then(|at| value(&entries[at]));
        let masking = Masking::new(&self.masks, place.key.as_str());
        let compare = move || match older {
            Some(older) => summary(
                &Diff::between(Some(&older), Some(&newer), &masking),
                SUMMARY,
            ),
            None => as_it_is(&newer, &masking, SUMMARY),
        };
        Some(aside(compare).await)
    }

    /// Whether entries of the bucket can have a time to live of their own.
    async fn entry_ttl(&self, bucket: &BucketName) -> bool {
        match self.store(bucket).await {
            Ok(store) => store.takes_ttl().await,
            Err(_) => false,
        }
    }

    /// Opens a key at what the leader has: what may be behind is nothing to write on.
    async fn open(&self, place: Place) -> Result<Opening, String> {
        let store = self
            .store(&place.bucket)
            .await
            .map_err(|error| error.to_string())?;
        let entry = store
            .get(&place.key)
            .await
            .map_err(|error| error.to_string())?;
        self.opening(&store, place, Base::of(entry.as_ref()), None)
            .await
    }

    async fn open_new(&self, place: Place, ttl: Option<Duration>) -> Result<Opening, String> {
        let store = self
            .store(&place.bucket)
            .await
            .map_err(|error| error.to_string())?;
        let entry = store
            .get(&place.key)
            .await
            .map_err(|error| error.to_string())?;
        let base = Base::of(entry.as_ref());
        if base.value.is_some() {
            return Err(format!(
                "{} is there already, at revision {}: e edits it",
                place.key, base.revision
            ));
        }
        self.opening(&store, place, base, ttl).await
    }

    async fn opening(
        &self,
        store: &Store,
        place: Place,
        base: Base,
        ttl: Option<Duration>,
    ) -> Result<Opening, String> {
        let schema = self.schema(store, &place).await;
        let entry_ttl = self.entry_ttl(&place.bucket).await;
        let address: Arc<str> = self.place.as_str().into();
        let draft = self.draft(store, &place).await;
        let masking = Masking::new(&self.masks, place.key.as_str());
        let make = move || {
            let open = |base: Base, in_hex: bool| {
                let stored = base.value.clone().unwrap_or_default();
                let source = if in_hex {
                    Source::in_hex(stored)
                } else {
                    Source::open(stored)
                };
                let masked = match source.form() {
                    // The digits of a secret are a secret too, but there are no names in them.
                    Form::Hex if !masking.hides_all() => {
                        (source.text().to_owned(), Placeholders::default())
                    }
                    _ => Placeholders::mask(source.text(), &masking),
                };
                Opening {
                    save: Save::new(place.key.clone(), base),
                    masked,
                    opened: Opened {
                        address: Arc::clone(&address),
                        place: place.clone(),
                        source,
                        masking: masking.clone(),
                        schema: schema.clone(),
                        entry_ttl,
                        ttl,
                    },
                    draft: None,
                }
            };
            let mut opening = open(base.clone(), false);
            opening.draft = draft.map(|(draft, is_masked)| {
                let began_with = Base {
                    revision: draft.revision,
                    value: draft.base,
                    ttl: base.ttl,
                };
                let mut resumed = open(began_with, draft.hex);
                let mut text = draft.text;
                if !is_masked {
                    let (_, placeholders) = &resumed.masked;
                    // It has no placeholders yet, and so none that was changed in part.
                    if let Ok(masked) = placeholders.mask_again(&text, &masking) {
                        (text, resumed.masked.1) = masked;
                    }
                } else if resumed.masked.1.is_empty() {
                    resumed.masked.1 = Placeholders::lost();
                }
                Box::new(Resumed {
                    opening: resumed,
                    text,
                    kept_at: crate::ui::shown::millis(draft.kept_at),
                })
            });
            opening
        };
        Ok(aside(make).await)
    }

    /// The draft of a key, with the value that it was begun with, and whether it has placeholders.
    async fn draft(&self, store: &Store, place: &Place) -> Option<(Draft, bool)> {
        let (mut draft, is_masked) = self.drafts.find(&self.place, place).await?;
        if is_masked && draft.revision != Revision::ABSENT {
            let entry = store.get_revision(&place.key, draft.revision).await;
            let entry = entry.ok().flatten();
            draft.base = entry.and_then(|entry| entry.live_value().cloned());
        }
        Some((draft, is_masked))
    }

    /// The schema of a key, if it has one: from the file that the configuration names, or else from
    /// its bucket.
    async fn schema(&self, store: &Store, place: &Place) -> Checking {
        let named = self.config.schema_for(place.bucket.as_str(), &place.key);
        let read: Box<dyn FnOnce() -> Result<Schema, String> + Send> = match named {
            Some(path) => {
                let path = path.to_owned();
                Box::new(move || {
                    let name = path.display().to_string();
                    let source =
                        std::fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
                    Schema::new(name, &source).map_err(|error| error.to_string())
                })
            }
            None => {
                let name = schema::key_of(place.key.as_str());
                let entry = match store.peek(&name).await {
                    Ok(entry) => entry?,
                    Err(error) => return Some(Err(format!("{name} can't be read: {error}"))),
                };
                let source = entry.live_value()?.clone();
                Box::new(move || Schema::new(name, &source).map_err(|error| error.to_string()))
            }
        };
        Some(aside(read).await.map(Arc::new))
    }

    async fn carry_out(
        &self,
        bucket: &BucketName,
        mut save: Save,
        write: Option<Box<Write>>,
        learns: bool,
    ) -> (Save, Ending) {
        let store = match self.store(bucket).await {
            Ok(store) => store,
            Err(error) => return (save, Ending::Failed(error)),
        };
        // Without it the write is as safe, and can't be undone.
        if learns && let Ok(Some(entry)) = store.get(save.key()).await {
            save.learn(&entry);
        }
        let first = write.map_or(Step::Read, |write| Step::Write(*write));
        let ending = carry_out(&store, &mut save, first, Patience::default()).await;
        (save, ending)
    }
}

/// Runs what takes long where nobody waits for the thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // It panicked, which the log was told; or the program ends. Nobody gets an answer.
        Err(_) => std::future::pending().await,
    }
}
