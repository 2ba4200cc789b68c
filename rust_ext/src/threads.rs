//! Many texts, or a long one, over several threads; the ids are those of one thread.
//!
//! Texts are cut into parts and the parts dealt out by bytes, so that one long document keeps every thread
//! as busy as many short ones. A cut falls where the pattern's matches begin anew whatever stands before:
//!
//! - before a space or line feed that follows an ASCII letter or digit: no alternative of the pattern
//!   goes on from a letter or a digit to white space;
//! - between a line feed and a character that is neither white space nor `/`: every alternative that
//!   takes in a line feed ends with its run of line breaks, slashes and white space.
//!
//! Nothing in the pattern looks behind, so what follows a cut is matched as at the start of a text.

use crate::{
    classes,
    special::{Policy, Refused},
    tokenizer::Tokenizer,
    utf8::Text,
};
use std::{
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
    Ordinary(&'a str),
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
        let long_texts: Vec<Option<String>> = texts.iter().map(|text| long_as_utf8(*text)).collect();
        let mut parts = Vec::with_capacity(texts.len());
        let mut counts = Vec::with_capacity(texts.len());
        for (text, converted) in texts.iter().zip(&long_texts) {
            let before = parts.len();
            match (converted, *text) {
                (Some(text), _) => cut_up(tokenizer, text, policy, &mut parts)?,
                (None, Text::Ascii(text)) if text.len() > SHARE => {
                    cut_up(tokenizer, text, policy, &mut parts)?;
                }
                (None, text) => parts.push(Part::Whole(text)),
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

/// A long text that is not UTF-8 yet must become so before it can be cut; short ones wait for their thread.
fn long_as_utf8(text: Text) -> Option<String> {
    if matches!(text, Text::Ascii(_)) || text.len() <= SHARE {
        return None;
    }
    let mut converted = String::new();
    text.as_utf8(&mut converted);
    Some(converted)
}

fn cut_up<'a>(
    tokenizer: &Tokenizer,
    text: &'a str,
    policy: &Policy,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), Refused> {
    tokenizer.special.check(text, &policy.disallowed)?;
    let mut start = 0;
    while let Some(found) = tokenizer.special.find(text, start, &policy.allowed) {
        cut_ordinary(&text[start..found.start], parts);
        parts.push(Part::Control(found.id));
        start = found.end;
    }
    cut_ordinary(&text[start..], parts);
    Ok(())
}

fn cut_ordinary<'a>(mut text: &'a str, parts: &mut Vec<Part<'a>>) {
    while text.len() > SHARE {
        let Some(cut) = (SHARE..text.len()).find(|&at| may_cut(text, at)) else { break };
        let (part, rest) = text.split_at(cut);
        parts.push(Part::Ordinary(part));
        text = rest;
    }
    parts.push(Part::Ordinary(text));
}

/// Whether the pieces of `text` are those before `at` and those from `at` on, whatever `text` is.
pub fn may_cut(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    match (bytes[at - 1], bytes[at]) {
        (before, b' ' | b'\n') => before.is_ascii_alphanumeric(),
        (b'\n', b'/') => false,
        (b'\n', _) => {
            text[at..].chars().next().is_some_and(|next| classes::of(next as u32) & classes::SPACE == 0)
        }
        _ => false,
    }
}

/// Cuts the list of parts into runs of about `SHARE` bytes.
fn deal(parts: &[Part]) -> Vec<std::ops::Range<usize>> {
    let (mut shares, mut start, mut size) = (Vec::new(), 0, 0);
    for (index, part) in parts.iter().enumerate() {
        size += match part {
            Part::Whole(text) => text.len(),
            Part::Ordinary(text) => text.len(),
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
    for part in parts {
        match part {
            Part::Whole(text) => {
                tokenizer.encode(text.as_utf8(&mut scratch), policy, &mut encoded.ids)?;
            }
            Part::Ordinary(text) => tokenizer.encode_ordinary(text, &mut encoded.ids),
            Part::Control(id) => encoded.ids.push(*id),
        }
        encoded.ends.push(encoded.ids.len());
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
    use crate::pretokenize::scalar;

    #[test]
    fn pieces_never_cross_a_cut() {
        let parts = ["a", "Z", "9", "'s", " ", "\n", "\r", "\t", "\u{A0}", "/", "!", "日", "\u{301}"];
        let count = parts.len();
        // Every text of up to five parts.
        for number in 0..count.pow(5) {
            let text: String = (0..5).map(|power| parts[number / count.pow(power) % count]).collect();
            let (mut ends, mut at) = (vec![], 0);
            while at < text.len() {
                at = scalar::piece_end(&text, at);
                ends.push(at);
            }
            for cut in (1..text.len()).filter(|&at| text.is_char_boundary(at) && may_cut(&text, at)) {
                assert!(ends.contains(&cut), "{text:?} at {cut}");
            }
        }
    }

    #[test]
    fn work_is_done_once_and_in_order() {
        for threads in 0..4 {
            assert_eq!(on_threads(threads, 100, |index| index * 2), (0..200).step_by(2).collect::<Vec<_>>());
        }
    }
}
