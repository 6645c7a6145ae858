//! All commands that the README and the guides show are run, as they stand there.
//!
//! Each file's `sh` blocks run in its order, by bash, in a folder of its own, with a home, a real
//! nats-server and a few buckets. A line must end with 0, or with the N of `exits N` in its comment.
//! A line with `not run:` and a reason in its comment is not run; there are few of them. What opens
//! the console must get as far as to ask for a terminal; what runs for ever is interrupted.
//!
//! Commands in the middle of a text are tried with `--help`, and configurations are read. What
//! CONTRIBUTING.md shows runs these very tests, and is not run by them.

#![cfg(all(feature = "console", unix))]
#![expect(clippy::expect_used, reason = "a test may panic")]

#[path = "support/nats.rs"]
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::NatsServer;

/// What the lines find in place.
const PRELUDE: &str = r#"
set -uo pipefail
kvscope() {
    local told; told=$(mktemp)
    case " $* " in
        *" watch "*) timeout -s INT 1 "$PROGRAM" "$@" 2>"$told"; local code=$?; [ $code = 124 ] && code=0 ;;
        *) "$PROGRAM" "$@" 2>"$told"; local code=$? ;;
    esac
    cat "$told" >&2
    grep -q "the console needs a terminal" "$told" && code=0
    rm -f "$told"
    return $code
}
cargo() { [ "$1" = run ]; }
line() {
    local wanted=$1 what=$2 code=$3
    [ "$code" = "$wanted" ] || { echo "line $what: code $code, and not $wanted" >&2; exit 1; }
}
"#;

const SEED: &str = r#"
kvscope bucket add config --history 10
kvscope bucket add locks --history 16
kvscope bucket add orders
kvscope put config app.billing.limits '{"max": 1, "currency": "EUR", "replicas": 5}'
kvscope put locks _lock.billing.ledger '{"v":1,"next":0,"q":[]}'
printf '#!/bin/sh\nexit 0\n' > migrate.sh && chmod +x migrate.sh
echo '{"max": 3, "currency": "EUR", "replicas": 5}' > limits.json
mkdir -p target
"#;

/// A line of a block that is run, and the code that it must end with.
struct Shown {
    number: usize,
    text: String,
    code: u8,
}

/// The lines of all `sh` blocks: those to run, and how many are not.
fn shown(markdown: &str) -> (Vec<Shown>, usize) {
    let (mut lines, mut left_out, mut inside) = (Vec::new(), 0, false);
    for (index, text) in markdown.lines().enumerate() {
        if text.starts_with("```") {
            inside = text == "```sh";
            continue;
        }
        if !inside || text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let comment = text.rsplit_once(" # ").map_or("", |(_, comment)| comment);
        if let Some((_, reason)) = comment.split_once("not run") {
            assert!(
                reason.len() > 4 && reason.starts_with(": "),
                "why not? {text}"
            );
            left_out += 1;
            continue;
        }
        let code = comment
            .split_once("exits ")
            .and_then(|(_, rest)| rest.chars().next()?.to_digit(10))
            .map_or(0, |code| u8::try_from(code).unwrap_or(0));
        lines.push(Shown {
            number: index + 1,
            text: text.to_owned(),
            code,
        });
    }
    (lines, left_out)
}

/// Runs what a file shows. Answers how many lines were run, and how many not.
fn run(file: &Path) -> (usize, usize) {
    let markdown = std::fs::read_to_string(file).expect("the file");
    let (lines, left_out) = shown(&markdown);
    if lines.is_empty() {
        return (0, left_out);
    }
    let server = NatsServer::start();
    let home = tempfile::tempdir().expect("a folder");
    let contexts = home.path().join(".config/nats/context");
    std::fs::create_dir_all(&contexts).expect("a folder");
    let context = format!("{{\"url\": \"{}\"}}", server.url());
    std::fs::write(contexts.join("prod-eu.json"), context).expect("a context");
    let mut script = format!("{PRELUDE}set -e{SEED}set +e\n");
    for Shown { number, text, code } in &lines {
        writeln!(script, "{text}\nline {code} {number} $?").expect("a string");
    }
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(home.path())
        .env("PROGRAM", env!("CARGO_BIN_EXE_kvscope"))
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path().join(".config"))
        .env("NATS_URL", server.url())
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{told}", file.display());
    (lines.len(), left_out)
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).expect("the guides");
    let mut files: Vec<PathBuf> = docs.map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.push(root.join("README.md"));
    files.sort();
    files
}

