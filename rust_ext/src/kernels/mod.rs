//! The model's multiplications on the processor: weights in bf16 or MXFP4, used as they lie in the file.
//!
//! Knows matrices and tokens, not tensors or models. `linear` and `moe` say what is computed, `kernel` what
//! an implementation of it is; `scalar` is the slow twin of the others.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512bf16;
mod implementation;
mod kernel;
mod linear;
mod matrix;
mod moe;
#[cfg(target_arch = "aarch64")]
mod neon;
mod number;
mod pool;
mod scalar;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tiles;

pub use implementation::Implementation;
pub use linear::{Plan, linear};
pub use matrix::{BLOCK, BLOCK_BYTES, Matrix, Weights};
pub use moe::{Chosen, Experts, moe};
pub use number::{Bf16, Cells, Number, Numbers};
pub use pool::available;
