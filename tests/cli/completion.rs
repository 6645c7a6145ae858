//! Completions and manual pages: bash itself asks, on both engines.

use std::io::{Read as _, Write};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::locking;
use crate::program::{Place, Run};

/// How long bash may take to show what it offers.
const PATIENCE: Duration = Duration::from_secs(30);
/// When Tab is pressed again: longer than the program itself waits for a store.
const AGAIN: Duration = Duration::from_secs(5);

/// A bash at a terminal, with the program's completions: words are taken apart and put in place by
/// nobody else.
struct Bash {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    shown: Receiver<Vec<u8>>,
    _terminal: portable_pty::PtyPair,
}

impl Bash {
    fn start(place: &Place) -> Self {
        let folder = place.home.path().join("bin");
        std::fs::create_dir_all(&folder).expect("a folder");
        let program = folder.join("kvscope");
        if !program.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kvscope"), &program).expect("a link");
        }
        let settings = "bind 'set show-all-if-ambiguous on'
            bind 'set completion-query-items 0'
            bind 'set page-completions off'
            bind 'set bell-style none'
            bind 'set enable-bracketed-paste off'
            PS1='ready> '
            source <(kvscope completions bash)\n";
        let settings = place.with_file("bashrc", settings.as_bytes());
        let size = portable_pty::PtySize {
            cols: 400,
            ..portable_pty::PtySize::default()
        };
        let terminal = portable_pty::native_pty_system()
            .openpty(size)
            .expect("a terminal");
        let mut command = portable_pty::CommandBuilder::new("bash");
        command.args(["--noprofile", "--rcfile"]);
        command.arg(settings);
        command.arg("-i");
        command.env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
        command.env("HOME", place.home.path());
        command.env("TERM", "dumb");
        let child = terminal.slave.spawn_command(command).expect("bash");
        let mut reader = terminal.master.try_clone_reader().expect("a reader");
        let writer = terminal.master.take_writer().expect("a writer");
        let (sender, shown) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read) = reader.read(&mut part) {
                if read == 0 || sender.send(part[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut bash = Self {
            child,
            writer,
            shown,
            _terminal: terminal,
        };
        bash.until("ready> ");
        bash
    }

    /// Reads what is shown up to these words; gives all of it.
    #[track_caller]
    fn until(&mut self, words: &str) -> String {
        let (text, is_there) = self.shows(words, PATIENCE);
        assert!(is_there, "no {words:?} in {text:?}");
        text
    }

    /// Reads what is shown up to these words, or until nothing came for so long; gives all of it,
    /// and whether they were there.
    fn shows(&mut self, words: &str, patience: Duration) -> (String, bool) {
        let mut text = String::new();
        while !text.contains(words) {
            let Ok(part) = self.shown.recv_timeout(patience) else {
                return (text, false);
            };
            text.push_str(&String::from_utf8_lossy(&part));
        }
        (text, true)
    }

    /// What becomes of a line when Tab is pressed at its end, with what is offered above it.
    ///
    /// The program offers nothing where the store is slow to answer: then Tab is pressed again.
    #[track_caller]
    fn tab(&mut self, line: &str, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            write!(self.writer, "{line}\t").expect("it is typed");
            let (mut text, is_there) = self.shows(words, AGAIN);
            // Away with the line.
            self.writer.write_all(b"\x15\r").expect("it is typed");
            text.push_str(&self.until("ready> "));
            if is_there {
                return text;
            }
            assert!(Instant::now() < until, "no {words:?} in {text:?}");
        }
    }
}

impl Drop for Bash {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn live_names(place: &Place) {
    place.add("c-config", "1");
    for key in [
        "app.billing.limits",
        "app.billing.token",
        "app.search",
        "other",
    ] {
        place.put("c-config", key, "1");
    }
    place.put("c-config", "with=sign", "1");
    place.put("c-config", "app.billing.gone", "1");
    place
        .run(&["del", "c-config", "app.billing.gone", "--force"])
        .ends(0);
    let run = locking::lock_run(place, &["c-config", "ledger"], &["true"]).output();
    Run::of(&run.expect("the program ends")).ends(0);
    let file = place.with_file("limits.json", b"{}");
    let file = file.display().to_string();
    let mut bash = Bash::start(place);
    let flags = place.flags.join(" ");
    let mut ask =
        |words: &str, offered: &str| bash.tab(&format!("kvscope {flags} {words}"), offered);
    ask("hist", "history ");
    ask("get c-conf", "c-config ");
    let shown = ask("get c-config app.billing.", "app.billing.token");
    assert!(shown.contains("app.billing.limits"), "{shown}");
    assert!(!shown.contains("app.billing.gone"), "{shown}");
    ask("history c-config oth", "other ");
    // Bash takes these apart.
    ask("get c-config with", "with=sign ");
    ask("get c-config with=", "with=sign ");
    ask("import c-config --mode=me", "--mode=merge ");
    let shown = ask("import c-config --mode ", "overwrite");
    assert!(shown.contains("merge"), "{shown}");
    ask("lock show c-config le", "ledger ");
    let begun = file.strip_suffix("mits.json").expect("its name");
    ask(
        &format!("put c-config other @{begun}"),
        &format!("@{file} "),
    );
}

pub(crate) fn pages(place: &Place) {
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completions", shell]).ends(0).text();
        assert!(
            script.contains("kvscope") && script.contains("COMPLETE"),
            "{script}"
        );
    }
    let script = place.run(&["completions", "zsh"]).ends(0).text();
    assert!(
        script.contains("funcstack"),
        "the first question is answered"
    );
    place.run(&["completions", "tcsh"]).ends(2);
    let page = place.run(&["man"]).ends(0).text();
    assert!(
        page.contains(".TH kvscope 1") && page.contains("export"),
        "{page}"
    );
    let folder = place.home.path().join("man1");
    let name = folder.display().to_string();
    place.run(&["man", "--folder", &name]).ends(0);
    let page = std::fs::read_to_string(folder.join("kvscope-lock-run.1")).expect("a page");
    assert!(page.contains("./migrate.sh"), "{page}");
    assert!(!folder.join("kvscope-query-values.1").exists());
}
