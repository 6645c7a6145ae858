//! The queue of a lock as a tree: who holds on top, each waiter below whoever it waits for. Runs of
//! equal ones are folded where there is no room. Pure.

use std::ops::Range;

use crate::kv::lock::observer::{Lock, Party, Standing};
use crate::kv::lock::record::Mode;

/// How deep the tree goes before it goes on straight down.
const DEPTH: usize = 6;

/// A row of the queue. Places count those who hold, then those who wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row {
    /// One who holds or waits.
    Party {
        place: usize,
        /// How deep it stands in the tree; `None` for one who holds.
        depth: Option<usize>,
    },
    /// Several that are alike.
    Folded {
        places: Range<usize>,
        depth: Option<usize>,
    },
    /// So many more.
    More(usize),
}

/// Tells by place and party whether one may be folded.
type Kind<'a> = dyn Fn(usize, &Party) -> bool + 'a;

/// One who holds or waits, by its place.
pub(super) fn party(lock: &Lock, place: usize) -> Option<&Party> {
    let waiter = || lock.waiters.get(place.checked_sub(lock.holders.len())?);
    lock.holders.get(place).or_else(waiter)
}

/// The rows, all of them, or folded into so many.
pub(super) fn rows(lock: &Lock, room: Option<usize>) -> Vec<Row> {
    let holders = lock.holders.len();
    let mut rows: Vec<Row> = (0..holders)
        .map(|place| Row::Party { place, depth: None })
        .collect();
    // Readers in a row are let in together; everybody else waits for the one before.
    let (mut depth, mut before) = (0, None);
    for (at, waiter) in lock.waiters.iter().enumerate() {
        let is_beside = before == Some(Mode::Read) && waiter.mode == Mode::Read;
        depth += usize::from(before.is_some() && !is_beside);
        before = Some(waiter.mode);
        rows.push(Row::Party {
            place: holders + at,
            depth: Some(depth.min(DEPTH)),
        });
    }
    let Some(room) = room else {
        return rows;
    };
    let first_waiter = holders;
    let is_reader = |party: &Party| party.mode == Mode::Read;
    // Readers in line tell least, the first in line tells most.
    let kinds: [&Kind<'_>; 3] = [
        &|place, party| place > first_waiter && is_reader(party),
        &|place, _| place < holders,
        &|place, party| place > first_waiter && !is_reader(party),
    ];
    for is_it in kinds {
        if rows.len() <= room {
            return rows;
        }
        rows = fold(lock, rows, is_it);
    }
    if rows.len() > room {
        let kept = room.saturating_sub(1);
        let left = rows.split_off(kept);
        rows.push(Row::More(left.iter().map(Row::count).sum()));
    }
    rows
}

/// Makes one row of those that follow each other and are of a kind. What is not well stays apart.
fn fold(lock: &Lock, rows: Vec<Row>, is_it: &Kind<'_>) -> Vec<Row> {
    let mut folded: Vec<Row> = Vec::new();
    for row in rows {
        let Row::Party { place, depth } = row else {
            folded.push(row);
            continue;
        };
        let is_kind = |place: usize| {
            party(lock, place).is_some_and(|party| {
                let is_well = matches!(party.standing, Standing::Live | Standing::Unknown);
                is_well && is_it(place, party)
            })
        };
        match folded.last_mut() {
            Some(Row::Folded { places, .. }) if places.end == place && is_kind(place) => {
                places.end += 1;
            }
            Some(Row::Party {
                place: before,
                depth: depth_before,
            }) if *before + 1 == place && is_kind(*before) && is_kind(place) => {
                let (before, depth) = (*before, *depth_before);
                folded.pop();
                folded.push(Row::Folded {
                    places: before..place + 1,
                    depth,
                });
            }
            _ => folded.push(Row::Party { place, depth }),
        }
    }
    folded
}

impl Row {
    fn count(&self) -> usize {
        match self {
            Self::Party { .. } => 1,
            Self::Folded { places, .. } => places.len(),
            Self::More(count) => *count,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::kv::lock::observer::{Freshness, Judged};
    use crate::kv::lock::timeline::{Basis, Since};
    use crate::kv::{BucketName, Key};

    fn party(mode: Mode, standing: Standing) -> Party {
        let since = Since {
            at: OffsetDateTime::UNIX_EPOCH,
            basis: Basis::Write,
        };
        let mut party = Party::blank("s", mode, since);
        party.standing = standing;
        party
    }

    /// `r` and `w` for those that live, capitals for those that do not.
    fn lock(holders: &str, waiters: &str) -> Lock {
        let parties = |letters: &str| {
            let parties = letters.chars().map(|letter| {
                let mode = match letter.to_ascii_lowercase() {
                    'r' => Mode::Read,
                    _ => Mode::Write,
                };
                let lives = letter.is_ascii_lowercase();
                party(
                    mode,
                    if lives {
                        Standing::Live
                    } else {
                        Standing::Gone
                    },
                )
            });
            parties.collect()
        };
        let mut lock = Lock::blank(
            BucketName::new("b").unwrap(),
            Key::new("_lock.r").unwrap(),
            Freshness::Live,
            Judged {
                boot: std::time::Duration::ZERO,
                store: OffsetDateTime::UNIX_EPOCH,
            },
        );
        lock.holders = parties(holders);
        lock.waiters = parties(waiters);
        lock
    }

    /// Each row in short: its place or places, and its depth.
    fn shown(lock: &Lock, room: Option<usize>) -> Vec<String> {
        let rows = rows(lock, room).into_iter().map(|row| match row {
            Row::Party { place, depth: None } => format!("■{place}"),
            Row::Party {
                place,
                depth: Some(depth),
            } => format!("{depth}:{place}"),
            Row::Folded {
                places,
                depth: None,
            } => format!("■{}-{}", places.start, places.end - 1),
            Row::Folded {
                places,
                depth: Some(depth),
            } => format!("{depth}:{}-{}", places.start, places.end - 1),
            Row::More(count) => format!("+{count}"),
        });
        rows.collect()
    }

    #[test]
    fn each_waits_below_whoever_it_waits_for() {
        assert_eq!(
            shown(&lock("r", "wwrrr"), None),
            ["■0", "0:1", "1:2", "2:3", "2:4", "2:5"]
        );
        // Where readers may pass they come first, and a writer waits for them.
        assert_eq!(shown(&lock("w", "rrw"), None), ["■0", "0:1", "0:2", "1:3"]);
        assert_eq!(shown(&lock("", "w"), None), ["0:0"]);
    }

    #[test]
    fn equal_ones_fold_where_there_is_no_room() {
        let queue = lock("r", "wrrr");
        assert_eq!(shown(&queue, Some(5)).len(), 5);
        assert_eq!(shown(&queue, Some(4)), ["■0", "0:1", "1:2-4"]);
        // The first in line and what is not well stay in sight.
        assert_eq!(
            shown(&lock("rrr", "wrrRrr"), Some(6)),
            ["■0-2", "0:3", "1:4-5", "1:6", "1:7-8"]
        );
        assert_eq!(
            shown(&lock("w", "wwwwrr"), Some(4)),
            ["■0", "0:1", "1:2-4", "4:5-6"]
        );
        assert_eq!(shown(&lock("w", "wrwrwr"), Some(3)), ["■0", "0:1", "+5"]);
        assert_eq!(shown(&lock("w", "w"), Some(0)), ["+2"]);
    }
}
