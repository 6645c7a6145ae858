//! Writing in groups, on a full disk and over what has expired; the counts stay those of the entries.

use std::time::Duration;

use super::*;
use crate::kv::backend::BucketConfig;
use crate::kv::local::OpenOptions;
use crate::kv::local::file::DbFile;
use crate::kv::local::schema::count;
use crate::kv::{Key, WriteError};

struct Place {
    _folder: tempfile::TempDir,
    file: DbFile,
    connection: Connection,
    bucket: BucketName,
}

impl Place {
    fn new(history: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let (file, link) = DbFile::open(&path, &OpenOptions::create()).unwrap();
        let mut connection = link.connection;
        let bucket = BucketName::new("b").unwrap();
        let config = BucketConfig {
            history,
            marker_ttl: Some(Duration::from_secs(60)),
            ..BucketConfig::new(bucket.clone())
        };
        crate::kv::local::buckets::create(&mut connection, &config).unwrap();
        Self {
            _folder: folder,
            file,
            connection,
            bucket,
        }
    }

    fn write_all(&mut self, writes: &[Write]) -> Vec<Result<Revision, WriteError>> {
        let bucket = &self.bucket;
        write_all(&mut self.connection, writes.iter().map(|w| (bucket, w)))
            .into_iter()
            .zip(writes)
            .map(|(end, w)| end.map_err(|fault| fault.into_error(&w.key, self.file.path())))
            .collect()
    }

    fn counts(&self) -> (u64, u64, u64, u64) {
        let info = BucketRow::find(&self.connection, &self.bucket)
            .unwrap()
            .unwrap()
            .info;
        (info.last_revision.0, info.keys, info.entries, info.bytes)
    }

    /// The same, counted afresh.
    fn recount(&self) -> (u64, u64, u64, u64) {
        self.connection
            .query_row(
                "SELECT coalesce(max(revision), 0), count(DISTINCT key), count(*),
                        coalesce(sum(size + octet_length(key)), 0) FROM entry",
                [],
                |row| {
                    let column = |at| row.get(at).map(count);
                    Ok((column(0)?, column(1)?, column(2)?, column(3)?))
                },
            )
            .unwrap()
    }
}

fn put(key: &str, value: &[u8]) -> Write {
    Write::put(Key::from_stored(key), value.to_vec())
}

#[test]
fn writes_in_a_group_end_one_by_one() {
    let mut place = Place::new(1);
    let ends = place.write_all(&[
        put("a", b"1").expecting(Revision::ABSENT),
        put("a", b"2").expecting(Revision::ABSENT),
        put("a", b"3").expecting(Revision(1)),
        put("b", &vec![0; 65 << 20]),
        put("b", b"1"),
    ]);
    assert!(matches!(ends[0], Ok(Revision(1))));
    assert!(matches!(
        ends[1],
        Err(WriteError::Conflict {
            current: Some(Revision(1)),
            ..
        })
    ));
    assert!(matches!(ends[2], Ok(Revision(2))));
    assert!(matches!(
        ends[3],
        Err(WriteError::Failed(Error::TooLarge { .. }))
    ));
    assert!(matches!(ends[4], Ok(Revision(3))), "no hole is left");
    assert_eq!(place.counts(), (3, 2, 2, 4));
}

#[test]
fn a_full_disk_writes_nothing_and_is_said_to_be_full() {
    let mut place = Place::new(64);
    let pages: i64 = place
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    place
        .connection
        .pragma_update(None, "max_page_count", pages + 20)
        .unwrap();
    let mut written = 0;
    let error = loop {
        let ends = place.write_all(&[put("a", &[7; 3000]), put("b", &[7; 3000])]);
        match ends.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(revisions) => written = revisions[1].0,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, WriteError::Failed(Error::NoSpace { .. })),
        "{error}"
    );
    assert!(written > 4);
    assert_eq!(place.counts(), place.recount());
    // What makes room goes on.
    place.write_all(&[Write::purge(Key::from_stored("a"))])[0]
        .as_ref()
        .unwrap();
    assert_eq!(place.counts(), place.recount());
}

#[test]
fn a_conflict_with_an_expired_entry_tells_a_revision_that_can_be_read() {
    let mut place = Place::new(5);
    let ends = place.write_all(&[
        put("a", b"1"),
        put("a", b"2").with_ttl(Duration::from_secs(1)),
    ]);
    assert!(ends.iter().all(Result::is_ok));
    place
        .connection
        .execute("UPDATE entry SET expires = 1 WHERE ttl IS NOT NULL", [])
        .unwrap();
    let ends = place.write_all(&[
        put("a", b"3").expecting(Revision(2)),
        put("a", b"3").expecting(Revision(3)),
    ]);
    assert!(matches!(
        ends[0],
        Err(WriteError::Conflict {
            current: Some(Revision(3)),
            ..
        })
    ));
    assert!(matches!(ends[1], Ok(Revision(4))));
    assert_eq!(place.counts(), place.recount());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn counts_are_those_of_the_entries(
        history in 1_u64..4,
        steps in proptest::collection::vec((0_u8..5, 0_usize..4, 0_usize..9), 1..60),
    ) {
        let mut place = Place::new(history);
        for (what, key, size) in steps {
            let name = ["a", "b", "c.d", "ü"][key];
            let key = Key::from_stored(name);
            match what {
                0 | 1 => drop(place.write_all(&[put(name, &vec![1; size])])),
                2 => drop(place.write_all(&[Write::delete(key)])),
                3 => drop(place.write_all(&[Write::purge(key)])),
                _ => {
                    place
                        .connection
                        .execute("UPDATE entry SET expires = 1 WHERE key = ?1", [name])
                        .unwrap();
                    let reaped = reap(&mut place.connection).unwrap();
                    proptest::prop_assert!(reaped.next.is_none_or(|at| at > now()));
                }
            }
            let (last, keys, entries, bytes) = place.counts();
            let (newest, k, e, b) = place.recount();
            proptest::prop_assert_eq!((keys, entries, bytes), (k, e, b));
            proptest::prop_assert!(newest <= last);
        }
    }
}
