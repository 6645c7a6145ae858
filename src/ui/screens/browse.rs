//! Browse: buckets left, the keys of the open one in the middle, the value of the selected one
//! right.
//!
//! ```text
//! ┌ Buckets ┐┌ Keys ───────────┐┌ Value ────────┐   from 100 columns
//! ┌ Buckets ┐┌ Keys ───────────┐                   below, the value under the keys;
//! ┌ Value ─────────────────────┐                   one pane at a time below 60 columns
//! ```
//!
//! `input`: what keys, commands and the mouse do. Each pane is a file of its own.

mod buckets;
mod columns;
mod entry;
mod input;
mod keys;
mod layout;
mod sifted;

use ratatui::layout::Rect;

use self::buckets::Buckets;
use self::entry::EntryPane;
use self::keys::Keys;
use self::layout::Layout;
use crate::kv::backend::{BucketInfo, originals};
use crate::kv::{BucketName, Error, Key, Revision, WatchEvent};
use crate::query::Query;
use crate::ui::canvas::{Canvas, Pane};
use crate::ui::command::Scope;
use crate::ui::context::Context;
use crate::ui::message::{Effect, Millis, OpenEntry, RequestId, Sifted, WatchId};

/// The screen.
#[derive(Debug)]
pub struct Browse {
    buckets: Buckets,
    keys: Option<Keys>,
    entry: EntryPane,
    focus: Focus,
    layout: Layout,
    /// What the command line asked to be opened first.
    first: First,
    /// How keys are shown at first.
    looks: Looks,
}

/// How keys are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looks {
    /// As a tree on dots.
    pub tree: bool,
    /// Deleted ones too.
    pub deleted: bool,
}

/// The pane that has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Focus {
    /// The buckets.
    Buckets,
    /// The keys.
    Keys,
    /// The value.
    Entry,
}

/// Something that concerns more than this screen.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Open a bucket.
    Open(BucketName),
}

#[derive(Debug, Default)]
struct First {
    bucket: Option<String>,
    key: Option<String>,
}

impl Browse {
    /// The screen, and what to open on it when there is a place.
    pub fn new(bucket: Option<String>, key: Option<String>, looks: Looks) -> Self {
        Self {
            buckets: Buckets::default(),
            keys: None,
            entry: EntryPane::default(),
            focus: Focus::Buckets,
            layout: Layout::default(),
            first: First { bucket, key },
            looks,
        }
    }

    /// Another place: everything from the one before goes.
    pub fn arrived(&mut self, ctx: &mut Context<'_>) {
        self.buckets = Buckets::default();
        self.keys = None;
        self.entry.close();
        self.focus = Focus::Buckets;
        // A bucket that was named is opened even where listing them all is not permitted.
        let named = self.first.bucket.take().map(BucketName::new);
        match named {
            Some(Ok(bucket)) => self.open(&bucket, ctx.now),
            Some(Err(error)) => ctx.warn(error.to_string()),
            None => {}
        }
        self.buckets.ask(ctx);
    }

    /// Asks for the buckets.
    pub fn ask_for_buckets(&mut self, ctx: &mut Context<'_>) {
        self.buckets.ask(ctx);
    }

    /// Takes the buckets; says whether they were awaited. Without an open bucket the first is
    /// opened.
    pub fn listed(
        &mut self,
        id: RequestId,
        answer: Result<Vec<BucketInfo>, Error>,
        ctx: &mut Context<'_>,
    ) -> bool {
        if !self.buckets.answer(id, answer, ctx) {
            return false;
        }
        if self.keys.is_none()
            && let Some(first) = self.buckets.selected()
        {
            self.open(&first, ctx.now);
            self.focus = Focus::Buckets;
        }
        if let (Some(keys), Some(infos)) = (&mut self.keys, self.buckets.infos()) {
            let info = infos.iter().find(|info| info.config.name == keys.bucket);
            if let Some(info) = info {
                keys.expected = Some(info.keys);
            }
        }
        true
    }

