//! Piece starts in 64 bytes of ASCII at a time, by bit algebra on one mask for each class of character.
//!
//! A block begins at a piece start, and no alternative of the pattern looks behind, so that nothing
//! before the block matters. Near its end, before the first non-ASCII byte, and at the two shapes named
//! in [`Masks::certain`], later text decides; starts from there on are left to the next block, which
//! begins at the last start found, or to [`super::scalar`].

pub const BLOCK: usize = 64;

/// How far a start can depend on what follows: an apostrophe needs two letters to be a contraction.
const LOOK_AHEAD: u32 = 3;

/// One bit for each byte of a block, lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Masks {
    letter: u64,
    /// Of the letters, the small ones.
    small: u64,
    digit: u64,
    /// The space itself.
    space: u64,
    /// White space but for line breaks, the space included.
    blank: u64,
    line_break: u64,
    apostrophe: u64,
    slash: u64,
    non_ascii: u64,
}

/// A way to make the masks.
pub trait Classify {
    fn masks(block: &[u8; BLOCK]) -> Masks;
}

/// Finds the starts of the pieces from `at` on, a piece start, as far as they are certain.
///
/// Writes them to `starts` (room for `BLOCK` of them) and returns how many pieces are complete, and
/// where the last of those ends.
#[inline(always)]
pub fn starts<C: Classify>(text: &[u8], at: usize, starts: &mut [usize]) -> (usize, usize) {
    let rest = &text[at..];
    let (masks, bytes);
    let padded: [u8; BLOCK];
    match rest.first_chunk::<BLOCK>() {
        Some(block) => {
            masks = C::masks(block);
            bytes = block;
        }
        None => {
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            padded = block;
            masks = C::masks(&padded).first(rest.len() as u32);
            bytes = &padded;
        }
    }
    let ends_text = rest.len() <= BLOCK && masks.non_ascii == 0;
    let len = rest.len().min(BLOCK) as u32;
    let certain = masks.certain(len, ends_text);
    let mut found = masks.starts(bytes, len) & low_bits(certain) | 1;
    let count = found.count_ones() as usize;
    let starts = &mut starts[..BLOCK];
    for start in &mut starts[..count] {
        *start = at + found.trailing_zeros() as usize;
        found &= found - 1;
    }
    if ends_text && certain == len { (count, text.len()) } else { (count - 1, starts[count - 1]) }
}

impl Masks {
    /// The masks of the first `len` bytes only.
    fn first(self, len: u32) -> Self {
        let m = low_bits(len);
        Self {
            letter: self.letter & m,
            small: self.small & m,
            digit: self.digit & m,
            space: self.space & m,
            blank: self.blank & m,
            line_break: self.line_break & m,
            apostrophe: self.apostrophe & m,
            slash: self.slash & m,
            non_ascii: self.non_ascii & m,
        }
    }

    /// Piece starts, as far as they are certain.
    #[inline(always)]
    fn starts(&self, block: &[u8; BLOCK], len: u32) -> u64 {
        let Self { letter, small, digit, space, blank, line_break, .. } = *self;
        let present = low_bits(len);
        let other = !(letter | digit | blank | line_break | self.non_ascii) & present;
        let visible = !(blank | line_break) & present;
        // A single symbol in front of a letter is the word's prefix, unless a space has taken it.
        let prefix = other & !(other << 1) & !(other >> 1) & !(space << 1);

        let mut starts = 1
            | (letter & !small & (small << 1))
            | (letter & !((letter | blank | prefix) << 1))
            | (other & !((other | space) << 1))
            | (blank & (!(blank << 1) | (visible >> 1)))
            | (line_break & !(line_break << 1) & ((letter | digit) << 1));
        starts |= thirds(digit);
        self.join_contractions(block, &mut starts);
        starts
    }

    /// How many leading bits of the starts do not depend on what follows the block.
    #[inline(always)]
    fn certain(&self, len: u32, ends_text: bool) -> u32 {
        let mut certain = if ends_text { len } else { len.min(self.non_ascii.trailing_zeros()) };
        if !ends_text {
            certain = certain.saturating_sub(LOOK_AHEAD);
        }
        // A slash behind a line break belongs to the symbols before both, if there are any.
        certain = certain.min((self.slash & (self.line_break << 1)).trailing_zeros());
        // Blanks behind a line break start a piece unless another line break follows them.
        let behind_break = self.blank & (self.line_break << 1);
        let run_ends = self.blank.wrapping_add(behind_break) & !self.blank;
        if run_ends & (self.line_break | self.non_ascii) != 0 {
            certain = certain.min(behind_break.trailing_zeros());
        }
        if !ends_text && self.blank >> 63 != 0 {
            let last_run = 64 - self.blank.leading_ones();
            if behind_break >> last_run & 1 != 0 {
                certain = certain.min(last_run);
            }
        }
        certain
    }

