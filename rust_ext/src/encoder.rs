//! The pipeline from text to ids, a batch of pieces at a time:
//! cut, look up whole pieces among the tokens, then in the cache, merge the rest, write in order.

use crate::{
    cache::{self, Cache, LongKey},
    key::{Key, SHORT},
    merge::{
        batch::{self, Batch},
        long,
        window::Window,
    },
    pairs::Pairs,
    pieces::Pieces,
    pretokenize::{
        Pretokenizer,
        blocks::{self, BLOCK, Classify},
    },
};

use std::sync::{Mutex, PoisonError};

/// Pieces looked up together: enough of them miss for their merges to overlap.
const BATCH: usize = 256;

/// Working memory of one encoding at a time, and what is worth keeping for the next one: some 2 MB.
pub struct Encoder {
    cache: Cache,
    merger: Batch,
    window: Box<Window>,
    starts: Box<[usize; BATCH + BLOCK + 1]>,
    keys: Box<[Key; BATCH + BLOCK]>,
    hashes: Box<[u64; BATCH + BLOCK]>,
    ids: Box<[u32; BATCH + BLOCK]>,
    /// Numbers of the pieces that are no token.
    missed: Box<[u32; BATCH + BLOCK]>,
    /// Where in `found` the tokens of each missed piece are.
    spans: Vec<(u32, u32)>,
    found: Vec<u32>,
    /// Numbers, among the missed, of the pieces to merge in one batch.
    to_merge: Vec<u32>,
}

/// Encoders that are not in use: as many as have ever been in use at once.
static IDLE: Mutex<Vec<Box<Encoder>>> = Mutex::new(Vec::new());

impl Encoder {
    /// Lends an encoder to `encode`, one that has been used before if there is one.
    pub fn with<R>(encode: impl FnOnce(&mut Self) -> R) -> R {
        let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let reused = idle().pop();
        let mut encoder = reused.unwrap_or_else(|| Box::new(Self::new()));
        let result = encode(&mut encoder);
        idle().push(encoder);
        result
    }

    pub fn new() -> Self {
        Self {
            cache: Cache::new(),
            merger: Batch::new(),
            window: Window::new(),
            starts: Box::new([0; BATCH + BLOCK + 1]),
            keys: Box::new([Key::default(); BATCH + BLOCK]),
            hashes: Box::new([0; BATCH + BLOCK]),
            ids: Box::new([0; BATCH + BLOCK]),
            missed: Box::new([0; BATCH + BLOCK]),
            spans: Vec::new(),
            found: Vec::new(),
            to_merge: Vec::new(),
        }
    }

    /// Appends the ids of `text`, in which nothing is a control token.
    pub fn encode(&mut self, text: &str, out: &mut Vec<u32>) {
        #[cfg(target_arch = "x86_64")]
        if blocks::Avx2::is_available()
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
        {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.encode_avx2(text, out) };
        }
        self.encode_with::<blocks::Portable>(text, out);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn encode_avx2(&mut self, text: &str, out: &mut Vec<u32>) {
        self.encode_with::<blocks::Avx2>(text, out);
    }

    // Inlined, with all below it, into the function that says which instructions there are.
    #[inline(always)]
    fn encode_with<C: Classify>(&mut self, text: &str, out: &mut Vec<u32>) {
        let (pieces, pairs) = (Pieces::get(), Pairs::get());
        let mut pretokenizer = Pretokenizer::new(text);
        loop {
            let count = pretokenizer.fill::<C>(&mut self.starts[..]);
            if count == 0 {
                return;
            }
            self.make_keys(text.as_bytes(), pieces, count);
            let missed = self.look_up(pieces, count);
            self.find_missed(text.as_bytes(), pieces, pairs, missed);
            self.write(count, missed, out);
        }
    }

    #[inline(always)]
    fn make_keys(&mut self, text: &[u8], pieces: &Pieces, count: usize) {
        let inner = self.starts[count - 1] + 16 <= text.len();
        for i in 0..count {
            let (start, end) = (self.starts[i], self.starts[i + 1]);
            let length = end - start;
            let key = if inner || start + 16 <= text.len() {
                let window = text[start..].first_chunk().expect("16 bytes, just asked");
                if length <= SHORT { Key::from_window(window, length) } else { Key::TOO_LONG }
            } else if length <= SHORT {
                Key::of(&text[start..end])
            } else {
                Key::TOO_LONG
            };
            let hash = key.hash();
            self.keys[i] = key;
            self.hashes[i] = hash;
            crate::prefetch(pieces.line(hash));
        }
    }

