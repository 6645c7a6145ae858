//! One bucket: how full it is, what is left of deleted keys, who keeps it; and compacting it.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{BucketDone, BucketTask, Outcome, closes, frame, keys};
use crate::kv::backend::{BucketInfo, Setting};
use crate::kv::compact::{Compacted, Survey};
use crate::kv::{BucketName, Error};
use crate::ui::bucket::{facts, shown};
use crate::ui::canvas::Canvas;
use crate::ui::context::Context;
use crate::ui::message::{Effect, Millis, RequestId};
use crate::ui::shown::millis;
use crate::ui::text::figures;
use crate::ui::theme::Role;

/// The ages from which markers go, to choose from. The nats CLI has the second.
const AGES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(30 * 60),
    Duration::from_secs(24 * 60 * 60),
    Duration::from_secs(7 * 24 * 60 * 60),
];
/// The one that is chosen first.
const USUAL_AGE: usize = 1;

/// The dialog.
#[derive(Debug)]
pub struct About {
    bucket: BucketName,
    is_read_only: bool,
    info: Option<Result<BucketInfo, String>>,
    asked: RequestId,
    /// Where the number of deleted keys comes from, and the number.
    counting: Option<RequestId>,
    deleted: Option<u64>,
    age: usize,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Only the bucket is shown.
    Looking,
    /// What there is to remove is being counted.
    Counting(RequestId),
    /// It waits for the user.
    Asking(Arc<Survey>),
    /// It is being removed.
    Acting {
        id: RequestId,
        done: u64,
        of: u64,
        is_stopping: bool,
    },
    /// It was removed.
    Over(Compacted),
    /// It could not be counted or removed.
    Failed(String),
}

impl About {
    pub(super) fn new(bucket: BucketName, is_read_only: bool, ctx: &mut Context<'_>) -> Self {
        let task = BucketTask::Look(bucket.clone());
        Self {
            bucket,
            is_read_only,
            info: None,
            asked: ctx.request(|id| Effect::Bucket(id, task)),
            counting: None,
            deleted: None,
            age: USUAL_AGE,
            stage: Stage::Looking,
        }
    }

    /// Counts the keys that are deleted: for a bucket that is not too large for that.
    pub(super) fn count(&mut self, ctx: &mut Context<'_>) {
        let task = BucketTask::Survey(self.bucket.clone(), Duration::ZERO);
        self.counting = Some(ctx.request(|id| Effect::Bucket(id, task)));
    }

    fn look(&mut self, ctx: &mut Context<'_>) {
        let task = BucketTask::Look(self.bucket.clone());
        self.asked = ctx.request(|id| Effect::Bucket(id, task));
    }

    /// Counts what there is to remove.
    pub(super) fn survey(&mut self, ctx: &mut Context<'_>) {
        let task = BucketTask::Survey(self.bucket.clone(), AGES[self.age]);
        self.stage = Stage::Counting(ctx.request(|id| Effect::Bucket(id, task)));
    }

