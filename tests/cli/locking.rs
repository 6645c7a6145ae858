//! `lock run` and `lock break`, on whatever place. Leases are short, and yet long enough for a busy
//! machine.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{Place, Run, Watching, until};

/// `lock run` with these options. The place comes first: what is behind `--` is the command's.
pub(crate) fn lock_run(place: &Place, options: &[&str], command: &[&str]) -> Command {
    let mut words: Vec<&str> = place.flags.iter().map(String::as_str).collect();
    words.extend(["lock", "run"]);
    words.extend(options);
    words.push("--");
    words.extend(command);
    let mut run = place.bare_command();
    run.args(words);
    run
}

fn ends(mut command: Command, code: i32) -> Run {
    Run::of(&command.output().expect("the program ends")).ends(code)
}

/// A lock that is held by a shell until its input closes. `script` runs first.
struct Holder {
    input: Option<ChildStdin>,
    running: Watching,
}

impl Holder {
    fn start(place: &Place, options: &[&str], script: &str) -> Self {
        let script = format!("{script}\necho held by $$ fence $KVSCOPE_FENCE\nread line; exit 4");
        let mut run = lock_run(place, options, &["sh", "-c", &script]);
        let mut running = Watching::of(run.stdin(Stdio::piped()));
        let input = running.child.stdin.take();
        Self { input, running }
    }

    /// Waits until it holds. The process and the fence.
    fn holds(&mut self) -> (u32, u64) {
        let line = self.running.line();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., "by", pid, "fence", fence] = words.as_slice() else {
            panic!("{line:?}");
        };
        (pid.parse().expect("a pid"), fence.parse().expect("a fence"))
    }

    /// Closes the input and gives the end.
    fn lets_go(mut self) -> Run {
        drop(self.input.take());
        self.running.end()
    }

    fn signal(&self, signal: &str) {
        send(self.running.child.id(), signal);
    }
}

fn send(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(status.expect("kill runs").success(), "{signal}");
}

/// Whether a process is there and not only left to be asked how it ended.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    !matches!(state.chars().next(), None | Some('Z' | 'X'))
}

/// The lock as `lock show --json` has it.
fn shown(place: &Place, bucket: &str, resource: &str) -> Value {
    let words = ["lock", "show", bucket, resource, "--no-shizuku", "--json"];
    place.run(&words).ends(0).record()
}

fn session_of(place: &Place, bucket: &str, resource: &str) -> String {
    let lock = shown(place, bucket, resource);
    let session = lock["holders"][0]["session"].as_str().expect("a holder");
    session.to_owned()
}

#[track_caller]
fn is_free(place: &Place, bucket: &str, resource: &str) {
    let lock = shown(place, bucket, resource);
    assert_eq!(
        (&lock["holders"], &lock["waiters"]),
        (&json!([]), &json!([]))
    );
}

fn waits(place: &Place, bucket: &str, resource: &str) {
    until("somebody waits", || {
        shown(place, bucket, resource)["waiters"] != json!([])
    });
}

