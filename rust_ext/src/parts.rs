//! A long text in parts whose pieces are those of the whole, to be encoded one after the other or at once.
//!
//! A cut falls where the pattern's matches begin anew whatever stands before:
//!
//! - before a space or line feed that follows an ASCII letter or digit: no alternative of the pattern
//!   goes on from a letter or a digit to white space;
//! - between a line feed and a character that is neither white space nor `/`: every alternative that
//!   takes in a line feed ends with its run of line breaks, slashes and white space.
//!
//! Nothing in the pattern looks behind, so what follows a cut is matched as at the start of a text.

use crate::{
    classes,
    utf8::{Text, Units},
};

impl<'a> Text<'a> {
    /// In parts of `size` code units, or as few more as it takes to find a cut.
    pub fn parts(self, size: usize) -> impl Iterator<Item = Text<'a>> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let part;
            (part, rest) = rest.split_at(rest.find_cut(size));
            (part.len() > 0).then_some(part)
        })
    }

    /// The first cut at or behind `from`, or the text's end.
    fn find_cut(self, from: usize) -> usize {
        let cut = match self {
            Self::Utf8(text) => (from..text.len()).find(|&at| may_cut_utf8(text, at)),
            Self::Units(Units::One(units)) => find_cut(units, from),
            Self::Units(Units::Two(units)) => find_cut(units, from),
            Self::Units(Units::Four(units)) => find_cut(units, from),
        };
        cut.unwrap_or(self.len())
    }
}

fn find_cut<T: Copy + Into<u32>>(units: &[T], from: usize) -> Option<usize> {
    (from..units.len()).find(|&at| may_cut(units[at - 1].into(), units[at].into()))
}

/// Whether a text that has the code point `left` in front of `right` may be cut between them. Surrogates are
/// characters that are not white space, whether they are alone or in pairs.
#[inline(always)]
fn may_cut(left: u32, right: u32) -> bool {
    match (char::from_u32(left), char::from_u32(right)) {
        (Some(left), Some(' ' | '\n')) => left.is_ascii_alphanumeric(),
        (Some('\n'), right) => right != Some('/') && right.is_none_or(|right| !is_space(right)),
        _ => false,
    }
}

/// Whether `text` may be cut at `at`: its pieces are then those before and those from there on.
pub fn may_cut_utf8(text: &str, at: usize) -> bool {
    // The byte before is a character of its own if it is any that a cut may follow.
    let left = text.as_bytes()[at - 1];
    left.is_ascii() && text[at..].chars().next().is_some_and(|right| may_cut(left.into(), right.into()))
}

fn is_space(character: char) -> bool {
    classes::of(character.into()) & classes::SPACE != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pretokenize::scalar,
        testing::{Random, texts},
    };

    #[test]
    fn pieces_never_cross_a_cut() {
        let parts = ["a", "Z", "9", "'s", " ", "\n", "\r", "\t", "\u{A0}", "/", "!", "日", "\u{301}"];
        let count = parts.len();
        // Every text of up to five parts.
        for number in 0..count.pow(5) {
            let text: String = (0..5).map(|power| parts[number / count.pow(power) % count]).collect();
            let (mut ends, mut at) = (vec![], 0);
            while at < text.len() {
                at = scalar::piece_end(&text, at);
                ends.push(at);
            }
            for cut in (1..text.len()).filter(|&at| may_cut_utf8(&text, at)) {
                assert!(ends.contains(&cut), "{text:?} at {cut}");
            }
        }
    }

    #[test]
    fn parts_are_cut_alike_however_a_text_is_stored() {
        for text in texts(Random::new(24), 2_000) {
            let twos: Vec<u16> = text.encode_utf16().collect();
            let fours: Vec<u32> = text.chars().map(u32::from).collect();
            for size in [1, 2, 7, 100] {
                let parts = |stored: Text| -> Vec<String> {
                    let mut scratch = String::new();
                    stored.parts(size).map(|part| part.as_utf8(&mut scratch).to_owned()).collect()
                };
                let each =
                    [Text::Utf8(&text), Text::Units(Units::Two(&twos)), Text::Units(Units::Four(&fours))];
                for parts in each.map(parts) {
                    assert_eq!(parts.concat(), text);
                    let mut at = 0;
                    for part in &parts[..parts.len().saturating_sub(1)] {
                        at += part.len();
                        assert!(part.len() >= size && may_cut_utf8(&text, at), "{text:?} at {at}");
                    }
                }
            }
        }
    }
}
