//! Words of command lines that people are shown to copy. Nothing is run here.

/// A word as a shell takes it for one, to the letter: names in a store can hold anything.
pub fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn what_a_shell_would_act_on_is_quoted() {
        assert_eq!(word("a.b_c-1"), "a.b_c-1");
        assert_eq!(word("a;reboot"), "'a;reboot'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!((word(""), word("-f")), ("''".to_owned(), "'-f'".to_owned()));
    }
}
