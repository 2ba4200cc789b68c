//! Short pieces as numbers: what the tables of pieces are keyed by.

/// Longest piece that a [`Key`] holds.
pub const SHORT: usize = 15;
/// What a key is made of, at most.
pub const WINDOW: usize = SHORT + 1;

/// A piece of at most 15 bytes, zero-padded, with its length in the top byte. Tables keep empty slots 0,
/// which no piece is.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Key {
    pub low: u64,
    pub high: u64,
}

/// By length: which bytes to keep, and the length in its place. The last entry stands for all longer pieces.
static MASKS: [(Key, Key); SHORT + 2] = {
    let mut masks = [(Key { low: 0, high: 0 }, Key::TOO_LONG); SHORT + 2];
    let mut len = 0;
    while len <= SHORT {
        let low = if len < 8 { (1 << (8 * len)) - 1 } else { !0 };
        let high = if len > 8 { (1 << (8 * (len - 8))) - 1 } else { 0 };
        masks[len] = (Key { low, high }, Key { low: 0, high: (len as u64) << 56 });
        len += 1;
    }
    masks
};

impl Key {
    /// Stands for a piece that is too long; equal to the key of no piece and to no empty slot.
    pub const TOO_LONG: Self = Self { low: 0, high: 0xFF << 56 };

    /// Of the first `len` bytes of `window`; `TOO_LONG` if these are more than 15.
    #[inline(always)]
    pub fn from_window(window: &[u8; WINDOW], len: usize) -> Self {
        let number = u128::from_le_bytes(*window);
        let (mask, tag) = MASKS[len.min(SHORT + 1)];
        Self { low: number as u64 & mask.low, high: (number >> 64) as u64 & mask.high | tag.high }
    }

    /// Of the piece of `text` from `start` to `end`; `TOO_LONG` if that is more than 15 bytes.
    #[inline(always)]
    pub fn of(text: &[u8], start: usize, end: usize) -> Self {
        if let Some(window) = text[start..].first_chunk() {
            return Self::from_window(window, end - start);
        }
        let mut window = [0; WINDOW];
        let there = &text[start..text.len().min(start + WINDOW)];
        window[..there.len()].copy_from_slice(there);
        Self::from_window(&window, end - start)
    }

    /// Whether both are the same, without a branch between the halves.
    #[inline(always)]
    pub fn is(self, other: Self) -> bool {
        (self.low ^ other.low) | (self.high ^ other.high) == 0
    }

    #[inline(always)]
    pub fn hash(self) -> u64 {
        fold(self.low ^ 0x9E37_79B9_7F4A_7C15, self.high ^ 0xD6E8_FEB8_6659_FD93)
    }
}

/// Longest piece that a [`LongKey`] holds.
pub const LONG: usize = 32;

/// A piece of 16 to 32 bytes by its first and its last 16, which may overlap.
#[derive(Clone, Copy, Default)]
pub struct LongKey {
    pub first: Key,
    pub last: Key,
    pub length: u16,
}

impl LongKey {
    /// Of a piece of 16 to 32 bytes.
    #[inline(always)]
    pub fn of(piece: &[u8]) -> Self {
        let half = |bytes: Option<&[u8; 16]>| {
            let number = u128::from_le_bytes(*bytes.expect("a long piece has 16 bytes"));
            Key { low: number as u64, high: (number >> 64) as u64 }
        };
        Self { first: half(piece.first_chunk()), last: half(piece.last_chunk()), length: piece.len() as u16 }
    }

    #[inline(always)]
    pub fn is(self, other: Self) -> bool {
        self.first.is(other.first) & self.last.is(other.last) & (self.length == other.length)
    }

    /// Of the length too: white space of any length begins and ends alike.
    #[inline(always)]
    pub fn hash(self) -> u64 {
        let length = u64::from(self.length) << 56;
        fold(self.first.hash() ^ self.last.low, self.last.high ^ length ^ 0xA076_1D64_78BD_642F)
    }
}

/// Both halves of the 128-bit product, mixed.
#[inline(always)]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
