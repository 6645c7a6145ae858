//! Where a place is chosen: at the start when the server is not there, and at any time on request.

use std::collections::BTreeMap;

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::kv::Error;
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::context::Context;
use crate::ui::message::{Effect, RequestId, Target};
use crate::ui::shown;
use crate::ui::theme::Role;
use crate::ui::viewport::{Step, Viewport};
use crate::ui::widgets::{below, wrapped};

/// The screen.
#[derive(Debug, Default)]
pub struct Connect {
    /// The contexts that the nats CLI knows.
    contexts: Vec<Target>,
    /// What is to be said of them, by name.
    about: BTreeMap<String, String>,
    asked: Option<RequestId>,
    /// What is being tried, and by which number the answer comes.
    trying: Option<(RequestId, Target)>,
    /// What was tried last, and how it went wrong.
    failed: Option<(Target, String)>,
    /// Where we are; where we never were anywhere, what the command line named.
    here: Target,
    cursor: usize,
    /// Which rows are in sight.
    pub viewport: Viewport,
}

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Go there once more: where we are, or what failed last.
    Again(Target),
    /// Go there.
    Go(Target),
    /// Ask for a file's name, then go there.
    AskForFile,
}

impl Connect {
    /// The screen, and what is to be said of contexts by their names.
    pub fn new(about: BTreeMap<String, String>) -> Self {
        Self {
            about,
            ..Self::default()
        }
    }

    /// Asks for the places to choose from.
    pub fn ask(&mut self, ctx: &mut Context<'_>) {
        self.asked = Some(ctx.request(Effect::Places));
    }

    /// Takes the places.
    pub fn answer(&mut self, id: RequestId, places: Vec<Target>) {
        if self.asked == Some(id) {
            self.asked = None;
            self.contexts = places;
        }
    }

    /// Goes to a place.
    pub fn go(&mut self, target: Target, ctx: &mut Context<'_>) {
        let id = ctx.request(|id| Effect::Connect(id, target.clone()));
        self.trying = Some((id, target));
    }

    /// Tries the last place again.
    pub fn retry(&mut self, ctx: &mut Context<'_>) {
        if self.trying.is_none() {
            self.go(self.last().clone(), ctx);
        }
    }

    /// What was tried last.
    fn last(&self) -> &Target {
        let failed = self.failed.as_ref();
        failed.map_or(&self.here, |(target, _)| target)
    }

    /// Whether this is the answer to the latest attempt.
    pub fn awaits(&self, id: RequestId) -> bool {
        self.trying
            .as_ref()
            .is_some_and(|(trying, _)| *trying == id)
    }

    /// It worked. The place is the one that was tried.
    pub fn connected(&mut self) {
        if let Some((_, target)) = self.trying.take() {
            self.here = target;
        }
        self.failed = None;
    }

    /// It did not.
    pub fn refused(&mut self, error: &Error) {
        if let Some((_, target)) = self.trying.take() {
            self.failed = Some((target, error.to_string()));
        }
    }

    /// The names of the contexts that are known.
    pub fn context_names(&self) -> Vec<String> {
        let names = self.contexts.iter().filter_map(|target| match target {
            Target::Context(name) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    /// What can be chosen.
    pub fn choices(&self) -> Vec<Choice> {
        let last = self.last();
        let mut choices = vec![Choice::Again(last.clone())];
        if *last != Target::Given {
            choices.push(Choice::Go(Target::Given));
        }
        choices.extend(self.contexts.iter().cloned().map(Choice::Go));
        choices.extend([Choice::AskForFile, Choice::Go(Target::Demo)]);
        choices
    }

    /// Moves over the choices.
    pub fn step(&mut self, step: Step) {
        let len = self.choices().len();
        self.select(step.from(self.cursor, self.viewport, len));
    }

    /// Selects a choice.
    pub fn select(&mut self, row: usize) {
        let len = self.choices().len();
        self.cursor = row.min(len.saturating_sub(1));
        self.viewport.follow(self.cursor, len);
    }

    /// The selected choice.
    pub fn selected(&self) -> Option<Choice> {
        self.choices().into_iter().nth(self.cursor)
    }

    /// Draws it. `given` is what the command line named, in words.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, given: &str, area: Rect) {
        let title = Line::from(canvas.span(" Where to? ", Role::Title));
        let mut inner = canvas.pane(title, true, area);
        canvas.hit(area, Hit::Pane(Pane::Connect));
        let (words, role) = self.state(given);
        for line in wrapped(
            &shown::plain(&words),
            usize::from(inner.width.saturating_sub(2)),
        ) {
            if inner.height == 0 {
                return;
            }
            let line = Line::from(canvas.span(format!(" {line}"), role));
            canvas.line(line, Rect { height: 1, ..inner });
            inner = below(inner, 1);
        }
        inner = below(inner, 1);
        canvas.rows_in(Pane::Connect, inner);
        let choices = self.choices();
        let viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        for (y, row) in (inner.y..).zip(viewport.rows(choices.len())) {
            let Some(choice) = choices.get(row) else {
                break;
            };
            let line = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.hit(line, Hit::Row(Pane::Connect, row));
            if row == self.cursor {
                canvas.lay(Role::Selection, line);
            }
            let (name, what) = in_words(choice, given, &self.about);
            let spans = vec![
                canvas.span(format!(" {} ", shown::fitted(&name, 26)), Role::Text),
                canvas.span(shown::plain(&what), Role::Muted),
            ];
            canvas.line(Line::from(spans), line);
        }
    }

    /// What is going on, in words that are not yet fit for the screen.
    fn state(&self, given: &str) -> (String, Role) {
        match (&self.trying, &self.failed) {
            (Some((_, target)), _) => (
                format!("Connecting to {} …", name_of(target, given)),
                Role::Text,
            ),
            (None, Some((target, reason))) => {
                let name = name_of(target, given);
                // Most reasons name the place themselves.
                let words = if reason.contains(&name) {
                    format!("{reason}.")
                } else {
                    format!("Tried {name}: {reason}.")
                };
                (words, Role::Danger)
            }
            (None, None) => ("Choose a place to go to.".to_owned(), Role::Text),
        }
    }
}

fn name_of(target: &Target, given: &str) -> String {
    match target {
        Target::Given => given.to_owned(),
        Target::Context(name) => format!("the context {name}"),
        Target::File(path) => path.display().to_string(),
        Target::Demo => "the demo".to_owned(),
    }
}

/// What a choice is called, and what it is: not yet fit for the screen.
fn in_words(choice: &Choice, given: &str, about: &BTreeMap<String, String>) -> (String, String) {
    match choice {
        Choice::Again(target) => ("Try again".to_owned(), name_of(target, given)),
        Choice::Go(Target::Given) => ("Where you began".to_owned(), given.to_owned()),
        Choice::Go(Target::Context(name)) => {
            let about = about.get(name).filter(|words| !words.is_empty());
            let words = about.map_or("a context of the nats CLI", String::as_str);
            (name.clone(), words.to_owned())
        }
        Choice::Go(Target::File(path)) => (path.display().to_string(), "a local file".to_owned()),
        Choice::Go(Target::Demo) => (
            "Demo".to_owned(),
            "sample data in a temporary file".to_owned(),
        ),
        Choice::AskForFile => (
            "Open a file …".to_owned(),
            "a bucket file on this machine".to_owned(),
        ),
    }
}
