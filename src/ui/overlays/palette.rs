//! The palette: commands by name, found fuzzily, with what they take and a memory of what was run.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use ratatui::layout::Rect;
use ratatui::text::Line;
use tui_input::Input;

use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::command::{Argument, COMMANDS, Command, Scope, Spec};
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::shown;
use crate::ui::theme::Role;
use crate::ui::widgets::input_line;

/// The open palette.
#[derive(Debug)]
pub struct Palette {
    input: Input,
    cursor: usize,
    top: usize,
    /// The commands that can be run where it was opened, in the order of the table.
    specs: Vec<&'static Spec>,
    /// What can stand behind a command's name, where that is known.
    words: Vec<(Command, Vec<String>)>,
    /// What was run before, the latest last.
    history: Vec<String>,
    /// The place in the history that the line was taken from.
    recalled: Option<usize>,
    matches: Vec<Match>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Match {
    spec: &'static Spec,
    argument: Option<String>,
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.command == other.command
    }
}

impl Eq for Spec {}

/// What a key did to the palette.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed.
    Closed,
    /// It is closed, and this is to be run. The text is what was typed, for the history.
    Run {
        /// The command.
        command: Command,
        /// What stood behind its name.
        argument: Option<String>,
        /// The whole line.
        line: String,
    },
}

impl Palette {
    /// How many commands are in sight at once.
    const ROWS: usize = 10;

    /// A palette for the commands of these scopes.
    pub fn new(scopes: &[Scope], words: Vec<(Command, Vec<String>)>, history: Vec<String>) -> Self {
        let in_reach = |spec: &&Spec| {
            spec.command != Command::Palette
                && (spec.scopes.is_empty()
                    || spec.reachable
                    || spec.scopes.iter().any(|s| scopes.contains(s)))
                && spec.scopes != [Scope::Rows]
        };
        let mut palette = Self {
            input: Input::default(),
            cursor: 0,
            top: 0,
            specs: COMMANDS.iter().filter(in_reach).collect(),
            words,
            history,
            recalled: None,
            matches: Vec::new(),
        };
        palette.search();
        palette
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent) -> Outcome {
        match type_key(&mut self.input, key) {
            Typed::Changed => {
                self.recalled = None;
                self.search();
            }
            Typed::Cancelled => return Outcome::Closed,
            Typed::Accepted => return self.run(),
            Typed::Nothing => {}
            Typed::Unused => self.move_or_complete(key),
        }
        Outcome::Open
    }

    /// Pastes into the line.
    pub fn paste(&mut self, text: &str) {
        paste(&mut self.input, text);
        self.search();
    }

    /// Chooses a row that was clicked and runs it.
    pub fn click(&mut self, row: usize) -> Outcome {
        self.cursor = row;
        self.run()
    }

    fn move_or_complete(&mut self, key: KeyEvent) {
        let typing = !self.input.value().is_empty() && self.recalled.is_none();
        match key.code {
            KeyCode::Up if !typing => self.recall(-1),
            KeyCode::Down if self.recalled.is_some() => self.recall(1),
            KeyCode::Up => self.move_cursor(self.cursor.saturating_sub(1)),
            KeyCode::Down => self.move_cursor(self.cursor + 1),
            KeyCode::Tab if key.modifiers == KeyModifiers::NONE => self.complete(),
            _ => {}
        }
    }

    fn move_cursor(&mut self, to: usize) {
        self.cursor = to.min(self.matches.len().saturating_sub(1));
        self.top = self
            .top
            .clamp((self.cursor + 1).saturating_sub(Self::ROWS), self.cursor);
    }

    fn recall(&mut self, step: isize) {
        let at = self
            .recalled
            .unwrap_or(self.history.len())
            .saturating_add_signed(step);
        let line = self.history.get(at).cloned().unwrap_or_default();
        self.recalled = (at < self.history.len()).then_some(at);
        self.input = Input::new(line);
        self.search();
    }

