//! The tokens at the end of a text that more text could change, and what they could become.
//!
//! tiktoken's `encode_with_unstable`, approximations included: it is what its users compare with.

use crate::{
    merge,
    special::{Policy, Refused},
    tokenizer::Tokenizer,
    vocab::{self, Vocabulary},
};
use std::{collections::HashSet, sync::OnceLock};

impl Tokenizer {
    /// The stable ids of `text`, and every way of going on that its remaining bytes leave open.
    pub fn encode_with_unstable(
        &self,
        text: &str,
        policy: &Policy,
    ) -> Result<(Vec<u32>, HashSet<Vec<u32>>), Refused> {
        let mut ids = Vec::new();
        self.encode_searched(text, policy, &mut ids)?;
        let stable = ids.len() - self.unstable_count(&ids, self.tail(text, policy));
        let mut bytes = Vec::new();
        self.decode(&ids[stable..], &mut bytes).expect("ids that encoding gave");
        ids.truncate(stable);
        Ok((ids, self.completions(&bytes)))
    }

    /// What follows the last control token.
    fn tail<'a>(&self, text: &'a str, policy: &Policy) -> &'a str {
        let mut start = 0;
        while let Some(found) = self.special.find(text, start, &policy.allowed) {
            start = found.end;
        }
        &text[start..]
    }

    /// How many of `ids`, the last of which spell `tail`, belong to its last piece; if that begins with
    /// white space, the white space before it counts too, for a line break to come would join both.
    fn unstable_count(&self, ids: &[u32], tail: &str) -> usize {
        let Some(piece) = last_piece(tail) else { return 0 };
        let mut last = Vec::new();
        self.encode_ordinary(piece, &mut last);
        let mut count = last.len();
        let is_blank = |id: u32| {
            self.token_bytes(id).is_some_and(|bytes| bytes.iter().all(|byte| b" \n\t".contains(byte)))
        };
        if is_blank(ids[ids.len() - count]) {
            while count < ids.len() && is_blank(ids[ids.len() - count - 1]) {
                count += 1;
            }
        }
        count
    }

    /// Token sequences that spell at least `bytes`, of which only the last token may reach beyond.
    fn completions(&self, bytes: &[u8]) -> HashSet<Vec<u32>> {
        let mut completions = HashSet::new();
        if bytes.is_empty() {
            return completions;
        }
        completions.extend(tokens_starting_with(bytes).map(|id| vec![id]));
        for (before, after) in (1..bytes.len()).map(|at| bytes.split_at(at)) {
            for id in tokens_starting_with(after) {
                let spelled = [before, Vocabulary::get().token(id)].concat();
                let mut ids = self.encode_bytes(&spelled);
                ids.truncate(self.tokens_covering(&ids, bytes.len()));
                completions.insert(ids);
            }
        }
        completions.extend(split_before_last_space(bytes));
        completions
    }

    fn encode_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let mut ids = Vec::new();
        match std::str::from_utf8(bytes) {
            Ok(text) => self.encode_ordinary(text, &mut ids),
            Err(_) => merge::heap::merge(bytes, &mut ids),
        }
        ids
    }

    /// How many tokens it takes to spell `length` bytes.
    fn tokens_covering(&self, ids: &[u32], length: usize) -> usize {
        let mut spelled = 0;
        let enough = ids.iter().position(|&id| {
            spelled += Vocabulary::get().token(id).len();
            spelled >= length
        });
        enough.map_or(ids.len(), |last| last + 1)
    }
}

fn last_piece(text: &str) -> Option<&str> {
    use crate::pretokenize::scalar;
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        start = at;
        at = scalar::piece_end(text, at);
    }
    (!text.is_empty()).then(|| &text[start..])
}

/// White space at the very end leaves a run of it as soon as something else follows.
fn split_before_last_space(bytes: &[u8]) -> Option<Vec<u32>> {
    let (start, last) = (0..bytes.len()).rev().take(4).find_map(|start| {
        let text = std::str::from_utf8(&bytes[start..]).ok()?;
        Some((start, text.chars().next_back()?))
    })?;
    (start > 0 && last.is_whitespace()).then(|| {
        let mut ids = Vec::new();
        merge::heap::merge(&bytes[..start], &mut ids);
        merge::heap::merge(&bytes[start..], &mut ids);
        ids
    })
}

/// Ids of the vocabulary's tokens that start with `bytes`.
fn tokens_starting_with(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let vocabulary = Vocabulary::get();
    let sorted = by_bytes();
    let start = sorted.partition_point(|&id| vocabulary.token(id) < bytes);
    sorted[start..].iter().copied().take_while(move |&id| vocabulary.token(id).starts_with(bytes))
}

/// Every id of the vocabulary, in the order of the tokens' bytes.
pub fn by_bytes() -> &'static [u32] {
    static SORTED: OnceLock<Vec<u32>> = OnceLock::new();
    SORTED.get_or_init(|| {
        let mut ids: Vec<u32> = (0..vocab::TOKENS as u32).collect();
        ids.sort_unstable_by_key(|&id| Vocabulary::get().token(id));
        ids
    })
}
