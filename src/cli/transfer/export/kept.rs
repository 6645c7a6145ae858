//! What an earlier run left of an export in its file, so that the next one goes on behind it.

use std::io::{BufRead, Read as _};

use super::super::line::{Head, Line, parse};
use super::super::reader::LONGEST;
use crate::kv::Revision;

/// What every export begins with.
const BEGINNING: &[u8] = b"{\"export\":";

/// The beginning of an export.
#[derive(Debug)]
pub(super) struct Kept {
    head: Head,
    /// How many entries it has.
    pub(super) entries: u64,
    /// The revision of the last of them.
    pub(super) last: Revision,
    /// Whether nothing is missing.
    pub(super) is_whole: bool,
    /// How many bytes its complete lines have.
    pub(super) bytes: u64,
}

impl Kept {
    /// Reads what is there, but for a torn line at its end. `None`: not even a head.
    ///
    /// # Errors
    /// What else it is, in words.
    pub(super) fn read(mut source: impl BufRead) -> Result<Option<Self>, String> {
        let in_words = |error: std::io::Error| format!("it can't be read: {error}");
        let mut kept: Option<Self> = None;
        let (mut number, mut line) = (0_u64, Vec::new());
        loop {
            number += 1;
            line.clear();
            let read = source
                .by_ref()
                .take(LONGEST)
                .read_until(b'\n', &mut line)
                .map_err(in_words)?;
            if read == 0 {
                return Ok(kept);
            }
            let fault = match parse(&line) {
                _ if !line.ends_with(b"\n") => "it is cut off".to_owned(),
                Ok(told) => {
                    Self::take(&mut kept, told).map_err(|why| format!("line {number}: {why}"))?;
                    if let Some(kept) = &mut kept {
                        kept.bytes += read as u64;
                    }
                    continue;
                }
                Err(fault) => fault.to_string(),
            };
            let is_last = source.fill_buf().map_err(in_words)?.is_empty();
            let is_ours = kept.is_some() || is_beginning(&line);
            return match (is_ours, is_last) {
                (true, true) => Ok(kept),
                (false, _) => Err("it is no export".to_owned()),
                (true, false) => Err(format!("line {number}: {fault}")),
            };
        }
    }

    fn take(kept: &mut Option<Self>, told: Option<Line>) -> Result<(), &'static str> {
        match (kept, told) {
            (_, None) => Ok(()),
            (kept @ None, Some(Line::Head(head))) => {
                *kept = Some(Self {
                    head: *head,
                    entries: 0,
                    last: Revision::ABSENT,
                    is_whole: false,
                    bytes: 0,
                });
                Ok(())
            }
            (None, Some(_)) => Err("the head of an export should come first"),
            (Some(_), Some(Line::Head(_))) => Err("a second export begins"),
            (Some(kept), Some(_)) if kept.is_whole => Err("it goes on behind its end"),
            (Some(kept), Some(Line::End(end))) => {
                kept.is_whole = true;
                if end.end == kept.entries {
                    Ok(())
                } else {
                    Err("entries are missing before its end")
                }
            }
            (Some(kept), Some(Line::Entry(told))) => {
                if told.revision <= kept.last {
                    return Err("its revision is not behind that of the line before");
                }
                kept.entries += 1;
                kept.last = told.revision;
                Ok(())
            }
        }
    }

    /// Fails unless the export that begins with `head` can go on here. The bucket is at revision
    /// `last`.
    pub(super) fn check(&self, head: &Head, last: Revision) -> Result<(), String> {
        let own = &self.head;
        if (&own.bucket, &own.filter, own.history) != (&head.bucket, &head.filter, head.history) {
            return Err(format!("it is {}, and this is {}", of(own), of(head)));
        }
        let is_anew = own.made.is_some() && own.made != head.made;
        if is_anew || self.last > last {
            return Err(format!("{} was made anew since", head.bucket));
        }
        Ok(())
    }
}

fn is_beginning(line: &[u8]) -> bool {
    let common = line.len().min(BEGINNING.len());
    line[..common] == BEGINNING[..common]
}

fn of(head: &Head) -> String {
    let what = if head.history {
        "the history"
    } else {
        "the newest entries"
    };
    format!("{what} of {:?} in {}", head.filter, head.bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"export":1,"bucket":"b","filter":">","history":false,"exported":"2026-01-02T03:04:05Z","expected":2,"made":"2026-01-01T00:00:00Z","settings":{"history":1,"storage":"file","replicas":1}}"#;

    fn entry(revision: u64) -> String {
        format!(r#"{{"key":"k{revision}","revision":{revision},"value":"v"}}"#)
    }

    fn read(text: &str) -> Result<Option<(u64, u64, bool, u64)>, String> {
        let kept = Kept::read(text.as_bytes())?;
        Ok(kept.map(|kept| (kept.entries, kept.last.0, kept.is_whole, kept.bytes)))
    }

    #[test]
    fn wherever_it_is_cut_off_what_is_complete_is_kept() {
        let text = format!("{HEAD}\n{}\n{}\n{{\"end\":2}}\n", entry(3), entry(7));
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        for cut in 0..=text.len() {
            let found = read(&text[..cut]).unwrap();
            let complete = ends.iter().filter(|end| **end <= cut).count();
            let expected = [
                None,
                Some((0, 0, false, ends[0])),
                Some((1, 3, false, ends[1])),
                Some((2, 7, false, ends[2])),
                Some((2, 7, true, ends[3])),
            ];
            let expected = expected[complete];
            let expected = expected.map(|(n, last, whole, bytes)| (n, last, whole, bytes as u64));
            assert_eq!(found, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_something_else_is_left_as_it_is() {
        for (text, why) in [
            ("notes\n".to_owned(), "no export"),
            ("notes".to_owned(), "no export"),
            (format!("{}\n", entry(1)), "line 1: the head"),
            (
                format!("{HEAD}\nxx\n{}\n", entry(1)),
                "line 2: it is cut off",
            ),
            (format!("{HEAD}\n{HEAD}\n"), "line 2: a second export"),
            (
                format!("{HEAD}\n{}\n{}\n", entry(2), entry(2)),
                "line 3: its revision",
            ),
            (
                format!("{HEAD}\n{{\"end\":1}}\n"),
                "line 2: entries are missing",
            ),
            (
                format!("{HEAD}\n{{\"end\":0}}\n{}\n", entry(1)),
                "line 3: it goes on",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn it_goes_on_with_its_own_bucket_alone() {
        let text = format!("{HEAD}\n{}\n", entry(5));
        let kept = Kept::read(text.as_bytes()).unwrap().unwrap();
        let head = kept.head.clone();
        kept.check(&head, Revision(5)).unwrap();
        let error = kept.check(&head, Revision(4)).unwrap_err();
        assert!(error.contains("made anew"), "{error}");
        let mut other = head.clone();
        other.made = Some("2026-01-01T00:00:01Z".to_owned());
        let error = kept.check(&other, Revision(5)).unwrap_err();
        assert!(error.contains("made anew"), "{error}");
        let mut other = head.clone();
        other.filter = "a.>".to_owned();
        let error = kept.check(&other, Revision(5)).unwrap_err();
        assert!(
            error.contains("the newest entries of \"a.>\" in b"),
            "{error}"
        );
    }
}
