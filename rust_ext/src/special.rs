//! Control tokens: names `<|…|>` with ids above the vocabulary, found in text by exact spelling.

use crate::vocab;
use memchr::memmem;
use std::collections::HashMap;

const OPEN: &str = "<|";
const CLOSE: &str = "|>";

/// A control token's spelling in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    pub start: usize,
    pub end: usize,
    pub id: u32,
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
    pub fn new(tokens: Vec<(String, u32)>) -> Result<Self, String> {
        let mut names = Vec::new();
        for (name, id) in &tokens {
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

    /// The first control token spelled in `text` at or behind `from` that `wanted` says yes to.
    pub fn find(&self, text: &str, mut from: usize, wanted: impl Fn(&str) -> bool) -> Option<Match> {
        while let Some(offset) = self.finder.find(&text.as_bytes()[from..]) {
            let start = from + offset;
            let name = self.name_at(text, start).filter(|name| wanted(name));
            if let Some((name, id)) = name.and_then(|name| Some((name, self.id(name)?))) {
                return Some(Match { start, end: start + name.len(), id });
            }
            from = start + OPEN.len();
        }
        None
    }

    /// The text from `<|` at `start` through the next `|>`, if that is near enough to be a name.
    fn name_at<'a>(&self, text: &'a str, start: usize) -> Option<&'a str> {
        let bytes = text.as_bytes();
        let limit = bytes.len().min(start + self.longest);
        let close =
            memmem::find(&bytes[start + OPEN.len()..limit.max(start + OPEN.len())], CLOSE.as_bytes())?;
        text.get(start..start + OPEN.len() + close + CLOSE.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> SpecialTokens {
        let names = [("<|start|>", 200_006), ("<|end|>", 200_007)];
        SpecialTokens::new(names.map(|(name, id)| (name.to_owned(), id)).to_vec()).unwrap()
    }

    #[test]
    fn finds_exact_spellings_only() {
        let tokens = tokens();
        let find = |text| tokens.find(text, 0, |_| true).map(|m| (m.start, m.end, m.id));
        assert_eq!(find("a<|start|>"), Some((1, 10, 200_006)));
        assert_eq!(find("<|<|end|>"), Some((2, 9, 200_007)));
        assert_eq!(find("<|<|end|"), None);
        assert_eq!(find("<|End|> <| end|> <|é|>"), None);
        assert_eq!(find("<|"), None);
        assert!(tokens.find("<|start|><|end|>", 0, |name| name == "<|end|>").is_some_and(|m| m.start == 9));
    }

    #[test]
    fn refuses_names_that_text_search_would_miss() {
        for (name, id) in [("start", 200_006), ("<|a|>b|>", 200_006), ("<|low|>", 7)] {
            assert!(SpecialTokens::new(vec![(name.to_owned(), id)]).is_err());
        }
    }
}
