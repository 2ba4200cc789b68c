//! Piece starts in 64 bytes at a time, by bit algebra on one mask for each class of character.
//!
//! A block begins at a piece start, and no alternative of the pattern looks behind, so that nothing
//! before the block matters. Near its end and at the shapes named in [`Masks::certain`], later text decides;
//! starts from there on are left to the next block, which begins at the last start found, or to
//! [`super::scalar`].
//!
//! The masks have a bit for each character. Characters of one byte are classified by vector instructions, those of
//! two by a table, and a block ends before the first of three.

use crate::{
    classes::{self, CASELESS, LOWER, MARK, NUMBER, SPACE, UPPER},
    processor::Portable,
};

pub const BLOCK: usize = 64;

/// How far a start can depend on what follows: an apostrophe needs two letters to be a contraction.
const LOOK_AHEAD: u32 = 3;

/// One bit for each character of a block, lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Masks {
    /// Marks among them: behind a letter they are as good as one.
    letter: u64,
    /// Of the letters, those that a capital behind them starts a new word after.
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
    /// Characters at which this algebra might err.
    doubtful: u64,
}

/// What takes vectors, or instructions that not all processors have.
pub trait Classify {
    /// The masks of the bytes, those of ASCII classified.
    fn masks(block: &[u8; BLOCK]) -> Masks;
    /// The bytes that are from 0x80 to 0xBF, and those from 0xE0 on.
    fn within_characters(block: &[u8; BLOCK]) -> [u64; 2];
    /// Which of the classes' bytes have their lowest bit set, which the next, and so on.
    fn bits(classes: &[u8; BLOCK]) -> [u64; 6];
    /// Takes out the bits that are not in `kept` and closes the gaps.
    fn compress(bits: u64, kept: u64) -> u64;
    /// Puts the lowest bits where those in `kept` are.
    fn expand(bits: u64, kept: u64) -> u64;
}

/// Whether a block at `at` has a good chance of finding a start: none of its first bytes begins a character of
/// three or more.
#[inline(always)]
pub fn begins_at(text: &[u8], at: usize) -> bool {
    let bytes = text[at..].first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
    // The top three bits of a byte.
    bytes & bytes << 1 & bytes << 2 & 0x8080_8080_8080_8080 == 0
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
            masks = C::masks(&padded).map(|bits| bits & low_bits(rest.len() as u32));
            bytes = &padded;
        }
    }
    let len = rest.len().min(BLOCK) as u32;
    let block = if masks.non_ascii == 0 {
        Block { masks, bytes, kept: !0, end: len }
    } else {
        Block::of_characters::<C>(masks, bytes, len)
    };
    let ends_text = rest.len() <= BLOCK && block.end == len;
    let (mut found, all) = block.starts::<C>(ends_text);
    let count = found.count_ones() as usize;
    let starts = &mut starts[..BLOCK];
    // Some at a time, past the last one too: how many there are is not to be foretold.
    for some in starts.as_chunks_mut::<8>().0.iter_mut().take(count.div_ceil(8)) {
        for start in some {
            *start = at + found.trailing_zeros() as usize;
            found &= found.wrapping_sub(1);
        }
    }
    if ends_text && all { (count, text.len()) } else { (count - 1, starts[count - 1]) }
}

/// The characters of a block.
struct Block<'a> {
    masks: Masks,
    bytes: &'a [u8; BLOCK],
    /// The bytes that characters start at; all, if there are none but ASCII.
    kept: u64,
    /// Where the first byte is that is not one of these characters'.
    end: u32,
}

