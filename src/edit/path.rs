//! Where in a JSON document a value stands.

use std::fmt;

use super::secrets::Masks;

/// The way from the outermost value to one inside. Shown as `.provider.url`, `.items[3]`, and `.`
/// for the outermost value; names that are no plain words in quotes: `["a b"]`.
///
/// The text is as in the store and so not yet fit for a screen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// To a member of an object.
    Member {
        /// Its name, decoded.
        name: String,
        /// How many members of that name stand before it: 0 but for duplicates.
        nth: usize,
    },
    /// To an element of an array, from 0.
    Element(usize),
}

impl Path {
    /// The path of the outermost value.
    pub fn root() -> Self {
        Self::default()
    }

    /// The steps, from the outside.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// One step further.
    #[must_use]
    pub fn join(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Whether one of the two leads to or through where the other ends.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }

    /// Whether it leads through a member with a name that looks secret.
    pub fn is_secret(&self, masks: &Masks) -> bool {
        self.0.iter().any(|step| match step {
            Step::Member { name, .. } => masks.is_secret(name),
            Step::Element(_) => false,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        self.0.iter().try_for_each(|step| step.fmt(f))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match self {
            Self::Element(at) => write!(f, "[{at}]"),
            Self::Member { name, nth } => {
                if !name.is_empty() && name.chars().all(plain) {
                    write!(f, ".{name}")?;
                } else {
                    // The names of JSON are quoted as JSON. A string always can be.
                    let quoted = serde_json::to_string(name).map_err(|_| fmt::Error)?;
                    write!(f, "[{quoted}]")?;
                }
                match nth {
                    0 => Ok(()),
                    nth => write!(f, "#{}", nth + 1),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, nth: usize) -> Step {
        Step::Member {
            name: name.to_owned(),
            nth,
        }
    }

    #[test]
    fn paths_are_shown_as_the_value_pane_shows_them() {
        let root = Path::root();
        assert_eq!(root.to_string(), ".");
        let path = root.join(member("provider", 0)).join(Step::Element(3));
        assert_eq!(path.to_string(), ".provider[3]");
        assert_eq!(root.join(member("a b", 1)).to_string(), r#"["a b"]#2"#);
        assert_eq!(root.join(member("", 0)).to_string(), r#"[""]"#);
    }

    #[test]
    fn paths_overlap_when_one_is_in_the_other() {
        let a = Path::root().join(member("a", 0));
        let inside = a.join(Step::Element(1));
        let b = Path::root().join(member("b", 0));
        assert!(a.overlaps(&inside) && inside.overlaps(&a) && Path::root().overlaps(&b));
        assert!(!a.overlaps(&b) && !inside.overlaps(&b));
        assert!(a.join(member("authToken", 0)).is_secret(&Masks::default()));
        assert!(!inside.is_secret(&Masks::default()));
    }
}
