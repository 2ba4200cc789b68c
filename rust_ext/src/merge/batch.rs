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
pub type Medium = Batch<Links<{ MEDIUM + 2 }>, { MEDIUM + 2 }>;

const GROUP: usize = 16;
const POSITION_BITS: u32 = 7;
const NO_KEY: u32 = NONE << POSITION_BITS;

/// Positions in order, 0 among them.
pub trait Positions: Copy {
    /// The first `count`.
    fn first(count: usize) -> Self;
    /// Takes out one that is neither the first nor the last.
    fn remove(&mut self, at: u32);
    /// The next position behind `at`, if it is not the last; else any.
    fn next(&self, at: u32) -> u32;
    /// The last position in front of `at`, if it is not the first; else any.
    fn previous(&self, at: u32) -> u32;
}

/// One bit for each.
impl Positions for u64 {
    #[inline(always)]
    fn first(count: usize) -> Self {
        !0 >> (64 - count)
    }

    #[inline(always)]
    fn remove(&mut self, at: u32) {
        *self &= !(1 << at);
    }

    #[inline(always)]
    fn next(&self, at: u32) -> u32 {
        (self & (!1 << at)).trailing_zeros() % 64
    }

    #[inline(always)]
    fn previous(&self, at: u32) -> u32 {
        63 - (self & !(!0 << at) | 1).leading_zeros()
    }
}

/// For more positions than a machine word has bits, each one's neighbours.
#[derive(Clone, Copy)]
pub struct Links<const POSITIONS: usize> {
    next: [u8; POSITIONS],
    previous: [u8; POSITIONS],
}

impl<const POSITIONS: usize> Positions for Links<POSITIONS> {
    #[inline(always)]
    fn first(_count: usize) -> Self {
        const { assert!(POSITIONS <= 128) };
        Self {
            next: std::array::from_fn(|at| (at as u8 + 1) % POSITIONS as u8),
            previous: std::array::from_fn(|at| (at as u8).saturating_sub(1)),
        }
    }

    #[inline(always)]
    fn remove(&mut self, at: u32) {
        let (next, previous) = (self.next[at as usize], self.previous[at as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
    }

    #[inline(always)]
    fn next(&self, at: u32) -> u32 {
        self.next[at as usize].into()
    }

    #[inline(always)]
    fn previous(&self, at: u32) -> u32 {
        self.previous[at as usize].into()
    }
}

/// A piece being merged. A token is kept at the position of its first byte. Position 0 and the one behind
/// the last byte hold `NONE`, which merges with nothing, so that every token has two neighbours.
///
/// There are no branches on what merges with what: they would be mispredicted half of the time, which
/// costs more than all the rest.
#[derive(Clone, Copy)]
struct Job<P, const POSITIONS: usize> {
    /// Positions that hold a token or `NONE`.
    live: P,
    length: usize,
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

impl<P: Positions, const POSITIONS: usize> Default for Batch<P, POSITIONS> {
    fn default() -> Self {
        let idle = Job {
            live: P::first(2),
            length: 0,
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
}

impl<P: Positions, const POSITIONS: usize> Batch<P, POSITIONS> {
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
        self.length = length;
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
        let (mut at, mut count) = (self.live.next(0), 0);
        while at as usize <= self.length {
            tokens[count] = self.tokens[at as usize];
            count += 1;
            at = self.live.next(at);
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
    use crate::{slow, testing::pieces};

    fn merges_as_the_heap_does<P: Positions, const POSITIONS: usize>() {
        let pieces: Vec<Vec<u8>> = pieces(3, 20_000, POSITIONS - 2).collect();
        let mut results = vec![Vec::new(); pieces.len()];
        let mut batch = Batch::<P, POSITIONS>::default();
        let numbered = pieces.iter().map(Vec::as_slice).enumerate();
        batch.merge(Pairs::get(), numbered, |i, tokens| results[i] = tokens.to_vec());
        for (piece, tokens) in pieces.iter().zip(results) {
            assert_eq!(tokens, slow::merge(piece), "{piece:?}");
        }
    }

    #[test]
    fn short_ones_merge_as_in_the_heap() {
        merges_as_the_heap_does::<u64, { SHORT + 2 }>();
    }

    #[test]
    fn medium_ones_merge_as_in_the_heap() {
        merges_as_the_heap_does::<Links<{ MEDIUM + 2 }>, { MEDIUM + 2 }>();
    }
}
