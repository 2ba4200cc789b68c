//! Control tokens: names `<|…|>` with ids above the vocabulary, found in text by exact spelling.

use crate::{
    utf8::{Text, Units},
    vocab,
};
use memchr::memmem;
use std::collections::{HashMap, HashSet};

/// What every control token's name begins with.
pub const OPEN: &str = "<|";
const CLOSE: &str = "|>";

/// A control token's spelling in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    pub start: usize,
    pub end: usize,
    pub id: u32,
}

/// The spelling of a control token in a text that must not have it.
#[derive(Debug, PartialEq)]
pub struct Refused(pub String);

/// Some of the control tokens, by name.
pub enum Names {
    None,
    All,
    Only(HashSet<String>),
    AllBut(HashSet<String>),
}

impl Names {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => names.contains(name),
            Self::AllBut(names) => !names.contains(name),
        }
    }
}

/// What to do about control tokens that are spelled in a text. Those in neither set are text.
pub struct Policy {
    pub allowed: Names,
    /// A text that spells one of these is refused.
    pub disallowed: Names,
}

impl Policy {
    /// Every control token is refused.
    pub const DEFAULT: Self = Self { allowed: Names::None, disallowed: Names::All };
    /// None is a control token.
    pub const ALL_TEXT: Self = Self { allowed: Names::None, disallowed: Names::None };

    /// Whether `text` is to be searched for control tokens: if any matter, and it has what they begin with.
    pub fn concerns(&self, text: Text) -> bool {
        !matches!((&self.allowed, &self.disallowed), (Names::None, Names::None)) && opens(text)
    }
}

/// Whether a text has `<|` anywhere.
pub fn opens(text: Text) -> bool {
    match text {
        Text::Utf8(text) => memmem::find(text.as_bytes(), OPEN.as_bytes()).is_some(),
        Text::Units(Units::One(units)) => opens_in(units),
        Text::Units(Units::Two(units)) => opens_in(units),
        Text::Units(Units::Four(units)) => opens_in(units),
    }
}

fn opens_in<T: Copy + PartialEq + From<u8>>(units: &[T]) -> bool {
    const BLOCK: usize = 1024;
    let (first, second) = (T::from(b'<'), T::from(b'|'));
    let behind = units.get(1..).unwrap_or_default();
    // A block at a time, without branches inside, and so made of vectors.
    units.chunks(BLOCK).zip(behind.chunks(BLOCK)).any(|(units, behind)| {
        units.iter().zip(behind).fold(false, |opens, (&a, &b)| opens | ((a == first) & (b == second)))
    })
}

pub struct SpecialTokens {
    ids: HashMap<String, u32>,
    /// By `id - vocab::TOKENS`; empty where no token has the id.
    names: Vec<String>,
    longest: usize,
    finder: memmem::Finder<'static>,
}

