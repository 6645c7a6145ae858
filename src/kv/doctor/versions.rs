//! Versions of nats-server, and which of them are known to lose something.

use std::fmt;

use super::Severity;

/// A version of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64, pub u64, pub u64);

impl Version {
    /// The version in `2.10.7` or `2.11.0-RC.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.trim_start_matches('v').split(['-', '+']).next()?;
        let mut parts = plain.split('.').map(|part| part.parse().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Something that servers before a version do wrong.
pub(super) struct Known {
    /// The first version that has it.
    pub(super) from: Version,
    /// The first that has it no more.
    pub(super) fixed: Version,
    pub(super) severity: Severity,
    /// What it does, with where that is told.
    pub(super) what: &'static str,
}

/// What is known, each with its source in the server's own tracker or release notes.
pub(super) const KNOWN: [Known; 4] = [
    Known {
        from: Version(2, 10, 20),
        fixed: Version(2, 10, 23),
        severity: Severity::Severe,
        what: "a few killed processes can make it forget a stream with all its data \
               (nats-server issue 6888)",
    },
    Known {
        from: Version(2, 10, 19),
        fixed: Version(2, 10, 20),
        severity: Severity::Severe,
        what: "compare-and-set is broken in buckets with one replica (nats-server 5841)",
    },
    Known {
        from: Version(0, 0, 0),
        fixed: Version(2, 10, 11),
        severity: Severity::Severe,
        what: "keys can't be found any more after a restart that follows a long downtime \
               (nats-server 5054)",
    },
    Known {
        from: Version(0, 0, 0),
        fixed: Version(2, 11, 0),
        severity: Severity::Note,
        what: "it has no time to live for single entries, and no markers for what expires",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        assert_eq!(Version::parse("2.10.22"), Some(Version(2, 10, 22)));
        assert_eq!(Version::parse("v2.11.0-RC.1"), Some(Version(2, 11, 0)));
        assert_eq!(Version::parse("2.10"), None);
        assert_eq!(Version::parse("SQLite 3.50.4"), None);
        assert!(Version(2, 9, 25) < Version(2, 10, 0));
    }
}
