//! Cuts text where the o200k pattern does, without a regex engine.
//!
//! ```text
//! [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//! [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//! \p{N}{1,3}
//!  ?[^\s\p{L}\p{N}]+[\r\n/]*
//! \s*[\r\n]+
//! \s+(?!\S)
//! \s+
//! ```
//!
//! [`scalar`] cuts one piece of any text. [`blocks`] cuts 64 bytes at a time, of characters of up to two bytes.
//! [`Pretokenizer`] uses the second where it can, and also cuts pieces where no token of the vocabulary can reach across
//! ([`crate::cuts`]), which byte-pair merging cannot tell from a cut of the pattern.

pub mod blocks;
pub mod scalar;

use crate::cuts;
use blocks::{BLOCK, Classify};

/// The pieces of a text, handed out in batches.
pub struct Pretokenizer<'a> {
    text: &'a str,
    /// Where the next piece starts.
    at: usize,
    /// Where the piece of the pattern ends that `at` is inside of; `at` if it is not inside one.
    piece_end: usize,
}

impl<'a> Pretokenizer<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, piece_end: 0 }
    }

    /// Writes the starts of the next pieces and the end of the last one; returns how many pieces.
    /// Zero means that the text is used up.
    #[inline(always)]
    pub fn fill<C: Classify>(&mut self, starts: &mut [usize]) -> usize {
        let bytes = self.text.as_bytes();
        let room = starts.len() - 1;
        let mut n = 0;
        while n + BLOCK <= room && self.at < bytes.len() {
            if self.at < self.piece_end {
                let (found, next) = cuts::cut(bytes, self.at, self.piece_end, &mut starts[n..room]);
                n += found;
                self.at = next;
                continue;
            }
            if blocks::begins_at(bytes, self.at) {
                let (found, next) = blocks::starts::<C>(bytes, self.at, &mut starts[n..]);
                n += found;
                self.at = next;
                self.piece_end = next;
                if found > 0 {
                    continue;
                }
            }
            self.piece_end = scalar::piece_end(self.text, self.at);
            // Cuts are few but between characters of three bytes and more.
            if bytes[self.at..self.piece_end].iter().fold(0, |most, &byte| most.max(byte)) < 0xE0 {
                starts[n] = self.at;
                n += 1;
                self.at = self.piece_end;
            }
        }
        starts[n] = self.at;
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        processor::{self, Portable},
        testing::{Random, texts},
    };

    fn pieces<C: Classify>(text: &str) -> Vec<usize> {
        let mut pretokenizer = Pretokenizer::new(text);
        let mut starts = [0; 3 * BLOCK];
        let mut all = Vec::new();
        loop {
            let n = pretokenizer.fill::<C>(&mut starts);
            if n == 0 {
                return all;
            }
            all.extend_from_slice(&starts[..n]);
        }
    }

    fn slow_pieces(text: &str) -> Vec<usize> {
        let (mut at, mut all) = (0, Vec::new());
        while at < text.len() {
            let end = scalar::piece_end(text, at);
            let mut starts = vec![at; end - at + 1];
            let wide = text.as_bytes()[at..end].iter().any(|&byte| byte >= 0xE0);
            let count = if wide { cuts::cut(text.as_bytes(), at, end, &mut starts).0 } else { 1 };
            all.extend_from_slice(&starts[..count]);
            at = end;
        }
        all
    }

    #[test]
    fn blocks_cut_where_single_pieces_do() {
        for text in texts(Random::new(7), 20_000) {
            let expected = slow_pieces(&text);
            assert_eq!(pieces::<Portable>(&text), expected, "{text:?}");
            #[cfg(target_arch = "x86_64")]
            if processor::Avx2::is_available() {
                assert_eq!(pieces::<processor::Avx2>(&text), expected, "{text:?}");
            }
        }
    }
}
