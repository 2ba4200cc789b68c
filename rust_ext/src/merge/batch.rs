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
pub const LONGEST: usize = 38;

const GROUP: usize = 16;
const POSITION_BITS: u32 = 6;
/// Of the bytes of a piece, and of one place before and one behind them that hold `NONE` and merge with
/// nothing, so that every token has two neighbours.
const POSITIONS: usize = LONGEST + 2;
const NO_KEY: u32 = NONE << POSITION_BITS;

/// A piece being merged. A token is kept at the position of its first byte.
///
/// There are no branches on what merges with what: they would be mispredicted half of the time, which
/// costs more than all the rest.
#[derive(Clone, Copy)]
struct Job {
    /// Positions that hold a token or `NONE`.
    live: u64,
    tokens: [u32; POSITIONS],
    /// What the token at a position and the next one merge into, `<< 6 |` the position; `NO_KEY` or more
    /// for `NONE`.
    keys: [u32; POSITIONS],
    /// Positions whose keys are to be renewed: of the last merge, and of its left neighbour.
    at: u32,
    left: u32,
    /// Numbers of the lines that these are to be found in.
    line: u32,
    left_line: u32,
    piece: usize,
}

const IDLE: Job = Job {
    live: 0,
    tokens: [NONE; POSITIONS],
    keys: [NO_KEY; POSITIONS],
    at: 0,
    left: 0,
    line: 0,
    left_line: 0,
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

    /// Merges each of `pieces` (1 to 38 bytes each) and hands its number and its tokens to `done`, in any
    /// order.
    #[inline(always)]
    pub fn merge<'a>(
        &mut self,
        pairs: &Pairs,
        pieces: impl Iterator<Item = &'a [u8]>,
        mut done: impl FnMut(usize, &[u32]),
    ) {
        let mut pieces = pieces.enumerate();
        // Jobs in use come first in `turns`.
        let mut turns: [u8; GROUP] = std::array::from_fn(|i| i as u8);
        let mut active = 0;
        while active < GROUP
            && let Some((number, piece)) = pieces.next()
        {
            self.jobs[active].start(pairs, piece, number);
            active += 1;
        }
        while active > 0 {
            // Keys are written here and read as vectors below: with other jobs in between, the processor
            // need not wait for the writes.
            for &turn in &turns[..active] {
                self.job(turn).renew_keys(pairs);
            }
            let mut i = 0;
            while i < active {
                let job = self.job(turns[i]);
                if job.merge_lowest(pairs) {
                    i += 1;
                    continue;
                }
                let mut tokens = [0; LONGEST];
                let count = job.finish(&mut tokens);
                done(job.piece, &tokens[..count]);
                match pieces.next() {
                    Some((number, piece)) => {
                        job.start(pairs, piece, number);
                        i += 1;
                    }
                    None => {
                        active -= 1;
                        turns.swap(i, active);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn job(&mut self, turn: u8) -> &mut Job {
        &mut self.jobs[turn as usize % GROUP]
    }
}

impl Job {
    #[inline(always)]
    fn start(&mut self, pairs: &Pairs, piece: &[u8], number: usize) {
        let length = piece.len();
        let bytes = vocab::byte_tokens();
        self.live = (1 << (length + 2)) - 1;
        self.piece = number;
        self.keys = [NO_KEY; POSITIONS];
        for (at, &byte) in (1..).zip(piece) {
            self.tokens[at] = bytes[byte as usize];
        }
        self.tokens[length + 1] = NONE;
        for (at, two) in (1..).zip(piece.windows(2)) {
            self.keys[at] = key(pairs.merged_bytes(two[0], two[1]), at as u32);
        }
        // As if the last merge had been in the place before the piece, which merges with nothing.
        (self.at, self.left, self.line, self.left_line) = (0, 0, 0, 0);
    }

    /// The keys that the last merge has changed.
    #[inline(always)]
    fn renew_keys(&mut self, pairs: &Pairs) {
        let (at, left) = (self.at, self.left);
        let token = self.tokens[at as usize];
        let right_token = self.tokens[self.next(at) as usize];
        let left_token = self.tokens[left as usize];
        self.keys[at as usize] = key(pairs.merged_at(self.line, token, right_token), at);
        self.keys[left as usize] = key(pairs.merged_at(self.left_line, left_token, token), left);
    }

    /// Makes the merge of lowest rank and asks for the new pairs' lines; false if there is none to make.
    #[inline(always)]
    fn merge_lowest(&mut self, pairs: &Pairs) -> bool {
        let best = lowest(&self.keys);
        if best >= NO_KEY {
            return false;
        }
        let at = best % (1 << POSITION_BITS);
        let merged = best >> POSITION_BITS;
        let right = self.next(at);
        self.live &= !(1 << right);
        self.keys[right as usize] = NO_KEY;
        self.tokens[at as usize] = merged;
        self.at = at;
        self.left = self.previous(at);
        self.line = pairs.prefetch(merged, self.tokens[self.next(at) as usize]);
        self.left_line = pairs.prefetch(self.tokens[self.left as usize], merged);
        true
    }

    #[inline(always)]
    fn next(&self, at: u32) -> u32 {
        (self.live & (!1 << at)).trailing_zeros() % 64
    }

    /// The live position in front of `at`, which is not the first one.
    #[inline(always)]
    fn previous(&self, at: u32) -> u32 {
        63 - (self.live & !(!0 << at) | 1).leading_zeros()
    }

    #[inline(always)]
    fn finish(&self, tokens: &mut [u32; LONGEST]) -> usize {
        let (mut live, mut count) = (self.live & (self.live - 1), 0);
        while live & (live - 1) != 0 {
            tokens[count] = self.tokens[live.trailing_zeros() as usize];
            count += 1;
            live &= live - 1;
        }
        count
    }
}

#[inline(always)]
fn key(merged: u32, at: u32) -> u32 {
    merged << POSITION_BITS | at
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