    /// The buckets that are known: the open one, and those that are listed.
    pub fn bucket_names(&self) -> Vec<BucketName> {
        self.with_open_first(self.bucket_infos().iter())
    }

    /// The buckets whose changes are told: the open one, and those that are listed and don't only
    /// repeat another one.
    pub fn watched_buckets(&self) -> Vec<BucketName> {
        self.with_open_first(originals(self.bucket_infos()))
    }

    /// The buckets in which locks are looked for: a mirror would show each lock of its origin once
    /// more, as it was a while ago.
    pub fn buckets_of_locks(&self) -> Vec<BucketName> {
        let infos = self.bucket_infos();
        let is_listed = |name: &BucketName| infos.iter().any(|info| info.config.name == *name);
        let is_original =
            |name: &BucketName| originals(infos).any(|info| info.config.name == *name);
        let mut names = self.watched_buckets();
        names.retain(|name| is_original(name) || !is_listed(name));
        names
    }

    /// The open bucket comes first: it is watched whatever the number of buckets.
    fn with_open_first<'a>(&self, infos: impl Iterator<Item = &'a BucketInfo>) -> Vec<BucketName> {
        let others = infos.map(|info| &info.config.name);
        let others = others.filter(|name| Some(*name) != self.open_bucket());
        self.open_bucket()
            .into_iter()
            .chain(others)
            .cloned()
            .collect()
    }

    /// The buckets as they were listed last.
    pub fn bucket_infos(&self) -> &[BucketInfo] {
        self.buckets.infos().map_or(&[], Vec::as_slice)
    }

    /// Opens a bucket. Its watch is begun by the caller.
    pub fn open(&mut self, bucket: &BucketName, now: Millis) {
        let mut keys = Keys::new(bucket.clone(), now);
        match &self.keys {
            Some(before) => keys.take_looks_of(before),
            None => keys.show_as(Some(self.looks.tree), Some(self.looks.deleted)),
        }
        if let Some(key) = self.first.key.take() {
            keys.wish_for(&key);
        }
        let info = self
            .bucket_infos()
            .iter()
            .find(|info| info.config.name == *bucket);
        keys.expected = info.map(|info| info.keys);
        self.keys = Some(keys);
        self.buckets.select_name(bucket);
        self.entry.close();
        self.focus = Focus::Keys;
    }

    /// The open bucket.
    pub fn open_bucket(&self) -> Option<&BucketName> {
        self.keys.as_ref().map(|keys| &keys.bucket)
    }

    /// The bucket that is selected where the keyboard is: in the list, or the one that is open.
    pub fn bucket_in_sight(&self) -> Option<BucketName> {
        let open = || self.open_bucket().cloned();
        match self.focus {
            Focus::Buckets => self.buckets.selected().or_else(open),
            Focus::Keys | Focus::Entry => open().or_else(|| self.buckets.selected()),
        }
    }

    /// A bucket is gone. If it was open, none is.
    pub fn deleted(&mut self, bucket: &BucketName) {
        if self.open_bucket() == Some(bucket) {
            self.keys = None;
            self.entry.close();
            self.focus = Focus::Buckets;
        }
    }

    /// The bucket and key of the selected row.
    pub fn selected_key(&self) -> Option<(BucketName, Key)> {
        let keys = self.keys.as_ref()?;
        let (key, _) = keys.selected_entry()?;
        Some((keys.bucket.clone(), key))
    }

    /// Shows keys otherwise from now on, where something is said.
    pub fn show_as(&mut self, tree: Option<bool>, deleted: Option<bool>) {
        self.looks.tree = tree.unwrap_or(self.looks.tree);
        self.looks.deleted = deleted.unwrap_or(self.looks.deleted);
        if let Some(keys) = &mut self.keys {
            keys.show_as(tree, deleted);
        }
    }

    /// Reads the value again.
    pub fn read_again(&mut self, ctx: &mut Context<'_>) {
        self.entry.reload(ctx);
    }

    /// The revision of a key of the open bucket, if it has a value.
    pub fn revision_of(&self, key: &str) -> Option<Revision> {
        self.keys.as_ref()?.revision_of(key)
    }

    /// What the selected key begins with, up to its last dot: a new key is likely to be beside it.
    pub fn prefix(&self) -> String {
        let selected = self.keys.as_ref().and_then(|keys| keys.selected());
        let end = selected.and_then(|key| key.rfind('.'));
        selected
            .zip(end)
            .map_or("", |(key, dot)| &key[..=dot])
            .to_owned()
    }

    /// The keys that are to be removed, with their revisions: those that are marked, else the
    /// selected one.
    pub fn to_remove(&self) -> Vec<(Key, Revision)> {
        self.keys.as_ref().map_or_else(Vec::new, Keys::to_remove)
    }

    /// Takes all marks away.
    pub fn unmark(&mut self) {
        if let Some(keys) = &mut self.keys {
            keys.unmark();
        }
    }

    /// The open bucket is about to be told from the beginning.
    pub fn reload(&mut self, ctx: &mut Context<'_>) {
        if let Some(keys) = &mut self.keys {
            keys.reload();
        }
        self.entry.reload(ctx);
    }

    /// Whether the open bucket has not been told whole yet, or the buckets have not.
    pub fn is_loading(&self) -> bool {
        match &self.keys {
            Some(keys) => !keys.is_ready(),
            None => self.buckets.is_loading(),
        }
    }

    /// Since when and why the open bucket can't be watched, or without one, the buckets can't be
    /// listed.
    pub fn failure(&self) -> Option<(Millis, &str)> {
        match &self.keys {
            Some(keys) => keys.failure(),
            None => self.buckets.failure(),
        }
    }

    /// A watch brought something.
    pub fn watched(&mut self, bucket: &BucketName, batch: &[WatchEvent], ctx: &mut Context<'_>) {
        let Some(keys) = self.keys.as_mut().filter(|keys| keys.bucket == *bucket) else {
            return;
        };
        let lost = keys.apply(batch, ctx.now);
        if batch.contains(&WatchEvent::Resumed { gap: true }) {
            self.entry.doubt();
            // It may be another bucket of the name.
            if keys.unmark() {
                ctx.warn("the marks are gone: after a gap keys may be others of the same name");
            }
        }
        if let Some((key, entry)) = lost {
            let what = entry.operation;
            ctx.mention(format!(
                "{key}: {what} at revision {}; another key is selected now",
                entry.revision
            ));
        }
        self.look_at_selection(ctx);
    }

    /// Shows only keys whose value the query matches; with an empty one, all again.
    pub fn sift(&mut self, query: &str, ctx: &mut Context<'_>) {
        self.show_all(ctx);
        let Some(keys) = self.keys.as_mut().filter(|_| !query.trim().is_empty()) else {
            return;
        };
        match Query::new(query) {
            Ok(query) => {
                let (bucket, asked) = (keys.bucket.clone(), query.clone());
                let id = ctx.watch(|id| Effect::Sift(id, bucket, asked));
                keys.sift(id, query);
                self.focus = Focus::Keys;
            }
            Err(error) => ctx.warn(error.to_string()),
        }
        self.look_at_selection(ctx);
    }

    /// Ends the filter over values.
    pub fn show_all(&mut self, ctx: &mut Context<'_>) {
        let ended = self.keys.as_mut().and_then(Keys::show_all);
        if let Some(id) = ended {
            ctx.effect(Effect::Unwatch(id));
            self.look_at_selection(ctx);
        }
    }

    /// A filter over values brought something.
    pub fn sifted(&mut self, id: WatchId, sifted: &Sifted, ctx: &mut Context<'_>) {
        if let Some(keys) = &mut self.keys {
            keys.sifted(id, sifted, ctx.now);
        }
        self.look_at_selection(ctx);
    }

    /// A filter over values looks no further.
    pub fn sifting_ended(&mut self, id: WatchId, reason: String, ctx: &mut Context<'_>) {
        if let Some(keys) = &mut self.keys
            && keys.sifting_ended(id, &reason)
        {
            ctx.warn(reason);
        }
    }

    /// A watch could not be begun.
    pub fn watch_failed(&mut self, bucket: &BucketName, error: &Error, now: Millis) {
        if let Some(keys) = self.keys.as_mut().filter(|keys| keys.bucket == *bucket) {
            keys.failed(error, now);
        }
    }

    /// The connection is back: what could not be had is asked for again.
    pub fn reconnected(&mut self, ctx: &mut Context<'_>) {
        self.buckets.ask(ctx);
        self.entry.retry(ctx);
    }

    /// The connection is down: what is shown is what was known.
    pub fn interrupted(&mut self) {
        self.buckets.age();
    }

    /// Takes an entry that was read.
    pub fn read(
        &mut self,
        id: RequestId,
        answer: Result<Option<Box<OpenEntry>>, Error>,
        ctx: &mut Context<'_>,
    ) {
        self.entry.answer(id, answer, ctx.now);
        self.look_at_selection(ctx);
    }

    /// When the next entry of the open bucket runs out.
    pub fn next_expiry(&self) -> Option<Millis> {
        self.keys.as_ref()?.next_expiry()
    }

    /// Drops what has run out at this time by the store's clock.
    pub fn expire(&mut self, at: Millis, ctx: &mut Context<'_>) {
        if let Some(lost) = self.keys.as_mut().and_then(|keys| keys.expire(at)) {
            ctx.tell(format!("{lost} has expired"));
        }
        self.look_at_selection(ctx);
    }

    /// When to read a value again that could not be read.
    pub fn deadline(&self) -> Option<Millis> {
        self.entry.deadline()
    }

    /// Reads a value again that could not be read, if it is time.
    pub fn deadline_came(&mut self, ctx: &mut Context<'_>) {
        self.entry.deadline_came(ctx);
    }

    /// Takes the sizes that the last frame had: rows, and for the value rows and columns.
    pub fn fit(
        &mut self,
        buckets: Option<usize>,
        keys: Option<usize>,
        value: Option<(usize, usize)>,
    ) {
        if let Some(rows) = buckets {
            self.buckets.fit(rows);
        }
        if let (Some(rows), Some(pane)) = (keys, &mut self.keys) {
            pane.fit(rows);
        }
        if let Some((rows, columns)) = value {
            self.entry.fit(rows, columns);
        }
    }

    /// Where keys are looked up first.
    pub fn scope(&self) -> Scope {
        match self.focus {
            Focus::Buckets => Scope::Buckets,
            Focus::Keys => Scope::Keys,
            Focus::Entry => Scope::Entry,
        }
    }

    /// Gives the keyboard to a pane.
    pub fn focus(&mut self, pane: Pane) {
        self.focus = match pane {
            Pane::Buckets => Focus::Buckets,
            Pane::Keys => Focus::Keys,
            Pane::Entry => Focus::Entry,
            _ => self.focus,
        };
    }

    /// Shows the entry of the selected key, as the index has it.
    fn look_at_selection(&mut self, ctx: &mut Context<'_>) {
        let Some(keys) = &self.keys else {
            self.entry.close();
            return;
        };
        match keys.selected_entry() {
            Some((key, revision)) => self.entry.show(&keys.bucket, key, revision, ctx),
            None => self.entry.close(),
        }
    }

    /// Draws the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, area: Rect) {
        let panes = self.layout.panes(area, self.focus);
        if let Some(area) = panes.buckets {
            let open = self.keys.as_ref().map(|keys| (&keys.bucket, keys.count()));
            let focused = self.focus == Focus::Buckets;
            self.buckets.draw(canvas, open, focused, area);
        }
        if let Some(area) = panes.keys {
            let focused = self.focus == Focus::Keys;
            match &self.keys {
                Some(keys) => keys.draw(canvas, focused, area),
                None => keys::draw_nothing(canvas, self.buckets.words(), focused, area),
            }
        }
        if let Some(area) = panes.entry {
            self.entry.draw(canvas, self.focus == Focus::Entry, area);
        }
        for (split, area) in panes.splits {
            canvas.hit(area, crate::ui::canvas::Hit::Split(split));
        }
    }
}
