//! The mouse: what a click, a drag and the wheel are meant for, by what the last frame drew there.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{App, Screen, context};
use crate::ui::canvas::{Hit, Pane};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::overlays::Overlay;
use crate::ui::screens::browse::Wish;
use crate::ui::viewport::Step;

impl App {
    pub(super) fn mouse(&mut self, mouse: MouseEvent) {
        let position = Position {
            x: mouse.column,
            y: mouse.row,
        };
        let hit = self.notes.at(position);
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => self.click(hit, position),
            MouseEventKind::Drag(MouseButton::Left) => {
                if self.dragging.is_some() && self.screen == Screen::Locks {
                    self.locks.drag(position, self.notes.body);
                } else if let Some(split) = self.dragging {
                    self.browse.drag(split, position, self.notes.body);
                }
            }
            MouseEventKind::Up(_) => self.dragging = None,
            MouseEventKind::ScrollUp => self.wheel(hit, -3),
            MouseEventKind::ScrollDown => self.wheel(hit, 3),
            // Moving alone changes nothing.
            _ => self.dirty = false,
        }
    }

    fn click(&mut self, hit: Option<Hit>, position: Position) {
        if let Some(overlay) = self.overlays.last_mut() {
            match (overlay, hit) {
                (Overlay::Palette(palette), Some(Hit::Row(Pane::Overlay, row))) => {
                    let outcome = palette.click(row);
                    self.palette_did(outcome);
                }
                // What is typed is not lost by a click beside it.
                (Overlay::Bucket(dialog), hit) => {
                    if let Some(Hit::Row(Pane::Overlay, row)) = hit {
                        dialog.click(row);
                    }
                }
                (_, Some(Hit::Row(Pane::Overlay, row))) => {
                    let column = position.x.saturating_sub(self.notes.left_of(position));
                    self.edit_click(row, usize::from(column));
                }
                (_, Some(Hit::Pane(Pane::Overlay))) => {}
                // What was typed or begun is not lost by a click beside it.
                (overlay, _) => {
                    if overlay.is_independent() {
                        self.overlays.pop();
                    }
                }
            }
            return;
        }
        let mut ctx = context!(self);
        match hit {
            Some(Hit::Split(split)) => self.dragging = Some(split),
            Some(Hit::Screen(screen)) => self.go_to(screen),
            Some(Hit::Row(Pane::Activity, row)) => self.activity.select(row),
            Some(Hit::Row(Pane::Connect, row)) => {
                self.connect.select(row);
                self.run_on_connect(Command::Open);
            }
            Some(Hit::Row(pane @ (Pane::Locks | Pane::Queue), row)) => {
                self.locks.click(pane, row, &mut ctx);
            }
            Some(Hit::Pane(pane @ (Pane::Locks | Pane::Queue))) => self.locks.focus(pane),
            Some(Hit::Row(pane, row)) => {
                if let Some(Wish::Open(bucket)) = self.browse.click(pane, row, &mut ctx) {
                    self.open_bucket(&bucket);
                }
            }
            Some(Hit::Pane(pane)) => self.browse.focus(pane),
            None => {}
        }
    }

    fn wheel(&mut self, hit: Option<Hit>, by: isize) {
        let Some(Hit::Row(pane, _) | Hit::Pane(pane)) = hit else {
            return;
        };
        match (pane, self.overlays.last_mut()) {
            (Pane::Overlay, Some(Overlay::Help(help))) => help.step(Step::By(by), &self.keymap),
            (Pane::Overlay, Some(_)) => self.edit_scroll(by),
            (_, Some(_)) => {}
            (Pane::Locks | Pane::Queue, None) => {
                let mut ctx = context!(self);
                self.locks.scroll(pane, by, &mut ctx);
            }
            (Pane::Activity, None) => self.activity.scroll(by),
            (Pane::Server, None) => self.server.step(Step::By(by)),
            (Pane::Connect | Pane::Overlay, None) => {}
            (Pane::Buckets | Pane::Keys | Pane::Entry, None) => self.browse.scroll(pane, by),
        }
    }
}
