//! One implementation of the multiplications: a table of functions, and the one place that calls them.

use super::{
    matrix::{BLOCK, Matrix, Weights},
    number::{Bf16, Number},
    scalar,
};

/// Sums the products of each of some rows with each of some tokens: `out[token * rows + row]`.
type Multiply<W, X> = unsafe fn(rows: &[W], tokens: &[&[X]], out: &mut [f32]);

/// The same of packed rows.
type MultiplyPacked<X> = unsafe fn(blocks: &[u8], scales: &[u8], tokens: &[&[X]], out: &mut [f32]);

/// The same of rows of eight-bit numbers.
type MultiplyInt8<X> = unsafe fn(numbers: &[i8], scales: &[Bf16], tokens: &[&[X]], out: &mut [f32]);

/// One way to multiply with tokens held as `X`.
///
/// The weights are taken as the numbers they are, products are summed in `f32`, and the order of the sum is
/// the same whatever stands beside: one token or many, one thread or many give the same bits.
pub struct Kernel<X: 'static> {
    /// The number of a block of 32 that stands at each place when `packed` has unpacked it.
    pub order: &'static [u8; BLOCK],
    /// Rows of bf16.
    pub bf16: Multiply<Bf16, X>,
    /// Rows of f32, for tokens that are held as f32.
    pub f32: Option<Multiply<f32, X>>,
    /// Rows of eight-bit numbers, for tokens that are held as f32. Number times scale is an exact f32.
    pub int8: Option<MultiplyInt8<X>>,
    /// Packed rows, tokens in `order`.
    pub packed: MultiplyPacked<X>,
    /// Whether `packed` is exact with these scales. Where not, the slow way is taken.
    pub is_exact: unsafe fn(scales: &[u8]) -> bool,
}

/// A kernel that this processor can run.
pub struct Runnable<X: 'static>(&'static Kernel<X>);

impl<X> Clone for Runnable<X> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<X> Copy for Runnable<X> {}

impl<X: Number> Runnable<X> {
    /// # Safety
    ///
    /// The processor has the features that the kernel's functions are compiled for.
    pub const unsafe fn new(kernel: &'static Kernel<X>) -> Self {
        Self(kernel)
    }

    /// Where the numbers of a token belong that is multiplied with packed rows.
    pub fn order(self) -> &'static [u8; BLOCK] {
        self.0.order
    }

    /// Multiplies `matrix` with each of `tokens`, which are in `order` where it is packed:
    /// `out[token * rows + row]`.
    pub fn multiply(self, matrix: Matrix, tokens: &[&[X]], out: &mut [f32]) {
        let kernel = self.0;
        assert!(matrix.is_whole() && !tokens.is_empty() && out.len() == matrix.rows * tokens.len());
        assert!(matrix.columns > 0 && tokens.iter().all(|token| token.len() == matrix.columns));
        match matrix.weights {
            Weights::Bf16(rows) => {
                // SAFETY: the features are there (`new`), and the lengths are those that were asserted.
                unsafe { (kernel.bf16)(rows, tokens, out) };
            }
            Weights::F32(rows) => {
                let multiply = kernel.f32.expect("tokens are held as f32 where weights are");
                // SAFETY: as above.
                unsafe { multiply(rows, tokens, out) };
            }
            Weights::Int8 { numbers, scales } => {
                let multiply = kernel.int8.expect("tokens are held as f32 where weights are eight-bit");
                // SAFETY: as above.
                unsafe { multiply(numbers, scales, tokens, out) };
            }
            Weights::Mxfp4 { blocks, scales } => {
                // SAFETY: as above.
                if unsafe { (kernel.is_exact)(scales) } {
                    // SAFETY: as above.
                    unsafe { (kernel.packed)(blocks, scales, tokens, out) };
                } else {
                    scalar::multiply_in(kernel.order, blocks, scales, tokens, out);
                }
            }
        }
    }
}
