//! Encoding text that only grows: the ids that no continuation can change, as soon as they are known.

use crate::{
    classes::{self, LINE_BREAK, SPACE},
    pretokenize::scalar,
    tokenizer::Tokenizer,
    utf8::{Text, Transcoder},
};

/// Text held back, up to this many bytes, is looked at again at every addition.
const SMALL: usize = 1 << 13;

/// Code units that `truncate` looks at in one go.
const CHUNK: usize = 1 << 12;

/// Ids of a growing text. However it is cut into chunks, the ids are those of the whole.
#[derive(Default)]
pub struct Incremental {
    /// What follows the pieces that have been encoded.
    pending: String,
    /// Length at which to look for settled pieces again.
    look_at: usize,
}

impl Incremental {
    /// Takes what `write` adds to the text, and appends the ids that are now certain.
    pub fn feed(&mut self, tokenizer: &Tokenizer, write: impl FnOnce(&mut String), out: &mut Vec<u32>) {
        write(&mut self.pending);
        if self.pending.len() < self.look_at {
            return;
        }
        let settled = settled_len(&self.pending);
        tokenizer.encode_ordinary(&self.pending[..settled], out);
        self.pending.drain(..settled);
        // One endless piece that grows by a character at a time must not be scanned at each of them.
        let held = self.pending.len();
        self.look_at = if held < SMALL { 0 } else { held + held / 8 };
    }

    /// The text ends here: appends the remaining ids and is new again.
    pub fn finish(&mut self, tokenizer: &Tokenizer, out: &mut Vec<u32>) {
        tokenizer.encode_ordinary(&self.pending, out);
        *self = Self::default();
    }
}

/// Length of a start of `text` whose pieces are the same whatever follows it, nothing included: all of the
/// text's pieces but the last two, and white space before those.
///
/// A piece can depend on what follows the text only if finding its end has read the text to its end.
/// Behind its own end, a scan reads: the rest of a run of capitals (one piece), a contraction that lacks
/// letters (one piece), white space behind the last line break (one piece). Otherwise it stops at the
/// first character that does not belong to the piece. So such a piece is the last or the last but one.
///
/// And a piece can depend on a cut behind it only if it is white space, which leaves its last character to
/// what follows if something does: `"  1"` is three pieces, `"  "` is one.
pub fn settled_len(text: &str) -> usize {
    let (mut settled, mut last_but_one, mut at) = (0, 0, 0);
    while at < text.len() {
        if ends_with_its_pieces(&text[..last_but_one]) {
            settled = last_but_one;
        }
        last_but_one = at;
        at = scalar::piece_end(text, at);
    }
    settled
}

fn ends_with_its_pieces(text: &str) -> bool {
    text.chars().next_back().is_some_and(|last| {
        let class = classes::of(last as u32);
        class & SPACE == 0 || class & LINE_BREAK != 0
    })
}

impl Tokenizer {
    /// The longest start of `text` that is its first `most` ids, or fewer, cut back to a whole character,
    /// and is `most` ids at most when it is encoded by itself. `None` is the whole text.
    ///
    /// Of a long text, not much more is read than the ids need.
    pub fn truncate(&self, text: Text, most: usize) -> Option<String> {
        let (mut encoder, mut transcoder, mut ids) = (Incremental::default(), Transcoder::default(), vec![]);
        let enough = text.chunks(CHUNK).any(|chunk| {
            encoder.feed(self, |pending| transcoder.push_text(chunk, pending), &mut ids);
            ids.len() > most
        });
        if !enough {
            encoder.feed(self, |pending| transcoder.finish(pending), &mut ids);
            encoder.finish(self, &mut ids);
            if ids.len() <= most {
                return None;
            }
        }
        (0..=most).rev().find_map(|kept| self.whole_characters(&ids[..kept], most))
    }

    fn whole_characters(&self, ids: &[u32], most: usize) -> Option<String> {
        let mut bytes = Vec::new();
        self.decode(ids, &mut bytes).expect("ids that encoding gave");
        let valid = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
        bytes.truncate(valid);
        let text = String::from_utf8(bytes).expect("cut where it is valid");
        // Cutting may split what was one piece, and the parts may take more tokens.
        let mut again = Vec::new();
        self.encode_ordinary(&text, &mut again);
        (again.len() <= most).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_pieces_stay_as_they_are() {
        let parts =
            ["don", "'", "r", "l", "ſ", " ", "\n", "\r", "A", "b", "日", "\u{301}", "1", "!", "/", "\u{A0}"];
        let pieces = |text: &str| {
            let (mut ends, mut at) = (vec![], 0);
            while at < text.len() {
                at = scalar::piece_end(text, at);
                ends.push(at);
            }
            ends
        };
        // Every text of four parts, continued by every text of two.
        for first in 0..parts.len().pow(4) {
            let part = |power: u32| parts[first / parts.len().pow(power) % parts.len()];
            let text: String = (0..4).map(part).collect();
            let settled = settled_len(&text);
            let alone = pieces(&text[..settled]);
            let kept: Vec<usize> = pieces(&text).into_iter().filter(|&end| end <= settled).collect();
            assert_eq!(alone, kept, "{text:?}");
            for (a, b) in parts.iter().flat_map(|a| parts.iter().map(move |b| (a, b))) {
                let longer = pieces(&format!("{text}{a}{b}"));
                assert_eq!(longer[..kept.len()], kept, "{text:?} + {a:?} + {b:?}");
            }
        }
    }
}
