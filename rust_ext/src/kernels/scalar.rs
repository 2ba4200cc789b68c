//! The slow twin: the same products one by one. Every other implementation is compared with it.

use super::{
    kernel::Kernel,
    matrix::{BLOCK, BLOCK_BYTES, TABLE, scale},
    number::{Bf16, Number},
};

const ORDER: [u8; BLOCK] = {
    let mut order = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        order[at] = at as u8;
        at += 1;
    }
    order
};

pub static KERNEL: Kernel<f32> = Kernel {
    order: &ORDER,
    bf16: multiply,
    f32: Some(multiply),
    int8: Some(int8),
    packed,
    is_exact: |_| true,
};

fn multiply<W: Number>(rows: &[W], tokens: &[&[f32]], out: &mut [f32]) {
    let count = out.len() / tokens.len();
    for (token, out) in tokens.iter().zip(out.chunks_exact_mut(count)) {
        for (row, out) in rows.chunks_exact(token.len()).zip(out) {
            *out = row.iter().zip(*token).map(|(weight, x)| weight.to_f32() * x).sum();
        }
    }
}

fn int8(numbers: &[i8], scales: &[Bf16], tokens: &[&[f32]], out: &mut [f32]) {
    let blocks = numbers.as_chunks::<BLOCK>().0.iter().zip(scales);
    let weights = blocks.flat_map(|(block, scale)| block.map(|number| f32::from(number) * scale.to_f32()));
    multiply(&weights.collect::<Vec<f32>>(), tokens, out);
}

fn packed(blocks: &[u8], scales: &[u8], tokens: &[&[f32]], out: &mut [f32]) {
    multiply_in(&ORDER, blocks, scales, tokens, out);
}

/// The numbers of one block in their natural order.
fn numbers(block: &[u8; BLOCK_BYTES], scale_byte: u8) -> [f32; BLOCK] {
    let scale = scale(scale_byte);
    std::array::from_fn(|at| TABLE[usize::from(block[at / 2] >> (4 * (at % 2)) & 15)] * scale)
}

/// Packed rows with tokens whose blocks are in `order`: `out[token * rows + row]`.
pub fn multiply_in<X: Number>(
    order: &[u8; BLOCK],
    blocks: &[u8],
    scales: &[u8],
    tokens: &[&[X]],
    out: &mut [f32],
) {
    let (rows, blocks) = (out.len() / tokens.len(), blocks.as_chunks::<BLOCK_BYTES>().0);
    for (index, out) in out.iter_mut().enumerate() {
        let token = tokens[index / rows].as_chunks::<BLOCK>().0;
        let start = index % rows * token.len();
        *out = 0.0;
        for ((x, block), scale) in token.iter().zip(&blocks[start..]).zip(&scales[start..]) {
            let weights = numbers(block, *scale);
            *out += order.iter().zip(x).map(|(&n, x)| weights[usize::from(n)] * x.to_f32()).sum::<f32>();
        }
    }
}
