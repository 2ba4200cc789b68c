//! The vocabulary as a merge list: each token's two halves, which also spell its bytes.
//!
//! Byte-pair encoding of a token's own bytes ends in one merge that gives the token; its two inputs are
//! the token's *canonical split*. No other split of it is ever merged in any text, because the merges
//! inside a token's span run the same way whatever stands around it. So 199,742 pairs are the whole
//! merge table, and expanding them gives back every token's bytes.

use std::collections::HashMap;

/// Marks a token that is a single byte: its left half is then the byte itself.
const BYTE: u32 = u32::MAX;

/// The two halves of every token in rank order, as little-endian `u32`s.
pub fn pack(tokens: &[Vec<u8>]) -> Vec<u8> {
    let ranks: HashMap<&[u8], u32> = tokens.iter().map(Vec::as_slice).zip(0u32..).collect();
    assert!(ranks.len() == tokens.len(), "two ranks spell the same bytes");
    let splits = tokens.iter().zip(0u32..).map(|(token, rank)| canonical_split(token, rank, &ranks));
    splits.flat_map(|(left, right)| [left, right]).flat_map(u32::to_le_bytes).collect()
}

fn canonical_split(token: &[u8], rank: u32, ranks: &HashMap<&[u8], u32>) -> (u32, u32) {
    if let [byte] = token {
        return (u32::from(*byte), BYTE);
    }
    let mut cuts: Vec<usize> = (0..=token.len()).collect();
    while cuts.len() > 3 {
        let best = (0..cuts.len() - 2)
            .filter_map(|i| Some((*ranks.get(&token[cuts[i]..cuts[i + 2]])?, i)))
            .min()
            .unwrap_or_else(|| panic!("token {rank} cannot be reached by merging"));
        cuts.remove(best.1 + 1);
    }
    let (left, right) = (ranks[&token[..cuts[1]]], ranks[&token[cuts[1]..]]);
    assert!(left < rank && right < rank, "token {rank} is merged from a later token");
    (left, right)
}
