//! How long a key takes in the editor, from the key to the frame, on values of a megabyte; and what
//! the worker takes meanwhile to check, compare and join them, which no key waits for.
//!
//! `cargo bench --bench editor` prints two tables and fails when a figure is over its limit.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use kvscope::edit::save::{Base, Save};
use kvscope::edit::{Diff, Masking, Merge, Schema, Source, fault};
use kvscope::kv::{BucketName, Key, Revision};
use kvscope::ui::canvas::{Canvas, Notes};
use kvscope::ui::command::{Command, Scope};
use kvscope::ui::context::{Context, Ids};
use kvscope::ui::edits::{Opened, Opening, Place};
use kvscope::ui::keymap::Keymap;
use kvscope::ui::overlays::editor::Editor;
use kvscope::ui::placeholders::Placeholders;
use kvscope::ui::theme::Theme;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

const SIZE: usize = 1 << 20;
/// From a key to the frame that answers it.
const KEY: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let Some((keymap, theme)) = Keymap::built_in().ok().zip(Theme::built_in("dark").ok()) else {
        return ExitCode::FAILURE;
    };
    println!(
        "{:<24}{:>9}{:>12}{:>12}{:>12}{:>12}{:>14}",
        "1 MiB of", "lines", "letter", "new line", "move", "undo", "check (aside)"
    );
    let mut over = 0;
    for (name, value) in values() {
        let Some(opening) = opening(value) else {
            return ExitCode::FAILURE;
        };
        let text = opening.masked.0.clone();
        let lines = text.lines().count();
        let start = Instant::now();
        let _ = black_box(fault(&text));
        let check = start.elapsed();
        let mut bench = Bench::new(opening, &keymap, &theme);
        let mut slowest = [Duration::ZERO; 4];
        for place in [Place3::Top, Place3::Middle, Place3::End] {
            bench.go_to(place);
            for (at, keys) in [
                &[KeyCode::Char('x'), KeyCode::Backspace, KeyCode::Char('"')][..],
                &[KeyCode::Enter, KeyCode::Delete],
                &[KeyCode::Down, KeyCode::Left, KeyCode::End, KeyCode::PageUp],
            ]
            .into_iter()
            .enumerate()
            {
                for key in keys {
                    slowest[at] = slowest[at].max(bench.press(*key, KeyModifiers::NONE));
                }
            }
            slowest[3] = slowest[3].max(bench.press(KeyCode::Char('u'), KeyModifiers::CONTROL));
        }
        let [letter, line, step, undo] = slowest;
        println!(
            "{name:<24}{lines:>9}{letter:>12.1?}{line:>12.1?}{step:>12.1?}{undo:>12.1?}{check:>14.1?}"
        );
        over += slowest.iter().filter(|took| **took > KEY).count();
    }
    println!(
        "{:<33}{KEY:>12.1?}{KEY:>12.1?}{KEY:>12.1?}{KEY:>12.1?}",
        "allowed"
    );
    beside(&values());
    if over > 0 {
        println!("{over} over the limit");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What the worker does, on a thread of its own: no key waits for it.
fn beside(values: &[(&'static str, Vec<u8>)]) {
    println!(
        "\n{:<24}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "beside the keys", "is it JSON", "schema", "diff", "diff, all", "merge", "hide"
    );
    let wanted = br#"{"additionalProperties": {"type": "object", "required": ["on"]}}"#;
    let schema = Schema::new("a schema", wanted).ok();
    let masking = Masking::default();
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    for (name, value) in values {
        let base = Bytes::from(value.clone());
        let text = String::from_utf8_lossy(value).into_owned();
        let last = text.rfind(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
        // One change each, as far apart as can be.
        let mine = Bytes::from(changed(value, last));
        let first = text.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
        let theirs = Bytes::from(changed(value, first));
        let other: Vec<u8> = value
            .iter()
            .map(|byte| if *byte == b'e' { b'f' } else { *byte })
            .collect();
        let (masked, placeholders) = Placeholders::mask(&text, &masking);
        let json = time(&mut || drop(black_box(fault(&text))));
        let against = time(&mut || {
            drop(black_box(
                schema.as_ref().map(|schema| schema.violations(&base)),
            ));
        });
        let diff = time(&mut || drop(black_box(Diff::between(Some(&base), Some(&mine), &masking))));
        let all = time(&mut || {
            drop(black_box(Diff::between(
                Some(&base),
                Some(&other),
                &masking,
            )));
        });
        let merge = time(&mut || {
            let [base, mine, theirs] = [&base, &mine, &theirs].map(|side| Some(side.clone()));
            drop(black_box(
                Merge::new(base, mine, theirs, masking.clone()).result(),
            ));
        });
        let hide = time(&mut || drop(black_box(placeholders.hide(&masked, &masking))));
        println!(
            "{name:<24}{json:>12.1?}{against:>12.1?}{diff:>12.1?}{all:>12.1?}{merge:>12.1?}{hide:>12.1?}"
        );
    }
}

/// The same with one letter or digit changed.
fn changed(value: &[u8], at: usize) -> Vec<u8> {
    let mut value = value.to_vec();
    if let Some(byte) = value.get_mut(at) {
        *byte = if *byte == b'1' { b'2' } else { b'1' };
    }
    value
}

#[derive(Clone, Copy)]
enum Place3 {
    Top,
    Middle,
    End,
}

/// An editor with a screen.
struct Bench<'a> {
    editor: Editor,
    keymap: &'a Keymap,
    theme: &'a Theme,
    terminal: Terminal<TestBackend>,
    ids: Ids,
    lines: usize,
}

impl<'a> Bench<'a> {
    fn new(opening: Opening, keymap: &'a Keymap, theme: &'a Theme) -> Self {
        let lines = opening.masked.0.lines().count();
        let mut ids = Ids::default();
        let (mut effects, mut notice) = (Vec::new(), None);
        let mut ctx = Context::new(0, &mut ids, &mut effects, &mut notice);
        let editor = Editor::new(opening, false, &mut ctx);
        let terminal = Terminal::new(TestBackend::new(200, 60));
        let Ok(terminal) = terminal;
        let mut bench = Self {
            editor,
            keymap,
            theme,
            terminal,
            ids,
            lines,
        };
        bench.draw();
        bench
    }

    fn go_to(&mut self, place: Place3) {
        let key = match place {
            Place3::Top | Place3::Middle => KeyCode::Home,
            Place3::End => KeyCode::End,
        };
        self.press(key, KeyModifiers::CONTROL);
        if let Place3::Middle = place {
            self.editor
                .scroll(isize::try_from(self.lines / 2).unwrap_or(0));
            self.press(KeyCode::End, KeyModifiers::NONE);
        }
    }

    /// Presses a key; how long it took until the frame was there.
    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Duration {
        let key = KeyEvent::new(code, modifiers);
        let start = Instant::now();
        let command: Option<Command> = self.keymap.command(&[Scope::Editor], key);
        let (mut effects, mut notice) = (Vec::new(), None);
        let mut ctx = Context::new(0, &mut self.ids, &mut effects, &mut notice);
        self.editor.key(key, command, &mut ctx);
        self.draw();
        start.elapsed()
    }

    fn draw(&mut self) {
        let (editor, theme) = (&self.editor, self.theme);
        let mut notes = Notes::default();
        let drawn = self.terminal.draw(|frame| {
            let area = frame.area();
            let mut canvas = Canvas {
                frame,
                theme,
                now: 0,
                ahead: 0,
                notes: Notes::default(),
            };
            editor.draw(&mut canvas, area);
            notes = canvas.notes;
        });
        let Ok(_) = drawn;
        if let Some((rows, columns)) = notes.size_of(kvscope::ui::canvas::Pane::Overlay) {
            self.editor.fit(rows, columns);
        }
    }
}

fn opening(value: Vec<u8>) -> Option<Opening> {
    let place = Place {
        bucket: BucketName::new("config").ok()?,
        key: Key::new("app.limits").ok()?,
    };
    let masking = Masking::default();
    let source = Source::open(Bytes::from(value));
    let base = Base {
        revision: Revision(1),
        value: Some(source.stored().clone()),
        ttl: None,
    };
    Some(Opening {
        masked: Placeholders::mask(source.text(), &masking),
        save: Save::new(place.key.clone(), base),
        opened: Opened {
            address: "".into(),
            place,
            source,
            masking,
            schema: None,
            entry_ttl: false,
            ttl: None,
        },
        draft: None,
    })
}

fn values() -> Vec<(&'static str, Vec<u8>)> {
    let member = |at: usize| {
        format!(
            r#""service-{at}":{{"url":"https://pay.example/v{at}","retries":{at},"tags":["a","b"],"on":true}}"#
        )
    };
    let members: Vec<_> = (0..SIZE / 90).map(member).collect();
    let minified = format!("{{{}}}", members.join(","));
    let secrets: Vec<_> = (0..SIZE / 60)
        .map(|at| format!(r#""service-{at}":{{"dbPassword":"hunter{at}","on":true}}"#))
        .collect();
    let pretty = serde_json::from_str::<serde_json::Value>(&minified)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_default();
    vec![
        ("indented JSON", pretty.into_bytes()),
        (
            "secrets, indented",
            format!("{{\n{}\n}}", secrets.join(",\n")).into_bytes(),
        ),
        (
            "secrets in one line",
            format!("{{\n{}}}", secrets.join(",")).into_bytes(),
        ),
        (
            "minified with a break",
            minified.replacen(',', ",\n", 1).into_bytes(),
        ),
        (
            "numbers, one a line",
            format!("[\n{}0]", "0,\n".repeat(SIZE / 3)).into_bytes(),
        ),
        (
            "one string",
            format!("[\n\"{}\"]", "x".repeat(SIZE)).into_bytes(),
        ),
        ("Japanese text", "日本\n".repeat(SIZE / 7).into_bytes()),
        ("brackets alone", "[\n".repeat(SIZE / 2).into_bytes()),
    ]
}
