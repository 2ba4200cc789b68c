//! Tokens as f32 with AVX-512: exact products whatever the tokens came as.

use super::{
    kernel::Kernel,
    matrix::{BLOCK, BLOCK_BYTES, TABLE},
    number::{Bf16, Number},
    tiles::{multiply, packed, padded},
};
use std::arch::x86_64::{
    __m512, _mm_loadu_si128, _mm_maskz_loadu_epi8, _mm256_loadu_si256, _mm512_castsi512_ps,
    _mm512_cmpeq_epi32_mask, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32,
    _mm512_cvtepu16_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_or_epi32, _mm512_mul_ps,
    _mm512_permutexvar_ps, _mm512_reduce_add_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_storeu_ps,
};

/// The numbers from the lower halves of the bytes, then those from the upper.
const ORDER: [u8; BLOCK] = {
    let mut order = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        order[at] = (at % 16 * 2 + at / 16) as u8;
        at += 1;
    }
    order
};

pub static KERNEL: Kernel<f32> = Kernel {
    order: &ORDER,
    bf16: multiply_bf16,
    f32: Some(multiply_f32),
    int8: Some(int8),
    packed,
    is_exact: |_| true,
};

multiply!(
    multiply_bf16(Bf16, f32), features "avx512f,avx512bw,avx512vl", lanes 16,
    tiles [4 x 4, 4 x 2, 1 x 1],
    zero _mm512_setzero_ps, weights load_bf16, numbers load, add add, sum _mm512_reduce_add_ps
);

multiply!(
    multiply_f32(f32, f32), features "avx512f,avx512bw,avx512vl", lanes 16,
    tiles [4 x 4, 4 x 2, 1 x 1],
    zero _mm512_setzero_ps, weights load, numbers load, add add, sum _mm512_reduce_add_ps
);

packed!(
    packed([u8; BLOCK_BYTES], u8, f32), features "avx512f,avx512bw,avx512vl", lanes 16, vectors 2,
    tiles [2 x 8, 4 x 4, 4 x 2, 4 x 1],
    zero _mm512_setzero_ps, expand expanded, weights weights, numbers load, add add_both,
    sum _mm512_reduce_add_ps
);

packed!(
    int8([i8; BLOCK], Bf16, f32), features "avx512f,avx512bw,avx512vl", lanes 16, vectors 2,
    tiles [2 x 8, 4 x 4, 4 x 2, 4 x 1],
    zero _mm512_setzero_ps, expand padded, weights int8_weights, numbers load, add add_block,
    sum _mm512_reduce_add_ps
);

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn load(numbers: &[f32; 16]) -> __m512 {
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn load_bf16(numbers: &[Bf16; 16]) -> __m512 {
    // SAFETY: an array of 32 bytes.
    let numbers = unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) };
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(numbers)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn add(sum: __m512, weights: __m512, numbers: __m512) -> __m512 {
    _mm512_fmadd_ps(weights, numbers, sum)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn add_both(sum: __m512, weights: [__m512; 2], numbers: [__m512; 2]) -> __m512 {
    add(add(sum, weights[0], numbers[0]), weights[1], numbers[1])
}

/// A block's own sum is scaled once, not each of its numbers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn add_block(sum: __m512, (weights, scale): ([__m512; 2], __m512), numbers: [__m512; 2]) -> __m512 {
    add(sum, add(_mm512_mul_ps(weights[0], numbers[0]), weights[1], numbers[1]), scale)
}

/// Sixteen scales, as `matrix::scale` has them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn expanded(scales: &[u8]) -> [f32; 16] {
    let there = ((1u32 << scales.len().min(16)) - 1) as u16;
    // SAFETY: no byte outside the slice is read.
    let scales = unsafe { _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(there, scales.as_ptr().cast())) };
    let extreme = _mm512_cmpeq_epi32_mask(scales, _mm512_setzero_si512())
        | _mm512_cmpeq_epi32_mask(scales, _mm512_set1_epi32(255));
    let bits = _mm512_slli_epi32::<23>(scales);
    let bits = _mm512_mask_or_epi32(bits, extreme, bits, _mm512_set1_epi32(0x0040_0000));
    let mut expanded = [0.0; 16];
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_storeu_ps(expanded.as_mut_ptr(), _mm512_castsi512_ps(bits)) };
    expanded
}

/// The weights of a block, in `ORDER`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn weights(block: &[u8; BLOCK_BYTES], scale: f32) -> [__m512; 2] {
    // SAFETY: arrays of as many bytes as are loaded.
    let (table, bytes) = unsafe { (_mm512_loadu_ps(TABLE.as_ptr()), _mm_loadu_si128(block.as_ptr().cast())) };
    let table = _mm512_mul_ps(table, _mm512_set1_ps(scale));
    // The permutation looks at the lower four bits only.
    let low = _mm512_cvtepu8_epi32(bytes);
    [low, _mm512_srli_epi32::<4>(low)].map(|indices| _mm512_permutexvar_ps(indices, table))
}

/// The numbers of an eight-bit block, and their scale.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn int8_weights(block: &[i8; BLOCK], scale: Bf16) -> ([__m512; 2], __m512) {
    let numbers = std::array::from_fn(|index| {
        // SAFETY: a half of the array's 32 bytes.
        let bytes = unsafe { _mm_loadu_si128(block.as_ptr().add(16 * index).cast()) };
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))
    });
    (numbers, _mm512_set1_ps(scale.to_f32()))
}