    fn complete(&mut self) {
        if let Some(Match { spec, argument }) = self.matches.get(self.cursor) {
            let line = match argument {
                Some(argument) => format!("{} {argument}", spec.name),
                None if spec.argument == Argument::None => spec.name.to_owned(),
                None => format!("{} ", spec.name),
            };
            self.input = Input::new(line);
            self.search();
        }
    }

    fn run(&mut self) -> Outcome {
        let Some(Match { spec, argument }) = self.matches.get(self.cursor).cloned() else {
            return Outcome::Open;
        };
        if argument.is_none() && matches!(spec.argument, Argument::Needed(_)) {
            self.complete();
            return Outcome::Open;
        }
        let line = match &argument {
            Some(argument) => format!("{} {argument}", spec.name),
            None => spec.name.to_owned(),
        };
        Outcome::Run {
            command: spec.command,
            argument,
            line,
        }
    }

    fn search(&mut self) {
        self.cursor = 0;
        self.top = 0;
        let typed = self.input.value().trim_start().to_owned();
        self.matches = match typed.split_once(' ') {
            Some((name, rest)) => self.matches_with_argument(name, rest),
            None => fuzzy(&typed, &self.specs, |spec| spec.name)
                .into_iter()
                .map(|spec| Match {
                    spec,
                    argument: None,
                })
                .collect(),
        };
    }

    /// The command's name is complete: known words that match what stands behind it, and last
    /// what stands there itself.
    fn matches_with_argument(&self, name: &str, rest: &str) -> Vec<Match> {
        let Some(spec) = self.specs.iter().find(|spec| spec.name == name).copied() else {
            return Vec::new();
        };
        if spec.argument == Argument::None {
            return Vec::new();
        }
        let known = self
            .words
            .iter()
            .find(|(command, _)| *command == spec.command);
        let known: Vec<&str> = known.map_or(Vec::new(), |(_, words)| {
            words.iter().map(String::as_str).collect()
        });
        let is_known = known.contains(&rest);
        let is_open = known.is_empty() || spec.command.takes_other_words();
        let mut matches: Vec<Match> = fuzzy(rest, &known, |word| word)
            .into_iter()
            .map(|word| Match {
                spec,
                argument: Some(word.to_owned()),
            })
            .collect();
        if is_known {
            // What is spelt out is meant, however much like another it is.
            matches.sort_by_key(|found| found.argument.as_deref() != Some(rest));
        } else if is_open && (known.is_empty() || !rest.is_empty()) {
            matches.push(Match {
                spec,
                argument: (!rest.is_empty()).then(|| rest.to_owned()),
            });
        }
        matches
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let rows = self.matches.len().min(Self::ROWS);
        let height = u16::try_from(rows).unwrap_or_default() + 3;
        let width = screen.width.saturating_sub(4).min(90);
        let area = Rect {
            x: screen.x + (screen.width - width) / 2,
            y: screen.y + screen.height.saturating_sub(height).min(2),
            width,
            height: height.min(screen.height),
        };
        canvas.clear(area);
        let title = Line::from(canvas.span(" Command ", Role::Title));
        let inner = canvas.pane(title, true, area);
        canvas.hit(area, Hit::Pane(Pane::Overlay));
        input_line(
            canvas,
            ":",
            &self.input,
            Rect {
                height: inner.height.min(1),
                ..inner
            },
        );
        let in_sight = self.matches.iter().enumerate().skip(self.top).take(rows);
        for (line, (row, found)) in in_sight.enumerate() {
            let y = inner.y + 1 + u16::try_from(line).unwrap_or_default();
            if y >= inner.bottom() {
                break;
            }
            let area = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.hit(area, Hit::Row(Pane::Overlay, row));
            if row == self.cursor {
                canvas.lay(Role::Selection, area);
            }
            canvas.line(row_of(canvas, found, usize::from(inner.width)), area);
        }
    }
}

