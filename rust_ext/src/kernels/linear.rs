//! Tokens times one matrix.

use super::{
    implementation::Implementation,
    kernel::Runnable,
    matrix::{BLOCK, Matrix, Weights},
    number::{Cells, Number, Numbers},
    pool,
};
use std::{borrow::Cow, ops::Range};

/// Rows that a thread takes at a time: few enough to stay in its cache while tokens pass.
const PANEL: usize = 32;

/// Below this many bytes of weights another thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 16;

/// How to run, not what: the results are the same.
#[derive(Clone, Copy)]
pub struct Plan {
    pub implementation: Implementation,
    pub threads: usize,
}

impl Plan {
    /// How many threads that many bytes of weights are worth.
    pub fn threads_for(self, bytes: usize) -> usize {
        self.threads.min(bytes / WORTH_A_THREAD + 1)
    }
}

/// `out[token, row] = x[token] . matrix[row] + bias[row]`, summed in f32 and rounded once.
///
/// `x` has a whole number of tokens, at least one.
pub fn linear(plan: Plan, x: Numbers, matrix: Matrix, bias: Option<Numbers>, out: Cells) {
    match (x, matrix.weights, plan.implementation.bf16) {
        (Numbers::Bf16(_), Weights::Bf16(_) | Weights::Mxfp4 { .. }, Some(kernel)) => {
            linear_with(kernel, plan, x, matrix, bias, out)
        }
        _ => linear_with(plan.implementation.f32, plan, x, matrix, bias, out),
    }
}

fn linear_with<X: Number>(
    kernel: Runnable<X>,
    plan: Plan,
    x: Numbers,
    matrix: Matrix,
    bias: Option<Numbers>,
    out: Cells,
) {
    let x = match matrix.weights {
        Weights::Mxfp4 { .. } => Cow::Owned(ordered(kernel, x)),
        Weights::Bf16(_) | Weights::F32(_) | Weights::Int8 { .. } => natural(x),
    };
    let tokens: Vec<&[X]> = x.chunks_exact(matrix.columns).collect();
    pool::run(plan.threads_for(matrix.bytes()), panels(matrix.rows), |units| {
        let mut sums = Vec::new();
        while let Some(unit) = units.next() {
            let rows = panel(unit, matrix.rows);
            sums.resize(rows.len() * tokens.len(), 0.0);
            kernel.multiply(matrix.rows(rows.clone()), &tokens, &mut sums);
            for (token, sums) in sums.chunks_exact(rows.len()).enumerate() {
                for (row, sum) in rows.clone().zip(sums) {
                    let bias = bias.map_or(0.0, |bias| bias.get(row));
                    out.set(token * matrix.rows + row, sum + bias);
                }
            }
        }
    });
}

/// How many panels `rows` rows are.
pub fn panels(rows: usize) -> usize {
    rows.div_ceil(PANEL)
}

/// The rows of one of them.
pub fn panel(index: usize, rows: usize) -> Range<usize> {
    index * PANEL..((index + 1) * PANEL).min(rows)
}

/// `x` as a kernel takes it for rows that are not packed.
fn natural<X: Number>(x: Numbers<'_>) -> Cow<'_, [X]> {
    match X::borrow(x) {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned((0..x.len()).map(|at| X::from_f32(x.get(at))).collect()),
    }
}

/// `x` as a kernel takes it for packed rows.
pub fn ordered<X: Number>(kernel: Runnable<X>, x: Numbers) -> Vec<X> {
    let places = (0..x.len()).step_by(BLOCK);
    places.flat_map(|start| kernel.order().map(|n| X::from_f32(x.get(start + usize::from(n))))).collect()
}
