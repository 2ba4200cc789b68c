//! Character classes of the o200k pattern, as a two-stage table over all code points.
//!
//! Taken from `regex-syntax`, whose tables tiktoken's own engine uses, so that both agree on every
//! code point: Unicode 16.0. Classes never come from the host's Python, which may know another Unicode.

use regex_syntax::{
    Parser,
    hir::{Class, HirKind},
};
use std::collections::HashMap;

// Bits of one code point. `rust_ext/src/classes.rs` names the same bits.
const CLASSES: [(u8, &str); 6] = [
    (1 << 0, r"[\p{Lu}\p{Lt}]"),
    (1 << 1, r"\p{Ll}"),
    (1 << 2, r"[\p{Lm}\p{Lo}]"),
    (1 << 3, r"\p{M}"),
    (1 << 4, r"\p{N}"),
    (1 << 5, r"\s"),
];
const LINE_BREAK: (u8, [char; 2]) = (1 << 6, ['\r', '\n']);

const CODE_POINTS: usize = 0x11_0000;
const BLOCK: usize = 128;

/// First stage (one `u8` for each block of 128 code points), then the distinct blocks.
pub fn pack() -> Vec<u8> {
    let classes = classes();
    let mut blocks: HashMap<&[u8], u8> = HashMap::new();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for block in classes.chunks(BLOCK) {
        let index = *blocks.entry(block).or_insert_with(|| {
            second.extend_from_slice(block);
            u8::try_from(second.len() / BLOCK - 1).expect("at most 256 distinct blocks")
        });
        first.push(index);
    }
    first.extend(second);
    first
}

fn classes() -> Vec<u8> {
    let mut classes = vec![0u8; CODE_POINTS];
    for (bit, pattern) in CLASSES {
        for (start, end) in ranges(pattern) {
            for class in &mut classes[start as usize..=end as usize] {
                *class |= bit;
            }
        }
    }
    for c in LINE_BREAK.1 {
        classes[c as usize] |= LINE_BREAK.0;
    }
    classes
}

fn ranges(pattern: &str) -> Vec<(char, char)> {
    let hir = Parser::new().parse(pattern).expect("a valid class");
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => class.iter().map(|r| (r.start(), r.end())).collect(),
        other => panic!("{pattern} is no Unicode class but {other:?}"),
    }
}
