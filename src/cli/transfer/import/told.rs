//! What is told of an import: keys that were left one by one, and the whole in numbers.

use serde::Serialize;

use super::super::landing::Why;
use super::{Import, ImportError};
use crate::cli::args::ImportArgs;
use crate::cli::error::CliError;

/// How many keys that were left are named to a person.
const NAMED: u64 = 20;

/// What the lines came to.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) written: u64,
    pub(super) same: u64,
    pub(super) exists: u64,
    pub(super) newer: u64,
    pub(super) differs: u64,
    pub(super) moved: u64,
    pub(super) expired: u64,
    pub(super) nothing_there: u64,
    pub(super) refused: u64,
    pub(super) without_ttl: u64,
}

/// A key that was not imported, for programs.
#[derive(Debug, Serialize)]
pub(super) struct LeftRecord<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) line: u64,
    pub(super) left: &'static str,
    pub(super) current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// The whole, for programs.
#[derive(Debug, Serialize)]
struct ImportRecord<'a> {
    bucket: &'a str,
    dry_run: bool,
    lines: u64,
    entries: u64,
    written: u64,
    same: u64,
    exists: u64,
    newer: u64,
    differs: u64,
    moved: u64,
    expired: u64,
    nothing_there: u64,
    refused: u64,
    without_ttl: u64,
}

impl Import<'_> {
    pub(super) fn name_left(&mut self, left: &LeftRecord<'_>) {
        if self.output.is_json() {
            if let Err(CliError::Output(error)) = self.output.record(left) {
                self.stop.get_or_insert(ImportError::Output(error));
            }
            return;
        }
        // A million keys that are there already are no news one by one.
        if left.left == Why::Exists.as_str() {
            return;
        }
        self.named += 1;
        if self.named > NAMED {
            return;
        }
        let at = left.current.unwrap_or_default();
        let what = match &left.reason {
            Some(reason) => reason.clone(),
            None if left.left == Why::Newer.as_str() => {
                format!("left: it was written later there, at revision {at}")
            }
            None if left.left == Why::Differs.as_str() => {
                format!("left: it differs there, at revision {at}")
            }
            None => "left: somebody else wrote it meanwhile".to_owned(),
        };
        self.progress.note(&format!("{}: {what}", left.key));
        if self.named == NAMED {
            self.progress
                .note("more are left than are named here; --json names them all");
        }
    }

    pub(super) fn summary(&mut self, args: &ImportArgs) -> Result<(), CliError> {
        let counts = &self.counts;
        if self.output.is_json() {
            return self.output.record(&ImportRecord {
                bucket: &args.bucket,
                dry_run: args.dry_run,
                lines: self.line,
                entries: self.entries,
                written: counts.written,
                same: counts.same,
                exists: counts.exists,
                newer: counts.newer,
                differs: counts.differs,
                moved: counts.moved,
                expired: counts.expired,
                nothing_there: counts.nothing_there,
                refused: counts.refused,
                without_ttl: counts.without_ttl,
            });
        }
        let verb = if args.dry_run {
            "would be written"
        } else {
            "written"
        };
        let mut words = vec![format!("{} {verb}", counts.written)];
        let others = [
            (counts.same, "the same already"),
            (counts.exists, "left: they have a value"),
            (counts.newer, "left: written later there"),
            (counts.differs, "left: they differ there"),
            (counts.moved, "left: somebody else wrote them meanwhile"),
            (counts.expired, "left out: their time was over"),
            (counts.nothing_there, "deletions of what is not there"),
            (counts.refused, "refused"),
            (counts.without_ttl, "written without their time to live"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0);
        words.extend(others.map(|(count, what)| format!("{count} {what}")));
        self.output
            .line(&format!("{}: {}", args.bucket, words.join(", ")))
    }
}
