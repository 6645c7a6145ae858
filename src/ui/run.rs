//! The loop: messages in, frames out.
//!
//! Keys come first, so that a busy watch never starves them, and the frame that answers a key does
//! not wait. Any other is drawn when something changed, at most sixty times a second; without a
//! change and without an armed deadline the program sleeps.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossterm::event::Event;
use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;

use super::app::{App, Settings};
use super::edits::Told;
use super::input::Input;
use super::message::{Effect, Message, Millis, Reply, RequestId};
use super::outside::Handout;
use super::shown;
use super::terminal::{Terminal, restore_on_panic};
use super::value::Masks;
use super::worker::{Connector, Deliveries, Delivery, Worker};

/// The least time between two frames.
const FRAME: Duration = Duration::from_micros(16_666);
/// The same before a frame that answers a key: what is typed is seen at once, and what is pasted
/// as keys is not drawn letter by letter.
const ANSWER: Duration = Duration::from_millis(4);

/// How far the engine's threads stand back, as `nice` counts.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 5;

/// Runs the console until the user leaves it, or the terminal or a signal ends it. `masks` says
/// which parts of values are secret.
///
/// The loop has this thread to itself, with a clock of its own, and all that it asks for is done by
/// another, and by threads for what blocks, that on Linux stand back behind it where there are not
/// enough processors for all. A large bucket that loads keeps those busy, and keys are answered
/// meanwhile.
///
/// # Errors
/// When standard output is no terminal, or is gone; when there can be no more threads.
///
/// # Panics
/// Inside a runtime of a single thread, which would stand still.
pub fn run(connector: Arc<dyn Connector>, settings: Settings, masks: Masks) -> io::Result<()> {
    let engine = Builder::new_multi_thread()
        // Whoever reads a connection and whoever takes its messages take turns on it. Side by side,
        // the one who reads gets ahead, and what it has read waits, as large as the bucket itself.
        .worker_threads(1)
        .enable_all()
        .thread_name("engine")
        .on_thread_start(stand_back())
        .build()?;
    let there = engine.handle().clone();
    let result = tokio::task::block_in_place(|| {
        let own = Builder::new_current_thread().enable_all().build()?;
        own.block_on(run_here(there, connector, settings, masks))
    });
    // What hangs (a file on a disk that does not answer) keeps nobody from leaving.
    engine.shutdown_background();
    result
}

/// What gives a thread a lower priority than this one has. Without it the console works all the same.
/// Elsewhere than on Linux the priority is that of the whole program.
fn stand_back() -> impl Fn() + Send + Sync + 'static {
    #[cfg(target_os = "linux")]
    {
        // Not relative to the thread's own, which is that of whoever began it.
        let behind = rustix::process::getpriority_process(None).map(|own| own + BEHIND);
        move || {
            let _ = behind.and_then(|it| rustix::process::setpriority_process(None, it));
        }
    }
    #[cfg(not(target_os = "linux"))]
    || {}
}

async fn run_here(
    engine: Handle,
    connector: Arc<dyn Connector>,
    settings: Settings,
    masks: Masks,
) -> io::Result<()> {
    restore_on_panic();
    let terminal = Terminal::take()?;
    let (mut worker, mut deliveries) = Worker::new(connector, masks);
    worker.keep_drafts(settings.drafts.clone());
    worker.take_schemas(settings.config.clone());
    let (app, effects) = App::new(settings, now());
    let mut console = Console {
        app,
        worker,
        engine,
        terminal,
        last_frame: None,
        is_asked: false,
        outside: None,
        is_over: false,
    };
    console.perform(effects)?;
    let result = console.run(&mut deliveries).await;
    if result.is_err() && !console.is_over {
        // The terminal is gone, and nothing more can be done there. Unsaved text is kept all the
        // same.
        let _ = console.take(Message::Terminate);
    }
    let Console {
        mut app,
        worker,
        terminal,
        ..
    } = console;
    // The terminal first: what is left to end may take a moment.
    drop(terminal);
    worker.shut_down().await;
    // What became of unsaved text is among what was told last.
    while let Ok(delivery) = deliveries.replies.try_recv() {
        if let Delivery::Message(message @ Message::Reply(..)) = delivery {
            app.update(message, now());
        }
    }
    for line in app.farewell() {
        // Where the terminal is gone, there is nobody to tell.
        let _ = writeln!(io::stderr(), "kvscope: {}", shown::plain(&line));
    }
    result
}

/// The time in milliseconds since 1970.
fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

struct Console {
    app: App,
    worker: Worker,
    /// Where the worker's tasks run.
    engine: Handle,
    terminal: Terminal,
    last_frame: Option<Instant>,
    /// Whether a key was pressed since the last frame.
    is_asked: bool,
    /// A text that the user's own editor is to have.
    outside: Option<(RequestId, Handout)>,
    is_over: bool,
}