pub(crate) fn run(place: &Place) {
    place.add("run", "8");
    let told = "echo $KVSCOPE_LOCK_BUCKET $KVSCOPE_LOCK_RESOURCE $KVSCOPE_FENCE; exit 7";
    let command = lock_run(place, &["run", "a b"], &["sh", "-c", told]);
    let first = ends(command, 7).text();
    assert!(first.starts_with("run a b "), "{first}");
    let command = lock_run(place, &["--read", "run", "a b"], &["sh", "-c", told]);
    let second = ends(command, 7).text();
    let fence = |text: &str| -> u64 {
        let word = text.split_whitespace().last();
        word.expect("a word").parse().expect("a fence")
    };
    assert!(fence(&second) > fence(&first), "{first} {second}");
    is_free(place, "run", "a b");
    let sessions = place.run(&["ls", "run", "_session.>", "--names"]).ends(0);
    assert_eq!(sessions.text(), "", "no session is left");

    let mut holder = Holder::start(place, &["run", "r"], "");
    holder.holds();
    let lock = shown(place, "run", "r");
    assert_eq!(lock["holders"][0]["label"], "sh");
    assert_eq!(holder.lets_go().code, 4);

    for (command, code, told) in [
        (&["sh", "-c", "kill -9 $$"][..], 137, ""),
        (&["no-such-command"], 127, "no-such-command can't be run"),
        (&["/"], 126, "/ can't be run"),
    ] {
        let run = ends(lock_run(place, &["run", "r"], command), code);
        assert!(run.stderr.contains(told), "{}", run.stderr);
        is_free(place, "run", "r");
    }
    let mut pipe = lock_run(place, &["run", "r"], &["cat"]);
    let mut pipe = pipe.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = pipe.stdin.take().expect("a pipe");
    input.write_all(b"through").expect("it is read");
    drop(input);
    assert_eq!(Run::of(&output(pipe)).ends(0).text(), "through");

    ends(
        lock_run(place, &["run", "r", "--lease", "1ms"], &["true"]),
        2,
    );
    ends(lock_run(place, &["none", "r"], &["true"]), 3);
    place.run(&["lock", "run", "run", "r", "true"]).ends(2);
    let refused = ends(lock_run(place, &["--read-only", "run", "r"], &["true"]), 6);
    assert!(refused.stderr.contains("read-only"), "{}", refused.stderr);
    // It is not touched: somebody wrote it who knows more than we do.
    place.put("run", "_lock.foreign", r#"{"v":9}"#);
    let run = ends(lock_run(place, &["run", "foreign"], &["true"]), 1);
    assert!(run.stderr.contains("version 9"), "{}", run.stderr);
}

fn output(child: Child) -> std::process::Output {
    child.wait_with_output().expect("the program ends")
}

pub(crate) fn wait(place: &Place) {
    place.add("wait", "8");
    let mut reader = Holder::start(place, &["--read", "wait", "r"], "");
    reader.holds();
    let shares = ["--read", "--wait", "0s", "wait", "r"];
    ends(lock_run(place, &shares, &["true"]), 0);
    for time in ["0s", "300ms"] {
        let writes = ["--wait", time, "wait", "r"];
        let run = ends(lock_run(place, &writes, &["echo", "never"]), 5);
        assert_eq!(run.text(), "");
        assert!(
            run.stderr
                .contains(&format!("{} lock show wait r", place.program())),
            "{}",
            run.stderr
        );
    }
    assert_eq!(shown(place, "wait", "r")["waiters"], json!([]));

    // A signal gives up the place in the queue.
    let waiting = Watching::of(&mut lock_run(place, &["wait", "r"], &["echo", "never"]));
    waits(place, "wait", "r");
    send(waiting.child.id(), "-TERM");
    assert_eq!(waiting.end().code, 128 + 15);
    assert_eq!(shown(place, "wait", "r")["waiters"], json!([]));

    let mut writer = Holder::start(place, &["--wait", "40s", "wait", "r"], "");
    waits(place, "wait", "r");
    assert_eq!(reader.lets_go().code, 4);
    writer.holds();
    assert_eq!(writer.lets_go().code, 4);
    is_free(place, "wait", "r");
}

pub(crate) fn signals(place: &Place) {
    place.add("signals", "8");
    for signal in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"] {
        let script = format!(
            "trap 'echo got {signal}; exit 9' {signal}; echo held by $$ fence 0; \
             while :; do sleep 0.02; done"
        );
        let mut holder = Holder::start(place, &["signals", "r"], &script);
        holder.holds();
        holder.signal(&format!("-{signal}"));
        let run = holder.running.end().ends(9);
        assert_eq!(run.text(), format!("got {signal}\n"));
    }
    is_free(place, "signals", "r");
}

/// A script's beginning: it starts one process that stays below it and one that has detached
/// itself from everything, and tells their numbers.
const STARTS_TWO: &str = "sleep 300 & echo below $!
    (setsid sh -c 'echo detached $$; exec sleep 300' &)";

/// All that a holder that [`STARTS_TWO`] has started, the command first, and its fence.
fn holds_all(holder: &mut Holder) -> ([u32; 3], u64) {
    let mut pids = [0; 3];
    let mut fence = 0;
    while pids.contains(&0) {
        let line = holder.running.line();
        let number = |word: &str| word.parse().expect("a number");
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["held", "by", pid, "fence", with] => {
                pids[0] = number(pid);
                fence = with.parse().expect("a fence");
            }
            ["below", pid] => pids[1] = number(pid),
            ["detached", pid] => pids[2] = number(pid),
            _ => panic!("{line:?}"),
        }
    }
    (pids, fence)
}

/// The process that started it.
fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    let fields = stat.rsplit_once(") ").expect("a name").1;
    let parent = fields.split(' ').nth(1).expect("a parent");
    parent.parse().expect("a number")
}

