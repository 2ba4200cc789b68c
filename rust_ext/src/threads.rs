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
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Texts longer than this are cut up, and a thread takes about this much at a time.
const SHARE: usize = 1 << 16;

/// Something to encode by itself.
enum Part<'a> {
    /// A whole text, still to be checked against the policy.
    Whole(Text<'a>),
    /// Text in which nothing is a control token.
    Ordinary(Text<'a>),
    Control(u32),
}

/// Ids of a run of parts, and where those of each part end.
#[derive(Default)]
struct Encoded {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

/// The ids of several texts.
pub struct Batch {
    shares: Vec<Encoded>,
    /// For each text: number of its parts.
    parts: Vec<usize>,
}

impl Batch {
    /// Encodes `texts` under `policy` on at most `threads` threads, the calling one included.
    pub fn encode(
        tokenizer: &Tokenizer,
        texts: &[Text],
        policy: &Policy,
        threads: usize,
    ) -> Result<Self, Refused> {
        let searched: Vec<Option<Cow<str>>> =
            texts.iter().map(|text| long_to_search(*text, policy)).collect();
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
        let encoded = on_threads(threads.min(shares.len()), shares.len(), |share| {
            encode_parts(tokenizer, &parts[shares[share].clone()], policy)
        });
        Ok(Self { shares: encoded.into_iter().collect::<Result<_, _>>()?, parts: counts })
    }

    /// Calls `take` with the ids of each text in turn, which may come in several slices.
    pub fn for_each<E>(&self, mut take: impl FnMut(&[&[u32]]) -> Result<(), E>) -> Result<(), E> {
        let mut slices = self.shares.iter().flat_map(|share| {
            share.ends.iter().scan(0, |start, &end| Some(&share.ids[std::mem::replace(start, end)..end]))
        });
        let mut text: Vec<&[u32]> = Vec::new();
        for &parts in &self.parts {
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
        size += match part {
            Part::Whole(text) | Part::Ordinary(text) => text.len(),
            Part::Control(_) => 1,
        };
        if size >= SHARE || index + 1 == parts.len() {
            shares.push(start..index + 1);
            (start, size) = (index + 1, 0);
        }
    }
    shares
}

fn encode_parts(tokenizer: &Tokenizer, parts: &[Part], policy: &Policy) -> Result<Encoded, Refused> {
    let (mut encoded, mut scratch) = (Encoded::default(), String::new());
    let ids = &mut encoded.ids;
    for part in parts {
        match part {
            Part::Whole(text) => tokenizer.encode(*text, policy, &mut scratch, ids)?,
            Part::Ordinary(text) => tokenizer.encode(*text, &Policy::ALL_TEXT, &mut scratch, ids)?,
            Part::Control(id) => ids.push(*id),
        }
        encoded.ends.push(ids.len());
    }
    Ok(encoded)
}

/// `work(0)` to `work(count - 1)` in order, done by up to `threads` threads as they become free.
fn on_threads<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let work_through = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            done.push((index, work(index)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work_through)).collect();
        let mut done = work_through();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_once_and_in_order() {
        for threads in 0..4 {
            assert_eq!(on_threads(threads, 100, |index| index * 2), (0..200).step_by(2).collect::<Vec<_>>());
        }
    }
}
