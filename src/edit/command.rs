//! A write as the command of the `nats` CLI that would do the same.

use std::fmt::Write as _;

use crate::kv::backend::{Change, Write};
use crate::kv::{BucketName, Revision};

use super::excerpt::Excerpt;
use super::secrets::Masking;

/// The command, quoted for a shell, with the secrets in it marked. Where the CLI can't do quite the
/// same, a comment behind it says so.
pub fn equivalent(bucket: &BucketName, write: &Write, masking: &Masking) -> Excerpt {
    let verb = match (&write.change, write.expected) {
        (Change::Put(_), None) => "put",
        (Change::Put(_), Some(Revision::ABSENT)) => "create",
        (Change::Put(_), Some(_)) => "update",
        (Change::Delete, _) => "del",
        (Change::Purge, _) => "purge",
    };
    let mut text = format!("nats kv {verb} {bucket} {}", quoted(write.key.as_str()));
    let mut secrets = Vec::new();
    let mut notes = Vec::new();
    match &write.change {
        Change::Put(value) => match std::str::from_utf8(value) {
            Ok(value) if !value.contains('\0') && !value.is_empty() => {
                text.push(' ');
                let start = text.len();
                let in_value = masking.in_value(value.as_bytes());
                text.push_str(&quoted(value));
                secrets.extend(in_value.into_iter().map(|secret| {
                    let place = |at: usize| start + length_quoted(value, at);
                    place(secret.start)..place(secret.end)
                }));
            }
            _ => {
                text.push_str(" \"$VALUE\"");
                notes.push(format!(
                    "VALUE: {} bytes that can't stand in a command line",
                    value.len()
                ));
            }
        },
        Change::Delete | Change::Purge => {
            text.push_str(" --force");
            if let Some(revision) = write.expected {
                notes.push(format!(
                    "without the check that it is at revision {revision}"
                ));
            }
        }
    }
    if let (Change::Put(_), Some(revision)) = (&write.change, write.expected)
        && revision != Revision::ABSENT
    {
        // Writing to a string can't fail.
        let _ = write!(text, " {revision}");
    }
    if let Some(ttl) = write.ttl {
        notes.push(format!("without the time to live of {} s", ttl.as_secs()));
    }
    if !notes.is_empty() {
        let _ = write!(text, "  # {}", notes.join("; "));
    }
    Excerpt::with_secrets(text, secrets)
}

/// A word as a shell takes it to the letter.
fn quoted(word: &str) -> String {
    if is_plain(word) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    !word.is_empty() && !word.starts_with('-') && word.chars().all(plain)
}

/// Where a byte of a word stands in the quoted word.
fn length_quoted(word: &str, at: usize) -> usize {
    if is_plain(word) {
        return at;
    }
    let quotes = word[..at].matches('\'').count();
    1 + at + quotes * 3
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::edit::MASK;
    use crate::kv::Key;

    fn told(write: &Write) -> String {
        let bucket = BucketName::new("config").unwrap();
        equivalent(&bucket, write, &Masking::default()).masked()
    }

    fn key() -> Key {
        Key::from_stored("app.limits")
    }

    #[test]
    fn each_write_has_its_command() {
        let put = || Write::put(key(), r#"{"a": 1}"#);
        assert_eq!(told(&put()), r#"nats kv put config app.limits '{"a": 1}'"#);
        assert_eq!(
            told(&put().expecting(Revision(7))),
            r#"nats kv update config app.limits '{"a": 1}' 7"#
        );
        assert_eq!(
            told(&put().expecting(Revision::ABSENT)),
            r#"nats kv create config app.limits '{"a": 1}'"#
        );
        assert_eq!(
            told(
                &put()
                    .expecting(Revision(7))
                    .with_ttl(Duration::from_secs(60))
            ),
            r#"nats kv update config app.limits '{"a": 1}' 7  # without the time to live of 60 s"#
        );
        assert_eq!(
            told(&Write::delete(key()).expecting(Revision(7))),
            "nats kv del config app.limits --force  # without the check that it is at revision 7"
        );
        assert_eq!(
            told(&Write::purge(key())),
            "nats kv purge config app.limits --force"
        );
        assert!(
            told(&Write::put(key(), vec![0xff, 0]))
                .ends_with("\"$VALUE\"  # VALUE: 2 bytes that can't stand in a command line")
        );
    }

    #[test]
    fn secrets_are_masked_where_they_stand() {
        let write = Write::put(key(), r#"{"it's": "it's", "token": "a'b", "z": 1}"#);
        assert_eq!(
            told(&write.expecting(Revision(7))),
            format!(
                r#"nats kv update config app.limits '{{"it'\''s": "it'\''s", "token": {MASK}, "z": 1}}' 7"#
            )
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_shell_reads_the_word_that_was_meant(word in "[^\0]{0,40}") {
            let script = format!("printf %s {}", quoted(&word));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
