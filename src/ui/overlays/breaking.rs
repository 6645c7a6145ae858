//! Breaking a lock: what is there, what it would do, and then how it goes.
//!
//! ```text
//! ┌ Break reader report@batch-1's hold on billing.ledger? ─────────────────┐
//! │ pid 4711 on batch-1 · held 11 m 3 s · last beat 2 s ago: it is ALIVE    │
//! │ Also frees: orders.shard-2 (read)                                       │
//! │ Next: writer deploy@web-3, after a quarantine of 17 s                   │
//! │ Acts on revision 9120.                                                  │
//! │ Enter break  f evict at once …  Esc leave                               │
//! └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! It acts on what it shows: the look that the worker took, on its revision. Where the lock is
//! another by then, nothing is done and the dialog shows it as it is now.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::text::Line;
use tui_input::Input;

use crate::kv::lock::breaking::{BreakError, Broken, Manner, Pulse, Reset};
use crate::kv::lock::observer::{Content, Lock, Party, Standing};
use crate::kv::lock::record::{Claim, Mode, Record, State};
use crate::kv::lock::shizuku::{Shizuku, ShizukuMode};
use crate::kv::{BucketName, Revision};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::context::Context;
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::message::{BreakSight, Effect, Millis, RequestId};
use crate::ui::shown;
use crate::ui::text::figures::span;
use crate::ui::theme::Role;
use crate::ui::widgets::{input_line, wrapped};

/// The dialog.
#[derive(Debug)]
pub struct Breaking {
    /// The lock as the screen had it when it was asked for.
    lock: Lock,
    /// Whose hold or wait is to be broken; nobody's of a `shizuku` lock.
    party: Option<Party>,
    /// The time of what the screen had: ages go on from there.
    at: Millis,
    /// Whether nothing can be written here.
    is_read_only: bool,
    /// The revision that the lock has by the latest report.
    current: Revision,
    stage: Stage,
    /// The resource's name, as it is being typed to evict at once or to reset a lock in use.
    typed: Option<Input>,
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// The worker looks.
    Looking(RequestId),
    /// It waits for the user.
    Asking(Arc<BreakSight>),
    /// A reset waits for the user; or nothing can be done, and only the reason is shown.
    AskingReset,
    Explaining,
    /// It is being done.
    Acting(RequestId),
    /// The session is dead, and its guards run out.
    Quarantine {
        id: RequestId,
        until: Millis,
    },
    /// It is over, or was not done, in words.
    Over {
        lines: Vec<String>,
        is_done: bool,
    },
}

/// What a key did to the dialog.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed. What was begun goes on.
    Closed,
    /// Something was begun, by this number.
    Begun(RequestId),
}

/// What a break is of, for those who tell of it.
#[derive(Debug, Clone)]
pub struct Deed {
    /// The request.
    pub id: RequestId,
    /// The bucket.
    pub bucket: BucketName,
    /// `reader report@batch-1 (s_8fk2) at billing.ledger`
    pub what: String,
}

impl Breaking {
    /// The dialog on one who holds or waits, or on the lock of a `shizuku` service. `None` where
    /// there is nothing to break.
    pub fn open(
        lock: &Lock,
        party: Option<&Party>,
        at: Millis,
        is_read_only: bool,
        ctx: &mut Context<'_>,
    ) -> Option<Self> {
        let mut dialog = Self {
            current: lock.revision,
            lock: lock.clone(),
            party: party.cloned(),
            at,
            is_read_only,
            stage: Stage::Explaining,
            typed: None,
        };
        match (&lock.content, party) {
            (Content::Shizuku(_), _) if !is_read_only => dialog.stage = Stage::AskingReset,
            (Content::Shizuku(_), _) => {}
            (Content::Record, Some(_)) if is_read_only => {}
            (Content::Record, Some(_)) => dialog.look(ctx),
            _ => return None,
        }
        Some(dialog)
    }

    fn look(&mut self, ctx: &mut Context<'_>) {
        let Some(party) = &self.party else {
            return;
        };
        let (bucket, resource) = (self.lock.bucket.clone(), self.lock.resource.clone());
        let session = party.session.clone();
        let id = ctx.request(|id| Effect::Sight(id, bucket, resource, session));
        self.stage = Stage::Looking(id);
        self.typed = None;
    }

    /// The latest report, as far as it concerns this lock.
    pub fn seen(&mut self, locks: &[Lock]) {
        let is_it = |lock: &&Lock| lock.key == self.lock.key && lock.bucket == self.lock.bucket;
        if let Some(lock) = locks.iter().find(is_it) {
            self.current = self.current.max(lock.revision);
        }
    }

