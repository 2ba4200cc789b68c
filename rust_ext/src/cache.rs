//! What pieces of several tokens were merged into: small caches of fixed size, one set for each thread that
//! encodes at the same time.

use crate::{
    key::{self, Key, LongKey, fold},
    table::{Table, Zero},
};

const SHORT_LINES: usize = 1 << 17;
const LONG_LINES: usize = 1 << 17;
const LONGEST_LINES: usize = 1 << 10;

/// Longest piece that is cached.
pub const LONGEST: usize = 127;

/// The ids of a piece: up to four here, more in a buffer of ids.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Found {
    pub ids: [u32; Self::FEW],
    /// How many there are.
    pub count: u32,
}

impl Found {
    pub const FEW: usize = 4;

    /// Of a piece that has few, and one at least.
    #[inline(always)]
    pub fn few(ids: &[u32]) -> Option<Self> {
        (ids.len() <= Self::FEW).then(|| Self { ids: padded(ids), count: ids.len() as u32 })
    }

    /// Of any piece: appends them to `buffer`.
    #[inline(always)]
    pub fn many(ids: &[u32], buffer: &mut Vec<u32>) -> Self {
        buffer.extend_from_slice(ids);
        Self::last(buffer.len() - ids.len(), buffer)
    }

    /// The ids from `start` to the end of `buffer`.
    #[inline(always)]
    pub fn last(start: usize, buffer: &[u32]) -> Self {
        // Past few by as much, so that one number says both what they are and how many.
        let count = (buffer.len() - start + Self::FEW + 1) as u32;
        Self { ids: [start as u32, 0, 0, 0], count }
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

/// Two entries of a key and up to four ids, or one of a key and up to twelve, whose ids then are where the other
/// would be: they are not taken for its key, since a key has a length in its top byte. In the top byte of an
/// entry's first id is how many there are.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct ShortLine {
    key: Key,
    ids: [u32; Found::FEW],
    other: Key,
    other_ids: [u32; Found::FEW],
}

const COUNT_SHIFT: u32 = 24;
/// Ids of one short piece, at most.
const SHORT_IDS: usize = 12;

impl ShortLine {
    #[inline(always)]
    fn get(&self, key: Key, more: &mut Vec<u32>) -> Option<Found> {
        let [first, second] = [self.key.is(key), self.other.is(key)];
        if !(first | second) {
            return None;
        }
        let mut ids = if first { self.ids } else { self.other_ids };
        let count = ids[0] >> COUNT_SHIFT;
        ids[0] %= 1 << COUNT_SHIFT;
        if count as usize <= Found::FEW {
            return Some(Found { ids, count });
        }
        let from = more.len();
        more.extend_from_slice(&self.all_ids()[..count as usize]);
        more[from] = ids[0];
        Some(Found::last(from, more))
    }

    /// Keeps the ids, in place of the older of the two.
    #[inline(always)]
    fn put(&mut self, key: Key, ids: &[u32]) {
        let count = ids.len();
        if count > SHORT_IDS {
            return;
        }
        let whole = (self.ids[0] >> COUNT_SHIFT) as usize > Found::FEW;
        (self.other, self.other_ids) = if whole { (Key::default(), [0; _]) } else { (self.key, self.ids) };
        self.key = key;
        if count <= Found::FEW {
            self.ids = padded(ids);
        } else {
            *self = Self::of_one(key, padded(ids));
        }
        self.ids[0] |= (count as u32) << COUNT_SHIFT;
    }

    #[inline(always)]
    fn all_ids(&self) -> [u32; SHORT_IDS] {
        let [a, b, c, d] = self.ids;
        let Key { low, high } = self.other;
        let [i, j, k, l] = self.other_ids;
        [a, b, c, d, low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32, i, j, k, l]
    }

    #[inline(always)]
    fn of_one(key: Key, [a, b, c, d, e, f, g, h, i, j, k, l]: [u32; SHORT_IDS]) -> Self {
        let two = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let other = Key { low: two(e, f), high: two(g, h) };
        Self { key, ids: [a, b, c, d], other, other_ids: [i, j, k, l] }
    }
}

/// A `LongKey` and the ids of its piece.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct LongLine {
    first: Key,
    last: Key,
    length: u16,
    count: u16,
    ids: [u32; 7],
}

const WORDS: usize = 16;

/// A piece of less than `8 * WORDS` bytes, zero-padded, with its length in the last byte; and its ids.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct LongestLine {
    piece: [u64; WORDS],
    count: u32,
    ids: [u32; 15],
}

