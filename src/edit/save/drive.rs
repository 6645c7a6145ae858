//! Carrying a save out: the reading and writing.

use std::time::Duration;

use crate::kv::{Error, Store};

use super::{Ending, Look, Save, Step};

/// How long to go on trying to find out what became of a write while the store can't be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long in all.
    pub within: Duration,
    /// How long between two tries.
    pub between: Duration,
}

impl Default for Patience {
    /// 10 s, tried every 250 ms.
    fn default() -> Self {
        Self {
            within: Duration::from_secs(10),
            between: Duration::from_millis(250),
        }
    }
}

/// Carries out what a save asks for, from its first step to its ending.
///
/// Dropping the future leaves what is under way as it is: like after a lost acknowledgement, it may
/// or may not land, and the [`Save`] must be dropped too.
pub async fn carry_out(store: &Store, save: &mut Save, first: Step, patience: Patience) -> Ending {
    let mut step = first;
    loop {
        step = match step {
            Step::Ended(ending) => return ending,
            Step::Write(write) => {
                let result = store.write(write).await;
                save.written(result)
            }
            Step::Read => {
                let look = look(store, save, patience).await;
                save.read(look)
            }
        };
    }
}

async fn look(store: &Store, save: &Save, patience: Patience) -> Result<Look, Error> {
    let began = tokio::time::Instant::now();
    loop {
        let error = match look_once(store, save).await {
            Ok(look) => return Ok(look),
            Err(error) => error,
        };
        if began.elapsed() >= patience.within {
            return Err(error);
        }
        tokio::time::sleep(patience.between).await;
    }
}

async fn look_once(store: &Store, save: &Save) -> Result<Look, Error> {
    Ok(Look {
        newest: store.get(save.key()).await?,
        history: store.history(save.key()).await?,
    })
}
