//! What comes from far away carries its freshness: never a bare list that may be a lie.

/// Something that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote<T> {
    /// Nobody asked yet.
    Idle,
    /// Asked, and no answer yet.
    Loading,
    /// It is there, and as fresh as can be told.
    Ready(T),
    /// It was there; what is shown may have changed since.
    Stale(T),
    /// It could not be had, in words for people.
    Failed(String),
}

impl<T> Remote<T> {
    /// What is there to show, fresh or not.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Ready(value) | Self::Stale(value) => Some(value),
            Self::Idle | Self::Loading | Self::Failed(_) => None,
        }
    }

    /// The same, to change.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Ready(value) | Self::Stale(value) => Some(value),
            Self::Idle | Self::Loading | Self::Failed(_) => None,
        }
    }

    /// Whether what is shown may have changed since.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Stale(_))
    }

    /// It is being asked for: what there is stays and is stale meanwhile.
    pub fn ask(&mut self) {
        self.age();
        if self.value().is_none() {
            *self = Self::Loading;
        }
    }

    /// What there is may have changed.
    pub fn age(&mut self) {
        *self = match std::mem::replace(self, Self::Idle) {
            Self::Ready(value) => Self::Stale(value),
            other => other,
        };
    }

    /// The answer is there. A failure leaves what there was, as stale.
    pub fn answer<E: std::fmt::Display>(&mut self, answer: Result<T, E>) {
        match answer {
            Ok(value) => *self = Self::Ready(value),
            Err(_) if self.value().is_some() => self.age(),
            Err(error) => *self = Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_screen_survives_a_failure_and_is_marked() {
        let mut remote = Remote::Idle;
        remote.ask();
        assert_eq!(remote, Remote::Loading);
        remote.answer(Err::<i32, _>("no"));
        assert_eq!(remote, Remote::Failed("no".to_owned()));
        remote.answer(Ok::<_, String>(1));
        remote.ask();
        assert_eq!(remote, Remote::Stale(1));
        remote.answer(Err::<i32, _>("no"));
        assert_eq!(remote, Remote::Stale(1));
        remote.answer(Ok::<_, String>(2));
        assert_eq!(remote, Remote::Ready(2));
    }
}
