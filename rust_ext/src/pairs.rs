//! Which two tokens merge, and into what: a static hash table of the canonical pairs.

use crate::{
    table::{Table, Zero, in_groups},
    vocab,
};
use std::sync::OnceLock;

const RANK_BITS: u32 = 18;
/// No token: what two tokens merge into that do not merge, and a neighbour that merges with none.
pub const NONE: u32 = (1 << RANK_BITS) - 1;

const LINES_LOG2: u32 = 17;
const SLOTS: usize = 4;
const LINES: usize = 1 << LINES_LOG2;

/// Entries `!merged << 36 | left << 18 | right`; 0 is none. The top bit of the first says whether a pair that
/// belongs here stands in a line behind, since this one was full.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Line([u64; SLOTS]);

const PAIR: u64 = (1 << (2 * RANK_BITS)) - 1;
const OVERFLOWED: u64 = 1 << 63;

// SAFETY: four times the number 0.
unsafe impl Zero for Line {}

pub struct Pairs {
    lines: Table<Line>,
    /// What two bytes merge into, by `first << 8 | second`.
    bytes: Box<[u32; 1 << 16]>,
}

impl Pairs {
    /// The process's one table, built at first use.
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Pairs> = OnceLock::new();
        SHARED.get_or_init(Self::build)
    }

    fn build() -> Self {
        let mut pairs = Self { lines: Table::new(LINES), bytes: Box::new([NONE; 1 << 16]) };
        let merges = (0..vocab::TOKENS as u32).filter_map(|rank| {
            let (left, right) = vocab::split(rank)?;
            Some((left, right, rank))
        });
        let ask = |pairs: &Self, &(left, right, _): &(u32, u32, u32)| {
            pairs.prefetch(left, right);
        };
        in_groups(&mut pairs, merges, ask, Self::insert);
        pairs
    }

    fn insert(&mut self, (left, right, merged): (u32, u32, u32)) {
        let key = key(left, right);
        let mut number = line(key);
        // Two thirds of the slots stay empty.
        loop {
            let line = &mut self.lines[number as usize].0;
            if let Some(slot) = line.iter_mut().find(|slot| **slot & !OVERFLOWED == 0) {
                *slot |= u64::from(merged ^ NONE) << (2 * RANK_BITS) | key;
                break;
            }
            line[0] |= OVERFLOWED;
            number = next(number);
        }
        if let (Some(first), Some(second)) = (vocab::byte(left), vocab::byte(right)) {
            self.bytes[usize::from(first) << 8 | usize::from(second)] = merged;
        }
    }

    /// The token that `left` and `right` merge into, or `NONE`.
    #[inline(always)]
    pub fn merged(&self, left: u32, right: u32) -> u32 {
        self.merged_at(line(key(left, right)), left, right)
    }

    /// The same, with the number of the line known (and the line prefetched) beforehand.
    #[inline(always)]
    pub fn merged_at(&self, number: u32, left: u32, right: u32) -> u32 {
        let key = key(left, right);
        let line = &self.lines[number as usize].0;
        // No branch on where in the line the entry is: the compiler makes vectors of this.
        let found = line.map(|entry| if entry & PAIR == key { entry } else { 0 });
        let found = (found[0] | found[1]) | (found[2] | found[3]);
        if line[0] & OVERFLOWED != 0 && found == 0 {
            return self.merged_behind(next(number), key);
        }
        // Of no entry, the complement of 0: `NONE`.
        !((found >> (2 * RANK_BITS)) as u32) & NONE
    }

    #[cold]
    fn merged_behind(&self, mut number: u32, key: u64) -> u32 {
        loop {
            let line = &self.lines[number as usize].0;
            if let Some(entry) = line.iter().find(|&entry| entry & PAIR == key) {
                return !((entry >> (2 * RANK_BITS)) as u32) & NONE;
            }
            if line[0] & OVERFLOWED == 0 {
                return NONE;
            }
            number = next(number);
        }
    }

    /// Number of the line to look for the pair in; it is on its way to the cache.
    #[inline(always)]
    pub fn prefetch(&self, left: u32, right: u32) -> u32 {
        let line = line(key(left, right));
        crate::prefetch(&self.lines[line as usize]);
        line
    }

    /// The token that two bytes merge into, or `NONE`.
    #[inline(always)]
    pub fn merged_bytes(&self, first: u8, second: u8) -> u32 {
        self.bytes[usize::from(first) << 8 | usize::from(second)]
    }
}

#[inline(always)]
fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << RANK_BITS | u64::from(right)
}

/// Number of the line that a pair belongs in.
#[inline(always)]
fn line(key: u64) -> u32 {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - LINES_LOG2)) as u32
}

#[inline(always)]
fn next(line: u32) -> u32 {
    (line + 1) % LINES as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_canonical_pair_and_no_other() {
        let pairs = Pairs::get();
        let mut known = 0;
        for rank in 0..vocab::TOKENS as u32 {
            if let Some((left, right)) = vocab::split(rank) {
                assert_eq!(pairs.merged(left, right), rank);
                known += 1;
            }
        }
        let entries = pairs.lines.iter().flat_map(|line| line.0).filter(|&e| e & !OVERFLOWED != 0).count();
        assert_eq!((known, entries), (199_742, 199_742));
    }

    #[test]
    fn knows_pairs_of_bytes_without_a_search() {
        let (pairs, tokens) = (Pairs::get(), vocab::byte_tokens());
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let merged = pairs.merged(tokens[first as usize], tokens[second as usize]);
                assert_eq!(pairs.merged_bytes(first, second), merged);
            }
        }
    }
}
