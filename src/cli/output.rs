//! Standard output: the one way to it.
//!
//! In tables and in lines for people nothing raw gets through, whoever reads them; JSON is the
//! same for a program, and harmless on a terminal. Only [`Output::bytes`] writes what it is given.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use serde::Serialize;

use crate::kv::Revision;

use super::error::CliError;
use super::record::{ConflictRecord, UnknownRecord};
use super::text::SafeJson;

/// Standard output, and how it is to be written to.
#[derive(Debug)]
pub(super) struct Output {
    writer: BufWriter<Stdout>,
    json: bool,
    terminal: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            writer: BufWriter::with_capacity(64 << 10, stdout),
            json,
            terminal,
        }
    }

    /// Whether programs read it.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether it is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// How many columns there are, if it is a terminal.
    pub(super) fn columns(&self) -> Option<usize> {
        if !self.terminal {
            return None;
        }
        let (columns, _) = crossterm::terminal::size().ok()?;
        (columns > 0).then_some(usize::from(columns))
    }

    /// Writes a line of text, which must have been made visible.
    pub(super) fn line(&mut self, text: &str) -> Result<(), CliError> {
        self.writer.write_all(text.as_bytes())?;
        self.writer.write_all(b"\n")?;
        Ok(())
    }

    /// Writes an object for programs.
    pub(super) fn record(&mut self, record: &impl Serialize) -> Result<(), CliError> {
        Ok(write_record(&mut self.writer, record)?)
    }

    /// Writes these very bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.writer.write_all(bytes)?;
        Ok(())
    }

    /// Writes how a write ended for programs, if they are who reads, and it was a conflict or is not
    /// known.
    pub(super) fn ending(&mut self, error: &CliError) -> Result<(), CliError> {
        match error.cause() {
            CliError::Conflict {
                bucket,
                key,
                expected,
                current,
            } if self.json => self.record(&ConflictRecord {
                error: "conflict",
                bucket,
                key: key.as_str(),
                expected: expected.0,
                current: current.map(|Revision(current)| current),
            }),
            CliError::LockMoved {
                bucket,
                key,
                expected,
                current,
                ..
            } if self.json => self.record(&ConflictRecord {
                error: "conflict",
                bucket,
                key: key.as_str(),
                expected: expected.0,
                current: Some(current.0),
            }),
            CliError::Unknown {
                bucket,
                key,
                reason,
                found,
            } if self.json => self.record(&UnknownRecord {
                error: "unknown",
                bucket,
                key: key.as_str(),
                reason,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Sends on what has been written.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        Ok(self.writer.flush()?)
    }
}

/// Writes an object for programs, in a line of its own.
pub(super) fn write_record(writer: &mut impl io::Write, record: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *writer, SafeJson);
    record.serialize(&mut serializer)?;
    writer.write_all(b"\n")
}
