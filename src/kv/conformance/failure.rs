//! How a case says that a promise was not kept.

use std::fmt;
use std::panic::Location;

/// A promise that was not kept: what was found, and where the case noticed.
#[derive(Debug, Clone)]
pub struct Failure {
    what: String,
    place: &'static Location<'static>,
}

/// How a case ends.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure, noticed by the caller.
    #[track_caller]
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            place: Location::caller(),
        }
    }

    /// The same with more detail.
    #[must_use]
    pub fn and(mut self, detail: impl fmt::Display) -> Self {
        self.what = format!("{}, {detail}", self.what);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} [{}:{}]",
            self.what,
            self.place.file(),
            self.place.line()
        )
    }
}

/// An error that a case did not expect fails it, at the `?`.
impl<E: std::error::Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        Self::new(format!("unexpected error: {error} ({error:?})"))
    }
}

/// Fails unless the condition holds.
///
/// # Errors
/// [`Failure`] with that text.
#[track_caller]
pub fn that(holds: bool, otherwise: impl fmt::Display) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Failure::new(otherwise.to_string()))
    }
}

/// Fails unless both are equal.
///
/// # Errors
/// [`Failure`] with both and what they are.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what is compared is seldom needed again, and a check reads better without `&`"
)]
#[track_caller]
pub fn equal<L, R>(found: L, wanted: R, what: &str) -> Outcome
where
    L: PartialEq<R> + fmt::Debug,
    R: fmt::Debug,
{
    that(
        found == wanted,
        format_args!("{what}: found {found:?}, wanted {wanted:?}"),
    )
}
