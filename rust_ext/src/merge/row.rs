//! Many pieces of up to 15 bytes at once, each in a row of numbers that two vectors hold.
//!
//! As in [`super::batch`], pieces take turns, so that the table lines a merge asks for are there when it is
//! that piece's turn again. Here a merge closes the gap that it leaves: neighbours stay neighbours.

use crate::{
    pairs::{NONE, Pairs},
    processor::Portable,
    vocab,
};

/// Longest piece that is merged here.
pub const LONGEST: usize = LANES - 1;

const LANES: usize = 16;
const GROUP: usize = 16;
/// Closing a gap reads a row's length behind its end.
const ROOM: usize = 2 * LANES + 2;
const PLACE_BITS: u32 = 6;

/// A piece being merged: place 0 holds `NONE`, and so does the one behind its last token, so that every token
/// has two neighbours.
#[derive(Clone, Copy)]
struct Row {
    tokens: [u32; ROOM],
    /// What the token at a place and the next one merge into, `<< 6 |` the place: the lowest is what to do.
    keys: [u32; ROOM],
    /// How many tokens there are.
    count: usize,
    /// Place of the last merge, whose two keys are to be renewed; 0 if none are.
    at: usize,
    /// Numbers of the lines that these are to be found in.
    line: u32,
    left_line: u32,
    number: usize,
}

/// Reusable room for a group of pieces.
pub struct Rows(Box<[Row; GROUP]>);

impl Default for Rows {
    fn default() -> Self {
        let keys = std::array::from_fn(|place| key(NONE, place));
        let idle = Row { tokens: [NONE; ROOM], keys, count: 0, at: 0, line: 0, left_line: 0, number: 0 };
        Self(Box::new([idle; GROUP]))
    }
}

impl Rows {
    /// Merges each of `pieces`, of 1 to 15 bytes, and hands its number and its tokens to `done`, in any order.
    #[inline(always)]
    pub fn merge<'a, P: Lanes>(
        &mut self,
        pairs: &Pairs,
        mut pieces: impl Iterator<Item = (usize, &'a [u8])>,
        mut done: impl FnMut(usize, &[u32]),
    ) {
        let rows = &mut *self.0;
        // Rows in use come first in `turns`.
        let mut turns: [u8; GROUP] = std::array::from_fn(|i| i as u8);
        let mut active = 0;
        while active < GROUP
            && let Some((number, piece)) = pieces.next()
        {
            rows[active].start(pairs, piece, number);
            active += 1;
        }
        while active > 0 {
            // Keys are written here and read as vectors below: with other rows in between, the processor need
            // not wait for the writes.
            for &turn in &turns[..active] {
                rows[turn as usize % GROUP].renew_keys(pairs);
            }
            let mut i = 0;
            while i < active {
                let row = &mut rows[turns[i] as usize % GROUP];
                if row.merge_lowest::<P>(pairs) {
                    i += 1;
                    continue;
                }
                done(row.number, &row.tokens[1..=row.count]);
                match pieces.next() {
                    Some((number, piece)) => {
                        row.start(pairs, piece, number);
                        i += 1;
                    }
                    None => {
                        active -= 1;
                        turns.swap(i, active);
                    }
                }
            }
        }
    }
}

impl Row {
    /// All keys are `NONE`'s before: those of a row that is not in use, or done.
    #[inline(always)]
    fn start(&mut self, pairs: &Pairs, piece: &[u8], number: usize) {
        let count = piece.len();
        assert!(0 < count && count <= LONGEST);
        let bytes = vocab::byte_tokens();
        let mut byte = piece[0];
        for (place, &next) in (1..).zip(&piece[1..]) {
            self.tokens[place] = bytes[byte as usize];
            self.keys[place] = key(pairs.merged_bytes(byte, next), place);
            byte = next;
        }
        self.tokens[count] = bytes[byte as usize];
        self.tokens[count + 1] = NONE;
        (self.count, self.at, self.number) = (count, 0, number);
    }

    /// The keys that the last merge has changed.
    #[inline(always)]
    fn renew_keys(&mut self, pairs: &Pairs) {
        let at = self.at;
        if at == 0 {
            return;
        }
        let [left, token, right] = self.around(at);
        self.keys[at % ROOM] = key(pairs.merged_at(self.line, token, right), at);
        self.keys[(at - 1) % ROOM] = key(pairs.merged_at(self.left_line, left, token), at - 1);
    }

    #[inline(always)]
    fn around(&self, at: usize) -> [u32; 3] {
        std::array::from_fn(|i| self.tokens[(at + i - 1) % ROOM])
    }