#[test]
fn every_command_that_is_shown_does_what_is_shown() {
    let (mut run_lines, mut left_out) = (0, 0);
    for file in files() {
        let (run, left) = run(&file);
        run_lines += run;
        left_out += left;
    }
    assert!(run_lines > 50, "{run_lines}");
    assert!(
        left_out <= run_lines / 8,
        "{left_out} of {run_lines} are not run"
    );
}

/// The fenced blocks of a file: language and content.
fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in markdown.lines() {
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(language), false) => blocks.push((language.to_owned(), String::new())),
            (Some(_), true) => {}
            (None, true) => {
                let (_, content) = blocks.last_mut().expect("a block");
                writeln!(content, "{line}").expect("a string");
            }
            (None, false) => continue,
        }
        if line.trim_start().starts_with("```") {
            inside = !inside;
        }
    }
    blocks
}

#[test]
fn no_command_hides_in_a_block_that_is_not_run() {
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("the file");
        for (language, content) in blocks(&text) {
            let is_known = ["sh", "toml", "rust", "text"].contains(&language.as_str());
            assert!(is_known, "{}: a block of {language:?}", file.display());
            let is_command = |line: &str| {
                let first = line.trim_start_matches(['$', ' ']).split(' ').next();
                ["kvscope", "nats", "cargo"].contains(&first.unwrap_or_default())
            };
            let hidden = content
                .lines()
                .find(|line| language != "sh" && is_command(line));
            let hidden = hidden.filter(|line| !line.contains(" = "));
            assert_eq!(hidden, None, "{}", file.display());
        }
    }
}

#[test]
fn configurations_that_are_shown_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kvscope.toml");
    let mut read = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("the file");
        let those = blocks(&text).into_iter();
        // A dependency of a service is no configuration.
        let those = those.filter(|(language, content)| {
            language == "toml" && !content.contains("default-features")
        });
        for (_, content) in those {
            std::fs::write(&path, &content).expect("a file");
            std::fs::write(folder.path().join("limits.schema.json"), "{}").expect("a file");
            let output = Command::new(env!("CARGO_BIN_EXE_kvscope"))
                .args(["--config", &path.display().to_string(), "--local", "x.kvs"])
                .args(["bucket", "ls"])
                .current_dir(folder.path())
                .env("HOME", folder.path())
                .output()
                .expect("the program");
            // It gets as far as to look for the file.
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(told.contains("x.kvs"), "{}: {told}", file.display());
            read += 1;
        }
    }
    assert!(read >= 2, "{read}");
}

#[test]
fn commands_in_the_middle_of_a_text_are_understood() {
    let mut tried = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("the file");
        let flat = text.replace('\n', " ");
        for words in flat.split('`').skip(1).step_by(2) {
            let Some(words) = words.strip_prefix("kvscope ") else {
                continue;
            };
            let words = words.replace("REVISION", "1");
            let output = Command::new(env!("CARGO_BIN_EXE_kvscope"))
                .args(words.split_whitespace())
                .arg("--help")
                .output()
                .expect("the program");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{}: {words}: {told}",
                file.display()
            );
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
}

#[test]
fn links_between_the_guides_lead_somewhere() {
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("the file");
        for (_, rest) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let target = rest.split(')').next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = file.parent().expect("a folder").join(target);
            assert!(path.exists(), "{}: {target}", file.display());
        }
    }
}