fn row_of(canvas: &Canvas<'_, '_>, found: &Match, width: usize) -> Line<'static> {
    let takes = match (&found.argument, found.spec.argument) {
        (Some(argument), _) => shown::plain(argument),
        (None, Argument::None) => String::new(),
        (None, Argument::Optional(word)) => format!("[{word}]"),
        (None, Argument::Needed(word)) => word.to_owned(),
    };
    let name = format!(" {} {takes} ", found.spec.name);
    let name = format!("{name:<22}");
    let room = width.saturating_sub(name.chars().count());
    Line::from(vec![
        canvas.span(name, Role::KeyHint),
        canvas.span(shown::short(found.spec.doc, room), Role::Muted),
    ])
}

/// The items that match, the best first; all of them, in order, for an empty pattern.
fn fuzzy<T: Copy>(pattern: &str, items: &[T], name: impl Fn(&T) -> &str) -> Vec<T> {
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(pattern, CaseMatching::Smart, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, T)> = items
        .iter()
        .filter_map(|item| {
            let name = nucleo_matcher::Utf32Str::new(name(item), &mut buffer);
            Some((pattern.score(name, &mut matcher)?, *item))
        })
        .collect();
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette() -> Palette {
        let words = vec![(
            Command::Bucket,
            vec!["config".to_owned(), "flags".to_owned()],
        )];
        Palette::new(
            &[Scope::Keys, Scope::Global],
            words,
            vec!["tree".to_owned()],
        )
    }

    fn type_all(palette: &mut Palette, text: &str) -> Outcome {
        let mut last = Outcome::Open;
        for letter in text.chars() {
            let code = if letter == '\n' {
                KeyCode::Enter
            } else {
                KeyCode::Char(letter)
            };
            last = palette.key(KeyEvent::new(code, KeyModifiers::NONE));
        }
        last
    }

    fn run(command: Command, argument: Option<&str>, line: &str) -> Outcome {
        Outcome::Run {
            command,
            argument: argument.map(str::to_owned),
            line: line.to_owned(),
        }
    }

    #[test]
    fn a_few_letters_find_a_command() {
        assert_eq!(
            type_all(&mut palette(), "qu\n"),
            run(Command::Quit, None, "quit")
        );
        assert_eq!(
            type_all(&mut palette(), "cpval\n"),
            run(Command::CopyValue, None, "copy-value")
        );
        assert_eq!(type_all(&mut palette(), "zzz\n"), Outcome::Open);
    }

    #[test]
    fn arguments_are_completed_or_taken_as_typed() {
        let bucket = |argument| {
            run(
                Command::Bucket,
                Some(argument),
                &format!("bucket {argument}"),
            )
        };
        assert_eq!(type_all(&mut palette(), "bucket fl\n"), bucket("flags"));
        let filter = run(Command::Filter, Some("!a b"), "filter !a b");
        assert_eq!(type_all(&mut palette(), "filter !a b\n"), filter);
        let mut needs_more = palette();
        assert_eq!(type_all(&mut needs_more, "key\n"), Outcome::Open);
        assert_eq!(
            type_all(&mut needs_more, "a.b\n"),
            run(Command::Key, Some("a.b"), "key a.b")
        );
    }

    #[test]
    fn a_name_that_is_not_listed_can_be_typed() {
        let mut palette = palette();
        type_all(&mut palette, "bucket fla");
        palette.key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
        assert_eq!(
            type_all(&mut palette, "\n"),
            run(Command::Bucket, Some("fla"), "bucket fla")
        );
        assert_eq!(
            type_all(&mut self::palette(), "bucket hidden\n"),
            run(Command::Bucket, Some("hidden"), "bucket hidden")
        );
    }

    #[test]
    fn what_was_run_before_comes_back() {
        let mut palette = palette();
        palette.key(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE));
        assert_eq!(
            type_all(&mut palette, "\n"),
            run(Command::Tree, None, "tree")
        );
    }
}
