//! Bytes and ranks: the o200k_harmony tokenizer under `harmony_py`. Knows no messages.

pub mod boundary;
pub mod cache;
pub mod classes;
pub mod cuts;
mod decode;
pub mod encoder;
mod incremental;
pub mod key;
pub mod merge;
mod pair_hash;
pub mod pairs;
pub mod pieces;
mod placement;
pub mod pretokenize;
mod python;
pub mod special;
pub mod table;
#[cfg(test)]
mod testing;
mod threads;
pub mod tokenizer;
mod unstable;
mod utf8;
pub mod vocab;

/// Asks for the cache line that holds `value`.
#[inline(always)]
fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of a valid reference; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
