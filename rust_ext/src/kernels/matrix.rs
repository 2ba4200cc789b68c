//! Weights as they lie in the file, and what MXFP4 means.

use super::number::Bf16;
use std::ops::Range;

/// How many numbers share a scale.
pub const BLOCK: usize = 32;

/// Bytes of a block: two numbers in each, the first in the low half.
pub const BLOCK_BYTES: usize = BLOCK / 2;

/// The sixteen numbers of four bits: a sign, two bits of exponent, one of fraction.
pub const TABLE: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// The upper and the lower byte of each as bf16, to be looked up.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub const TABLE_UPPER: [u8; 16] = bytes_of_table(0);
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub const TABLE_LOWER: [u8; 16] = bytes_of_table(1);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const fn bytes_of_table(place: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut at = 0;
    while at < 16 {
        bytes[at] = TABLE[at].to_bits().to_be_bytes()[place];
        at += 1;
    }
    bytes
}

/// 2^(byte - 127), exactly: the lowest is no normal number, the highest byte is not a number.
#[inline(always)]
pub fn scale(byte: u8) -> f32 {
    let extreme = if byte == 0 || byte == 255 { 0x0040_0000 } else { 0 };
    f32::from_bits(u32::from(byte) << 23 | extreme)
}

/// The numbers of a matrix, row by row.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    F32(&'a [f32]),
    Bf16(&'a [Bf16]),
    Mxfp4 {
        blocks: &'a [u8],
        scales: &'a [u8],
    },
    /// `BLOCK` numbers share a scale here too.
    Int8 {
        numbers: &'a [i8],
        scales: &'a [Bf16],
    },
}

/// A matrix, or some rows of one. `weights` has `rows * columns` numbers.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub rows: usize,
    pub columns: usize,
    pub weights: Weights<'a>,
}

impl<'a> Matrix<'a> {
    /// The rows in `range`.
    pub fn rows(self, range: Range<usize>) -> Self {
        let (start, end) = (range.start * self.columns, range.end * self.columns);
        let weights = match self.weights {
            Weights::F32(values) => Weights::F32(&values[start..end]),
            Weights::Bf16(values) => Weights::Bf16(&values[start..end]),
            Weights::Mxfp4 { blocks, scales } => Weights::Mxfp4 {
                blocks: &blocks[start / 2..end / 2],
                scales: &scales[start / BLOCK..end / BLOCK],
            },
            Weights::Int8 { numbers, scales } => {
                Weights::Int8 { numbers: &numbers[start..end], scales: &scales[start / BLOCK..end / BLOCK] }
            }
        };
        Self { rows: range.len(), columns: self.columns, weights }
    }

    pub fn bytes(self) -> usize {
        match self.weights {
            Weights::F32(values) => size_of_val(values),
            Weights::Bf16(values) => size_of_val(values),
            Weights::Mxfp4 { blocks, scales } => blocks.len() + scales.len(),
            Weights::Int8 { numbers, scales } => numbers.len() + size_of_val(scales),
        }
    }

    /// Whether `weights` has as many numbers as it should.
    pub fn is_whole(self) -> bool {
        let numbers = self.rows * self.columns;
        match self.weights {
            Weights::F32(values) => values.len() == numbers,
            Weights::Bf16(values) => values.len() == numbers,
            Weights::Mxfp4 { blocks, scales } => {
                self.columns.is_multiple_of(BLOCK)
                    && blocks.len() * 2 == numbers
                    && scales.len() * BLOCK == numbers
            }
            Weights::Int8 { numbers: values, scales } => {
                self.columns.is_multiple_of(BLOCK)
                    && values.len() == numbers
                    && scales.len() * BLOCK == numbers
            }
        }
    }
}
