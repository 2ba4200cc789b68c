//! What pieces of several tokens were merged into: small caches of fixed size, one set for each thread that
//! encodes at the same time.

use crate::{
    key::{Key, fold},
    table::{Table, Zero},
};

const SHORT_LINES: usize = 1 << 16;
const LONG_LINES: usize = 1 << 16;
const LONGEST_LINES: usize = 1 << 10;

/// Longest piece that is cached.
pub const LONGEST: usize = 127;
/// Longest piece in the middle one of the three caches.
const LONG: usize = 31;

/// The ids of a piece: up to three here, more in a buffer of ids.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Found {
    pub ids: [u32; Self::FEW],
    /// How many there are.
    pub count: u32,
}

impl Found {
    pub const FEW: usize = 3;

    /// Of a piece that has few, and one at least.
    #[inline(always)]
    pub fn few(ids: &[u32]) -> Option<Self> {
        (ids.len() <= Self::FEW).then(|| Self { ids: padded(ids), count: ids.len() as u32 })
    }

    /// Those from `start` to `end` in a buffer, of a piece of any length.
    #[inline(always)]
    pub fn many(start: usize, end: usize) -> Self {
        // Past few by as much, so that one number says both what they are and how many.
        let count = (end - start + Self::FEW + 1) as u32;
        Self { ids: [start as u32, 0, 0], count }
    }

    #[inline(always)]
    pub fn is_few(&self) -> bool {
        self.count as usize <= Self::FEW
    }

    /// The ids, in the buffer that `many` was made for.
    #[inline(always)]
    pub fn of<'a>(&self, buffer: &'a [u32]) -> &'a [u32] {
        let start = self.ids[0] as usize;
        &buffer[start..start + self.count as usize - Self::FEW - 1]
    }
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct ShortEntry {
    key: Key,
    found: Found,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct ShortLine([ShortEntry; 2]);

/// A piece of less than `8 * WORDS` bytes, zero-padded, with its length in the last byte; and its ids.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line<const WORDS: usize, const IDS: usize> {
    piece: [u64; WORDS],
    count: u32,
    ids: [u32; IDS],
}

// SAFETY: zeros only.
unsafe impl Zero for ShortLine {}
// SAFETY: as above.
unsafe impl<const WORDS: usize, const IDS: usize> Zero for Line<WORDS, IDS> {}

/// Three caches, for pieces of up to 15, 31 and 127 bytes.
pub struct Cache {
    short: Table<ShortLine>,
    long: Table<Line<4, 7>>,
    longest: Table<Line<16, 15>>,
}

/// In the cache of short pieces: that the ids are too many for it, and so in the next one.
const ELSEWHERE: Found = Found { ids: [0; Found::FEW], count: 0 };

impl Default for Cache {
    fn default() -> Self {
        Self {
            short: Table::new(SHORT_LINES),
            long: Table::new(LONG_LINES),
            longest: Table::new(LONGEST_LINES),
        }
    }
}

impl Cache {
    /// The ids of the short piece `key`, which is `piece`, if they are here: few, or as many in `more`.
    #[inline(always)]
    pub fn short(&self, key: Key, hash: u64, piece: &[u8], more: &mut Vec<u32>) -> Option<Found> {
        let line = &self.short[hash as usize % SHORT_LINES].0;
        let [first, second] = [line[0].key.is(key), line[1].key.is(key)];
        let found = line[usize::from(!first)].found;
        match first | second {
            false => None,
            true if found.count == ELSEWHERE.count => get(&self.long, piece, more),
            true => Some(found),
        }
    }

    /// Keeps the ids of a short piece, in place of the older of the two in its line.
    #[inline(always)]
    pub fn put_short(&mut self, key: Key, hash: u64, piece: &[u8], ids: &[u32]) {
        let line = &mut self.short[hash as usize % SHORT_LINES].0;
        let found = Found::few(ids).unwrap_or_else(|| {
            put(&mut self.long, piece, ids);
            ELSEWHERE
        });
        line[1] = line[0];
        line[0] = ShortEntry { key, found };
    }

