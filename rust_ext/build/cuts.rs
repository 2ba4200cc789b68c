//! The boundaries between two non-ASCII characters that some token reaches across.
//!
//! Across any other boundary nothing can ever be merged, whatever stands around it, so a piece may be
//! cut there and its parts encoded apart. In Chinese and Japanese that is most boundaries.

use crate::boundary::{BITS, bit, char_len, pack as pack_char};

/// The bitmap that `src/cuts.rs` asks.
pub fn pack(tokens: &[Vec<u8>]) -> Vec<u8> {
    let mut bitmap = vec![0u8; 1 << (BITS - 3)];
    for token in tokens {
        for at in 1..token.len() {
            if token[at] >= 0xC0 && token[at - 1] >= 0x80 {
                for bit in spanned(&token[..at], &token[at..]) {
                    bitmap[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
    }
    bitmap
}

/// Bits of all boundaries that a token spans which is `left` in front of a boundary and `right` behind.
fn spanned(left: &[u8], right: &[u8]) -> Vec<usize> {
    let lefts = left_characters(left);
    right_characters(right).into_iter().flat_map(|r| lefts.iter().map(move |&l| bit(l, r))).collect()
}

/// The last character of `bytes`. Of one that begins earlier: its last byte, which stands for every
/// character that ends so.
fn left_characters(bytes: &[u8]) -> Vec<u32> {
    let first = bytes.iter().rposition(|&byte| !(0x80..0xC0).contains(&byte));
    match first {
        Some(first) if bytes[first] >= 0xC0 => vec![pack_char(&bytes[first..])],
        Some(_) => panic!("a token holds a continuation byte behind an ASCII one"),
        None => vec![u32::from(bytes[bytes.len() - 1])],
    }
}

/// The first character of `bytes`; of one that the token cuts off, every way to complete it.
fn right_characters(bytes: &[u8]) -> Vec<u32> {
    let length = char_len(bytes[0]);
    let mut characters = vec![bytes[..length.min(bytes.len())].to_vec()];
    for _ in bytes.len()..length {
        let complete =
            |c: &Vec<u8>| (0x80..0xC0).map(|byte| [c.as_slice(), &[byte]].concat()).collect::<Vec<_>>();
        characters = characters.iter().flat_map(complete).collect();
    }
    characters.iter().map(|c| pack_char(c)).collect()
}
