//! Two who look at all locks the whole time: the command line's JSON, and the console's Locks
//! screen. Each writes down every verdict it is given, and when.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kvscope::ui::app::Freshness;
use kvscope::ui::message::Message;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::Console;
use crate::worker::connect;

/// How long the command line rests between two looks.
const REST: Duration = Duration::from_millis(200);

/// Who saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Eye {
    Json,
    Screen,
}

/// The verdicts on one lock that one of them was given, each with the time.
pub(crate) type Sightings = Vec<(String, Instant)>;

/// Everything that was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    by: HashMap<(Eye, String), Sightings>,
    /// When each looked last.
    looked: HashMap<Eye, Instant>,
    /// When each found last that the store does not answer.
    unanswered: HashMap<Eye, Instant>,
}

impl Seen {
    /// What one saw of a lock, in its order.
    pub(crate) fn of(&self, eye: Eye, resource: &str) -> &[(String, Instant)] {
        let sightings = self.by.get(&(eye, resource.to_owned()));
        sightings.map_or(&[], Vec::as_slice)
    }

    /// When one looked last.
    pub(crate) fn looked(&self, eye: Eye) -> Option<Instant> {
        self.looked.get(&eye).copied()
    }

    /// When one found last that the store does not answer.
    pub(crate) fn unanswered(&self, eye: Eye) -> Option<Instant> {
        self.unanswered.get(&eye).copied()
    }

    /// The verdict of now.
    pub(crate) fn now(&self, eye: Eye, resource: &str) -> Option<&str> {
        let (verdict, _) = self.of(eye, resource).last()?;
        Some(verdict)
    }

    /// When a verdict was given first that is that of now or came after a time.
    pub(crate) fn when(
        &self,
        eye: Eye,
        resource: &str,
        verdict: &str,
        since: Instant,
    ) -> Option<Instant> {
        let sightings = self.of(eye, resource);
        let next = |place: usize| sightings.get(place + 1).map(|(_, at)| *at);
        let lasts = |place: usize| next(place).is_none_or(|until| until > since);
        let mut all = sightings.iter().enumerate();
        let found = all.find(|(place, (given, _))| given == verdict && lasts(*place));
        found.map(|(_, (_, at))| *at)
    }
}

/// The two, looking until they are dropped.
pub(crate) struct Eyes {
    seen: watch::Receiver<Seen>,
    looking: Vec<JoinHandle<()>>,
    is_over: Arc<Mutex<bool>>,
    screen: Option<std::thread::JoinHandle<()>>,
}

impl Eyes {
    pub(crate) fn open(place: &str) -> Self {
        let (notes, seen) = watch::channel(Seen::default());
        let notes = Arc::new(notes);
        let is_over = Arc::new(Mutex::new(false));
        let json = tokio::spawn(json(place.to_owned(), Arc::clone(&notes)));
        let screen = {
            let (place, is_over) = (place.to_owned(), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(screen(&place, &notes, &is_over));
            })
        };
        Self {
            seen,
            looking: vec![json],
            is_over,
            screen: Some(screen),
        }
    }

    /// What was seen, and is being seen.
    pub(crate) fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Closes them; what they saw.
    pub(crate) async fn close(mut self) -> Seen {
        self.looking.iter().for_each(JoinHandle::abort);
        *self.is_over.lock().unwrap() = true;
        let screen = self.screen.take().unwrap();
        let joined = tokio::task::spawn_blocking(move || screen.join()).await;
        joined.unwrap().unwrap();
        self.seen.borrow().clone()
    }
}

fn note(notes: &watch::Sender<Seen>, eye: Eye, verdicts: Vec<(String, String)>) {
    let at = Instant::now();
    notes.send_modify(|seen| {
        seen.looked.insert(eye, at);
        for (resource, verdict) in verdicts {
            let sightings = seen.by.entry((eye, resource)).or_default();
            if sightings.last().is_none_or(|(last, _)| *last != verdict) {
                sightings.push((verdict, at));
            }
        }
    });
}

fn note_silence(notes: &watch::Sender<Seen>, eye: Eye) {
    notes.send_modify(|seen| {
        seen.unanswered.insert(eye, Instant::now());
    });
}

/// `kvscope lock ls --json`, again and again.
async fn json(place: String, notes: Arc<watch::Sender<Seen>>) {
    let home = tempfile::tempdir().unwrap();
    loop {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_kvscope"));
        command.args(["lock", "ls", crate::worker::BUCKET, "--json"]);
        match place.strip_prefix("file:") {
            Some(path) => command.args(["--local", path]),
            None => command.args(["--server", &place, "--timeout", "2s"]),
        };
        command
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        // A server that is down has no answer.
        if output.status.success() {
            let text = String::from_utf8(output.stdout).unwrap();
            let verdicts = text.lines().map(|line| {
                let lock: serde_json::Value = serde_json::from_str(line).unwrap();
                let word = |name: &str| lock[name].as_str().unwrap().to_owned();
                assert!(!word("reason").is_empty(), "{line}");
                (word("resource"), word("verdict"))
            });
            note(&notes, Eye::Json, verdicts.collect());
        } else {
            note_silence(&notes, Eye::Json);
        }
        tokio::time::sleep(REST).await;
    }
}

/// The console on its Locks screen.
async fn screen(place: &str, notes: &watch::Sender<Seen>, is_over: &Mutex<bool>) {
    let backend = connect(place).await;
    let mut console = Console::on(backend, 200, 160);
    console.is_live().await;
    console.press("2");
    while !*is_over.lock().unwrap() {
        console.run_for(Duration::from_millis(20)).await;
        // What is out of date says so, and is no verdict of now.
        if !matches!(console.app.freshness(), Freshness::Live { .. }) {
            note_silence(notes, Eye::Screen);
            continue;
        }
        let rows = console.pane(" Locks ").into_iter().skip(1);
        let verdicts = rows.filter_map(|row| {
            let mut words = row.split_whitespace();
            let resource = words.next()?;
            Some((resource.to_owned(), words.next_back()?.to_owned()))
        });
        note(notes, Eye::Screen, verdicts.collect());
    }
}

impl Console {
    /// Takes what comes from the worker for so long, by the clock of this machine.
    async fn run_for(&mut self, time: Duration) {
        let end = tokio::time::sleep(time);
        tokio::pin!(end);
        loop {
            let message = tokio::select! {
                message = self.next() => Some(message),
                () = &mut end => None,
            };
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
            self.now = self.now.max(now);
            let is_over = message.is_none();
            let is_due = self.app.deadline().is_some_and(|at| at <= self.now);
            match message {
                Some(message) => self.tell(message),
                None if is_due => self.tell(Message::Deadline),
                None => {}
            }
            if is_over {
                self.draw();
                return;
            }
        }
    }
}
