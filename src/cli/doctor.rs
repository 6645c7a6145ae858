//! `doctor`: what is set dangerously, and the fix.

use std::process::ExitCode;

use serde::Serialize;

use crate::config::Place;
use crate::kv::doctor::{Facts, Finding, Look, Severity, Synced, counted, diagnose, gather};
use crate::kv::{BucketName, Entry, Error, nats};
use crate::ui::text::figures;
use crate::ui::value::Masks;

use super::args::DoctorArgs;
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;
use super::text::sentence;

/// A finding, for programs.
#[derive(Debug, Serialize)]
struct FindingRecord<'a> {
    severity: &'static str,
    check: &'static str,
    bucket: Option<&'a str>,
    finding: &'a str,
    why: &'static str,
    fix: Option<&'a str>,
}

/// Looks, and tells. The code is 0 only if nothing is severe.
pub(super) async fn run(
    connection: &Connection,
    args: DoctorArgs,
    output: &mut Output,
) -> Result<ExitCode, CliError> {
    let bucket = args.bucket.as_deref().map(BucketName::new).transpose();
    let bucket = bucket.map_err(Error::from)?;
    let synced = match &args.system_context {
        Some(name) => {
            let Place::Nats(mut place) = Place::of_context(name, &connection.contexts)? else {
                return Err(CliError::Usage(format!("the context {name} is a file")));
            };
            place.options.timeout = connection.timeout();
            nats::sync_of_servers(&place.options).await?
        }
        None => Synced::Unseen,
    };
    let masks = match &connection.config.masks {
        Some(words) => Masks::new(words),
        None => Masks::default(),
    };
    let is_secret = move |entry: &Entry| masks.find_in(entry);
    let backend = connection.backend().await?;
    let command = connection.place()?.command();
    let look = Look {
        command: &command,
        bucket,
        values: args.values,
        is_secret: &is_secret,
        synced,
        clock: time::OffsetDateTime::now_utc,
    };
    let facts = gather(&*backend, &look).await?;
    let findings = diagnose(&facts);
    for finding in &findings {
        tell(finding, output)?;
    }
    if !output.is_json() {
        output.line(&summary(&facts, &findings))?;
    }
    let is_severe = findings.iter().any(|one| one.severity == Severity::Severe);
    // Who may look at nothing has not found that all is well.
    let is_blind = facts.buckets.is_empty() && !facts.unseen.is_empty();
    Ok(ExitCode::from(u8::from(is_severe || is_blind)))
}

fn tell(finding: &Finding, output: &mut Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.record(&FindingRecord {
            severity: finding.severity.as_str(),
            check: finding.check,
            bucket: finding.bucket.as_ref().map(BucketName::as_str),
            finding: &finding.what,
            why: finding.why,
            fix: finding.fix.as_deref(),
        });
    }
    let place = match &finding.bucket {
        Some(bucket) => format!("{bucket}: "),
        None => String::new(),
    };
    let words = format!("{place}{}", finding.what);
    output.line(&format!(
        "{:<8} {}  [{}]",
        finding.severity.as_str().to_uppercase(),
        sentence(&words),
        finding.check
    ))?;
    output.line(&format!("         {}", finding.why))?;
    if let Some(fix) = &finding.fix {
        output.line(&format!("    fix: {}", sentence(fix)))?;
    }
    output.line("")
}

fn summary(facts: &Facts, findings: &[Finding]) -> String {
    let count = |severity| {
        findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    let looked = |of: fn(&crate::kv::doctor::Looked) -> u64| {
        let buckets = facts.buckets.iter();
        figures::count(buckets.map(|bucket| of(&bucket.looked)).sum())
    };
    format!(
        "{} severe, {}, {}; {} and {} of {} values looked at",
        count(Severity::Severe),
        counted(count(Severity::Warning), "warning"),
        counted(count(Severity::Note), "note"),
        counted(facts.buckets.len(), "bucket"),
        looked(|looked| looked.values),
        looked(|looked| looked.of),
    )
}
