//! Pieces of any length, in linear time: windows joined where the join is proved right.
//!
//! A sequence of tokens is the byte-pair encoding of its text if and only if every two neighbours are
//! what merging makes of their own bytes. So a window's tokens may stand if they join: the last one kept
//! of the window before, and the first of this one. Where they do not, the window was too narrow to show
//! what merges across; a wider one from an earlier boundary, at last the heap over the whole, decides.
//!
//! Windows one after the other wait on every merge, so a [`Stretch`] of them is tried first.

use super::{
    heap,
    stretch::Stretch,
    white::{self, White},
    window::{self, Window},
};
use crate::{
    pairs::{NONE, Pairs},
    vocab::{self, Vocabulary},
};

/// Bytes of a window at first, doubled when a join fails.
const WIDTH: usize = 128;

/// How many tokens are given up when a join fails.
const RETREAT: usize = 8;

/// How many joins may fail in a piece before the heap takes it over, so that the time stays linear: this
/// many, and one more for each so many bytes.
const FAILURES: usize = 16;
const BYTES_A_FAILURE: usize = 256;

/// Bytes to go on in single windows when the seams of a stretch did not hold, at first.
const PATIENCE: usize = 2048;

/// Reusable room for one piece.
pub struct Long {
    window: Box<Window>,
    stretch: Box<Stretch>,
    white: White,
}

impl Default for Long {
    fn default() -> Self {
        Self { window: Window::new(), stretch: Stretch::new(), white: White::default() }
    }
}

impl Long {
    /// Appends the tokens of `piece` to `out`.
    #[inline(always)]
    pub fn merge(&mut self, pairs: &Pairs, piece: &[u8], out: &mut Vec<u32>) {
        let first = out.len();
        let mut width = WIDTH;
        let mut at = 0;
        // The furthest join that failed, behind which windows are narrow again, and how many did.
        let (mut failed_at, mut failures) = (0, 0);
        // After a seam that did not hold, windows go on for a while.
        let (mut stretch_at, mut patience) = (0, PATIENCE);
        // The same for white space, all of whose wrong tries are counted.
        let (mut white_at, mut white_patience) = (0, piece.len());
        while at < piece.len() {
            if at >= white_at && white::is_white(&piece[at..]) && !is_run(&piece[at..]) {
                at = self.white.merge(pairs, piece, at, first, &mut white_patience, out);
                white_at = at + WIDTH;
                continue;
            }
            if at >= stretch_at && !is_run(&piece[at..]) {
                if let Some(merged) = self.stretch.merge(pairs, &piece[at..], first, out) {
                    at += merged;
                    patience = PATIENCE;
                    continue;
                }
                // Where tokens repeat out of step with the chunks, the next seams would not hold either.
                stretch_at = at + patience;
                patience *= 2;
            }
            let end = (at + width).min(piece.len());
            let start = out.len();
            self.window.merge(pairs, &piece[at..end], out);
            if start > first && !joins(pairs, out[start - 1], out[start]) {
                failed_at = failed_at.max(at);
                failures += 1;
                width *= 2;
                if width > window::LONGEST || failures > FAILURES + piece.len() / BYTES_A_FAILURE {
                    out.truncate(first);
                    return heap::merge(piece, out);
                }
                let retreat = start.saturating_sub(RETREAT).max(first);
                at -= byte_length(&out[retreat..start]);
                out.truncate(retreat);
                continue;
            }
            if end == piece.len() {
                return;
            }
            let kept = keep(&mut *out, start, width * 3 / 4);
            at = repeat(pairs, piece, at, kept, width, start, out);
            if at > failed_at {
                width = WIDTH;
            }
        }
    }
}

/// Drops the window's tokens, which begin at `start`, that end behind `limit` bytes, but for the first;
/// returns the bytes kept.
#[inline(always)]
fn keep(out: &mut Vec<u32>, start: usize, limit: usize) -> usize {
    let vocabulary = Vocabulary::get();
    let mut kept = vocabulary.token(out[start]).len();
    let mut end = start + 1;
    while end < out.len() {
        let longer = kept + vocabulary.token(out[end]).len();
        if longer > limit {
            break;
        }
        kept = longer;
        end += 1;
    }
    out.truncate(end);
    kept
}

