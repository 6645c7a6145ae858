//! Colours by role. The only place that turns a role into a style; the themes are data in
//! `assets/themes/`.

use std::collections::HashMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;

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
    /// What everything stands on: the background of [`Role::Text`]. It is laid once, and no part of
    /// that role, or a text on a selected row would bring its own background with it.
    ground: Option<Color>,
}

impl Theme {
    /// The names of the themes that come with the program.
    pub const BUILT_IN: [&str; 4] = ["dark", "light", "contrast", "plain"];

    /// A theme that comes with the program, by its name.
    ///
    /// # Errors
    /// [`ThemeError::Unknown`] for any other name.
    pub fn built_in(name: &str) -> Result<Self, ThemeError> {
        let source = match name {
            "dark" => include_str!("../../assets/themes/dark.toml"),
            "light" => include_str!("../../assets/themes/light.toml"),
            "contrast" => include_str!("../../assets/themes/contrast.toml"),
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
        let ground = styles[Role::Text as usize].bg.take();
        Ok(Self { styles, ground })
    }

    /// Lets a role look otherwise. What is not named stays.
    ///
    /// # Errors
    /// [`ThemeError::Role`], [`ThemeError::Color`] and [`ThemeError::Emphasis`], each with the name
    /// that there is not.
    pub fn recolor(
        &mut self,
        role: &str,
        fg: Option<&str>,
        bg: Option<&str>,
        emphasis: Option<&[&str]>,
    ) -> Result<(), ThemeError> {
        let named: Result<Role, serde::de::value::Error> =
            Role::deserialize(role.into_deserializer());
        let role = named.map_err(|_| ThemeError::Role {
            name: role.to_owned(),
        })?;
        let mut style = self.style(role);
        if let Some(name) = fg {
            style = style.fg(Paint::named(name)?.0);
        }
        if let Some(name) = bg {
            style = style.bg(Paint::named(name)?.0);
        }
        if let Some(words) = emphasis {
            style.add_modifier = Modifier::empty();
            for word in words {
                let named: Result<Emphasis, serde::de::value::Error> =
                    Emphasis::deserialize((*word).into_deserializer());
                let emphasis = named.map_err(|_| ThemeError::Emphasis {
                    name: (*word).to_owned(),
                })?;
                style = style.add_modifier(emphasis.modifier());
            }
        }
        if role == Role::Text {
            self.ground = style.bg.take().or(self.ground);
        }
        if let Some(place) = self.styles.get_mut(role as usize) {
            *place = style;
        }
        Ok(())
    }

    /// The style of a name that has a colour of its own, such as a context's. Where there are no
    /// colours it stands out all the same.
    pub fn painted(&self, paint: Option<Paint>) -> Style {
        let has_colours = self
            .styles
            .iter()
            .any(|style| style.fg.is_some() || style.bg.is_some());
        let has_colours = has_colours || self.ground.is_some();
        let plain = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
        match paint {
            Some(Paint(color)) if has_colours => plain.fg(color),
            _ => plain,
        }
    }

    /// The style of what is empty, and of all that says nothing else.
    pub fn ground(&self) -> Style {
        Style {
            bg: self.ground,
            ..self.style(Role::Text)
        }
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        // The order of the variants is the order of `ALL`; a test holds them to it.
        self.styles.get(role as usize).copied().unwrap_or_default()
    }
}

/// A colour that a user chose for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(Color);

impl Paint {
    /// The colour of that name: one such as `lightred`, `#rrggbb`, or a number up to 255.
    ///
    /// # Errors
    /// [`ThemeError::Color`].
    pub fn named(name: &str) -> Result<Self, ThemeError> {
        let color = Color::from_str(name).map_err(|_| ThemeError::Color {
            name: name.to_owned(),
        })?;
        Ok(Self(color))
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

impl Emphasis {
    fn modifier(self) -> Modifier {
        match self {
            Self::Bold => Modifier::BOLD,
            Self::Dim => Modifier::DIM,
            Self::Italic => Modifier::ITALIC,
            Self::Underlined => Modifier::UNDERLINED,
            Self::Reversed => Modifier::REVERSED,
        }
    }
}

impl Entry {
    fn style(&self) -> Result<Style, ThemeError> {
        let mut style = Style::new();
        if let Some(name) = &self.fg {
            style = style.fg(Paint::named(name)?.0);
        }
        if let Some(name) = &self.bg {
            style = style.bg(Paint::named(name)?.0);
        }
        for emphasis in &self.style {
            style = style.add_modifier(emphasis.modifier());
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
    /// Nothing on the screen has that role.
    #[error("there is no role {name:?}; docs/configuration.md lists them")]
    Role {
        /// The name that was tried.
        name: String,
    },
    /// Text can't stand out like that.
    #[error("{name:?} is none of bold, dim, italic, underlined, reversed")]
    Emphasis {
        /// The name that was tried.
        name: String,
    },
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
            (
                "contrast",
                include_str!("../../assets/themes/contrast.toml"),
            ),
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
        assert_eq!(theme.ground().bg, None);
        for role in Role::ALL {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }

    #[test]
    fn a_text_brings_no_background_with_it() {
        let mut light = Theme::built_in("light").unwrap();
        assert_eq!(light.style(Role::Text).bg, None);
        assert_eq!(light.ground().bg, Some(Color::Rgb(255, 255, 255)));
        light.recolor("text", None, Some("#000000"), None).unwrap();
        assert_eq!(light.style(Role::Text).bg, None);
        assert_eq!(light.ground().bg, Some(Color::Rgb(0, 0, 0)));
    }

    #[test]
    fn a_role_can_look_otherwise() {
        let mut theme = Theme::built_in("dark").unwrap();
        let before = theme.style(Role::Danger);
        theme
            .recolor("danger", Some("#00ff00"), None, Some(&["underlined"]))
            .unwrap();
        let after = theme.style(Role::Danger);
        assert_ne!(before.fg, after.fg);
        assert_eq!(after.add_modifier, Modifier::UNDERLINED);
        let other = theme.style(Role::Good);
        assert!(matches!(
            theme.recolor("dangre", None, None, None),
            Err(ThemeError::Role { .. })
        ));
        assert!(matches!(
            theme.recolor("good", Some("rouge"), None, None),
            Err(ThemeError::Color { .. })
        ));
        assert!(matches!(
            theme.recolor("good", None, None, Some(&["loud"])),
            Err(ThemeError::Emphasis { .. })
        ));
        assert_eq!(theme.style(Role::Good), other, "a fault changes nothing");
    }

    #[test]
    fn a_name_stands_out_without_colours_too() {
        let red = Paint::named("red").ok();
        let plain = Theme::built_in("plain").unwrap().painted(red);
        assert_eq!((plain.fg, plain.bg), (None, None));
        assert!(plain.add_modifier.contains(Modifier::REVERSED));
        let dark = Theme::built_in("dark").unwrap().painted(red);
        assert!(dark.fg.is_some() && dark.add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let error = Theme::parse("text = { fg = \"red\" }\nnonsense = {}\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(Theme::parse("text = { fg = \"rouge\" }").is_err());
    }
}