    /// The worker looked.
    pub fn looked(&mut self, id: RequestId, answer: Result<Arc<BreakSight>, BreakError>) {
        if !matches!(self.stage, Stage::Looking(asked) if asked == id) {
            return;
        }
        self.stage = match answer {
            Ok(sight) => {
                self.current = self.current.max(sight.sight.revision());
                Stage::Asking(sight)
            }
            Err(error) => not_done(&error),
        };
    }

    /// The session is dead, or nothing was done.
    pub fn killed(
        &mut self,
        id: RequestId,
        answer: &Result<std::time::Duration, BreakError>,
        now: Millis,
    ) {
        if !self.awaits(id) {
            return;
        }
        self.stage = match answer {
            Ok(left) => {
                let left = Millis::try_from(left.as_millis()).unwrap_or(Millis::MAX / 2);
                let until = now + left;
                Stage::Quarantine { id, until }
            }
            Err(error) => not_done(error),
        };
    }

    /// It is over.
    pub fn broken(&mut self, id: RequestId, answer: &Result<Broken, BreakError>) {
        if self.awaits(id) {
            self.stage = match answer {
                Ok(broken) => Stage::Over {
                    lines: results(broken),
                    is_done: true,
                },
                Err(error) => Stage::Over {
                    lines: vec![left_over(error)],
                    is_done: false,
                },
            };
        }
    }

    /// A reset is over.
    pub fn reset(&mut self, id: RequestId, answer: &Result<Reset, BreakError>) {
        if self.awaits(id) {
            self.stage = match answer {
                Ok(reset) => Stage::Over {
                    lines: vec![reset_words(reset)],
                    is_done: true,
                },
                Err(error) => not_done(error),
            };
        }
    }

    fn awaits(&self, id: RequestId) -> bool {
        match self.stage {
            Stage::Acting(asked) | Stage::Quarantine { id: asked, .. } => asked == id,
            _ => false,
        }
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) -> Outcome {
        if let Some(input) = &mut self.typed {
            return match type_key(input, key) {
                Typed::Cancelled => {
                    self.typed = None;
                    Outcome::Open
                }
                Typed::Accepted if input.value() == self.lock.resource => self.act(true, ctx),
                _ => Outcome::Open,
            };
        }
        match (key.code, key.modifiers) {
            (KeyCode::Esc, _)
            | (KeyCode::Char('c'), KeyModifiers::CONTROL)
            | (KeyCode::Char('q'), KeyModifiers::NONE) => Outcome::Closed,
            (KeyCode::Enter, _) => self.enter(ctx),
            (KeyCode::Char('f'), KeyModifiers::NONE) => {
                if matches!(self.stage, Stage::Asking(_)) {
                    self.typed = Some(Input::default());
                }
                Outcome::Open
            }
            _ => Outcome::Open,
        }
    }

    /// Pastes into the line that is open.
    pub fn paste(&mut self, text: &str) {
        if let Some(input) = &mut self.typed {
            paste(input, text);
        }
    }

    fn enter(&mut self, ctx: &mut Context<'_>) -> Outcome {
        match &self.stage {
            Stage::Asking(sight) if self.current > sight.sight.revision() => self.look(ctx),
            Stage::Asking(_) => return self.act(false, ctx),
            // Somebody may be inside: as grave as evicting at once.
            Stage::AskingReset if !self.lock.verdict.is_fault() => {
                self.typed = Some(Input::default());
            }
            Stage::AskingReset => return self.act(false, ctx),
            Stage::Over { is_done: false, .. } if self.party.is_some() => self.look(ctx),
            Stage::Over { .. } | Stage::Explaining => return Outcome::Closed,
            Stage::Looking(_) | Stage::Acting(_) | Stage::Quarantine { .. } => {}
        }
        Outcome::Open
    }

    fn act(&mut self, is_forced: bool, ctx: &mut Context<'_>) -> Outcome {
        let id = match &self.stage {
            Stage::Asking(sight) => {
                let sight = Arc::clone(sight);
                let manner = if is_forced {
                    Manner::Forced
                } else {
                    Manner::Quarantined
                };
                ctx.request(|id| Effect::Break(id, sight, manner))
            }
            Stage::AskingReset => {
                let (bucket, key) = (self.lock.bucket.clone(), self.lock.key.clone());
                let revision = self.lock.revision;
                ctx.request(|id| Effect::Reset(id, bucket, key, revision))
            }
            _ => return Outcome::Open,
        };
        self.stage = Stage::Acting(id);
        self.typed = None;
        Outcome::Begun(id)
    }

