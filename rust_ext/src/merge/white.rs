//! Long white space of several kinds, the longest token first.
//!
//! Its tokens are few and long, so that merging byte by byte takes many steps, and whether two of them join
//! (see [`super::long`]) can be kept in a table. A token that does not join the one before gives way to a
//! shorter one; where none joins, the one before does.

use super::long::joins;
use crate::{pairs::Pairs, vocab::Vocabulary};
use std::sync::OnceLock;

/// The bytes of ASCII white space, of U+00A0 and of U+3000.
const BYTES: &[u8; 10] = b" \t\n\r\x0B\x0C\xC2\xA0\xE3\x80";
const NO_SYMBOL: u8 = u8::MAX;

/// Text is taken for white space by so many bytes.
const LOOKED_AT: usize = 16;

/// The tokens that are made of `BYTES`, numbered, in a trie.
struct Tokens {
    /// Of each byte, its place in `BYTES`.
    symbols: [u8; 256],
    /// For each node the next ones, by symbol; 0 is the root, and none.
    next: Vec<[u16; BYTES.len()]>,
    /// For each node the number of its token, and 1 more; 0 is none.
    ends: Vec<u16>,
    ids: Vec<u32>,
    lengths: Vec<u8>,
}

impl Tokens {
    fn get() -> &'static Self {
        static SHARED: OnceLock<Tokens> = OnceLock::new();
        SHARED.get_or_init(Self::build)
    }

    fn build() -> Self {
        let mut symbols = [NO_SYMBOL; 256];
        for (symbol, &byte) in (0..).zip(BYTES) {
            symbols[byte as usize] = symbol;
        }
        let root = [0; BYTES.len()];
        let mut tokens = Self { symbols, next: vec![root], ends: vec![0], ids: vec![], lengths: vec![] };
        for (token, id) in Vocabulary::get().tokens().zip(0..) {
            if token.iter().all(|&byte| symbols[byte as usize] != NO_SYMBOL) {
                tokens.insert(token, id);
            }
        }
        tokens
    }

    fn insert(&mut self, token: &[u8], id: u32) {
        let mut node = 0;
        for &byte in token {
            let symbol = self.symbols[byte as usize] as usize;
            if self.next[node][symbol] == 0 {
                self.next[node][symbol] = self.next.len() as u16;
                self.next.push([0; BYTES.len()]);
                self.ends.push(0);
            }
            node = self.next[node][symbol] as usize;
        }
        self.ids.push(id);
        self.lengths.push(token.len() as u8);
        self.ends[node] = self.ids.len() as u16;
    }

    /// Numbers of the tokens that `text` begins with, the shortest first.
    #[inline(always)]
    fn matches(&self, text: &[u8], matches: &mut Vec<u16>) {
        matches.clear();
        let mut node = 0;
        for &byte in text {
            let symbol = self.symbols[byte as usize];
            if symbol == NO_SYMBOL {
                return;
            }
            node = self.next[node][symbol as usize] as usize;
            if node == 0 {
                return;
            }
            if self.ends[node] != 0 {
                matches.push(self.ends[node] - 1);
            }
        }
    }
}

/// Whether two tokens join, by both numbers.
#[derive(Clone, Copy, PartialEq)]
enum Join {
    Unknown,
    No,
    Yes,
}

/// Reusable room.
#[derive(Default)]
pub struct White {
    joins: Vec<Join>,
    matches: Vec<u16>,
    /// Numbers of the tokens that have been appended.
    chosen: Vec<u16>,
}

/// Whether `text` seems to be white space of the kinds known here, and so worth a try.
#[inline(always)]
pub fn is_white(text: &[u8]) -> bool {
    let is_white = |byte: &u8| BYTES.contains(byte);
    text.first().is_some_and(is_white) && text.len() > LOOKED_AT && text[..LOOKED_AT].iter().all(is_white)
}

impl White {
    /// Appends tokens of `piece` from `at` on, each of which joins the one before; returns where to go on:
    /// the end, or where no token does. `out` holds what stands in front, from `first` on. Each of those
    /// that give way to shorter ones costs one of `patience`; none left ends it too.
    pub fn merge(
        &mut self,
        pairs: &Pairs,
        piece: &[u8],
        mut at: usize,
        first: usize,
        patience: &mut usize,
        out: &mut Vec<u32>,
    ) -> usize {
        let tokens = Tokens::get();
        self.joins.resize(tokens.ids.len() * tokens.ids.len(), Join::Unknown);
        self.chosen.clear();
        let before = out[first..].last().copied();
        // The longest that the next token may be.
        let mut longest = usize::MAX;
        while at < piece.len() {
            tokens.matches(&piece[at..piece.len().min(at.saturating_add(longest))], &mut self.matches);
            if let Some(number) = self.choose(tokens, pairs, before) {
                out.push(tokens.ids[number as usize]);
                at += tokens.lengths[number as usize] as usize;
                self.chosen.push(number);
                longest = usize::MAX;
                continue;
            }
            let (Some(last), true) = (self.chosen.last(), *patience > 0) else { break };
            let length = tokens.lengths[*last as usize] as usize;
            self.chosen.pop();
            out.pop();
            at -= length;
            longest = length - 1;
            *patience -= 1;
        }
        at
    }

    /// The longest of the matches that joins what was chosen last, or the token `before` all of these.
    #[inline(always)]
    fn choose(&mut self, tokens: &Tokens, pairs: &Pairs, before: Option<u32>) -> Option<u16> {
        let id = |number: u16| tokens.ids[number as usize];
        let Some(&last) = self.chosen.last() else {
            let fits = |right: &u16| before.is_none_or(|left| joins(pairs, left, id(*right)));
            return self.matches.iter().copied().rev().find(fits);
        };
        let row = &mut self.joins[last as usize * tokens.ids.len()..][..tokens.ids.len()];
        self.matches.iter().copied().rev().find(|&right| {
            let join = &mut row[right as usize];
            if *join == Join::Unknown {
                *join = if joins(pairs, id(last), id(right)) { Join::Yes } else { Join::No };
            }
            *join == Join::Yes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{slow, testing::Random};

    #[test]
    fn what_joins_is_what_merging_gives() {
        let (mut white, mut random) = (White::default(), Random::new(41));
        let kinds = [" ", "\t", "\n", "\r\n", "  \n", "\u{A0}", "\u{3000}", "\x0B"];
        let mut whole = 0;
        for round in 0..3_000 {
            let mut piece = String::new();
            for _ in 0..1 + random.below(12) {
                piece += &kinds[random.below(kinds.len())]
                    .repeat(1 + random.below(if round % 2 == 0 { 30 } else { 4 }));
            }
            let (mut tokens, mut patience) = (vec![], 1_000);
            let end = white.merge(Pairs::get(), piece.as_bytes(), 0, 0, &mut patience, &mut tokens);
            assert_eq!(tokens, slow::merge(&piece.as_bytes()[..end]), "{piece:?}");
            whole += usize::from(end == piece.len());
        }
        assert!(whole > 2_900, "{whole}");
    }
}
