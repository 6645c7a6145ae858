//! Deleting a bucket: its name has to be typed.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;
use tui_input::Input;

use super::{BucketDone, BucketTask, Outcome, closes, frame, keys};
use crate::kv::backend::BucketInfo;
use crate::kv::{BucketName, Error};
use crate::ui::canvas::Canvas;
use crate::ui::context::Context;
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::message::{Effect, RequestId};
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::widgets::input_line;

/// The dialog.
#[derive(Debug)]
pub struct Delete {
    bucket: BucketName,
    info: Option<Result<BucketInfo, String>>,
    asked: RequestId,
    input: Input,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// The user types.
    Asking,
    /// It is being done.
    Acting(RequestId),
    /// It is gone.
    Over,
    /// It was not done.
    Failed(String),
}

impl Delete {
    pub(super) fn new(bucket: BucketName, ctx: &mut Context<'_>) -> Self {
        let task = BucketTask::Look(bucket.clone());
        Self {
            bucket,
            info: None,
            asked: ctx.request(|id| Effect::Bucket(id, task)),
            input: Input::default(),
            stage: Stage::Asking,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        if self.stage != Stage::Asking {
            return if closes(key) {
                Outcome::Closed
            } else {
                Outcome::Open
            };
        }
        match type_key(&mut self.input, key) {
            Typed::Cancelled => return Outcome::Closed,
            Typed::Accepted if self.input.value() == self.bucket.as_str() => {
                let task = BucketTask::Delete(self.bucket.clone());
                self.stage = Stage::Acting(ctx.request(|id| Effect::Bucket(id, task)));
            }
            _ => {}
        }
        Outcome::Open
    }

    pub(super) fn paste(&mut self, text: &str) {
        if self.stage == Stage::Asking {
            paste(&mut self.input, text);
        }
    }

    pub(super) fn answer(&mut self, id: RequestId, answer: &Result<BucketDone, Error>) -> bool {
        if id == self.asked {
            self.info = Some(match answer {
                Ok(BucketDone::Info(info)) => Ok((**info).clone()),
                Ok(_) => return true,
                Err(error) => Err(error.to_string()),
            });
            return true;
        }
        if self.stage != Stage::Acting(id) {
            return false;
        }
        self.stage = match answer {
            Ok(_) => Stage::Over,
            Err(error) => Stage::Failed(error.to_string()),
        };
        true
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let mut lines = vec![match &self.info {
            None => ("looking at what is in it …".to_owned(), Role::Muted),
            Some(Err(reason)) => (reason.clone(), Role::Warning),
            Some(Ok(info)) => {
                let what = format!(
                    "{} keys, {} entries, {}. Nothing brings them back.",
                    figures::count(info.keys),
                    figures::count(info.entries),
                    figures::size(info.bytes)
                );
                (what, Role::Danger)
            }
        }];
        let asks = self.stage == Stage::Asking;
        match &self.stage {
            Stage::Asking => lines.push((
                format!("Type the bucket's name, {}, to delete it.", self.bucket),
                Role::Text,
            )),
            Stage::Acting(_) => lines.push(("deleting …".to_owned(), Role::Warning)),
            Stage::Over => lines.push(("It is gone.".to_owned(), Role::Good)),
            Stage::Failed(reason) => lines.push((reason.clone(), Role::Danger)),
        }
        let title = format!("Delete the bucket {}?", self.bucket);
        let extra = if asks { 2 } else { 1 };
        let area = frame(canvas, &title, &lines, extra, screen);
        if asks {
            let line = Rect { height: 1, ..area };
            input_line(canvas, " > ", &self.input, line);
            keys(canvas, "Enter delete · Esc leave", area);
        } else {
            keys(canvas, "Esc leave", area);
        }
    }
}
