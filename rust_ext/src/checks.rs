//! What must hold of any input: fast ways give what the slow twin gives. The tests draw inputs at random, the
//! targets in `fuzz/` let coverage lead them.

#[cfg(target_arch = "x86_64")]
use crate::processor::Avx2;
use crate::{
    encoder::Encoder,
    incremental::Incremental,
    merge::{
        batch::{Batch, Links, MEDIUM, Positions, SHORT},
        long::Long,
        row::{self, Rows},
    },
    pairs::Pairs,
    parts,
    processor::{Portable, Processor},
    slow,
    special::SpecialTokens,
    tokenizer::Tokenizer,
    utf8::{Text, Units},
};
use std::cell::RefCell;

pub fn encode(text: &str) {
    let expected = slow::encode(text);
    let (mut ids, mut portable, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    Encoder::with(|encoder| {
        encoder.encode(text, &mut ids);
        encoder.encode_on::<Portable>(text, &mut portable);
    });
    assert_eq!(ids, expected);
    assert_eq!(portable, expected);
    tokenizer().decode(&ids, &mut bytes).expect("ids that encoding gave");
    assert_eq!(bytes, text.as_bytes());
}

pub fn merge(piece: &[u8]) {
    thread_local!(static LONG: RefCell<Long> = RefCell::default());
    let expected = slow::merge(piece);
    let mut tokens = Vec::new();
    LONG.with_borrow_mut(|long| long.merge(Pairs::get(), piece, &mut tokens));
    assert_eq!(tokens, expected);
    if piece.len() <= row::LONGEST {
        assert_eq!(merged_in_rows::<Portable>(piece), expected);
        #[cfg(target_arch = "x86_64")]
        if Avx2::is_available() {
            assert_eq!(merged_in_rows::<Avx2>(piece), expected);
        }
    }
    if piece.len() <= SHORT {
        assert_eq!(merged_in_batch::<u64, { SHORT + 2 }>(piece), expected);
    }
    if piece.len() <= MEDIUM {
        assert_eq!(merged_in_batch::<Links<{ MEDIUM + 2 }>, { MEDIUM + 2 }>(piece), expected);
    }
}

fn merged_in_rows<P: Processor>(piece: &[u8]) -> Vec<u32> {
    among_beginnings(piece, |pieces, done| Rows::default().merge::<P>(Pairs::get(), pieces, done))
}

fn merged_in_batch<P: Positions, const POSITIONS: usize>(piece: &[u8]) -> Vec<u32> {
    let merge = |pieces: Numbered, done: Done| {
        Batch::<P, POSITIONS>::default().merge(Pairs::get(), pieces, done);
    };
    among_beginnings(piece, merge)
}

type Numbered<'a, 'b> = &'a mut dyn Iterator<Item = (usize, &'b [u8])>;
type Done<'a> = &'a mut dyn FnMut(usize, &[u32]);

/// The piece's tokens, merged in turns with all that it begins with.
fn among_beginnings(piece: &[u8], merge: impl FnOnce(Numbered, Done)) -> Vec<u32> {
    let mut pieces = (1..=piece.len()).map(|length| (length, &piece[..length]));
    let mut whole = Vec::new();
    merge(&mut pieces, &mut |length, tokens| {
        if length == piece.len() {
            whole = tokens.to_vec();
        }
    });
    whole
}

pub fn chunks(size: u8, text: &str) {
    let (tokenizer, expected) = (tokenizer(), slow::encode(text));
    let (mut growing, mut ids, mut rest) = (Incremental::default(), Vec::new(), text);
    while !rest.is_empty() {
        let at = (1 + usize::from(size)..rest.len()).find(|&at| rest.is_char_boundary(at));
        let (chunk, behind) = rest.split_at(at.unwrap_or(rest.len()));
        rest = behind;
        growing.feed(&tokenizer, |pending| pending.push_str(chunk), &mut ids);
    }
    growing.finish(&tokenizer, &mut ids);
    assert_eq!(ids, expected);
    for at in (1..text.len()).filter(|&at| text.is_char_boundary(at) && parts::may_cut_utf8(text, at)) {
        let (before, behind) = text.split_at(at);
        assert_eq!([slow::encode(before), slow::encode(behind)].concat(), expected, "cut at {at}");
    }
}

pub fn storage(bytes: &[u8]) {
    let latin: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    assert_eq!(utf8(Units::One(bytes)), latin);
    let twos: Vec<u16> = bytes.as_chunks().0.iter().map(|&unit| u16::from_le_bytes(unit)).collect();
    assert_eq!(utf8(Units::Two(&twos)), String::from_utf16_lossy(&twos));
    // Code points of a `str`: surrogates may be among them, even in pairs.
    let fours: Vec<u32> =
        bytes.as_chunks().0.iter().map(|&unit| u32::from_le_bytes(unit) % 0x11_0000).collect();
    let spelled: Vec<u16> = fours
        .iter()
        .flat_map(|&point| match char::from_u32(point) {
            Some(char) => char.encode_utf16(&mut [0; 2]).to_vec(),
            None => vec![point as u16],
        })
        .collect();
    assert_eq!(utf8(Units::Four(&fours)), String::from_utf16_lossy(&spelled));
}

fn utf8(units: Units) -> String {
    let mut scratch = String::new();
    Text::Units(units).as_utf8(&mut scratch).to_owned()
}

fn tokenizer() -> Tokenizer {
    Tokenizer { special: SpecialTokens::new(vec![], vec![]).expect("no control tokens") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, pieces, texts};

    #[test]
    fn texts_encode_as_the_slow_twin_says() {
        texts(Random::new(1), 20_000).for_each(|text| encode(&text));
    }

    #[test]
    fn pieces_merge_as_the_slow_twin_says() {
        pieces(21, 300, 150).for_each(|piece| merge(&piece));
    }

    #[test]
    fn texts_may_be_cut_where_we_cut_them() {
        let sizes = [0, 1, 2, 7, 40, 255];
        for (index, text) in texts(Random::new(22), 3_000).enumerate() {
            chunks(sizes[index % sizes.len()], &text);
        }
    }

    #[test]
    fn strings_become_utf8_however_they_are_stored() {
        pieces(23, 2_000, 5_000).for_each(|units| storage(&units));
    }
}
