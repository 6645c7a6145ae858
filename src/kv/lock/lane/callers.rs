//! What callers are told of their wishes.

use tokio::sync::oneshot;

use super::super::error::{LockError, Loss};
use super::super::line::Outcome;
use super::super::record::Refusal;
use super::Lane;
use super::news::Notices;

impl Lane {
    /// Takes notice of the session's loss. Callers may know of it already.
    pub(super) fn on_life(&mut self) {
        let (loss, revision) = {
            let life = self.parts.life.borrow_and_update();
            (life.loss.clone(), life.revision)
        };
        self.line.reached(revision);
        if self.loss.is_some() || loss.is_none() {
            return;
        }
        self.loss = loss;
        self.granted.clear();
        for (id, told) in std::mem::take(&mut self.acquiring) {
            self.line.release(&id);
            self.send_loss(told);
        }
        for (_, told) in std::mem::take(&mut self.downgrading) {
            let _ = told.send(Err(self.eviction()));
        }
    }

    pub(super) fn send_loss(&self, told: oneshot::Sender<Result<u64, LockError>>) {
        let loss = self.loss.clone().unwrap_or(Loss::Closed);
        let _ = told.send(Err(LockError::Lost(loss)));
    }

    /// Tells callers what has become of their wishes.
    pub(super) fn tell(&mut self) {
        for (id, outcome) in self.line.outcomes() {
            match outcome {
                Outcome::Granted { fence } => {
                    if self.polled && self.watch.is_none() {
                        self.notices = Notices::Failing;
                    }
                    self.granted.push_back((id, fence));
                }
                Outcome::Downgraded => {
                    if let Some(told) = self.downgrading.remove(&id) {
                        let _ = told.send(Ok(()));
                    }
                }
                Outcome::Refused(refusal) => self.refuse(&id, refusal),
                Outcome::Released => {
                    for told in self.releasing.remove(&id).unwrap_or_default() {
                        let _ = told.send(match &self.loss {
                            Some(loss) => Err(LockError::Lost(loss.clone())),
                            None => Ok(()),
                        });
                    }
                }
                Outcome::Gone => {
                    let loss = || self.loss.clone().unwrap_or(Loss::Evicted);
                    if let Some(told) = self.acquiring.remove(&id) {
                        let _ = told.send(Err(LockError::Lost(loss())));
                    }
                    if let Some(told) = self.downgrading.remove(&id) {
                        let _ = told.send(Err(LockError::Lost(loss())));
                    }
                }
            }
        }
        self.polled &= self.line.known().is_none();
        let valid_until = self.parts.life.borrow().valid_until;
        if self.parts.clock.now() >= valid_until {
            // A guard that is not valid is no use: the next beat comes first.
            return;
        }
        while let Some((id, fence)) = self.granted.pop_front() {
            // Whoever asked may be gone.
            let is_heard = match self.acquiring.remove(&id) {
                Some(told) => told.send(Ok(fence)).is_ok(),
                None => false,
            };
            if !is_heard {
                self.line.release(&id);
            }
        }
    }

    fn refuse(&mut self, id: &str, refusal: Refusal) {
        if let Some(told) = self.acquiring.remove(id) {
            let resource = self.parts.resource.clone();
            let _ = told.send(Err(LockError::Refused { resource, refusal }));
        }
    }

    /// Whether somebody else took out what is asked about.
    pub(super) fn is_gone(&self, id: &str) -> bool {
        !self.line.attempts().any(|attempt| attempt == id)
    }

    pub(super) fn eviction(&self) -> LockError {
        LockError::Lost(self.loss.clone().unwrap_or(Loss::Evicted))
    }
}
