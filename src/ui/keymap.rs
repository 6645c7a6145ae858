//! Which key asks for which command, read from data (`assets/keymap.toml`).

use std::collections::HashMap;

use crokey::{KeyCombination, KeyCombinationFormat};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;

use super::command::{Command, Scope, Spec};

/// The keys of every scope.
#[derive(Debug, Clone)]
pub struct Keymap {
    bindings: HashMap<(Scope, KeyCombination), Command>,
    /// The keys of each command in each scope, as shown, in the order of the file.
    shown: HashMap<(Scope, Command), Vec<String>>,
}

/// One key of a user's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The scope's name.
    pub scope: &'a str,
    /// The key.
    pub key: &'a str,
    /// The command's name, or `none`.
    pub command: &'a str,
}

impl Keymap {
    /// In place of a command's name: the key means nothing.
    const NOTHING: &'static str = "none";

    /// The keys that come with the program.
    ///
    /// # Errors
    /// None in a program whose tests pass.
    pub fn built_in() -> Result<Self, KeymapError> {
        Self::parse(include_str!("../../assets/keymap.toml"))
    }

    /// The keys of a keymap file: a table for each scope, in it `"key" = "command"`.
    ///
    /// # Errors
    /// A scope, key or command that does not exist, a command in a scope where it does not work,
    /// and a key that means two things at once.
    pub fn parse(source: &str) -> Result<Self, KeymapError> {
        let file: toml::Table = toml::from_str(source)?;
        let mut keymap = Self {
            bindings: HashMap::new(),
            shown: HashMap::new(),
        };
        for (scope_name, table) in file {
            let scope = Scope::ALL
                .into_iter()
                .find(|scope| scope.name() == scope_name)
                .ok_or(KeymapError::Scope { scope: scope_name })?;
            let table: toml::Table = table.try_into()?;
            for (key, name) in table {
                keymap.bind(scope, &key, &String::deserialize(name)?)?;
            }
        }
        keymap.check_reach()?;
        Ok(keymap)
    }

    /// The same with other keys. Each binding takes the place of what its key meant in its scope;
    /// the command `none` leaves it without a meaning.
    ///
    /// # Errors
    /// The number of the binding that is at fault, and why.
    pub fn with(mut self, bindings: &[Binding<'_>]) -> Result<Self, (usize, KeymapError)> {
        for (number, binding) in bindings.iter().enumerate() {
            self.rebind(binding).map_err(|error| (number, error))?;
        }
        let checked = self.check_reach();
        checked.map_err(|error| {
            let KeymapError::Twice { key, .. } = &error else {
                return (0, error);
            };
            let is_it =
                |binding: &Binding<'_>| parse_key(binding.key).map(show_key).as_ref() == Some(key);
            (bindings.iter().rposition(is_it).unwrap_or(0), error)
        })?;
        Ok(self)
    }

    fn rebind(&mut self, binding: &Binding<'_>) -> Result<(), KeymapError> {
        let scope = Scope::ALL
            .into_iter()
            .find(|scope| scope.name() == binding.scope)
            .ok_or_else(|| KeymapError::Scope {
                scope: binding.scope.to_owned(),
            })?;
        let key = parse_key(binding.key).ok_or_else(|| KeymapError::Key {
            key: binding.key.to_owned(),
        })?;
        if let Some(before) = self.bindings.remove(&(scope, key)) {
            let shown = self.shown.entry((scope, before)).or_default();
            shown.retain(|name| *name != show_key(key));
        }
        if binding.command == Self::NOTHING {
            return Ok(());
        }
        self.bind(scope, binding.key, binding.command)?;
        // The user's own key is the one to show first.
        if let Some(command) = self.bindings.get(&(scope, key))
            && let Some(shown) = self.shown.get_mut(&(scope, *command))
        {
            shown.rotate_right(1);
        }
        Ok(())
    }

    fn bind(&mut self, scope: Scope, key: &str, name: &str) -> Result<(), KeymapError> {
        let combination = parse_key(key).ok_or_else(|| KeymapError::Key {
            key: key.to_owned(),
        })?;
        let spec = Command::named(name)
            .and_then(Command::spec)
            .ok_or_else(|| KeymapError::Command {
                command: name.to_owned(),
            })?;
        if !spec.scopes.contains(&scope) {
            return Err(KeymapError::Misplaced {
                command: spec.name,
                scope: scope.name(),
            });
        }
        let taken = self.bindings.insert((scope, combination), spec.command);
        if let Some(first) = taken.and_then(Command::spec) {
            return Err(KeymapError::Twice {
                key: show_key(combination),
                first: first.name,
                second: spec.name,
            });
        }
        self.shown
            .entry((scope, spec.command))
            .or_default()
            .push(show_key(combination));
        Ok(())
    }

    /// `rows` and `global` are in reach together with every other scope, but not where text is typed.
    fn check_reach(&self) -> Result<(), KeymapError> {
        for (&(scope, key), &command) in &self.bindings {
            let outer: &[Scope] = match scope {
                Scope::Global | Scope::Editor => &[],
                Scope::Rows => &[Scope::Global],
                Scope::Conflict => &[Scope::Rows],
                _ => &[Scope::Rows, Scope::Global],
            };
            let other = outer
                .iter()
                .find_map(|outer| self.bindings.get(&(*outer, key)));
            if let Some((first, second)) = other.and_then(|other| other.spec()).zip(command.spec())
            {
                return Err(KeymapError::Twice {
                    key: show_key(key),
                    first: first.name,
                    second: second.name,
                });
            }
        }
        Ok(())
    }

    /// What a key asks for, where these scopes are in reach.
    pub fn command(&self, scopes: &[Scope], key: KeyEvent) -> Option<Command> {
        let key = combination_of(key);
        scopes
            .iter()
            .find_map(|scope| self.bindings.get(&(*scope, key)).copied())
    }

    /// The keys of a command in a scope, as shown to people.
    pub fn keys(&self, scope: Scope, command: Command) -> &[String] {
        self.shown.get(&(scope, command)).map_or(&[], Vec::as_slice)
    }

    /// The key to show for a command where these scopes are in reach.
    pub fn key_hint(&self, scopes: &[Scope], spec: &Spec) -> Option<&str> {
        let keys = scopes
            .iter()
            .find_map(|scope| self.shown.get(&(*scope, spec.command)))?;
        keys.first().map(String::as_str)
    }
}

fn parse_key(name: &str) -> Option<KeyCombination> {
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Some(combination_of(KeyEvent::new(
            KeyCode::Char(letter),
            KeyModifiers::NONE,
        )));
    }
    crokey::parse(name).ok().map(KeyCombination::normalized)
}

