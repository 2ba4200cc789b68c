//! Where the pair of two tokens stands in the table of pairs. Used by the build, which chooses the seeds
//! so that no line gets more pairs than it has slots, and by `pairs.rs`.

pub const RANK_BITS: u32 = 18;
pub const LINES_LOG2: u32 = 17;
pub const SLOTS: usize = 4;
pub const SEEDS_LOG2: u32 = 13;

#[inline(always)]
pub fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << RANK_BITS | u64::from(right)
}

/// The line of a key. All keys that share a seed can be moved to other lines by changing it.
#[inline(always)]
pub fn line(key: u64, seeds: &[u16; 1 << SEEDS_LOG2]) -> usize {
    let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let seed = seeds[(hash >> (64 - SEEDS_LOG2)) as usize];
    ((hash >> 29) as usize + seed as usize) % (1 << LINES_LOG2)
}

/// Number of the seed that decides where `key` goes.
#[allow(dead_code, reason = "only the build asks")]
pub fn group(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SEEDS_LOG2)) as usize
}
