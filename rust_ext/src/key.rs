//! Short pieces as numbers: what the tables of pieces are keyed by.

/// Longest piece that a [`Key`] holds.
pub const SHORT: usize = 15;

/// A piece of at most 15 bytes, zero-padded, with its length in the top byte. Tables keep empty slots 0,
/// which no piece is.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Key {
    pub low: u64,
    pub high: u64,
}

/// By length: which bytes to keep, then the length in its place.
static MASKS: [(u64, u64, u64); SHORT + 1] = {
    let mut masks = [(0, 0, 0); SHORT + 1];
    let mut len = 0;
    while len <= SHORT {
        let low = if len < 8 { (1 << (8 * len)) - 1 } else { !0 };
        let high = if len > 8 { (1 << (8 * (len - 8))) - 1 } else { 0 };
        masks[len] = (low, high, (len as u64) << 56);
        len += 1;
    }
    masks
};

impl Key {
    /// Stands for a piece that is too long; equal to the key of no piece and to no empty slot.
    pub const TOO_LONG: Self = Self { low: 0, high: 0xFF << 56 };

    /// Of the `len <= 15` bytes at the start of `window`.
    #[inline(always)]
    pub fn from_window(window: &[u8; 16], len: usize) -> Self {
        let number = u128::from_le_bytes(*window);
        let (low, high, tag) = MASKS[len & 15];
        Self { low: number as u64 & low, high: (number >> 64) as u64 & high | tag }
    }

    /// Of a piece of at most 15 bytes.
    #[inline]
    pub fn of(piece: &[u8]) -> Self {
        let mut window = [0; 16];
        window[..piece.len()].copy_from_slice(piece);
        Self::from_window(&window, piece.len())
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

/// Both halves of the 128-bit product, mixed.
#[inline(always)]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
