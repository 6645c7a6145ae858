//! However the program ends or pauses, the terminal is the user's again.

use std::process::Command;

use super::pty::{Terminal, program, until};

fn console() -> Terminal {
    let terminal = Terminal::with(program(), &["demo"], &[("KVSCOPE_TEST_PANIC", "1")]);
    terminal.is_live();
    terminal.until("takes the terminal", |screen| {
        screen.alternate_screen() && screen.bracketed_paste() && screen.hide_cursor()
    });
    terminal
}

#[test]
fn by_a_signal() {
    for signal in ["-TERM", "-HUP", "-INT", "-QUIT"] {
        let mut terminal = console();
        terminal.signal(signal);
        terminal.ends();
        terminal.is_given_back();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn by_a_signal_in_a_terminal_that_never_lets_a_reader_wait() {
    let mut terminal = console();
    terminal.press("4");
    terminal.shows("This console");
    terminal.set(&["min", "0", "time", "0"]);
    terminal.press("?");
    terminal.shows("To the first row");
    terminal.signal("-TERM");
    terminal.ends();
    terminal.is_given_back();
}

#[test]
fn by_ctrl_c_and_by_the_palette() {
    for keys in ["\x03", ":quit\r"] {
        let mut terminal = console();
        terminal.press(keys);
        assert!(terminal.ends().success(), "{keys:?}");
        terminal.is_given_back();
    }
}

#[test]
fn by_a_panic() {
    let mut terminal = console();
    // F12, where the variable asks for it.
    terminal.press("\x1b[24~");
    assert!(!terminal.ends().success());
    terminal.is_given_back();
    terminal.shows("a panic was asked for");
}

#[test]
fn a_panic_in_the_background_does_not_take_the_terminal_away() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let variables = [
        ("KVSCOPE_TEST_PANIC", "1"),
        ("KVSCOPE_LOG", log.path().to_str().unwrap()),
    ];
    let mut terminal = Terminal::with(program(), &["demo"], &variables);
    terminal.is_live();
    // F11, then a redraw of everything.
    terminal.press("\x1b[23~");
    terminal.press("\x0c");
    terminal.press("4");
    terminal.shows("This console");
    assert!(
        !terminal.screen().contains("panic"),
        "{}",
        terminal.screen()
    );
    // Nobody waits for it at the end.
    until("the panic is in the log", || {
        let told = std::fs::read_to_string(log.path()).unwrap();
        told.contains("a panic was asked for")
    });
    terminal.press("q");
    assert!(terminal.ends().success());
    terminal.is_given_back();
}

#[test]
fn a_key_that_comes_with_a_new_size_is_not_left_lying() {
    let mut terminal = console();
    terminal.press(":");
    terminal.shows("Command");
    let mut typed = String::from(":");
    for (n, letter) in ('a'..='j').enumerate() {
        typed.push(letter);
        let (columns, rows) = if n % 2 == 0 { (110, 30) } else { (120, 35) };
        // Both come while it can't look.
        terminal.signal("-STOP");
        terminal.resize(columns, rows);
        terminal.press(&letter.to_string());
        terminal.signal("-CONT");
        terminal.shows(&typed);
    }
}

#[test]
fn suspended_and_continued_by_a_shell() {
    let mut terminal = Terminal::with("sh", &["-i"], &[("PS1", "the shell: ")]);
    terminal.shows("the shell: ");
    let demo = format!("sh -c 'echo this is $$ ; exec {} demo'\n", program());
    terminal.press(&demo);
    terminal.is_live();
    let sent = String::from_utf8_lossy(&terminal.sent()).into_owned();
    let ids = sent.split("this is ").filter_map(|rest| {
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse::<u32>().ok()
    });
    let id = ids.last().expect("it told its number").to_string();
    for by_a_key in [true, false, true] {
        if by_a_key {
            terminal.press("\x1a");
        } else {
            let told = Command::new("kill").args(["-TSTP", &id]).status();
            assert!(told.unwrap().success());
        }
        terminal.until("is the shell's", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        // The shell reads lines again, and says that there is a job.
        terminal.press("echo $((6 * 7)) is the answer\n");
        terminal.shows("42 is the answer");
        terminal.press("fg\n");
        terminal.until("is the console's", |screen| {
            screen.alternate_screen() && screen.contents().contains("● live")
        });
        terminal.press("3");
        terminal.shows("Activity");
        terminal.press("1");
        terminal.shows(" Keys ");
    }
    terminal.press("q");
    terminal.until("ends", |screen| !screen.alternate_screen());
    terminal.press("exit\n");
    terminal.ends();
}
