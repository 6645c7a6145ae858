//! The lock of services on the `shizuku` crate: read, judged, and never disturbed but by a reset
//! that an operator asks for.
//!
//! It stands at the resource's own key: 17 bytes, or 9 in an older form. Byte 0 holds the mode and
//! a flag, then come the number of readers and, in the long form, the time of the last acquiring in
//! seconds since 1970, both big-endian. It knows no holder's name and no queue, and expires 60
//! seconds after it was acquired by anybody's wall clock. Its known faults are told by
//! [`Shizuku::fault`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// After this time without another acquiring the next one who asks walks in.
pub const EXPIRY: Duration = Duration::from_secs(60);

/// A lock record of a `shizuku` service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shizuku {
    /// Who is inside.
    pub mode: ShizukuMode,
    /// Whether a writer has said that it waits.
    pub writer_waits: bool,
    /// How many readers are counted.
    pub readers: u64,
    /// When it was last acquired, in seconds since 1970. `None` in the short form, which has no
    /// time.
    pub acquired_at: Option<u64>,
}

/// Who is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShizukuMode {
    /// Nobody.
    Idle,
    /// Readers.
    Read,
    /// A writer.
    Write,
}

/// What is wrong with a record, from what it says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShizukuFault {
    /// It expired: the next one who asks walks in, whoever is still inside.
    Expired,
    /// A reader that left set the time to zero: readers that are still inside look expired.
    ZeroedTime,
    /// Nobody is inside, and a writer is said to wait for longer than the lock lasts: it crashed
    /// or gave up, and no reader gets in any more.
    GhostWriter,
    /// Its parts contradict each other.
    Contradiction,
}

const WRITER_WAITS: u8 = 4;

impl Shizuku {
    /// The record of these bytes; `None` if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (flags, rest) = bytes.split_first()?;
        let mode = match flags & !WRITER_WAITS {
            0 => ShizukuMode::Idle,
            1 => ShizukuMode::Read,
            2 => ShizukuMode::Write,
            _ => return None,
        };
        let (readers, rest) = rest.split_first_chunk()?;
        let acquired_at = match rest {
            [] => None,
            time => Some(u64::from_be_bytes(time.try_into().ok()?)),
        };
        Some(Self {
            mode,
            writer_waits: flags & WRITER_WAITS != 0,
            readers: u64::from_be_bytes(*readers),
            acquired_at,
        })
    }

    /// The bytes of the record.
    pub fn to_bytes(self) -> Vec<u8> {
        let mode = match self.mode {
            ShizukuMode::Idle => 0,
            ShizukuMode::Read => 1,
            ShizukuMode::Write => 2,
        };
        let mut bytes = vec![mode | if self.writer_waits { WRITER_WAITS } else { 0 }];
        bytes.extend(self.readers.to_be_bytes());
        bytes.extend(self.acquired_at.into_iter().flat_map(u64::to_be_bytes));
        bytes
    }

    /// The same record with nobody inside and nobody waiting, in the same form: what a reset
    /// writes, on the revision that was shown.
    #[must_use]
    pub fn reset(self) -> Self {
        Self {
            mode: ShizukuMode::Idle,
            writer_waits: false,
            readers: 0,
            acquired_at: self.acquired_at.map(|_| 0),
        }
    }

    /// How long until it expires, where somebody is inside and a time is known. `now` is the time
    /// since 1970 by the store's clock.
    pub fn expires_in(self, now: Duration) -> Option<Duration> {
        let acquired = self
            .acquired_at
            .filter(|_| self.mode != ShizukuMode::Idle)?;
        let until = Duration::from_secs(acquired).saturating_add(EXPIRY);
        Some(until.saturating_sub(now))
    }

    /// What is wrong with it. `written` is when the store took it, and `now` the time, both since
    /// 1970 by the store's clock.
    pub fn fault(self, written: Duration, now: Duration) -> Option<ShizukuFault> {
        let has_readers = self.readers > 0;
        match self.mode {
            ShizukuMode::Read if !has_readers => Some(ShizukuFault::Contradiction),
            ShizukuMode::Idle | ShizukuMode::Write if has_readers => {
                Some(ShizukuFault::Contradiction)
            }
            ShizukuMode::Idle => {
                let is_old = now.saturating_sub(written) > EXPIRY;
                (self.writer_waits && is_old).then_some(ShizukuFault::GhostWriter)
            }
            ShizukuMode::Read if self.acquired_at == Some(0) => Some(ShizukuFault::ZeroedTime),
            ShizukuMode::Read | ShizukuMode::Write => {
                let is_over = self.expires_in(now) == Some(Duration::ZERO);
                is_over.then_some(ShizukuFault::Expired)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn lock(mode: ShizukuMode, readers: u64, acquired: u64) -> Shizuku {
        Shizuku {
            mode,
            writer_waits: false,
            readers,
            acquired_at: Some(acquired),
        }
    }

    #[test]
    fn both_forms_are_read() {
        let long = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0];
        assert_eq!(
            Shizuku::from_bytes(&long),
            Some(lock(ShizukuMode::Read, 2, 256))
        );
        let short = Shizuku::from_bytes(&long[..9]).unwrap();
        assert_eq!(short.acquired_at, None);
        assert_eq!(short.reset().to_bytes(), [0; 9]);
        let waited_for = Shizuku::from_bytes(&[6, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert!(waited_for.writer_waits && waited_for.mode == ShizukuMode::Write);
        for other in [
            &[][..],
            &[0; 8],
            &[0; 10],
            &[0; 16],
            &[0; 18],
            &[3; 9],
            &[8; 17],
        ] {
            assert_eq!(Shizuku::from_bytes(other), None, "{other:?}");
        }
    }

    #[test]
    fn its_faults_are_known() {
        let now = NOW.as_secs();
        let of = |lock: Shizuku| lock.fault(NOW, NOW);
        assert_eq!(of(lock(ShizukuMode::Write, 0, now - 59)), None);
        assert_eq!(
            of(lock(ShizukuMode::Write, 0, now - 60)),
            Some(ShizukuFault::Expired)
        );
        assert_eq!(
            of(lock(ShizukuMode::Read, 1, 0)),
            Some(ShizukuFault::ZeroedTime)
        );
        assert_eq!(
            of(lock(ShizukuMode::Read, 0, now)),
            Some(ShizukuFault::Contradiction)
        );
        assert_eq!(
            of(lock(ShizukuMode::Write, 1, now)),
            Some(ShizukuFault::Contradiction)
        );
        assert_eq!(of(lock(ShizukuMode::Idle, 0, 0)), None);
        let waiting = Shizuku {
            writer_waits: true,
            ..lock(ShizukuMode::Idle, 0, 0)
        };
        assert_eq!(of(waiting), None, "it may just have begun to wait");
        let long_ago = NOW.saturating_sub(Duration::from_secs(61));
        assert_eq!(
            waiting.fault(long_ago, NOW),
            Some(ShizukuFault::GhostWriter)
        );
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Some(lock) = Shizuku::from_bytes(&bytes) {
                prop_assert_eq!(lock.to_bytes(), bytes);
                let _ = lock.fault(NOW, NOW);
            }
        }
    }
}
