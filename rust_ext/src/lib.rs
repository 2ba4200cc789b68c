//! Bytes and ranks: the o200k_harmony tokenizer under `harmony_py`; and in `kernels` the model's
//! multiplications on the processor. Knows no messages.

mod boundary;
mod cache;
#[cfg(any(test, fuzzing))]
pub mod checks;
mod classes;
mod cuts;
mod decode;
mod encoder;
mod incremental;
mod kernels;
mod key;
mod merge;
mod pairs;
mod parts;
mod pieces;
mod pretokenize;
mod processor;
mod python;
#[cfg(any(test, fuzzing))]
mod slow;
mod special;
mod table;
#[cfg(test)]
mod testing;
mod threads;
mod tokenizer;
mod unstable;
mod utf8;
mod vocab;

/// Asks for the cache line that `value` is in. Nothing is read, so that any address will do.
#[inline(always)]
fn prefetch<T>(value: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of whatever address has no effect but on the cache.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(value.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