/// Who is killed can't let go: the lock is free for others when its lease has run out, and by then
/// all that it started is gone.
pub(crate) fn killed(place: &Place) {
    place.add("killed", "8");
    let lease = ["--lease", "4s", "killed", "r"];
    let mut holder = Holder::start(place, &lease, STARTS_TWO);
    let (pids, fence) = holds_all(&mut holder);
    assert!(pids.iter().all(|pid| runs(*pid)));
    let mut next = Holder::start(place, &lease, "");
    waits(place, "killed", "r");
    let begun = Instant::now();
    holder.signal("-KILL");
    let (_, later) = next.holds();
    assert!(!pids.iter().any(|pid| runs(*pid)), "something goes on");
    assert!(later > fence);
    let took = begun.elapsed();
    println!("    takeover after kill -9 of `lock run`: {took:?} with a lease of 4 s");
    // It beats every 1.3 seconds, and plenty later than that on a busy machine.
    assert!(took > Duration::from_secs(1), "before its lease: {took:?}");
    next.lets_go().ends(4);
    drop(holder.input.take());
    holder.running.child.wait().expect("it was killed");
}

/// The process between is killed: what it looked after falls to `lock run`, and nothing of it is
/// there when the lock is let go.
pub(crate) fn supervisor_killed(place: &Place) {
    place.add("orphans", "8");
    let mut holder = Holder::start(place, &["orphans", "r"], STARTS_TWO);
    let (pids, _) = holds_all(&mut holder);
    let supervisor = parent_of(pids[0]);
    assert_eq!(parent_of(supervisor), holder.running.child.id());
    assert_eq!(parent_of(pids[2]), supervisor, "it is a subreaper");
    send(supervisor, "-KILL");
    holder.running.end().ends(128 + 9);
    assert!(!pids.iter().any(|pid| runs(*pid)), "something goes on");
    is_free(place, "orphans", "r");
}

/// A holder is stopped for longer than its lease, and another one takes over. By then its command
/// and all that this has started are stopped. When it goes on, it says so.
pub(crate) fn lost(place: &Place) {
    place.add("lost", "8");
    let lease = ["--lease", "6s", "lost", "r"];
    let mut holder = Holder::start(place, &lease, STARTS_TWO);
    let (pids, fence) = holds_all(&mut holder);
    let mut rival = Holder::start(place, &lease, "");
    waits(place, "lost", "r");
    holder.signal("-STOP");
    assert!(rival.holds().1 > fence);
    assert!(!pids.iter().any(|pid| runs(*pid)), "something goes on");
    holder.signal("-CONT");
    let run = holder.running.end().ends(5);
    assert!(run.stderr.contains("was lost"), "{}", run.stderr);
    assert!(run.stderr.contains("command was stopped"), "{}", run.stderr);
    // The rival's lock is not touched by it.
    assert_eq!(shown(place, "lost", "r")["holders"][0]["state"], "live");
    rival.lets_go().ends(4);
    is_free(place, "lost", "r");
}

/// Started by somebody who ignores the ends of children, which is inherited: how the command
/// ended is known all the same, to it about its own children too.
pub(crate) fn ends_ignored(place: &Place) {
    place.add("ignored", "8");
    let program = env!("CARGO_BIN_EXE_kvscope");
    let flags = place.flags.join(" ");
    let script = format!(
        "trap '' CHLD; exec {program} {flags} lock run ignored r -- \
         sh -c '(exit 5); test $? = 5 && exit 7'"
    );
    let mut run = Command::new("sh");
    run.args(["-c", &script]).env("HOME", place.home.path());
    ends(run, 7);
    is_free(place, "ignored", "r");
}

/// The lock can't be let go: the command's code is the one to end with, and the reason is told.
pub(crate) fn not_let_go(place: &Place) {
    let program = env!("CARGO_BIN_EXE_kvscope");
    let flags = place.flags.join(" ");
    let spoils = |bucket: &str, command: &str| {
        place.add(bucket, "8");
        let script = format!("{program} {flags} {command} >/dev/null; exit 3");
        let words = ["--lease", "2s", bucket, "r"];
        Run::of(
            &lock_run(place, &words, &["sh", "-c", &script])
                .output()
                .expect("it ends"),
        )
    };
    let run = spoils("spoilt", r#"put spoilt _lock.r "{\"v\":9}""#).ends(3);
    for told in ["could not be let go", "version 9", "record is mended"] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    let run = spoils("removed", "bucket rm removed --force").ends(3);
    for told in ["could not be let go", "no bucket", "gone with its bucket"] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("not answer"), "{}", run.stderr);
}

