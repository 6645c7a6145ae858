//! Values in the lines that people read, with their secrets masked unless those were asked for.

use std::borrow::Cow;
use std::sync::Arc;

use crate::edit::{MASK, Masking, Masks};
use crate::kv::Entry;
use crate::ui::text::{visible_beyond, visible_bytes};

use super::text::clipped;

/// How values are shown in lines.
#[derive(Debug)]
pub(super) struct Preview {
    /// What is secret. `None` where everything is to be seen.
    masks: Option<Arc<Masks>>,
}

impl Preview {
    /// One that masks, unless everything is to be seen.
    pub(super) fn new(masks: Masks, reveal: bool) -> Self {
        Self {
            masks: (!reveal).then(|| Arc::new(masks)),
        }
    }

    /// The value of an entry made visible, in one line, with a mark where it is cut. Nothing for a
    /// marker.
    pub(super) fn of(&self, entry: &Entry, columns: Option<usize>) -> String {
        let value = entry.live_value().map_or(&[][..], |value| &value[..]);
        let shown = match &self.masks {
            Some(masks) => masked(value, &Masking::new(masks, entry.key.as_str())),
            None => value.into(),
        };
        match columns {
            // No more than can be shown: a value can have a megabyte.
            Some(columns) => clipped(&visible_beyond(&shown, columns), columns),
            None => visible_bytes(&shown).into_owned(),
        }
    }
}

/// The value with [`MASK`] for each secret in it.
fn masked<'a>(value: &'a [u8], masking: &Masking) -> Cow<'a, [u8]> {
    let secrets = masking.in_value(value);
    if secrets.is_empty() {
        return value.into();
    }
    let mut text = Vec::with_capacity(value.len());
    let mut open_from = 0;
    for secret in secrets {
        text.extend_from_slice(&value[open_from..secret.start]);
        text.extend_from_slice(MASK.as_bytes());
        open_from = secret.end;
    }
    text.extend_from_slice(&value[open_from..]);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_where_the_value_is_no_text_too() {
        let masks = Arc::new(Masks::default());
        let masked = |key: &str, value: &'static [u8]| {
            let text = masked(value, &Masking::new(&masks, key)).into_owned();
            String::from_utf8_lossy(&text).into_owned()
        };
        assert_eq!(masked("a", b"plain"), "plain");
        assert_eq!(masked("password", b"\xff\xfe"), MASK);
        let json = masked("a", br#"{"user":"u","password":"p","max":1}"#);
        assert_eq!(json, format!(r#"{{"user":"u","password":{MASK},"max":1}}"#));
        assert!(!masked("a", b"password=hunter2 \xff").contains("hunter2"));
    }
}
