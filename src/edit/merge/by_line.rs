//! Joining texts by line.

use super::rows::{Rows, Sides};
use super::{Choice, Place};
use crate::edit::align::{self, Changed, Region, Touching};
use crate::edit::excerpt::Excerpt;

/// Joins three texts.
pub(super) fn join(texts: Sides<&str>, rows: &mut Rows<'_>) -> String {
    let whole = texts.each(|text| Excerpt::new(*text, rows.masking));
    let lines = texts.each(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let hunks = |side: &Vec<&str>| align::hunks(lines.base.iter().copied(), side.iter().copied());
    let (mine, theirs) = (hunks(&lines.mine), hunks(&lines.theirs));
    let mut out = String::with_capacity(texts.mine.len());
    let (mut at_base, mut at_mine, mut at_theirs) = (0, 0, 0);
    for region in align::regions(&mine, &theirs, lines.base.len(), Touching::Together) {
        let cut = |lines: &[&str], which: &std::ops::Range<usize>, at: &mut usize| {
            let length: usize = lines[which.clone()].iter().map(|line| line.len()).sum();
            let start = *at;
            *at += length;
            start..*at
        };
        let bytes = Sides {
            base: cut(&lines.base, &region.base, &mut at_base),
            mine: cut(&lines.mine, &region.mine, &mut at_mine),
            theirs: cut(&lines.theirs, &region.theirs, &mut at_theirs),
        };
        let parts = Sides {
            base: whole.base.slice(bytes.base),
            mine: whole.mine.slice(bytes.mine),
            theirs: whole.theirs.slice(bytes.theirs),
        };
        take(&region, &parts, rows, &mut out);
    }
    out
}

fn take(region: &Region, parts: &Sides<Excerpt>, rows: &mut Rows<'_>, out: &mut String) {
    let origin = parts.origin();
    let Some(origin) = origin.filter(|_| region.changed != Changed::Nobody) else {
        out.push_str(parts.mine.revealed());
        return;
    };
    let place = Place::Lines {
        first: region.mine.start + 1,
        count: region.mine.len(),
    };
    let texts = parts.each(|part| Some(part.clone()).filter(|part| !part.revealed().is_empty()));
    match rows.add(place, origin, texts) {
        Choice::Mine => out.push_str(parts.mine.revealed()),
        Choice::Theirs => out.push_str(parts.theirs.revealed()),
        Choice::Text(text) => {
            let ends = |part: &Excerpt| part.revealed().ends_with('\n');
            out.push_str(&text);
            if !text.is_empty()
                && !text.ends_with('\n')
                && (ends(&parts.mine) || ends(&parts.theirs))
            {
                out.push('\n');
            }
        }
    }
}
