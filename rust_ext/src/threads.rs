//! Many texts, or a long one, over several threads; the ids are those of one thread.
//!
//! Texts are cut into parts and the parts dealt out by bytes, so that one long document keeps every thread
//! as busy as many short ones.

use crate::{
    special::{Policy, Refused},
    tokenizer::Tokenizer,
    utf8::Text,
};
use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Texts longer than this are cut up, and a thread takes about this much at a time.
const SHARE: usize = 1 << 16;
/// Ids that are worth an interruption to be taken.
const TAKEN: usize = 1 << 16;
/// Code units of one, as a rule.
const BYTES_AN_ID: usize = 4;

/// Something to encode by itself.
enum Part<'a> {
    /// A whole text, still to be checked against the policy.
    Whole(Text<'a>),
    /// Text in which nothing is a control token.
    Ordinary(Text<'a>),
    Control(u32),
}

impl Part<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Whole(text) | Self::Ordinary(text) => text.len(),
            Self::Control(_) => 1,
        }
    }
}

/// Ids of a run of parts, and where those of each part end.
struct Encoded {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

/// Encodes `texts` under `policy` on at most `threads` threads, the calling one included, which also calls
/// `take` with the ids of some of the texts, of the next ones, and so on, while the others still encode.
pub fn encode<E: From<Refused>>(
    tokenizer: &Tokenizer,
    texts: &[Text],
    policy: &Policy,
    threads: usize,
    mut take: impl FnMut(&Batch) -> Result<(), E>,
) -> Result<(), E> {
    let searched: Vec<Option<Cow<str>>> = texts.iter().map(|text| long_to_search(*text, policy)).collect();
    let mut parts = Vec::with_capacity(texts.len());
    let mut counts = Vec::with_capacity(texts.len());
    for (text, searched) in texts.iter().zip(&searched) {
        let before = parts.len();
        match searched {
            Some(text) => cut_at_controls(tokenizer, text, policy, &mut parts)?,
            None if text.len() <= SHARE => parts.push(Part::Whole(*text)),
            None => parts.extend(text.parts(SHARE).map(Part::Ordinary)),
        }
        counts.push(parts.len() - before);
    }
    let shares = deal(&parts);
    let work = |share: usize| encode_parts(tokenizer, &parts[shares[share].clone()], policy);
    let mut batch = Batch::new(&counts);
    in_order(threads.min(shares.len()), shares.len(), work, |encoded| {
        batch.push(encoded?);
        if batch.ids >= TAKEN && batch.texts > 0 {
            take(&batch)?;
            batch.drop_taken();
        }
        Ok::<(), E>(())
    })?;
    take(&batch)
}

/// The ids of several texts in a row.
pub struct Batch<'a> {
    /// For each text, from the first one here on: number of its parts.
    counts: &'a [usize],
    shares: VecDeque<Encoded>,
    /// Parts in front of the first text's.
    taken: usize,
    /// Texts of which all parts are here, and the parts of these; parts of the next one.
    texts: usize,
    parts: usize,
    more_parts: usize,
    /// How many ids there are.
    ids: usize,
}

impl<'a> Batch<'a> {
    fn new(counts: &'a [usize]) -> Self {
        Self { counts, shares: VecDeque::new(), taken: 0, texts: 0, parts: 0, more_parts: 0, ids: 0 }
    }

    fn push(&mut self, share: Encoded) {
        self.more_parts += share.ends.len();
        self.ids += share.ids.len();
        self.shares.push_back(share);
        while let Some(&parts) = self.counts.get(self.texts)
            && parts <= self.more_parts
        {
            self.texts += 1;
            self.parts += parts;
            self.more_parts -= parts;
        }
    }

    fn drop_taken(&mut self) {
        self.taken += self.parts;
        self.counts = &self.counts[self.texts..];
        (self.texts, self.parts) = (0, 0);
        while let Some(share) = self.shares.front()
            && share.ends.len() <= self.taken
        {
            self.taken -= share.ends.len();
            self.ids -= share.ids.len();
            self.shares.pop_front();
        }
    }

    /// Calls `take` with the ids of each text in turn, which may come in several slices.
    pub fn for_each<E>(&self, mut take: impl FnMut(&[&[u32]]) -> Result<(), E>) -> Result<(), E> {
        let slices = self.shares.iter().flat_map(|share| {
            share.ends.iter().scan(0, |start, &end| Some(&share.ids[std::mem::replace(start, end)..end]))
        });
        let mut slices = slices.skip(self.taken);
        let mut text: Vec<&[u32]> = Vec::new();
        for &parts in &self.counts[..self.texts] {
            text.clear();
            text.extend(slices.by_ref().take(parts));
            take(&text)?;
        }
        Ok(())
    }
}

/// The UTF-8 of a long text in which control tokens must be found before it can be cut.
fn long_to_search<'a>(text: Text<'a>, policy: &Policy) -> Option<Cow<'a, str>> {
    (text.len() > SHARE && policy.concerns(text)).then(|| text.to_utf8())
}

