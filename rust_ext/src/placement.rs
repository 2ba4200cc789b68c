//! Where keys stand in the static tables. Used by the build, which chooses seeds so that no line of a table
//! gets more keys than it has slots, and by the tables: a lookup reads one line, always.

/// A table of `2^lines_log2` lines of `slots` keys each, whose keys share `2^seeds_log2` seeds.
pub struct Layout {
    pub lines_log2: u32,
    pub slots: usize,
    pub seeds_log2: u32,
}

/// Pairs of tokens that merge.
pub const PAIRS: Layout = Layout { lines_log2: 17, slots: 4, seeds_log2: 13 };
/// Tokens of up to 15 bytes.
pub const PIECES: Layout = Layout { lines_log2: 17, slots: 3, seeds_log2: 13 };

impl Layout {
    pub const fn lines(&self) -> usize {
        1 << self.lines_log2
    }

    pub const fn seeds(&self) -> usize {
        1 << self.seeds_log2
    }

    /// Number of the seed that moves the keys with this hash.
    #[inline(always)]
    pub const fn group(&self, hash: u64) -> usize {
        (hash >> (64 - self.seeds_log2)) as usize
    }

    /// The line of the keys with this hash.
    #[inline(always)]
    pub const fn line(&self, hash: u64, seed: u16) -> usize {
        ((hash >> 24) as usize + seed as usize) & (self.lines() - 1)
    }
}

/// Seeds as the build packs them.
pub const fn seeds<const N: usize>(packed: &[u8]) -> [u16; N] {
    assert!(packed.len() == 2 * N);
    let mut seeds = [0; N];
    let mut i = 0;
    while i < N {
        seeds[i] = u16::from_le_bytes([packed[2 * i], packed[2 * i + 1]]);
        i += 1;
    }
    seeds
}
