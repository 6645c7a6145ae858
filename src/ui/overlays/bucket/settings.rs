//! Making a bucket, and changing its settings: one form for both.
//!
//! ```text
//! ┌ Bucket config ───────────────────────────────────────────┐
//! │   description    what it is for                          │
//! │ ● history        5                                       │
//! │   storage        file  (fixed)                           │
//! │ entries kept per key                                     │
//! │ kvscope bucket edit config --history 5                   │
//! │ Ctrl-s save · Tab next · Esc leave                       │
//! └──────────────────────────────────────────────────────────┘
//! ```

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{BucketDone, BucketTask, Outcome, frame, keys};
use crate::kv::backend::{Availability, BucketConfig, Capabilities, Offered, Setting};
use crate::kv::{BucketName, Error};
use crate::ui::bucket::{command, hint, set, shown};
use crate::ui::canvas::Canvas;
use crate::ui::context::Context;
use crate::ui::message::{Effect, RequestId};
use crate::ui::overlays::form::{Field, Form, Pressed};
use crate::ui::shown as text;
use crate::ui::theme::Role;
use crate::ui::widgets::wrapped;

/// The field of the name; those of the settings follow.
const NAME: usize = 0;

/// The form.
#[derive(Debug)]
pub struct SettingsForm {
    /// The bucket to change; none to make one.
    bucket: Option<BucketName>,
    offered: Offered,
    max_history: u64,
    is_read_only: bool,
    /// The settings as they were seen: those of the bucket, or of a new one.
    seen: Option<BucketConfig>,
    form: Form,
    stage: Stage,
    /// Why the last attempt came to nothing.
    failed: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// The settings are being read.
    Loading(RequestId),
    /// The user types.
    Typing,
    /// The user wants to leave, and would lose something.
    Leaving,
    /// It is being done.
    Saving(RequestId),
    /// It is done.
    Over,
    /// The settings can't be read.
    Failed(String),
}

impl SettingsForm {
    pub(super) fn new(capabilities: &Capabilities) -> Self {
        let mut form = Self::empty(None, capabilities, Stage::Typing);
        form.fill(None);
        form
    }

    pub(super) fn edit(
        bucket: BucketName,
        capabilities: &Capabilities,
        ctx: &mut Context<'_>,
    ) -> Self {
        let task = BucketTask::Look(bucket.clone());
        let id = ctx.request(|id| Effect::Bucket(id, task));
        Self::empty(Some(bucket), capabilities, Stage::Loading(id))
    }

    fn empty(bucket: Option<BucketName>, capabilities: &Capabilities, stage: Stage) -> Self {
        Self {
            bucket,
            offered: capabilities.settings,
            max_history: capabilities.max_history,
            is_read_only: capabilities.read_only,
            seen: None,
            form: Form::new(Vec::new()),
            stage,
            failed: None,
        }
    }

    /// Makes the fields for these settings; without any, for those of a new bucket.
    fn fill(&mut self, seen: Option<BucketConfig>) {
        let name = Field::new(
            "name",
            seen.as_ref().map_or("", |config| config.name.as_str()),
            "letters, digits, - and _",
        );
        let mut fields = vec![match &seen {
            Some(_) => name.locked("a bucket keeps its name"),
            None => name,
        }];
        let config = seen.clone().or_else(|| plain("new").ok());
        let Some(config) = config else {
            return;
        };
        for setting in Setting::ALL {
            let what = match setting {
                Setting::History => format!("{}: 1 to {}", hint(setting), self.max_history),
                _ => hint(setting).to_owned(),
            };
            let mut field = Field::new(setting.name(), &shown(&config, setting), what);
            field = match setting {
                Setting::Storage => field.one_of(&["file", "memory"]),
                Setting::Compression => field.one_of(&["no", "yes"]),
                _ => field,
            };
            fields.push(match (self.offered.of(setting), &seen) {
                (Availability::Missing(why), _) => field.locked(why.to_string()),
                (Availability::Fixed(why), Some(_)) => field.locked(why.to_string()),
                _ if self.is_read_only => field.locked("this connection is read-only"),
                _ => field,
            });
        }
        self.seen = seen;
        self.form = Form::new(fields);
    }

    /// What the fields come to, or which of them makes no sense.
    fn wanted(&self) -> Result<BucketConfig, Vec<(usize, String)>> {
        let mut wrong = Vec::new();
        let base = match &self.seen {
            Some(seen) => Ok(seen.clone()),
            None => plain(self.form.text(NAME)),
        };
        let mut config = match base {
            Ok(config) => config,
            Err(error) => {
                wrong.push((NAME, error));
                match plain("new") {
                    Ok(config) => config,
                    Err(_) => return Err(wrong),
                }
            }
        };
        for (field, setting) in (NAME + 1..).zip(Setting::ALL) {
            // What was not touched stays as it is, even where its text could mean something else.
            if !self.form.is_changed(field) {
                continue;
            }
            if let Err(error) = set(&mut config, setting, self.form.text(field)) {
                wrong.push((field, error.to_string()));
            } else if setting == Setting::History && config.history > self.max_history {
                wrong.push((field, format!("at most {}", self.max_history)));
            }
        }
        if wrong.is_empty() {
            Ok(config)
        } else {
            Err(wrong)
        }
    }

