//! The examples for service authors, on whatever place: they do what they say.

use std::process::Command;

use crate::program::Place;
use crate::support::NatsServer;

/// What an example prints. Cargo builds it where a single test was asked for.
fn example(place: &Place, name: &str) -> String {
    let mut command = Command::new(env!("CARGO"));
    // What cargo tells a test of itself would make some dependencies be built anew.
    for (name, _) in std::env::vars_os() {
        let is_told = |prefix| name.to_string_lossy().starts_with(prefix);
        if is_told("CARGO_PKG_") || is_told("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command.args(["run", "--quiet", "--all-features", "--example", name, "--"]);
    command.args(place.server.as_ref().map(NatsServer::url));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().expect("cargo runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {told}");
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn mutual_exclusion(place: &Place) {
    let text = example(place, "mutual_exclusion");
    assert!(text.contains("counted to 50, and 50"), "{text}");
    let fences: Vec<u64> = text
        .lines()
        .filter_map(|line| line.rsplit_once("fence ")?.1.parse().ok())
        .collect();
    assert_eq!(fences.len(), 50, "{text}");
    let (left, right) = (text.matches("left"), text.matches("right"));
    assert_eq!((left.count(), right.count()), (25, 25));
}

pub(crate) fn fenced_write(place: &Place) {
    let text = example(place, "fenced_write");
    assert!(text.contains("the rival took over"), "{text}");
    assert!(text.contains("and is refused: fence "), "{text}");
}
