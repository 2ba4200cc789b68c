//! Characters that merging may begin with instead of with their bytes.
//!
//! A character that is a token is *solid* where no token of lower rank reaches into it: none that ends in its
//! first bytes and began before, none that begins with its last bytes and goes on. So while its bytes are apart,
//! the merges that bring them together have lower ranks than any that would join one of them to a neighbour,
//! and they come first. Whether a token can reach in depends on the byte next to the character: that is what
//! the two tables are for.

use std::{collections::HashMap, ops::RangeInclusive};

/// Characters of two and three bytes.
const CHARACTERS: RangeInclusive<char> = '\u{80}'..='\u{FFFF}';
/// What no rank is lower than.
const NONE: u32 = u32::MAX;

pub struct Packed {
    /// Code point and token of each character that is solid with the right neighbours.
    pub characters: Vec<u8>,
    /// By a byte and the first one of a character behind it, `byte << 6 | first % 64`: the lowest rank of a
    /// token that ends in the two.
    pub before: Vec<u8>,
    /// By the last byte of a character and the one behind it, `last % 64 << 8 | byte`: the lowest rank of a
    /// token that begins with the two.
    pub behind: Vec<u8>,
}

pub fn pack(tokens: &[Vec<u8>]) -> Packed {
    let mut before = vec![NONE; 1 << 14];
    let mut behind = vec![NONE; 1 << 14];
    for (token, rank) in tokens.iter().zip(0u32..) {
        if let [.., byte, first @ 0xC0..=0xFF] = **token {
            lower(&mut before[usize::from(byte) << 6 | usize::from(first) % 64], rank);
        }
        if let [last @ 0x80..0xC0, byte, ..] = **token {
            lower(&mut behind[usize::from(last) % 64 << 8 | usize::from(byte)], rank);
        }
    }
    let bytes = |numbers: Vec<u32>| numbers.into_iter().flat_map(u32::to_le_bytes).collect();
    Packed { characters: bytes(characters(tokens)), before: bytes(before), behind: bytes(behind) }
}

fn lower(rank: &mut u32, other: u32) {
    *rank = other.min(*rank);
}

/// Of three bytes only those that no token reaches two bytes deep into, whatever stands next to them.
fn characters(tokens: &[Vec<u8>]) -> Vec<u32> {
    let ranks: HashMap<&[u8], u32> = tokens.iter().map(Vec::as_slice).zip(0u32..).collect();
    let mut begins: HashMap<&[u8], u32> = HashMap::new();
    let mut ends: HashMap<&[u8], u32> = HashMap::new();
    for (token, rank) in tokens.iter().zip(0u32..).filter(|(token, _)| token.len() > 2) {
        begins.entry(&token[..2]).or_insert(rank);
        ends.entry(&token[token.len() - 2..]).or_insert(rank);
    }
    let solid = CHARACTERS.filter_map(|character| {
        let mut bytes = [0; 3];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        let rank = *ranks.get(bytes)?;
        let later = |reaching: Option<&u32>| reaching.is_none_or(|&other| other > rank);
        let apart = bytes.len() == 2 || later(begins.get(&bytes[1..])) && later(ends.get(&bytes[..2]));
        apart.then_some([u32::from(character), rank])
    });
    solid.flatten().collect()
}
