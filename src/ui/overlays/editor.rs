//! The editor: a value as text, from the revision at which it was opened.
//!
//! It checks the text while it is typed, through the worker; it hears of what others do to the key;
//! it keeps a draft. What it hands on is a proposal, which is looked at and saved elsewhere (see
//! [`review`](super::review)). Masked secrets are not in its text: see
//! [`placeholders`](crate::ui::placeholders).

mod buffer;
mod colour;
mod draw;
mod find;
mod input;

use std::ops::Range;
use std::sync::Arc;

use self::buffer::Buffer;
use self::find::Find;
use crate::edit::{Fault, Form};
use crate::kv::{BucketName, Entry, Key, Operation, Revision, WatchEvent};
use crate::ui::canvas::Canvas;
use crate::ui::context::Context;
use crate::ui::edits::{Ask, Checked, Opened, Place};
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::placeholders::{Broken, Placeholders};
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;

/// An open editor.
#[derive(Debug)]
pub struct Editor {
    opened: Arc<Opened>,
    buffer: Buffer,
    placeholders: Placeholders,
    is_revealed: bool,
    /// The version of the text that is in the store, or was never changed.
    clean: Option<u64>,
    check: Check,
    /// What the worker was asked to make of the text: a proposal, another layout, a change in
    /// another program.
    asked: Option<(RequestId, u64)>,
    /// What somebody else did to the key since it was opened.
    moved: Option<Moved>,
    find: Option<Find>,
    question: Option<Question>,
    /// When the draft is written, if the text changed since it was.
    draft_due: Option<Millis>,
    has_draft: bool,
    viewport: Viewport,
    column: usize,
    columns: usize,
}

/// What is known of the text by the worker's checks.
#[derive(Debug, Default)]
struct Check {
    asked: Option<(RequestId, u64)>,
    result: Option<(u64, Checked)>,
}

/// Somebody else wrote the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    operation: Operation,
    revision: Revision,
    at: Millis,
}

/// What waits for an answer before anything else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// A draft of an earlier time is there.
    Draft,
    /// The text is not saved, and the editor is to be left.
    Leave,
}

/// What a key or an answer did to the editor.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed; what was unsaved is dropped, or kept as a draft.
    Closed,
    /// It is closed, and the program is to be left.
    Quit,
}
