//! Characters that merging begins with as they are: `build/solid.rs` says which and why.

use crate::{boundary::char_len, pairs::NONE, vocab};
use std::sync::OnceLock;

static CHARACTERS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/solid.bin"));
static BEFORE: &[u8; 1 << 16] = include_bytes!(concat!(env!("OUT_DIR"), "/solid_before.bin"));
static BEHIND: &[u8; 1 << 16] = include_bytes!(concat!(env!("OUT_DIR"), "/solid_behind.bin"));

pub struct Solid {
    /// By code point below 0x1_0000: the token of a character that may be solid, or `NONE`.
    tokens: Box<[u32]>,
}

impl Solid {
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Solid> = OnceLock::new();
        SHARED.get_or_init(|| {
            let mut tokens = vec![NONE; 1 << 16].into_boxed_slice();
            for [code_point, token] in CHARACTERS.as_chunks::<4>().0.as_chunks::<2>().0 {
                tokens[u32::from_le_bytes(*code_point) as usize] = u32::from_le_bytes(*token);
            }
            Self { tokens }
        })
    }

    /// What merging begins with at `at`, and how many bytes that is: a solid character, else a byte.
    #[inline(always)]
    pub fn token(&self, piece: &[u8], at: usize) -> (u32, usize) {
        let first = piece[at];
        let length = char_len(first);
        let code_point = match piece[at..] {
            [0xC0..0xE0, second @ 0x80..0xC0, ..] => bits(first, 5) << 6 | bits(second, 6),
            [0xE0..0xF0, second @ 0x80..0xC0, third @ 0x80..0xC0, ..] => {
                bits(first, 4) << 12 | bits(second, 6) << 6 | bits(third, 6)
            }
            _ => 0, // is no character of two or three bytes
        };
        let token = self.tokens[code_point];
        if token != NONE && token < before(piece, at) && token < behind(piece, at + length) {
            return (token, length);
        }
        (vocab::byte_tokens()[first as usize], 1)
    }
}

/// The low bits of a byte.
#[inline(always)]
fn bits(byte: u8, count: u32) -> usize {
    byte as usize & ((1 << count) - 1)
}

/// The lowest rank of a token that reaches from in front of the character that starts at `at` into it.
#[inline(always)]
fn before(piece: &[u8], at: usize) -> u32 {
    if at == 0 { u32::MAX } else { number(BEFORE, bits(piece[at - 1], 8) << 6 | bits(piece[at], 6)) }
}

/// The lowest rank of a token that reaches out of the character that ends at `end`.
#[inline(always)]
fn behind(piece: &[u8], end: usize) -> u32 {
    match piece.get(end) {
        Some(&byte) => number(BEHIND, bits(piece[end - 1], 6) << 8 | bits(byte, 8)),
        None => u32::MAX,
    }
}

#[inline(always)]
fn number(table: &[u8; 1 << 16], index: usize) -> u32 {
    u32::from_le_bytes(table.as_chunks().0[index])
}
