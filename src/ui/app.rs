//! The console's state: which screen, what lies over it, and which part takes a message.
//!
//! What a screen holds and does is with the screen; this file only routes.

mod breaks;
mod buckets;
mod draw;
mod edits;
mod expiry;
mod input;
mod news;
mod pointer;
mod session;
mod snapshot;
mod status;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ratatui::Frame;

pub use self::edits::LastWrite;
pub use self::status::Freshness;
use super::canvas::{Notes, Pane};
use super::command::{Command, Scope};
use super::context::{Context, Ids, Notice};
use super::feeds::Feeds;
use super::keymap::Keymap;
use super::message::{Connected, Effect, Message, Millis, Reply, RequestId, Target};
use super::overlays::Overlay;
use super::overlays::breaking::Deed;
use super::screens::activity::Activity;
use super::screens::browse::{Browse, Looks};
use super::screens::connect::Connect;
use super::screens::locks::{Locks, Which};
use super::screens::server::Server;
use super::store_clock::StoreClock;
use super::theme::Theme;
use super::worker::Drafts;
use crate::config::Config;
use crate::kv::BucketName;
use crate::kv::backend::Connection;

/// A screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// Buckets, keys and values.
    Browse,
    /// Who holds and who waits.
    Locks,
    /// The feed of changes.
    Activity,
    /// Where we are connected.
    Server,
    /// Choosing a place. It has no name in the header: it is where one is without a place.
    Connect,
}

impl Screen {
    /// The screen of that name, as a user writes it.
    pub fn named(name: &str) -> Option<Self> {
        let mut named = Self::NAMED.into_iter();
        let found = named.find(|(.., title)| title.eq_ignore_ascii_case(name));
        found.map(|(screen, ..)| screen)
    }

    /// The screens with a digit, in their order. The digits are fixed, so that hands keep them.
    pub const NAMED: [(Self, char, &'static str); 4] = [
        (Self::Browse, '1', "Browse"),
        (Self::Locks, '2', "Locks"),
        (Self::Activity, '3', "Activity"),
        (Self::Server, '4', "Server"),
    ];
}

/// How the console starts.
#[derive(Debug)]
pub struct Settings {
    /// What the command line named, in words.
    pub given: String,
    /// What is to be said of a context, by its name.
    pub contexts: BTreeMap<String, String>,
    /// The bucket to open first.
    pub bucket: Option<String>,
    /// The key to select in it.
    pub key: Option<String>,
    /// The colours.
    pub theme: Theme,
    /// The keys.
    pub keymap: Keymap,
    /// The screen to begin on.
    pub screen: Screen,
    /// How keys are shown at first.
    pub looks: Looks,
    /// Whether to show a newcomer round.
    pub tour: bool,
    /// Where unsaved text is kept.
    pub drafts: Drafts,
    /// What the user set: it may name schemas.
    pub config: Config,
}

/// The console.
#[derive(Debug)]
pub struct App {
    given: String,
    theme: Theme,
    keymap: Keymap,
    now: Millis,
    place: Option<Connected>,
    connection: Connection,
    round_trip: Option<Duration>,
    /// What the time is where the store is.
    clock: StoreClock,
    /// The ping that is under way, and when the next one is due.
    ping: Option<RequestId>,
    next_ping: Option<Millis>,
    /// When the buckets are listed again.
    next_list: Option<Millis>,
    screen: Screen,
    /// The screen to begin on, until there was one.
    first_screen: Option<Screen>,
    /// Whether a newcomer is to be shown round on arriving.
    tour: bool,
    browse: Browse,
    locks: Locks,
    activity: Activity,
    server: Server,
    connect: Connect,
    feeds: Feeds,
    overlays: Vec<Overlay>,
    /// What is being broken, whether or not its dialog is still open.
    deeds: Vec<Deed>,
    /// The snapshot that is being written.
    snapshot: Option<RequestId>,
    /// Our own last write, to be undone.
    last_write: LastWrite,
    /// Since when the picture is held still.
    paused: Option<Millis>,
    notice: Option<Notice>,
    /// What was run from the palette.
    history: VecDeque<String>,
    /// Which line between panes is being dragged.
    dragging: Option<u8>,
    notes: Notes,
    ids: Ids,
    effects: Vec<Effect>,
    dirty: bool,
}

/// Everything that a part of the console needs to handle a message, without the rest of the
/// console being borrowed.
macro_rules! context {
    ($app:ident) => {
        Context::new($app.now, &mut $app.ids, &mut $app.effects, &mut $app.notice)
    };
}
use context;

impl App {
    /// How often the round trip of a distant place is measured.
    const PING_EVERY: Millis = 5_000;
    /// How soon after a change the buckets are listed again, for their counts.
    const LIST_AFTER: Millis = 5_000;
    /// How often a distant place is asked for buckets that others made or deleted.
    const LIST_EVERY: Millis = 30_000;
    /// How many lines of the palette are remembered.
    const HISTORY: usize = 100;

