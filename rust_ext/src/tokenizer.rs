//! Text to ids, over the shared tables.

use crate::{
    encoder::Encoder,
    merge,
    special::{Policy, Refused, SpecialTokens},
    utf8::Text,
};

/// Code units of a long text that become UTF-8 at a time: few enough to stay in the processor's near cache
/// until they are read.
const CONVERTED: usize = 1 << 15;

pub struct Tokenizer {
    pub special: SpecialTokens,
}

impl Tokenizer {
    /// Appends the ids of `text`, in which nothing is a control token.
    pub fn encode_ordinary(&self, text: &str, out: &mut Vec<u32>) {
        Encoder::with(|encoder| encoder.encode(text, out));
    }

    /// Appends the ids of `text` under `policy`, or returns the first control token that it refuses.
    pub fn encode(
        &self,
        text: Text,
        policy: &Policy,
        scratch: &mut String,
        out: &mut Vec<u32>,
    ) -> Result<(), Refused> {
        if policy.concerns(text) {
            return self.encode_searched(text.as_utf8(scratch), policy, out);
        }
        match text {
            Text::Utf8(text) => self.encode_ordinary(text, out),
            Text::Units(_) => Encoder::with(|encoder| {
                text.parts(CONVERTED).for_each(|part| encoder.encode(part.as_utf8(scratch), out));
            }),
        }
        Ok(())
    }

    /// The same of UTF-8, in which control tokens are looked for.
    pub fn encode_searched(&self, text: &str, policy: &Policy, out: &mut Vec<u32>) -> Result<(), Refused> {
        self.special.check(text, &policy.disallowed)?;
        let mut start = 0;
        while let Some(found) = self.special.find(text, start, &policy.allowed) {
            self.encode_ordinary(&text[start..found.start], out);
            out.push(found.id);
            start = found.end;
        }
        self.encode_ordinary(&text[start..], out);
        Ok(())
    }

    /// The id of the one token, control tokens included, whose bytes are `bytes`.
    pub fn single_token(&self, bytes: &[u8]) -> Option<u32> {
        let control = std::str::from_utf8(bytes).ok().and_then(|name| self.special.id(name));
        control.or_else(|| {
            let mut ids = Vec::new();
            merge::heap::merge(bytes, &mut ids);
            // Every token's own bytes merge into it: the build refuses a vocabulary where they do not.
            (ids.len() == 1).then(|| ids[0])
        })
    }
}
