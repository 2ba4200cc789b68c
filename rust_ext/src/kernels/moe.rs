//! The experts of one layer: each token through those that were chosen for it, and their weighted sum.

use super::{
    kernel::Runnable,
    linear::{Plan, ordered, panel, panels},
    matrix::{BLOCK, Matrix},
    number::{Bf16, Cells, Number, Numbers},
    pool,
};
use std::ops::Range;

/// The model's constant in its gate, `gate * sigmoid(ALPHA * gate)`.
const ALPHA: f32 = 1.702;

/// All experts of a layer. Matrices and biases have those of one expert after those of the other.
#[derive(Clone, Copy)]
pub struct Experts<'a> {
    pub count: usize,
    /// Rows of gate and of up in turn.
    pub gate_up: Matrix<'a>,
    pub gate_up_bias: Numbers<'a>,
    pub down: Matrix<'a>,
    pub down_bias: Numbers<'a>,
    /// What gate is cut to from above, and up from both sides.
    pub limit: f32,
}

/// Which experts, and how much of each: the same number for every token.
#[derive(Clone, Copy)]
pub struct Chosen<'a> {
    /// Each below the number of experts.
    pub experts: &'a [usize],
    pub shares: Numbers<'a>,
}

/// A token's visit to an expert.
#[derive(Clone, Copy)]
struct Visit {
    token: usize,
    share: f32,
}

/// The visits to one expert, a range of all visits.
struct Group {
    expert: usize,
    visits: Range<usize>,
}

/// `out[token]` = the sum over its experts of `share * (down(swiglu(gate_up(x[token]) + bias)) + bias)`.
///
/// Sums are in f32. Between the matrices stand numbers of x's precision. Experts are summed in the order
/// of their numbers, so that neither threads nor other tokens change a bit.
pub fn moe(plan: Plan, x: Numbers, chosen: Chosen, experts: Experts, out: Cells) {
    match (x, plan.implementation.bf16) {
        (Numbers::Bf16(_), Some(kernel)) => moe_with(kernel, plan, x, chosen, experts, out),
        _ => moe_with(plan.implementation.f32, plan, x, chosen, experts, out),
    }
}

fn moe_with<X: Number>(
    kernel: Runnable<X>,
    plan: Plan,
    x: Numbers,
    chosen: Chosen,
    experts: Experts,
    out: Cells,
) {
    let (visits, groups) = grouped(chosen, x.len() / experts.gate_up.columns, experts.count);
    let layer = Layer { kernel, plan, experts, visits: &visits, groups: &groups };
    let mut between = vec![X::default(); visits.len() * experts.down.columns];
    layer.gate_up(&ordered(kernel, x), matches!(x, Numbers::Bf16(_)), X::cells(&mut between));
    layer.down(&between, out);
}

/// Visits sorted by expert, and the group of each expert that has any.
fn grouped(chosen: Chosen, tokens: usize, experts: usize) -> (Vec<Visit>, Vec<Group>) {
    let each = chosen.experts.len() / tokens;
    let mut ends = vec![0; experts];
    for &expert in chosen.experts {
        ends[expert] += 1;
    }
    let mut end = 0;
    for place in &mut ends {
        end += *place;
        *place = end;
    }
    let mut visits = vec![Visit { token: 0, share: 0.0 }; chosen.experts.len()];
    let mut starts = ends.clone();
    for (index, &expert) in chosen.experts.iter().enumerate().rev() {
        starts[expert] -= 1;
        visits[starts[expert]] = Visit { token: index / each, share: chosen.shares.get(index) };
    }
    let groups = (0..experts).map(|expert| Group { expert, visits: starts[expert]..ends[expert] });
    (visits, groups.filter(|group| !group.visits.is_empty()).collect())
}

/// One call's work.
struct Layer<'a, X: 'static> {
    kernel: Runnable<X>,
    plan: Plan,
    experts: Experts<'a>,
    visits: &'a [Visit],
    groups: &'a [Group],
}

