//! The slow twin of the encoder: piece by piece, with the heap. For tests and fuzzing.

use crate::{merge::heap, pretokenize::scalar};

/// The tokens of `text`, in which nothing is a control token.
pub fn encode(text: &str) -> Vec<u32> {
    let (mut at, mut ids) = (0, Vec::new());
    while at < text.len() {
        let end = scalar::piece_end(text, at);
        heap::merge(&text.as_bytes()[at..end], &mut ids);
        at = end;
    }
    ids
}

/// The tokens of a piece.
pub fn merge(piece: &[u8]) -> Vec<u32> {
    let mut tokens = Vec::new();
    heap::merge(piece, &mut tokens);
    tokens
}
