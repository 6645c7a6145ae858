//! `edit` in a terminal with a real editor: what is shown and asked, and what comes of the answers.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::pty::{Terminal, program};

/// A file with a bucket, and an editor that takes one script after the other.
struct Place {
    folder: TempDir,
    file: String,
}

impl Place {
    fn new(value: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("buckets.db").display().to_string();
        let place = Self { folder, file };
        place.run(&["bucket", "add", "b", "--history", "8"]);
        place.run(&["put", "b", "k", value]);
        place
    }

    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(program());
        command.args(["--local", &self.file]).args(words);
        command.env("HOME", self.folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn value(&self) -> String {
        self.run(&["get", "b", "k", "--raw"])
    }

    /// Begins to edit. The scripts are the editor, one for each time that it is started.
    fn edit(&self, scripts: &[&str]) -> Terminal {
        for (number, script) in scripts.iter().enumerate() {
            fs::write(self.folder.path().join(format!("editor-{number}")), script).unwrap();
        }
        let turn = r#"cd "$HERE" || exit 1
n=$(cat turn); echo $((n + 1)) >turn
. "./editor-$n""#;
        fs::write(self.folder.path().join("turn"), "0").unwrap();
        fs::write(self.folder.path().join("editor.sh"), turn).unwrap();
        let editor = format!("sh {}/editor.sh", self.folder.path().display());
        let here = self.folder.path().display().to_string();
        let state = self.folder.path().join("state").display().to_string();
        Terminal::with(
            program(),
            &["--local", &self.file, "edit", "b", "k"],
            &[
                ("VISUAL", &editor),
                ("EDITOR", "false"),
                ("HERE", &here),
                ("XDG_STATE_HOME", &state),
                ("KVSCOPE", program()),
                ("STORE", &self.file),
            ],
        )
    }
}

const THEIRS: &str =
    r#""$KVSCOPE" --local "$STORE" put b k '{"a":1,"b":7,"c":{"d":2}}' >/dev/null"#;

#[test]
fn a_value_is_edited_and_saved() {
    let place = Place::new(r#"{"a":1,"token":"abc"}"#);
    let mut terminal = place.edit(&[r#"sed -i 's/: 1/: 2/; s/abc/hunter2/' "$1""#]);
    assert!(terminal.ends().success());
    terminal.shows("~ .a: 1 → 2");
    terminal.shows("~ .token: •••••••• → ••••••••");
    terminal.shows("b k saved as revision 2");
    assert!(!String::from_utf8_lossy(&terminal.sent()).contains("hunter2"));
    assert_eq!(place.value(), r#"{"a":2,"token":"hunter2"}"#);
}

#[test]
fn a_conflict_is_merged_path_by_path() {
    let place = Place::new(r#"{"a":1,"b":1,"c":{"d":1}}"#);
    let mine = format!(
        "{THEIRS}\nsed -i 's/\"a\": 1/\"a\": 9/; s/\"d\": 1/\"d\": 9/; s/\"b\": 1/\"b\": 9/' \"$1\""
    );
    let mut terminal = place.edit(&[&mine, r#"echo 42, >"$1""#, r#"echo 42 >"$1""#]);
    terminal.shows("k is at revision 2, not 1");
    terminal.shows("merged    .a: 9 (yours), was 1");
    terminal.shows("CONFLICT  .b: 9 (yours), 7 (theirs), was 1");
    terminal.press("t\n");
    terminal.shows("CONFLICT  .c.d: 9 (yours), 2 (theirs), was 1");
    terminal.press("e\n");
    // That is no JSON; it asks again.
    terminal.shows("line 1, column 3");
    terminal.press("e\n");
    terminal.shows("Save the merged value? y or n");
    terminal.press("y\n");
    assert!(terminal.ends().success());
    terminal.shows("b k saved as revision 3");
    assert_eq!(place.value(), r#"{"a":9,"b":7,"c":{"d":42}}"#);
}

#[test]
fn what_was_left_is_offered_the_next_time() {
    let place = Place::new(r#"{"a":1,"b":1}"#);
    let mine = format!("{THEIRS}\nsed -i 's/\"a\": 1/\"a\": 9/' \"$1\"");
    let mut terminal = place.edit(&[&mine]);
    terminal.shows("Save the merged value?");
    terminal.press("n\n");
    assert_eq!(terminal.ends().exit_code(), 4);
    terminal.shows("Your text is in");
    drop(terminal);

    let mut terminal = place.edit(&["true"]);
    terminal.shows("There is unsaved text of k, from revision 1. Go on with it?");
    terminal.press("y\n");
    terminal.shows("merged    .a: 9 (yours), was 1");
    terminal.press("y\n");
    assert!(terminal.ends().success());
    assert_eq!(place.value(), r#"{"a":9,"b":7,"c":{"d":2}}"#);
    drop(terminal);

    let mut terminal = place.edit(&["true"]);
    assert!(terminal.ends().success());
    terminal.shows("unchanged at revision 3");
}

#[test]
fn json_that_is_none_any_more_is_edited_again_or_saved_on_purpose() {
    let place = Place::new(r#"{"a":1}"#);
    let mut terminal = place.edit(&[r#"echo '{"a": 2,}' >"$1""#, r#"echo '{"a": 2}' >"$1""#]);
    terminal.shows("not JSON any more: line 1, column 9");
    terminal.press("e\n");
    assert!(terminal.ends().success());
    assert_eq!(place.value(), r#"{"a":2}"#);
    drop(terminal);
    let mut terminal = place.edit(&[r#"echo 'not json' >"$1""#]);
    terminal.shows("s save in spite of it");
    terminal.press("s\n");
    assert!(terminal.ends().success());
    assert_eq!(place.value(), "not json");
}

#[test]
fn a_key_that_was_deleted_meanwhile_is_a_choice() {
    for (answer, left) in [("t\n", None), ("m\n", Some(r#"{"a":9}"#))] {
        let place = Place::new(r#"{"a":1}"#);
        let mine =
            "\"$KVSCOPE\" --local \"$STORE\" del b k --force >/dev/null\nsed -i 's/1/9/' \"$1\"";
        let mut terminal = place.edit(&[mine]);
        terminal.shows("CONFLICT  the whole value");
        terminal.press(answer);
        terminal.shows("Save the merged value?");
        terminal.press("y\n");
        assert!(terminal.ends().success());
        match left {
            Some(value) => assert_eq!(place.value(), value),
            None => terminal.shows("b k left deleted"),
        }
    }
}

#[test]
fn text_with_masked_secrets_is_left_to_the_console() {
    let place = Place::new(r#"{"token":"x","a":1}"#);
    // As the console keeps it: without the value that it was opened at.
    let file = place.folder.path().join("buckets.db").display().to_string();
    let subject = kvscope::edit::draft::Subject {
        place: kvscope::config::Place::local(&file).address(),
        bucket: "b".to_owned(),
        key: "k".to_owned(),
    };
    let draft = kvscope::edit::Draft {
        subject: subject.clone(),
        revision: kvscope::kv::Revision(1),
        base: None,
        text: "{\"a\": 7}".to_owned(),
        hex: false,
        kept_at: time::OffsetDateTime::UNIX_EPOCH,
    };
    let folder = place.folder.path().join("state/kvscope/drafts");
    let drafts = kvscope::config::Drafts::at(folder, kvscope::edit::draft::Policy::All);
    drafts
        .keep(&draft, &kvscope::edit::Masking::default())
        .unwrap();
    let mut terminal = place.edit(&[r#"sed -i 's/1/2/' "$1""#]);
    terminal.shows("in the console, with its secrets masked");
    assert!(terminal.ends().success());
    assert_eq!(place.value(), r#"{"token":"x","a":2}"#);
    assert_eq!(drafts.find(&subject).unwrap(), Some(draft));
}
