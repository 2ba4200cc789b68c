//! Byte-pair merging of one piece: the pair of neighbours with the lowest rank first, leftmost on a tie.
//!
//! [`tiny`] merges a piece of up to 4 bytes, [`row`] many of up to 15 at once, [`batch`] many of up to 126,
//! [`window`] one of up to 512. [`long`] joins windows to any length, many at once in a [`stretch`], and [`white`] is its short cut
//! through white space. [`heap`] is the slow twin of them all, and what `long` falls back to.

pub mod batch;
pub mod heap;
pub mod long;
pub mod row;
pub mod stretch;
pub mod tiny;
pub mod white;
pub mod window;

/// The lowest of `keys`, of which there are a multiple of 8.
#[inline(always)]
fn lowest(keys: &[u32]) -> u32 {
    let mut lanes = [u32::MAX; 8];
    for chunk in keys.as_chunks::<8>().0 {
        for (lane, &key) in lanes.iter_mut().zip(chunk) {
            *lane = (*lane).min(key);
        }
    }
    // Spelled out: an iterator's `min` would take a detour through memory here.
    let [a, b, c, d]: [u32; 4] = std::array::from_fn(|i| lanes[i].min(lanes[i + 4]));
    a.min(c).min(b.min(d))
}
