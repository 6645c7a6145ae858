//! Colours by role. The only place that turns a role into a style; the themes are data in
//! `assets/themes/`.

use std::collections::HashMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

/// What a piece of the screen means. A screen names a role, never a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Plain text.
    Text,
    /// Text that matters less: ages, units, hints.
    Muted,
    /// The frame of a pane.
    Border,
    /// The frame of the pane that has the keyboard.
    Focus,
    /// The title of a pane.
    Title,
    /// The selected row in the pane that has the keyboard.
    Selection,
    /// The selected row in another pane.
    SelectionIdle,
    /// A row that changed a moment ago.
    Changed,
    /// All is well.
    Good,
    /// Look here soon.
    Warning,
    /// Look here now.
    Danger,
    /// A key that can be pressed, in the footer and in help.
    KeyHint,
    /// Laid over what may be out of date.
    Stale,
    /// The part of a text that a filter or a search matched.
    Match,
    /// A character that is not shown as itself: a control character, an invalid byte.
    Escaped,
    /// A masked secret.
    Secret,
    /// The name of a member of a JSON object.
    JsonName,
    /// A JSON string.
    JsonString,
    /// A JSON number.
    JsonNumber,
    /// `true`, `false` or `null`.
    JsonLiteral,
    /// Braces, brackets, commas and colons.
    JsonPunctuation,
    /// Something is folded away here.
    Folded,
    /// Of two values only the newer one has this.
    Added,
    /// Of two values only the older one has this.
    Removed,
    /// This is where two values differ.
    Differs,
}

impl Role {
    /// Every role, in the order of a theme file.
    pub const ALL: [Self; 25] = [
        Self::Text,
        Self::Muted,
        Self::Border,
        Self::Focus,
        Self::Title,
        Self::Selection,
        Self::SelectionIdle,
        Self::Changed,
        Self::Good,
        Self::Warning,
        Self::Danger,
        Self::KeyHint,
        Self::Stale,
        Self::Match,
        Self::Escaped,
        Self::Secret,
        Self::JsonName,
        Self::JsonString,
        Self::JsonNumber,
        Self::JsonLiteral,
        Self::JsonPunctuation,
        Self::Folded,
        Self::Added,
        Self::Removed,
        Self::Differs,
    ];
}

/// The styles of all roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    styles: [Style; Role::ALL.len()],
}

impl Theme {
    /// The names of the themes that come with the program.
    pub const BUILT_IN: [&str; 3] = ["dark", "light", "plain"];

    /// A theme that comes with the program, by its name.
    ///
    /// # Errors
    /// [`ThemeError::Unknown`] for any other name.
    pub fn built_in(name: &str) -> Result<Self, ThemeError> {
        let source = match name {
            "dark" => include_str!("../../assets/themes/dark.toml"),
            "light" => include_str!("../../assets/themes/light.toml"),
            "plain" => include_str!("../../assets/themes/plain.toml"),
            _ => {
                return Err(ThemeError::Unknown {
                    name: name.to_owned(),
                });
            }
        };
        Self::parse(source)
    }

    /// A theme from the text of a theme file: for each role a table with `fg`, `bg` and `style`.
    ///
    /// # Errors
    /// [`ThemeError::Format`] with the line and column of the fault.
    pub fn parse(source: &str) -> Result<Self, ThemeError> {
        let table: HashMap<Role, Entry> = toml::from_str(source)?;
        let mut styles = [Style::new(); Role::ALL.len()];
        for (style, role) in styles.iter_mut().zip(Role::ALL) {
            if let Some(entry) = table.get(&role) {
                *style = entry.style()?;
            }
        }
        Ok(Self { styles })
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        // The order of the variants is the order of `ALL`; a test holds them to it.
        self.styles.get(role as usize).copied().unwrap_or_default()
    }
}

/// What a theme file says of one role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    style: Vec<Emphasis>,
}

/// How a text stands out beside its colour.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Emphasis {
    Bold,
    Dim,
    Italic,
    Underlined,
    Reversed,
}

impl Entry {
    fn style(&self) -> Result<Style, ThemeError> {
        let color = |name: &str| {
            Color::from_str(name).map_err(|_| ThemeError::Color {
                name: name.to_owned(),
            })
        };
        let mut style = Style::new();
        if let Some(name) = &self.fg {
            style = style.fg(color(name)?);
        }
        if let Some(name) = &self.bg {
            style = style.bg(color(name)?);
        }
        for emphasis in &self.style {
            style = style.add_modifier(match emphasis {
                Emphasis::Bold => Modifier::BOLD,
                Emphasis::Dim => Modifier::DIM,
                Emphasis::Italic => Modifier::ITALIC,
                Emphasis::Underlined => Modifier::UNDERLINED,
                Emphasis::Reversed => Modifier::REVERSED,
            });
        }
        Ok(style)
    }
}

/// Why a theme can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// No theme has that name.
    #[error("there is no theme {name:?}; there are {}", Theme::BUILT_IN.join(", "))]
    Unknown {
        /// The name that was tried.
        name: String,
    },
    /// The file is not a theme.
    #[error("the theme can't be read: {0}")]
    Format(#[from] toml::de::Error),
    /// A colour has no such name.
    #[error("{name:?} is no colour: use a name such as \"lightred\", \"#rrggbb\" or 0 to 255")]
    Color {
        /// The name that was tried.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_theme_gives_every_role() {
        for (place, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role as usize, place, "{role:?} is out of order");
        }
        for name in Theme::BUILT_IN {
            Theme::built_in(name).unwrap();
        }
        for (name, source) in [
            ("dark", include_str!("../../assets/themes/dark.toml")),
            ("light", include_str!("../../assets/themes/light.toml")),
            ("plain", include_str!("../../assets/themes/plain.toml")),
        ] {
            let table: HashMap<Role, Entry> = toml::from_str(source).unwrap();
            for role in Role::ALL {
                assert!(table.contains_key(&role), "{name} says nothing of {role:?}");
            }
        }
    }

    #[test]
    fn the_plain_theme_has_no_colour() {
        let theme = Theme::built_in("plain").unwrap();
        for role in Role::ALL {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let error = Theme::parse("text = { fg = \"red\" }\nnonsense = {}\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(Theme::parse("text = { fg = \"rouge\" }").is_err());
    }
}
