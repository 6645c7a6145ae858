//! Contexts with all their fields, what kvscope's own file says of them, and accounts that may do
//! little.

use serde_json::json;

use crate::program::Place;
use crate::support::NatsServer;

fn context(place: &Place, name: &str, fields: &serde_json::Value) {
    let path = format!(".config/nats/context/{name}.json");
    place.with_file(&path, fields.to_string().as_bytes());
}

#[test]
fn a_context_is_read_only_where_the_file_says_so() {
    let server = NatsServer::start();
    let place = Place::nowhere();
    for name in ["prod", "test"] {
        context(&place, name, &json!({"url": server.url()}));
    }
    let config = "[contexts.prod]\nread_only = true\nlabel = \"PRODUCTION\"\ncolor = \"red\"\n";
    place.with_file(".config/kvscope/kvscope.toml", config.as_bytes());
    let add = |context: &str, bucket: &str| {
        place.run(&["bucket", "add", bucket, "--context", context, "--json"])
    };
    let refused = add("prod", "b").ends(6);
    assert!(refused.stderr.contains("read-only"), "{}", refused.stderr);
    assert_eq!(add("test", "b").ends(0).record()["read_only"], false);
    let info = ["bucket", "info", "b", "--context", "prod", "--json"];
    assert_eq!(place.run(&info).ends(0).record()["read_only"], true);
    // A server that is named beside it takes nothing of that away.
    let words = ["bucket", "add", "c", "--context", "prod"];
    place
        .run_with(&words, b"", &[("NATS_URL", &server.url())])
        .ends(6);
    place
        .run(&[&words[..], &["--server", &server.url()]].concat())
        .ends(6);
    // Whoever means it can say so.
    place
        .run_with(&words, b"", &[("KVSCOPE_READ_ONLY", "no")])
        .ends(0);
}

#[test]
fn credentials_are_asked_of_nsc() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = NatsServer::start();
    let place = Place::nowhere();
    let creds = place.with_file("op.creds", b"");
    let answer = json!({"user_creds": creds, "operator": {"service": [server.url()]}});
    let script = format!("#!/bin/sh\necho \"$@\" >> \"$HOME/asked\"\necho '{answer}'\n");
    let nsc = place.with_file("bin/nsc", script.as_bytes());
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&nsc, executable).expect("a program");
    context(&place, "op", &json!({"nsc": "nsc://o/a/u"}));
    let path = format!(
        "{}:/usr/bin:/bin",
        nsc.parent().expect("a folder").display()
    );
    let words = ["bucket", "ls", "--context", "op"];
    // The file that it names holds nothing, which is what is complained of.
    let run = place.run_with(&words, b"", &[("PATH", &path)]).ends(1);
    assert!(run.stderr.contains("op.creds"), "{}", run.stderr);
    let asked = std::fs::read_to_string(place.home.path().join("asked")).expect("it was asked");
    assert_eq!(asked, "generate profile nsc://o/a/u\n");
    let run = place.run(&words).ends(1);
    assert!(run.stderr.contains("`nsc` can't be run"), "{}", run.stderr);
}

#[test]
fn a_proxy_is_not_passed_by() {
    let place = Place::nowhere();
    let proxy = [("NATS_SOCKS_PROXY", "socks5://127.0.0.1:1")];
    let run = place.run_with(&["bucket", "ls"], b"", &proxy).ends(1);
    assert!(run.stderr.contains("NATS_SOCKS_PROXY"), "{}", run.stderr);
}

#[test]
fn an_account_that_may_use_one_bucket_uses_it_by_name() {
    let server = NatsServer::with_config(
        r#"authorization { users = [
            { user: admin, password: s3cr3t }
            { user: one, password: s3cr3t, permissions: {
                publish: { allow: [ "$KV.mine.>",
                    "$JS.API.STREAM.INFO.KV_mine", "$JS.API.STREAM.MSG.GET.KV_mine",
                    "$JS.API.DIRECT.GET.KV_mine", "$JS.API.DIRECT.GET.KV_mine.>",
                    "$JS.API.CONSUMER.*.KV_mine.>", "$JS.FC.>" ] }
                subscribe: { allow: "_INBOX.>" } } }
        ] }"#,
    );
    let place = Place::nowhere();
    let url = server.url();
    let run = |user: &str, words: &[&str]| {
        let words = [words, &["--server", &url, "--timeout", "10s"]].concat();
        place.run_with(
            &words,
            b"",
            &[("NATS_USER", user), ("NATS_PASSWORD", "s3cr3t")],
        )
    };
    run("admin", &["bucket", "add", "mine"]).ends(0);
    run("admin", &["bucket", "add", "theirs"]).ends(0);
    run("one", &["put", "mine", "a", "1"]).ends(0);
    assert_eq!(run("one", &["get", "mine", "a"]).ends(0).text(), "1");
    assert!(run("one", &["ls", "mine"]).ends(0).text().contains('a'));
    run("one", &["history", "mine", "a"]).ends(0);
    let info = run("one", &["bucket", "info", "mine", "--json"]).ends(0);
    assert_eq!(info.record()["keys"], 1);
    let refused = run("one", &["bucket", "ls"]).ends(1);
    assert!(
        refused.stderr.contains("publishing to $JS.API.STREAM.LIST"),
        "{}",
        refused.stderr
    );
    run("one", &["get", "theirs", "a"]).ends(1);
    // That nothing could be looked at is no good news.
    let blind = run("one", &["doctor", "theirs"]).ends(1).text();
    assert!(blind.contains("0 buckets"), "{blind}");
}

#[test]
fn what_the_file_says_of_looks_is_checked_with_its_place() {
    let place = Place::file();
    for (config, told) in [
        ("theme = \"drak\"\n", "line 1, column 9: there is no theme"),
        (
            "[keys.global]\n\"q\" = \"qiut\"\n",
            "line 2, column 7: the keymap names the command \"qiut\"",
        ),
        ("[keys.nowhere]\n\"q\" = \"quit\"\n", "line 1, column 7: "),
        (
            "[keys.global]\n\"hyper\" = \"quit\"\n",
            "line 2, column 1: ",
        ),
        ("[keys.keys]\n\"space\" = \"tree\"\n", "line 2, column 1: "),
        (
            "[colors]\ndangre = { fg = \"red\" }\n",
            "line 2, column 1: ",
        ),
        (
            "[colors]\ndanger = { fg = \"rouge\" }\n",
            "line 2, column 17: \"rouge\" is no colour",
        ),
        (
            "[colors.danger]\nstyle = [\"bold\", \"loud\"]\n",
            "line 2, column 18: ",
        ),
        ("[defaults]\nscreen = \"lokcs\"\n", "line 2, column 10: "),
        ("[contexts.prod]\ncolor = \"rot\"\n", "line 2, column 9: "),
    ] {
        let path = place.with_file("looks.toml", config.as_bytes());
        let path = path.display().to_string();
        let shown = crate::program::asked_on_terminal(&place, &["--config", &path], "q", 1);
        let shown = shown.replace("\r\n", " ");
        assert!(
            shown.contains(&format!("looks.toml, {told}")),
            "{config}: {shown}"
        );
    }
}
