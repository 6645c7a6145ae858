//! Finding text in a value. What is masked is not searched: a search that lit up there would tell
//! the secret letter by letter.

use std::ops::Range;

use memchr::memmem;

/// Where the needle is in the text, in order and apart, outside of the hidden ranges. A needle in
/// small letters is found in any case (of ASCII letters).
pub(crate) fn find(text: &[u8], needle: &str, hidden: &[Range<usize>]) -> Vec<Range<usize>> {
    if needle.is_empty() {
        return Vec::new();
    }
    let any_case = !needle.chars().any(char::is_uppercase);
    let lowered = any_case.then(|| text.to_ascii_lowercase());
    let text = lowered.as_deref().unwrap_or(text);
    let finder = memmem::Finder::new(needle);
    let starts = [0].into_iter().chain(hidden.iter().map(|range| range.end));
    let ends = hidden.iter().map(|range| range.start).chain([text.len()]);
    starts
        .zip(ends)
        .flat_map(|(start, end)| {
            let open = text.get(start..end).unwrap_or_default();
            finder
                .find_iter(open)
                .map(move |at| start + at..start + at + needle.len())
        })
        .collect()
}
