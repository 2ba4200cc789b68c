//! One piece at a time, for any text: the pattern's alternatives written out by hand.

use crate::classes::{self, CASELESS, LETTER, LINE_BREAK, LOWER, MARK, NUMBER, SPACE, WORD_HEAD, WORD_TAIL};

/// End of the piece that starts at `start`. `start` is a character boundary before the end of `text`.
pub fn piece_end(text: &str, start: usize) -> usize {
    let text = Text(text.as_bytes());
    let (class, next) = text.class_at(start);
    if class & LETTER != 0 {
        let end = text.lowered_word(start).unwrap_or_else(|| text.run(start, WORD_HEAD));
        return text.contraction(end);
    }
    if class & NUMBER != 0 {
        return text.numbers(next);
    }
    if class & LINE_BREAK == 0
        && let Some(end) = text.prefixed_word(start, class, next)
    {
        return text.contraction(end);
    }
    if class & SPACE == 0 {
        return text.symbols(next);
    }
    if text.0[start] == b' ' && next < text.0.len() {
        let (class, after) = text.class_at(next);
        if class & (LETTER | NUMBER | SPACE) == 0 {
            return text.symbols(after);
        }
    }
    text.spaces(start)
}

/// Valid UTF-8.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    /// Class of the character at `at`, and where the next one starts.
    #[inline(always)]
    fn class_at(self, at: usize) -> (u8, usize) {
        let bytes = self.0;
        let low = |i: usize| u32::from(bytes[at + i] & 0x3F);
        let first = u32::from(bytes[at]);
        match first {
            0..0x80 => (classes::of(first), at + 1),
            0x80..0xE0 => (classes::of((first & 0x1F) << 6 | low(1)), at + 2),
            0xE0..0xF0 => (classes::of((first & 0x0F) << 12 | low(1) << 6 | low(2)), at + 3),
            _ => (classes::of((first & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3)), at + 4),
        }
    }

    /// End of the longest run of characters from `at` on whose class has one of `bits`.
    #[inline(always)]
    fn run(self, mut at: usize, bits: u8) -> usize {
        while at < self.0.len() {
            let (class, next) = self.class_at(at);
            if class & bits == 0 {
                break;
            }
            at = next;
        }
        at
    }

    /// `HEAD*TAIL+`: takes back from a head run that no small letter follows all after its last
    /// caseless letter or mark, since only those are heads and tails at once.
    #[inline(always)]
    fn lowered_word(self, start: usize) -> Option<usize> {
        let (mut at, mut last_tail) = (start, None);
        while at < self.0.len() {
            let (class, next) = self.class_at(at);
            if class & LOWER != 0 {
                return Some(self.run(next, WORD_TAIL));
            }
            if class & WORD_HEAD == 0 {
                break;
            }
            at = next;
            if class & (CASELESS | MARK) != 0 {
                last_tail = Some(at);
            }
        }
        last_tail
    }

    /// A word behind one character that is neither letter, number nor line break; or a word that such a
    /// character, being a mark, begins itself.
    #[inline(always)]
    fn prefixed_word(self, start: usize, class: u8, next: usize) -> Option<usize> {
        if let Some(end) = self.lowered_word(next) {
            return Some(end);
        }
        if class & MARK != 0 {
            return self.lowered_word(start);
        }
        let end = self.run(next, WORD_HEAD);
        (end > next).then_some(end)
    }

    /// End of the contraction at `at` (`'s 't 're 've 'm 'll 'd`, any case), or `at`.
    #[inline(always)]
    fn contraction(self, at: usize) -> usize {
        if self.0.get(at) != Some(&b'\'') {
            return at;
        }
        let letter = |i: usize| self.0.get(at + i).map_or(0, u8::to_ascii_lowercase);
        match (letter(1), letter(2)) {
            (b's' | b't' | b'm' | b'd', _) => at + 2,
            (b'r' | b'v', b'e') | (b'l', b'l') => at + 3,
            // U+017F, the long s, is an s to a case-insensitive match. The only such letter.
            (0xC5, 0xBF) => at + 3,
            _ => at,
        }
    }

    /// Up to two more numbers.
    #[inline(always)]
    fn numbers(self, mut at: usize) -> usize {
        for _ in 0..2 {
            if at == self.0.len() {
                break;
            }
            let (class, next) = self.class_at(at);
            if class & NUMBER == 0 {
                break;
            }
            at = next;
        }
        at
    }

    /// The rest of a run of symbols, then line breaks and slashes.
    #[inline(always)]
    fn symbols(self, mut at: usize) -> usize {
        while at < self.0.len() {
            let (class, next) = self.class_at(at);
            if class & (LETTER | NUMBER | SPACE) != 0 {
                break;
            }
            at = next;
        }
        while matches!(self.0.get(at), Some(b'\r' | b'\n' | b'/')) {
            at += 1;
        }
        at
    }

    /// White space: through its last line break; else all of it, but for the last character when
    /// something follows that it may belong to.
    #[inline(always)]
    fn spaces(self, start: usize) -> usize {
        let (mut at, mut last, mut after_break) = (start, start, None);
        while at < self.0.len() {
            let (class, next) = self.class_at(at);
            if class & SPACE == 0 {
                break;
            }
            last = at;
            at = next;
            if class & LINE_BREAK != 0 {
                after_break = Some(at);
            }
        }
        match after_break {
            Some(end) => end,
            None if at == self.0.len() || last == start => at,
            None => last,
        }
    }
}
