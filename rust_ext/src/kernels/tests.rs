//! Every implementation beside the scalar one, and beside itself with other threads and other tokens.

use super::{
    kernel::Runnable,
    matrix::{BLOCK, TABLE, scale},
    *,
};

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        self.0 >> 33
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.bits() as u8).collect()
    }

    /// Scales as trained models have them.
    fn scales(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| 119 + (self.bits() % 5) as u8).collect()
    }

    fn numbers<X: Number>(&mut self, count: usize) -> Vec<X> {
        (0..count).map(|_| X::from_f32((self.bits() % 4096) as f32 / 1024.0 - 2.0)).collect()
    }
}

fn plan(implementation: Implementation, threads: usize) -> Plan {
    Plan { implementation, threads }
}

fn scalar() -> Implementation {
    Implementation::named(Some("scalar")).unwrap()
}

fn linear_f32(plan: Plan, x: Numbers, matrix: Matrix, bias: Option<Numbers>) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / matrix.columns * matrix.rows];
    linear(plan, x, matrix, bias, f32::cells(&mut out));
    out
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    let largest = expected.iter().fold(1e-6_f32, |most, value| most.max(value.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-5 * largest, "{what}, {at}: {found} for {expected}");
    }
}

#[test]
fn every_number_with_every_scale_is_exact() {
    // A row for each number; each token is one, at the start of the block with its scale.
    let (rows, columns) = (TABLE.len(), 256 * BLOCK);
    let blocks: Vec<u8> = (0..rows).flat_map(|code| vec![(code | code << 4) as u8; columns / 2]).collect();
    for implementation in Implementation::all() {
        for chosen in 0..=255_u8 {
            // Beside a usual scale and beside one like itself, since extreme ones change the way.
            for other in [127, chosen] {
                let mut scales = vec![other; rows * columns / BLOCK];
                for row in 0..rows {
                    scales[row * 256 + usize::from(chosen)] = chosen;
                }
                let matrix =
                    Matrix { rows, columns, weights: Weights::Mxfp4 { blocks: &blocks, scales: &scales } };
                for tokens in [1, 2] {
                    let mut x = vec![0.0; tokens * columns];
                    for token in 0..tokens {
                        x[token * columns + usize::from(chosen) * BLOCK + 7] = 1.0;
                    }
                    let x16: Vec<Bf16> = x.iter().map(|&value| Bf16::from_f32(value)).collect();
                    for x in [Numbers::F32(&x), Numbers::Bf16(&x16)] {
                        let out = linear_f32(plan(implementation, 1), x, matrix, None);
                        for (at, found) in out.iter().enumerate() {
                            let exact = TABLE[at % rows] * scale(chosen);
                            let near = *found == exact || found.is_nan() && !exact.is_finite();
                            assert!(near, "{} {chosen} {at}: {found}", implementation.name);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_eight_bit_number_with_every_scale_is_exact() {
    // A row for each number; each token is one, in one block.
    let (rows, columns) = (256, 2 * BLOCK);
    let numbers: Vec<i8> = (i8::MIN..=i8::MAX).flat_map(|number| vec![number; columns]).collect();
    for bits in (0..=u16::MAX).step_by(7) {
        let (scale, scales) = (Bf16(bits).to_f32(), vec![Bf16(bits); rows * columns / BLOCK]);
        let matrix = Matrix { rows, columns, weights: Weights::Int8 { numbers: &numbers, scales: &scales } };
        for (implementation, tokens) in
            Implementation::all().flat_map(|each| [(each, 1), (each, 2), (each, 4)])
        {
            let mut x = vec![0.0; tokens * columns];
            for (token, x) in x.chunks_exact_mut(columns).enumerate() {
                x[BLOCK + 9 * token] = 1.0;
            }
            let out = linear_f32(plan(implementation, 1), Numbers::F32(&x), matrix, None);
            for (at, found) in out.iter().enumerate() {
                let exact = f32::from(numbers[at % rows * columns]) * scale;
                // An infinite weight times the zeros beside the one is not a number.
                let near = if exact.is_finite() { *found == exact } else { !found.is_finite() };
                assert!(near, "{} {bits:04x} {at}: {found} for {exact}", implementation.name);
            }
        }
    }
}

#[test]
fn implementations_agree_and_neither_threads_nor_company_change_a_bit() {
    let mut noise = Noise(1);
    for (rows, columns) in [(1, 32), (3, 64), (4, 512), (37, 544), (70, 96), (65, 2880)] {
        let (blocks, scales) = (noise.bytes(rows * columns / 2), noise.scales(rows * columns / BLOCK));
        let (wide, narrow) = (noise.numbers::<f32>(rows * columns), noise.numbers::<Bf16>(rows * columns));
        let (x, bias) = (noise.numbers::<f32>(9 * columns), noise.numbers::<Bf16>(rows));
        let x16: Vec<Bf16> = x.iter().map(|&value| Bf16::from_f32(value)).collect();
        let numbers: Vec<i8> = noise.bytes(rows * columns).into_iter().map(u8::cast_signed).collect();
        let int8_scales = noise.numbers::<Bf16>(rows * columns / BLOCK);
        for weights in [
            Weights::Mxfp4 { blocks: &blocks, scales: &scales },
            Weights::Int8 { numbers: &numbers, scales: &int8_scales },
            Weights::Bf16(&narrow),
            Weights::F32(&wide),
        ] {
            let matrix = Matrix { rows, columns, weights };
            for x in [Numbers::F32(&x), Numbers::Bf16(&x16)] {
                let bias = Some(Numbers::Bf16(&bias));
                let expected = linear_f32(plan(scalar(), 1), x, matrix, bias);
                for implementation in Implementation::all() {
                    let found = linear_f32(plan(implementation, 1), x, matrix, bias);
                    assert_close(&found, &expected, implementation.name);
                    assert_eq!(found, linear_f32(plan(implementation, 3), x, matrix, bias));
                    for token in 0..9 {
                        let range = token * columns..(token + 1) * columns;
                        let alone = match x {
                            Numbers::F32(x) => Numbers::F32(&x[range]),
                            Numbers::Bf16(x) => Numbers::Bf16(&x[range]),
                        };
                        let alone = linear_f32(plan(implementation, 1), alone, matrix, bias);
                        assert_eq!(found[token * rows..(token + 1) * rows], alone, "{}", implementation.name);
                    }
                }
            }
        }
    }
}

#[test]
fn rows_whose_length_is_no_multiple_of_anything_are_summed_to_their_end() {
    let mut noise = Noise(2);
    for columns in [1, 7, 31, 33, 50, 97] {
        let (weights, x) = (noise.numbers::<Bf16>(5 * columns), noise.numbers::<Bf16>(3 * columns));
        let matrix = Matrix { rows: 5, columns, weights: Weights::Bf16(&weights) };
        let expected = linear_f32(plan(scalar(), 1), Numbers::Bf16(&x), matrix, None);
        for implementation in Implementation::all() {
            let found = linear_f32(plan(implementation, 2), Numbers::Bf16(&x), matrix, None);
            assert_close(&found, &expected, implementation.name);
        }
    }
}

#[test]
fn an_order_names_every_number_once() {
    fn sorted<X: Number>(kernel: Runnable<X>) -> Vec<u8> {
        let mut order = kernel.order().to_vec();
        order.sort_unstable();
        order
    }
    let all: Vec<u8> = (0..BLOCK as u8).collect();
    for implementation in Implementation::all() {
        assert_eq!(sorted(implementation.f32), all, "{}", implementation.name);
        assert!(implementation.bf16.is_none_or(|kernel| sorted(kernel) == all), "{}", implementation.name);
    }
}
