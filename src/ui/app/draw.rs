//! The frame around the screens.
//!
//! ```text
//!  kvscope  prod-eu ▏nats://nats-1:4222     ● live 0.4 ms    READ-ONLY    1 Browse 3 Activity …
//!  the screen, and what lies over it
//!  Enter open  / filter  t tree/list  : command  ? help
//! ```

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{App, Screen};
use crate::ui::canvas::{Canvas, Hit, Notes};
use crate::ui::command::{COMMANDS, Command, Scope, Spec};
use crate::ui::message::Millis;
use crate::ui::overlays::Overlay;
use crate::ui::text::shown_width;
use crate::ui::theme::Role;
use crate::ui::{shown, text};

/// The scopes while help is open.
pub(super) const HELP_SCOPES: [Scope; 2] = [Scope::Rows, Scope::Global];

/// The least that something useful fits into.
const LEAST: (u16, u16) = (40, 10);

/// The columns from which on the header has room for most reasons; else they stand in the last line.
const ROOM_FOR_REASON: u16 = 140;
/// The columns of the header that a badge with a reason has at least: since when the picture is
/// stale fits.
const LEAST_BADGE: usize = 24;
/// So much of a place's address is kept where a badge could take its room.
const ADDRESS: usize = 24;

/// Draws the console.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, now: Millis) -> Notes {
    let area = frame.area();
    let mut canvas = Canvas {
        frame,
        theme: &app.theme,
        now,
        ahead: app.clock.ahead(),
        notes: Notes::default(),
    };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = format!("kvscope needs {}×{} cells", LEAST.0, LEAST.1);
        crate::ui::widgets::paragraph(&mut canvas, &words, Role::Warning, area);
        return canvas.notes;
    }
    let header_area = Rect { height: 1, ..area };
    let footer_area = Rect {
        y: area.bottom() - 1,
        height: 1,
        ..area
    };
    let body = Rect {
        y: area.y + 1,
        height: area.height - 2,
        ..area
    };
    canvas.notes.body = body;
    canvas.ground(area);
    header(app, &mut canvas, header_area);
    match app.screen {
        Screen::Browse => app.browse.draw(&mut canvas, body),
        Screen::Locks => app.locks.draw(&mut canvas, app.locks_as_of(now), body),
        Screen::Activity => {
            let watched = (app.feeds.len(), app.browse.watched_buckets().len());
            app.activity.draw(&mut canvas, watched, body);
        }
        Screen::Server => {
            let facts = app.connection_facts();
            app.server
                .draw(&mut canvas, &facts, app.browse.bucket_infos(), body);
        }
        Screen::Connect => app.connect.draw(&mut canvas, &app.given, body),
    }
    if app.freshness().is_stale() && app.screen != Screen::Connect {
        canvas.lay(Role::Stale, body);
    }
    footer(app, &mut canvas, footer_area);
    for overlay in &app.overlays {
        match overlay {
            Overlay::Help(help) => help.draw(&mut canvas, &app.keymap, body),
            Overlay::Palette(palette) => palette.draw(&mut canvas, body),
            Overlay::Prompt(prompt) => prompt.draw(&mut canvas, body),
            Overlay::Breaking(dialog) => dialog.draw(&mut canvas, body),
            Overlay::Tour(tour) => tour.draw(&mut canvas, body),
            Overlay::Bucket(dialog) => dialog.draw(&mut canvas, body),
            Overlay::History(history) => history.draw(&mut canvas, body),
            Overlay::Compared(compared) => compared.draw(&mut canvas, body),
            Overlay::Look(look) => look.draw(&mut canvas, body),
            Overlay::Editor(editor) => editor.draw(&mut canvas, body),
            Overlay::Review(review) => review.draw(&mut canvas, body),
            Overlay::Conflict(conflict) => conflict.draw(&mut canvas, body),
            Overlay::Removal(removal) => removal.draw(&mut canvas, body),
            Overlay::NewKey(new) => new.draw(&mut canvas, body),
            Overlay::Waiting(waiting) => waiting.draw(&mut canvas, body),
        }
    }
    canvas.notes
}

