//! Tokens as f32 with NEON, in pairs of vectors: two sums that do not wait for each other.

use super::{
    kernel::Kernel,
    matrix::{BLOCK, BLOCK_BYTES, TABLE_LOWER, TABLE_UPPER, scale},
    number::{Bf16, Number},
    tiles::{multiply, packed, padded},
};
use std::arch::aarch64::{
    float32x4_t, uint8x16_t, uint16x8_t, vaddq_f32, vaddvq_f32, vandq_u8, vandq_u32, vcvtq_f32_s32,
    vdupq_n_f32, vdupq_n_u8, vdupq_n_u32, vfmaq_f32, vget_low_s16, vget_low_u16, vld1_s8, vld1q_f32,
    vld1q_u8, vld1q_u16, vmovl_high_s16, vmovl_s8, vmovl_s16, vmulq_f32, vqtbl1q_u8, vreinterpretq_f32_u32,
    vreinterpretq_u16_u8, vreinterpretq_u32_u16, vshll_high_n_u16, vshll_n_u16, vshlq_n_u32, vshrq_n_u8,
    vzip1q_u8, vzip2q_u8,
};

type Pair = [float32x4_t; 2];

/// As the numbers fall when the low halves of all bytes are looked up, then the high ones, and of two
/// neighbours the first is taken before the second.
const ORDER: [u8; BLOCK] = {
    let mut order = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        let (half, group, second, lane) = (at / 16, at / 8 % 2, at / 4 % 2, at % 4);
        order[at] = (2 * (8 * group + 2 * lane + second) + half) as u8;
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
    multiply_bf16(Bf16, f32), features "neon", lanes 8, tiles [4 x 2, 2 x 1],
    zero zero, weights load_bf16, numbers load, add add, sum sum
);

multiply!(
    multiply_f32(f32, f32), features "neon", lanes 8, tiles [4 x 2, 2 x 1],
    zero zero, weights load, numbers load, add add, sum sum
);

packed!(
    packed([u8; BLOCK_BYTES], u8, f32), features "neon", lanes 8, vectors 4, tiles [1 x 4, 2 x 2, 4 x 1],
    zero zero, expand expanded, weights weights, numbers load, add add_all, sum sum
);

packed!(
    int8([i8; BLOCK], Bf16, f32), features "neon", lanes 8, vectors 4, tiles [1 x 4, 2 x 2, 4 x 1],
    zero zero, expand padded, weights int8_weights, numbers load, add add_block, sum sum
);

#[target_feature(enable = "neon")]
#[inline]
fn zero() -> Pair {
    [vdupq_n_f32(0.0); 2]
}

#[target_feature(enable = "neon")]
#[inline]
fn load(numbers: &[f32; 8]) -> Pair {
    // SAFETY: both halves of an array of 8 numbers.
    unsafe { [vld1q_f32(numbers.as_ptr()), vld1q_f32(numbers.as_ptr().add(4))] }
}

#[target_feature(enable = "neon")]
#[inline]
fn load_bf16(numbers: &[Bf16; 8]) -> Pair {
    // SAFETY: an array of 16 bytes.
    let numbers: uint16x8_t = unsafe { vld1q_u16(numbers.as_ptr().cast()) };
    [vshll_n_u16::<16>(vget_low_u16(numbers)), vshll_high_n_u16::<16>(numbers)]
        .map(|bits| vreinterpretq_f32_u32(bits))
}

#[target_feature(enable = "neon")]
#[inline]
fn add(sums: Pair, weights: Pair, numbers: Pair) -> Pair {
    [vfmaq_f32(sums[0], weights[0], numbers[0]), vfmaq_f32(sums[1], weights[1], numbers[1])]
}

#[target_feature(enable = "neon")]
#[inline]
fn add_all(sum: Pair, weights: [Pair; 4], numbers: [Pair; 4]) -> Pair {
    let mut sum = sum;
    for (weights, numbers) in weights.into_iter().zip(numbers) {
        sum = add(sum, weights, numbers);
    }
    sum
}

/// A block's own sum is scaled once, not each of its numbers.
#[target_feature(enable = "neon")]
#[inline]
fn add_block(sum: Pair, (weights, scale): ([Pair; 4], Pair), numbers: [Pair; 4]) -> Pair {
    add(sum, add_all(zero(), weights, numbers), scale)
}

#[target_feature(enable = "neon")]
#[inline]
fn sum(numbers: Pair) -> f32 {
    vaddvq_f32(vaddq_f32(numbers[0], numbers[1]))
}

#[target_feature(enable = "neon")]
#[inline]
fn expanded(scales: &[u8]) -> [f32; 16] {
    let mut expanded = [0.0; 16];
    for (byte, expanded) in scales.iter().zip(&mut expanded) {
        *expanded = scale(*byte);
    }
    expanded
}

/// The weights of a block, in `ORDER`.
#[target_feature(enable = "neon")]
#[inline]
fn weights(block: &[u8; BLOCK_BYTES], scale: f32) -> [Pair; 4] {
    // SAFETY: arrays of 16 bytes.
    let [upper, lower, bytes] =
        unsafe { [&TABLE_UPPER, &TABLE_LOWER, block].map(|bytes| vld1q_u8(bytes.as_ptr())) };
    let (low, high) = (vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes));
    let scale = vdupq_n_f32(scale);
    // Of each two numbers in bf16 that lie in 32 bits, the first and the second.
    let pair = |numbers: uint8x16_t| {
        let numbers = vreinterpretq_u32_u16(vreinterpretq_u16_u8(numbers));
        let [first, second] = [vshlq_n_u32::<16>(numbers), vandq_u32(numbers, vdupq_n_u32(0xFFFF_0000))];
        [vmulq_f32(vreinterpretq_f32_u32(first), scale), vmulq_f32(vreinterpretq_f32_u32(second), scale)]
    };
    let [low_lower, low_upper] = [vqtbl1q_u8(lower, low), vqtbl1q_u8(upper, low)];
    let [high_lower, high_upper] = [vqtbl1q_u8(lower, high), vqtbl1q_u8(upper, high)];
    [
        pair(vzip1q_u8(low_lower, low_upper)),
        pair(vzip2q_u8(low_lower, low_upper)),
        pair(vzip1q_u8(high_lower, high_upper)),
        pair(vzip2q_u8(high_lower, high_upper)),
    ]
}

/// The numbers of an eight-bit block, and their scale.
#[target_feature(enable = "neon")]
#[inline]
fn int8_weights(block: &[i8; BLOCK], scale: Bf16) -> ([Pair; 4], Pair) {
    let numbers = std::array::from_fn(|index| {
        // SAFETY: a quarter of the array's 32 bytes.
        let numbers = vmovl_s8(unsafe { vld1_s8(block.as_ptr().add(8 * index)) });
        [vmovl_s16(vget_low_s16(numbers)), vmovl_high_s16(numbers)].map(|numbers| vcvtq_f32_s32(numbers))
    });
    (numbers, [vdupq_n_f32(scale.to_f32()); 2])
}
