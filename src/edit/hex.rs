//! Bytes as hexadecimal digits that can be edited, and back.

use super::json::Fault;

/// So many bytes stand in a line.
const PER_LINE: usize = 16;

/// Bytes as lines of pairs of digits.
pub(super) fn dump(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 3);
    for line in bytes.chunks(PER_LINE) {
        for (at, byte) in line.iter().enumerate() {
            if at > 0 {
                text.push(' ');
            }
            for digit in [byte >> 4, byte & 0xf] {
                text.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        text.push('\n');
    }
    text
}

/// The bytes that pairs of digits stand for; white space between pairs says nothing.
///
/// # Errors
/// The place of the first character that is no digit, or of a digit that stands alone.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(text.len() / 3);
    for (line, content) in text.split('\n').enumerate() {
        let fault = |column: usize, what: String| Fault {
            line: line + 1,
            column: column + 1,
            what,
        };
        let mut high: Option<u32> = None;
        let mut last = 0;
        for (column, c) in content.chars().enumerate() {
            match (c.to_digit(16), high) {
                (Some(digit), None) => (high, last) = (Some(digit), column),
                (Some(digit), Some(first)) => {
                    // Two digits of 16 make a byte.
                    bytes.push(u8::try_from(first * 16 + digit).unwrap_or_default());
                    high = None;
                }
                (None, None) if c.is_whitespace() => {}
                (None, Some(_)) if c.is_whitespace() => {
                    return Err(fault(last, "a digit without its second one".to_owned()));
                }
                (None, _) => return Err(fault(column, format!("{c:?} is no hexadecimal digit"))),
            }
        }
        if high.is_some() {
            return Err(fault(last, "a digit without its second one".to_owned()));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> (usize, usize, String) {
        let Fault { line, column, what } = parse(text).unwrap_err();
        (line, column, what)
    }

    #[test]
    fn faults_have_their_place() {
        assert_eq!(dump(b"\x00\xff"), "00 ff\n");
        assert_eq!(parse("0A fF\r\n\t01").unwrap(), [0x0a, 0xff, 1]);
        assert_eq!(
            fault("00 01\n02 0g"),
            (2, 5, "'g' is no hexadecimal digit".to_owned())
        );
        assert_eq!(
            fault("00 1\n2"),
            (1, 4, "a digit without its second one".to_owned())
        );
        assert_eq!(
            fault("1 2"),
            (1, 1, "a digit without its second one".to_owned())
        );
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(parse(&dump(&bytes)), Ok(bytes));
        }
    }
}