impl SpecialTokens {
    /// From `(name, id)` pairs; of two names for one id the later one is what the id decodes to.
    /// Text never becomes a token of `decode_only`, whatever the policy.
    pub fn new(tokens: Vec<(String, u32)>, decode_only: Vec<(String, u32)>) -> Result<Self, String> {
        let mut names = Vec::new();
        for (name, id) in tokens.iter().chain(&decode_only) {
            let inner = name.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE));
            if inner.is_none_or(|inner| inner.contains(CLOSE)) {
                return Err(format!("a control token is spelled <|…|>, not {name:?}"));
            }
            let index = (*id as usize)
                .checked_sub(vocab::TOKENS)
                .filter(|&index| index < 1 << 16)
                .ok_or_else(|| format!("control token {name:?} cannot have the id {id}"))?;
            if names.len() <= index {
                names.resize(index + 1, String::new());
            }
            names[index] = name.clone();
        }
        let longest = tokens.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        Ok(Self { ids: tokens.into_iter().collect(), names, longest, finder: memmem::Finder::new(OPEN) })
    }

    pub fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// Spelling of the control token `id`.
    pub fn name(&self, id: u32) -> Option<&str> {
        let name = self.names.get((id as usize).checked_sub(vocab::TOKENS)?)?;
        (!name.is_empty()).then_some(name)
    }

    /// The first control token in `wanted` that `text` spells at or behind `from`.
    pub fn find(&self, text: &str, mut from: usize, wanted: &Names) -> Option<Match> {
        if matches!(wanted, Names::None) {
            return None;
        }
        while let Some(offset) = self.finder.find(&text.as_bytes()[from..]) {
            let start = from + offset;
            let name = self.name_at(text, start).filter(|name| wanted.has(name));
            if let Some((name, id)) = name.and_then(|name| Some((name, self.id(name)?))) {
                return Some(Match { start, end: start + name.len(), id });
            }
            from = start + OPEN.len();
        }
        None
    }

    /// Refuses a text that spells one of `disallowed`.
    pub fn check(&self, text: &str, disallowed: &Names) -> Result<(), Refused> {
        match self.find(text, 0, disallowed) {
            Some(found) => Err(Refused(text[found.start..found.end].to_owned())),
            None => Ok(()),
        }
    }

    /// The text from `<|` at `start` through the next `|>`, if that is near enough to be a name.
    fn name_at<'a>(&self, text: &'a str, start: usize) -> Option<&'a str> {
        let inner = start + OPEN.len();
        let limit = text.len().min(start + self.longest).max(inner);
        let close = memmem::find(&text.as_bytes()[inner..limit], CLOSE.as_bytes())?;
        text.get(start..inner + close + CLOSE.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> SpecialTokens {
        let token = |(name, id): (&str, u32)| (name.to_owned(), id);
        let tokens = [("<|start|>", 200_006), ("<|end|>", 200_007)].map(token).to_vec();
        SpecialTokens::new(tokens, [("<|mute|>", 200_009)].map(token).to_vec()).unwrap()
    }

    #[test]
    fn finds_exact_spellings_only() {
        let tokens = tokens();
        let find = |text| tokens.find(text, 0, &Names::All).map(|m| (m.start, m.end, m.id));
        assert_eq!(find("a<|start|>"), Some((1, 10, 200_006)));
        assert_eq!(find("<|<|end|>"), Some((2, 9, 200_007)));
        assert_eq!(find("<|<|end|"), None);
        assert_eq!(find("<|End|> <| end|> <|é|>"), None);
        assert_eq!(find("<|"), None);
        let only_end = Names::Only(HashSet::from(["<|end|>".to_owned()]));
        assert!(tokens.find("<|start|><|end|>", 0, &only_end).is_some_and(|m| m.start == 9));
    }

    #[test]
    fn a_text_opens_wherever_the_two_characters_are() {
        let bar = u16::from(b'|');
        for length in [0, 1, 2, 1023, 1024, 1025, 2049, 3000] {
            let mut units = vec![u16::from(b'<'); length];
            assert!(!opens(Text::Units(Units::Two(&units))));
            for at in 1..length {
                units[at] = bar;
                assert!(opens(Text::Units(Units::Two(&units))), "{at} of {length}");
                units[at] = u16::from(b'<');
            }
        }
    }

    #[test]
    fn decodes_what_text_never_becomes() {
        let tokens = tokens();
        assert_eq!(tokens.name(200_009), Some("<|mute|>"));
        assert_eq!(tokens.find("<|mute|>", 0, &Names::All), None);
        assert_eq!(tokens.id("<|mute|>"), None);
    }

    #[test]
    fn refuses_names_that_text_search_would_miss() {
        for (name, id) in [("start", 200_006), ("<|a|>b|>", 200_006), ("<|low|>", 7)] {
            assert!(SpecialTokens::new(vec![(name.to_owned(), id)], vec![]).is_err());
        }
    }
}