    /// The ids of a piece of more than 15 bytes, appended to `more`, if they are here.
    #[inline(always)]
    pub fn long(&self, piece: &[u8], more: &mut Vec<u32>) -> Option<Found> {
        if piece.len() <= LONG {
            get(&self.long, piece, more)
        } else if piece.len() <= LONGEST {
            get(&self.longest, piece, more)
        } else {
            None
        }
    }

    /// Keeps the ids of a piece of more than 15 bytes, if it and they are not too many.
    #[inline(always)]
    pub fn put_long(&mut self, piece: &[u8], ids: &[u32]) {
        if piece.len() <= LONG {
            put(&mut self.long, piece, ids);
        } else if piece.len() <= LONGEST {
            put(&mut self.longest, piece, ids);
        }
    }

    #[inline(always)]
    pub fn prefetch_short(&self, hash: u64) {
        // By the low bits: the table of tokens uses the top ones.
        crate::prefetch(&self.short[hash as usize % SHORT_LINES]);
    }
}

#[inline(always)]
fn get<const WORDS: usize, const IDS: usize>(
    lines: &Table<Line<WORDS, IDS>>,
    piece: &[u8],
    more: &mut Vec<u32>,
) -> Option<Found> {
    let words = words::<WORDS>(piece);
    let line = &lines[home(&words) % lines.len()];
    (line.piece == words).then(|| {
        more.extend_from_slice(&line.ids[..line.count as usize]);
        Found::many(more.len() - line.count as usize, more.len())
    })
}

#[inline(always)]
fn put<const WORDS: usize, const IDS: usize>(lines: &mut Table<Line<WORDS, IDS>>, piece: &[u8], ids: &[u32]) {
    if ids.len() <= IDS {
        let words = words(piece);
        let at = home(&words) % lines.len();
        lines[at] = Line { piece: words, count: ids.len() as u32, ids: padded(ids) };
    }
}

#[inline(always)]
fn words<const WORDS: usize>(piece: &[u8]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let mut chunks = piece.chunks_exact(8);
    for (word, chunk) in words.iter_mut().zip(&mut chunks) {
        *word = u64::from_le_bytes(chunk.try_into().expect("8 bytes"));
    }
    let rest = chunks.remainder().iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    words[piece.len() / 8] = rest;
    words[WORDS - 1] |= (piece.len() as u64) << 56;
    words
}

#[inline(always)]
fn home<const WORDS: usize>(words: &[u64; WORDS]) -> usize {
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().fold(0, |hash, [a, b]| fold(hash ^ a ^ 0x9E37_79B9_7F4A_7C15, b ^ 0xD6E8_FEB8_6659_FD93))
        as usize
}

#[inline(always)]
fn padded<const N: usize>(ids: &[u32]) -> [u32; N] {
    std::array::from_fn(|i| ids.get(i).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pieces;

    #[test]
    fn gives_back_what_was_put_in_last() {
        let mut cache = Cache::default();
        let (mut kept, mut more) = (0, Vec::new());
        for piece in pieces(6, 20_000, LONGEST + 20) {
            // As in real use: the same piece has the same ids.
            let sum = piece.iter().map(|&byte| u32::from(byte)).sum();
            let ids: Vec<u32> = (sum..=sum + sum % 20).collect();
            let found = if piece.len() <= crate::key::SHORT {
                let key = Key::of(&piece);
                cache.put_short(key, key.hash(), &piece, &ids);
                cache.short(key, key.hash(), &piece, &mut more)
            } else {
                cache.put_long(&piece, &ids);
                cache.long(&piece, &mut more)
            };
            if let Some(found) = found {
                let given = if found.is_few() { &found.ids[..found.count as usize] } else { found.of(&more) };
                assert_eq!(given, ids);
                kept += 1;
            }
        }
        assert!(kept > 10_000, "{kept}");
    }
}