impl<X: Number> Layer<'_, X> {
    /// For each visit the numbers between the matrices, ordered as the second takes them.
    fn gate_up(&self, x: &[X], is_narrow: bool, between: Cells) {
        let Experts { count, gate_up, gate_up_bias, limit, .. } = self.experts;
        let (rows_each, columns) = (gate_up.rows / count, gate_up.columns);
        let places = inverse(self.kernel.order());
        let panels = panels(rows_each);
        pool::run(self.threads(gate_up), self.groups.len() * panels, |units| {
            let mut sums = Vec::new();
            while let Some(unit) = units.next() {
                let (group, rows) = (&self.groups[unit / panels], panel(unit % panels, rows_each));
                let offset = group.expert * rows_each;
                let visits = &self.visits[group.visits.clone()];
                let tokens: Vec<&[X]> = visits.iter().map(|visit| token(x, visit.token, columns)).collect();
                sums.resize(rows.len() * tokens.len(), 0.0);
                let matrix = gate_up.rows(offset + rows.start..offset + rows.end);
                self.kernel.multiply(matrix, &tokens, &mut sums);
                for (visit, sums) in group.visits.clone().zip(sums.chunks_exact(rows.len())) {
                    for (pair, sums) in (rows.start / 2..).zip(sums.as_chunks::<2>().0) {
                        let bias = |row| gate_up_bias.get(offset + 2 * pair + row);
                        let value = swiglu(sums[0] + bias(0), sums[1] + bias(1), limit);
                        let value = if is_narrow { Bf16::from_f32(value).to_f32() } else { value };
                        let place = pair / BLOCK * BLOCK + usize::from(places[pair % BLOCK]);
                        between.set(visit * rows_each / 2 + place, value);
                    }
                }
            }
        });
    }

    /// The weighted sums. A thread has some rows of every expert, so that each sum is one thread's.
    fn down(&self, between: &[X], out: Cells) {
        let Experts { count, down, down_bias, .. } = self.experts;
        let (rows_each, columns) = (down.rows / count, down.columns);
        pool::run(self.threads(down), panels(rows_each), |units| {
            let (mut sums, mut totals) = (Vec::new(), Vec::new());
            while let Some(unit) = units.next() {
                let rows = panel(unit, rows_each);
                totals.clear();
                totals.resize(out.len() / rows_each * rows.len(), 0.0);
                for group in self.groups {
                    let offset = group.expert * rows_each;
                    let tokens = group.visits.clone().map(|visit| token(between, visit, columns));
                    let tokens: Vec<&[X]> = tokens.collect();
                    sums.resize(rows.len() * tokens.len(), 0.0);
                    let matrix = down.rows(offset + rows.start..offset + rows.end);
                    self.kernel.multiply(matrix, &tokens, &mut sums);
                    let visits = &self.visits[group.visits.clone()];
                    for (visit, sums) in visits.iter().zip(sums.chunks_exact(rows.len())) {
                        let totals = &mut totals[visit.token * rows.len()..][..rows.len()];
                        for ((row, total), sum) in rows.clone().zip(totals).zip(sums) {
                            *total += visit.share * (sum + down_bias.get(offset + row));
                        }
                    }
                }
                for (token, totals) in totals.chunks_exact(rows.len()).enumerate() {
                    for (row, total) in rows.clone().zip(totals) {
                        out.set(token * rows_each + row, *total);
                    }
                }
            }
        });
    }

    /// How many threads the experts that have visits are worth.
    fn threads(&self, matrix: Matrix) -> usize {
        self.plan.threads_for(matrix.bytes() / self.experts.count * self.groups.len())
    }
}

/// One of the rows of `columns` numbers that `values` is.
fn token<X>(values: &[X], index: usize, columns: usize) -> &[X] {
    &values[index * columns..(index + 1) * columns]
}

/// The gated activation. What is not a number stays so.
fn swiglu(gate: f32, up: f32, limit: f32) -> f32 {
    // `min` and `max` would pass over what is not a number.
    let gate = if gate > limit { limit } else { gate };
    let up = if up > limit {
        limit
    } else if up < -limit {
        -limit
    } else {
        up
    };
    gate / (1.0 + (-ALPHA * gate).exp()) * (up + 1.0)
}

/// Where each number of a block stands in `order`.
fn inverse(order: &[u8; BLOCK]) -> [u8; BLOCK] {
    let mut places = [0; BLOCK];
    for (place, &number) in order.iter().enumerate() {
        places[usize::from(number)] = place as u8;
    }
    places
}
