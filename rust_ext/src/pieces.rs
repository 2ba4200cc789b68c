//! Which short pieces are tokens: a read-only hash table of all 194,506 tokens of up to 15 bytes.

use crate::{
    key::{Key, SHORT},
    table::Table,
    vocab::Vocabulary,
};
use std::sync::OnceLock;

const LINES_LOG2: u32 = 17;
const SLOTS: usize = 3;

/// One cache line. Filled in the order of ranks, so that frequent tokens stand in their home line.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub struct Line {
    keys: [Key; SLOTS],
    tokens: [u32; SLOTS],
    /// 1 where tokens that belong here stand in the next line.
    overflows: u32,
}

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
        let mut lines = Table::new(Line::default(), 1 << LINES_LOG2);
        for (token, rank) in vocabulary.tokens().zip(0u32..) {
            if token.len() > SHORT {
                continue;
            }
            let key = Key::of(token);
            let mut at = home(key.hash());
            let slot = loop {
                match lines[at].keys.iter().position(|&key| key == Key::default()) {
                    Some(slot) => break slot,
                    None => {
                        lines[at].overflows = 1;
                        at = next(at);
                    }
                }
            };
            lines[at].keys[slot] = key;
            lines[at].tokens[slot] = rank;
        }
        Self { lines }
    }

    #[inline(always)]
    pub fn line(&self, hash: u64) -> &Line {
        &self.lines[home(hash)]
    }

    /// The token that `key` is, if it is one that its home line had no room for.
    #[inline]
    pub fn overflowed(&self, key: Key, hash: u64) -> Option<u32> {
        let mut at = home(hash);
        while self.lines[at].overflows != 0 {
            at = next(at);
            if let (token, true) = self.lines[at].find(key) {
                return Some(token);
            }
        }
        None
    }
}

impl Line {
    /// The token that `key` is, and whether it is here at all. Without branches.
    #[inline(always)]
    pub fn find(&self, key: Key) -> (u32, bool) {
        let differs = |slot: usize| (self.keys[slot].low ^ key.low) | (self.keys[slot].high ^ key.high);
        let [first, second, third] = [differs(0), differs(1), differs(2)];
        let token = if second == 0 { self.tokens[1] } else { self.tokens[0] };
        let token = if third == 0 { self.tokens[2] } else { token };
        (token, (first == 0) | (second == 0) | (third == 0))
    }
}

#[inline(always)]
fn home(hash: u64) -> usize {
    (hash >> (64 - LINES_LOG2)) as usize
}

fn next(line: usize) -> usize {
    (line + 1) % (1 << LINES_LOG2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_short_token_and_nothing_else() {
        let pieces = Pieces::get();
        let find = |piece: &[u8]| {
            let key = Key::of(piece);
            match pieces.line(key.hash()).find(key) {
                (token, true) => Some(token),
                _ => pieces.overflowed(key, key.hash()),
            }
        };
        let mut found = 0;
        for (token, rank) in Vocabulary::get().tokens().zip(0..).filter(|(token, _)| token.len() <= SHORT) {
            assert_eq!(find(token), Some(rank));
            found += 1;
        }
        assert_eq!(found, 194_506);
        assert_eq!(find(b"no such token"), None);
        let overflowed = pieces.lines.iter().filter(|line| line.overflows != 0).count();
        assert!(overflowed < pieces.lines.len() / 10, "{overflowed} lines overflow");
    }
}