    pub(super) fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        if closes(key) {
            return Outcome::Closed;
        }
        if let Stage::Acting {
            id, is_stopping, ..
        } = &mut self.stage
        {
            if key.code == KeyCode::Char('s') && !*is_stopping {
                *is_stopping = true;
                ctx.effect(Effect::Stop(*id));
            }
            return Outcome::Open;
        }
        match (key.code, &self.stage) {
            (_, Stage::Counting(_)) => {}
            (KeyCode::Char('e'), _) => return Outcome::Edit(self.bucket.clone()),
            (KeyCode::Char('C'), _) => self.survey(ctx),
            (KeyCode::Char('a'), Stage::Asking(_)) => {
                self.age = (self.age + 1) % AGES.len();
                self.survey(ctx);
            }
            (KeyCode::Enter, Stage::Asking(found))
                if !found.old.is_empty() && !self.is_read_only =>
            {
                let of = found.old.len() as u64;
                let task = BucketTask::Compact(self.bucket.clone(), Arc::clone(found));
                self.stage = Stage::Acting {
                    id: ctx.request(|id| Effect::Bucket(id, task)),
                    done: 0,
                    of,
                    is_stopping: false,
                };
            }
            (KeyCode::Char('r'), _) => self.look(ctx),
            _ => {}
        }
        Outcome::Open
    }

    pub(super) fn answer(&mut self, id: RequestId, answer: &Result<BucketDone, Error>) -> bool {
        if id == self.asked {
            self.info = match answer {
                Ok(BucketDone::Info(info)) => Some(Ok((**info).clone())),
                Ok(_) => return true,
                Err(error) => Some(Err(error.to_string())),
            };
            return true;
        }
        if self.counting == Some(id) {
            // Who may look at a bucket may perhaps not watch it: then it is not known.
            if let Ok(BucketDone::Survey(found)) = answer {
                self.deleted = Some(found.markers());
            }
            return true;
        }
        let is_ours = match &mut self.stage {
            Stage::Counting(asked) => *asked == id,
            Stage::Acting {
                id: asked, done, ..
            } if *asked == id => {
                if let Ok(BucketDone::Compacting(now)) = answer {
                    *done = *now;
                    return true;
                }
                true
            }
            _ => false,
        };
        if is_ours {
            self.stage = match answer {
                Ok(BucketDone::Survey(found)) => Stage::Asking(Arc::clone(found)),
                Ok(BucketDone::Compacted(_, done)) => Stage::Over(*done),
                Ok(_) => Stage::Looking,
                Err(error) => Stage::Failed(error.to_string()),
            };
        }
        is_ours
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let mut lines = match &self.info {
            None => vec![("looking …".to_owned(), Role::Muted)],
            Some(Err(reason)) => vec![(reason.clone(), Role::Danger)],
            Some(Ok(info)) => about(info, self.deleted, canvas.now + canvas.ahead),
        };
        let facts = lines.len();
        self.about_markers(&mut lines);
        // What is asked, or what came of it, must not be out of sight for the sake of facts.
        if lines.len() > facts && lines.len() + 5 > usize::from(screen.height) {
            lines.drain(..=facts);
        }
        let title = format!("Bucket {}", self.bucket);
        let area = frame(canvas, &title, &lines, 1, screen);
        let words = match &self.stage {
            Stage::Asking(found) if found.old.is_empty() => "a age · e edit · Esc leave",
            Stage::Asking(_) if self.is_read_only => "a age · Esc leave",
            Stage::Asking(_) => "Enter remove · a age · Esc leave · e edit",
            Stage::Acting {
                is_stopping: true, ..
            } => "Esc leave",
            Stage::Acting { .. } => "s stop · Esc leave; it goes on",
            Stage::Counting(_) => "Esc leave",
            _ => "C compact… · e edit · Esc leave",
        };
        keys(canvas, words, area);
    }

    fn about_markers(&self, lines: &mut Vec<(String, Role)>) {
        if self.stage == Stage::Looking {
            return;
        }
        lines.push((String::new(), Role::Text));
        let older = match AGES[self.age] {
            Duration::ZERO => "of any age".to_owned(),
            age => format!("older than {}", figures::age(age)),
        };
        let line = match &self.stage {
            Stage::Looking => return,
            Stage::Counting(_) => ("counting what deleted keys left …".to_owned(), Role::Muted),
            Stage::Asking(found) => {
                let counts = format!(
                    "{} keys have a value, {} are deleted. Markers {older}: {}.",
                    figures::count(found.living),
                    figures::count(found.markers()),
                    figures::count(found.old.len() as u64)
                );
                lines.push((counts, Role::Text));
                let words = match (found.old.len(), self.is_read_only) {
                    (0, _) => "There is nothing to remove.",
                    (_, true) => "This connection is read-only: they stay.",
                    _ => {
                        "Removing them takes the history of their keys with it. Keys that are \
                         written meanwhile are left alone."
                    }
                };
                (words.to_owned(), Role::Warning)
            }
            Stage::Acting {
                done,
                of,
                is_stopping,
                ..
            } => {
                let verb = if *is_stopping { "stopping" } else { "removing" };
                let words = format!(
                    "{verb} … {} of {} {}",
                    figures::count(*done),
                    figures::count(*of),
                    figures::bar(*done, *of, facts::BAR)
                );
                (words, Role::Warning)
            }
            Stage::Over(done) => {
                let role = match done.left {
                    0 => Role::Good,
                    _ => Role::Warning,
                };
                (format!("{}.", removed(done)), role)
            }
            Stage::Failed(reason) => (reason.clone(), Role::Danger),
        };
        lines.push(line);
    }
}

/// What a compaction came to.
pub(super) fn removed(done: &Compacted) -> String {
    let passed = match done.passed_over {
        0 => String::new(),
        passed => {
            let passed = figures::count(passed);
            format!("; {passed} were written over meanwhile and stay")
        }
    };
    let left = match done.left {
        0 => String::new(),
        left => format!("; stopped, {} are left", figures::count(left)),
    };
    format!(
        "{} markers removed{passed}{left}",
        figures::count(done.removed)
    )
}

/// The facts, a line each.
fn about(info: &BucketInfo, deleted: Option<u64>, now: Millis) -> Vec<(String, Role)> {
    let mut lines = Vec::new();
    let mut fact = |name: &str, words: String, role| {
        if !words.is_empty() {
            lines.push((format!("{name:<16}{words}"), role));
        }
    };
    let config = &info.config;
    let gone = deleted.map(|deleted| format!(", {} of them deleted", figures::count(deleted)));
    let keys = format!("{}{}", figures::count(info.keys), gone.unwrap_or_default());
    fact("keys", keys, Role::Text);
    fact("entries", figures::count(info.entries), Role::Text);
    let size = figures::size(info.bytes);
    match config.max_bytes {
        None => fact("size", size, Role::Text),
        Some(limit) => {
            let words = format!("{size} of {}", facts::limit(Some(limit), Some(info.bytes)));
            fact("size", words, fullness(info.bytes, limit));
        }
    }
    let last_write = info.last_write.map_or_else(
        || "unknown".to_owned(),
        |at| {
            let ago = u64::try_from(now - millis(at)).unwrap_or(0);
            let ago = figures::age(Duration::from_millis(ago));
            format!("revision {}, {ago} ago", info.last_revision)
        },
    );
    fact("last write", last_write, Role::Text);
    for setting in Setting::ALL {
        if setting != Setting::MaxBytes {
            fact(setting.name(), shown(config, setting), Role::Muted);
        }
    }
    for (name, words) in facts::copies(info) {
        let role = if facts::is_fault(&words) {
            Role::Danger
        } else {
            Role::Text
        };
        fact(name, words, role);
    }
    lines
}

/// How much a limit should worry.
fn fullness(used: u64, limit: u64) -> Role {
    let percent = u128::from(used) * 100 / u128::from(limit.max(1));
    match percent {
        0..80 => Role::Text,
        80..95 => Role::Warning,
        _ => Role::Danger,
    }
}
