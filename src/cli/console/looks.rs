//! What the user's file says of the console's looks and keys, checked against the names that there
//! are: a fault is told with its place in the file.

use crate::cli::CliError;
use crate::config::{Config, ContextConfig, Look};
use crate::ui::app::Screen;
use crate::ui::keymap::{Binding, Keymap};
use crate::ui::message::Brand;
use crate::ui::theme::{Paint, Theme, ThemeError};

/// The colours. Without any, what the file says of them does not count.
pub(super) fn theme(config: &Config, no_color: bool) -> Result<Theme, CliError> {
    if no_color {
        return Ok(Theme::built_in("plain")?);
    }
    let mut theme = match &config.theme {
        None => Theme::built_in("dark")?,
        Some(name) => {
            let theme = Theme::built_in(name.get_ref());
            theme.map_err(|error| config.fault(&name.span(), error))?
        }
    };
    for (role, look) in &config.colors {
        let text =
            |of: &'_ Option<toml::Spanned<String>>| of.as_ref().map(|of| of.get_ref().clone());
        let (fg, bg) = (text(&look.fg), text(&look.bg));
        let style = look.style.as_ref();
        let style: Option<Vec<&str>> =
            style.map(|words| words.iter().map(|word| word.get_ref().as_str()).collect());
        let changed = theme.recolor(
            role.get_ref(),
            fg.as_deref(),
            bg.as_deref(),
            style.as_deref(),
        );
        changed.map_err(|error| {
            let at = place_of(&error, look).unwrap_or_else(|| role.span());
            config.fault(&at, error)
        })?;
    }
    Ok(theme)
}

/// Where in a look the name stands that an error is about.
fn place_of(error: &ThemeError, look: &Look) -> Option<std::ops::Range<usize>> {
    let (ThemeError::Color { name } | ThemeError::Emphasis { name }) = error else {
        return None;
    };
    let words = look.style.iter().flatten();
    let mut all = look.fg.iter().chain(&look.bg).chain(words);
    let found = all.find(|word| word.get_ref() == name);
    found.map(toml::Spanned::span)
}

/// The keys.
pub(super) fn keymap(config: &Config) -> Result<Keymap, CliError> {
    let entries: Vec<_> = config
        .keys
        .iter()
        .flat_map(|(scope, keys)| keys.iter().map(move |(key, command)| (scope, key, command)))
        .collect();
    let bindings: Vec<_> = entries
        .iter()
        .map(|(scope, key, command)| Binding {
            scope: scope.get_ref(),
            key: key.get_ref(),
            command: command.get_ref(),
        })
        .collect();
    let keymap = Keymap::built_in()?.with(&bindings);
    Ok(keymap.map_err(|(number, error)| {
        use crate::ui::keymap::KeymapError as Fault;
        let at = entries
            .get(number)
            .map(|(scope, key, command)| match error {
                Fault::Scope { .. } => scope.span(),
                Fault::Command { .. } | Fault::Misplaced { .. } => command.span(),
                _ => key.span(),
            });
        config.fault(&at.unwrap_or_default(), error)
    })?)
}

/// The screen to begin on.
pub(super) fn screen(config: &Config) -> Result<Screen, CliError> {
    let Some(name) = &config.defaults.screen else {
        return Ok(Screen::Browse);
    };
    let screen = Screen::named(name.get_ref()).ok_or_else(|| {
        let names = Screen::NAMED.map(|(.., name)| name.to_lowercase());
        let words = format!(
            "there is no screen {:?}; there are {}",
            name.get_ref(),
            names.join(", ")
        );
        config.fault(&name.span(), words)
    })?;
    Ok(screen)
}

/// How a context is to look. `None` where the file says nothing of that.
pub(super) fn brand(config: &Config, of: &ContextConfig) -> Result<Option<Brand>, CliError> {
    let paint = match &of.color {
        None => None,
        Some(name) => {
            let paint = Paint::named(name.get_ref());
            Some(paint.map_err(|error| config.fault(&name.span(), error))?)
        }
    };
    let is_said = paint.is_some() || of.label.is_some();
    Ok(is_said.then(|| Brand {
        label: of.label.clone(),
        paint,
    }))
}
