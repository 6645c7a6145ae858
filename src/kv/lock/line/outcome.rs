//! What becomes of the attempts of a line: told from what the record holds, never from how a write
//! ended.

use std::collections::HashMap;

use super::{Line, Wish};
use crate::kv::lock::record::{Claim, Mode, Refusal, State};

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It holds the lock.
    Granted {
        /// Its fencing token.
        fence: u64,
    },
    /// It reads instead of writing.
    Downgraded,
    /// It will not get the lock. It is forgotten.
    Refused(Refusal),
    /// It is not in the record any more, on its own wish. It is forgotten.
    Released,
    /// Somebody else took its claim out. It is forgotten.
    Gone,
}

impl Line {
    /// What has become of the attempts since this was asked last, by their ids.
    pub(crate) fn outcomes(&mut self) -> Vec<(String, Outcome)> {
        let mut outcomes = Vec::new();
        let Some(known) = &self.known else {
            return outcomes;
        };
        if self.attempts.is_empty() && self.evictions.is_empty() {
            return outcomes;
        }
        // A claim that is missing says something only when no write may still bring it.
        let is_settled = !self.is_in_doubt() && self.under_way.is_none();
        let mut attempts = self.attempts.iter();
        let refused: HashMap<String, Refusal> = if is_settled
            && attempts.any(|attempt| !attempt.seen || attempt.wish == Wish::Downgrade)
        {
            self.planned(known).refused.into_iter().collect()
        } else {
            HashMap::new()
        };
        let claims = known.record.claims().iter();
        let claims: HashMap<&str, &Claim> =
            claims.map(|claim| (claim.id.as_str(), claim)).collect();
        self.attempts.retain_mut(|attempt| {
            let id = &attempt.request.id;
            let mut tell = |outcome| outcomes.push((id.clone(), outcome));
            let Some(claim) = claims.get(id.as_str()) else {
                let end = match attempt.wish {
                    _ if !is_settled => None,
                    Wish::Release => Some(Outcome::Released),
                    Wish::Hold | Wish::Downgrade if attempt.seen => Some(Outcome::Gone),
                    Wish::Hold | Wish::Downgrade => refused.get(id).cloned().map(Outcome::Refused),
                };
                let stays = end.is_none();
                end.map(tell);
                return stays;
            };
            attempt.seen = true;
            if let State::Held { fence } = claim.state
                && attempt.wish != Wish::Release
                && !attempt.granted
            {
                attempt.granted = true;
                tell(Outcome::Granted { fence });
            }
            if attempt.wish == Wish::Downgrade && claim.mode == Mode::Read {
                attempt.wish = Wish::Hold;
                tell(Outcome::Downgraded);
            }
            true
        });
        let record = &known.record;
        self.evictions.retain(|session| {
            record
                .claims()
                .iter()
                .any(|claim| claim.session == *session)
        });
        outcomes
    }
}
