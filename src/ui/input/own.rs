//! The terminal, read in the loop itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How many bytes are read at once.
const READ: usize = 4096;
const ESCAPE: u8 = 0x1b;
/// How often a terminal is looked at that never lets a reader wait.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The terminal, opened once more.
pub(in crate::ui) struct Terminal {
    /// Of the runtime's own types the one that reads whatever it is given.
    input: pipe::Receiver,
    resized: Signal,
    decoder: Decoder,
}

/// What a look at the terminal brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Something was typed.
    Something,
    /// Nothing; the runtime will tell when there is more.
    Nothing,
    /// Nothing, and the runtime takes it for something. Another program left the terminal in a state
    /// in which it never lets a reader wait.
    Emptiness,
}

impl Terminal {
    /// Opens the terminal that standard input is. Once more, since that reading does not wait shall
    /// not hold for others who have it open.
    ///
    /// # Errors
    /// When it is another user's, or none.
    pub(in crate::ui) fn open() -> io::Result<Self> {
        if !io::stdin().is_terminal() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = File::options();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let terminal = options.open("/proc/self/fd/0")?;
        Ok(Self {
            input: pipe::Receiver::from_file_unchecked(terminal)?,
            resized: signal(SignalKind::window_change())?,
            decoder: Decoder::default(),
        })
    }

    /// The next event.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(in crate::ui) async fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.decoder.events.pop_front() {
                return Ok(event);
            }
            let heard = self.read()?;
            if heard == Heard::Something {
                // Whoever types without a pause keeps neither signals nor deadlines waiting.
                tokio::task::consume_budget().await;
                continue;
            }
            if self.decoder.pause() {
                continue;
            }
            tokio::select! {
                readable = self.input.readable(), if heard == Heard::Nothing => readable?,
                () = tokio::time::sleep(LOOK_AGAIN), if heard == Heard::Emptiness => {}
                _ = self.resized.recv() => {
                    let (columns, rows) = crossterm::terminal::size()?;
                    return Ok(Event::Resize(columns, rows));
                }
            }
        }
    }

    /// Reads what is there.
    fn read(&mut self) -> io::Result<Heard> {
        let mut bytes = [0; READ];
        // The terminal is asked itself first, as the runtime looks at it only when there is
        // nothing else to do. Asked after that it learns that there is nothing more.
        let mut count = rustix::io::read(&self.input, &mut bytes).map_err(io::Error::from);
        if is_empty(&count) {
            count = self.input.try_read(&mut bytes);
        }
        match count {
            Ok(0) if self.is_hung_up()? => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => Ok(Heard::Emptiness),
            Ok(count) => {
                self.decoder.take(&bytes[..count]);
                Ok(Heard::Something)
            }
            count if is_empty(&count) => Ok(Heard::Nothing),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Heard::Something),
            Err(error) => Err(error),
        }
    }

    fn is_hung_up(&self) -> io::Result<bool> {
        let mut terminal = [PollFd::new(&self.input, PollFlags::IN)];
        poll(&mut terminal, Some(&Timespec::default()))?;
        Ok(terminal[0].revents().contains(PollFlags::HUP))
    }
}

fn is_empty(read: &io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Makes events of bytes.
#[derive(Debug, Default)]
struct Decoder {
    /// The beginning of an event.
    partial: Vec<u8>,
    events: VecDeque<Event>,
}

impl Decoder {
    /// Whether there is an escape that nothing has followed yet.
    fn is_at_escape(&self) -> bool {
        self.partial == [ESCAPE]
    }

    /// Takes in what was read.
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == ESCAPE && self.is_at_escape() {
                self.events.push_back(escape());
                self.partial.clear();
            }
            self.partial.push(byte);
            if self.is_at_escape() {
                // The key itself, or the beginning of another: see `pause`.
                continue;
            }
            match terminput::Event::parse_from(&self.partial) {
                Ok(None) => continue,
                Ok(Some(event)) if is_known(&event) => {
                    self.events.extend(terminput_crossterm::to_crossterm(event));
                }
                // No event that anybody here knows.
                Ok(Some(_)) | Err(_) => {}
            }
            self.partial.clear();
        }
    }

    /// Takes in that there is nothing more to read at the moment: an escape that nothing followed is
    /// the key. Says whether it was. To wait for what a network may deliver a moment later would
    /// double the time to the frame of every such key.
    fn pause(&mut self) -> bool {
        let is_key = self.is_at_escape();
        if is_key {
            self.events.push_back(escape());
            self.partial.clear();
        }
        is_key
    }
}

