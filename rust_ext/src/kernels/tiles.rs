//! The loops that the vector implementations share: rows times tokens in tiles, so that what was loaded or
//! unpacked once is used several times. Macros, because a function that is generic over an instruction set
//! cannot be compiled for one.
//!
//! Whatever the tile, each sum is over the same numbers in the same order, so that a token's result does
//! not depend on what stands beside it.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// The numbers from `at` on.
///
/// # Safety
///
/// `at + N` is at most the length of `values`.
#[inline(always)]
pub unsafe fn part<const N: usize, T>(values: &[T], at: usize) -> &[T; N] {
    debug_assert!(at + N <= values.len());
    // SAFETY: the caller says that they are all there.
    unsafe { &*values.as_ptr().add(at).cast() }
}

/// What is left at the end of a row, with zeros after it.
#[inline(always)]
pub fn padded<const N: usize, T: Copy + Default>(values: &[T]) -> [T; N] {
    let mut whole = [T::default(); N];
    whole[..values.len()].copy_from_slice(values);
    whole
}

/// Asks for what lies `offset` from the start of `values`, which need not be within them.
#[inline(always)]
pub fn prefetch<T>(values: &[T], offset: usize) {
    // SAFETY: a prefetch reads nothing, and any address will do.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(offset).cast()) };
}

/// A `kernel::Multiply` for rows of `$weight` and tokens of `$number`, `$lanes` numbers at a time.
macro_rules! multiply {
    (
        $name:ident($weight:ty, $number:ty), features $features:literal, lanes $lanes:literal,
        tiles [$($rows:literal x $count:literal),*],
        zero $zero:path, weights $load_weights:path, numbers $load_numbers:path, add $add:path, sum $sum:path
    ) => {
        #[target_feature(enable = $features)]
        fn $name(rows: &[$weight], tokens: &[&[$number]], out: &mut [f32]) {
            use crate::kernels::tiles::{padded, part};

            #[target_feature(enable = $features)]
            fn tile<const R: usize, const T: usize>(
                rows: [&[$weight]; R],
                tokens: &[&[$number]; T],
            ) -> [[f32; T]; R] {
                let mut sums = [[$zero(); T]; R];
                let columns = tokens[0].len();
                let mut at = 0;
                while at + $lanes <= columns {
                    // SAFETY: rows and tokens all have this many columns.
                    let numbers = tokens.map(|token| $load_numbers(unsafe { part(token, at) }));
                    for (row, sums) in rows.iter().zip(&mut sums) {
                        // SAFETY: as above.
                        let weights = $load_weights(unsafe { part(row, at) });
                        for (sum, numbers) in sums.iter_mut().zip(numbers) {
                            *sum = $add(*sum, weights, numbers);
                        }
                    }
                    at += $lanes;
                }
                if at < columns {
                    let numbers = tokens.map(|token| $load_numbers(&padded(&token[at..])));
                    for (row, sums) in rows.iter().zip(&mut sums) {
                        let weights = $load_weights(&padded(&row[at..]));
                        for (sum, numbers) in sums.iter_mut().zip(numbers) {
                            *sum = $add(*sum, weights, numbers);
                        }
                    }
                }
                let mut totals = [[0.0; T]; R];
                for (sums, totals) in sums.iter().zip(&mut totals) {
                    for (sum, total) in sums.iter().zip(totals) {
                        *total = $sum(*sum);
                    }
                }
                totals
            }

            #[target_feature(enable = $features)]
            fn strip<const R: usize, const T: usize>(
                rows: &[$weight],
                tokens: &[&[$number]; T],
                out: &mut [f32],
            ) {
                let columns = tokens[0].len();
                let count = rows.len() / columns;
                let mut first = 0;
                while first + R <= count {
                    let mut some = [rows; R];
                    for (at, row) in some.iter_mut().enumerate() {
                        *row = &rows[(first + at) * columns..(first + at + 1) * columns];
                    }
                    let sums = tile(some, tokens);
                    for (at, sums) in sums.iter().enumerate() {
                        for (token, sum) in sums.iter().enumerate() {
                            out[token * count + first + at] = *sum;
                        }
                    }
                    first += R;
                }
                while first < count {
                    let [sums] = tile([&rows[first * columns..(first + 1) * columns]], tokens);
                    for (token, sum) in sums.iter().enumerate() {
                        out[token * count + first] = *sum;
                    }
                    first += 1;
                }
            }

            let count = out.len() / tokens.len();
            let mut done = 0;
            $(
                while tokens.len() - done >= $count {
                    // SAFETY: that many are left.
                    let some: &[&[$number]; $count] = unsafe { part(tokens, done) };
                    strip::<$rows, $count>(rows, some, &mut out[done * count..(done + $count) * count]);
                    done += $count;
                }
            )*
        }
    };
}