    /// Makes the merge of lowest rank and asks for the new pairs' lines; false if there is none to make.
    #[inline(always)]
    fn merge_lowest<P: Lanes>(&mut self, pairs: &Pairs) -> bool {
        let best = P::lowest(&self.keys);
        if best >= NO_KEY {
            return false;
        }
        let at = best as usize % (1 << PLACE_BITS);
        let merged = best >> PLACE_BITS;
        P::close_gap(&mut self.tokens, at + 1, 0);
        P::close_gap(&mut self.keys, at + 1, 1);
        self.tokens[at % ROOM] = merged;
        self.count -= 1;
        self.at = at;
        let [left, _, right] = self.around(at);
        self.line = pairs.prefetch(merged, right);
        self.left_line = pairs.prefetch(left, merged);
        true
    }
}

const NO_KEY: u32 = NONE << PLACE_BITS;

#[inline(always)]
fn key(merged: u32, place: usize) -> u32 {
    merged << PLACE_BITS | place as u32
}

/// What takes vectors.
pub trait Lanes {
    /// The lowest key of a row.
    fn lowest(row: &[u32; ROOM]) -> u32;
    /// Moves what stands behind `place` forward by one and takes `less` off each.
    fn close_gap(row: &mut [u32; ROOM], place: usize, less: u32);
}

impl Lanes for Portable {
    #[inline(always)]
    fn lowest(row: &[u32; ROOM]) -> u32 {
        row[1..=LANES].iter().fold(u32::MAX, |lowest, &key| lowest.min(key))
    }

    #[inline(always)]
    fn close_gap(row: &mut [u32; ROOM], place: usize, less: u32) {
        for at in place..place + LANES {
            row[at] = row[at + 1] - less;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{LANES, Lanes, ROOM};
    use crate::processor::Avx2;
    use std::arch::x86_64::*;

    impl Lanes for Avx2 {
        #[inline(always)]
        fn lowest(row: &[u32; ROOM]) -> u32 {
            // SAFETY: whoever names this type has asked `is_available` first.
            unsafe { lowest(row) }
        }

        #[inline(always)]
        fn close_gap(row: &mut [u32; ROOM], place: usize, less: u32) {
            // SAFETY: as above.
            unsafe { close_gap(row, place, less) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn lowest(row: &[u32; ROOM]) -> u32 {
        // SAFETY: both halves of a row lie behind its first place.
        let halves = unsafe { [load(row, 1), load(row, 1 + LANES / 2)] };
        let eight = _mm256_min_epu32(halves[0], halves[1]);
        let four = _mm_min_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
        let two = _mm_min_epu32(four, _mm_shuffle_epi32::<0b11_10>(four));
        _mm_cvtsi128_si32(_mm_min_epu32(two, _mm_shuffle_epi32::<0b01>(two))) as u32
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn close_gap(row: &mut [u32; ROOM], place: usize, less: u32) {
        assert!(place <= LANES);
        let less = _mm256_set1_epi32(less as i32);
        // SAFETY: from any place on there are LANES and one more in the row.
        unsafe {
            let halves = [load(row, place + 1), load(row, place + 1 + LANES / 2)];
            let to = row.as_mut_ptr().add(place);
            _mm256_storeu_si256(to.cast(), _mm256_sub_epi32(halves[0], less));
            _mm256_storeu_si256(to.add(LANES / 2).cast(), _mm256_sub_epi32(halves[1], less));
        }
    }

    /// # Safety
    /// There must be eight numbers from `at` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(row: &[u32; ROOM], at: usize) -> __m256i {
        // SAFETY: promised by the caller; the load asks for no alignment.
        unsafe { _mm256_loadu_si256(row.as_ptr().add(at).cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{slow, testing::pieces};

    fn merges_as_the_heap_does<P: Lanes>() {
        let pieces: Vec<Vec<u8>> = pieces(11, 20_000, LONGEST).collect();
        let mut results = vec![Vec::new(); pieces.len()];
        let numbered = pieces.iter().map(Vec::as_slice).enumerate();
        Rows::default().merge::<P>(Pairs::get(), numbered, |i, tokens| results[i] = tokens.to_vec());
        for (piece, tokens) in pieces.iter().zip(results) {
            assert_eq!(tokens, slow::merge(piece), "{piece:?}");
        }
    }

    #[test]
    fn rows_merge_as_in_the_heap() {
        merges_as_the_heap_does::<Portable>();
        #[cfg(target_arch = "x86_64")]
        if crate::processor::Avx2::is_available() {
            merges_as_the_heap_does::<crate::processor::Avx2>();
        }
    }
}
