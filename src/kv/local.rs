//! The engine over an SQLite file. The only place that imports `rusqlite`.
