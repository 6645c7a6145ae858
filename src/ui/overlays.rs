//! What lies over a screen: one stack, the topmost takes the keys.

pub mod breaking;
pub mod bucket;
pub mod compared;
pub mod conflict;
pub mod dialog;
pub mod editor;
pub mod form;
pub mod help;
pub mod history;
pub mod look;
pub mod new_key;
pub mod palette;
pub mod prompt;
pub mod removal;
pub mod review;
pub mod tour;
pub mod waiting;

use breaking::Breaking;
use bucket::Dialog;
use compared::Compared;
use conflict::Conflict;
use editor::Editor;
use help::Help;
use history::History;
use look::Look;
use new_key::NewKey;
use palette::Palette;
use prompt::Prompt;
use removal::Removal;
use review::Review;
use tour::Tour;
use waiting::Waiting;

use super::command::Scope;

/// Something that lies over a screen.
#[derive(Debug)]
pub enum Overlay {
    /// The keys.
    Help(Help),
    /// Commands by name.
    Palette(Palette),
    /// A question with one line for the answer.
    Prompt(Prompt),
    /// Breaking a lock. Large, and there is one at the most.
    Breaking(Box<Breaking>),
    /// A few words for a newcomer.
    Tour(Tour),
    /// Something about a whole bucket.
    Bucket(Box<Dialog>),
    /// The revisions of a key.
    History(Box<History>),
    /// What differs between two values.
    Compared(Box<Compared>),
    /// The value at a revision.
    Look(Box<Look>),
    /// A value that is edited.
    Editor(Box<Editor>),
    /// What is about to be written.
    Review(Box<Review>),
    /// Two changes, to be joined.
    Conflict(Box<Conflict>),
    /// Deleting and purging.
    Removal(Box<Removal>),
    /// The name of a new key.
    NewKey(Box<NewKey>),
    /// The worker is waited for.
    Waiting(Box<Waiting>),
}

impl Overlay {
    /// Whether it has nothing of a key in it: then a click beside it closes it, and it stays when
    /// another place is gone to.
    pub fn is_independent(&self) -> bool {
        matches!(
            self,
            Self::Help(_) | Self::Palette(_) | Self::Prompt(_) | Self::Breaking(_) | Self::Tour(_)
        )
    }

    /// Where its keys are looked up, if they are in the keymap.
    pub fn scopes(&self) -> Option<&'static [Scope]> {
        match self {
            Self::History(_) => Some(&[Scope::History, Scope::Rows, Scope::Global]),
            Self::Look(_) => Some(&[Scope::Look, Scope::Rows, Scope::Global]),
            Self::Compared(_) => Some(&[Scope::Compared, Scope::Rows, Scope::Global]),
            Self::Conflict(_) => Some(&[Scope::Conflict, Scope::Rows]),
            Self::Editor(_) => Some(&[Scope::Editor]),
            Self::Help(_)
            | Self::Palette(_)
            | Self::Prompt(_)
            | Self::Breaking(_)
            | Self::Tour(_)
            | Self::Bucket(_)
            | Self::Review(_)
            | Self::Removal(_)
            | Self::NewKey(_)
            | Self::Waiting(_) => None,
        }
    }
}
