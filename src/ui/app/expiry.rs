//! What runs out by itself, and by whose clock.

use super::{App, context};
use crate::ui::context::Context;
use crate::ui::message::Millis;

impl App {
    /// When to look whether an entry of the open bucket has run out.
    pub(super) fn next_expiry(&self) -> Option<Millis> {
        let expiry = self.browse.next_expiry()?;
        self.clock.deadline(expiry)
    }

    /// Drops what has run out by the store's clock; asks for that first where it is not known well
    /// enough.
    pub(super) fn expire(&mut self) {
        let is_due = self.next_expiry().is_some_and(|at| at <= self.now);
        if !is_due || self.paused.is_some() {
            return;
        }
        match self.clock.at_least(self.now) {
            Some(at) => {
                let mut ctx = context!(self);
                self.browse.expire(at, &mut ctx);
            }
            None => self.ask_clock(),
        }
    }

    /// Asks for the store's time.
    pub(super) fn ask_clock(&mut self) {
        if let Some(open) = self.browse.open_bucket() {
            let mut ctx = context!(self);
            self.clock.ask(open, &mut ctx);
        }
    }
}
