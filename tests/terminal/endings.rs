//! However the program ends or pauses, the terminal is the user's again.

use super::pty::{Terminal, program};

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
    for signal in ["-TERM", "-HUP", "-INT"] {
        let mut terminal = console();
        terminal.signal(signal);
        terminal.ends();
        terminal.is_given_back();
    }
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
fn suspended_and_continued_by_a_shell() {
    let mut terminal = Terminal::with("sh", &["-i"], &[("PS1", "the shell: ")]);
    terminal.shows("the shell: ");
    terminal.press(&format!("{} demo\n", program()));
    terminal.is_live();
    for _ in 0..3 {
        terminal.press("\x1a");
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
