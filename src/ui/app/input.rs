//! Keys, pastes and commands: who takes them. The mouse is in `pointer.rs`.

use crossterm::event::{Event, KeyEvent, KeyEventKind};

use super::{App, Screen, context};
use crate::kv::lock::session::Session;
use crate::kv::{BucketName, Key};
use crate::ui::command::Command;
use crate::ui::context::{Context, copy};
use crate::ui::filter::Typed;
use crate::ui::message::{Effect, Target};
use crate::ui::overlays::Overlay;
use crate::ui::overlays::help::Help;
use crate::ui::overlays::palette::{self, Palette};
use crate::ui::overlays::prompt::{self, Prompt, Question};
use crate::ui::overlays::tour::{self, Tour};
use crate::ui::screens::browse::Wish;
use crate::ui::screens::connect::Choice;
use crate::ui::screens::locks::{self, Which};
use crate::ui::theme::Theme;
use crate::ui::viewport::Step;

impl App {
    pub(super) fn input(&mut self, event: Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(key),
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::Paste(text) => self.paste(&text),
            Event::Resize(..) => {}
            _ => self.dirty = false,
        }
    }

    fn key(&mut self, key: KeyEvent) {
        self.notice = None;
        if let Some(Overlay::Tour(tour)) = self.overlays.last_mut() {
            match tour.key(key) {
                tour::Outcome::On(screen) => return self.go_to(screen),
                tour::Outcome::Closed => {
                    self.overlays.pop();
                    return;
                }
                tour::Outcome::Passed => {
                    self.overlays.pop();
                }
            }
        }
        if let Some(overlay) = self.overlays.last_mut() {
            match overlay {
                Overlay::Palette(palette) => {
                    let outcome = palette.key(key);
                    self.palette_did(outcome);
                }
                Overlay::Prompt(prompt) => {
                    let outcome = prompt.key(key);
                    self.prompt_did(outcome);
                }
                Overlay::Breaking(dialog) => {
                    let mut ctx = context!(self);
                    let outcome = dialog.key(key, &mut ctx);
                    self.breaking_did(&outcome);
                }
                // It had its turn.
                Overlay::Tour(_) => {}
                Overlay::Bucket(dialog) => {
                    let mut ctx = context!(self);
                    let outcome = dialog.key(key, &mut ctx);
                    self.bucket_dialog_did(outcome);
                }
                Overlay::Help(help) => match self.keymap.command(&super::draw::HELP_SCOPES, key) {
                    Some(Command::Back | Command::Help | Command::Quit) => {
                        self.overlays.pop();
                    }
                    Some(command) => {
                        if let Some(step) = Step::of(command) {
                            help.step(step, &self.keymap);
                        }
                    }
                    None => {}
                },
                _ => self.edit_key(key),
            }
            return;
        }
        if self.type_into_filter(key) {
            return;
        }
        if let Some(command) = self.keymap.command(&self.scopes(), key) {
            self.run(command, None);
        }
    }

    /// Types into the filter that is open, if one is.
    fn type_into_filter(&mut self, key: KeyEvent) -> bool {
        match self.screen {
            Screen::Browse => {
                let mut ctx = context!(self);
                self.browse.type_into_filter(key, &mut ctx)
            }
            Screen::Locks => {
                let step = self.keymap.command(&self.scopes(), key).and_then(Step::of);
                let mut ctx = context!(self);
                self.locks.type_into_filter(key, step, &mut ctx)
            }
            Screen::Activity if self.activity.filter.is_typing() => {
                match self.activity.filter.key(key) {
                    Typed::Changed => self.activity.filter_changed(),
                    Typed::Unused => {
                        let step = self.keymap.command(&self.scopes(), key).and_then(Step::of);
                        if let Some(step) = step {
                            self.activity.step(step);
                        }
                    }
                    Typed::Accepted | Typed::Cancelled | Typed::Nothing => {}
                }
                true
            }
            Screen::Activity | Screen::Server | Screen::Connect => false,
        }
    }

    fn paste(&mut self, text: &str) {
        match self.overlays.last_mut() {
            Some(Overlay::Palette(palette)) => palette.paste(text),
            Some(Overlay::Prompt(prompt)) => prompt.paste(text),
            Some(Overlay::Breaking(dialog)) => dialog.paste(text),
            Some(Overlay::Bucket(dialog)) => dialog.paste(text),
            Some(Overlay::Help(_) | Overlay::Tour(_)) => {}
            Some(_) => self.edit_paste(text),
            None if self.screen == Screen::Activity && self.activity.filter.is_typing() => {
                self.activity.filter.paste(text);
                self.activity.filter_changed();
            }
            None if self.screen == Screen::Locks => {
                let mut ctx = context!(self);
                self.locks.paste(text, &mut ctx);
            }
            None => {
                let mut ctx = context!(self);
                self.browse.paste(text, &mut ctx);
            }
        }
    }

    pub(super) fn palette_did(&mut self, outcome: palette::Outcome) {
        match outcome {
            palette::Outcome::Open => {}
            palette::Outcome::Closed => {
                self.overlays.pop();
            }
            palette::Outcome::Run {
                command,
                argument,
                line,
            } => {
                self.overlays.pop();
                self.remember(line);
                self.run(command, argument.as_deref());
            }
        }
    }

    fn prompt_did(&mut self, outcome: prompt::Outcome) {
        match outcome {
            prompt::Outcome::Open => {}
            prompt::Outcome::Closed => {
                self.overlays.pop();
            }
            prompt::Outcome::Answered(Question::File, name) => {
                self.overlays.pop();
                let mut ctx = context!(self);
                self.connect.go(Target::File(name.into()), &mut ctx);
            }
        }
    }

    /// Runs a command, with what stood behind its name in the palette.
    pub(super) fn run(&mut self, command: Command, argument: Option<&str>) {
        match command {
            Command::Quit => self.quit(),
            Command::Suspend => self.effects.push(Effect::Suspend),
            Command::Redraw => self.effects.push(Effect::Redraw),
            Command::Help => self.overlays.push(Overlay::Help(Help::new(&self.scopes()))),
            Command::Palette => self.open_palette(),
            Command::Browse => self.go_to(Screen::Browse),
            Command::Locks => self.show_locks(argument.and_then(Which::named)),
            Command::Waiters => self.show_locks(Some(Which::Waiters)),
            Command::Held => self.show_locks(Some(Which::Held)),
            Command::Session => {
                self.show_locks(argument.map(|session| Which::Session(session.to_owned())));
            }
            Command::Lock => self.follow_lock(),
            Command::Activity => self.go_to(Screen::Activity),
            Command::Server => self.go_to(Screen::Server),
            Command::Connect => self.go_to(Screen::Connect),
            Command::NextScreen => self.turn(1),
            Command::PreviousScreen => self.turn(Screen::NAMED.len() - 1),
            Command::Pause => self.paused = self.paused.xor(Some(self.now)),
            Command::Refresh => self.refresh(),
            Command::Snapshot => self.take_snapshot(argument),
            Command::Theme => self.change_theme(argument),
            Command::Set => self.set(argument.unwrap_or_default()),
            Command::Context => self.go_to_context(argument),
            Command::Tour => self.overlays.push(Overlay::Tour(Tour::default())),
            Command::NewBucket
            | Command::EditBucket
            | Command::DeleteBucket
            | Command::AboutBucket
            | Command::Compact => self.open_bucket_dialog(command, argument),
            Command::Bucket => self.open_named_bucket(argument),
            Command::Where => {
                self.go_to(Screen::Browse);
                self.end_pause();
                let mut ctx = context!(self);
                self.browse.sift(argument.unwrap_or_default(), &mut ctx);
            }
            Command::Key => {
                self.screen = Screen::Browse;
                let mut ctx = context!(self);
                self.browse
                    .select_key(argument.unwrap_or_default(), &mut ctx);
            }
            Command::Edit
            | Command::Outside
            | Command::NewKey
            | Command::Delete
            | Command::UndoWrite
            | Command::History
            | Command::Diff => self.run_edit(command),
            _ => self.run_on_screen(command, argument),
        }
    }

    fn run_on_screen(&mut self, command: Command, argument: Option<&str>) {
        match self.screen {
            Screen::Browse => {
                let mut ctx = context!(self);
                match self.browse.command(command, argument, &mut ctx) {
                    Some(Wish::Open(bucket)) => self.open_bucket(&bucket),
                    None => {}
                }
            }
            Screen::Locks if command == Command::Break => self.ask_to_break(),
            Screen::Locks => {
                let mut ctx = context!(self);
                match self.locks.command(command, argument, &mut ctx) {
                    Some(locks::Wish::Key((bucket, key))) => self.show_key(&bucket, &key),
                    Some(locks::Wish::Leave) => self.go_to(Screen::Browse),
                    None => {}
                }
            }
            Screen::Activity => match (command, argument) {
                (Command::Open, _) => self.follow_change(),
                (Command::CopyKey, _) => {
                    if let Some((_, key)) = self.activity.selected() {
                        let key = key.to_string();
                        let mut ctx = context!(self);
                        copy(key, "the key", &mut ctx);
                    }
                }
                (Command::Filter, Some(filter)) => {
                    self.activity.filter.set(filter);
                    self.activity.filter_changed();
                }
                (Command::Back, _) if !self.activity.filter.text().is_empty() => {
                    self.activity.filter.set("");
                    self.activity.filter_changed();
                }
                (Command::Back, _) => self.go_to(Screen::Browse),
                _ => {
                    self.activity.command(command);
                }
            },
            Screen::Server => match (command, Step::of(command)) {
                (_, Some(step)) => self.server.step(step),
                (Command::Back, _) => self.go_to(Screen::Browse),
                _ => {}
            },
            Screen::Connect => self.run_on_connect(command),
        }
    }

    pub(super) fn run_on_connect(&mut self, command: Command) {
        let mut ctx = context!(self);
        match (command, Step::of(command)) {
            (_, Some(step)) => self.connect.step(step),
            (Command::Retry, _) => self.connect.retry(&mut ctx),
            (Command::Open, _) => match self.connect.selected() {
                Some(Choice::Again(target) | Choice::Go(target)) => {
                    self.connect.go(target, &mut ctx);
                }
                Some(Choice::AskForFile) => {
                    self.overlays
                        .push(Overlay::Prompt(Prompt::new(Question::File)));
                }
                None => {}
            },
            (Command::Back, _) => self.go_to(Screen::Browse),
            _ => {}
        }
    }

    fn open_palette(&mut self) {
        let history = self.history.iter().cloned().collect();
        self.overlays.push(Overlay::Palette(Palette::new(
            &self.scopes(),
            self.words(),
            history,
        )));
    }

    fn turn(&mut self, by: usize) {
        let screens = Screen::NAMED.map(|(screen, ..)| screen);
        let at = screens
            .iter()
            .position(|screen| *screen == self.screen)
            .unwrap_or(0);
        self.go_to(screens[(at + by) % screens.len()]);
    }

    fn refresh(&mut self) {
        self.end_pause();
        self.measure();
        let mut ctx = context!(self);
        match self.screen {
            Screen::Connect => self.connect.retry(&mut ctx),
            Screen::Server => {
                self.server.ask(&mut ctx);
                self.browse.ask_for_buckets(&mut ctx);
            }
            Screen::Browse | Screen::Locks | Screen::Activity => {
                self.browse.ask_for_buckets(&mut ctx);
                if let Some(open) = self.browse.open_bucket().cloned() {
                    self.browse.reload(&mut ctx);
                    self.feeds.open(&open, &mut ctx);
                }
            }
        }
    }

    pub(super) fn change_theme(&mut self, name: Option<&str>) {
        let next = || {
            let themes = Theme::BUILT_IN.into_iter();
            let mut after = themes
                .cycle()
                .skip_while(|name| Theme::built_in(name).ok().as_ref() != Some(&self.theme));
            after.nth(1).unwrap_or(Theme::BUILT_IN[0])
        };
        match Theme::built_in(name.unwrap_or_else(next)) {
            Ok(theme) => self.theme = theme,
            Err(error) => context!(self).warn(error.to_string()),
        }
    }

    fn open_named_bucket(&mut self, name: Option<&str>) {
        match BucketName::new(name.unwrap_or_default()) {
            Ok(bucket) => {
                self.screen = Screen::Browse;
                self.open_bucket(&bucket);
            }
            Err(error) => context!(self).warn(error.to_string()),
        }
    }

    /// Goes from a line of the feed to its key.
    fn follow_change(&mut self) {
        let Some((bucket, key)) = self.activity.selected() else {
            return;
        };
        let (bucket, key) = (bucket.clone(), key.clone());
        self.show_key(&bucket, &key);
    }

    /// Shows a key in Browse.
    fn show_key(&mut self, bucket: &BucketName, key: &Key) {
        if self.browse.open_bucket() != Some(bucket) {
            self.open_bucket(bucket);
        }
        self.screen = Screen::Browse;
        let mut ctx = context!(self);
        self.browse.select_key(key.as_str(), &mut ctx);
    }

    /// Goes to Locks, perhaps to see only some of them.
    fn show_locks(&mut self, which: Option<Which>) {
        self.go_to(Screen::Locks);
        if let (Some(which), Screen::Locks) = (which, self.screen) {
            let mut ctx = context!(self);
            self.locks.show(which, &mut ctx);
        }
    }

    /// From a key to the lock that is kept there, or to what a session holds and waits for; and
    /// from a lock to its key.
    fn follow_lock(&mut self) {
        let place = match self.screen {
            Screen::Locks => return self.run_on_screen(Command::Lock, None),
            Screen::Browse => self.browse.selected_key(),
            Screen::Activity => self
                .activity
                .selected()
                .map(|(bucket, key)| (bucket.clone(), key.clone())),
            Screen::Server | Screen::Connect => None,
        };
        let Some(place) = place else {
            return;
        };
        if self.locks.has(&place) {
            self.go_to(Screen::Locks);
            let mut ctx = context!(self);
            self.locks.select_lock(place, &mut ctx);
        } else if let Some(session) = Session::id_of(place.1.as_str()) {
            self.show_locks(Some(Which::Session(session.to_owned())));
        } else {
            context!(self).tell("no lock is kept at this key");
        }
    }
}