    /// The console, and what it asks for first.
    pub fn new(settings: Settings, now: Millis) -> (Self, Vec<Effect>) {
        let mut app = Self {
            given: settings.given,
            theme: settings.theme,
            keymap: settings.keymap,
            now,
            place: None,
            connection: Connection::Connected,
            round_trip: None,
            clock: StoreClock::default(),
            ping: None,
            next_ping: None,
            next_list: None,
            screen: Screen::Connect,
            first_screen: Some(settings.screen),
            tour: settings.tour,
            browse: Browse::new(settings.bucket, settings.key, settings.looks),
            locks: Locks::default(),
            activity: Activity::default(),
            server: Server::default(),
            connect: Connect::new(settings.contexts),
            feeds: Feeds::default(),
            overlays: Vec::new(),
            deeds: Vec::new(),
            snapshot: None,
            last_write: LastWrite::None,
            paused: None,
            notice: None,
            history: VecDeque::new(),
            dragging: None,
            notes: Notes::default(),
            ids: Ids::default(),
            effects: Vec::new(),
            dirty: true,
        };
        let mut ctx = context!(app);
        app.connect.ask(&mut ctx);
        app.connect.go(Target::Given, &mut ctx);
        let effects = std::mem::take(&mut app.effects);
        (app, effects)
    }

    /// Handles a message. Does no IO: what is to be done is returned.
    pub fn update(&mut self, message: Message, now: Millis) -> Vec<Effect> {
        self.now = now;
        self.dirty = true;
        match message {
            Message::Input(event) => self.input(event),
            Message::Reply(id, reply) => self.reply(id, reply),
            Message::Watch(id, batch) => self.watched(id, &batch),
            Message::WatchFailed(id, error) => self.watch_failed(id, &error),
            Message::Sifted(id, sifted) => {
                let mut ctx = context!(self);
                self.browse.sifted(id, &sifted, &mut ctx);
            }
            Message::SiftingEnded(id, reason) => {
                let mut ctx = context!(self);
                self.browse.sifting_ended(id, reason, &mut ctx);
            }
            Message::Locks(report) => {
                if let Some(Overlay::Breaking(dialog)) = self.overlays.last_mut() {
                    dialog.seen(&report.report.locks);
                }
                let is_in_sight = self.screen == Screen::Locks;
                let mut ctx = context!(self);
                self.locks.take(report, is_in_sight, &mut ctx);
            }
            Message::Connection(connection) => self.connection(connection),
            Message::Deadline => self.deadline_came(),
            Message::Stop => self.effects.push(Effect::Suspend),
            Message::Resumed => self.effects.push(Effect::Redraw),
            Message::Terminate => self.quit(),
        }
        if self.screen == Screen::Activity {
            let mut ctx = context!(self);
            self.activity.look(&mut ctx);
        }
        std::mem::take(&mut self.effects)
    }

    /// Draws the console as it is. Changes nothing.
    pub fn draw(&self, frame: &mut Frame<'_>, now: Millis) -> Notes {
        draw::draw(self, frame, now)
    }

    /// Takes what a frame left behind.
    pub fn drawn(&mut self, notes: Notes) {
        // Another size can bring the selection out of sight: then one more frame is due.
        self.dirty = notes.sizes != self.notes.sizes;
        if self.dirty {
            self.fit(&notes);
        }
        self.notes = notes;
    }

    /// Whether something changed since the last frame.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether what watches bring is to be taken now. While the picture is held still it waits.
    pub fn takes_watches(&self) -> bool {
        self.paused.is_none()
    }

    /// When to send [`Message::Deadline`], if nothing else happens before.
    pub fn deadline(&self) -> Option<Millis> {
        let notice = self.notice.as_ref().map(|notice| notice.until);
        let runs = self.paused.is_none();
        let expiry = self.next_expiry().filter(|_| runs);
        let value = self.browse.deadline().filter(|_| runs);
        let list = self.next_list.filter(|_| runs);
        let locks = self.locks.deadline().filter(|_| runs);
        let timers = [
            self.notes.changes_at,
            self.next_ping,
            list,
            notice,
            expiry,
            value,
            locks,
            self.edits_deadline(),
        ];
        timers.into_iter().flatten().min()
    }

    fn fit(&mut self, notes: &Notes) {
        let height = |pane| notes.size_of(pane).map(|(rows, _)| rows);
        let value = notes.size_of(Pane::Entry);
        self.browse
            .fit(height(Pane::Buckets), height(Pane::Keys), value);
        self.locks.fit(height(Pane::Locks), height(Pane::Queue));
        if let Some(rows) = height(Pane::Activity) {
            self.activity.viewport.height = rows;
            self.activity.step(super::viewport::Step::By(0));
        }
        if let Some(rows) = height(Pane::Server) {
            self.server.viewport.height = rows;
        }
        if let Some(rows) = height(Pane::Connect) {
            self.connect.viewport.height = rows;
            self.connect.step(super::viewport::Step::By(0));
        }
        if let (Some((rows, columns)), Some(Overlay::Help(help))) =
            (notes.size_of(Pane::Overlay), self.overlays.last_mut())
        {
            help.viewport.height = rows;
            help.width = columns;
        }
        self.edit_fit(notes);
    }

