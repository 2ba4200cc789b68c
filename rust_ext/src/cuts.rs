//! Cuts inside a piece of the pattern that cannot change its tokens.
//!
//! Merging joins two neighbours only into a token of the vocabulary. Where no token's bytes reach across
//! a boundary, nothing is ever merged across it, and what is on one side never matters on the other: the
//! tokens of the piece are those of its parts. Short parts are found whole in the table of tokens.

use crate::boundary::{bit, char_len, pack};

static SPANNED: &[u8; 1 << (crate::boundary::BITS - 3)] =
    include_bytes!(concat!(env!("OUT_DIR"), "/cuts.bin"));

#[inline(always)]
fn is_set(bit: usize) -> bool {
    SPANNED[bit / 8] >> (bit % 8) & 1 != 0
}

/// Writes `start` and the places to cut at between it and `end`, as long as `starts` has room (for two at
/// least). Returns how many it wrote, and where to go on: `end`, or the first place left out.
#[inline(always)]
pub fn cut(text: &[u8], start: usize, end: usize, starts: &mut [usize]) -> (usize, usize) {
    let mut count = 0;
    let mut at = start;
    let mut left = Character::NONE;
    while at < end && count < starts.len() {
        let right = Character::at(text, at);
        // Written for every character and counted for some: what is to come is not to be foretold.
        starts[count] = at;
        count += usize::from(at == start || left.parts_from(right));
        left = right;
        at += right.length;
    }
    // Full: the last part may go on behind `at`, so it is left to the next call.
    if at < end { (count - 1, starts[count - 1]) } else { (count, end) }
}

#[derive(Clone, Copy)]
struct Character {
    bytes: u32,
    last: u32,
    length: usize,
}

impl Character {
    const NONE: Self = Self { bytes: 0, last: 0, length: 0 };

    #[inline(always)]
    fn at(text: &[u8], at: usize) -> Self {
        let length = char_len(text[at]);
        let last = u32::from(text[at + length - 1]);
        let bytes = match text[at..].first_chunk() {
            Some(&bytes) => u32::from_le_bytes(bytes) & (!0 >> (32 - 8 * length)),
            None => pack(&text[at..at + length]),
        };
        Self { bytes, last, length }
    }

    #[inline(always)]
    fn parts_from(self, right: Self) -> bool {
        let ascii = (self.length == 1) | (right.length == 1);
        !ascii & !is_set(bit(self.bytes, right.bytes)) & !is_set(bit(self.last, right.bytes))
    }
}
