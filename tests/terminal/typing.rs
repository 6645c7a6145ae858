//! What is typed arrives, all of it and in its order.

use super::pty::Terminal;

/// More than is read at once, and than a terminal keeps.
const MANY: usize = 10_000;

#[test]
fn thousands_of_keys_at_once() {
    let mut terminal = Terminal::run(&["demo"]);
    terminal.is_live();
    terminal.press("/a");
    terminal.press(&"x".repeat(MANY));
    terminal.press(&"\x7f".repeat(MANY));
    terminal.press("u");
    // A sequence that comes in two pieces is another key.
    terminal.shows("/au");
    terminal.press("\x1b[Dz");
    terminal.shows("/azu");
}
