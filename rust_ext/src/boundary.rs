//! Keys of the boundary between two characters. Used by the build, which fills the set of boundaries
//! that a token reaches across, and by `cuts.rs`, which asks it.

/// The set is a bitmap over hashes: a boundary that shares its bit with another only costs a cut.
pub const BITS: u32 = 19;

/// Length in bytes of the UTF-8 character that starts with `first`.
#[inline(always)]
pub fn char_len(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// A whole character's bytes as one number; any packing would do that tells all characters apart.
#[inline(always)]
pub fn pack(character: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    bytes[..character.len()].copy_from_slice(character);
    u32::from_le_bytes(bytes)
}

/// Where the boundary between `left` and `right` stands in the bitmap. `left` is a whole character or,
/// for tokens that begin inside one, its last byte.
#[inline(always)]
pub fn bit(left: u32, right: u32) -> usize {
    let key = u64::from(left) << 32 | u64::from(right);
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS)) as usize
}
