//! bf16 tokens with AVX-512: its pairwise dot product of bf16, and a byte permutation that unpacks a block
//! in two steps.
//!
//! Scaling the table of sixteen numbers instead of the 32 numbers of a block makes the weights exact bf16
//! at the cost of one addition to their exponents. It cannot make the numbers that are too small or too
//! large for a normal bf16; rows with such scales, which no trained model has, go the slow way. The dot
//! product takes bf16 that are not normal for zero: those are below 1e-38.

use super::{
    kernel::Kernel,
    matrix::{BLOCK, BLOCK_BYTES},
    number::Bf16,
    tiles::{multiply, packed},
};
use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm_loadu_si128, _mm_maskz_loadu_epi8, _mm512_add_epi16, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_cvtepu8_epi32, _mm512_dpbf16_ps, _mm512_loadu_si512,
    _mm512_mask_cmpgt_epu8_mask, _mm512_maskz_loadu_epi8, _mm512_multishift_epi64_epi8, _mm512_or_si512,
    _mm512_permutexvar_epi16, _mm512_reduce_add_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_slli_epi32, _mm512_storeu_si512, _mm512_sub_epi8,
};

/// Four numbers from the block's first half, four from its second, and so on: as the bytes fall when each
/// of four lanes takes the whole block and keeps a quarter of either half.
const ORDER: [u8; BLOCK] = {
    let mut order = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        order[at] = (at / 8 * 4 + at % 4 + at % 8 / 4 * 16) as u8;
        at += 1;
    }
    order
};

pub static KERNEL: Kernel<Bf16> =
    Kernel { order: &ORDER, bf16: multiply_bf16, f32: None, int8: None, packed, is_exact };

multiply!(
    multiply_bf16(Bf16, Bf16), features "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi", lanes 32,
    tiles [4 x 4, 1 x 2, 1 x 1],
    zero _mm512_setzero_ps, weights load, numbers load, add _mm512_dpbf16_ps, sum _mm512_reduce_add_ps
);

packed!(
    packed([u8; BLOCK_BYTES], u8, Bf16), features "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi", lanes 32, vectors 1,
    tiles [2 x 8, 4 x 4, 4 x 2, 4 x 1],
    zero _mm512_setzero_ps, expand exponents, weights weights, numbers load, add add_only,
    sum _mm512_reduce_add_ps
);

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
#[inline]
fn load(numbers: &[Bf16; 32]) -> __m512bh {
    // SAFETY: an array of 64 bytes, and two types of as many.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(numbers.as_ptr().cast())) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
#[inline]
fn add_only(sum: __m512, [weights]: [__m512bh; 1], [numbers]: [__m512bh; 1]) -> __m512 {
    _mm512_dpbf16_ps(sum, weights, numbers)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
fn is_exact(scales: &[u8]) -> bool {
    let (lowest, range) = (_mm512_set1_epi8(2), _mm512_set1_epi8(250_u8.cast_signed()));
    let mut extreme = 0;
    for scales in scales.chunks(64) {
        let there = u64::MAX >> (64 - scales.len());
        // SAFETY: no byte outside the slice is read.
        let scales = unsafe { _mm512_maskz_loadu_epi8(there, scales.as_ptr().cast()) };
        extreme |= _mm512_mask_cmpgt_epu8_mask(there, _mm512_sub_epi8(scales, lowest), range);
    }
    extreme == 0
}

/// Sixteen scales as what they add to the exponents of two neighbouring bf16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
#[inline]
fn exponents(scales: &[u8]) -> [u32; 16] {
    let there = ((1u32 << scales.len().min(16)) - 1) as u16;
    let mut exponents = [0u32; 16];
    // SAFETY: no byte outside the slice is read; the array has the 64 bytes that are written.
    unsafe {
        let scales = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(there, scales.as_ptr().cast()));
        let low = _mm512_slli_epi32::<7>(scales);
        let both = _mm512_or_si512(low, _mm512_slli_epi32::<16>(low));
        _mm512_storeu_si512(exponents.as_mut_ptr().cast(), both);
    }
    exponents
}

/// The 32 weights of a block, in `ORDER`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
#[inline]
fn weights(block: &[u8; BLOCK_BYTES], exponent: u32) -> [__m512bh; 1] {
    /// The sixteen numbers as bf16, twice, their exponents lowered by the bias of the scales.
    const TABLE: [u16; 32] = {
        let mut table = [0; 32];
        let mut at = 0;
        while at < 32 {
            let bits = (super::matrix::TABLE[at % 16].to_bits() >> 16) as u16;
            table[at] = if at % 8 == 0 { bits } else { bits.wrapping_sub(127 << 7) };
            at += 1;
        }
        table
    };
    /// All but the zeros, which no scale changes.
    const SCALED: [u16; 32] = {
        let mut scaled = [0xFFFF; 32];
        let mut at = 0;
        while at < 32 {
            scaled[at] = 0;
            at += 8;
        }
        scaled
    };
    /// In each 16 bits, the block's bits from which its number starts; above the number, bits that the
    /// permutation does not look at, or that lead to the table's second copy.
    const SHIFTS: [u8; 64] = {
        let mut shifts = [0; 64];
        let mut at = 0;
        while at < 64 {
            shifts[at] = (at / 16 * 16 + at % 8 / 2 * 4) as u8;
            at += 1;
        }
        shifts
    };
    // SAFETY: arrays of as many bytes as are loaded.
    let (table, scaled, shifts, block) = unsafe {
        (
            _mm512_loadu_si512(TABLE.as_ptr().cast()),
            _mm512_loadu_si512(SCALED.as_ptr().cast()),
            _mm512_loadu_si512(SHIFTS.as_ptr().cast()),
            _mm_loadu_si128(block.as_ptr().cast()),
        )
    };
    let exponents = _mm512_and_si512(scaled, _mm512_set1_epi32(exponent.cast_signed()));
    let table = _mm512_add_epi16(table, exponents);
    let indices = _mm512_multishift_epi64_epi8(shifts, _mm512_broadcast_i32x4(block));
    // SAFETY: two types of 64 bytes.
    [unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_permutexvar_epi16(indices, table)) }]
}