    /// What is being done, by its request.
    pub fn deed(&self, id: RequestId) -> Deed {
        let resource = &self.lock.resource;
        let what = match &self.party {
            Some(party) => format!("{} ({}) at {resource}", title(party), party.session),
            None => format!("the shizuku lock {resource}"),
        };
        Deed {
            id,
            bucket: self.lock.bucket.clone(),
            what,
        }
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let width = screen.width.saturating_sub(4).min(96);
        let room = usize::from(width.saturating_sub(4));
        let mut lines: Vec<(String, Role)> = Vec::new();
        for (words, role) in self.words(canvas) {
            let words = shown::plain(&words);
            lines.extend(wrapped(&words, room).into_iter().map(|line| (line, role)));
        }
        let keys = self.keys();
        let extra = 1 + u16::from(self.typed.is_some());
        let height = u16::try_from(lines.len())
            .unwrap_or(u16::MAX)
            .saturating_add(extra + 2);
        let height = height.min(screen.height);
        let area = Rect {
            x: screen.x + (screen.width - width) / 2,
            y: screen.y + (screen.height - height) / 3,
            width,
            height,
        };
        canvas.clear(area);
        let title = shown::short(&self.title(), room);
        let title = Line::from(canvas.span(format!(" {title} "), Role::Title));
        let inner = canvas.pane(title, true, area);
        canvas.hit(area, Hit::Pane(Pane::Overlay));
        let text_rows = inner.height.saturating_sub(extra);
        if lines.len() > usize::from(text_rows) {
            // Nobody should decide on what is out of sight without knowing it.
            lines.truncate(usize::from(text_rows.saturating_sub(1)));
            let words = "… there is more: it needs a larger window".to_owned();
            lines.push((words, Role::Warning));
        }
        let rows = inner.rows().take(usize::from(text_rows));
        for ((line, role), place) in lines.into_iter().zip(rows) {
            canvas.line(Line::from(canvas.span(format!(" {line}"), role)), place);
        }
        let bottom = |up: u16| Rect {
            y: inner.bottom().saturating_sub(up).max(inner.y),
            height: inner.height.min(1),
            ..inner
        };
        if let Some(input) = &self.typed {
            input_line(canvas, " > ", input, bottom(2));
        }
        canvas.line(
            Line::from(canvas.span(format!(" {keys}"), Role::KeyHint)),
            bottom(1),
        );
    }

    fn title(&self) -> String {
        let resource = &self.lock.resource;
        match &self.party {
            Some(party) if party.fence.is_some() => {
                format!("Break {}'s hold on {resource}?", title(party))
            }
            Some(party) => format!("Break {}'s wait for {resource}?", title(party)),
            None => format!("Reset the shizuku lock {resource}?"),
        }
    }

