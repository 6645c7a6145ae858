//! Files that an older program made, and may have open still.

use super::*;

/// The tables of format 1, as they were, with an entry.
const FIRST: &str = "
PRAGMA application_id = 0x4b565343;
PRAGMA user_version = 1;
CREATE TABLE bucket (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE,
    description    TEXT    NOT NULL,
    history        INTEGER NOT NULL,
    ttl            INTEGER,
    marker_ttl     INTEGER,
    max_bytes      INTEGER,
    max_value_size INTEGER,
    created        INTEGER NOT NULL,
    last_revision  INTEGER NOT NULL DEFAULT 0,
    last_write     INTEGER,
    keys           INTEGER NOT NULL DEFAULT 0,
    entries        INTEGER NOT NULL DEFAULT 0,
    bytes          INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE entry (
    bucket    INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    operation INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    ttl       INTEGER,
    expires   INTEGER,
    value     BLOB    NOT NULL,
    PRIMARY KEY (bucket, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_by_key ON entry (bucket, key, revision);
CREATE INDEX entry_by_expiry ON entry (expires) WHERE expires IS NOT NULL;
INSERT INTO bucket (name, description, history, created, last_revision, keys, entries, bytes)
    VALUES ('old', 'from before', 3, 1000000000, 1, 1, 1, 4);
INSERT INTO entry VALUES (1, 1, 'k', 1000000000, 0, 3, NULL, NULL, X'6f6e65');
PRAGMA journal_mode = wal;
";

fn file_of_before(place: &Place) -> rusqlite::Connection {
    let file = rusqlite::Connection::open(place.file()).unwrap();
    file.execute_batch(FIRST).unwrap();
    file
}

async fn description_and_notes(backend: &LocalBackend) -> (String, usize) {
    let info = backend.bucket(&name("old")).await.unwrap().info().await;
    let config = info.unwrap().config;
    (config.description, config.metadata.len())
}

#[tokio::test]
async fn an_older_file_is_read_as_it_is_and_brought_up_to_be_written() {
    let place = Place::new();
    // Whoever has it open already stays.
    let older = file_of_before(&place);
    let reader = LocalBackend::open(place.file(), OpenOptions::read_only())
        .await
        .unwrap();
    let before = ("from before".to_owned(), 0);
    assert_eq!(description_and_notes(&reader).await, before);
    let format = || -> i32 {
        older
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    };
    assert_eq!(format(), 1, "reading changes nothing");

    let writer = place.open().await;
    assert_eq!(format(), 2);
    let store = Store::open(&*writer, "old").await.unwrap();
    let kept = store.get("k").await.unwrap().unwrap();
    assert_eq!(kept.value.as_deref(), Some(&b"one"[..]));
    let mut config = store.info().await.unwrap().config;
    config.metadata = [("team".to_owned(), "billing \"1\"".to_owned())].into();
    writer.change_bucket(&config).await.unwrap();
    // The reader learns of it although the file has another form now.
    assert_eq!(
        description_and_notes(&reader).await,
        ("from before".to_owned(), 1)
    );
    let told = reader.buckets().await.unwrap().remove(0).config;
    assert_eq!(told.metadata, config.metadata);

    // The older program makes a bucket, which has no notes.
    older
        .execute(
            "INSERT INTO bucket (name, description, history, created) VALUES ('new', '', 1, 5)",
            [],
        )
        .unwrap();
    let infos = writer.buckets().await.unwrap();
    assert_eq!(infos.len(), 2);
    assert!(infos[0].config.metadata.is_empty());
    drop((store, writer, reader));
    let again = place.open().await;
    assert_eq!(description_and_notes(&again).await.1, 1, "it is kept");
}
