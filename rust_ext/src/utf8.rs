//! A Python `str` as CPython stores it, and its way to UTF-8.
//!
//! CPython's own conversion keeps the UTF-8 inside the `str` for as long as that lives, which doubles its
//! memory, and refuses lone surrogates. This one writes to a buffer of the caller's and does with surrogates
//! what tiktoken does: a pair becomes its character, a lone one U+FFFD.

use std::borrow::Cow;

/// Code units of one width, each a code point. Surrogates may be among them.
#[derive(Clone, Copy)]
pub enum Units<'a> {
    One(&'a [u8]),
    Two(&'a [u16]),
    Four(&'a [u32]),
}

#[derive(Clone, Copy)]
pub enum Text<'a> {
    /// UTF-8 already: of Python's, what is ASCII.
    Utf8(&'a str),
    Units(Units<'a>),
}

impl<'a> Text<'a> {
    /// Length in code units: at most the length in bytes of UTF-8, and at least a quarter of it.
    pub fn len(self) -> usize {
        match self {
            Self::Utf8(text) => text.len(),
            Self::Units(Units::One(units)) => units.len(),
            Self::Units(Units::Two(units)) => units.len(),
            Self::Units(Units::Four(units)) => units.len(),
        }
    }

    /// In chunks of at most `size` code units, for a `Transcoder`: they may cut a surrogate pair.
    pub fn chunks(self, size: usize) -> impl Iterator<Item = Text<'a>> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let chunk;
            (chunk, rest) = rest.split_at(size);
            (chunk.len() > 0).then_some(chunk)
        })
    }

    /// In two at the code unit `at`, at the next that begins a character where the units are bytes of UTF-8,
    /// or at the end.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        fn split<T>(units: &[T], at: usize) -> (&[T], &[T]) {
            units.split_at(at.min(units.len()))
        }
        match self {
            Self::Utf8(text) => {
                let at = (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
                let (a, b) = text.split_at(at);
                (Self::Utf8(a), Self::Utf8(b))
            }
            Self::Units(Units::One(units)) => {
                let (a, b) = split(units, at);
                (Self::Units(Units::One(a)), Self::Units(Units::One(b)))
            }
            Self::Units(Units::Two(units)) => {
                let (a, b) = split(units, at);
                (Self::Units(Units::Two(a)), Self::Units(Units::Two(b)))
            }
            Self::Units(Units::Four(units)) => {
                let (a, b) = split(units, at);
                (Self::Units(Units::Four(a)), Self::Units(Units::Four(b)))
            }
        }
    }

    /// As UTF-8 of its own, unless it is UTF-8 already.
    pub fn to_utf8(self) -> Cow<'a, str> {
        let mut converted = String::new();
        match self {
            Self::Utf8(text) => Cow::Borrowed(text),
            Self::Units(_) => {
                self.as_utf8(&mut converted);
                Cow::Owned(converted)
            }
        }
    }

    /// As UTF-8: borrowed where it is UTF-8 already, else written to the emptied `scratch`.
    pub fn as_utf8<'b>(self, scratch: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        match self {
            Self::Utf8(text) => text,
            Self::Units(units) => {
                scratch.clear();
                let mut transcoder = Transcoder::default();
                transcoder.push(units, scratch);
                transcoder.finish(scratch);
                scratch
            }
        }
    }
}

/// Turns code units into UTF-8. They may come in any chunks: a pair of surrogates may fall in two.
#[derive(Default)]
pub struct Transcoder {
    /// A high surrogate whose low one may follow.
    high: Option<u32>,
}

const REPLACEMENT: u32 = 0xFFFD;
/// Code units converted between two looks at the room in the output.
const BLOCK: usize = 1024;
/// Code units that are asked together whether they are ASCII.
const RUN: usize = 16;

impl Transcoder {
    pub fn push(&mut self, units: Units, out: &mut String) {
        match units {
            Units::One(units) => self.push_each(units, out),
            Units::Two(units) => self.push_each(units, out),
            Units::Four(units) => self.push_each(units, out),
        }
    }

    pub fn push_text(&mut self, text: Text, out: &mut String) {
        match text {
            Text::Utf8("") => {}
            Text::Utf8(text) => {
                self.finish(out);
                out.push_str(text);
            }
            Text::Units(units) => self.push(units, out),
        }
    }

