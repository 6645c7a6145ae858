//! Where the panes of Browse are, for every size of the terminal.

use ratatui::layout::{Position, Rect};

use super::Focus;

/// From this width on the value stands beside the keys.
const WIDE: u16 = 100;
/// From this width on more than one pane is in sight.
const NARROW: u16 = 60;
/// From this height on the value stands under the lists where it can't stand beside them.
const TALL: u16 = 16;
/// No pane is dragged smaller than this.
const LEAST: u16 = 12;

/// How the user likes the panes divided, in thousandths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// The share of the width that the buckets have.
    buckets: u32,
    /// The share of the rest of the width that the keys have, beside the value.
    keys: u32,
    /// The share of the height that the lists have, above the value.
    lists: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            buckets: 190,
            keys: 500,
            lists: 500,
        }
    }
}

/// Where each pane is; `None` where there is no room for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Panes {
    pub(super) buckets: Option<Rect>,
    pub(super) keys: Option<Rect>,
    pub(super) entry: Option<Rect>,
    /// The lines that can be dragged, by their numbers.
    pub(super) splits: Vec<(u8, Rect)>,
}

impl Layout {
    /// The line between buckets and keys.
    const AFTER_BUCKETS: u8 = 0;
    /// The line between keys and value, beside each other.
    const AFTER_KEYS: u8 = 1;
    /// The line between the lists and the value under them.
    const UNDER_LISTS: u8 = 2;

    /// Divides an area.
    pub(super) fn panes(&self, area: Rect, focus: Focus) -> Panes {
        if area.width < NARROW {
            return match focus {
                Focus::Buckets => Panes {
                    buckets: Some(area),
                    ..Panes::default()
                },
                Focus::Keys => Panes {
                    keys: Some(area),
                    ..Panes::default()
                },
                Focus::Entry => Panes {
                    entry: Some(area),
                    ..Panes::default()
                },
            };
        }
        if area.width >= WIDE {
            let (buckets, rest) = split_x(area, self.buckets);
            let (keys, entry) = split_x(rest, self.keys);
            let splits = vec![
                (Self::AFTER_BUCKETS, border_x(keys)),
                (Self::AFTER_KEYS, border_x(entry)),
            ];
            return Panes {
                buckets: Some(buckets),
                keys: Some(keys),
                entry: Some(entry),
                splits,
            };
        }
        if area.height < TALL {
            if focus == Focus::Entry {
                return Panes {
                    entry: Some(area),
                    ..Panes::default()
                };
            }
            return self.lists(area);
        }
        let rows = share(area.height, self.lists).clamp(5, area.height - 5);
        let lists = Rect {
            height: rows,
            ..area
        };
        let entry = Rect {
            y: area.y + rows,
            height: area.height - rows,
            ..area
        };
        let mut panes = self.lists(lists);
        panes
            .splits
            .push((Self::UNDER_LISTS, Rect { height: 1, ..entry }));
        Panes {
            entry: Some(entry),
            ..panes
        }
    }

    fn lists(&self, area: Rect) -> Panes {
        let (buckets, keys) = split_x(area, self.buckets.max(280));
        let splits = vec![(Self::AFTER_BUCKETS, border_x(keys))];
        Panes {
            buckets: Some(buckets),
            keys: Some(keys),
            entry: None,
            splits,
        }
    }

    /// Moves a line to where the mouse is.
    pub(super) fn drag(&mut self, split: u8, to: Position, area: Rect) {
        let x = to.x.saturating_sub(area.x);
        match split {
            Self::AFTER_BUCKETS => self.buckets = thousandths(x, area.width),
            Self::AFTER_KEYS => {
                let (_, rest) = split_x(area, self.buckets);
                self.keys = thousandths(to.x.saturating_sub(rest.x), rest.width);
            }
            _ => self.lists = thousandths(to.y.saturating_sub(area.y), area.height),
        }
    }
}

fn share(whole: u16, thousandths: u32) -> u16 {
    u16::try_from(u32::from(whole) * thousandths / 1000).unwrap_or(whole)
}

fn thousandths(part: u16, whole: u16) -> u32 {
    (u32::from(part) * 1000)
        .div_ceil(u32::from(whole.max(1)))
        .clamp(50, 950)
}

fn split_x(area: Rect, thousandths: u32) -> (Rect, Rect) {
    let most = area.width.saturating_sub(LEAST).max(LEAST);
    let left = share(area.width, thousandths)
        .clamp(LEAST, most)
        .min(area.width);
    let right = Rect {
        x: area.x + left,
        width: area.width - left,
        ..area
    };
    (
        Rect {
            width: left,
            ..area
        },
        right,
    )
}

/// The left border of a pane, where a line is taken hold of.
fn border_x(pane: Rect) -> Rect {
    Rect { width: 1, ..pane }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panes(width: u16, height: u16, focus: Focus) -> Panes {
        Layout::default().panes(Rect::new(0, 1, width, height), focus)
    }

    #[test]
    fn panes_fill_the_area_at_every_size() {
        for width in 1..=220 {
            for height in 1..=70 {
                for focus in [Focus::Buckets, Focus::Keys, Focus::Entry] {
                    let panes = panes(width, height, focus);
                    let all = [panes.buckets, panes.keys, panes.entry];
                    let cells: u32 = all.iter().flatten().map(|pane| pane.area()).sum();
                    assert_eq!(
                        cells,
                        u32::from(width) * u32::from(height),
                        "{width}×{height}"
                    );
                    let focused = all[focus as usize];
                    assert!(
                        focused.is_some(),
                        "{width}×{height}: {focus:?} is out of sight"
                    );
                }
            }
        }
    }

    #[test]
    fn a_dragged_line_follows_the_mouse() {
        let area = Rect::new(0, 1, 120, 40);
        let mut layout = Layout::default();
        layout.drag(Layout::AFTER_BUCKETS, Position::new(40, 5), area);
        assert_eq!(layout.panes(area, Focus::Keys).keys.unwrap().x, 40);
        layout.drag(Layout::AFTER_KEYS, Position::new(90, 5), area);
        assert_eq!(layout.panes(area, Focus::Keys).entry.unwrap().x, 90);
        layout.drag(Layout::AFTER_BUCKETS, Position::new(0, 5), area);
        assert_eq!(
            layout.panes(area, Focus::Keys).buckets.unwrap().width,
            LEAST
        );
        let area = Rect::new(0, 1, 80, 40);
        layout.drag(Layout::UNDER_LISTS, Position::new(3, 31), area);
        assert_eq!(layout.panes(area, Focus::Keys).entry.unwrap().y, 31);
    }
}
