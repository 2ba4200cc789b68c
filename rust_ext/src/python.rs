//! The door to Python. All PyO3 code is here; nothing else is.

use crate::{classes, special::SpecialTokens, tokenizer::Tokenizer, vocab::Vocabulary};
use pyo3::{
    exceptions::{PyKeyError, PyValueError},
    prelude::*,
    pybacked::PyBackedStr,
    types::{PyBytes, PyList},
};
use std::collections::HashSet;

/// The tokenizer core over the embedded vocabulary and the given control tokens.
#[pyclass(frozen, module = "harmony_py._rust")]
struct Core {
    /// Boxed: CPython aligns objects to 16 bytes, and the substring finder inside holds 32-byte vectors.
    tokenizer: Box<Tokenizer>,
}

/// A piece of a rendered conversation: text, or a control token's id.
#[derive(FromPyObject)]
enum Segment {
    Text(PyBackedStr),
    Token(u32),
}

#[pymethods]
impl Core {
    #[new]
    fn new(special_tokens: Vec<(String, u32)>) -> PyResult<Self> {
        let special = SpecialTokens::new(special_tokens).map_err(PyValueError::new_err)?;
        Ok(Self { tokenizer: Box::new(Tokenizer { special }) })
    }

    fn encode_ordinary(&self, py: Python<'_>, text: &str) -> Vec<u32> {
        py.detach(|| {
            let mut ids = Vec::new();
            self.tokenizer.encode_ordinary(text, &mut ids);
            ids
        })
    }

    /// Control tokens in `allowed` count as such; `None` allows all of them.
    fn encode(&self, py: Python<'_>, text: &str, allowed: Option<HashSet<String>>) -> Vec<u32> {
        py.detach(|| {
            let mut ids = Vec::new();
            let is_allowed = |name: &str| allowed.as_ref().is_none_or(|names| names.contains(name));
            self.tokenizer.encode(text, is_allowed, &mut ids);
            ids
        })
    }

    /// Ids of the segments in a row, and where in them each segment ends.
    fn encode_segments(&self, py: Python<'_>, segments: Vec<Segment>) -> (Vec<u32>, Vec<usize>) {
        py.detach(|| {
            let (mut ids, mut ends) = (Vec::new(), Vec::with_capacity(segments.len()));
            for segment in &segments {
                match segment {
                    Segment::Text(text) => self.tokenizer.encode_ordinary(text, &mut ids),
                    Segment::Token(id) => ids.push(*id),
                }
                ends.push(ids.len());
            }
            (ids, ends)
        })
    }

    /// The first control token spelled in `text` that is in `names`; `None` looks for all of them.
    fn find_special(&self, text: &str, names: Option<HashSet<String>>) -> Option<String> {
        let wanted = |name: &str| names.as_ref().is_none_or(|names| names.contains(name));
        let found = self.tokenizer.special.find(text, 0, wanted)?;
        Some(text[found.start..found.end].to_owned())
    }

    fn decode_bytes<'py>(&self, py: Python<'py>, ids: Vec<u32>) -> PyResult<Bound<'py, PyBytes>> {
        let decoded = py.detach(|| {
            let mut bytes = Vec::new();
            self.tokenizer.decode(&ids, &mut bytes).map(|()| bytes)
        });
        let unknown = |id| PyKeyError::new_err(format!("Invalid token for decoding: {id}"));
        Ok(PyBytes::new(py, &decoded.map_err(unknown)?))
    }
}

/// Bytes of every token of the vocabulary, by rank.
#[pyfunction]
fn vocabulary(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    PyList::new(py, Vocabulary::get().tokens().map(|token| PyBytes::new(py, token)).collect::<Vec<_>>())
}

/// Inclusive ranges of the code points whose class has one of `bits` (see `classes.rs`).
#[pyfunction]
fn class_ranges(bits: u8) -> Vec<(u32, u32)> {
    classes::ranges(bits)
}

#[pymodule(gil_used = true)]
mod _rust {
    #[pymodule_export]
    use super::{Core, class_ranges, vocabulary};
}
