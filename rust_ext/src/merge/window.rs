//! One piece of up to 512 bytes, by searching an array of candidate merges for the lowest.

use super::lowest;
use crate::{
    pairs::{NONE, Pairs},
    vocab,
};

/// Longest piece that can be merged here.
pub const LONGEST: usize = 512;

const POSITION_BITS: u32 = 9;
const NO_KEY: u32 = NONE << POSITION_BITS;

/// Keys are searched by the lowest of each group of this many.
const GROUP: usize = 16;

/// Reusable room for one piece. A token is kept at the position of its first byte.
pub struct Window {
    tokens: [u32; LONGEST],
    next: [u16; LONGEST],
    previous: [u16; LONGEST],
    /// What the token at a position and the next one merge into, `<< 9 |` the position; or `NO_KEY`.
    keys: [u32; LONGEST],
    /// The lowest key of each group of positions.
    lowest: [u32; LONGEST / GROUP],
}

impl Window {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            tokens: [0; LONGEST],
            next: [0; LONGEST],
            previous: [0; LONGEST],
            keys: [NO_KEY; LONGEST],
            lowest: [NO_KEY; LONGEST / GROUP],
        })
    }

    /// Appends the tokens of `piece` (1 to 512 bytes) to `out`.
    #[inline(always)]
    pub fn merge(&mut self, pairs: &Pairs, piece: &[u8], out: &mut Vec<u32>) {
        self.start(pairs, piece);
        let length = piece.len();
        let groups = length.div_ceil(GROUP).next_multiple_of(8);
        loop {
            let best = lowest(&self.lowest[..groups]);
            if best >= NO_KEY {
                break;
            }
            self.apply(pairs, best, length);
        }
        let mut at = 0;
        while at < length {
            out.push(self.tokens[at]);
            at = self.next[at] as usize;
        }
    }

    #[inline(always)]
    fn start(&mut self, pairs: &Pairs, piece: &[u8]) {
        let bytes = vocab::byte_tokens();
        let length = piece.len();
        for at in 0..length {
            self.tokens[at] = bytes[piece[at] as usize];
            self.next[at] = at as u16 + 1;
            self.previous[at] = (at as u16).wrapping_sub(1);
        }
        for at in 0..length - 1 {
            self.keys[at] = key(pairs.merged_bytes(piece[at], piece[at + 1]), at);
        }
        let span = length.next_multiple_of(GROUP * 8).min(LONGEST);
        self.keys[length - 1..span].fill(NO_KEY);
        for group in 0..span / GROUP {
            self.renew(group);
        }
    }

    /// Makes the merge that `best` is the key of, and the keys of the two pairs that it brings.
    #[inline(always)]
    fn apply(&mut self, pairs: &Pairs, best: u32, length: usize) {
        let at = best as usize % LONGEST;
        let merged = best >> POSITION_BITS;
        let right = self.next[at] as usize;
        let after = self.next[right] as usize;
        self.tokens[at] = merged;
        self.next[at] = after as u16;
        self.keys[right] = NO_KEY;
        self.keys[at] = NO_KEY;
        if after < length {
            self.previous[after] = at as u16;
            self.keys[at] = key(pairs.merged(merged, self.tokens[after]), at);
        }
        if at > 0 {
            let left = self.previous[at] as usize;
            self.keys[left] = key(pairs.merged(self.tokens[left], merged), left);
            self.renew(left / GROUP);
        }
        self.renew(at / GROUP);
        self.renew(right / GROUP);
    }

    #[inline(always)]
    fn renew(&mut self, group: usize) {
        self.lowest[group] = lowest(&self.keys[group * GROUP..(group + 1) * GROUP]);
    }
}

#[inline(always)]
fn key(merged: u32, at: usize) -> u32 {
    merged << POSITION_BITS | at as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{slow, testing::pieces};

    #[test]
    fn merges_as_the_heap_does() {
        let mut window = Window::new();
        for piece in pieces(5, 5_000, LONGEST) {
            let mut tokens = Vec::new();
            window.merge(Pairs::get(), &piece, &mut tokens);
            assert_eq!(tokens, slow::merge(&piece), "{piece:?}");
        }
    }
}
