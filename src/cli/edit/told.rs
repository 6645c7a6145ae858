//! What is told of an edit: what it changes, and how a save ended.

use super::super::error::CliError;
use crate::edit::diff::{Change, RowKind, What};
use crate::edit::{Diff, Ending, Excerpt, Save};
use crate::kv::{Revision, Store};

/// So many changes are listed.
const MOST: usize = 20;

/// What a diff says, in lines. No secrets are in it.
pub(in crate::cli) fn changes(diff: &Diff) -> Vec<String> {
    let all: Vec<String> = match &diff.by_path {
        Some(changes) if !changes.is_empty() => changes.iter().map(in_words).collect(),
        _ => {
            let rows = diff.by_line.rows().iter();
            rows.filter(|row| row.kind != RowKind::Same)
                .flat_map(|row| {
                    let line = |sign: char, line: &crate::edit::diff::Line| {
                        format!("  {sign} {}", line.text.masked())
                    };
                    let old = row.old.as_ref().map(|old| line('-', old));
                    old.into_iter()
                        .chain(row.new.as_ref().map(|new| line('+', new)))
                })
                .collect()
        }
    };
    let more = all.len().saturating_sub(MOST);
    let mut told: Vec<String> = all.into_iter().take(MOST).collect();
    if more > 0 {
        told.push(format!("  … and {more} more"));
    }
    told
}

fn in_words(change: &Change) -> String {
    let text = |text: &Option<Excerpt>| text.as_ref().map(Excerpt::masked).unwrap_or_default();
    let (path, old, new) = (&change.path, text(&change.old), text(&change.new));
    match change.what {
        What::Added => format!("  + {path}: {new}"),
        What::Removed => format!("  - {path}: {old}"),
        What::Changed => format!("  ~ {path}: {old} → {new}"),
        What::Reordered => format!("  ~ {path}: in another order"),
        What::Renamed => format!("  ~ {path}: spelled {new}"),
    }
}

/// A save that did not end well, as what it is.
pub(in crate::cli) fn failure(
    store: &Store,
    save: &Save,
    expected: Revision,
    ending: Ending,
) -> CliError {
    let (bucket, key) = (store.name().to_string(), save.key().clone());
    match ending {
        Ending::Conflict { newest } => CliError::Conflict {
            bucket,
            key,
            expected,
            current: Some(newest.revision),
        },
        Ending::Overwritten { landed, newest } => CliError::Overwritten {
            key,
            landed,
            current: newest.revision,
        },
        Ending::NotLanded { reason } => CliError::Unknown {
            bucket,
            key,
            reason,
            found: match expected {
                Revision::ABSENT => "It is not there: not written so far".to_owned(),
                expected => format!("It is still at revision {expected}: not written so far"),
            },
        },
        Ending::Unclear { reason, newest } => CliError::Unknown {
            bucket,
            key,
            reason,
            found: format!(
                "It is at revision {}, and not as it was to be; too little of its history is kept \
                 to say whether it was so in between",
                newest.revision
            ),
        },
        Ending::Unknown { reason, error } => CliError::Unknown {
            bucket,
            key,
            reason,
            found: format!("Reading it again failed too: {error}"),
        },
        Ending::Failed(error) => error.into(),
        // Not a failure.
        Ending::Unchanged | Ending::Saved { .. } => CliError::Declined,
    }
}