/// A `kernel::MultiplyPacked` for tokens of `$number`, called `packed`. Blocks are unpacked in registers: again
/// for every few tokens, which takes less time than to read from a cache what was unpacked once.
///
/// `$expand` makes of up to sixteen scales what `$weights` takes with a block to give its `$vectors`
/// vectors of `$lanes` numbers each.
macro_rules! packed {
    (
        $number:ty, features $features:literal, lanes $lanes:literal, vectors $vectors:literal,
        tiles [$($rows:literal x $count:literal),*],
        zero $zero:path, expand $expand:path, weights $weights:path, numbers $load:path, add $add:path,
        sum $sum:path
    ) => {
        #[target_feature(enable = $features)]
        fn packed(blocks: &[u8], scales: &[u8], tokens: &[&[$number]], out: &mut [f32]) {
            use crate::kernels::{matrix::{BLOCK, BLOCK_BYTES}, tiles::{part, prefetch}};

            #[target_feature(enable = $features)]
            fn tile<const R: usize, const T: usize>(
                blocks: &[u8],
                scales: &[u8],
                tokens: &[&[$number]; T],
            ) -> [[f32; T]; R] {
                let each = tokens[0].len() / BLOCK;
                assert!(blocks.len() >= R * each * BLOCK_BYTES && scales.len() >= R * each);
                let mut sums = [[$zero(); T]; R];
                let mut start = 0;
                while start < each {
                    let count = (each - start).min(16);
                    // The next rows, a cache line for each that this tile uses.
                    prefetch(scales, R * (each + start));
                    let mut expanded = [[Default::default(); 16]; R];
                    for (row, expanded) in expanded.iter_mut().enumerate() {
                        *expanded = $expand(&scales[row * each + start..][..count]);
                    }
                    for at in start..start + count {
                        prefetch(blocks, R * (each + at) * BLOCK_BYTES);
                        let numbers = tokens.map(|token| {
                            std::array::from_fn::<_, $vectors, _>(|index| {
                                // SAFETY: tokens all have this many blocks.
                                $load(unsafe { part(token, at * BLOCK + index * $lanes) })
                            })
                        });
                        for (row, sums) in sums.iter_mut().enumerate() {
                            // SAFETY: as was asserted.
                            let block = unsafe { part(blocks, (row * each + at) * BLOCK_BYTES) };
                            let weights = $weights(block, expanded[row][at - start]);
                            for (sum, numbers) in sums.iter_mut().zip(numbers) {
                                for (weights, numbers) in weights.into_iter().zip(numbers) {
                                    *sum = $add(*sum, weights, numbers);
                                }
                            }
                        }
                    }
                    start += count;
                }
                let mut totals = [[0.0; T]; R];
                for (sums, totals) in sums.iter().zip(&mut totals) {
                    for (sum, total) in sums.iter().zip(totals) {
                        *total = $sum(*sum);
                    }
                }
                totals
            }

            #[target_feature(enable = $features)]
            fn strip<const R: usize, const T: usize>(
                blocks: &[u8],
                scales: &[u8],
                tokens: &[&[$number]; T],
                out: &mut [f32],
            ) {
                let (count, each) = (out.len() / T, tokens[0].len() / BLOCK);
                let mut first = 0;
                while first + R <= count {
                    let start = first * each;
                    let sums = tile::<R, T>(&blocks[start * BLOCK_BYTES..], &scales[start..], tokens);
                    for (at, sums) in sums.iter().enumerate() {
                        for (token, sum) in sums.iter().enumerate() {
                            out[token * count + first + at] = *sum;
                        }
                    }
                    first += R;
                }
                while first < count {
                    let start = first * each;
                    let [sums] = tile::<1, T>(&blocks[start * BLOCK_BYTES..], &scales[start..], tokens);
                    for (token, sum) in sums.iter().enumerate() {
                        out[token * count + first] = *sum;
                    }
                    first += 1;
                }
            }

            let count = out.len() / tokens.len();
            let mut done = 0;
            $(
                while tokens.len() - done >= $count {
                    // SAFETY: that many are left.
                    let some: &[&[$number]; $count] = unsafe { part(tokens, done) };
                    let out = &mut out[done * count..(done + $count) * count];
                    strip::<$rows, $count>(blocks, scales, some, out);
                    done += $count;
                }
            )*
        }
    };
}

pub(crate) use {multiply, packed};
