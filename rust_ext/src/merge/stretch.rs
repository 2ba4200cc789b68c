//! A stretch of a long piece, all its windows at once.
//!
//! The stretch is chopped anywhere into chunks, which merge together in a batch. What was merged near a
//! chop may be wrong, so the last tokens in front of it and the first ones behind it are merged again, as
//! one, again all in a batch. Then the seams are proved: see [`super::long`].

use super::{batch::Medium, long::joins};
use crate::{pairs::Pairs, vocab::Vocabulary};
use std::ops::Range;

/// Bytes of a chunk.
const CHUNK: usize = 96;
/// Chunks of a stretch, at most and at least.
const MOST: usize = 64;
const LEAST: usize = 4;
/// Bytes to merge again on each side of a chop, at most; but one token at least, of up to twice as much.
const MARGIN: usize = 31;

/// Reusable room.
pub struct Stretch {
    batch: Medium,
    /// How many chunks to try: few where the last try failed, more after each that did not.
    confidence: usize,
    /// Tokens of all chunks and chops, in the order in which they were merged.
    tokens: Vec<u32>,
    chunks: [Range<usize>; MOST],
    /// Of each chop: how many tokens of the chunks before and behind it are merged again, their bytes, and
    /// what they merge into.
    before: [usize; MOST],
    behind: [usize; MOST],
    bytes: [Range<usize>; MOST],
    chops: [Range<usize>; MOST],
}

impl Stretch {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            batch: Medium::default(),
            confidence: LEAST,
            tokens: Vec::new(),
            chunks: std::array::from_fn(|_| 0..0),
            before: [0; MOST],
            behind: [0; MOST],
            bytes: std::array::from_fn(|_| 0..0),
            chops: std::array::from_fn(|_| 0..0),
        })
    }

    /// Appends the first tokens of `rest` to `out` and returns how many bytes they are. `out` holds what
    /// stands in front of `rest`, from `first` on. `None`, and `out` is as it was, if there is too little
    /// left, or if a seam does not hold.
    #[inline(always)]
    pub fn merge(&mut self, pairs: &Pairs, rest: &[u8], first: usize, out: &mut Vec<u32>) -> Option<usize> {
        let count = (rest.len() / CHUNK).min(self.confidence);
        if count < LEAST {
            return None;
        }
        self.confidence = LEAST;
        self.tokens.clear();
        let chunks = (0..count).map(|i| (i, &rest[i * CHUNK..(i + 1) * CHUNK]));
        merge_all(&mut self.batch, pairs, chunks, &mut self.tokens, &mut self.chunks);
        for i in 0..count - 1 {
            self.measure_chop(i)?;
        }
        let chops = self.bytes[..count - 1].iter().map(|bytes| &rest[bytes.clone()]).enumerate();
        merge_all(&mut self.batch, pairs, chops, &mut self.tokens, &mut self.chops);

        let length = out.len();
        let merged = self.assemble(pairs, count, first, out);
        match merged {
            Some(_) => self.confidence = (2 * count).min(MOST),
            None => out.truncate(length),
        }
        merged
    }

    /// What is to be merged again around the chop behind chunk `i`.
    #[inline(always)]
    fn measure_chop(&mut self, i: usize) -> Option<()> {
        let before = &self.tokens[self.chunks[i].clone()];
        let behind = &self.tokens[self.chunks[i + 1].clone()];
        let (count_before, bytes_before) = margin(before.iter().rev())?;
        let (count_behind, bytes_behind) = margin(behind.iter())?;
        let chop = (i + 1) * CHUNK;
        self.before[i] = count_before;
        self.behind[i] = count_behind;
        self.bytes[i] = chop - bytes_before..chop + bytes_behind;
        Some(())
    }

    /// Appends chunks and chops in turn, as far as the last chunk's end cannot have spoiled them.
    #[inline(always)]
    fn assemble(&self, pairs: &Pairs, count: usize, first: usize, out: &mut Vec<u32>) -> Option<usize> {
        let mut append = |tokens: &[u32]| {
            if let (Some(&left), Some(&right)) = (out[first..].last(), tokens.first())
                && !joins(pairs, left, right)
            {
                return None;
            }
            out.extend_from_slice(tokens);
            Some(())
        };
        let last = count - 1;
        let last_tokens = &self.tokens[self.chunks[last].clone()][self.behind[last - 1]..];
        let (dropped, dropped_bytes) = margin(last_tokens.iter().rev())?;
        for i in 0..count {
            let Range { mut start, mut end } = self.chunks[i].clone();
            if i > 0 {
                start += self.behind[i - 1];
            }
            end -= if i < last { self.before[i] } else { dropped };
            // Less than nothing if a token of this chunk is in the margins of both of its chops.
            append(self.tokens.get(start..end)?)?;
            if i < last {
                append(&self.tokens[self.chops[i].clone()])?;
            }
        }
        Some(count * CHUNK - dropped_bytes)
    }
}

/// How many of `tokens`, from the first one on, are to be merged again, and how many bytes they are.
#[inline(always)]
fn margin<'a>(tokens: impl Iterator<Item = &'a u32>) -> Option<(usize, usize)> {
    let vocabulary = Vocabulary::get();
    let (mut count, mut bytes) = (0, 0);
    for &token in tokens {
        let longer = bytes + vocabulary.token(token).len();
        if longer > if count == 0 { 2 * MARGIN } else { MARGIN } {
            break;
        }
        (count, bytes) = (count + 1, longer);
    }
    (count > 0).then_some((count, bytes))
}

/// Merges `pieces`, appends their tokens to `tokens` and notes in `spans` where there.
#[inline(always)]
fn merge_all<'a>(
    batch: &mut Medium,
    pairs: &Pairs,
    pieces: impl Iterator<Item = (usize, &'a [u8])>,
    tokens: &mut Vec<u32>,
    spans: &mut [Range<usize>],
) {
    batch.merge(pairs, pieces, |i, merged| {
        spans[i] = tokens.len()..tokens.len() + merged.len();
        tokens.extend_from_slice(merged);
    });
}