/// Terminals differ in whether they tell of Shift beside a character that needs it; only beside a
/// letter does it tell anything.
fn combination_of(mut key: KeyEvent) -> KeyCombination {
    if let KeyCode::Char(c) = key.code
        && !c.is_ascii_alphabetic()
    {
        key.modifiers.remove(KeyModifiers::SHIFT);
    }
    KeyCombination::from(key)
}

fn show_key(key: KeyCombination) -> String {
    match key.codes {
        crokey::OneToThree::One(KeyCode::Up) => "↑".to_owned(),
        crokey::OneToThree::One(KeyCode::Down) => "↓".to_owned(),
        crokey::OneToThree::One(KeyCode::Left) => "←".to_owned(),
        crokey::OneToThree::One(KeyCode::Right) => "→".to_owned(),
        // The crate spells it out, which no keyboard does.
        crokey::OneToThree::One(KeyCode::Char('-')) if key.modifiers.is_empty() => "-".to_owned(),
        crokey::OneToThree::One(KeyCode::BackTab) => "Shift-Tab".to_owned(),
        _ => KeyCombinationFormat::default()
            .with_implicit_shift()
            .to_string(key),
    }
}

/// Why a keymap can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeymapError {
    /// The file is not a keymap.
    #[error("the keymap can't be read: {0}")]
    Format(#[from] toml::de::Error),
    /// There is no such scope.
    #[error("the keymap has a table for {scope:?}, and there is no such scope")]
    Scope {
        /// The name that was found.
        scope: String,
    },
    /// There is no such key.
    #[error("the keymap names the key {key:?}, and there is no such key")]
    Key {
        /// The name that was found.
        key: String,
    },
    /// There is no such command.
    #[error("the keymap names the command {command:?}, and there is no such command")]
    Command {
        /// The name that was found.
        command: String,
    },
    /// The command does not work there.
    #[error("the keymap binds {command} in {scope}, where it does nothing")]
    Misplaced {
        /// The command.
        command: &'static str,
        /// The scope.
        scope: &'static str,
    },
    /// One key asks for two commands in one place.
    #[error("the keymap binds {key} to {first} and to {second} in the same place")]
    Twice {
        /// The key.
        key: String,
        /// One command.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::command::COMMANDS;

    fn press(name: &str) -> KeyEvent {
        let mut letters = name.chars();
        match (letters.next(), letters.next()) {
            (Some(c), None) if c.is_ascii_uppercase() => {
                KeyEvent::new(KeyCode::Char(c), KeyModifiers::SHIFT)
            }
            (Some(c), None) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
            _ => crokey::parse(name).unwrap().into(),
        }
    }

    #[test]
    fn the_built_in_keys_load_and_reach_every_command() {
        let keymap = Keymap::built_in().unwrap();
        for spec in COMMANDS {
            for scope in spec.scopes {
                assert!(
                    !keymap.keys(*scope, spec.command).is_empty(),
                    "{} has no key in {scope:?}",
                    spec.name
                );
            }
        }
    }

    #[test]
    fn keys_find_their_command() {
        let keymap = Keymap::built_in().unwrap();
        let keys = [Scope::Keys, Scope::Rows, Scope::Global];
        for (key, command) in [
            ("j", Command::Down),
            ("G", Command::Bottom),
            ("g", Command::Top),
            ("S", Command::Reverse),
            ("?", Command::Help),
            ("ctrl-d", Command::HalfPageDown),
            ("enter", Command::Open),
            ("space", Command::Pause),
        ] {
            assert_eq!(keymap.command(&keys, press(key)), Some(command), "{key}");
        }
        let shifted = KeyEvent::new(KeyCode::Char('?'), KeyModifiers::SHIFT);
        assert_eq!(keymap.command(&keys, shifted), Some(Command::Help));
    }

    #[test]
    fn keys_of_ones_own_take_the_place_of_others() {
        fn binding<'a>(scope: &'a str, key: &'a str, command: &'a str) -> Binding<'a> {
            Binding {
                scope,
                key,
                command,
            }
        }
        let keymap = Keymap::built_in().unwrap();
        let own = [
            binding("global", "q", "help"),
            binding("global", "space", "none"),
            binding("keys", "space", "tree"),
        ];
        let keymap = keymap.with(&own).unwrap();
        let keys = [Scope::Keys, Scope::Rows, Scope::Global];
        assert_eq!(keymap.command(&keys, press("q")), Some(Command::Help));
        assert_eq!(keymap.command(&keys, press("space")), Some(Command::Tree));
        assert_eq!(keymap.keys(Scope::Keys, Command::Tree)[0], "Space");
        assert_eq!(keymap.keys(Scope::Global, Command::Help)[0], "q");
        for (own, at, fault) in [
            (vec![binding("nowhere", "q", "quit")], 0, "no such scope"),
            (
                vec![
                    binding("global", "x", "quit"),
                    binding("global", "q", "qiut"),
                ],
                1,
                "no such command",
            ),
            (vec![binding("global", "hyper", "quit")], 0, "no such key"),
            (
                vec![
                    binding("global", "f5", "refresh"),
                    binding("keys", "space", "tree"),
                ],
                1,
                "same place",
            ),
        ] {
            let (number, error) = Keymap::built_in().unwrap().with(&own).unwrap_err();
            assert_eq!(number, at, "{error}");
            assert!(error.to_string().contains(fault), "{error}");
        }
    }

    #[test]
    fn a_faulty_keymap_is_refused() {
        for (source, fault) in [
            (
                "[global]\n\"q\" = \"quit\"\n\"Q\" = \"nonsense\"",
                "no such command",
            ),
            ("[global]\n\"hyper\" = \"quit\"", "no such key"),
            ("[nowhere]\n\"q\" = \"quit\"", "no such scope"),
            ("[global]\n\"q\" = \"tree\"", "does nothing"),
            (
                "[global]\n\"t\" = \"quit\"\n[keys]\n\"t\" = \"tree\"",
                "to quit and to tree",
            ),
            (
                "[global]\n\"del\" = \"quit\"\n\"delete\" = \"help\"",
                "same place",
            ),
            (
                "[global]\n\"q\" = \"quit\"\n\"q\" = \"help\"",
                "duplicate key",
            ),
        ] {
            let error = Keymap::parse(source).unwrap_err().to_string();
            assert!(error.contains(fault), "{source}: {error}");
        }
    }
}
