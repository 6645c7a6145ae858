//! What a benchmark prints: one line for each figure, with what is allowed.

#![allow(dead_code, reason = "each benchmark uses a part of this")]

use std::process::ExitCode;
use std::time::Duration;

/// A time in milliseconds, in words.
pub(crate) fn in_ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The table that is printed.
pub(crate) struct Table {
    over: usize,
}

impl Table {
    /// Prints the head.
    pub(crate) fn begin() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("load of the machine at the start: {}", load.trim());
        println!(
            "{:<58}{:>20}{:>12}{:>8}{:>10}",
            "what", "measured", "yardstick", "ratio", "at most"
        );
        Self { over: 0 }
    }

    /// A figure, as a part of what is allowed.
    pub(crate) fn row(
        &mut self,
        what: &str,
        measured: &str,
        yardstick: &str,
        part: f64,
        at_most: &str,
    ) {
        let is_over = part > 1.0;
        self.over += usize::from(is_over);
        let ok = if is_over { "OVER" } else { "ok" };
        println!("{what:<58}{measured:>20}{yardstick:>12}{part:>8.2}{at_most:>10}  {ok}");
    }

    /// A figure without a limit.
    pub(crate) fn note(what: &str, measured: &str) {
        println!("{what:<58}{measured:>20}");
    }

    /// A time, and the most that it may be, in milliseconds.
    pub(crate) fn time(&mut self, what: &str, measured: Duration, at_most: u64) {
        let part = measured.as_secs_f64() * 1e3 / at_most as f64;
        self.row(what, &in_ms(measured), "", part, &format!("{at_most} ms"));
    }

    /// A time against another one.
    pub(crate) fn ratio(
        &mut self,
        what: &str,
        measured: Duration,
        yardstick: Duration,
        at_most: f64,
    ) {
        let ratio = measured.as_secs_f64() / yardstick.as_secs_f64();
        let is_over = ratio > at_most;
        self.over += usize::from(is_over);
        let ok = if is_over { "OVER" } else { "ok" };
        let (measured, yardstick) = (in_ms(measured), in_ms(yardstick));
        println!("{what:<58}{measured:>20}{yardstick:>12}{ratio:>8.2}{at_most:>10}  {ok}");
    }

    /// The 99th percentile of some times, and the most that it may be, in milliseconds.
    pub(crate) fn percentile(&mut self, what: &str, times: &mut [Duration], at_most: u64) {
        times.sort_unstable();
        let at = times.len() * 99 / 100;
        let what = format!("{what}: 99th percentile of {}", times.len());
        self.time(&what, times[at.min(times.len() - 1)], at_most);
    }

    /// How it went.
    pub(crate) fn end(self) -> ExitCode {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("load of the machine at the end: {}", load.trim());
        if self.over == 0 {
            return ExitCode::SUCCESS;
        }
        println!("{} over", self.over);
        ExitCode::FAILURE
    }
}
