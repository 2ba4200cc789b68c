//! Text to ids and back, over the shared tables.

use crate::{
    encoder::Encoder,
    merge,
    special::SpecialTokens,
    vocab::{self, Vocabulary},
};

static ENCODERS: std::sync::Mutex<Vec<Box<Encoder>>> = std::sync::Mutex::new(Vec::new());

pub struct Tokenizer {
    pub special: SpecialTokens,
}

impl Tokenizer {
    /// Appends the ids of `text`, in which nothing is a control token.
    pub fn encode_ordinary(&self, text: &str, out: &mut Vec<u32>) {
        let mut encoder =
            ENCODERS.lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_else(|| Box::new(Encoder::new()));
        encoder.encode(text, out);
        if let Ok(mut pool) = ENCODERS.lock() {
            pool.push(encoder);
        }
    }

    /// Appends the ids of `text`, in which the control tokens that `allowed` says yes to count as such.
    pub fn encode(&self, text: &str, allowed: impl Fn(&str) -> bool, out: &mut Vec<u32>) {
        let mut start = 0;
        while let Some(found) = self.special.find(text, start, &allowed) {
            self.encode_ordinary(&text[start..found.start], out);
            out.push(found.id);
            start = found.end;
        }
        self.encode_ordinary(&text[start..], out);
    }

    /// The bytes that `id` decodes to.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        if (id as usize) < vocab::TOKENS {
            return Some(Vocabulary::get().token(id));
        }
        self.special.name(id).map(str::as_bytes)
    }

    /// Appends the bytes of `ids`, or returns the first id that no token has.
    pub fn decode(&self, ids: &[u32], out: &mut Vec<u8>) -> Result<(), u32> {
        for &id in ids {
            out.extend_from_slice(self.token_bytes(id).ok_or(id)?);
        }
        Ok(())
    }
}
