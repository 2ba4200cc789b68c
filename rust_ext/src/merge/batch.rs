//! Many short pieces at once.
//!
//! A merge has to know what its result merges with next, and the two table lines that tell are seldom in
//! a near cache. So a group of pieces takes turns: each does one merge, asks for its two lines, and lets
//! the others go on until they are there.

use super::lowest;
use crate::{
    pairs::{NONE, Pairs},
    vocab,
};

/// Longest piece that can be merged here.
pub const LONGEST: usize = 32;

const GROUP: usize = 16;
const POSITION_BITS: u32 = 5;
const NO_KEY: u32 = u32::MAX;

/// A piece being merged. A token is kept at the position of its first byte.
#[derive(Clone, Copy)]
struct Job {
    /// Positions that start a token.
    live: u32,
    tokens: [u32; LONGEST],
    /// What the token at a position and the next one merge into, `<< 5 |` the position; or `NO_KEY`.
    keys: [u32; LONGEST],
    /// How many keys there are, rounded up to a multiple of 8.
    span: usize,
    /// Where the last merge was, and the table places of the pairs it made.
    at: u32,
    right_home: usize,
    left_home: usize,
    piece: usize,
}

const IDLE: Job = Job {
    live: 0,
    tokens: [0; LONGEST],
    keys: [NO_KEY; LONGEST],
    span: 8,
    at: 0,
    right_home: 0,
    left_home: 0,
    piece: 0,
};

/// Reusable room for a group of jobs.
pub struct Batch {
    jobs: Box<[Job; GROUP]>,
}

impl Batch {
    pub fn new() -> Self {
        Self { jobs: Box::new([IDLE; GROUP]) }
    }

    /// Merges each of `pieces` (1 to 32 bytes each) and hands its number and its tokens to `done`, in any
    /// order.
    #[inline(always)]
    pub fn merge<'a>(
        &mut self,
        pairs: &Pairs,
        mut pieces: impl Iterator<Item = &'a [u8]>,
        mut done: impl FnMut(usize, &[u32]),
    ) {
        let mut number = 0;
        let mut active = 0;
        loop {
            while active < GROUP
                && let Some(piece) = pieces.next()
            {
                self.jobs[active].start(pairs, piece, number);
                number += 1;
                active += 1;
            }
            if active == 0 {
                return;
            }
            let mut turn = 0;
            while turn < active {
                if self.jobs[turn].step(pairs) {
                    turn += 1;
                    continue;
                }
                let mut tokens = [0; LONGEST];
                let count = self.jobs[turn].finish(&mut tokens);
                done(self.jobs[turn].piece, &tokens[..count]);
                active -= 1;
                if turn < active {
                    self.jobs[turn] = self.jobs[active];
                }
            }
        }
    }
}

impl Job {
    #[inline(always)]
    fn start(&mut self, pairs: &Pairs, piece: &[u8], number: usize) {
        let length = piece.len();
        let bytes = vocab::byte_tokens();
        self.live = ((1u64 << length) - 1) as u32;
        self.span = length.next_multiple_of(8);
        self.piece = number;
        for at in 0..length {
            self.tokens[at] = bytes[piece[at] as usize];
        }
        for at in 0..length - 1 {
            self.keys[at] = key(pairs.merged_bytes(piece[at], piece[at + 1]), at as u32);
        }
        self.keys[length - 1..self.span].fill(NO_KEY);
        // As if the last merge had been where nothing can be made anew.
        self.at = u32::MAX;
    }

    /// One merge; false if there was none to make.
    #[inline(always)]
    fn step(&mut self, pairs: &Pairs) -> bool {
        if self.at != u32::MAX {
            self.take_new_pairs(pairs);
        }
        let best = lowest(&self.keys[..self.span]);
        if best == NO_KEY {
            return false;
        }
        let at = best & (LONGEST as u32 - 1);
        let merged = best >> POSITION_BITS;
        let right = self.next(at);
        self.live &= !(1 << right);
        self.keys[right as usize] = NO_KEY;
        self.tokens[at as usize] = merged;
        self.at = at;
        // A neighbour that is not there stands in for itself: what it says is not asked for.
        let after = self.tokens[self.next(at) as usize % LONGEST];
        let before = self.tokens[self.previous(at) as usize % LONGEST];
        self.right_home = pairs.prefetch(merged, after);
        self.left_home = pairs.prefetch(before, merged);
        true
    }

    /// Keys of the two pairs that the last merge made.
    #[inline(always)]
    fn take_new_pairs(&mut self, pairs: &Pairs) {
        let at = self.at;
        let merged = self.tokens[at as usize];
        let right = self.next(at);
        self.keys[at as usize] = if right < LONGEST as u32 {
            key(pairs.merged_at(self.right_home, merged, self.tokens[right as usize]), at)
        } else {
            NO_KEY
        };
        let left = self.previous(at);
        if left < LONGEST as u32 {
            let before = self.tokens[left as usize];
            self.keys[left as usize] = key(pairs.merged_at(self.left_home, before, merged), left);
        }
    }

    /// The live position behind `at`; 32 or more if there is none.
    #[inline(always)]
    fn next(&self, at: u32) -> u32 {
        let behind = u64::from(self.live) & !((2u64 << at) - 1);
        behind.trailing_zeros()
    }

    /// The live position in front of `at`; more than 31 if there is none.
    #[inline(always)]
    fn previous(&self, at: u32) -> u32 {
        let before = self.live & ((1 << at) - 1);
        31u32.wrapping_sub(before.leading_zeros())
    }

    #[inline(always)]
    fn finish(&self, tokens: &mut [u32; LONGEST]) -> usize {
        let (mut live, mut count) = (self.live, 0);
        while live != 0 {
            tokens[count] = self.tokens[live.trailing_zeros() as usize];
            count += 1;
            live &= live - 1;
        }
        count
    }
}

#[inline(always)]
fn key(merged: u32, at: u32) -> u32 {
    if merged == NONE { NO_KEY } else { merged << POSITION_BITS | at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{merge::heap, testing::pieces};

    #[test]
    fn merges_as_the_heap_does() {
        let pieces: Vec<Vec<u8>> = pieces(3, 30_000, LONGEST).collect();
        let mut results = vec![Vec::new(); pieces.len()];
        let mut batch = Batch::new();
        batch.merge(Pairs::get(), pieces.iter().map(Vec::as_slice), |i, tokens| results[i] = tokens.to_vec());
        for (piece, tokens) in pieces.iter().zip(results) {
            let mut expected = Vec::new();
            heap::merge(piece, &mut expected);
            assert_eq!(tokens, expected, "{piece:?}");
        }
    }
}
