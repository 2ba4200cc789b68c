//! Character classes of the o200k pattern, for every code point (Unicode 16.0).

pub const UPPER: u8 = 1 << 0; // Lu, Lt
pub const LOWER: u8 = 1 << 1; // Ll
pub const CASELESS: u8 = 1 << 2; // Lm, Lo
pub const MARK: u8 = 1 << 3;
pub const NUMBER: u8 = 1 << 4;
pub const SPACE: u8 = 1 << 5;
pub const LINE_BREAK: u8 = 1 << 6; // also SPACE

pub const LETTER: u8 = UPPER | LOWER | CASELESS;
/// What may stand in the first, capital part of a word.
pub const WORD_HEAD: u8 = UPPER | CASELESS | MARK;
/// What may stand in the second, small part of a word.
pub const WORD_TAIL: u8 = LOWER | CASELESS | MARK;

const CODE_POINTS: usize = 0x11_0000;
const BLOCK: usize = 128;

/// Two stages, packed by `build/unicode.rs`: a block number for each 128 code points, then the blocks.
static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.bin"));

#[inline(always)]
pub fn of(code_point: u32) -> u8 {
    let block = TABLE[code_point as usize / BLOCK] as usize;
    TABLE[CODE_POINTS / BLOCK + block * BLOCK + code_point as usize % BLOCK]
}

/// Inclusive ranges of code points whose class has one of `bits`.
pub fn ranges(bits: u8) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for code_point in (0..CODE_POINTS as u32).filter(|&c| of(c) & bits != 0) {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == code_point => *end = code_point,
            _ => ranges.push((code_point, code_point)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_point_has_the_class_regex_syntax_gives_it() {
        assert_eq!(of('A' as u32), UPPER);
        assert_eq!(of('\u{1C5}' as u32), UPPER); // titlecase
        assert_eq!(of('ſ' as u32), LOWER);
        assert_eq!(of('日' as u32), CASELESS);
        assert_eq!(of('\u{301}' as u32), MARK);
        assert_eq!(of('½' as u32), NUMBER);
        assert_eq!(of('\u{A0}' as u32), SPACE);
        assert_eq!(of('\n' as u32), SPACE | LINE_BREAK);
        assert_eq!(of('!' as u32), 0);
        // Assigned in Unicode 16.0 (a Garay letter), unassigned before.
        assert_eq!(of(0x10D50), UPPER);
        let letters: u32 = ranges(LETTER).iter().map(|(start, end)| end - start + 1).sum();
        assert_eq!(letters, 1889 + 2258 + 136_881);
    }
}