/// Where the text goes on as it did for the window at `at`, so do the tokens: copies the kept ones as
/// often as the window's bytes come again after them. Returns where to go on.
#[inline(always)]
fn repeat(
    pairs: &Pairs,
    piece: &[u8],
    at: usize,
    kept: usize,
    width: usize,
    start: usize,
    out: &mut Vec<u32>,
) -> usize {
    let window = &piece[at..at + width];
    let count = out.len() - start;
    let mut next = at + kept;
    // The first copy joins as the last kept token and the first: proved once, by the same bytes.
    if !joins(pairs, out[out.len() - 1], out[start]) {
        return next;
    }
    while piece[next..].starts_with(window) {
        out.extend_from_within(start..start + count);
        next += kept;
    }
    next
}

/// Whether the text begins with one byte over and over: windows repeat there, which is faster still.
#[inline(always)]
fn is_run(text: &[u8]) -> bool {
    text.len() > WIDTH && text[..WIDTH] == text[1..=WIDTH]
}

fn byte_length(tokens: &[u32]) -> usize {
    let vocabulary = Vocabulary::get();
    tokens.iter().map(|&token| vocabulary.token(token).len()).sum()
}

/// Whether merging the bytes of `left` and `right` gives just these two tokens.
///
/// Takes both tokens' merges back, the latest first. Whatever then stands at the boundary stood there
/// together until the merge taken back last; had they a merge of lower rank, it would have been made.
#[inline]
pub fn joins(pairs: &Pairs, mut left: u32, mut right: u32) -> bool {
    // The rank of the merge that ended the time when `left` and `right` stood side by side.
    let mut until = u32::MAX;
    loop {
        let merged = pairs.merged(left, right);
        if merged != NONE && merged < until {
            return false;
        }
        // Of equal ranks the left one is merged first.
        let (left_halves, right_halves) = (vocab::split(left), vocab::split(right));
        match (left_halves, right_halves) {
            (None, None) => return true,
            (Some((_, half)), None) => (until, left) = (left, half),
            (None, Some((half, _))) => (until, right) = (right + 1, half),
            (Some((_, half)), Some(_)) if left > right => (until, left) = (left, half),
            (Some(_), Some((half, _))) => (until, right) = (right + 1, half),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        slow,
        testing::{Random, pieces},
    };

    fn check(long: &mut Long, piece: &[u8]) {
        let mut tokens = Vec::new();
        long.merge(Pairs::get(), piece, &mut tokens);
        assert_eq!(tokens, slow::merge(piece), "{piece:?}");
    }

    #[test]
    fn merges_as_the_heap_does() {
        let mut long = Long::default();
        for piece in pieces(9, 1_000, 12_000) {
            check(&mut long, &piece);
        }
    }

    /// Where joins fail: texts of few different bytes, whose merges depend on far neighbours.
    #[test]
    fn merges_as_the_heap_does_where_tokens_are_long() {
        let (mut long, mut random) = (Long::default(), Random::new(5));
        for alphabet in [&b" "[..], b" \n", b"a", b"ab", b"-=", b"/\n", b" \t", b"=-_*", b"0"] {
            for _ in 0..40 {
                let mut piece = Vec::new();
                while piece.len() < 6_000 {
                    let byte = alphabet[random.below(alphabet.len())];
                    piece.resize(piece.len() + 1 + random.below(300), byte);
                }
                check(&mut long, &piece);
            }
        }
    }

    #[test]
    fn joins_says_what_merging_both_tokens_bytes_says() {
        let (vocabulary, mut random) = (Vocabulary::get(), Random::new(11));
        for _ in 0..200_000 {
            let left = random.below(vocab::TOKENS) as u32;
            let right = random.below(vocab::TOKENS) as u32;
            let both = slow::merge(&[vocabulary.token(left), vocabulary.token(right)].concat());
            assert_eq!(joins(Pairs::get(), left, right), both == [left, right], "{left} {right}");
        }
    }
}
