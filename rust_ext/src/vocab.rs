//! The vocabulary: token bytes by rank, expanded once per process from the embedded merge list.

use crate::key::{Key, SHORT};
use std::sync::OnceLock;

pub const TOKENS: usize = 199_998;
/// Length in bytes of the longest token.
pub const LONGEST: usize = 128;

/// `(left, right)` of every token by rank; `build/merges.rs` says why this is the whole vocabulary.
static MERGES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/merges.bin"));
const BYTE: u32 = u32::MAX;

/// Room behind the last token, so that a copy of a short token may read a fixed 16 bytes.
pub const SLACK: usize = 16;

pub struct Vocabulary {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

/// The two tokens that merge into `rank`, or `None` for a single byte.
#[inline]
pub fn split(rank: u32) -> Option<(u32, u32)> {
    let at = rank as usize * 8;
    let half = |at: usize| u32::from_le_bytes([MERGES[at], MERGES[at + 1], MERGES[at + 2], MERGES[at + 3]]);
    let (left, right) = (half(at), half(at + 4));
    (right != BYTE).then_some((left, right))
}

/// The byte that the token `rank` is, if it is a single one.
#[inline]
pub fn byte(rank: u32) -> Option<u8> {
    split(rank).is_none().then(|| MERGES[rank as usize * 8])
}

/// The token of each single byte.
pub fn byte_tokens() -> &'static [u32; 256] {
    static TOKENS_OF_BYTES: OnceLock<[u32; 256]> = OnceLock::new();
    TOKENS_OF_BYTES.get_or_init(|| {
        let mut tokens = [0; 256];
        for rank in (0..TOKENS as u32).filter(|&rank| split(rank).is_none()) {
            tokens[MERGES[rank as usize * 8] as usize] = rank;
        }
        tokens
    })
}

impl Vocabulary {
    /// The process's one vocabulary, expanded at first use.
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Vocabulary> = OnceLock::new();
        SHARED.get_or_init(Self::expand)
    }

    fn expand() -> Self {
        let mut offsets = vec![0u32; TOKENS + 1];
        for rank in 0..TOKENS {
            let length = |token: u32| offsets[token as usize + 1] - offsets[token as usize];
            let length = split(rank as u32).map_or(1, |(left, right)| length(left) + length(right));
            offsets[rank + 1] = offsets[rank] + length;
        }
        let mut bytes = vec![0; offsets[TOKENS] as usize + SLACK];
        for rank in 0..TOKENS {
            let at = offsets[rank] as usize;
            match split(rank as u32) {
                None => bytes[at] = MERGES[rank * 8],
                Some((left, right)) => {
                    let middle = at + copy_token(&mut bytes, &offsets, left, at);
                    copy_token(&mut bytes, &offsets, right, middle);
                }
            }
        }
        Self { bytes, offsets }
    }

    #[inline]
    pub fn token(&self, rank: u32) -> &[u8] {
        &self.bytes[self.offsets[rank as usize] as usize..self.offsets[rank as usize + 1] as usize]
    }

    /// Appends the token's bytes by copying 16 whatever its length, which costs less than asking.
    ///
    /// # Safety
    /// `rank` is below `TOKENS`, and `out` has room for the token and for `SLACK` bytes behind it.
    #[inline(always)]
    pub unsafe fn append_blindly(&self, rank: u32, out: &mut Vec<u8>) {
        debug_assert!((rank as usize) < TOKENS && out.capacity() - out.len() >= LONGEST + SLACK);
        // SAFETY: `offsets` has `TOKENS + 1` entries, each at most the length of `bytes` less `SLACK`.
        unsafe {
            let start = *self.offsets.get_unchecked(rank as usize) as usize;
            let len = *self.offsets.get_unchecked(rank as usize + 1) as usize - start;
            let from = self.bytes.as_ptr().add(start);
            let to = out.as_mut_ptr().add(out.len());
            std::ptr::copy_nonoverlapping(from, to, SLACK);
            if len > SLACK {
                std::ptr::copy_nonoverlapping(from.add(SLACK), to.add(SLACK), len - SLACK);
            }
            out.set_len(out.len() + len);
        }
    }

    /// The token's key, if it is short enough to have one.
    #[inline]
    pub fn key(&self, rank: u32) -> Option<Key> {
        let length = self.token(rank).len();
        let window =
            self.bytes[self.offsets[rank as usize] as usize..].first_chunk().expect("there is slack");
        (length <= SHORT).then(|| Key::from_window(window, length))
    }

    pub fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        (0..TOKENS as u32).map(|rank| self.token(rank))
    }
}

/// Copies an earlier token to `at` and returns its length.
#[inline]
fn copy_token(bytes: &mut [u8], offsets: &[u32], token: u32, at: usize) -> usize {
    let (start, end) = (offsets[token as usize] as usize, offsets[token as usize + 1] as usize);
    if end - start <= SLACK {
        // A whole block, whatever the length: what is too much is overwritten by what follows.
        bytes.copy_within(start..start + SLACK, at);
    } else {
        bytes.copy_within(start..end, at);
    }
    end - start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_to_every_token() {
        let vocabulary = Vocabulary::get();
        assert_eq!(vocabulary.tokens().count(), TOKENS);
        assert_eq!(vocabulary.tokens().map(<[u8]>::len).max(), Some(LONGEST));
        assert_eq!(vocabulary.token(173_781), b"assistant");
        assert_eq!(vocabulary.token(44_580), b"functions");
    }
}
