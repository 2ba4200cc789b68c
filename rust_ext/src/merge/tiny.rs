//! A piece of four bytes or less: a merge or two, done at once.

use crate::{
    pairs::{NONE, Pairs},
    vocab,
};

/// Longest piece that can be merged here.
pub const LONGEST: usize = 4;

/// Whether a piece is one character of four bytes. These are so many, and what they merge into is so seldom
/// needed again, that neither turns in a batch nor a cache pay off.
#[inline(always)]
pub fn is_for(piece: &[u8]) -> bool {
    piece.len() == LONGEST && piece[0] >= 0xF0
}

/// Writes the tokens of `piece` to the start of `tokens` and returns how many they are.
#[inline(always)]
pub fn merge(pairs: &Pairs, piece: &[u8], tokens: &mut [u32; LONGEST]) -> usize {
    let bytes = vocab::byte_tokens();
    // What each token and the next one merge into.
    let mut merged = [NONE; LONGEST];
    let mut count = piece.len();
    for (token, &byte) in tokens.iter_mut().zip(piece) {
        *token = bytes[byte as usize];
    }
    for (merged, two) in merged.iter_mut().zip(piece.windows(2)) {
        *merged = pairs.merged_bytes(two[0], two[1]);
    }
    loop {
        let (at, lowest) = lowest(&merged);
        if lowest == NONE {
            return count;
        }
        count -= 1;
        tokens.copy_within(at + 1.., at);
        merged.copy_within(at + 1.., at);
        merged[LONGEST - 1] = NONE;
        tokens[at] = lowest;
        merged[at] = if at + 1 < count { pairs.merged(lowest, tokens[at + 1]) } else { NONE };
        if at > 0 {
            merged[at - 1] = pairs.merged(tokens[at - 1], lowest);
        }
    }
}

/// The lowest, and the first place that it is at.
#[inline(always)]
fn lowest(merged: &[u32; LONGEST]) -> (usize, u32) {
    let mut best = (0, merged[0]);
    for (at, &merged) in merged.iter().enumerate().skip(1) {
        best = if merged < best.1 { (at, merged) } else { best };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{slow, testing::Random};

    fn check(piece: &[u8]) {
        let mut tokens = [0; LONGEST];
        let count = merge(Pairs::get(), piece, &mut tokens);
        assert_eq!(tokens[..count], slow::merge(piece), "{piece:?}");
    }

    #[test]
    fn merges_as_the_heap_does() {
        let mut random = Random::new(31);
        for first in 0..=u8::MAX {
            check(&[first]);
            for second in 0..=u8::MAX {
                check(&[first, second]);
                // The common bytes, which merge with one another, as often as all the others.
                let mut byte = || match random.below(2) {
                    0 => b" \n\tetaoin.,()=/'0"[random.below(16)],
                    _ => random.below(256) as u8,
                };
                check(&[first, second, byte()]);
                check(&[byte(), first, second, byte()]);
            }
        }
    }

    #[test]
    fn merges_every_character_of_four_bytes_as_the_heap_does() {
        for character in ('\u{1_0000}'..=char::MAX).step_by(7) {
            check(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}
