//! Which two tokens merge, and into what: a static hash table of the canonical pairs.

use crate::vocab;
use std::sync::OnceLock;

const LINES: usize = 1 << 16;
const RANK_BITS: u32 = 18;
const EMPTY: u64 = u64::MAX;

/// One cache line of entries `left << 36 | right << 18 | merged`, filled from the front.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; 8]);

pub struct Pairs {
    lines: Vec<Line>,
}

impl Pairs {
    /// The process's one table, built at first use.
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Pairs> = OnceLock::new();
        SHARED.get_or_init(Self::build)
    }

    fn build() -> Self {
        let mut lines = vec![Line([EMPTY; 8]); LINES];
        for rank in 0..vocab::TOKENS as u32 {
            let Some((left, right)) = vocab::split(rank) else { continue };
            let key = key(left, right);
            let mut at = home(key);
            let slot = loop {
                match lines[at].0.iter_mut().find(|slot| **slot == EMPTY) {
                    Some(slot) => break slot,
                    None => at = (at + 1) % LINES,
                }
            };
            *slot = key << RANK_BITS | u64::from(rank);
        }
        Self { lines }
    }

    /// The token that `left` and `right` merge into.
    #[inline(always)]
    pub fn merged(&self, left: u32, right: u32) -> Option<u32> {
        let key = key(left, right);
        let mut at = home(key);
        loop {
            let line = &self.lines[at].0;
            for &entry in line {
                if entry >> RANK_BITS == key {
                    return Some(entry as u32 & ((1 << RANK_BITS) - 1));
                }
            }
            if line[7] == EMPTY {
                return None;
            }
            at = (at + 1) % LINES;
        }
    }
}

#[inline(always)]
fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << RANK_BITS | u64::from(right)
}

#[inline(always)]
fn home(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize
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
                assert_eq!(pairs.merged(left, right), Some(rank));
                known += 1;
            }
        }
        let entries = pairs.lines.iter().flat_map(|line| line.0).filter(|&e| e != EMPTY).count();
        assert_eq!((known, entries), (199_742, 199_742));
    }
}
