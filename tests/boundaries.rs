//! The rules of the house that a compiler does not check.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn the_engine_knows_neither_terminal_nor_arguments_nor_configuration() {
    let strangers = [
        "crate::ui",
        "crate::cli",
        "crate::config",
        "crate::edit",
        "ratatui",
        "crossterm",
        "clap",
        "color_eyre",
        "toml::",
        "directories::",
    ];
    for (path, text) in sources("src/kv") {
        for line in code(&text) {
            let stranger = strangers.iter().find(|stranger| line.contains(**stranger));
            assert!(stranger.is_none(), "{}: {line}", path.display());
        }
    }
}

#[test]
fn editing_knows_the_engine_and_does_no_io_of_its_own() {
    let strangers = [
        "crate::ui",
        "crate::cli",
        "crate::config",
        "ratatui",
        "crossterm",
        "clap",
        "color_eyre",
        "toml::",
        "directories::",
        "std::fs",
        "std::env",
        "std::net",
        "kv::nats",
        "kv::local",
        "now_utc",
    ];
    let mut sources = sources("src/edit");
    sources.extend(
        self::sources("src")
            .into_iter()
            .filter(|(path, _)| path.ends_with("src/edit.rs")),
    );
    for (path, text) in sources {
        for line in code(&text) {
            let stranger = strangers.iter().find(|stranger| line.contains(**stranger));
            assert!(stranger.is_none(), "{}: {line}", path.display());
        }
    }
}

#[test]
fn each_engine_is_the_only_one_to_know_its_library() {
    for (library, home) in [("async_nats", "src/kv/nats"), ("rusqlite", "src/kv/local")] {
        for (path, text) in sources("src") {
            let is_home = path.to_string_lossy().contains(home);
            let uses = code(&text).any(|line| line.contains(library));
            assert!(is_home || !uses, "{} uses {library}", path.display());
        }
    }
}

#[test]
fn colours_are_named_by_the_theme_alone() {
    for (path, text) in sources("src/ui") {
        if path.ends_with("theme.rs") {
            continue;
        }
        for line in code(&text) {
            assert!(!line.contains("Color::"), "{}: {line}", path.display());
        }
    }
}

#[test]
fn screens_ask_capabilities_and_do_no_io() {
    let io = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "use std::{",
        "fs::",
        "env::",
        "process::",
        "tokio::",
        "spawn_blocking",
        "rustix",
        "tempfile",
        "SystemTime",
        "now_utc",
        "kv::nats",
        "kv::local",
    ];
    for (path, text) in sources("src/ui") {
        let homes = [
            "worker.rs",
            "terminal.rs",
            "input.rs",
            "input/own.rs",
            "run.rs",
            "outside.rs",
        ];
        let is_worker = path.components().any(|part| part.as_os_str() == "worker");
        if is_worker || homes.iter().any(|home| path.ends_with(home)) {
            continue;
        }
        for line in code(&text) {
            let found = io.iter().find(|io| line.contains(**io));
            assert!(found.is_none(), "{}: {line}", path.display());
        }
    }
}

#[test]
fn no_snapshot_waits_to_be_looked_at() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_new = path.to_string_lossy().ends_with(".snap.new");
            assert!(!is_new, "{} is neither taken nor removed", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in ["src", "derive/src", "tests", "benches"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{} has no //!", path.display());
        }
    }
}

#[test]
fn docs_keys_is_what_the_command_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys.md");
    let wanted = kvscope::ui::command::reference(&kvscope::ui::keymap::Keymap::built_in().unwrap());
    if std::env::var_os("KVSCOPE_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, wanted,
        "run `KVSCOPE_WRITE_DOCS=1 cargo test --test boundaries`"
    );
}

#[test]
fn the_map_has_every_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let named: Vec<&str> = map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|words| words.rsplit('/').find(|part| !part.is_empty()))
        .collect();
    // What is deeper belongs to the module that it is in.
    for layer in [
        "src/kv",
        "src/ui",
        "src/cli",
        "src/config",
        "src/edit",
        "src/query",
    ] {
        for entry in fs::read_dir(root.join(layer)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let stem = name.trim_end_matches(".rs");
            let is_named = named
                .iter()
                .any(|word| word.trim_end_matches(".rs") == stem);
            let is_test = name == "testing.rs" || layer == "src/query";
            assert!(is_named || is_test, "{layer}/{name} has no row");
        }
    }
}