    fn keys(&self) -> &'static str {
        match (&self.stage, &self.typed) {
            (_, Some(_)) => "Enter when it is typed · Esc back",
            (Stage::Asking(sight), None) if self.current > sight.sight.revision() => {
                "Enter look again · Esc leave"
            }
            (Stage::Asking(_), None) => "Enter break · f evict at once … · Esc leave",
            (Stage::AskingReset, None) if self.lock.verdict.is_fault() => "Enter reset · Esc leave",
            (Stage::AskingReset, None) => "Enter reset … · Esc leave",
            (Stage::Over { is_done: false, .. }, None) if self.party.is_some() => {
                "Enter look again · Esc leave"
            }
            (Stage::Acting(_) | Stage::Quarantine { .. }, None) => "Esc leave; it goes on",
            _ => "Esc leave",
        }
    }

    fn words(&self, canvas: &mut Canvas<'_, '_>) -> Vec<(String, Role)> {
        let mut lines = Vec::new();
        match &self.stage {
            Stage::Over {
                lines: over,
                is_done,
            } => {
                let role = if *is_done { Role::Good } else { Role::Danger };
                lines.extend(over.iter().map(|line| (line.clone(), role)));
                return lines;
            }
            Stage::Quarantine { until, .. } => {
                let left = u64::try_from(until - canvas.now).unwrap_or(0);
                let words = if left == 0 {
                    "Its session is dead. Taking it out …".to_owned()
                } else {
                    canvas.changes_at(
                        canvas.now + Millis::try_from((left - 1) % 1000 + 1).unwrap_or(1),
                    );
                    let left = span(std::time::Duration::from_secs(left.div_ceil(1000)));
                    format!(
                        "Its session is dead. {left} more until its guards have run out for certain; then it is taken out."
                    )
                };
                lines.push((words, Role::Warning));
                return lines;
            }
            Stage::Acting(_) => {
                lines.push(("Doing it …".to_owned(), Role::Warning));
                return lines;
            }
            Stage::Looking(_) | Stage::Asking(_) | Stage::AskingReset | Stage::Explaining => {}
        }
        match (&self.party, &self.lock.content) {
            (Some(party), _) => self.about_party(party, &mut lines, canvas),
            (None, Content::Shizuku(record)) => self.about_shizuku(*record, &mut lines),
            _ => {}
        }
        if self.is_read_only {
            let command = match &self.party {
                Some(party) => format!(
                    "kvscope lock break {} {} --session {}",
                    self.lock.bucket, self.lock.resource, party.session
                ),
                None => format!(
                    "kvscope lock break {} {} --reset",
                    self.lock.bucket, self.lock.resource
                ),
            };
            lines.push((
                format!(
                    "This place is open read-only: nothing can be written from here. Open it without --read-only, or run: {command}"
                ),
                Role::Warning,
            ));
        }
        lines
    }

    fn about_party(
        &self,
        party: &Party,
        lines: &mut Vec<(String, Role)>,
        canvas: &mut Canvas<'_, '_>,
    ) {
        let gone_on =
            std::time::Duration::from_millis(u64::try_from(canvas.now - self.at).unwrap_or(0));
        canvas.changes_in(std::time::Duration::from_secs(1));
        let place = match (party.pid, &party.host) {
            (Some(pid), Some(host)) => format!("pid {pid} on {host}"),
            _ => format!("session {}", party.session),
        };
        let does = if party.fence.is_some() {
            "holds"
        } else {
            "waits"
        };
        let lasted = span(party.lasted + gone_on);
        let pulse = match &self.stage {
            Stage::Asking(sight) => Some(&sight.pulse),
            _ => None,
        };
        let (how, role) = match (pulse, &party.standing) {
            (Some(Pulse::Dead(death)), _) => {
                (format!("it was killed, by {}", death.by), Role::Text)
            }
            (Some(Pulse::Gone), _) | (_, Standing::Gone) => {
                ("its process is gone".to_owned(), Role::Text)
            }
            (Some(Pulse::Missing), _) => ("its session has no record".to_owned(), Role::Text),
            (Some(Pulse::Unreadable(_)), _) => {
                ("its session can't be read".to_owned(), Role::Danger)
            }
            (_, Standing::Live) => ("it is ALIVE".to_owned(), Role::Danger),
            (_, Standing::Silent(_)) => (
                "it is SILENT: paused, cut off or dead".to_owned(),
                Role::Warning,
            ),
            (_, Standing::Killed { death, .. }) => {
                (format!("it was killed, by {}", death.by), Role::Text)
            }
            (_, Standing::Absent { .. } | Standing::Unknown) => {
                ("how it is, is not known".to_owned(), Role::Warning)
            }
        };
        let beat = match party.last_beat {
            // What was written last of one that was killed is the kill.
            Some(_) if matches!(party.standing, Standing::Killed { .. }) => String::new(),
            Some(beat) => format!("last beat {} ago when this was opened: ", span(beat.ago)),
            None => String::new(),
        };
        lines.push((format!("{place} · {does} for {lasted} · {beat}{how}"), role));
        let Stage::Asking(sight) = &self.stage else {
            if matches!(self.stage, Stage::Looking(_)) {
                lines.push(("Looking at what it would do …".to_owned(), Role::Muted));
            }
            return;
        };
        self.about_sight(sight, lines);
    }

    fn about_sight(&self, sight: &BreakSight, lines: &mut Vec<(String, Role)>) {
        let seen = &sight.sight;
        if seen.revision() != self.lock.revision {
            lines.push((
                format!(
                    "It moved from revision {} to {} since it was on the screen. Now: {}",
                    self.lock.revision,
                    seen.revision(),
                    state(seen.record())
                ),
                Role::Warning,
            ));
        }
        let also: Vec<String> = seen
            .elsewhere()
            .iter()
            .map(|other| {
                let holds = other.claims.iter().find(|claim| claim.state.is_held());
                match holds.map(|claim| claim.mode) {
                    Some(Mode::Read) => format!("{} (read)", other.resource),
                    Some(Mode::Write) => format!("{} (write)", other.resource),
                    None => format!("{} (waits)", other.resource),
                }
            })
            .collect();
        if !also.is_empty() {
            lines.push((format!("Also frees: {}", also.join(", ")), Role::Text));
        }
        let next = match sight.next.as_slice() {
            [] => "Next: nobody is let in by it".to_owned(),
            next => {
                let names: Vec<String> = next.iter().map(claim_title).collect();
                format!("Next: {}", names.join(", "))
            }
        };
        let after = if self.typed.is_some() {
            ", at once".to_owned()
        } else if sight.quarantine.is_zero() {
            ", at once: its guards have run out".to_owned()
        } else {
            format!(", after a quarantine of {}", span(sight.quarantine))
        };
        lines.push((format!("{next}{after}"), Role::Text));
        let fence = seen.claims().find_map(|claim| match claim.state {
            State::Held { fence } => Some(fence),
            State::Waiting => None,
        });
        if let Some(fence) = fence {
            lines.push((
                format!(
                    "If it writes after that without its fence ({fence}) being checked, nothing stops it."
                ),
                Role::Text,
            ));
        }
        if self.typed.is_some() {
            let overlap = if sight.overlap.is_zero() {
                "Its guards have run out.".to_owned()
            } else {
                format!("TWO MAY HOLD for up to {}.", span(sight.overlap))
            };
            lines.push((
                format!("Evicting at once, without a quarantine. {overlap} Type the resource's name, {}, to do it.", self.lock.resource),
                Role::Danger,
            ));
        }
        lines.push((
            format!("Acts on revision {}.", seen.revision()),
            Role::Muted,
        ));
        if self.current > seen.revision() {
            lines.push((
                format!("The lock has moved on to revision {}.", self.current),
                Role::Danger,
            ));
        }
    }

    fn about_shizuku(&self, record: Shizuku, lines: &mut Vec<(String, Role)>) {
        lines.push((self.lock.reason.clone(), Role::Text));
        let inside = match record.mode {
            ShizukuMode::Idle => "nobody inside".to_owned(),
            ShizukuMode::Read => format!("{} readers inside", record.readers),
            ShizukuMode::Write => "a writer inside".to_owned(),
        };
        let flag = if record.writer_waits {
            "set"
        } else {
            "not set"
        };
        lines.push((
            format!("Now: {inside}, writer_waiting {flag}. After: nobody inside, no flag."),
            Role::Text,
        ));
        lines.push((
            "Whoever is inside does not hear of it: the format knows nobody's name.".to_owned(),
            Role::Warning,
        ));
        if self.typed.is_some() {
            lines.push((
                format!("It is not at fault, and somebody may be inside. Type its name, {}, to reset it.", self.lock.resource),
                Role::Danger,
            ));
        }
        lines.push((
            format!("Acts on revision {}.", self.lock.revision),
            Role::Muted,
        ));
    }
}

