//! The two precisions that tensors come in, and results that several threads write.

use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// A bfloat16: the upper half of an `f32`.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// What a kernel multiplies.
pub trait Number: Copy + Default + Send + Sync + 'static {
    fn to_f32(self) -> f32;

    /// The nearest number, the even one on a tie.
    fn from_f32(value: f32) -> Self;

    /// `numbers` as they lie, where they are of this type already.
    fn borrow(numbers: Numbers<'_>) -> Option<&[Self]>;

    /// `numbers` for several threads to write.
    fn cells(numbers: &mut [Self]) -> Cells<'_>;
}

impl Number for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    fn borrow(numbers: Numbers<'_>) -> Option<&[Self]> {
        match numbers {
            Numbers::F32(values) => Some(values),
            Numbers::Bf16(_) => None,
        }
    }

    fn cells(numbers: &mut [Self]) -> Cells<'_> {
        let len = numbers.len();
        // SAFETY: an `AtomicU32` lies in memory as an `f32` does, and the borrow is exclusive for as long.
        Cells::F32(unsafe { std::slice::from_raw_parts(numbers.as_mut_ptr().cast::<AtomicU32>(), len) })
    }
}

impl Number for Bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            // Rounding could carry a NaN's fraction away: keep its sign and make it quiet.
            return Self((bits >> 16) as u16 | 0x0040);
        }
        let even = (bits >> 16) & 1;
        Self(((bits + 0x7FFF + even) >> 16) as u16)
    }

    fn borrow(numbers: Numbers<'_>) -> Option<&[Self]> {
        match numbers {
            Numbers::F32(_) => None,
            Numbers::Bf16(values) => Some(values),
        }
    }

    fn cells(numbers: &mut [Self]) -> Cells<'_> {
        let len = numbers.len();
        // SAFETY: an `AtomicU16` lies in memory as a `Bf16` does, and the borrow is exclusive for as long.
        Cells::Bf16(unsafe { std::slice::from_raw_parts(numbers.as_mut_ptr().cast::<AtomicU16>(), len) })
    }
}

/// Numbers as they lie in a tensor.
#[derive(Clone, Copy)]
pub enum Numbers<'a> {
    F32(&'a [f32]),
    Bf16(&'a [Bf16]),
}

impl Numbers<'_> {
    pub fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    #[inline(always)]
    pub fn get(self, index: usize) -> f32 {
        match self {
            Self::F32(values) => values[index],
            Self::Bf16(values) => values[index].to_f32(),
        }
    }
}

/// Numbers that several threads write, each its own: stores that could not tear even if two met.
#[derive(Clone, Copy)]
pub enum Cells<'a> {
    F32(&'a [AtomicU32]),
    Bf16(&'a [AtomicU16]),
}

impl Cells<'_> {
    pub fn len(self) -> usize {
        match self {
            Self::F32(cells) => cells.len(),
            Self::Bf16(cells) => cells.len(),
        }
    }

    #[inline(always)]
    pub fn set(self, index: usize, value: f32) {
        match self {
            Self::F32(cells) => cells[index].store(value.to_bits(), Ordering::Relaxed),
            Self::Bf16(cells) => cells[index].store(Bf16::from_f32(value).0, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bf16_comes_back() {
        for bits in 0..=u16::MAX {
            let value = Bf16(bits).to_f32();
            let back = Bf16::from_f32(value);
            assert!(back == Bf16(bits) || value.is_nan() && back.to_f32().is_nan(), "{bits:04x}");
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_and_even_on_a_tie() {
        for (value, expected) in [
            (f32::from_bits(0x3F80_8000), 0x3F80),
            (f32::from_bits(0x3F81_8000), 0x3F82),
            (f32::from_bits(0x3F80_8001), 0x3F81),
            (f32::from_bits(0x3F80_7FFF), 0x3F80),
            (f32::MAX, 0x7F80),
            (f32::from_bits(0x7F80_0001), 0x7FC0),
            (f32::from_bits(0x0000_8001), 0x0001),
        ] {
            assert_eq!(Bf16::from_f32(value), Bf16(expected), "{value:?}");
        }
    }
}