fn cut_at_controls<'a>(
    tokenizer: &Tokenizer,
    text: &'a str,
    policy: &Policy,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), Refused> {
    let ordinary = |text: &'a str| Text::Utf8(text).parts(SHARE).map(Part::Ordinary);
    tokenizer.special.check(text, &policy.disallowed)?;
    let mut start = 0;
    while let Some(found) = tokenizer.special.find(text, start, &policy.allowed) {
        parts.extend(ordinary(&text[start..found.start]));
        parts.push(Part::Control(found.id));
        start = found.end;
    }
    parts.extend(ordinary(&text[start..]));
    Ok(())
}

/// Cuts the list of parts into runs of about `SHARE` bytes.
fn deal(parts: &[Part]) -> Vec<std::ops::Range<usize>> {
    let (mut shares, mut start, mut size) = (Vec::new(), 0, 0);
    for (index, part) in parts.iter().enumerate() {
        size += part.len();
        if size >= SHARE || index + 1 == parts.len() {
            shares.push(start..index + 1);
            (start, size) = (index + 1, 0);
        }
    }
    shares
}

fn encode_parts(tokenizer: &Tokenizer, parts: &[Part], policy: &Policy) -> Result<Encoded, Refused> {
    let bytes = parts.iter().map(Part::len).sum::<usize>();
    let (mut ids, mut scratch) = (Vec::with_capacity(bytes / BYTES_AN_ID), String::new());
    let mut ends = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Whole(text) => tokenizer.encode(*text, policy, &mut scratch, &mut ids)?,
            Part::Ordinary(text) => tokenizer.encode(*text, &Policy::ALL_TEXT, &mut scratch, &mut ids)?,
            Part::Control(id) => ids.push(*id),
        }
        ends.push(ids.len());
    }
    Ok(Encoded { ids, ends })
}

/// Does `work(0)` to `work(count - 1)` on up to `threads` threads, the calling one included, which also gives
/// the results to `take`, in order and as soon as it is free to. An error of `take`'s ends it.
fn in_order<T: Send, E>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::default()).collect();
    let result = |index: usize| results[index].lock().unwrap_or_else(PoisonError::into_inner);
    let next = AtomicUsize::new(0);
    let work_on_next = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index < count {
            let done = work(index);
            *result(index) = Some(done);
        }
        index < count
    };
    let mut taken = 0;
    let mut take_what_is_there = || {
        while taken < count
            && let Some(done) = result(taken).take()
        {
            taken += 1;
            take(done)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| while work_on_next() {})).collect();
        let mut so_far = Ok(());
        while so_far.is_ok() && work_on_next() {
            so_far = take_what_is_there();
        }
        next.store(count, Ordering::Relaxed);
        for other in others {
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        so_far.and_then(|()| take_what_is_there())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn work_is_done_once_and_taken_in_order() {
        for threads in 0..4 {
            let (started, mut taken) = (AtomicUsize::new(0), Vec::new());
            let work = |index| (started.fetch_add(1, Ordering::Relaxed), index * 2).1;
            let ended = in_order(threads, 100, work, |result| {
                taken.push(result);
                Ok::<(), ()>(())
            });
            assert_eq!(ended, Ok(()));
            assert_eq!(taken, (0..200).step_by(2).collect::<Vec<_>>());
            assert_eq!(started.into_inner(), 100);
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        for threads in 0..4 {
            let mut taken = 0;
            let ended = in_order(
                threads,
                100,
                |index| index,
                |index| {
                    taken += 1;
                    if index == 40 { Err(index) } else { Ok(()) }
                },
            );
            assert_eq!((ended, taken), (Err(40), 41));
        }
    }

    /// However parts fall into shares, texts come whole, once and in order.
    #[test]
    fn texts_are_taken_whole() {
        let mut random = Random::new(17);
        for _ in 0..2_000 {
            let counts: Vec<usize> = (0..random.below(8)).map(|_| 1 + random.below(5)).collect();
            let (mut batch, mut texts, mut part) = (Batch::new(&counts), Vec::new(), 0);
            let mut take = |batch: &Batch| {
                batch.for_each(|slices| {
                    texts.push(slices.concat());
                    Ok::<(), ()>(())
                })
            };
            let parts = counts.iter().sum::<usize>();
            while part < parts {
                let count = (1 + random.below(6)).min(parts - part);
                let ids = (part..part + count).map(|part| part as u32).collect();
                batch.push(Encoded { ids, ends: (1..=count).collect() });
                part += count;
                if random.below(2) == 0 {
                    take(&batch).unwrap();
                    batch.drop_taken();
                }
            }
            take(&batch).unwrap();
            assert_eq!(texts.iter().map(Vec::len).collect::<Vec<_>>(), counts);
            assert!(texts.concat().into_iter().eq(0..parts as u32));
        }
    }
}