/// Whether all that was pressed would be told: crossterm's modifiers have two less.
fn is_known(event: &terminput::Event) -> bool {
    use terminput::KeyModifiers;

    let unknown = KeyModifiers::HYPER | KeyModifiers::META;
    !matches!(event, terminput::Event::Key(key) if key.modifiers.intersects(unknown))
}

fn escape() -> Event {
    Event::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(reads: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::default();
        for bytes in reads {
            decoder.take(bytes);
        }
        decoder.pause();
        decoder.events.into()
    }

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, modifiers))
    }

    fn plain(code: KeyCode) -> Event {
        key(code, KeyModifiers::NONE)
    }

    #[test]
    fn keys_as_terminals_send_them() {
        use KeyModifiers as With;
        for (bytes, expected) in [
            (&b"a"[..], plain(KeyCode::Char('a'))),
            (b"A", key(KeyCode::Char('A'), With::SHIFT)),
            ("ß".as_bytes(), plain(KeyCode::Char('ß'))),
            ("漢".as_bytes(), plain(KeyCode::Char('漢'))),
            (b"\r", plain(KeyCode::Enter)),
            (b"\n", key(KeyCode::Char('j'), With::CONTROL)),
            (b"\t", plain(KeyCode::Tab)),
            (b"\x1b[Z", key(KeyCode::BackTab, With::SHIFT)),
            (b"\x7f", plain(KeyCode::Backspace)),
            (b"\x03", key(KeyCode::Char('c'), With::CONTROL)),
            (b"\0", key(KeyCode::Char(' '), With::CONTROL)),
            (b"\x1b", escape()),
            (b"\x1bx", key(KeyCode::Char('x'), With::ALT)),
            (b"\x1b[A", plain(KeyCode::Up)),
            (b"\x1bOB", plain(KeyCode::Down)),
            (b"\x1b[1;5C", key(KeyCode::Right, With::CONTROL)),
            (b"\x1b[1;2D", key(KeyCode::Left, With::SHIFT)),
            (b"\x1b[5~", plain(KeyCode::PageUp)),
            (b"\x1b[6~", plain(KeyCode::PageDown)),
            (b"\x1b[3~", plain(KeyCode::Delete)),
            (b"\x1b[H", plain(KeyCode::Home)),
            (b"\x1b[4~", plain(KeyCode::End)),
            (b"\x1bOP", plain(KeyCode::F(1))),
            (b"\x1b[24~", plain(KeyCode::F(12))),
        ] {
            assert_eq!(decoded(&[bytes]), [expected], "{bytes:?}");
        }
    }

    #[test]
    fn escape_stands_for_itself_however_often_and_before_whatever_it_comes() {
        assert_eq!(decoded(&[b"\x1b\x1b\x1b"]), vec![escape(); 3]);
        assert_eq!(decoded(&[b"\x1b\x1b[A"]), [escape(), plain(KeyCode::Up)]);
        let mut decoder = Decoder::default();
        decoder.take(b"\x1b");
        assert!(decoder.pause());
        assert!(!decoder.pause());
        decoder.take(b"x");
        let expected = [escape(), plain(KeyCode::Char('x'))];
        assert_eq!(Vec::from(decoder.events), expected);
    }

    #[test]
    fn what_comes_in_pieces_is_put_together() {
        let up = [plain(KeyCode::Up)];
        assert_eq!(decoded(&[b"\x1b[", b"A"]), up);
        let han = "漢".as_bytes();
        assert_eq!(
            decoded(&[&han[..1], &han[1..2], &han[2..]]),
            [plain(KeyCode::Char('漢'))]
        );
        assert_eq!(
            decoded(&[b"\x1b", b"[A"]),
            up,
            "in one go, but at a buffer's end"
        );
    }

    #[test]
    fn pasted_text_is_one_event_whatever_it_holds() {
        let text = "x\n\x1b[A漢".repeat(2000);
        let bytes = format!("\x1b[200~{text}\x1b[201~q");
        let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(1000).collect();
        assert_eq!(
            decoded(&pieces),
            [Event::Paste(text), plain(KeyCode::Char('q'))]
        );
    }

    #[test]
    fn what_nobody_knows_is_left_out_and_what_follows_is_not() {
        let q = [plain(KeyCode::Char('q'))];
        for bytes in [
            &b"\xff\xfeq"[..],
            b"\x1b[999~q",
            b"\x1b[?1;2cq",
            b"\x1b[1;17Aq",
            b"\x1b[xq",
        ] {
            assert_eq!(decoded(&[bytes]), q, "{bytes:?}");
        }
    }
}
