//! What lies over a screen: one stack, the topmost takes the keys.

pub mod breaking;
pub mod bucket;
pub mod form;
pub mod help;
pub mod palette;
pub mod prompt;
pub mod tour;

use breaking::Breaking;
use bucket::Dialog;
use help::Help;
use palette::Palette;
use prompt::Prompt;
use tour::Tour;

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
}