/// The command of a broken session has ended before the next one's begins, even if it does not
/// want to.
pub(crate) fn broken(place: &Place) {
    place.add("broken", "16");
    let log = place.home.path().join("log");
    let log_of = |log: &Path| std::fs::read_to_string(log).unwrap_or_default();
    let stubborn = format!(
        "{STARTS_TWO}; echo x >{0}; trap 'echo asked >>{0}' TERM; \
         echo held by $$ fence 0; while :; do sleep 0.02; done",
        log.display()
    );
    let lease = ["--lease", "6s", "broken", "r"];
    let mut holder = Holder::start(place, &lease, &stubborn);
    let (pids, _) = holds_all(&mut holder);
    let [pid, _, detached] = pids;
    let session = session_of(place, "broken", "r");
    let next = format!(
        "echo next $(test -d /proc/{pid} -o -d /proc/{detached} && echo early) >>{}",
        log.display()
    );
    let waiter = Watching::of(&mut lock_run(place, &lease, &["sh", "-c", &next]));
    waits(place, "broken", "r");
    let words = [
        "lock",
        "break",
        "broken",
        "r",
        "--session",
        &session,
        "--yes",
        "--json",
    ];
    let steps = place.run(&words).ends(0).records();
    assert_eq!(steps[0]["step"], "killed");
    let left = steps[0]["left_ms"].as_u64().expect("a time");
    // A lease and an eighth.
    assert!((1..=6750).contains(&left), "{left}");
    assert_eq!(steps[1]["step"], "quarantine");
    let end = steps.last().expect("an end");
    assert_eq!(end["step"], "broken");
    assert_eq!(end["freed"][0]["resource"], "r");
    let run = holder.running.end().ends(5);
    assert!(run.stderr.contains("was broken"), "{}", run.stderr);
    assert!(!pids.iter().any(|pid| runs(*pid)), "something goes on");
    waiter.end().ends(0);
    assert_eq!(log_of(&log), "x\nasked\nnext\n");
    is_free(place, "broken", "r");
    let gone = place.run(&words).ends(3);
    assert!(gone.stderr.contains("neither holds"), "{}", gone.stderr);
}

/// What a break refuses, and what it does at once.
pub(crate) fn forced(place: &Place) {
    place.add("forced", "16");
    let mut holder = Holder::start(place, &["--lease", "12s", "forced", "r"], "");
    holder.holds();
    let session = session_of(place, "forced", "r");
    let revision = shown(place, "forced", "r")["revision"]
        .as_u64()
        .expect("one");
    let broken = |more: &[&str]| {
        let words = ["lock", "break", "forced", "r", "--session", &session];
        place.run(&[&words, more].concat())
    };
    let old = (revision - 1).to_string();
    let moved = broken(&["--revision", &old, "--json"]).ends(4);
    let conflict = json!({"error": "conflict", "bucket": "forced", "key": "_lock.r",
        "expected": revision - 1, "current": revision});
    assert_eq!(moved.record(), conflict);
    assert!(
        moved.stderr.contains("held by writer sh"),
        "{}",
        moved.stderr
    );
    broken(&["--read-only"]).ends(6);
    broken(&["--force"]).ends(2);
    broken(&["--force", "--yes-resource", "s"]).ends(2);
    let other = ["lock", "break", "forced", "r", "--session", "s_none"];
    place.run(&other).ends(3);
    place.run(&["lock", "break", "forced", "r"]).ends(2);
    assert_eq!(shown(place, "forced", "r")["holders"][0]["state"], "live");

    let begun = Instant::now();
    let now = revision.to_string();
    let done = broken(&["--force", "--yes-resource", "r", "--revision", &now]).ends(0);
    // The quarantine of such a lease is longer than that.
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "there is no quarantine"
    );
    assert!(
        done.text().contains("r: nobody holds it"),
        "{}",
        done.text()
    );
    is_free(place, "forced", "r");
    // It hears of it at its next beat.
    holder.running.end().ends(5);
}

pub(crate) fn reset(place: &Place) {
    place.add("reset", "8");
    let stale: [u8; 17] = [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let put = ["put", "reset", "legacy", "-", "--json"];
    let revision = place.run_with(&put, &stale, &[]).ends(0).revision();
    let words = [
        "lock", "break", "reset", "legacy", "--reset", "--yes", "--json",
    ];
    let old = (revision + 1).to_string();
    place
        .run(&[&words[..], &["--revision", &old]].concat())
        .ends(4);
    place.run(&[&words[..], &["--read-only"]].concat()).ends(6);
    let kept = place.run(&["get", "reset", "legacy"]).ends(0);
    assert_eq!(kept.stdout, stale);
    assert!(place.run(&words).ends(0).revision() > revision);
    let now = place.run(&["get", "reset", "legacy"]).ends(0);
    assert_eq!(now.stdout, [0; 17]);
    place.put("reset", "other", "no lock");
    place
        .run(&["lock", "break", "reset", "other", "--reset"])
        .ends(1);
    place
        .run(&["lock", "break", "reset", "none", "--reset"])
        .ends(3);
}