/// Why nothing was done, and how the lock is now where that is known.
fn not_done(error: &BreakError) -> Stage {
    let mut lines = vec![error.to_string()];
    match error {
        BreakError::Moved {
            record: Some(record),
            ..
        }
        | BreakError::NoClaim { record, .. } => {
            lines.push(format!("Now: {}", state(record)));
        }
        _ => {}
    }
    Stage::Over {
        lines,
        is_done: false,
    }
}

/// Why a session that was killed is perhaps still in its locks.
pub fn left_over(error: &BreakError) -> String {
    match error {
        // Then it is not dead either.
        BreakError::Alive { .. } => error.to_string(),
        _ => format!(
            "its session was killed, but it may still stand in its locks: {error}. Who waits takes it out."
        ),
    }
}

/// What became of each lock, in words that are not fit for the screen as they are.
pub fn results(broken: &Broken) -> Vec<String> {
    let lines = broken.freed.iter().map(|freed| {
        let hand = if freed.by_others {
            " (let go, or taken out by another)"
        } else {
            ""
        };
        format!(
            "{} is free of it{hand}: {}",
            freed.resource,
            state(&freed.record)
        )
    });
    lines.collect()
}

/// What a reset did.
pub fn reset_words(reset: &Reset) -> String {
    format!(
        "reset: nobody inside, no flag; revision {} now",
        reset.revision
    )
}

/// Who holds a lock, and how many wait.
fn state(record: &Record) -> String {
    let holders: Vec<String> = record.holders().map(claim_title).collect();
    let waiting = record.claims().len() - holders.len();
    let held = if holders.is_empty() {
        "nobody holds it".to_owned()
    } else {
        format!("held by {}", holders.join(", "))
    };
    match waiting {
        0 => held,
        waiting => format!("{held}; {waiting} waiting"),
    }
}

fn role_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "reader",
        Mode::Write => "writer",
    }
}

fn title(party: &Party) -> String {
    format!("{} {}", role_name(party.mode), party.name())
}

fn claim_title(claim: &Claim) -> String {
    let name = if claim.label.is_empty() {
        &claim.session
    } else {
        &claim.label
    };
    format!("{} {name} ({})", role_name(claim.mode), claim.session)
}
