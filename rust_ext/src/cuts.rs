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

/// The first place behind `start` to cut at, `end` at the latest. Both are character boundaries.
#[inline(always)]
pub fn segment_end(text: &[u8], start: usize, end: usize) -> usize {
    let mut at = start;
    let mut left = 0;
    loop {
        let first = text[at];
        let next = at + char_len(first);
        if first < 0x80 {
            left = 0;
        } else {
            let right = pack(&text[at..next]);
            if left != 0 && !is_set(bit(left, right)) && !is_set(bit(left & 0xFF, right)) {
                return at;
            }
            left = right;
        }
        if next >= end {
            return end;
        }
        at = next;
    }
}
