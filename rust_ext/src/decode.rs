//! Ids to bytes.

use crate::{
    tokenizer::Tokenizer,
    vocab::{self, Vocabulary},
};

/// Ids decoded between two looks at the room in the output.
const BLOCK: usize = 256;

impl Tokenizer {
    /// The bytes that `id` decodes to.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        if (id as usize) < vocab::TOKENS {
            return Some(Vocabulary::get().token(id));
        }
        self.special.name(id).map(str::as_bytes)
    }

    /// Appends the bytes of `ids`, or returns the first id that no token has.
    pub fn decode(&self, ids: &[u32], out: &mut Vec<u8>) -> Result<(), u32> {
        let vocabulary = Vocabulary::get();
        for block in ids.chunks(BLOCK) {
            out.reserve(block.len() * vocab::LONGEST + vocab::SLACK);
            for &id in block {
                if (id as usize) < vocab::TOKENS {
                    // SAFETY: the block's tokens and the slack behind the last one have been reserved, and
                    // a control token, which may be longer, reserves its own length on top.
                    unsafe { vocabulary.append_blindly(id, out) };
                } else {
                    let name = self.special.name(id).ok_or(id)?;
                    out.reserve(name.len() + block.len() * vocab::LONGEST + vocab::SLACK);
                    out.extend_from_slice(name.as_bytes());
                }
            }
        }
        Ok(())
    }

    /// Where each token's first character starts, in characters of the whole text.
    ///
    /// A token that begins inside a character starts where that character does.
    pub fn character_offsets(&self, ids: &[u32]) -> Result<Vec<usize>, u32> {
        let continues = |byte: u8| (0x80..0xC0).contains(&byte);
        let mut characters: usize = 0;
        let mut offsets = Vec::with_capacity(ids.len());
        for &id in ids {
            let bytes = self.token_bytes(id).ok_or(id)?;
            let inside = bytes.first().is_some_and(|&byte| continues(byte));
            offsets.push(characters.saturating_sub(usize::from(inside)));
            characters += bytes.iter().filter(|&&byte| !continues(byte)).count();
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use crate::{special::SpecialTokens, tokenizer::Tokenizer, vocab};

    #[test]
    fn every_token_decodes_to_its_bytes_in_any_company() {
        let names = vec![("<|start|>".to_owned(), 200_006)];
        let tokenizer = Tokenizer { special: SpecialTokens::new(names, vec![]).unwrap() };
        let ids: Vec<u32> = (0..vocab::TOKENS as u32).rev().flat_map(|id| [id, 200_006]).collect();
        let expected: Vec<u8> =
            ids.iter().flat_map(|&id| tokenizer.token_bytes(id).unwrap()).copied().collect();
        let mut decoded = Vec::new();
        tokenizer.decode(&ids, &mut decoded).unwrap();
        assert!(decoded == expected);
        assert_eq!(tokenizer.decode(&[0, 200_007], &mut decoded), Err(200_007));
        assert_eq!(tokenizer.decode(&[u32::MAX], &mut decoded), Err(u32::MAX));
    }
}
