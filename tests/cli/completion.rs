//! Completions and manual pages: bash itself asks, on both engines.

use std::process::Command;

use crate::program::{Place, Run};

/// What bash offers at the end of a line.
fn offered(place: &Place, line: &str) -> Vec<String> {
    let script = r#"
        source <("$PROGRAM" completions bash)
        read -ra COMP_WORDS <<< "$LINE"
        [[ "$LINE" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        COMP_TYPE=9
        COMPREPLY=()
        name=$(complete -p kvscope | sed 's/.*-F \([^ ]*\).*/\1/')
        "$name" kvscope "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let folder = place.home.path().join("bin");
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("kvscope");
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kvscope"), &program).expect("a link");
    }
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let output = Command::new("bash")
        .args(["-c", script])
        .env_clear()
        .env("PATH", path)
        .env("PROGRAM", &program)
        .env("HOME", place.home.path())
        .env("LINE", line)
        .output()
        .expect("bash");
    let run = Run::of(&output);
    let text = run.text();
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
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
    place.put("c-config", "app.billing.gone", "1");
    place.run(&["del", "c-config", "app.billing.gone"]).ends(0);
    let flags = place.flags.join(" ");
    let ask = |words: &str| offered(place, &format!("kvscope {flags} {words}"));
    assert!(ask("ge").contains(&"get".to_owned()));
    assert!(ask("get c-conf").contains(&"c-config".to_owned()));
    assert_eq!(
        ask("get c-config app.billing."),
        ["app.billing.limits", "app.billing.token"]
    );
    assert!(ask("history c-config ").contains(&"other".to_owned()));
    assert_eq!(ask("get no-such-bucket app."), Vec::<String>::new());
    assert!(ask("import c-config --mode ").contains(&"merge".to_owned()));
}

pub(crate) fn pages(place: &Place) {
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completions", shell]).ends(0).text();
        assert!(
            script.contains("kvscope") && script.contains("COMPLETE"),
            "{script}"
        );
    }
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
