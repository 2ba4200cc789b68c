//! Random texts for tests, made of what the pattern and the merges find hard.

/// Xorshift: repeatable, and good enough to pick characters.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }
}

const PARTS: &[&str] = &[
    "a",
    "e",
    "s",
    "t",
    "the",
    "Hello",
    "WORLD",
    "iPhone",
    "ing",
    "unbelievable",
    "xqzj",
    "é",
    "Straße",
    "ſ",
    "日",
    "本語",
    "中文字符",
    "한국어",
    "при",
    "вет",
    "ไทย",
    "हिन्दी",
    "עברית",
    "العربية",
    "\u{301}",
    "e\u{301}",
    "ß",
    "İ",
    "ъ",
    "ДОМ",
    "ª",
    "אב\u{5B0}",
    "ʰ",
    "\u{483}",
    "²³",
    "«",
    "§",
    "÷",
    "🙂",
    "👨‍👩‍👧",
    " ",
    " ",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n",
    "\r\n",
    "\n\n",
    "\u{A0}",
    "\u{2028}",
    "\u{85}",
    "\u{3000}",
    "\u{B}",
    "'",
    "'s",
    "'S",
    "'t",
    "'re",
    "'VE",
    "'ll",
    "'ſ",
    "''",
    "’s",
    "/",
    "//",
    "!",
    "(",
    ")",
    "{",
    "}",
    "==",
    "--------",
    "0",
    "7",
    "42",
    "123",
    "1234567",
    "½",
    "²",
    "٣",
    ".",
    ",",
    ", ",
    ". ",
    "<|",
    "|>",
    "<|end|>",
    "\0",
    "\u{7F}",
    "_",
];

/// `count` texts of up to some hundred characters each.
pub fn texts(mut random: Random, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |_| {
        let parts = 1 + random.below(60);
        let mut text = String::new();
        for _ in 0..parts {
            match random.below(24) {
                0 => text.push(any_char(&mut random)),
                1 => {
                    let part = PARTS[random.below(PARTS.len())];
                    (0..random.below(20)).for_each(|_| text.push_str(part));
                }
                _ => text.push_str(PARTS[random.below(PARTS.len())]),
            }
        }
        text
    })
}

fn any_char(random: &mut Random) -> char {
    loop {
        let limit = [0x80, 0x800, 0x1_0000, 0x11_0000][random.below(4)];
        if let Some(c) = char::from_u32(random.below(limit) as u32) {
            return c;
        }
    }
}

/// `count` byte strings of 1 to `longest` bytes: cut out of texts, runs, periods, random letters.
pub fn pieces(seed: u64, count: usize, longest: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Random::new(seed);
    (0..count).map(move |_| {
        let length = 1 + random.below(longest);
        let mut piece = Vec::new();
        while piece.len() < length {
            match random.below(6) {
                0 => (0..random.below(2 * longest)).for_each(|_| piece.push(b"a -=\nx"[length % 6])),
                1 => (0..random.below(40)).for_each(|_| piece.push(b'a' + random.below(26) as u8)),
                2 => (0..random.below(8)).for_each(|_| piece.push(random.below(256) as u8)),
                3 => {
                    let part = PARTS[random.below(PARTS.len())];
                    (0..random.below(30)).for_each(|_| piece.extend_from_slice(part.as_bytes()));
                }
                _ => piece.extend_from_slice(PARTS[random.below(PARTS.len())].as_bytes()),
            }
        }
        piece.truncate(length);
        piece
    })
}
