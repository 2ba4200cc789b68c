//! What pieces of several tokens were merged into: two small caches of fixed size, one for each thread
//! that encodes at the same time.

use crate::{
    key::{Key, fold},
    table::Table,
};

const SHORT_LINES_LOG2: u32 = 16;
const LONG_LINES_LOG2: u32 = 14;
const LONG_IDS: usize = 7;

/// Longest piece that is cached.
pub const LONG: usize = 31;

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

    /// Of a piece that has few.
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

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct ShortLine([ShortEntry; 2]);

/// A piece of 16 to 31 bytes: zero-padded, with its length in the last byte.
pub type LongKey = [u64; 4];

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct LongLine {
    key: LongKey,
    ids: [u32; LONG_IDS],
    count: u32,
}

pub struct Cache {
    short: Table<ShortLine>,
    long: Table<LongLine>,
}

impl Cache {
    pub fn new() -> Self {
        Self {
            short: Table::new(ShortLine::default(), 1 << SHORT_LINES_LOG2),
            long: Table::new(LongLine::default(), 1 << LONG_LINES_LOG2),
        }
    }

    /// The tokens of the piece `key`, if they are here.
    #[inline(always)]
    pub fn short(&self, key: Key, hash: u64) -> Option<Found> {
        let line = &self.short[short_home(hash)].0;
        let entry = if line[0].key == key { &line[0] } else { &line[1] };
        (entry.key == key).then_some(entry.found)
    }

    /// Keeps the few tokens of a piece, in place of the older of the two in its line.
    #[inline]
    pub fn put_short(&mut self, key: Key, hash: u64, found: Found) {
        let line = &mut self.short[short_home(hash)].0;
        line[1] = line[0];
        line[0] = ShortEntry { key, found };
    }

    /// The tokens of a piece of 16 to 31 bytes, if they are here.
    #[inline(always)]
    pub fn long(&self, key: &LongKey) -> Option<&[u32]> {
        let line = &self.long[long_home(key)];
        (line.key == *key).then(|| &line.ids[..(line.count as usize).min(LONG_IDS)])
    }

    /// Keeps the tokens of a piece of 16 bytes and more, if it and they are not too many.
    #[inline]
    pub fn put_long(&mut self, piece: &[u8], ids: &[u32]) {
        if piece.len() <= LONG && ids.len() <= LONG_IDS {
            let key = long_key(piece);
            self.long[long_home(&key)] = LongLine { key, ids: padded(ids), count: ids.len() as u32 };
        }
    }

    #[inline(always)]
    pub fn prefetch_short(&self, hash: u64) {
        crate::prefetch(&self.short[short_home(hash)]);
    }
}

/// Of a piece of 16 to 31 bytes.
#[inline(always)]
pub fn long_key(piece: &[u8]) -> LongKey {
    let mut window = [0; 32];
    window[..piece.len()].copy_from_slice(piece);
    window[31] = piece.len() as u8;
    std::array::from_fn(|i| u64::from_le_bytes(std::array::from_fn(|j| window[8 * i + j])))
}

#[inline(always)]
fn short_home(hash: u64) -> usize {
    // The table of tokens uses the top bits.
    hash as usize % (1 << SHORT_LINES_LOG2)
}

#[inline(always)]
fn long_home(key: &LongKey) -> usize {
    let hash = fold(key[0] ^ 0x9E37_79B9_7F4A_7C15, key[1] ^ 0xD6E8_FEB8_6659_FD93)
        ^ fold(key[2] ^ 0xA076_1D64_78BD_642F, key[3] ^ 0xE703_7ED1_A0B4_28DB);
    hash as usize % (1 << LONG_LINES_LOG2)
}

#[inline(always)]
fn padded<const N: usize>(ids: &[u32]) -> [u32; N] {
    std::array::from_fn(|i| ids.get(i).copied().unwrap_or(0))
}