impl<'a> Block<'a> {
    /// Of one or two bytes. `masks` are those of the bytes, `len` of which are text.
    #[inline(always)]
    fn of_characters<C: Classify>(masks: Masks, bytes: &'a [u8; BLOCK], len: u32) -> Self {
        let [inside, wide] = C::within_characters(bytes);
        let firsts = masks.non_ascii & !inside & low_bits(len);
        let cut_off = firsts & 1 << (BLOCK - 1);
        let end = len.min((wide | cut_off).trailing_zeros());
        let mut classes = [0; BLOCK];
        let mut rest = firsts & low_bits(end);
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let (first, second) = (u32::from(bytes[at]), u32::from(bytes[(at + 1) % BLOCK]));
            classes[at] = classes::of((first & 0x1F) << 6 | second & 0x3F);
        }
        let kept = !inside & low_bits(end);
        let masks = masks.with_classes(C::bits(&classes)).map(|bits| C::compress(bits, kept));
        Self { masks, bytes, kept, end }
    }

    /// Piece starts as bits for bytes, as far as they are certain, and whether all are.
    #[inline(always)]
    fn starts<C: Classify>(&self, ends_text: bool) -> (u64, bool) {
        let len = (self.kept & low_bits(self.end)).count_ones();
        let certain = self.masks.certain(len, ends_text);
        let mut starts = self.masks.starts(len);
        self.join_contractions::<C>(&mut starts);
        let found = starts & low_bits(certain);
        // The first byte is a start, even where the block has no character.
        (1 | if self.kept == !0 { found } else { C::expand(found, self.kept) }, certain == len)
    }

    /// Takes the starts out of `'s 't 're 've 'm 'll 'd` behind a letter, and starts anew behind them.
    #[inline(always)]
    fn join_contractions<C: Classify>(&self, starts: &mut u64) {
        let letter = self.masks.letter;
        let mut candidates = self.masks.apostrophe & (letter << 1) & (letter >> 1);
        let mut last_end = 0;
        while candidates != 0 {
            let at = candidates.trailing_zeros();
            candidates &= candidates - 1;
            if at == last_end {
                continue; // what is in front is a contraction, not a word
            }
            let length = contraction(self.bytes, C::expand(1 << at, self.kept).trailing_zeros() as usize);
            if length == 0 {
                continue;
            }
            last_end = at + length;
            *starts &= !(low_bits(length) << at);
            *starts |= letter & 1u64.checked_shl(last_end).unwrap_or(0);
        }
    }
}

impl Masks {
    /// Each mask changed alike.
    #[inline(always)]
    fn map(self, change: impl Fn(u64) -> u64) -> Self {
        Self {
            letter: change(self.letter),
            small: change(self.small),
            digit: change(self.digit),
            space: change(self.space),
            blank: change(self.blank),
            line_break: change(self.line_break),
            apostrophe: change(self.apostrophe),
            slash: change(self.slash),
            non_ascii: change(self.non_ascii),
            doubtful: change(self.doubtful),
        }
    }

    /// With what is known of characters that are not ASCII: which have which bit in their class.
    ///
    /// Letters without case, and marks, count as small: they may end a word, and a capital behind them mostly
    /// starts another. Whether it does depends on what follows that, and a mark that is not behind a letter
    /// may be a symbol: these are doubtful.
    #[inline(always)]
    fn with_classes(self, [upper, lower, caseless, mark, number, space]: [u64; 6]) -> Self {
        const { assert!(UPPER == 1 && LOWER == 2 && CASELESS == 4 && MARK == 8 && NUMBER == 16 && SPACE == 32) };
        // In bytes: what stands behind a character of two is two bytes on.
        let behind = |bits: u64| bits << 2;
        let capital = self.letter & !self.small | upper;
        let letter = self.letter | upper | lower | caseless | mark;
        let behind_letter = behind(letter & self.non_ascii) | (letter & !self.non_ascii) << 1;
        Self {
            letter,
            small: self.small | lower | caseless | mark,
            digit: self.digit | number,
            blank: self.blank | space,
            doubtful: capital & behind(caseless | mark) | mark & !behind_letter,
            ..self
        }
    }