    /// Takes the starts out of `'s 't 're 've 'm 'll 'd` behind a letter, and starts anew behind them.
    #[inline(always)]
    fn join_contractions(&self, block: &[u8; BLOCK], starts: &mut u64) {
        let mut candidates = self.apostrophe & (self.letter << 1) & (self.letter >> 1);
        let mut last_end = 0;
        while candidates != 0 {
            let at = candidates.trailing_zeros();
            candidates &= candidates - 1;
            if at == last_end {
                continue; // what is in front is a contraction, not a word
            }
            let length = contraction(block, at as usize);
            if length == 0 {
                continue;
            }
            last_end = at + length;
            *starts &= !(low_bits(length) << at);
            *starts |= self.letter & 1u64.checked_shl(last_end).unwrap_or(0);
        }
    }
}

/// Length of the contraction whose apostrophe is at `at`, or 0.
#[inline(always)]
fn contraction(block: &[u8; BLOCK], at: usize) -> u32 {
    let letter = |i: usize| block.get(at + i).map_or(0, u8::to_ascii_lowercase);
    match (letter(1), letter(2)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        _ => 0,
    }
}

/// The first digit of each run, and every third one behind it.
#[inline(always)]
fn thirds(digit: u64) -> u64 {
    let mut starts = digit & !(digit << 1);
    let three_behind = digit & (digit << 1) & (digit << 2) & (digit << 3);
    let mut next = (starts << 3) & three_behind;
    while next != 0 {
        starts |= next;
        next = (next << 3) & three_behind;
    }
    starts
}

#[inline(always)]
fn low_bits(n: u32) -> u64 {
    if n >= 64 { !0 } else { (1 << n) - 1 }
}

/// Byte by byte: any processor, and the slow twin of the others.
pub struct Portable;

impl Classify for Portable {
    #[inline(always)]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (i, &byte) in block.iter().enumerate() {
            let bit = 1 << i;
            let set = |mask: &mut u64, is: bool| *mask |= if is { bit } else { 0 };
            set(&mut masks.letter, byte.is_ascii_alphabetic());
            set(&mut masks.small, byte.is_ascii_lowercase());
            set(&mut masks.digit, byte.is_ascii_digit());
            set(&mut masks.space, byte == b' ');
            set(&mut masks.blank, matches!(byte, b' ' | b'\t' | 0x0B | 0x0C));
            set(&mut masks.line_break, matches!(byte, b'\r' | b'\n'));
            set(&mut masks.apostrophe, byte == b'\'');
            set(&mut masks.slash, byte == b'/');
            set(&mut masks.non_ascii, !byte.is_ascii());
        }
        masks
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86_64::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{BLOCK, Classify, Masks};
    use std::arch::x86_64::*;

    /// Processors of the last ten years and more. Only to be used where [`Avx2::is_available`].
    pub struct Avx2;

    impl Avx2 {
        pub fn is_available() -> bool {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt")
        }
    }

    impl Classify for Avx2 {
        #[inline(always)]
        fn masks(block: &[u8; BLOCK]) -> Masks {
            let (low, high) = block.split_at(BLOCK / 2);
            // SAFETY: whoever names this type has asked `is_available` first.
            let (low, high) = unsafe { (half(low), half(high)) };
            let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
            Masks {
                letter: join(low[0], high[0]),
                small: join(low[0] & low[1], high[0] & high[1]),
                digit: join(low[2], high[2]),
                space: join(low[3], high[3]),
                blank: join(low[4] & !low[5], high[4] & !high[5]),
                line_break: join(low[5], high[5]),
                apostrophe: join(low[6], high[6]),
                slash: join(low[7], high[7]),
                non_ascii: join(low[8], high[8]),
            }
        }
    }

    /// Letter, bit 5 (small, of a letter), digit, space, white space, line break, apostrophe, slash, high.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn half(bytes: &[u8]) -> [u32; 9] {
        assert!(bytes.len() == 32);
        // SAFETY: 32 bytes, just asserted; the load asks for no alignment.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let all = |byte: u8| _mm256_set1_epi8(byte as i8);
        let bits = |mask: __m256i| _mm256_movemask_epi8(mask) as u32;
        let is = |byte: u8| _mm256_cmpeq_epi8(bytes, all(byte));
        // `first <= byte < first + count` as unsigned numbers.
        let within = |bytes: __m256i, first: u8, count: u8| {
            let offset = _mm256_sub_epi8(bytes, all(first));
            _mm256_cmpeq_epi8(_mm256_min_epu8(offset, all(count - 1)), offset)
        };
        let space = is(b' ');
        [
            bits(within(_mm256_or_si256(bytes, all(0x20)), b'a', 26)),
            bits(_mm256_slli_epi16::<2>(bytes)),
            bits(within(bytes, b'0', 10)),
            bits(space),
            bits(_mm256_or_si256(space, within(bytes, b'\t', 5))),
            bits(_mm256_or_si256(is(b'\r'), is(b'\n'))),
            bits(is(b'\'')),
            bits(is(b'/')),
            bits(bytes),
        ]
    }

    #[cfg(test)]
    mod tests {
        use super::super::Portable;
        use super::*;

        #[test]
        fn classifies_every_byte_as_the_portable_way_does() {
            if !Avx2::is_available() {
                return;
            }
            for first in 0..=u8::MAX {
                let block = std::array::from_fn(|i| first.wrapping_add(i as u8));
                assert_eq!(Avx2::masks(&block), Portable::masks(&block));
            }
        }
    }
}
