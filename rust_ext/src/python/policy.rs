//! `allowed_special` and `disallowed_special` as tiktoken means them, at no cost for texts without `<|`.

use super::text;
use crate::special::{self, Names, OPEN, Policy, SpecialTokens};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyString, PyStringMethods},
};
use std::collections::HashSet;

pyo3::import_exception!(harmony_py.errors, HarmonyError);

/// `allowed_special` or `disallowed_special` as it was passed.
pub enum Argument<'py> {
    Absent,
    Given(Bound<'py, PyAny>),
}

impl Argument<'_> {
    #[inline(always)]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<'py> FromPyObject<'_, 'py> for Argument<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self::Given(object.to_owned()))
    }
}

/// The two arguments, read.
pub struct Special<'py> {
    allowed: Choice<'py>,
    disallowed: Choice<'py>,
}

enum Choice<'py> {
    None,
    All,
    Names(Vec<Bound<'py, PyString>>),
}

impl<'py> Special<'py> {
    /// By default nothing is allowed and everything disallowed.
    pub fn new(allowed: Argument<'py>, disallowed: Argument<'py>) -> PyResult<Self> {
        let allowed = match allowed {
            Argument::Absent => Choice::None,
            Argument::Given(given) if is_all(&given) => Choice::All,
            Argument::Given(given) if given.is_instance_of::<PyString>() || given.is_none() => {
                let found = given.repr()?;
                return Err(PyTypeError::new_err(format!(
                    "allowed_special is 'all' or a set of str, not {found}"
                )));
            }
            Argument::Given(given) => Choice::Names(strings(&given)?),
        };
        let disallowed = match disallowed {
            Argument::Absent => Choice::All,
            Argument::Given(given) if is_all(&given) => Choice::All,
            Argument::Given(given) if given.is_none() => Choice::None,
            Argument::Given(given) => Choice::Names(strings(&given)?),
        };
        Ok(Self { allowed, disallowed })
    }

    /// What to do with the control tokens in `texts`. Raises if one of them has a disallowed string that
    /// is no control token's name: those, arbitrary as they are, Python looks for itself.
    pub fn policy(&self, known: &SpecialTokens, texts: &[Bound<'py, PyString>]) -> PyResult<Policy> {
        if self.allowed.is_empty() && self.disallowed.is_empty() {
            return Ok(Policy::ALL_TEXT);
        }
        let by_name = matches!(self.allowed, Choice::Names(_)) || matches!(self.disallowed, Choice::Names(_));
        // Without names there is nothing to collect, and looking ahead for `<|` would save nothing.
        let opens = !by_name || any_opens(texts)?;
        if let Choice::Names(names) = &self.disallowed {
            // Most names begin with `<|`, and most texts do not have it.
            let possible =
                |name: &Bound<'_, PyString>| opens || !name.to_str().is_ok_and(|name| name.starts_with(OPEN));
            let names: Vec<_> = names.iter().filter(|name| possible(name)).collect();
            for text in texts {
                refuse_unknown(known, &names, text)?;
            }
        }
        if !opens {
            return Ok(Policy::ALL_TEXT);
        }
        let disallowed = match (&self.disallowed, &self.allowed) {
            (Choice::All, Choice::All) => Names::None,
            (Choice::All, Choice::Names(names)) => Names::AllBut(known_names(known, names)),
            (disallowed, _) => disallowed.names(known),
        };
        Ok(Policy { allowed: self.allowed.names(known), disallowed })
    }
}

impl Choice<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::All => false,
            Self::Names(names) => names.is_empty(),
        }
    }

    fn names(&self, known: &SpecialTokens) -> Names {
        match self {
            Self::None => Names::None,
            Self::All => Names::All,
            Self::Names(names) => Names::Only(known_names(known, names)),
        }
    }
}

/// The error for a text that spells a control token which it must not.
pub fn refused(name: &Bound<'_, PyAny>) -> PyErr {
    let Ok(name) = name.repr() else { return PyErr::fetch(name.py()) };
    HarmonyError::new_err(format!(
        "Encountered text corresponding to disallowed special token {name}.\n\
         Text that looks like a control token is refused unless you say what it is.\n\
         - It is meant to be the control token: name it in `allowed_special`, as in \
         `allowed_special={{{name}}}`, or allow every one with `allowed_special=\"all\"`.\n\
         - It is only text: leave it out with \
         `disallowed_special=tokenizer.special_tokens_set - {{{name}}}`, or take everything for text \
         with `disallowed_special=()` or `encode_ordinary`.\n"
    ))
}

fn is_all(given: &Bound<'_, PyAny>) -> bool {
    given.cast::<PyString>().is_ok_and(|given| given.to_str().is_ok_and(|given| given == "all"))
}

fn strings<'py>(given: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    given.try_iter()?.map(|name| Ok(name?.cast_into::<PyString>()?)).collect()
}

/// Those of `names` that control tokens have.
fn known_names(known: &SpecialTokens, names: &[Bound<'_, PyString>]) -> HashSet<String> {
    let names = names.iter().filter_map(|name| name.to_str().ok());
    names.filter(|name| known.id(name).is_some()).map(str::to_owned).collect()
}

/// Raises if `text` has one of `names` that no control token has; the first of several, as a search would.
fn refuse_unknown(
    known: &SpecialTokens,
    names: &[&Bound<'_, PyString>],
    text: &Bound<'_, PyString>,
) -> PyResult<()> {
    let is_known = |name: &Bound<'_, PyString>| name.to_str().is_ok_and(|name| known.id(name).is_some());
    let position = |name: &Bound<'_, PyString>| text.call_method1("find", (name,))?.extract::<isize>();
    let mut first: Option<(isize, &Bound<'_, PyString>)> = None;
    for name in names.iter().filter(|name| !is_known(name)) {
        let at = position(name)?;
        if at >= 0 && first.is_none_or(|(before, _)| at < before) {
            first = Some((at, name));
        }
    }
    let Some((at, name)) = first else { return Ok(()) };
    // A control token may stand before it.
    for name in names.iter().filter(|name| is_known(name)) {
        if (0..at).contains(&position(name)?) {
            return Ok(());
        }
    }
    Err(refused(name))
}

fn any_opens(texts: &[Bound<'_, PyString>]) -> PyResult<bool> {
    for text in texts {
        if special::opens(text::of(text)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
