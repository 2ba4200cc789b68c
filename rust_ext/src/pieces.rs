//! Which short pieces are tokens: a read-only hash table of all 194,506 tokens of up to 15 bytes.

use crate::{
    key::Key,
    placement::{PIECES, seeds},
    table::{Table, Zero, in_groups},
    vocab::{self, Vocabulary},
};
use std::sync::OnceLock;

static SEEDS: [u16; PIECES.seeds()] = seeds(include_bytes!(concat!(env!("OUT_DIR"), "/piece_seeds.bin")));

/// One cache line. The seeds are such that every token has room in its line.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub struct Line {
    keys: [Key; PIECES.slots],
    tokens: [u32; PIECES.slots],
}

// SAFETY: zeros only.
unsafe impl Zero for Line {}

pub struct Pieces {
    lines: Table<Line>,
}

impl Pieces {
    /// The process's one table, built at first use.
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Pieces> = OnceLock::new();
        SHARED.get_or_init(|| Self::build(Vocabulary::get()))
    }

    fn build(vocabulary: &Vocabulary) -> Self {
        let mut pieces = Self { lines: Table::new(PIECES.lines()) };
        let keys = (0..vocab::TOKENS as u32).filter_map(|rank| {
            let key = vocabulary.key(rank)?;
            Some((line(key.hash()) as u32, key, rank))
        });
        in_groups(&mut pieces, keys, |pieces, &(line, ..)| pieces.prefetch(line), Self::insert);
        pieces
    }

    fn insert(&mut self, (line, key, rank): (u32, Key, u32)) {
        let line = &mut self.lines[line as usize];
        let slot = line.keys.iter().position(|other| *other == Key::default());
        let slot = slot.expect("the build chose such seeds");
        line.keys[slot] = key;
        line.tokens[slot] = rank;
    }

    #[inline(always)]
    pub fn prefetch(&self, line: u32) {
        crate::prefetch(&self.lines[line as usize]);
    }

    /// The token that `key` is, and whether it is one at all. Without branches.
    #[inline(always)]
    pub fn find(&self, line: u32, key: Key) -> (u32, bool) {
        let line = &self.lines[line as usize];
        let [first, second, third] = line.keys.map(|other| other.is(key));
        let token = if second { line.tokens[1] } else { line.tokens[0] };
        let token = if third { line.tokens[2] } else { token };
        (token, first | second | third)
    }
}

/// Number of the line to look for a key in, by the key's hash.
#[inline(always)]
pub fn line(hash: u64) -> usize {
    PIECES.line(hash, SEEDS[PIECES.group(hash)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SHORT;

    #[test]
    fn finds_every_short_token_and_nothing_else() {
        let pieces = Pieces::get();
        let find = |piece: &[u8]| {
            let key = Key::of(piece);
            match pieces.find(line(key.hash()) as u32, key) {
                (token, true) => Some(token),
                (_, false) => None,
            }
        };
        let mut found = 0;
        for (token, rank) in Vocabulary::get().tokens().zip(0..).filter(|(token, _)| token.len() <= SHORT) {
            assert_eq!(find(token), Some(rank));
            found += 1;
        }
        assert_eq!(found, 194_506);
        assert_eq!(find(b"no such token"), None);
    }
}
