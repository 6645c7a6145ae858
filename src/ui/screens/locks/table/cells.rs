//! A lock in the columns of the table.

use ratatui::text::Span;

use super::super::ages::{self, Ages};
use super::super::rows::is_waited_for;
use super::Column::{
    self, Beat, Bucket, Fence, First, Held, Holders, Mode as ModeOf, Readers, Resource,
    Verdict as VerdictOf, Wait, Waiting, Writers,
};
use crate::kv::lock::diagnosis::Verdict;
use crate::kv::lock::observer::{Content, Freshness, LastBeat, Lock, LockMode, Party, Standing};
use crate::kv::lock::record::Mode;
use crate::ui::canvas::Canvas;
use crate::ui::message::LockReport;
use crate::ui::shown;
use crate::ui::theme::Role;

/// What stands in a column for a lock.
pub(super) fn cell(
    canvas: &mut Canvas<'_, '_>,
    column: Column,
    width: usize,
    lock: &Lock,
    ages: Ages,
    seen: &LockReport,
) -> Vec<Span<'static>> {
    let ages = ages.of(lock);
    match column {
        Resource => shown::fitted_spans(canvas.theme, &lock.resource, Role::Title, width),
        Bucket => shown::fitted_spans(canvas.theme, lock.bucket.as_str(), Role::Muted, width),
        ModeOf => {
            let mode = lock.mode().map_or("?", LockMode::as_str);
            vec![canvas.span(shown::fitted(mode, width), Role::Text)]
        }
        Holders => {
            let words = several(&lock.holders, width).unwrap_or_else(|| unnamed(lock));
            vec![canvas.span(shown::cut_fitted(&words, width), Role::Text)]
        }
        First => {
            let first = lock
                .waiters
                .get(..1)
                .and_then(|first| several(first, width));
            let words = first.unwrap_or_default();
            vec![canvas.span(shown::cut_fitted(&words, width), Role::Text)]
        }
        Fence => {
            let fence = lock.holders.iter().filter_map(|party| party.fence).max();
            let words = fence.map(|fence| fence.to_string()).unwrap_or_default();
            number(canvas, &words, width, Role::Muted)
        }
        Writers | Readers | Waiting => {
            let words = waiting(lock, column);
            let role = if words == "0" {
                Role::Muted
            } else {
                Role::Text
            };
            number(canvas, &words, width, role)
        }
        Wait => {
            let words = lock
                .longest_waiter()
                .map(|party| lasted(canvas, ages, party));
            number(canvas, &words.unwrap_or_default(), width, Role::Text)
        }
        Held => {
            let words = lock
                .longest_holder()
                .map(|party| lasted(canvas, ages, party));
            number(canvas, &words.unwrap_or_default(), width, Role::Muted)
        }
        Beat => {
            // That of the holder who has been silent longest.
            let beats = lock.holders.iter().filter_map(last_beat);
            let oldest = beats.max_by_key(|beat| beat.ago);
            let words = oldest.map(|beat| ages.growing(canvas, beat.ago));
            number(canvas, &words.unwrap_or_default(), width, Role::Muted)
        }
        VerdictOf => verdict(canvas, lock, width, seen),
    }
}

fn number(canvas: &Canvas<'_, '_>, words: &str, width: usize, role: Role) -> Vec<Span<'static>> {
    vec![canvas.span(format!("{words:>width$}"), role)]
}

/// The last sign of life. What was written last of one that was killed is the kill.
pub(in crate::ui::screens::locks) fn last_beat(party: &Party) -> Option<LastBeat> {
    let is_killed = matches!(party.standing, Standing::Killed { .. });
    party.last_beat.filter(|_| !is_killed)
}

/// How long one has held or waited, with a sign where that is not the whole truth.
pub(in crate::ui::screens::locks) fn lasted(
    canvas: &mut Canvas<'_, '_>,
    ages: Ages,
    party: &Party,
) -> String {
    let sign = if party.lasted_longer() { "≥ " } else { "" };
    format!("{sign}{}", ages.growing(canvas, party.lasted))
}

/// The first by its name and how many more, visible; `None` of nobody.
fn several(parties: &[Party], width: usize) -> Option<String> {
    let (first, others) = parties.split_first()?;
    if others.is_empty() {
        return Some(shown::short(&first.name(), width));
    }
    let more = format!(" +{}", others.len());
    let room = width.saturating_sub(more.len());
    Some(format!("{}{more}", shown::short(&first.name(), room)))
}

/// What is known of those who hold without a name.
fn unnamed(lock: &Lock) -> String {
    match &lock.content {
        Content::Shizuku(record) if lock.mode() == Some(LockMode::Read) => match record.readers {
            1 => "1 reader, unnamed".to_owned(),
            readers => format!("{readers} readers, unnamed"),
        },
        Content::Shizuku(_) if lock.mode() == Some(LockMode::Write) => {
            "1 writer, unnamed".to_owned()
        }
        _ => String::new(),
    }
}

fn waiting(lock: &Lock, column: Column) -> String {
    if let Content::Shizuku(_) = &lock.content {
        // A flag is all there is.
        let is_told = is_waited_for(lock) && column != Readers;
        return if is_told { "flag" } else { "?" }.to_owned();
    }
    if lock.mode().is_none() {
        return "?".to_owned();
    }
    let [writers, readers] = [Mode::Write, Mode::Read].map(|mode| lock.waiting(mode).count());
    match (column, writers, readers) {
        (Writers, ..) => writers.to_string(),
        (Readers, ..) => readers.to_string(),
        (_, 0, 0) => "0".to_owned(),
        (_, writers, 0) => format!("{writers}w"),
        (_, 0, readers) => format!("{readers}r"),
        (_, writers, readers) => format!("{writers}w {readers}r"),
    }
}

/// The verdict, never by its colour alone; of a lock that is out of date, with the time at which it
/// was so.
fn verdict(
    canvas: &Canvas<'_, '_>,
    lock: &Lock,
    width: usize,
    seen: &LockReport,
) -> Vec<Span<'static>> {
    let (sign, role) = look_of(lock.verdict);
    let words = match &lock.freshness {
        Freshness::Stale { since, .. } if width > 24 => {
            let since = shown::clock(ages::time_of(seen, *since));
            format!("◌ {since} {}", lock.verdict)
        }
        Freshness::Stale { .. } | Freshness::Failed { .. } => format!("◌ {}", lock.verdict),
        Freshness::Live | Freshness::Loading => format!("{sign} {}", lock.verdict),
    };
    vec![canvas.span(shown::fitted(&words, width), role)]
}

/// The sign of a verdict, and its role.
pub(in crate::ui::screens::locks) fn look_of(verdict: Verdict) -> (&'static str, Role) {
    match verdict {
        Verdict::Malformed | Verdict::Deadlock | Verdict::DeadHolder | Verdict::SuspectHolder => {
            ("✖", Role::Danger)
        }
        Verdict::Quarantined | Verdict::GhostWaiter | Verdict::Expired | Verdict::LongHeld => {
            ("▲", Role::Warning)
        }
        Verdict::Contended => ("●", Role::Text),
        Verdict::Healthy => ("●", Role::Good),
        Verdict::Idle => ("○", Role::Muted),
    }
}
