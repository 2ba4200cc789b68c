//! Pairs of tokens as numbers. Used by the build as well as by `pairs.rs`.

pub const RANK_BITS: u32 = 18;

#[inline(always)]
pub fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << RANK_BITS | u64::from(right)
}

#[inline(always)]
pub fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
