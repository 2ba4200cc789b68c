//! Tokens as f32 with AVX2 and FMA: processors without AVX-512.

use super::{
    kernel::Kernel,
    matrix::{BLOCK, BLOCK_BYTES, TABLE_LOWER, TABLE_UPPER},
    number::{Bf16, Number},
    tiles::{multiply, packed, padded},
};
use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_add_ss, _mm_and_si128, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128,
    _mm_movehdup_ps, _mm_movehl_ps, _mm_set1_epi8, _mm_srli_epi16, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmpeq_epi32,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_cvtepu16_epi32,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_or_si256,
    _mm256_set_m128i, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

/// As the bytes fall when both halves of each are looked up and put together in lanes.
const ORDER: [u8; BLOCK] = {
    let mut order = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        order[at] = (at / 16 * 16 + at / 8 % 2 * 2 + at / 4 % 2 + at % 4 * 4) as u8;
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
    multiply_bf16(Bf16, f32), features "avx2,fma", lanes 8, tiles [4 x 2, 4 x 1],
    zero _mm256_setzero_ps, weights load_bf16, numbers load, add add, sum sum
);

multiply!(
    multiply_f32(f32, f32), features "avx2,fma", lanes 8, tiles [4 x 2, 4 x 1],
    zero _mm256_setzero_ps, weights load, numbers load, add add, sum sum
);

packed!(
    packed([u8; BLOCK_BYTES], u8, f32), features "avx2,fma", lanes 8, vectors 4, tiles [1 x 4, 2 x 2, 4 x 1],
    zero _mm256_setzero_ps, expand expanded, weights weights, numbers load, add add_block,
    sum sum
);

packed!(
    int8([i8; BLOCK], Bf16, f32), features "avx2,fma", lanes 8, vectors 4, tiles [2 x 4, 2 x 2, 4 x 1],
    zero _mm256_setzero_ps, expand int8_expanded, weights int8_weights, numbers load, add add_block,
    sum sum
);

#[target_feature(enable = "avx2,fma")]
#[inline]
fn load(numbers: &[f32; 8]) -> __m256 {
    // SAFETY: an array of 32 bytes.
    unsafe { _mm256_loadu_ps(numbers.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn load_bf16(numbers: &[Bf16; 8]) -> __m256 {
    // SAFETY: an array of 16 bytes.
    let numbers = unsafe { _mm_loadu_si128(numbers.as_ptr().cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(numbers)))
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn add(sum: __m256, weights: __m256, numbers: __m256) -> __m256 {
    _mm256_fmadd_ps(weights, numbers, sum)
}

/// A block's own sum is scaled once, not each of its numbers.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn add_block(sum: __m256, (weights, scale): ([__m256; 4], __m256), numbers: [__m256; 4]) -> __m256 {
    let [first, second, third, fourth] = weights;
    let own = add(_mm256_mul_ps(first, numbers[0]), second, numbers[1]);
    add(sum, add(add(own, third, numbers[2]), fourth, numbers[3]), scale)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn sum(numbers: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(numbers), _mm256_extractf128_ps::<1>(numbers));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// Up to sixteen scales, as `matrix::scale` has them.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn expanded(scales: &[u8]) -> [f32; 16] {
    let bytes: [u8; 16] = if let Some(&bytes) = scales.first_chunk() { bytes } else { padded(scales) };
    let mut expanded = [0.0; 16];
    for (bytes, expanded) in bytes.as_chunks::<8>().0.iter().zip(expanded.as_chunks_mut::<8>().0) {
        // SAFETY: an array of 8 bytes.
        let bytes = _mm256_cvtepu8_epi32(unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) });
        let is_extreme = _mm256_or_si256(
            _mm256_cmpeq_epi32(bytes, _mm256_setzero_si256()),
            _mm256_cmpeq_epi32(bytes, _mm256_set1_epi32(255)),
        );
        let extreme = _mm256_and_si256(is_extreme, _mm256_set1_epi32(0x0040_0000));
        let bits = _mm256_or_si256(_mm256_slli_epi32::<23>(bytes), extreme);
        // SAFETY: an array of the 32 bytes that are written.
        unsafe { _mm256_storeu_ps(expanded.as_mut_ptr(), _mm256_castsi256_ps(bits)) };
    }
    expanded
}

/// The numbers of a block, in `ORDER`, and their scale.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn weights(block: &[u8; BLOCK_BYTES], scale: f32) -> ([__m256; 4], __m256) {
    // SAFETY: arrays of 16 bytes.
    let [upper, lower, bytes] =
        unsafe { [&TABLE_UPPER, &TABLE_LOWER, block].map(|bytes| _mm_loadu_si128(bytes.as_ptr().cast())) };
    let nibble = _mm_set1_epi8(15);
    let indices =
        _mm256_set_m128i(_mm_and_si128(_mm_srli_epi16::<4>(bytes), nibble), _mm_and_si128(bytes, nibble));
    let [upper, lower] =
        [upper, lower].map(|table| _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), indices));
    let first = _mm256_unpacklo_epi8(lower, upper);
    let second = _mm256_unpackhi_epi8(lower, upper);
    let odd = _mm256_set1_epi32(0xFFFF_0000_u32.cast_signed());
    let numbers = [
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(first)),
        _mm256_castsi256_ps(_mm256_and_si256(first, odd)),
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(second)),
        _mm256_castsi256_ps(_mm256_and_si256(second, odd)),
    ];
    (numbers, _mm256_set1_ps(scale))
}

/// Up to sixteen scales.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn int8_expanded(scales: &[Bf16]) -> [f32; 16] {
    let scales: [Bf16; 16] = if let Some(&scales) = scales.first_chunk() { scales } else { padded(scales) };
    scales.map(Bf16::to_f32)
}

/// The numbers of an eight-bit block, and their scale.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn int8_weights(block: &[i8; BLOCK], scale: f32) -> ([__m256; 4], __m256) {
    let numbers = std::array::from_fn(|index| {
        // SAFETY: a quarter of the array's 32 bytes.
        let bytes = unsafe { _mm_loadl_epi64(block.as_ptr().add(8 * index).cast()) };
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
    });
    (numbers, _mm256_set1_ps(scale))
}