    /// No more units follow, or none that could complete a character.
    pub fn finish(&mut self, out: &mut String) {
        if self.high.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn push_each<T: Copy + Into<u32>>(&mut self, units: &[T], out: &mut String) {
        // SAFETY: `Block` holds whole characters in UTF-8 and nothing else.
        let out = unsafe { out.as_mut_vec() };
        for units in units.chunks(BLOCK) {
            let mut block = Block { bytes: [0; 4 * (BLOCK + 1)], len: 0 };
            let (runs, rest) = units.as_chunks::<RUN>();
            for run in runs {
                if self.high.is_some() || !block.push_ascii(run) {
                    self.push_few(run, &mut block);
                }
            }
            self.push_few(rest, &mut block);
            out.extend_from_slice(&block.bytes[..block.len]);
        }
    }

    #[inline(always)]
    fn push_few<T: Copy + Into<u32>>(&mut self, units: &[T], block: &mut Block) {
        for &unit in units {
            let unit: u32 = unit.into();
            if self.high.is_none() && unit & 0xFFFF_F800 != 0xD800 {
                block.push(unit);
            } else {
                self.surrogate(unit, block);
            }
        }
    }

    /// Takes a surrogate, or whatever follows a high one.
    #[cold]
    fn surrogate(&mut self, unit: u32, block: &mut Block) {
        let high = self.high.take();
        match (high, unit) {
            (Some(high), 0xDC00..0xE000) => block.push(0x1_0000 + ((high - 0xD800) << 10) + (unit - 0xDC00)),
            (Some(_), _) => {
                block.push(REPLACEMENT);
                self.surrogate(unit, block);
            }
            (None, 0xD800..0xDC00) => self.high = Some(unit),
            (None, 0xDC00..0xE000) => block.push(REPLACEMENT),
            (None, _) => block.push(unit),
        }
    }
}

/// Room for `BLOCK` characters, and one for a surrogate left over from the block before.
struct Block {
    bytes: [u8; 4 * (BLOCK + 1)],
    len: usize,
}

impl Block {
    /// Takes a run of ASCII; false, and nothing taken, if there is anything else in it.
    #[inline(always)]
    fn push_ascii<T: Copy + Into<u32>>(&mut self, run: &[T; RUN]) -> bool {
        // Both loops are without branches, and so made of vectors.
        let is_ascii = run.iter().fold(0, |all, &unit| all | unit.into()) < 0x80;
        if is_ascii {
            self.put(run.map(|unit| unit.into() as u8));
        }
        is_ascii
    }

    #[inline(always)]
    fn push(&mut self, code_point: u32) {
        let tail = |shift: u32| 0x80 | (code_point >> shift & 0x3F) as u8;
        match code_point {
            0..0x80 => self.put([code_point as u8]),
            0x80..0x800 => self.put([0xC0 | (code_point >> 6) as u8, tail(0)]),
            0x800..0x1_0000 => self.put([0xE0 | (code_point >> 12) as u8, tail(6), tail(0)]),
            _ => self.put([0xF0 | (code_point >> 18) as u8, tail(12), tail(6), tail(0)]),
        }
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way of cutting `units` in two gives the same text.
    fn transcoded(units: &[u16]) -> String {
        let mut scratch = String::new();
        let whole = Text::Units(Units::Two(units)).as_utf8(&mut scratch).to_owned();
        for cut in 0..=units.len() {
            let (mut transcoder, mut parts) = (Transcoder::default(), String::new());
            transcoder.push(Units::Two(&units[..cut]), &mut parts);
            transcoder.push(Units::Two(&units[cut..]), &mut parts);
            transcoder.finish(&mut parts);
            assert_eq!(parts, whole);
        }
        whole
    }

    #[test]
    fn surrogates_join_or_are_replaced() {
        assert_eq!(transcoded(&[0x61, 0xD83D, 0xDE00, 0x62]), "a😀b");
        assert_eq!(transcoded(&[0xD83D, 0xD83D, 0xDE00]), "\u{FFFD}😀");
        assert_eq!(transcoded(&[0xDE00, 0xD83D]), "\u{FFFD}\u{FFFD}");
        assert_eq!(transcoded(&[0xD83D, 0xE9]), "\u{FFFD}é");
        assert_eq!(transcoded(&[0xD7FF, 0xE000]), "\u{D7FF}\u{E000}");
    }

    #[test]
    fn every_character_becomes_itself() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        let units: Vec<u32> = all.iter().map(|&c| c as u32).collect();
        let mut scratch = String::new();
        assert_eq!(Text::Units(Units::Four(&units)).as_utf8(&mut scratch), String::from_iter(all));
        let latin: Vec<u8> = (0..=255).collect();
        let expected: String = latin.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(Text::Units(Units::One(&latin)).as_utf8(&mut scratch), expected);
    }
}