    fn reply(&mut self, id: RequestId, reply: Reply) {
        let mut ctx = context!(self);
        match reply {
            Reply::Places(places) => self.connect.answer(id, places),
            Reply::Connected(answer) => {
                if self.connect.awaits(id) {
                    self.arrived(answer);
                }
            }
            Reply::Buckets(answer) => {
                if self.browse.listed(id, answer, &mut ctx) {
                    self.follow_buckets();
                    self.ask_clock();
                    self.next_list = self.is_far().then_some(self.now + Self::LIST_EVERY);
                }
            }
            Reply::Entry(answer) => self.browse.read(id, answer, &mut ctx),
            Reply::Clock(answer) => {
                self.clock.answer(id, answer.ok().flatten(), self.now);
                self.expire();
            }
            Reply::Overview(answer) => self.server.answer(id, answer),
            Reply::Findings(answer) => self.server.examined(id, answer),
            Reply::Timeline(answer) => self.locks.read_past(id, answer),
            Reply::Sight(_) | Reply::Killed(_) | Reply::Broken(_) | Reply::Reset(_) => {
                self.breaking_went_on(id, reply);
            }
            Reply::Snapshot(answer) => self.snapshot_taken(id, answer),
            Reply::Bucket(answer) => self.bucket_task_ended(id, answer),
            Reply::ReadOnly(on, capabilities) => self.read_only_set(on, capabilities),
            Reply::Edit(told) => self.told(id, *told),
            Reply::Ping(answer) => {
                if self.ping == Some(id) {
                    self.ping = None;
                    self.round_trip = answer.ok();
                    self.arm_ping();
                }
            }
        }
    }

    /// What was asked for is to be seen: the picture is held still no longer.
    fn end_pause(&mut self) {
        if self.paused.take().is_some() {
            context!(self).tell("the pause is over: what is new is shown again");
        }
    }

    /// Where keys are looked up, the innermost scope first.
    fn scopes(&self) -> Vec<Scope> {
        let inner = match self.screen {
            Screen::Browse => self.browse.scope(),
            Screen::Locks => Scope::Locks,
            Screen::Activity => Scope::Activity,
            Screen::Server => return vec![Scope::Rows, Scope::Global],
            Screen::Connect => Scope::Connect,
        };
        vec![inner, Scope::Rows, Scope::Global]
    }

    /// Opens a bucket, as if it had been chosen in the list.
    fn open_bucket(&mut self, bucket: &BucketName) {
        self.end_pause();
        let mut ctx = context!(self);
        self.browse.show_all(&mut ctx);
        self.browse.open(bucket, self.now);
        self.feeds.open(bucket, &mut ctx);
    }

    fn go_to(&mut self, screen: Screen) {
        if self.place.is_none() {
            return;
        }
        self.screen = screen;
        let mut ctx = context!(self);
        match screen {
            Screen::Server => self.server.ask(&mut ctx),
            Screen::Connect => self.connect.ask(&mut ctx),
            Screen::Locks => self.locks.look(&mut ctx),
            Screen::Browse | Screen::Activity => {}
        }
    }

    /// Until when ages of locks go on: not past the moment from which the picture is held still or
    /// may be out of date.
    fn locks_as_of(&self, now: Millis) -> Millis {
        let since = match self.freshness() {
            Freshness::Paused { since }
            | Freshness::Reconnecting { since, .. }
            | Freshness::Snapshot { taken: since } => since,
            _ => now,
        };
        since.min(now)
    }

    fn remember(&mut self, line: String) {
        self.history.retain(|before| *before != line);
        self.history.push_back(line);
        if self.history.len() > Self::HISTORY {
            self.history.pop_front();
        }
    }

    /// The words that can stand behind some commands.
    fn words(&self) -> Vec<(Command, Vec<String>)> {
        let buckets = self.browse.bucket_names();
        let buckets: Vec<String> = buckets.iter().map(ToString::to_string).collect();
        let takes_one = [
            Command::Bucket,
            Command::EditBucket,
            Command::AboutBucket,
            Command::Compact,
            Command::DeleteBucket,
        ];
        let with_buckets = takes_one.map(|command| (command, buckets.clone()));
        let others = vec![
            (Command::Context, self.connect.context_names()),
            (Command::Set, Self::settable()),
            (Command::Theme, Theme::BUILT_IN.map(str::to_owned).to_vec()),
            (
                Command::Locks,
                Which::NAMED.map(|(name, _)| name.to_owned()).to_vec(),
            ),
            (Command::Session, self.locks.sessions()),
        ];
        with_buckets.into_iter().chain(others).collect()
    }
}
