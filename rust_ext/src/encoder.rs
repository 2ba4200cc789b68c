//! The pipeline from text to ids, a batch of pieces at a time:
//! cut, look up whole pieces among the tokens, then in the cache, merge the rest, write in order.

use crate::{
    cache::{Cache, Found},
    key::{self, Key, LongKey, SHORT},
    merge::{
        batch::{self, Medium, Short},
        long::Long,
        row::{self, Rows},
        tiny,
    },
    pairs::Pairs,
    pieces::{Pieces, Place},
    pretokenize::{Pretokenizer, blocks::BLOCK},
    processor::{self, Portable, Processor},
};

use std::sync::{Mutex, PoisonError};

/// Pieces asked for together in the cache.
const BATCH: usize = 64;
/// Pieces taken through all steps together: enough of them are no tokens for their merges to overlap.
const ROUND: usize = 1024;
/// The pretokenizer hands out this many at most.
const ROOM: usize = ROUND + BLOCK;

/// Working memory of one encoding at a time, and what is worth keeping for the next one: some 16 MB.
pub struct Encoder {
    cache: Cache,
    rows: Rows,
    short: Short,
    medium: Medium,
    long: Long,
    starts: Box<[usize; ROOM + 1]>,
    /// Ids of the pieces that are tokens, and room to copy whole blocks from anywhere before it.
    ids: Box<[u32; ROOM + COPIED]>,
    /// Numbers of the pieces that are no token.
    missed: Box<[u32; ROOM]>,
    /// Of the missed pieces: what to look for in the cache.
    keys: Box<[Key; ROOM]>,
    hashes: Box<[u64; ROOM]>,
    /// Ids of the missed pieces; of those that have more than four, where in `more` they start.
    found: Vec<Found>,
    more: Vec<u32>,
    /// Numbers, among the missed, of the pieces to merge in batches.
    row_to_merge: Vec<u32>,
    short_to_merge: Vec<u32>,
    medium_to_merge: Vec<u32>,
}

/// Encoders that are not in use: as many as have ever been in use at once.
static IDLE: Mutex<Vec<Encoder>> = Mutex::new(Vec::new());

impl Default for Encoder {
    fn default() -> Self {
        Self {
            cache: Cache::default(),
            rows: Rows::default(),
            short: Short::default(),
            medium: Medium::default(),
            long: Long::default(),
            starts: Box::new([0; ROOM + 1]),
            ids: Box::new([0; ROOM + COPIED]),
            missed: Box::new([0; ROOM]),
            keys: Box::new([Key::default(); ROOM]),
            hashes: Box::new([0; ROOM]),
            found: Vec::with_capacity(ROOM),
            more: Vec::new(),
            row_to_merge: Vec::new(),
            short_to_merge: Vec::new(),
            medium_to_merge: Vec::new(),
        }
    }
}

impl Encoder {
    /// Lends an encoder to `encode`, one that has been used before if there is one.
    pub fn with<R>(encode: impl FnOnce(&mut Self) -> R) -> R {
        let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let reused = idle().pop();
        let mut encoder = reused.unwrap_or_default();
        let result = encode(&mut encoder);
        idle().push(encoder);
        result
    }

    /// Appends the ids of `text`, in which nothing is a control token.
    pub fn encode(&mut self, text: &str, out: &mut Vec<u32>) {
        #[cfg(target_arch = "x86_64")]
        if processor::Avx2::is_available() {
            return self.encode_on::<processor::Avx2>(text, out);
        }
        self.encode_on::<Portable>(text, out);
    }

    pub fn encode_on<P: Processor>(&mut self, text: &str, out: &mut Vec<u32>) {
        let (pieces, pairs) = (Pieces::get(), Pairs::get());
        let mut pretokenizer = Pretokenizer::new(text);
        let text = text.as_bytes();
        loop {
            let count = P::run(|| pretokenizer.fill::<P>(&mut self.starts[..]));
            if count == 0 {
                return;
            }
            let starts = &self.starts[..=count];
            let missed = pieces.find_all(text, starts, &mut self.ids[..], &mut self.missed[..]);
            if missed > 0 {
                self.find_missed::<P>(text, pieces, pairs, missed);
            }
            self.write(count, missed, out);
        }
    }

    /// Finds the tokens of the first `missed` missed pieces.
    fn find_missed<P: Processor>(&mut self, text: &[u8], pieces: &Pieces, pairs: &Pairs, missed: usize) {
        self.found.clear();
        self.more.clear();
        self.row_to_merge.clear();
        self.short_to_merge.clear();
        self.medium_to_merge.clear();
        for first in (0..missed).step_by(BATCH) {
            let batch = first..missed.min(first + BATCH);
            for number in batch.clone() {
                let i = self.missed[number] as usize;
                let (start, end) = (self.starts[i], self.starts[i + 1]);
                let is_long = (SHORT + 1..=key::LONG).contains(&(end - start));
                let key = Key::of(text, start, end);
                let hash = if is_long { LongKey::of(&text[start..end]).hash() } else { key.hash() };
                self.keys[number] = key;
                self.hashes[number] = hash;
                self.cache.prefetch(hash, is_long);
            }
            for number in batch {
                self.find::<P>(text, pieces, pairs, number);
            }
        }
        self.merge_missed::<P>(text, pairs);
    }

