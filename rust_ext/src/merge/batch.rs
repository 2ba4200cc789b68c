//! Many pieces at once.
//!
//! A merge has to know what its result merges with next, and the two table lines that tell are seldom in
//! a near cache. So a group of pieces takes turns: each does one merge, asks for its two lines, and lets
//! the others go on until they are there.

use super::lowest;
use crate::{
    pairs::{NONE, Pairs},
    vocab,
};

/// Longest piece that [`Short`] merges.
pub const SHORT: usize = 38;
/// Longest piece that [`Medium`] merges.
pub const MEDIUM: usize = 126;

// Two positions more than bytes: see `Job`.
pub type Short = Batch<u64, { SHORT + 2 }>;
pub type Medium = Batch<u128, { MEDIUM + 2 }>;

const GROUP: usize = 16;
const POSITION_BITS: u32 = 7;
const NO_KEY: u32 = NONE << POSITION_BITS;

/// A set of positions.
pub trait Positions: Copy + Default {
    fn first(count: usize) -> Self;
    fn remove(&mut self, at: u32);
    /// The next position behind `at`, of which there is one.
    fn next(self, at: u32) -> u32;
    /// The last position in front of `at`; `at` or 0 if there is none.
    fn previous(self, at: u32) -> u32;
    /// Takes the lowest position out, if there is one.
    fn pop(&mut self) -> Option<u32>;
}

macro_rules! positions {
    ($word:ty) => {
        impl Positions for $word {
            #[inline(always)]
            fn first(count: usize) -> Self {
                !0 >> (<$word>::BITS as usize - count)
            }

            #[inline(always)]
            fn remove(&mut self, at: u32) {
                *self &= !(1 << at);
            }

            #[inline(always)]
            fn next(self, at: u32) -> u32 {
                (self & (!1 << at)).trailing_zeros() % <$word>::BITS
            }

            #[inline(always)]
            fn previous(self, at: u32) -> u32 {
                <$word>::BITS - 1 - (self & !(!0 << at) | 1).leading_zeros()
            }

            #[inline(always)]
            fn pop(&mut self) -> Option<u32> {
                let lowest = (*self != 0).then(|| self.trailing_zeros());
                *self &= self.wrapping_sub(1);
                lowest
            }
        }
    };
}

positions!(u64);
positions!(u128);

/// A piece being merged. A token is kept at the position of its first byte. Position 0 and the one behind
/// the last byte hold `NONE`, which merges with nothing, so that every token has two neighbours.
///
/// There are no branches on what merges with what: they would be mispredicted half of the time, which
/// costs more than all the rest.
#[derive(Clone, Copy)]
struct Job<P, const POSITIONS: usize> {
    /// Positions that hold a token or `NONE`.
    live: P,
    tokens: [u32; POSITIONS],
    /// What the token at a position and the next one merge into, `<< 7 |` the position; `NO_KEY` or more
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

/// Reusable room for a group of jobs.
pub struct Batch<P, const POSITIONS: usize> {
    jobs: Box<[Job<P, POSITIONS>; GROUP]>,
}

impl<P: Positions, const POSITIONS: usize> Batch<P, POSITIONS> {
    pub fn new() -> Self {
        let idle = Job {
            live: P::default(),
            tokens: [NONE; POSITIONS],
            keys: [NO_KEY; POSITIONS],
            at: 0,
            left: 0,
            line: 0,
            left_line: 0,
            piece: 0,
        };
        Self { jobs: Box::new([idle; GROUP]) }
    }

    /// Merges each of `pieces` (two bytes less than there are positions, at most) and hands its number and
    /// its tokens to `done`, in any order.
    #[inline(always)]
    pub fn merge<'a>(
        &mut self,
        pairs: &Pairs,
        pieces: impl Iterator<Item = (usize, &'a [u8])>,
        mut done: impl FnMut(usize, &[u32]),
    ) {
        let mut pieces = pieces;
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
                let mut tokens = [0; POSITIONS];
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
    fn job(&mut self, turn: u8) -> &mut Job<P, POSITIONS> {
        &mut self.jobs[turn as usize % GROUP]
    }
}

impl<P: Positions, const POSITIONS: usize> Job<P, POSITIONS> {
    #[inline(always)]
    fn start(&mut self, pairs: &Pairs, piece: &[u8], number: usize) {
        let length = piece.len();
        assert!(0 < length && length <= POSITIONS - 2);
        let bytes = vocab::byte_tokens();
        self.live = P::first(length + 2);
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
        let right_token = self.tokens[self.live.next(at) as usize];
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
        let right = self.live.next(at);
        self.live.remove(right);
        self.keys[right as usize] = NO_KEY;
        self.tokens[at as usize] = merged;
        self.at = at;
        self.left = self.live.previous(at);
        self.line = pairs.prefetch(merged, self.tokens[self.live.next(at) as usize]);
        self.left_line = pairs.prefetch(self.tokens[self.left as usize], merged);
        true
    }

    #[inline(always)]
    fn finish(&self, tokens: &mut [u32; POSITIONS]) -> usize {
        let mut live = self.live;
        let mut count = 0;
        while let Some(at) = live.pop() {
            // The places before and behind the piece are overwritten and left out.
            tokens[count] = self.tokens[at as usize];
            count += usize::from(at != 0);
        }
        count - 1
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

    fn merges_as_the_heap_does<P: Positions, const POSITIONS: usize>() {
        let pieces: Vec<Vec<u8>> = pieces(3, 20_000, POSITIONS - 2).collect();
        let mut results = vec![Vec::new(); pieces.len()];
        let mut batch = Batch::<P, POSITIONS>::new();
        let numbered = pieces.iter().map(Vec::as_slice).enumerate();
        batch.merge(Pairs::get(), numbered, |i, tokens| results[i] = tokens.to_vec());
        for (piece, tokens) in pieces.iter().zip(results) {
            let mut expected = Vec::new();
            heap::merge(piece, &mut expected);
            assert_eq!(tokens, expected, "{piece:?}");
        }
    }

    #[test]
    fn short_ones_merge_as_in_the_heap() {
        merges_as_the_heap_does::<u64, { SHORT + 2 }>();
    }

    #[test]
    fn medium_ones_merge_as_in_the_heap() {
        merges_as_the_heap_does::<u128, { MEDIUM + 2 }>();
    }
}
