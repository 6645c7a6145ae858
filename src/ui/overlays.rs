//! What lies over a screen: one stack, the topmost takes the keys.

pub mod help;
pub mod palette;
pub mod prompt;

use help::Help;
use palette::Palette;
use prompt::Prompt;

/// Something that lies over a screen.
#[derive(Debug)]
pub enum Overlay {
    /// The keys.
    Help(Help),
    /// Commands by name.
    Palette(Palette),
    /// A question with one line for the answer.
    Prompt(Prompt),
}
