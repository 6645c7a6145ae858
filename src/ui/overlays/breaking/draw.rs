//! What the dialog looks like at each stage.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::words::{claim_title, state, title};
use super::{Breaking, Refusal, Stage};
use crate::kv::lock::breaking::Pulse;
use crate::kv::lock::observer::{Content, Party, Standing};
use crate::kv::lock::record::{Mode, State};
use crate::kv::lock::shizuku::{Shizuku, ShizukuMode};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::message::{BreakSight, Millis};
use crate::ui::shown;
use crate::ui::text::figures::span;
use crate::ui::theme::Role;
use crate::ui::widgets::{input_line, wrapped};

impl Breaking {
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
            (Stage::Asking(sight), None) if self.has_changed(&sight.sight) => {
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
                    "Taking it out …".to_owned()
                } else {
                    canvas.changes_at(
                        canvas.now + Millis::try_from((left - 1) % 1000 + 1).unwrap_or(1),
                    );
                    let left = span(Duration::from_secs(left.div_ceil(1000)));
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
        if let Some(refusal) = self.refusal {
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
            let words = match refusal {
                Refusal::ReadOnly => format!(
                    "This place is open read-only: nothing can be written from here. Open it without --read-only, or run: {command}"
                ),
                Refusal::Snapshot { taken } => format!(
                    "This is a snapshot, taken at {}: nothing in it can be changed, and nobody in it holds anything. Look at the place itself, and there run: {command}",
                    shown::date(taken)
                ),
            };
            lines.push((words, Role::Warning));
        }
        lines
    }

    fn about_party(
        &self,
        party: &Party,
        lines: &mut Vec<(String, Role)>,
        canvas: &mut Canvas<'_, '_>,
    ) {
        let mut gone_on = Duration::from_millis(u64::try_from(canvas.now - self.at).unwrap_or(0));
        if let Some(Refusal::Snapshot { .. }) = self.refusal {
            gone_on = Duration::ZERO;
        } else {
            canvas.changes_in(Duration::from_secs(1));
        }
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
            (_, Standing::Live) if matches!(self.refusal, Some(Refusal::Snapshot { .. })) => {
                ("it was alive".to_owned(), Role::Text)
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
        let was_shown = self.lock.record();
        if !was_shown.is_some_and(|record| seen.is_as_shown(record)) {
            lines.push((
                format!(
                    "It changed from revision {} to {} since it was on the screen. Now: {}",
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
            let overlap = match sight.overlap {
                None => {
                    "It can't be killed: TWO MAY HOLD for as long as its process lives.".to_owned()
                }
                Some(Duration::ZERO) => "Its guards have run out.".to_owned(),
                Some(overlap) => format!("TWO MAY HOLD for up to {}.", span(overlap)),
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
        let Some(now) = self.moved(seen) else {
            return;
        };
        let state = now.record().map_or_else(String::new, state);
        lines.push(if self.has_changed(seen) {
            let words = format!(
                "It has CHANGED since, at revision {}: {state}.",
                now.revision
            );
            (words, Role::Danger)
        } else {
            let words = format!(
                "It is at revision {} by now; this claim and who is next are as shown.",
                now.revision
            );
            (words, Role::Muted)
        });
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
