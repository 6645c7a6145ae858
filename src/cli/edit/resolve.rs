//! A merge on the terminal, row by row.

use super::super::error::CliError;
use super::ask::Terminal;
use super::editor::Editor;
use crate::edit::merge::{Choice, Merged, Origin, Row};
use crate::edit::{Excerpt, Merge};

/// Shows what merges by itself, asks for what doesn't, and then for approval. `None`: the person
/// leaves it.
pub(super) async fn resolve(
    merge: &mut Merge,
    terminal: &Terminal,
    editor: &Editor,
) -> Result<Option<Merged>, CliError> {
    for at in 0..merge.rows().len() {
        let row = &merge.rows()[at];
        terminal.tell(&in_words(row));
        if row.choice.is_none() && !decide(merge, at, terminal, editor).await? {
            return Ok(None);
        }
    }
    if !terminal.agrees("Save the merged value?")? {
        return Ok(None);
    }
    Ok(merge.result().ok())
}

/// Asks for one row until the answer can stand there.
async fn decide(
    merge: &mut Merge,
    row: usize,
    terminal: &Terminal,
    editor: &Editor,
) -> Result<bool, CliError> {
    loop {
        let choice = match terminal.choose("m mine, t theirs, e edit, q leave", "mteq")? {
            Some('m') => Choice::Mine,
            Some('t') => Choice::Theirs,
            Some('e') => {
                let draft = merge.draft_of(row).unwrap_or_default();
                Choice::Text(editor.edit_part(&draft).await?)
            }
            _ => return Ok(false),
        };
        match merge.choose(row, choice) {
            Ok(()) => return Ok(true),
            Err(error) => terminal.tell(&error.to_string()),
        }
    }
}

fn in_words(row: &Row) -> String {
    let side = |side: &Option<Excerpt>| side.as_ref().map_or("nothing".to_owned(), Excerpt::masked);
    let (base, mine, theirs) = (side(&row.base), side(&row.mine), side(&row.theirs));
    let place = &row.place;
    match row.origin {
        Origin::Mine => format!("  merged    {place}: {mine} (yours), was {base}"),
        Origin::Theirs => format!("  merged    {place}: {theirs} (theirs), was {base}"),
        Origin::Both => format!("  merged    {place}: {mine} (both), was {base}"),
        Origin::Conflict => {
            format!("  CONFLICT  {place}: {mine} (yours), {theirs} (theirs), was {base}")
        }
    }
}
