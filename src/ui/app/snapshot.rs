//! Snapshots of all locks: asking for one, what came of it, and a place that is one.

use std::path::{Path, PathBuf};

use super::{App, context};
use crate::kv::Error;
use crate::ui::context::Context;
use crate::ui::message::{Effect, Millis, RequestId, Written};
use crate::ui::shown;

impl App {
    /// When the snapshot was taken that the place is, if it is one.
    pub(super) fn taken(&self) -> Option<Millis> {
        let place = self.place.as_ref()?;
        place.capabilities.as_of.map(shown::millis)
    }

    /// Asks for a snapshot, in a file of that name or of one that tells of the place and the time.
    pub(super) fn take_snapshot(&mut self, name: Option<&str>) {
        let Some(place) = &self.place else {
            return;
        };
        let path = name.map_or_else(|| default_name(&place.label, self.now), PathBuf::from);
        let called = format!("{} ({})", place.label, place.address);
        let mut ctx = context!(self);
        if self.snapshot.is_some() {
            ctx.warn("a snapshot is being written already");
            return;
        }
        self.snapshot = Some(ctx.request(|id| Effect::Snapshot(id, path, called)));
        ctx.tell("writing a snapshot …");
    }

    /// It was written, or was not.
    pub(super) fn snapshot_taken(&mut self, id: RequestId, answer: Result<Written, Error>) {
        if self.snapshot != Some(id) {
            return;
        }
        self.snapshot = None;
        let mut ctx = context!(self);
        match answer {
            Ok(written) if written.missing.is_empty() => ctx.tell(words(&written)),
            Ok(written) => {
                let missing = written.missing.join("; ");
                ctx.warn(format!("{}, but not all: {missing}", words(&written)));
            }
            Err(error) => ctx.warn(format!("no snapshot: {error}")),
        }
    }
}

/// `wrote 37 locks to night.kvs and night.json`
fn words(written: &Written) -> String {
    let locks = match written.locks {
        1 => "1 lock".to_owned(),
        locks => format!("{locks} locks"),
    };
    let files = written.files.iter();
    let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
    format!("wrote {locks} to {}", files.join(" and "))
}

/// `kvscope-prod-eu-20260301T021434Z.kvs`, in the folder that the console was started in.
fn default_name(place: &str, now: Millis) -> PathBuf {
    // A place can be a file's path.
    let place = Path::new(place).file_stem().unwrap_or_default();
    let place: String = place
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let time: String = shown::date(now)
        .chars()
        .filter(|c| !matches!(c, ':' | '-'))
        .map(|c| if c == ' ' { 'T' } else { c })
        .collect();
    PathBuf::from(format!("kvscope-{place}-{time}Z.kvs"))
}