    /// Sets the ids of the pieces that are tokens and lists the others; returns how many those are.
    #[inline(always)]
    fn look_up(&mut self, pieces: &Pieces, count: usize) -> usize {
        let mut missed = 0;
        for i in 0..count {
            let (token, is_token) = pieces.line(self.hashes[i]).find(self.keys[i]);
            self.ids[i] = token;
            self.missed[missed] = i as u32;
            missed += usize::from(!is_token);
        }
        missed
    }

    /// Finds the tokens of the first `missed` missed pieces.
    #[inline(always)]
    fn find_missed(&mut self, text: &[u8], pieces: &Pieces, pairs: &Pairs, missed: usize) {
        self.spans.clear();
        self.found.clear();
        self.to_merge.clear();
        for &piece in &self.missed[..missed] {
            self.cache.prefetch_short(self.hashes[piece as usize]);
        }
        for number in 0..missed {
            let i = self.missed[number] as usize;
            let piece = &text[self.starts[i]..self.starts[i + 1]];
            let from = self.found.len();
            if !self.look_up_missed(piece, i, pieces) {
                if piece.len() > batch::LONGEST {
                    long::merge(&mut self.window, pairs, piece, &mut self.found);
                } else {
                    self.to_merge.push(number as u32);
                }
            }
            self.spans.push((from as u32, self.found.len() as u32));
        }
        if !self.to_merge.is_empty() {
            self.merge_missed(text, pairs);
        }
    }

    /// Appends the tokens of a piece that is no token in its home line, if they are in some table.
    #[inline(always)]
    fn look_up_missed(&mut self, piece: &[u8], i: usize, pieces: &Pieces) -> bool {
        let cached = if piece.len() <= SHORT {
            let (key, hash) = (self.keys[i], self.hashes[i]);
            if let Some(token) = pieces.overflowed(key, hash) {
                self.found.push(token);
                return true;
            }
            self.cache.short(key, hash)
        } else if piece.len() <= cache::LONG {
            self.cache.long(&cache::long_key(piece))
        } else {
            None
        };
        if let Some(ids) = cached {
            self.found.extend_from_slice(ids);
        }
        cached.is_some()
    }

    #[inline(always)]
    fn merge_missed(&mut self, text: &[u8], pairs: &Pairs) {
        let Self { cache, merger, starts, keys, hashes, missed, spans, found, to_merge, .. } = self;
        let index = |number: usize| missed[to_merge[number] as usize] as usize;
        let piece = |number: usize| &text[starts[index(number)]..starts[index(number) + 1]];
        let pieces = (0..to_merge.len()).map(piece);
        merger.merge(pairs, pieces, |number, tokens| {
            let (i, piece) = (index(number), piece(number));
            if piece.len() <= SHORT {
                cache.put_short(keys[i], hashes[i], tokens);
            } else if piece.len() <= cache::LONG {
                let key: LongKey = cache::long_key(piece);
                cache.put_long(&key, tokens);
            }
            spans[to_merge[number] as usize] = (found.len() as u32, (found.len() + tokens.len()) as u32);
            found.extend_from_slice(tokens);
        });
    }

    /// Appends the ids of the pieces in order, those of the missed ones from where they were found.
    #[inline(always)]
    fn write(&mut self, count: usize, missed: usize, out: &mut Vec<u32>) {
        let mut next = 0;
        for (&i, &(from, to)) in self.missed[..missed].iter().zip(&self.spans) {
            out.extend_from_slice(&self.ids[next..i as usize]);
            out.extend_from_slice(&self.found[from as usize..to as usize]);
            next = i as usize + 1;
        }
        out.extend_from_slice(&self.ids[next..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        merge::heap,
        pretokenize::scalar,
        testing::{Random, texts},
    };

    fn slow(text: &str) -> Vec<u32> {
        let (mut at, mut ids) = (0, Vec::new());
        while at < text.len() {
            let end = scalar::piece_end(text, at);
            heap::merge(&text.as_bytes()[at..end], &mut ids);
            at = end;
        }
        ids
    }

    #[test]
    fn encodes_as_single_pieces_and_the_heap_do() {
        let mut encoder = Encoder::new();
        for text in texts(Random::new(1), 20_000) {
            let (mut ids, mut portable) = (Vec::new(), Vec::new());
            encoder.encode(&text, &mut ids);
            encoder.encode_with::<blocks::Portable>(&text, &mut portable);
            let expected = slow(&text);
            assert_eq!(ids, expected, "{text:?}");
            assert_eq!(portable, expected, "{text:?}");
        }
    }
}
