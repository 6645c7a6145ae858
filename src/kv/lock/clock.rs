//! The clock that leases are judged by: time since boot, a sleeping machine's sleep included.
//!
//! Rust's `Instant` stops while the machine sleeps, and a guard must not outlive its lease for
//! that. No wall clock: somebody can set it.

use std::time::Duration;

/// Where the time comes from. Only differences of it mean anything.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Source);

#[derive(Debug, Clone, Copy)]
enum Source {
    Boot,
    #[cfg(any(test, feature = "testing"))]
    BootAhead(Duration),
    #[cfg(any(test, feature = "testing"))]
    Tokio(tokio::time::Instant),
}

impl Clock {
    /// This machine's time since it was started.
    pub fn boot() -> Self {
        Self(Source::Boot)
    }

    /// This machine's time as one that was started so much earlier has it, so that a test can be
    /// of two machines.
    #[cfg(any(test, feature = "testing"))]
    pub fn boot_ahead(by: Duration) -> Self {
        Self(Source::BootAhead(by))
    }

    /// The runtime's time, which a test can stop.
    #[cfg(any(test, feature = "testing"))]
    pub fn tokio() -> Self {
        Self(Source::Tokio(tokio::time::Instant::now()))
    }

    /// The time now.
    pub fn now(self) -> Duration {
        match self.0 {
            Source::Boot => since_boot(),
            #[cfg(any(test, feature = "testing"))]
            Source::BootAhead(by) => since_boot() + by,
            #[cfg(any(test, feature = "testing"))]
            Source::Tokio(begin) => begin.elapsed(),
        }
    }
}

fn since_boot() -> Duration {
    // Elsewhere the monotonic clock is the one that counts sleep, or the nearest to it.
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}
