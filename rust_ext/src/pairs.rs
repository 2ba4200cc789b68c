//! Which two tokens merge, and into what: a static hash table of the canonical pairs.

use crate::vocab;
use std::sync::OnceLock;

const LINES_LOG2: u32 = 16;
const SLOTS: usize = 8;
const RANK_BITS: u32 = 18;
const EMPTY: u64 = u64::MAX;

/// No token: what two tokens merge into that do not merge.
pub const NONE: u32 = u32::MAX;

/// One cache line of entries `left << 36 | right << 18 | merged`, filled from the front.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; SLOTS]);

pub struct Pairs {
    lines: Vec<Line>,
    /// What two bytes merge into, by `first << 8 | second`.
    bytes: Vec<u32>,
}

impl Pairs {
    /// The process's one table, built at first use.
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Pairs> = OnceLock::new();
        SHARED.get_or_init(Self::build)
    }

    fn build() -> Self {
        let mut pairs =
            Self { lines: vec![Line([EMPTY; SLOTS]); 1 << LINES_LOG2], bytes: vec![NONE; 1 << 16] };
        for rank in 0..vocab::TOKENS as u32 {
            let Some((left, right)) = vocab::split(rank) else { continue };
            pairs.insert(left, right, rank);
            if let (Some(first), Some(second)) = (vocab::byte(left), vocab::byte(right)) {
                pairs.bytes[usize::from(first) << 8 | usize::from(second)] = rank;
            }
        }
        pairs
    }

    fn insert(&mut self, left: u32, right: u32, merged: u32) {
        let key = key(left, right);
        let mut at = home(key);
        let slot = loop {
            match self.lines[at].0.iter_mut().find(|slot| **slot == EMPTY) {
                Some(slot) => break slot,
                None => at = next(at),
            }
        };
        *slot = key << RANK_BITS | u64::from(merged);
    }

    /// The token that `left` and `right` merge into, or `NONE`.
    #[inline(always)]
    pub fn merged(&self, left: u32, right: u32) -> u32 {
        self.merged_at(home(key(left, right)), left, right)
    }

    /// The same, with the line's place computed (and prefetched) beforehand.
    #[inline(always)]
    pub fn merged_at(&self, home: usize, left: u32, right: u32) -> u32 {
        let key = key(left, right);
        let mut at = home;
        loop {
            let line = &self.lines[at].0;
            // No branch on where in the line the entry is: the compiler makes vectors of this.
            let found = line
                .iter()
                .fold(0, |found, &entry| found | if entry >> RANK_BITS == key { entry } else { 0 });
            if found != 0 {
                return found as u32 & ((1 << RANK_BITS) - 1);
            }
            if line[SLOTS - 1] == EMPTY {
                return NONE;
            }
            at = next(at);
        }
    }

    /// Where to look for the pair; the line there is on its way to the cache.
    #[inline(always)]
    pub fn prefetch(&self, left: u32, right: u32) -> usize {
        let home = home(key(left, right));
        crate::prefetch(&self.lines[home]);
        home
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

#[inline(always)]
fn home(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - LINES_LOG2)) as usize
}

#[inline(always)]
fn next(line: usize) -> usize {
    (line + 1) % (1 << LINES_LOG2)
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
        let entries = pairs.lines.iter().flat_map(|line| line.0).filter(|&e| e != EMPTY).count();
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