impl Console {
    async fn run(&mut self, deliveries: &mut Deliveries) -> io::Result<()> {
        let mut input = Input::new();
        let mut signals = Signals::new()?;
        while !self.is_over {
            if let Some((id, handout)) = self.outside.take() {
                input.let_go();
                let (answer, is_ended) = self.hand_over(handout, &mut signals).await;
                let told = Box::new(Told::Outside(answer));
                self.take(Message::Reply(id, Reply::Edit(told)))?;
                if is_ended {
                    self.take(Message::Terminate)?;
                    continue;
                }
                signals.forget_typed()?;
                self.terminal.retake()?;
            }
            self.draw_if_due()?;
            let wake = self.next_wake();
            tokio::select! {
                biased;
                event = input.next() => match event {
                    Ok(event) => self.take(Message::Input(event))?,
                    // The terminal is gone, and with it whoever looked at it.
                    Err(_) => self.take(Message::Terminate)?,
                },
                message = signals.next() => self.take(message)?,
                Some(delivery) = deliveries.replies.recv() => {
                    let message = match delivery {
                        Delivery::Message(message) => message,
                        Delivery::Session(id, session) => {
                            let _there = self.engine.enter();
                            self.worker.adopt(id, session)
                        }
                    };
                    self.take(message)?;
                }
                // Twenty a second at the most: they starve nobody.
                report = deliveries.locks.next(), if self.app.takes_watches() => {
                    self.take(report)?;
                }
                Some(batch) = deliveries.watches.recv(), if self.app.takes_watches() => {
                    self.take(batch)?;
                }
                () = sleep_until(wake) => {
                    if !self.app.is_dirty() {
                        self.take(Message::Deadline)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> io::Result<()> {
        #[cfg(feature = "testing")]
        panic_where_asked(&message, &self.engine);
        self.is_asked |= matches!(message, Message::Input(Event::Key(_)));
        let effects = self.app.update(message, now());
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> io::Result<()> {
        let _there = self.engine.enter();
        for effect in effects {
            match effect {
                Effect::Quit => self.is_over = true,
                Effect::Suspend => self.terminal.suspend()?,
                Effect::Redraw => self.terminal.retake()?,
                Effect::Copy(text) => Terminal::copy(&text)?,
                Effect::Outside(id, handout) => self.outside = Some((id, handout)),
                effect => self.worker.run(effect),
            }
        }
        Ok(())
    }

    /// Lets the user's own editor have a text, and the terminal as long as it runs. Says whether it
    /// was ended because this program is to end: then what it had saved is the answer.
    async fn hand_over(
        &mut self,
        handout: Handout,
        signals: &mut Signals,
    ) -> (Result<String, String>, bool) {
        self.terminal.give();
        let mut is_ended = false;
        let ended = async {
            signals.ended_beside_another().await;
            is_ended = true;
        };
        let answer = handout.edit(ended).await;
        (answer, is_ended)
    }

    fn draw_if_due(&mut self) -> io::Result<()> {
        let pause = self.pause();
        let is_due = self.last_frame.is_none_or(|last| last.elapsed() >= pause);
        if !self.app.is_dirty() || !is_due {
            return Ok(());
        }
        let app = &self.app;
        let mut notes = None;
        self.terminal
            .draw(|frame| notes = Some(app.draw(frame, now())))?;
        self.last_frame = Some(Instant::now());
        self.is_asked = false;
        if let Some(notes) = notes {
            self.app.drawn(notes);
        }
        Ok(())
    }

    /// The least time between the last frame and the next.
    fn pause(&self) -> Duration {
        if self.is_asked { ANSWER } else { FRAME }
    }

    /// When to wake up if nothing happens: for the next frame, or for the app's deadline.
    fn next_wake(&self) -> Option<Instant> {
        if self.app.is_dirty() {
            return Some(
                self.last_frame
                    .map_or_else(Instant::now, |last| last + self.pause()),
            );
        }
        let wait = self.app.deadline()?.saturating_sub(now()).max(0);
        // Not before the millisecond is full, or the deadline would find nothing due.
        Some(Instant::now() + Duration::from_millis(wait.unsigned_abs() + 1))
    }
}

/// Panics on F12, and in a task on F11, where `KVSCOPE_TEST_PANIC` is set: a test of the terminal
/// needs a fault.
#[cfg(feature = "testing")]
fn panic_where_asked(message: &Message, engine: &Handle) {
    use crossterm::event::KeyCode;

    let Message::Input(Event::Key(key)) = message else {
        return;
    };
    let code = key.code;
    if std::env::var_os("KVSCOPE_TEST_PANIC").is_none() {
        return;
    }
    if code == KeyCode::F(11) {
        let task = async move { assert_ne!(code, KeyCode::F(11), "a panic was asked for") };
        drop(engine.spawn(task));
    }
    assert_ne!(code, KeyCode::F(12), "a panic was asked for");
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The signals that concern a console.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    stop: tokio::signal::unix::Signal,
    proceed: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use rustix::process::Signal;
        use tokio::signal::unix::{SignalKind, signal};
        let raw = |raw: Signal| signal(SignalKind::from_raw(raw.as_raw()));
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            stop: raw(Signal::TSTP)?,
            proceed: raw(Signal::CONT)?,
        })
    }

    async fn next(&mut self) -> Message {
        tokio::select! {
            _ = self.terminate.recv() => Message::Terminate,
            _ = self.hang_up.recv() => Message::Terminate,
            _ = self.interrupt.recv() => Message::Terminate,
            _ = self.quit.recv() => Message::Terminate,
            _ = self.stop.recv() => Message::Stop,
            _ = self.proceed.recv() => Message::Resumed,
        }
    }

    /// Waits until this program is told to end, while another has the terminal. What is typed there
    /// to interrupt is for the other; what stops it stops the whole job.
    async fn ended_beside_another(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => return,
                _ = self.stop.recv() => {
                    // Where this is not possible, this program just goes on waiting.
                    let _ = super::terminal::stop();
                }
            }
        }
    }

    /// Forgets signals that were typed for another program.
    fn forget_typed(&mut self) -> io::Result<()> {
        let Self {
            interrupt, quit, ..
        } = Self::new()?;
        (self.interrupt, self.quit) = (interrupt, quit);
        Ok(())
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Message {
        // Ctrl-C arrives as a key in raw mode; this is for the console being closed.
        match tokio::signal::ctrl_c().await {
            Ok(()) => Message::Terminate,
            Err(_) => std::future::pending().await,
        }
    }

    async fn ended_beside_another(&mut self) {
        std::future::pending().await
    }

    fn forget_typed(&mut self) -> io::Result<()> {
        Ok(())
    }
}