// SAFETY: zeros only.
unsafe impl Zero for ShortLine {}
// SAFETY: as above.
unsafe impl Zero for LongLine {}
// SAFETY: as above.
unsafe impl Zero for LongestLine {}

/// Three caches, for pieces of up to 15, 32 and 127 bytes.
pub struct Cache {
    short: Table<ShortLine>,
    long: Table<LongLine>,
    longest: Table<LongestLine>,
}

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
    /// The ids of a short piece, if they are here: few, or as many in `more`.
    #[inline(always)]
    pub fn short(&self, key: Key, hash: u64, more: &mut Vec<u32>) -> Option<Found> {
        self.short[hash as usize % SHORT_LINES].get(key, more)
    }

    #[inline(always)]
    pub fn put_short(&mut self, key: Key, hash: u64, ids: &[u32]) {
        self.short[hash as usize % SHORT_LINES].put(key, ids);
    }

    /// The ids of a piece of more than 15 bytes, appended to `more`, if they are here. `hash` is that of its
    /// `LongKey`, where it has one.
    #[inline(always)]
    pub fn long(&self, piece: &[u8], hash: u64, more: &mut Vec<u32>) -> Option<Found> {
        if piece.len() <= key::LONG {
            self.get_long(LongKey::of(piece), hash, more)
        } else if piece.len() <= LONGEST {
            self.get_longest(piece, more)
        } else {
            None
        }
    }

    /// Keeps the ids of a piece of more than 15 bytes, if it and they are not too many.
    #[inline(always)]
    pub fn put(&mut self, piece: &[u8], hash: u64, ids: &[u32]) {
        if piece.len() <= key::LONG {
            self.put_long(LongKey::of(piece), hash, ids);
        } else if piece.len() <= LONGEST {
            self.put_longest(piece, ids);
        }
    }

    /// Asks for the line of a piece by its hash, that of a `LongKey` or of a `Key`.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64, is_long: bool) {
        // By the low bits: the table of tokens uses the top ones.
        let short = (&raw const self.short[hash as usize % SHORT_LINES]).cast();
        let long = (&raw const self.long[hash as usize % LONG_LINES]).cast();
        crate::prefetch::<u8>(if is_long { long } else { short });
    }

    #[inline(always)]
    fn get_long(&self, key: LongKey, hash: u64, more: &mut Vec<u32>) -> Option<Found> {
        let &LongLine { first, last, length, count, ref ids } = &self.long[hash as usize % LONG_LINES];
        key.is(LongKey { first, last, length }).then(|| Found::many(&ids[..count.into()], more))
    }

    #[inline(always)]
    fn put_long(&mut self, LongKey { first, last, length }: LongKey, hash: u64, ids: &[u32]) {
        let line = &mut self.long[hash as usize % LONG_LINES];
        if ids.len() <= line.ids.len() {
            *line = LongLine { first, last, length, count: ids.len() as u16, ids: padded(ids) };
        }
    }

    #[inline(always)]
    fn get_longest(&self, piece: &[u8], more: &mut Vec<u32>) -> Option<Found> {
        let words = words(piece);
        let line = &self.longest[home(&words)];
        (line.piece == words).then(|| Found::many(&line.ids[..line.count as usize], more))
    }

    #[inline(always)]
    fn put_longest(&mut self, piece: &[u8], ids: &[u32]) {
        let words = words(piece);
        let line = &mut self.longest[home(&words)];
        if ids.len() <= line.ids.len() {
            *line = LongestLine { piece: words, count: ids.len() as u32, ids: padded(ids) };
        }
    }
}

#[inline(always)]
fn words(piece: &[u8]) -> [u64; WORDS] {
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
fn home(words: &[u64; WORDS]) -> usize {
    let (pairs, _) = words.as_chunks::<2>();
    let hash = pairs
        .iter()
        .fold(0, |hash, [a, b]| fold(hash ^ a ^ 0x9E37_79B9_7F4A_7C15, b ^ 0xD6E8_FEB8_6659_FD93));
    hash as usize % LONGEST_LINES
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
            let found = if piece.len() <= key::SHORT {
                let key = Key::of(&piece, 0, piece.len());
                cache.put_short(key, key.hash(), &ids);
                cache.short(key, key.hash(), &mut more)
            } else {
                let hash = if piece.len() <= key::LONG { LongKey::of(&piece).hash() } else { 0 };
                cache.put(&piece, hash, &ids);
                cache.long(&piece, hash, &mut more)
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
