//! What the index keeps of an entry besides its key, packed.

use time::OffsetDateTime;

use crate::kv::{Entry, Operation, Revision};

/// A time in milliseconds since 1970.
pub(super) type Millis = i64;

/// What a row tells of its entry, in 24 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    revision: u64,
    /// The time of creation in milliseconds, shifted left over two bits of operation.
    stamp: i64,
    size: u32,
    /// The row's number in the ranking, while there is one and the row is shown.
    pub(super) id: u32,
}

impl Meta {
    pub(super) fn new(entry: &Entry) -> Self {
        let operation = match entry.operation {
            Operation::Put => 0,
            Operation::Delete => 1,
            Operation::Purge => 2,
            Operation::Expire => 3,
        };
        Self {
            revision: entry.revision.0,
            stamp: (millis(entry.created) << 2) | operation,
            size: u32::try_from(entry.size).unwrap_or(u32::MAX),
            id: 0,
        }
    }

    pub(super) fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    pub(super) fn created_millis(&self) -> Millis {
        self.stamp >> 2
    }

    pub(super) fn operation(&self) -> Operation {
        match self.stamp & 3 {
            0 => Operation::Put,
            1 => Operation::Delete,
            2 => Operation::Purge,
            _ => Operation::Expire,
        }
    }

    pub(super) fn is_marker(&self) -> bool {
        !self.operation().is_put()
    }

    pub(super) fn size(&self) -> u64 {
        self.size.into()
    }
}

/// A point in time, cut to milliseconds.
pub(super) fn millis(time: OffsetDateTime) -> Millis {
    time.unix_timestamp() * 1000 + i64::from(time.millisecond())
}

/// A point in time, rounded up to milliseconds: what must not happen early.
pub(super) fn millis_up(time: OffsetDateTime) -> Millis {
    millis(time) + i64::from(!time.nanosecond().is_multiple_of(1_000_000))
}

/// The point in time. The inverse of [`millis`].
pub(super) fn from_millis(millis: Millis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::Key;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(ms in -62_135_596_800_000..253_402_300_799_000_i64, op in 0..4_usize, size in any::<u32>()) {
            let operations = [Operation::Put, Operation::Delete, Operation::Purge, Operation::Expire];
            let entry = Entry {
                key: Key::from_stored("k"),
                revision: Revision(7),
                created: from_millis(ms),
                operation: operations[op],
                size: size.into(),
                value: None,
                ttl: None,
                expires: None,
            };
            let meta = Meta::new(&entry);
            prop_assert_eq!(from_millis(meta.created_millis()), entry.created);
            prop_assert_eq!(meta.operation(), entry.operation);
            prop_assert_eq!(meta.size(), entry.size);
            prop_assert_eq!(meta.revision(), entry.revision);
        }
    }

    #[test]
    fn deadlines_are_never_early() {
        let late = OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_nanos(1);
        assert_eq!((millis(late), millis_up(late)), (0, 1));
    }
}
