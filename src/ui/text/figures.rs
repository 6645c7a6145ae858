//! Numbers, sizes and ages, worded for people; and when the words will change next.
//!
//! Ages round down: "3 h" means at least three hours and less than four. The console has no ticks,
//! so whoever shows an age asks for the time of its next change and arms one deadline.

use std::time::Duration;

/// A time for a sentence or a wide column, as the engine's own sentences have it.
pub use crate::kv::lock::diagnosis::span;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A number with its thousands apart: `1,204`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes: `214 B`, `1.1 K`, `12 K`, `3.0 M`. A K is 1,024 bytes, an M 1,024 K, and so on.
/// Rounded to the nearest, with one decimal below ten. At most six columns.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 1_u128;
    for name in ["K", "M", "G", "T", "P", "E"] {
        unit *= 1024;
        let rounded = |parts: u128| (u128::from(bytes) * parts + unit / 2) / unit;
        match (rounded(10), rounded(1)) {
            (tenths, _) if tenths < 100 => {
                return format!("{}.{} {name}", tenths / 10, tenths % 10);
            }
            (_, whole) if whole < 1024 => return format!("{whole} {name}"),
            _ => {}
        }
    }
    // 16 E is more than a `u64` of bytes can come to.
    format!("{} B", count(bytes))
}

/// How much of a limit is used: `██████░░░░ 61 %`. More than all of it is told as it is.
pub fn bar(used: u64, limit: u64, columns: usize) -> String {
    let limit = u128::from(limit.max(1));
    let used = u128::from(used);
    let columns_wide = columns as u128;
    let filled = ((used * columns_wide + limit / 2) / limit).min(columns_wide);
    // What is used at all is seen, and so is what is left.
    let filled = match filled {
        0 if used > 0 => 1,
        all if all == columns_wide && used < limit => columns_wide.saturating_sub(1),
        filled => filled,
    };
    let filled = usize::try_from(filled).unwrap_or(columns).min(columns);
    let percent = used * 100 / limit;
    format!(
        "{}{} {percent} %",
        "█".repeat(filled),
        "░".repeat(columns - filled)
    )
}

/// A count that is not known but for what it is not above: `≤1,000`; nothing is nothing.
pub fn at_most(number: u64) -> String {
    match number {
        0 => count(0),
        number => format!("≤{}", count(number)),
    }
}

/// An age for a narrow column, in its largest unit: `12 s`, `4 m`, `3 h`, `2 d`. At most six
/// columns up to 9,999 days.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (unit, name) = age_unit(seconds);
    format!("{} {name}", seconds / unit)
}

/// How long until [`age`] gives another text for an age that keeps growing.
pub fn next_change(age: Duration) -> Duration {
    until_next(age, Duration::from_secs(age_unit(age.as_secs()).0))
}

fn age_unit(seconds: u64) -> (u64, &'static str) {
    match seconds {
        0..MINUTE => (1, "s"),
        MINUTE..HOUR => (MINUTE, "m"),
        HOUR..DAY => (HOUR, "h"),
        _ => (DAY, "d"),
    }
}

/// How long until [`span`] gives another text for a time that keeps growing.
pub fn next_span_change(time: Duration) -> Duration {
    until_next(time, span_step(time))
}

/// How long until [`span`] gives another text for a time that runs out. `None` when it has.
pub fn next_countdown_change(left: Duration) -> Option<Duration> {
    if left < Duration::from_millis(100) {
        return None;
    }
    // At the limit itself the old text still stands.
    Some(rest(left, span_step(left)) + Duration::from_nanos(1))
}

fn span_step(time: Duration) -> Duration {
    match time.as_secs() {
        0 => Duration::from_millis(100),
        1..HOUR => Duration::from_secs(1),
        HOUR..DAY => Duration::from_secs(MINUTE),
        _ => Duration::from_secs(HOUR),
    }
}

fn until_next(time: Duration, step: Duration) -> Duration {
    step.saturating_sub(rest(time, step))
}

fn rest(time: Duration, step: Duration) -> Duration {
    let rest = time.as_nanos() % step.as_nanos().max(1);
    // Less than one step, and no step is longer than a day.
    Duration::from_nanos(u64::try_from(rest).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        let texts = [0, 7, 999, 1_000, 1_204, 312_400, 1_000_000].map(count);
        assert_eq!(
            texts,
            ["0", "7", "999", "1,000", "1,204", "312,400", "1,000,000"]
        );
    }

    #[test]
    fn sizes_are_short_and_never_reach_the_next_unit() {
        let k = 1024;
        for (bytes, text) in [
            (0, "0 B"),
            (214, "214 B"),
            (1023, "1023 B"),
            (k, "1.0 K"),
            (1127, "1.1 K"),
            (10 * k - 1, "10 K"),
            (1023 * k, "1023 K"),
            (k * k - 1, "1.0 M"),
            (k * k, "1.0 M"),
            (3 * k * k * k, "3.0 G"),
            (u64::MAX, "16 E"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn ages_and_spans_are_worded_as_on_the_screens() {
        for (millis, short, long) in [
            (0, "0 s", "0.0 s"),
            (250, "0 s", "0.2 s"),
            (12_999, "12 s", "12 s"),
            (252_000, "4 m", "4 m 12 s"),
            (663_000, "11 m", "11 m 3 s"),
            (3 * 3_600_000 + 300_000, "3 h", "3 h 5 m"),
            (52 * 3_600_000, "2 d", "2 d 4 h"),
        ] {
            assert_eq!(
                (age(ms(millis)).as_str(), span(ms(millis)).as_str()),
                (short, long)
            );
        }
        assert_eq!(next_change(ms(3_600_000)), ms(3_600_000));
        assert_eq!(next_countdown_change(ms(99)), None);
    }

    proptest! {
        #[test]
        fn the_next_change_is_the_next_change(nanos in 0..400_u64 * DAY * 1_000_000_000, short in 0..7200_u64) {
            for time in [Duration::from_nanos(nanos), Duration::from_secs(short), ms(nanos % 100_000)] {
                let instant = Duration::from_nanos(1);
                let next = next_change(time);
                prop_assert_eq!(age(time + next.saturating_sub(instant)), age(time));
                prop_assert_ne!(age(time + next), age(time));

                let next = next_span_change(time);
                prop_assert_eq!(span(time + next.saturating_sub(instant)), span(time));
                prop_assert_ne!(span(time + next), span(time));

                if let Some(next) = next_countdown_change(time) {
                    prop_assert_eq!(span(time.saturating_sub(next.saturating_sub(instant))), span(time));
                    prop_assert_ne!(span(time.saturating_sub(next)), span(time));
                }
            }
        }
    }

    #[test]
    fn bars_show_what_is_used_and_what_is_left() {
        assert_eq!(bar(0, 100, 4), "░░░░ 0 %");
        assert_eq!(bar(1, 1000, 4), "█░░░ 0 %");
        assert_eq!(bar(50, 100, 4), "██░░ 50 %");
        assert_eq!(bar(999, 1000, 4), "███░ 99 %");
        assert_eq!(bar(100, 100, 4), "████ 100 %");
        assert_eq!(bar(300, 100, 4), "████ 300 %");
        assert_eq!(bar(1, 0, 2), "██ 100 %");
    }
}