    /// Piece starts, as far as they are certain, but for contractions.
    #[inline(always)]
    fn starts(&self, len: u32) -> u64 {
        let Self { letter, small, digit, space, blank, line_break, .. } = *self;
        let present = low_bits(len);
        let other = !(letter | digit | blank | line_break) & present;
        let visible = !(blank | line_break) & present;
        // A single symbol in front of a letter is the word's prefix, unless a space has taken it.
        let prefix = other & !(other << 1) & !(other >> 1) & !(space << 1);

        1 | (letter & !small & (small << 1))
            | (letter & !((letter | blank | prefix) << 1))
            | (other & !((other | space) << 1))
            | (blank & (!(blank << 1) | (visible >> 1)))
            | (line_break & !(line_break << 1) & ((letter | digit) << 1))
            | thirds(digit)
    }

    /// How many leading bits of the starts do not depend on what follows the block.
    #[inline(always)]
    fn certain(&self, len: u32, ends_text: bool) -> u32 {
        let (mut certain, unknown) =
            if ends_text { (len, 0) } else { (len.saturating_sub(LOOK_AHEAD), !low_bits(len)) };
        // A slash behind a line break belongs to the symbols before both, if there are any.
        certain = certain.min((self.slash & (self.line_break << 1) | self.doubtful).trailing_zeros());
        // Blanks behind a line break start a piece unless another line break follows them.
        let behind_break = self.blank & (self.line_break << 1);
        let run_ends = self.blank.wrapping_add(behind_break) & !self.blank;
        if run_ends & (self.line_break | unknown) != 0 {
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
}

/// How many characters the contraction has whose apostrophe is at `at`, or 0.
#[inline(always)]
fn contraction(block: &[u8; BLOCK], at: usize) -> u32 {
    let letter = |i: usize| block.get(at + i).map_or(0, u8::to_ascii_lowercase);
    match (letter(1), letter(2)) {
        // The last is U+017F, the long s: see `scalar`.
        (b's' | b't' | b'm' | b'd', _) | (0xC5, 0xBF) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        _ => 0,
    }
}

/// The first digit of each run, and every third one behind it.
#[inline(always)]
fn thirds(digit: u64) -> u64 {
    let mut starts = digit & !(digit << 1);
    let mut reached = digit & (digit << 1) & (digit << 2) & (digit << 3);
    if reached != 0 {
        // From each start to the one behind it, then to the two behind those, then to the next four ...
        for distance in [3, 6, 12, 24, 48] {
            starts |= (starts << distance) & reached;
            reached &= reached << distance;
        }
    }
    starts
}

#[inline(always)]
fn low_bits(n: u32) -> u64 {
    if n >= 64 { !0 } else { (1 << n) - 1 }
}

/// Byte by byte.
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

    #[inline(always)]
    fn within_characters(block: &[u8; BLOCK]) -> [u64; 2] {
        let mask = |is: fn(u8) -> bool| (0..BLOCK).fold(0, |mask, i| mask | u64::from(is(block[i])) << i);
        [mask(|byte| (0x80..0xC0).contains(&byte)), mask(|byte| byte >= 0xE0)]
    }

    #[inline(always)]
    fn bits(classes: &[u8; BLOCK]) -> [u64; 6] {
        let bit = |bit: usize| (0..BLOCK).fold(0, |mask, i| mask | u64::from(classes[i] >> bit & 1) << i);
        std::array::from_fn(bit)
    }

    #[inline(always)]
    fn compress(bits: u64, kept: u64) -> u64 {
        let moves = moves(kept).into_iter().enumerate();
        moves.fold(bits & kept, |bits, (log, moved)| bits & !moved | (bits & moved) >> (1 << log))
    }

    #[inline(always)]
    fn expand(bits: u64, kept: u64) -> u64 {
        let moves = moves(kept).into_iter().enumerate().rev();
        moves.fold(bits, |bits, (log, moved)| bits & !moved | bits << (1 << log) & moved) & kept
    }
}

/// Which bits move down by 1, then by 2, then by 4 ..., so that those of `kept` close up: each by as many as
/// there are others below it.
#[inline(always)]
fn moves(mut kept: u64) -> [u64; 6] {
    let mut others = !kept << 1;
    std::array::from_fn(|log| {
        // With an odd number of others below. Next time every second of them counts, so half of that number.
        let odd = [1, 2, 4, 8, 16, 32].into_iter().fold(others, |sum, distance| sum ^ sum << distance);
        let moved = odd & kept;
        kept = kept & !moved | moved >> (1 << log);
        others &= !odd;
        moved
    })
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{BLOCK, Classify, Masks};
    use crate::processor::Avx2;
    use std::arch::x86_64::*;

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
                doubtful: 0,
            }
        }

        #[inline(always)]
        fn within_characters(block: &[u8; BLOCK]) -> [u64; 2] {
            // SAFETY: as above.
            unsafe { within_characters(block) }
        }

        #[inline(always)]
        fn bits(classes: &[u8; BLOCK]) -> [u64; 6] {
            // SAFETY: as above.
            unsafe { bits(classes) }
        }

        #[inline(always)]
        fn compress(bits: u64, kept: u64) -> u64 {
            // SAFETY: as above.
            unsafe { _pext_u64(bits, kept) }
        }

        #[inline(always)]
        fn expand(bits: u64, kept: u64) -> u64 {
            // SAFETY: as above.
            unsafe { _pdep_u64(bits, kept) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn within_characters(block: &[u8; BLOCK]) -> [u64; 2] {
        // Bytes from 0x80 on are negative here, from the lowest on.
        let less = |than: u8| {
            both(block, |half| _mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8(than as i8), half)))
        };
        let negative = both(block, |half| _mm256_movemask_epi8(half));
        [less(0xC0), negative & !less(0xE0)]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn bits(classes: &[u8; BLOCK]) -> [u64; 6] {
        // A bit becomes the top one of its byte; no byte's top bit comes from another byte.
        [
            both(classes, |half| _mm256_movemask_epi8(_mm256_slli_epi16::<7>(half))),
            both(classes, |half| _mm256_movemask_epi8(_mm256_slli_epi16::<6>(half))),
            both(classes, |half| _mm256_movemask_epi8(_mm256_slli_epi16::<5>(half))),
            both(classes, |half| _mm256_movemask_epi8(_mm256_slli_epi16::<4>(half))),
            both(classes, |half| _mm256_movemask_epi8(_mm256_slli_epi16::<3>(half))),
            both(classes, |half| _mm256_movemask_epi8(_mm256_slli_epi16::<2>(half))),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn both(block: &[u8; BLOCK], mask: impl Fn(__m256i) -> i32) -> u64 {
        // SAFETY: two times 32 bytes; the loads ask for no alignment.
        let halves = unsafe {
            let first = block.as_ptr().cast::<__m256i>();
            [_mm256_loadu_si256(first), _mm256_loadu_si256(first.add(1))]
        };
        let [low, high] = halves.map(|half| u64::from(mask(half) as u32));
        high << 32 | low
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
        use super::*;
        use crate::{processor::Portable, testing::Random};

        #[test]
        fn does_what_the_portable_way_does() {
            if !Avx2::is_available() {
                return;
            }
            for first in 0..=u8::MAX {
                let block = std::array::from_fn(|i| first.wrapping_add(i as u8));
                assert_eq!(Avx2::masks(&block), Portable::masks(&block));
                assert_eq!(Avx2::within_characters(&block), Portable::within_characters(&block));
                assert_eq!(Avx2::bits(&block), Portable::bits(&block));
            }
            let mut random = Random::new(12);
            for _ in 0..1000 {
                let [bits, kept] =
                    std::array::from_fn(|_| (0..64).fold(0, |n, _| n << 1 | random.below(2) as u64));
                assert_eq!(Avx2::compress(bits, kept), Portable::compress(bits, kept));
                assert_eq!(Avx2::expand(bits, kept), Portable::expand(bits, kept));
            }
        }
    }
}
