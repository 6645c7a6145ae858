//! The terminal: taken when the console starts, given back however it ends.
//!
//! Raw mode, the alternate screen, the mouse and bracketed paste are switched on together and off
//! together: at the end, on a panic, on a signal and for a suspension. So is the terminal's own
//! reordering of right-to-left text (ECMA-48, BDSM): a row must stay in its columns.

use std::io::{self, BufWriter, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;

/// Text stays in the order in which it is written (BDSM explicit), and the way back.
const KEEP_ORDER: &str = "\x1b[8l";
const MAY_REORDER: &str = "\x1b[8h";

/// A whole frame of a large terminal: it goes out in one piece.
const FRAME_BYTES: usize = 1 << 16;

/// Whether the terminal is ours right now: a panic gives back only what was taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, as long as it is ours. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Never dropped: it would show the cursor, which `give_back` does, and panic where neither the
    /// terminal nor the error stream, which is the same one, can be written to any more.
    inner: ManuallyDrop<ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When standard output is no terminal, or is gone.
    pub(super) fn take() -> io::Result<Self> {
        take()?;
        let out = BufWriter::with_capacity(FRAME_BYTES, io::stdout());
        let inner = ratatui::Terminal::new(CrosstermBackend::new(out));
        inner
            .map(|inner| Self {
                inner: ManuallyDrop::new(inner),
            })
            .inspect_err(|_| give_back())
    }

    /// Draws a frame, and writes to the terminal what differs from the one before.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        // A terminal that knows how shows the frame at once, not in the making.
        queue!(self.inner.backend_mut(), BeginSynchronizedUpdate)?;
        self.inner.draw(render)?;
        execute!(self.inner.backend_mut(), EndSynchronizedUpdate)
    }

    /// Forgets what the terminal shows, so that the next frame is written whole.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // Ratatui's own `clear` first asks the terminal where its cursor is, and fails where no
        // answer comes. To take the same size again clears without a question.
        let size = self.inner.size()?;
        self.inner.resize(size.into())
    }

    /// Asks the terminal to put a text on the user's clipboard (OSC 52). Terminals don't say
    /// whether they did.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn copy(text: &str) -> io::Result<()> {
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        let mut out = io::stdout().lock();
        write!(out, "\x1b]52;c;{text}\x07")?;
        out.flush()
    }

    /// Gives the terminal to the shell and stops this process until it is continued; then takes
    /// the terminal again. Where there is nobody to continue it, nothing happens.
    ///
    /// # Errors
    /// When the terminal is gone.
    #[cfg(unix)]
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        stop()?;
        self.retake()
    }

    /// Gives the terminal to another program, until [`Terminal::retake`].
    #[expect(
        clippy::unused_self,
        reason = "only whoever has the terminal can give it"
    )]
    pub(super) fn give(&mut self) {
        give_back();
    }

    /// Takes the terminal again after somebody else may have changed it.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn retake(&mut self) -> io::Result<()> {
        take()?;
        self.clear()
    }

    /// There is no job control here: nothing happens.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stops the whole job, as Ctrl-z does in any other program, until it is continued. Where there is
/// nobody to continue it, nothing happens.
///
/// # Errors
/// When the system does not let us.
#[cfg(unix)]
pub(super) fn stop() -> io::Result<()> {
    use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
    // A shell that looks after jobs puts each into a group of its own. The session's first group is
    // that of a program that a terminal was opened for.
    if getpgrp() == getsid(None)? {
        return Ok(());
    }
    // The signal for this (TSTP) is caught, so that one from elsewhere finds the terminal in order.
    Ok(kill_current_process_group(Signal::STOP)?)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableMouseCapture,
        EnableBracketedPaste,
        Print(KEEP_ORDER)
    )
    .inspect_err(|_| give_back())
}

/// Gives the terminal back, if it is ours. For the panic hook, which has no [`Terminal`] at hand.
pub(super) fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Each step is tried whatever became of the one before; a terminal that is gone needs none.
        let _ = execute!(
            io::stdout(),
            Print(MAY_REORDER),
            DisableBracketedPaste,
            DisableMouseCapture,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

/// Makes a panic of this thread, which draws, give the terminal back before it says anything. A
/// panic of another thread ends a task and not the program: the terminal stays the console's, and
/// the log is told.
pub(super) fn restore_on_panic() {
    let draws = std::thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == draws || !TAKEN.load(Ordering::SeqCst) {
            give_back();
            before(panic);
        } else {
            tracing::error!("a task of the console panicked: {panic}");
        }
    }));
}