    /// Finds the tokens of one missed piece, or puts it down to be merged with others.
    #[inline(always)]
    fn find<P: Processor>(&mut self, text: &[u8], pieces: &Pieces, pairs: &Pairs, number: usize) {
        let i = self.missed[number] as usize;
        let piece = &text[self.starts[i]..self.starts[i + 1]];
        let found = if tiny::is_for(piece) {
            Some(self.merge_tiny(piece, pairs))
        } else if piece.len() <= SHORT {
            let (key, hash) = (self.keys[number], self.hashes[number]);
            match pieces.find_behind(Place::of(hash), key) {
                Some(token) => Found::few(&[token]),
                None => self.cache.short(key, hash, &mut self.more),
            }
        } else {
            self.find_long::<P>(piece, self.hashes[number], pairs)
        };
        if found.is_none() {
            let batch = if piece.len() <= row::LONGEST {
                &mut self.row_to_merge
            } else if piece.len() <= batch::SHORT {
                &mut self.short_to_merge
            } else {
                &mut self.medium_to_merge
            };
            batch.push(number as u32);
        }
        self.found.push(found.unwrap_or_default());
    }

    #[inline(always)]
    fn merge_tiny(&mut self, piece: &[u8], pairs: &Pairs) -> Found {
        let mut tokens = [0; tiny::LONGEST];
        let count = tiny::merge(pairs, piece, &mut tokens);
        few_or_many(&tokens[..count], &mut self.more)
    }

    /// The tokens of a piece of more than 15 bytes, unless it is one to merge with others.
    #[inline(always)]
    fn find_long<P: Processor>(&mut self, piece: &[u8], hash: u64, pairs: &Pairs) -> Option<Found> {
        if piece.len() > batch::MEDIUM {
            let from = self.more.len();
            P::run(|| self.long.merge(pairs, piece, &mut self.more));
            return Some(Found::last(from, &self.more));
        }
        self.cache.long(piece, hash, &mut self.more)
    }

    fn merge_missed<P: Processor>(&mut self, text: &[u8], pairs: &Pairs) {
        let Self { cache, rows, short, medium, starts, keys, hashes, missed, found, more, .. } = self;
        let index = |number: u32| missed[number as usize] as usize;
        let numbered = |&number: &u32| {
            let i = index(number);
            (number as usize, &text[starts[i]..starts[i + 1]])
        };
        let mut done = |number: usize, tokens: &[u32]| {
            let piece = numbered(&(number as u32)).1;
            if piece.len() <= SHORT {
                cache.put_short(keys[number], hashes[number], tokens);
            } else {
                cache.put(piece, hashes[number], tokens);
            }
            found[number] = few_or_many(tokens, more);
        };
        if !self.row_to_merge.is_empty() {
            P::run(|| rows.merge::<P>(pairs, self.row_to_merge.iter().map(numbered), &mut done));
        }
        if !self.short_to_merge.is_empty() {
            P::run(|| short.merge(pairs, self.short_to_merge.iter().map(numbered), &mut done));
        }
        if !self.medium_to_merge.is_empty() {
            P::run(|| medium.merge(pairs, self.medium_to_merge.iter().map(numbered), &mut done));
        }
    }

    /// Appends the ids of the pieces in order, those of the missed ones from where they were found.
    fn write(&mut self, count: usize, missed: usize, out: &mut Vec<u32>) {
        out.reserve(count + Found::FEW * missed + self.more.len() + COPIED);
        let mut next = 0;
        for number in 0..missed {
            let i = self.missed[number] as usize;
            let found = &self.found[number];
            // SAFETY: room has been reserved for all pieces and a block more, and `ids` goes on for a block
            // behind the last piece's.
            unsafe { append(out, &self.ids[next..], i - next) };
            if found.is_few() {
                // SAFETY: as above; four ids fit in a block.
                unsafe { append_few(out, found) };
            } else {
                out.extend_from_slice(found.of(&self.more));
            }
            next = i + 1;
        }
        // SAFETY: as above.
        unsafe { append(out, &self.ids[next..], count - next) };
    }
}

#[inline(always)]
fn few_or_many(tokens: &[u32], more: &mut Vec<u32>) -> Found {
    Found::few(tokens).unwrap_or_else(|| Found::many(tokens, more))
}

/// Ids copied at once, in a block of fixed size: faster than asking how many there are.
const COPIED: usize = 8;

/// Appends the first `count` of `ids`, copying whole blocks.
///
/// # Safety
/// `out` must have room for `count + COPIED` more, and `ids` must have `count + COPIED` at least.
#[inline(always)]
unsafe fn append(out: &mut Vec<u32>, ids: &[u32], count: usize) {
    debug_assert!(out.capacity() - out.len() >= count + COPIED && ids.len() >= count + COPIED);
    let mut copied = 0;
    while copied < count {
        // SAFETY: `copied < count`, so the block ends within what the caller has promised of both.
        unsafe {
            let to = out.as_mut_ptr().add(out.len() + copied).cast::<[u32; COPIED]>();
            to.write_unaligned(ids.as_ptr().add(copied).cast::<[u32; COPIED]>().read_unaligned());
        }
        copied += COPIED;
    }
    // SAFETY: the first `count` of these have just been written.
    unsafe { out.set_len(out.len() + count) };
}

/// Appends the ids of a piece that has few.
///
/// # Safety
/// `out` must have room for `COPIED` more.
#[inline(always)]
unsafe fn append_few(out: &mut Vec<u32>, found: &Found) {
    debug_assert!(out.capacity() - out.len() >= COPIED && found.is_few());
    // SAFETY: the caller has promised the room, and the first `count` are ids.
    unsafe {
        out.as_mut_ptr().add(out.len()).cast::<[u32; Found::FEW]>().write_unaligned(found.ids);
        out.set_len(out.len() + found.count as usize);
    }
}