/// From the left: the program and the place. From the right: the screens, the mode, the badge.
/// The badge is never left out; the rest gives way to it.
fn header(app: &App, canvas: &mut Canvas<'_, '_>, area: Rect) {
    let width = usize::from(area.width);
    let freshness = app.freshness();
    let mut right = Vec::new();
    if let Some(words) = app.clock.words() {
        let words = if width < 100 { "clock!" } else { &words };
        right.push((canvas.span(format!("   {words}"), Role::Warning), None));
    }
    if app
        .place
        .as_ref()
        .is_some_and(|place| place.capabilities.read_only)
    {
        let mode = if width < 80 { "  RO" } else { "   READ-ONLY" };
        right.push((canvas.span(mode, Role::Warning), None));
    }
    for (screen, digit, name) in Screen::NAMED {
        // That some lock is at fault is told from everywhere.
        let is_at_fault = screen == Screen::Locks && app.locks.faults() > 0;
        let role = match (is_at_fault, app.screen == screen) {
            (true, _) => Role::Danger,
            (false, true) => Role::Title,
            (false, false) => Role::Muted,
        };
        let mark = if is_at_fault { "!" } else { "" };
        let words = match (width < 80, app.screen == screen) {
            (false, _) => format!("{digit} {name}{mark}"),
            (true, true) => format!("{digit}{mark}•"),
            (true, false) => format!("{digit}{mark}"),
        };
        let gap = match (width < 80, app.screen == screen) {
            (true, _) => " ",
            (false, true) => " ►",
            (false, false) => "  ",
        };
        right.push((Span::raw(gap), None));
        right.push((canvas.span(words, role), Some(screen)));
    }
    let rest_width: usize = right.iter().map(|(span, _)| span.width()).sum();
    let (label, address) = match &app.place {
        Some(place) => (place.label.as_str(), place.address.as_str()),
        None => (app.given.as_str(), ""),
    };
    let brand = app.place.as_ref().and_then(|place| place.brand.as_ref());
    let (mut left, chip) = match brand {
        // A name of the user's own comes first: where there is no room, the program's goes.
        Some(brand) => {
            let name = brand.label.as_deref().unwrap_or(label);
            (String::new(), format!(" {name} "))
        }
        None => (String::from(" kvscope"), String::new()),
    };
    if brand.is_none() && label != address {
        left = format!("{left}  {label}");
    }
    // A reason is told as far as it leaves room for the place; since when, whatever the room.
    let (badge, badge_role) = freshness.badge(width < 100);
    let place = text::width(&left) + text::width(&chip) + ADDRESS.min(text::width(address) + 3);
    let least = if freshness.reason().is_some() {
        LEAST_BADGE
    } else {
        text::width(&badge)
    };
    let most = width
        .saturating_sub(rest_width + place + 2)
        .max(least)
        .min(width.saturating_sub(12));
    let badge = shown::short(&badge, most);
    right.insert(0, (canvas.span(badge, badge_role), None));
    let right_width: usize = right.iter().map(|(span, _)| span.width()).sum();
    let room = width.saturating_sub(right_width + 2);
    let mut spans = vec![canvas.span(
        shown::fitted(&left, room.min(text::width(&left))),
        Role::Title,
    )];
    let mut rest = room.saturating_sub(text::width(&left));
    if let Some(brand) = brand {
        let style = app.theme.painted(brand.paint);
        let chip = shown::short(&chip, rest);
        rest = rest.saturating_sub(text::width(&chip));
        spans.push(Span::styled(chip, style));
    }
    if rest > 8 && !address.is_empty() {
        spans.push(canvas.span(shown::fitted(&format!(" ▏{address}"), rest), Role::Muted));
    } else {
        spans.push(Span::raw(" ".repeat(rest)));
    }
    let left_width: usize = spans.iter().map(Span::width).sum();
    let mut x = area.x + u16::try_from(left_width + 1).unwrap_or(0);
    canvas.line(Line::from(spans), area);
    for (span, screen) in right {
        let width = u16::try_from(span.width()).unwrap_or(0);
        let place = Rect { x, width, ..area }.intersection(area);
        canvas.line(Line::from(span), place);
        if let Some(screen) = screen {
            canvas.hit(place, Hit::Screen(screen));
        }
        x = x.saturating_add(width);
    }
}

/// A notice, while there is one; else the keys that work here, as many as fit.
fn footer(app: &App, canvas: &mut Canvas<'_, '_>, area: Rect) {
    if let Some(notice) = &app.notice {
        let (sign, role) = if notice.fault {
            ("▲ ", Role::Danger)
        } else {
            ("", Role::Text)
        };
        let words = format!("{sign}{}", notice.text);
        let words = shown::short(&words, usize::from(area.width.saturating_sub(1)));
        canvas.line(Line::from(canvas.span(format!(" {words}"), role)), area);
        return;
    }
    let scopes = match app.overlays.last() {
        Some(overlay) => overlay.scopes().map_or_else(Vec::new, <[Scope]>::to_vec),
        None => app.scopes(),
    };
    let hints = COMMANDS.iter().filter(|spec| {
        !spec.hint.is_empty() && spec.scopes.iter().any(|scope| scopes.contains(scope))
    });
    let freshness = app.freshness();
    let reason = freshness.reason().filter(|_| area.width < ROOM_FOR_REASON);
    let reason = reason.map(|reason| format!(" ▲ {reason} "));
    // The way to everything else stands last and never gives way; where there is hardly room
    // for a reason, help is the way.
    let (mut last, rest): (Vec<&Spec>, Vec<_>) =
        hints.partition(|spec| spec.scopes.first() == Some(&Scope::Global) && spec.hint != "pause");
    let hint = |spec: &&Spec| {
        app.keymap
            .key_hint(&scopes, spec)
            .map(|key| (key.to_owned(), spec.hint))
    };
    if reason.is_some() && area.width < 80 {
        last.retain(|spec| spec.command == Command::Help);
    }
    let last: Vec<_> = last.iter().filter_map(hint).collect();
    let cells = |(key, hint): &(String, &str)| key.chars().count() + hint.chars().count() + 3;
    let mut room = usize::from(area.width).saturating_sub(last.iter().map(cells).sum());
    let mut spans = Vec::new();
    if let Some(reason) = reason {
        let words = shown::short(&reason, room);
        room = room.saturating_sub(shown_width(&words));
        spans.push(canvas.span(words, Role::Danger));
    }
    let mut shown = Vec::new();
    for hint in rest.iter().filter_map(hint) {
        if cells(&hint) > room {
            break;
        }
        room -= cells(&hint);
        shown.push(hint);
    }
    for (key, hint) in shown.into_iter().chain(last) {
        spans.push(canvas.span(format!(" {key}"), Role::KeyHint));
        spans.push(canvas.span(format!(" {hint} "), Role::Muted));
    }
    canvas.line(Line::from(spans), area);
}