    fn check(&mut self) {
        let wrong = self.wanted().err().unwrap_or_default();
        for field in 0..=Setting::ALL.len() {
            let error = wrong.iter().find(|(at, _)| *at == field);
            // A name that is still being typed is no fault yet.
            let is_begun = field != NAME || !self.form.text(NAME).is_empty();
            let error = error.filter(|_| is_begun).map(|(_, words)| words.clone());
            self.form.set_error(field, error);
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        match self.stage {
            Stage::Typing => {}
            Stage::Leaving => {
                if super::closes(key) {
                    return Outcome::Closed;
                }
                self.stage = Stage::Typing;
                return Outcome::Open;
            }
            _ if super::closes(key) => return Outcome::Closed,
            _ => return Outcome::Open,
        }
        match self.form.key(key) {
            Pressed::Nothing => {}
            Pressed::Changed => {
                self.failed = None;
                self.check();
            }
            Pressed::Leave if self.form.is_touched() => self.stage = Stage::Leaving,
            Pressed::Leave => return Outcome::Closed,
            Pressed::Save => return self.save(ctx),
        }
        Outcome::Open
    }

    fn save(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if self.is_read_only {
            self.failed = Some("This connection is read-only.".to_owned());
            return Outcome::Open;
        }
        let wanted = match self.wanted() {
            Ok(wanted) => Box::new(wanted),
            Err(wrong) => {
                for (field, error) in wrong {
                    self.form.set_error(field, Some(error));
                }
                self.form.go_to_error();
                return Outcome::Open;
            }
        };
        let task = match &self.seen {
            Some(seen) if *seen == *wanted => return Outcome::Closed,
            Some(seen) => BucketTask::Change {
                seen: Box::new(seen.clone()),
                wanted,
            },
            None => BucketTask::Make(wanted),
        };
        self.failed = None;
        self.stage = Stage::Saving(ctx.request(|id| Effect::Bucket(id, task)));
        Outcome::Open
    }

    pub(super) fn answer(&mut self, id: RequestId, answer: &Result<BucketDone, Error>) -> bool {
        match (&self.stage, answer) {
            (Stage::Loading(asked), Ok(BucketDone::Info(info))) if *asked == id => {
                self.stage = Stage::Typing;
                self.fill(Some(info.config.clone()));
            }
            (Stage::Loading(asked), Err(error)) if *asked == id => {
                self.stage = Stage::Failed(error.to_string());
            }
            (Stage::Saving(asked), Err(error)) if *asked == id => {
                self.stage = Stage::Typing;
                self.failed = Some(error.to_string());
            }
            (Stage::Saving(asked), Ok(_)) if *asked == id => self.stage = Stage::Over,
            _ => return false,
        }
        true
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn paste(&mut self, text: &str) {
        if self.stage == Stage::Typing {
            self.form.paste(text);
            self.check();
        }
    }

    pub(super) fn select(&mut self, row: usize) {
        self.form.select(row);
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let title = match &self.bucket {
            Some(bucket) => format!("Bucket {bucket}"),
            None => "New bucket".to_owned(),
        };
        let waiting = match &self.stage {
            Stage::Loading(_) => Some(("reading its settings …".to_owned(), Role::Muted)),
            Stage::Failed(reason) => Some((reason.clone(), Role::Danger)),
            _ => None,
        };
        if let Some(words) = waiting {
            let area = frame(canvas, &title, &[words], 1, screen);
            keys(canvas, "Esc leave", area);
            return;
        }
        // The words below the fields take four rows, and the keys one. Where there is little room,
        // the fields get the larger half of it.
        let extra = (self.form.height() + 5).min(screen.height.saturating_sub(2));
        let area = frame(canvas, &title, &[], extra, screen);
        let above_keys = area.height.saturating_sub(1);
        let rows_below = (above_keys / 2).min(4);
        let fields = Rect {
            height: above_keys - rows_below,
            ..area
        };
        self.form.draw(canvas, fields);
        let room = usize::from(area.width.saturating_sub(2));
        let below = self.words_below();
        let rows = below.into_iter().flat_map(|(words, role)| {
            let lines = wrapped(&text::plain(&words), room);
            lines.into_iter().map(move |line| (line, role))
        });
        let places = area.rows().skip(usize::from(fields.height));
        let places = places.take(usize::from(rows_below));
        for ((line, role), place) in rows.zip(places) {
            canvas.line(Line::from(canvas.span(format!(" {line}"), role)), place);
        }
        let words = match self.stage {
            Stage::Leaving => "Esc leave, lose it · any other key: back",
            Stage::Saving(_) => "Esc leave; it goes on",
            _ => "Ctrl-s save · Esc leave · Tab next · ‹ › choose",
        };
        keys(canvas, words, area);
    }

    /// What the field takes or what is wrong, and what saving would do.
    fn words_below(&self) -> Vec<(String, Role)> {
        let mut lines = vec![self.form.words()];
        match (&self.stage, &self.failed) {
            (Stage::Saving(_), _) => lines.push(("saving …".to_owned(), Role::Warning)),
            (Stage::Leaving, _) => {
                lines.push(("What you typed is not saved yet.".to_owned(), Role::Warning));
            }
            (_, Some(reason)) => lines.push((reason.clone(), Role::Danger)),
            _ => match self.wanted() {
                Ok(wanted) if self.seen.as_ref() != Some(&wanted) => {
                    let line = command(self.seen.as_ref(), &wanted);
                    lines.push((line, Role::Text));
                }
                _ => {}
            },
        }
        lines
    }
}

fn plain(name: &str) -> Result<BucketConfig, String> {
    match BucketName::new(name) {
        Ok(name) => Ok(BucketConfig::new(name)),
        Err(error) => Err(error.to_string()),
    }
}
