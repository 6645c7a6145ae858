//! Values to write: from an argument, a file or standard input, byte for byte.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;

use bytes::Bytes;

use super::error::CliError;

/// How much more than what always fits is read.
const MARGIN: u64 = 1024;

/// Where a value comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Argument(Bytes),
    File(PathBuf),
    Stdin,
}

impl Source {
    /// What the argument means. Without one, standard input is read, unless a person sits there.
    pub(super) fn of(argument: Option<&OsStr>, literal: bool) -> Result<Self, CliError> {
        let Some(argument) = argument else {
            return if io::stdin().is_terminal() {
                Err(CliError::Usage(
                    "give a VALUE, @FILE, or - to type it".to_owned(),
                ))
            } else {
                Ok(Self::Stdin)
            };
        };
        let bytes = argument.as_encoded_bytes();
        Ok(match bytes {
            b"-" if !literal => Self::Stdin,
            [b'@', ..] if !literal => Self::File(PathBuf::from(without_at(argument))),
            bytes => Self::Argument(Bytes::copy_from_slice(bytes)),
        })
    }

    /// Reads the value, and not much more than `limit` bytes of it, which always fit. Whether some
    /// more do is the store's to say.
    pub(super) async fn read(self, limit: Option<u64>) -> Result<Bytes, CliError> {
        let (what, path) = match self {
            Self::Argument(value) => return Ok(value),
            Self::File(path) => (path.display().to_string(), Some(path)),
            Self::Stdin => ("standard input".to_owned(), None),
        };
        let most = limit.map_or(u64::MAX, |limit| limit.saturating_add(MARGIN));
        let read = tokio::task::spawn_blocking(move || {
            let mut value = Vec::new();
            match path {
                Some(path) => File::open(path)?.take(most).read_to_end(&mut value)?,
                None => io::stdin().take(most).read_to_end(&mut value)?,
            };
            Ok(value)
        });
        let value = match read.await.map_err(io::Error::other).flatten() {
            Ok(value) => value,
            Err(error) => return Err(CliError::Input { what, error }),
        };
        match limit {
            Some(limit) if value.len() as u64 >= most => {
                Err(CliError::InputTooLong { what, limit })
            }
            _ => Ok(value.into()),
        }
    }
}

/// `@FILE` without the `@`.
fn without_at(argument: &OsStr) -> &OsStr {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        OsStr::from_bytes(argument.as_bytes().strip_prefix(b"@").unwrap_or_default())
    }
    #[cfg(not(unix))]
    {
        OsStr::new(
            argument
                .to_str()
                .and_then(|text| text.strip_prefix('@'))
                .unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(argument: &str, literal: bool) -> Source {
        Source::of(Some(OsStr::new(argument)), literal).unwrap()
    }

    #[test]
    fn what_an_argument_means() {
        assert_eq!(source("-", false), Source::Stdin);
        assert_eq!(source("@a/b", false), Source::File("a/b".into()));
        assert_eq!(source("", false), Source::Argument(Bytes::new()));
        assert_eq!(source("@a", true), Source::Argument("@a".into()));
        assert_eq!(source("-", true), Source::Argument("-".into()));
    }

    #[tokio::test]
    async fn files_come_byte_for_byte_up_to_the_limit() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, b"a\0\xff\n").unwrap();
        let source = || Source::File(file.path().to_owned());
        let value = source().read(Some(3)).await.unwrap();
        assert_eq!(value, b"a\0\xff\n".as_slice());
        io::Write::write_all(&mut file, &[b'a'; 1023]).unwrap();
        let source = || Source::File(file.path().to_owned());
        let error = source().read(Some(3)).await.unwrap_err();
        assert!(matches!(error, CliError::InputTooLong { limit: 3, .. }));
        let error = Source::File("/no/such/file".into()).read(None).await;
        assert!(matches!(error, Err(CliError::Input { .. })));
    }
}
