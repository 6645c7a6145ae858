//! Times and numbers as they stand in a sentence.

use std::time::Duration;

use time::OffsetDateTime;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A time in its two largest units: `0.2 s`, `48 s`, `4 m 12 s`, `3 h 5 m`, `2 d 4 h`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("0.{} s", time.subsec_millis() / 100),
        1..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} m {} s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{} h {} m", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => format!("{} d {} h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// The time of day in UTC, with the date where it is not today: `10:02:31Z`.
pub(super) fn moment(time: OffsetDateTime, now: OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let clock = format!(
        "{:02}:{:02}:{:02}Z",
        time.hour(),
        time.minute(),
        time.second()
    );
    if time.date() == now.to_offset(time::UtcOffset::UTC).date() {
        clock
    } else {
        format!("{} {clock}", time.date())
    }
}

/// So many of something: `1 reader`, `3 readers`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

/// The sentence with a capital at its beginning.
pub(super) fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_worded_in_two_units() {
        let cases = [
            (0, "0.0 s"),
            (59_900, "59 s"),
            (252_000, "4 m 12 s"),
            (11_100_000, "3 h 5 m"),
            (187_200_000, "2 d 4 h"),
        ];
        for (ms, words) in cases {
            assert_eq!(span(Duration::from_millis(ms)), words);
        }
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(90_000);
        assert_eq!(moment(now, now), "01:00:00Z");
        assert_eq!(
            moment(OffsetDateTime::UNIX_EPOCH, now),
            "1970-01-01 00:00:00Z"
        );
        assert_eq!(
            (count(1, "reader"), count(0, "reader")),
            ("1 reader".to_owned(), "0 readers".to_owned())
        );
    }
}
