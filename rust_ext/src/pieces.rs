//! Which short pieces are tokens: a read-only hash table of all 194,506 tokens of up to 15 bytes.

use crate::{
    key::{Key, WINDOW},
    table::{Table, Zero, in_groups},
    vocab::{self, Vocabulary},
};
use std::sync::OnceLock;

const LINES_LOG2: u32 = 17;
const LINES: usize = 1 << LINES_LOG2;
const SLOTS: usize = 3;
/// Pieces whose lines are asked for together: few enough that these stay in the nearest cache.
const BATCH: usize = 64;

/// One cache line. The seemingly fourth key is no piece's: see `Line::find`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line {
    keys: [Key; SLOTS],
    tokens: [u32; SLOTS],
    /// A byte of each key's hash, all different: which slot a key can be in, if it is here. In the top bit
    /// `OVERFLOWED`.
    tags: u32,
}

/// A token that belongs in this line stands in one behind, since this one was full or had its tag already.
/// Tokens come in by their rank, so that this happens to rare ones.
const OVERFLOWED: u32 = 1 << 31;

/// Where a key belongs: in its top 17 bits a line, in its low 8 the tag there.
#[derive(Clone, Copy, Default)]
pub struct Place(u32);

impl Place {
    #[inline(always)]
    pub fn of(hash: u64) -> Self {
        Self((hash >> 32) as u32)
    }

    #[inline(always)]
    fn line(self) -> usize {
        (self.0 >> (32 - LINES_LOG2)) as usize
    }

    #[inline(always)]
    fn tag(self) -> u32 {
        self.0 & 0xFF
    }

    /// The same tag, a line on.
    #[inline(always)]
    fn next(self) -> Self {
        Self(self.0.wrapping_add(1 << (32 - LINES_LOG2)))
    }
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
        let mut pieces = Self { lines: Table::new(LINES) };
        let keys = (0..vocab::TOKENS as u32).filter_map(|rank| Some((vocabulary.key(rank)?, rank)));
        let ask = |pieces: &Self, &(key, _): &(Key, u32)| pieces.prefetch(Place::of(key.hash()));
        in_groups(&mut pieces, keys, ask, Self::insert);
        pieces
    }

    fn insert(&mut self, (key, rank): (Key, u32)) {
        let mut place = Place::of(key.hash());
        // Half of the slots stay empty.
        loop {
            let line = &mut self.lines[place.line()];
            let free = line.keys.iter().position(|other| *other == Key::default());
            if let Some(slot) = free
                && line.slot(place.tag()) >= slot
            {
                line.keys[slot] = key;
                line.tokens[slot] = rank;
                line.tags |= place.tag() << (8 * slot);
                return;
            }
            line.tags |= OVERFLOWED;
            place = place.next();
        }
    }

    #[inline(always)]
    fn prefetch(&self, place: Place) {
        crate::prefetch(&self.lines[place.line()]);
    }

    /// Looks up the pieces of `text` between `starts`: sets the `ids` of those that are tokens, but for some
    /// rare ones, and lists the numbers of the others in `missed`. Returns how many these are.
    // A function of its own: it is hot, and wants all registers.
    #[inline(never)]
    pub fn find_all(&self, text: &[u8], starts: &[usize], ids: &mut [u32], missed: &mut [u32]) -> usize {
        let count = starts.len() - 1;
        let lines: &[Line; LINES] = self.lines.first_chunk().expect("as many as were made");
        let (ids, missed) = (&mut ids[..count], &mut missed[..count]);
        let mut asked = [(Key::default(), Place::default()); BATCH];
        let mut missed_count = 0;
        for (first, ids) in (0..).step_by(BATCH).zip(ids.chunks_mut(BATCH)) {
            ask(lines, text, &starts[first..=first + ids.len()], &mut asked);
            for (i, (id, &(key, place))) in (first..).zip(ids.iter_mut().zip(&asked)) {
                let (token, is_token) = lines[place.line()].find(place, key);
                *id = token;
                // SAFETY: fewer pieces than `i` have been missed, and that is less than the length.
                unsafe { *missed.get_unchecked_mut(missed_count) = i as u32 };
                missed_count += usize::from(!is_token);
            }
        }
        missed_count
    }

    /// The token of a piece that `find_all` has missed, if it is one of the rare ones.
    #[inline(always)]
    pub fn find_behind(&self, mut place: Place, key: Key) -> Option<u32> {
        while self.lines[place.line()].tags & OVERFLOWED != 0 {
            place = place.next();
            if let (token, true) = self.lines[place.line()].find(place, key) {
                return Some(token);
            }
        }
        None
    }
}

/// Makes the keys of the pieces between `starts` and asks for their lines.
#[inline(always)]
fn ask(lines: &[Line; LINES], text: &[u8], starts: &[usize], asked: &mut [(Key, Place); BATCH]) {
    let mut start = starts[0];
    let whole = starts[starts.len() - 2] + WINDOW <= text.len();
    for (asked, &end) in asked.iter_mut().zip(&starts[1..]) {
        let key = if whole {
            // SAFETY: starts ascend, so that there is as much behind each as there is behind the last.
            let window = unsafe { &*text.as_ptr().add(start).cast() };
            Key::from_window(window, end - start)
        } else {
            Key::of(text, start, end)
        };
        let place = Place::of(key.hash());
        crate::prefetch(&lines[place.line()]);
        *asked = (key, place);
        start = end;
    }
}

impl Line {
    /// The token that `key` is, and whether it is one and here. Without branches: of a key whose tag is not
    /// here, `slot` is one too many, and what stands there is no key.
    #[inline(always)]
    fn find(&self, place: Place, key: Key) -> (u32, bool) {
        let slot = self.slot(place.tag());
        // SAFETY: a line is four keys long, and any bytes are a key. The fourth's length is that of no piece.
        let keys: &[Key; SLOTS + 1] = unsafe { &*(&raw const *self).cast() };
        // SAFETY: tokens and tags are four numbers in a row.
        let tokens: &[u32; SLOTS + 1] = unsafe { &*(&raw const *self).cast::<u32>().add(4 * SLOTS).cast() };
        (tokens[slot], keys[slot].is(key))
    }

    /// The first slot with this tag; 3 if none has it.
    #[inline(always)]
    fn slot(&self, tag: u32) -> usize {
        // The lowest byte that is zero, or the one above.
        let other = self.tags ^ (tag * 0x01_01_01);
        let zero = other.wrapping_sub(0x01_01_01) & !other & 0x80_80_80;
        (zero | 1 << (8 * SLOTS)).trailing_zeros() as usize / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SHORT;

    #[test]
    fn finds_every_short_token_and_nothing_else() {
        let pieces = Pieces::get();
        let find = |piece: &[u8]| {
            let (mut ids, mut missed) = ([0], [0]);
            match pieces.find_all(piece, &[0, piece.len()], &mut ids, &mut missed) {
                0 => Some(ids[0]),
                _ => {
                    let key = Key::of(piece, 0, piece.len());
                    pieces.find_behind(Place::of(key.hash()), key)
                }
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
