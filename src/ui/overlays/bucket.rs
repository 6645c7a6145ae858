//! What is done to whole buckets: made and changed in a form, looked at and compacted, deleted.
//!
//! Each is a file of its own; here is what they have in common.

mod about;
mod delete;
mod settings;

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::text::Line;

use self::about::About;
use self::delete::Delete;
use self::settings::SettingsForm;
use crate::kv::BucketName;
use crate::kv::Error;
use crate::kv::backend::{BucketConfig, BucketInfo, Capabilities};
use crate::kv::compact::{Compacted, Survey};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::context::Context;
use crate::ui::message::RequestId;
use crate::ui::shown;
use crate::ui::theme::Role;
use crate::ui::widgets::wrapped;

/// Up to so many keys, those that are deleted are counted without being asked to.
pub const QUICK_TO_COUNT: u64 = 50_000;

/// Something that the worker is to do to a bucket.
#[derive(Debug, Clone, PartialEq)]
pub enum BucketTask {
    /// Look at it.
    Look(BucketName),
    /// Make it.
    Make(Box<BucketConfig>),
    /// Change it, if its settings are still as they were seen.
    Change {
        /// As they were seen.
        seen: Box<BucketConfig>,
        /// As they are to be.
        wanted: Box<BucketConfig>,
    },
    /// Delete it.
    Delete(BucketName),
    /// Look for what deleted keys left behind for longer than this.
    Survey(BucketName, std::time::Duration),
    /// Remove that.
    Compact(BucketName, Arc<Survey>),
}

/// What came of it.
#[derive(Debug)]
pub enum BucketDone {
    /// The bucket as it is now.
    Info(Box<BucketInfo>),
    /// It was made.
    Made(Box<BucketInfo>),
    /// It was changed.
    Changed(Box<BucketInfo>),
    /// It is gone.
    Deleted(BucketName),
    /// What there is to remove.
    Survey(Arc<Survey>),
    /// So many markers had their turn. More is told of it.
    Compacting(u64),
    /// What was removed.
    Compacted(BucketName, Compacted),
}

/// The dialogs.
#[derive(Debug)]
pub enum Dialog {
    /// Making or changing one.
    Settings(SettingsForm),
    /// Looking at one, and compacting it.
    About(About),
    /// Deleting one.
    Delete(Delete),
}

/// What a key did to a dialog.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed. What was begun goes on.
    Closed,
    /// The settings are to be changed.
    Edit(BucketName),
}

impl Dialog {
    /// A form for a new bucket.
    pub fn new_bucket(capabilities: &Capabilities) -> Self {
        Self::Settings(SettingsForm::new(capabilities))
    }

    /// A form to change a bucket, once its settings are there.
    pub fn edit(bucket: BucketName, capabilities: &Capabilities, ctx: &mut Context<'_>) -> Self {
        Self::Settings(SettingsForm::edit(bucket, capabilities, ctx))
    }

    /// A look at a bucket of about so many keys, if that is known.
    pub fn about(
        bucket: BucketName,
        keys: Option<u64>,
        capabilities: &Capabilities,
        ctx: &mut Context<'_>,
    ) -> Self {
        let mut about = About::new(bucket, capabilities.read_only, ctx);
        if keys.is_some_and(|keys| keys <= QUICK_TO_COUNT) {
            about.count(ctx);
        }
        Self::About(about)
    }

    /// The same, with what there is to compact.
    pub fn compact(bucket: BucketName, capabilities: &Capabilities, ctx: &mut Context<'_>) -> Self {
        let mut about = About::new(bucket, capabilities.read_only, ctx);
        about.survey(ctx);
        Self::About(about)
    }

    /// The question whether to delete a bucket.
    pub fn delete(bucket: BucketName, ctx: &mut Context<'_>) -> Self {
        Self::Delete(Delete::new(bucket, ctx))
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        match self {
            Self::Settings(form) => form.key(key, ctx),
            Self::About(about) => about.key(key, ctx),
            Self::Delete(delete) => delete.key(key, ctx),
        }
    }

    /// Pastes into the line that is open.
    pub fn paste(&mut self, text: &str) {
        match self {
            Self::Settings(form) => form.paste(text),
            Self::About(_) => {}
            Self::Delete(delete) => delete.paste(text),
        }
    }

    /// Chooses a row that was clicked.
    pub fn click(&mut self, row: usize) {
        if let Self::Settings(form) = self {
            form.select(row);
        }
    }

    /// Takes an answer, if it is to what this asked for; says whether it is.
    pub fn answer(&mut self, id: RequestId, answer: &Result<BucketDone, Error>) -> bool {
        match self {
            Self::Settings(form) => form.answer(id, answer),
            Self::About(about) => about.answer(id, answer),
            Self::Delete(delete) => delete.answer(id, answer),
        }
    }

    /// Whether there is nothing left to do or to see.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Settings(form) => form.is_over(),
            Self::About(_) => false,
            Self::Delete(delete) => delete.is_over(),
        }
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        match self {
            Self::Settings(form) => form.draw(canvas, screen),
            Self::About(about) => about.draw(canvas, screen),
            Self::Delete(delete) => delete.draw(canvas, screen),
        }
    }
}

/// What a compaction came to, in words.
pub fn removed(done: &Compacted) -> String {
    about::removed(done)
}

/// Whether a key closes a dialog in which nothing is typed.
fn closes(key: KeyEvent) -> bool {
    matches!(
        (key.code, key.modifiers),
        (KeyCode::Esc | KeyCode::Char('q'), KeyModifiers::NONE)
            | (KeyCode::Char('c'), KeyModifiers::CONTROL)
    )
}

/// Lines in a frame, with room for more below them: how many rows it has, and where they are.
fn frame(
    canvas: &mut Canvas<'_, '_>,
    title: &str,
    lines: &[(String, Role)],
    extra: u16,
    screen: Rect,
) -> Rect {
    let width = screen.width.saturating_sub(4).min(92);
    let room = usize::from(width.saturating_sub(4));
    let mut rows: Vec<(String, Role)> = Vec::new();
    for (words, role) in lines {
        let words = shown::plain(words);
        rows.extend(wrapped(&words, room).into_iter().map(|row| (row, *role)));
    }
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX);
    let height = height.saturating_add(extra + 2).min(screen.height);
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 3,
        width,
        height,
    };
    canvas.clear(area);
    let title = shown::short(title, room);
    let title = Line::from(canvas.span(format!(" {title} "), Role::Title));
    let inner = canvas.pane(title, true, area);
    canvas.hit(area, Hit::Pane(Pane::Overlay));
    let text_rows = inner.height.saturating_sub(extra);
    if rows.len() > usize::from(text_rows) {
        // Nobody should decide on what is out of sight without knowing it.
        rows.truncate(usize::from(text_rows.saturating_sub(1)));
        let words = "… more: enlarge the window".to_owned();
        rows.push((words, Role::Warning));
    }
    let places = inner.rows().take(usize::from(text_rows));
    for ((row, role), place) in rows.into_iter().zip(places) {
        canvas.line(Line::from(canvas.span(format!(" {row}"), role)), place);
    }
    Rect {
        y: inner.bottom().saturating_sub(extra).max(inner.y),
        height: extra.min(inner.height),
        ..inner
    }
}

/// The keys that work, in the last row.
fn keys(canvas: &mut Canvas<'_, '_>, words: &str, area: Rect) {
    let line = Rect {
        y: area.bottom().saturating_sub(1),
        height: area.height.min(1),
        ..area
    };
    canvas.line(
        Line::from(canvas.span(format!(" {words}"), Role::KeyHint)),
        line,
    );
}
