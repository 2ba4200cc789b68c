//! The loops that the vector implementations share: rows times tokens in tiles, so that what was loaded or
//! unpacked once is used several times. Macros, because a function that is generic over an instruction set
//! cannot be compiled for one.
//!
//! Whatever the tile, each sum is over the same numbers in the same order, so that a token's result does
//! not depend on what stands beside it.

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
    let place = values.as_ptr().wrapping_add(offset);
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; nothing else is touched.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{place}]",
            place = in(reg) place,
            options(nostack, preserves_flags, readonly)
        );
    }
}

/// The results of `tile`, put where they belong: `tile::<R, T>(weights, first, tokens)` multiplies `R` rows
/// from `first` on with `T` tokens. `$rows x $count` are the tiles, of which the first that fits is taken.
macro_rules! in_tiles {
    (
        $weights:ident: $kind:ty, $tokens:ident: $number:ty, $out:ident, features $features:literal,
        tiles [$($rows:literal x $count:literal),*]
    ) => {
        #[target_feature(enable = $features)]
        fn strip<const R: usize, const T: usize>(
            $weights: $kind,
            tokens: &[&[$number]; T],
            out: &mut [f32],
        ) {
            let count = out.len() / T;
            let mut put = |first: usize, sums: &[[f32; T]]| {
                for (row, sums) in sums.iter().enumerate() {
                    for (token, sum) in sums.iter().enumerate() {
                        out[token * count + first + row] = *sum;
                    }
                }
            };
            let mut first = 0;
            while first + R <= count {
                put(first, &tile::<R, T>($weights, first, tokens));
                first += R;
            }
            while first < count {
                put(first, &tile::<1, T>($weights, first, tokens));
                first += 1;
            }
        }

        let count = $out.len() / $tokens.len();
        let mut done = 0;
        $(
            while $tokens.len() - done >= $count {
                // SAFETY: that many are left.
                let some: &[&[$number]; $count] = unsafe { crate::kernels::tiles::part($tokens, done) };
                let out = &mut $out[done * count..(done + $count) * count];
                strip::<$rows, $count>($weights, some, out);
                done += $count;
            }
        )*
    };
}

/// Each sum of a tile as one number.
macro_rules! totals {
    ($sums:ident, $sum:path) => {{
        let mut totals = [[0.0; T]; R];
        for (sums, totals) in $sums.iter().zip(&mut totals) {
            for (sum, total) in sums.iter().zip(totals) {
                *total = $sum(*sum);
            }
        }
        totals
    }};
}

/// A `kernel::Multiply` for rows of `$weight` and tokens of `$number`, `$lanes` numbers at a time.
macro_rules! multiply {
    (
        $name:ident($weight:ty, $number:ty), features $features:literal, lanes $lanes:literal,
        tiles $tiles:tt,
        zero $zero:path, weights $load_weights:path, numbers $load_numbers:path, add $add:path, sum $sum:path
    ) => {
        #[target_feature(enable = $features)]
        fn $name(rows: &[$weight], tokens: &[&[$number]], out: &mut [f32]) {
            use crate::kernels::tiles::{in_tiles, padded, part, totals};

            #[target_feature(enable = $features)]
            fn tile<const R: usize, const T: usize>(
                rows: &[$weight],
                first: usize,
                tokens: &[&[$number]; T],
            ) -> [[f32; T]; R] {
                let columns = tokens[0].len();
                let mut own = [rows; R];
                for (row, own) in own.iter_mut().enumerate() {
                    *own = &rows[(first + row) * columns..(first + row + 1) * columns];
                }
                let mut sums = [[$zero(); T]; R];
                let mut at = 0;
                while at + $lanes <= columns {
                    // SAFETY: rows and tokens all have this many columns.
                    let numbers = tokens.map(|token| $load_numbers(unsafe { part(token, at) }));
                    for (row, sums) in own.iter().zip(&mut sums) {
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
                    for (row, sums) in own.iter().zip(&mut sums) {
                        let weights = $load_weights(&padded(&row[at..]));
                        for (sum, numbers) in sums.iter_mut().zip(numbers) {
                            *sum = $add(*sum, weights, numbers);
                        }
                    }
                }
                totals!(sums, $sum)
            }

            in_tiles!(rows: &[$weight], tokens: $number, out, features $features, tiles $tiles);
        }
    };
}

/// A `kernel::MultiplyPacked` or a `kernel::MultiplyInt8` for tokens of `$number`: a block is `$size` of
/// `$part`, with one `$scale`.
///
/// Blocks are unpacked in registers, again for every few tokens: that takes less time than to read from a
/// cache what was unpacked once. `$expand` makes of up to sixteen scales what `$weights` takes with a block
/// to give its `$vectors` vectors of `$lanes` numbers each.
macro_rules! packed {
    (
        $name:ident([$part:ty; $size:expr], $scale:ty, $number:ty), features $features:literal, lanes $lanes:literal, vectors $vectors:literal,
        tiles $tiles:tt,
        zero $zero:path, expand $expand:path, weights $weights:path, numbers $load:path, add $add:path,
        sum $sum:path
    ) => {
        #[target_feature(enable = $features)]
        fn $name(blocks: &[$part], scales: &[$scale], tokens: &[&[$number]], out: &mut [f32]) {
            use crate::kernels::{
                matrix::BLOCK,
                tiles::{in_tiles, part, prefetch, totals},
            };

            #[target_feature(enable = $features)]
            fn tile<const R: usize, const T: usize>(
                (blocks, scales): (&[$part], &[$scale]),
                first: usize,
                tokens: &[&[$number]; T],
            ) -> [[f32; T]; R] {
                let each = tokens[0].len() / BLOCK;
                let (blocks, scales) = (&blocks[first * each * $size..], &scales[first * each..]);
                assert!(blocks.len() >= R * each * $size && scales.len() >= R * each);
                let mut sums = [[$zero(); T]; R];
                for start in (0..each).step_by(16) {
                    let count = (each - start).min(16);
                    // The next rows, a cache line for each that this tile uses.
                    prefetch(scales, R * (each + start));
                    let mut expanded = [[Default::default(); 16]; R];
                    for (row, expanded) in expanded.iter_mut().enumerate() {
                        *expanded = $expand(&scales[row * each + start..][..count]);
                    }
                    for at in 0..count {
                        for line in (0..R * $size).step_by(64) {
                            prefetch(blocks, R * (each + start + at) * $size + line);
                        }
                        let numbers = tokens.map(|token| {
                            std::array::from_fn::<_, $vectors, _>(|index| {
                                // SAFETY: tokens all have this many blocks.
                                $load(unsafe { part(token, (start + at) * BLOCK + index * $lanes) })
                            })
                        });
                        for (row, sums) in sums.iter_mut().enumerate() {
                            // SAFETY: as was asserted.
                            let block = unsafe { part(blocks, (row * each + start + at) * $size) };
                            let weights = $weights(block, expanded[row][at]);
                            for (sum, numbers) in sums.iter_mut().zip(numbers) {
                                *sum = $add(*sum, weights, numbers);
                            }
                        }
                    }
                }
                totals!(sums, $sum)
            }

            let rows = (blocks, scales);
            in_tiles!(rows: (&[$part], &[$scale]), tokens: $number, out, features $features, tiles $tiles);
        }
    };
}

pub(crate) use {in_tiles, multiply, packed, totals};
