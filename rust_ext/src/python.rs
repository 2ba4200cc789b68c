//! The door to Python. All PyO3 code is here and below; nothing else is.

mod ids;
mod incremental;
mod kernels;
mod policy;
mod text;

use crate::{
    classes,
    special::{Policy, Refused, SpecialTokens},
    threads::{self, Batch},
    tokenizer::Tokenizer,
    unstable,
    utf8::Text,
    vocab::Vocabulary,
};
use ids::TokenBuffer;
use incremental::IncrementalEncoder;
use kernels::{kernel_implementations, kernel_int8_linear, kernel_linear, kernel_moe, kernel_mxfp4_linear};
use policy::{Argument, Special};
use pyo3::{
    exceptions::{PyKeyError, PyValueError},
    ffi,
    prelude::*,
    types::{PyBytes, PyList, PyMemoryView, PyString},
};
use std::{cell::Cell, ffi::CString, num::NonZero, thread};

/// The tokenizer over the embedded vocabulary and the given control tokens.
#[pyclass(frozen, subclass, module = "harmony_py._rust")]
pub struct Core {
    /// Boxed: CPython aligns objects to 16 bytes, and the substring finder inside holds 32-byte vectors.
    tokenizer: Box<Tokenizer>,
}

#[pymethods]
impl Core {
    /// `decode_only`: tokens that no text becomes, even where every control token is allowed.
    #[new]
    fn new(special_tokens: Vec<(String, u32)>, decode_only: Vec<(String, u32)>) -> PyResult<Self> {
        let special = SpecialTokens::new(special_tokens, decode_only).map_err(PyValueError::new_err)?;
        Ok(Self { tokenizer: Box::new(Tokenizer { special }) })
    }

    /// Ids of `text`, in which nothing is a control token.
    fn encode_ordinary<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        ids::with_scratch(|ids| {
            self.encode_text(text, &Policy::ALL_TEXT, ids)?;
            ids::list(text.py(), &[ids])
        })
    }

    /// Ids of `text`. What spells a control token is refused with a `HarmonyError` (a `ValueError`) if it is
    /// in `disallowed_special`, becomes that token if it is in `allowed_special`, and else is text.
    #[pyo3(signature = (text, *, allowed_special=Argument::Absent, disallowed_special=Argument::Absent))]
    fn encode<'py>(
        &self,
        text: &Bound<'py, PyString>,
        allowed_special: Argument<'py>,
        disallowed_special: Argument<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        ids::with_scratch(|ids| {
            self.encode_into(text, allowed_special, disallowed_special, ids)?;
            ids::list(text.py(), &[ids])
        })
    }

    /// Like `encode`, but a view of the memory that the ids were written to, which numpy can use as it is.
    #[pyo3(signature = (text, *, allowed_special=Argument::Absent, disallowed_special=Argument::Absent))]
    fn encode_to_buffer<'py>(
        &self,
        text: &Bound<'py, PyString>,
        allowed_special: Argument<'py>,
        disallowed_special: Argument<'py>,
    ) -> PyResult<Bound<'py, PyMemoryView>> {
        let mut ids = Vec::new();
        self.encode_into(text, allowed_special, disallowed_special, &mut ids)?;
        PyMemoryView::from(Bound::new(text.py(), TokenBuffer::new(ids))?.as_any())
    }

    /// How many ids `encode_ordinary` gives.
    fn count(&self, text: &Bound<'_, PyString>) -> PyResult<usize> {
        ids::with_scratch(|ids| {
            self.encode_text(text, &Policy::ALL_TEXT, ids)?;
            Ok(ids.len())
        })
    }

    /// `encode_ordinary` for each text, on up to `num_threads` threads: by default one for each processor.
    /// A long text, too, is shared among them.
    #[pyo3(signature = (text, *, num_threads=None))]
    fn encode_ordinary_batch<'py>(
        &self,
        text: &Bound<'py, PyAny>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.encode_texts(text.py(), &strings(text)?, &Policy::ALL_TEXT, num_threads)
    }

    /// `encode` for each text, on up to `num_threads` threads: by default one for each processor.
    /// A long text, too, is shared among them.
    #[pyo3(signature = (
        text, *, num_threads=None, allowed_special=Argument::Absent, disallowed_special=Argument::Absent
    ))]
    fn encode_batch<'py>(
        &self,
        text: &Bound<'py, PyAny>,
        num_threads: Option<usize>,
        allowed_special: Argument<'py>,
        disallowed_special: Argument<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let texts = strings(text)?;
        let policy =
            Special::new(allowed_special, disallowed_special)?.policy(&self.tokenizer.special, &texts)?;
        self.encode_texts(text.py(), &texts, &policy, num_threads)
    }

    /// Ids of text and control tokens in a row, and where in the ids each segment ends.
    ///
    /// One call for a whole conversation. Text segments are encoded apart from each other and can never
    /// become control tokens; an `int` is one token's id, taken as it is.
    fn encode_segments<'py>(
        &self,
        segments: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let py = segments.py();
        ids::with_scratch(|ids| {
            let mut ends = Vec::new();
            for segment in segments.try_iter()? {
                let segment = segment?;
                match segment.cast::<PyString>() {
                    Ok(text) => self.encode_text(text, &Policy::ALL_TEXT, ids)?,
                    Err(_) => ids.push(ids::read_one(&segment)?),
                }
                ends.push(u32::try_from(ids.len())?);
            }
            Ok((ids::list(py, &[ids])?, ids::list(py, &[&ends])?))
        })
    }

    /// The stable ids of `text`, and the sequences that its unstable end and what follows may become.
    #[pyo3(signature = (text, *, allowed_special=Argument::Absent, disallowed_special=Argument::Absent))]
    fn encode_with_unstable<'py>(
        &self,
        text: &Bound<'py, PyString>,
        allowed_special: Argument<'py>,
        disallowed_special: Argument<'py>,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let py = text.py();
        let policy = self.policy(text, allowed_special, disallowed_special)?;
        let (stable, completions) = text::with_text(text, |text, scratch| {
            self.tokenizer.encode_with_unstable(text.as_utf8(scratch), &policy)
        })?
        .map_err(|refusal| refused(py, &refusal))?;
        let completions =
            completions.iter().map(|ids| ids::list(py, &[ids])).collect::<PyResult<Vec<_>>>()?;
        Ok((ids::list(py, &[&stable])?, PyList::new(py, completions)?))
    }

    /// The id of the one token, control tokens included, that is `text_or_bytes`; else `KeyError`.
    fn encode_single_token(&self, text_or_bytes: &Bound<'_, PyAny>) -> PyResult<u32> {
        let encoded;
        let bytes = match text_or_bytes.cast::<PyString>() {
            Ok(text) => {
                encoded = text.encode_utf8()?;
                &encoded
            }
            Err(_) => text_or_bytes.cast::<PyBytes>()?,
        };
        let id = self.tokenizer.single_token(bytes.as_bytes());
        id.ok_or_else(|| PyKeyError::new_err(bytes.clone().unbind()))
    }

    /// The longest start of `text` that is its first `max_tokens` ids, cut back to a whole character, and
    /// takes no more ids than that by itself. Reads no more of a long text than it needs.
    fn truncate<'py>(
        &self,
        text: &Bound<'py, PyString>,
        max_tokens: usize,
    ) -> PyResult<Bound<'py, PyString>> {
        let units = text::of(text)?;
        let truncated = text.py().detach(|| self.tokenizer.truncate(units, max_tokens));
        Ok(truncated.map_or_else(|| text.clone(), |start| PyString::new(text.py(), &start)))
    }

    /// Bytes of `tokens`; `KeyError` on an id that no token has.
    fn decode_bytes<'py>(&self, tokens: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        self.with_decoded(tokens, |bytes| Ok(PyBytes::new(tokens.py(), bytes)))
    }

    /// Text of `tokens`, decoded from UTF-8 with `errors`; `KeyError` on an id that no token has.
    #[pyo3(signature = (tokens, errors="replace"))]
    fn decode<'py>(&self, tokens: &Bound<'py, PyAny>, errors: &str) -> PyResult<Bound<'py, PyString>> {
        let py = tokens.py();
        let custom;
        let errors = match errors {
            "replace" => c"replace",
            "strict" => c"strict",
            other => {
                custom = CString::new(other)?;
                &custom
            }
        };
        self.with_decoded(tokens, |bytes| {
            let len = bytes.len() as ffi::Py_ssize_t;
            // SAFETY: the GIL is held; pointer and length are those of a slice, and `errors` ends with a nul.
            let text = unsafe {
                let text = ffi::PyUnicode_DecodeUTF8(bytes.as_ptr().cast(), len, errors.as_ptr());
                Bound::from_owned_ptr_or_err(py, text)?
            };
            Ok(text.cast_into::<PyString>()?)
        })
    }

    /// The bytes of one token; `KeyError` on an id that no token has.
    fn decode_single_token_bytes<'py>(&self, token: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let id = ids::read_one(token)?;
        let bytes = self.tokenizer.token_bytes(id).ok_or_else(|| unknown(id))?;
        Ok(PyBytes::new(token.py(), bytes))
    }

    /// The bytes of each token; `KeyError` on an id that no token has.
    fn decode_tokens_bytes<'py>(&self, tokens: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let bytes = tokens.try_iter()?.map(|token| self.decode_single_token_bytes(&token?));
        PyList::new(tokens.py(), bytes.collect::<PyResult<Vec<_>>>()?)
    }

    /// Text of `tokens`, and where in it each token starts, in characters. A token that begins inside a
    /// character starts where that does. `UnicodeDecodeError` if the bytes are not UTF-8.
    fn decode_with_offsets<'py>(
        &self,
        tokens: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyString>, Vec<usize>)> {
        let mut ids = Vec::new();
        ids::read(tokens, &mut ids)?;
        let offsets = self.tokenizer.character_offsets(&ids).map_err(unknown)?;
        Ok((self.decode(tokens, "strict")?, offsets))
    }

    /// The bytes of every token but the control tokens, in the order of the bytes.
    fn token_byte_values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let vocabulary = Vocabulary::get();
        let bytes = unstable::by_bytes().iter().map(|&id| PyBytes::new(py, vocabulary.token(id)));
        PyList::new(py, bytes.collect::<Vec<_>>())
    }
}

impl Core {
    fn policy<'py>(
        &self,
        text: &Bound<'py, PyString>,
        allowed: Argument<'py>,
        disallowed: Argument<'py>,
    ) -> PyResult<Policy> {
        Special::new(allowed, disallowed)?.policy(&self.tokenizer.special, std::slice::from_ref(text))
    }

    fn encode_into<'py>(
        &self,
        text: &Bound<'py, PyString>,
        allowed: Argument<'py>,
        disallowed: Argument<'py>,
        ids: &mut Vec<u32>,
    ) -> PyResult<()> {
        let chosen;
        let policy = if allowed.is_absent() && disallowed.is_absent() {
            &Policy::DEFAULT
        } else {
            chosen = self.policy(text, allowed, disallowed)?;
            &chosen
        };
        self.encode_text(text, policy, ids)
    }

    fn encode_text(&self, text: &Bound<'_, PyString>, policy: &Policy, ids: &mut Vec<u32>) -> PyResult<()> {
        text::with_text(text, |text, scratch| self.tokenizer.encode(text, policy, scratch, ids))?
            .map_err(|refusal| refused(text.py(), &refusal))
    }

    fn encode_texts<'py>(
        &self,
        py: Python<'py>,
        texts: &[Bound<'py, PyString>],
        policy: &Policy,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let threads = match num_threads {
            Some(0) => return Err(PyValueError::new_err("num_threads is at least 1")),
            Some(number) => number,
            None => thread::available_parallelism().map_or(1, NonZero::get),
        };
        let units = texts.iter().map(text::of).collect::<PyResult<Vec<Text>>>()?;
        let lists = PyList::empty(py).unbind();
        let take = |batch: &Batch| {
            Python::attach(|py| {
                let _pause = ids::CollectorPause::new(py);
                batch.for_each(|slices| lists.bind(py).append(ids::list(py, slices)?))
            })
        };
        py.detach(|| threads::encode(&self.tokenizer, &units, policy, threads, take))?;
        Ok(lists.into_bound(py))
    }

    /// Calls `take` with the bytes of `tokens`.
    fn with_decoded<'py, T>(
        &self,
        tokens: &Bound<'py, PyAny>,
        take: impl FnOnce(&[u8]) -> PyResult<T>,
    ) -> PyResult<T> {
        thread_local!(static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
        ids::with_scratch(|ids| {
            ids::read(tokens, ids)?;
            let mut bytes = SCRATCH.take();
            bytes.clear();
            let mut decode = || self.tokenizer.decode(ids, &mut bytes);
            let decoded =
                if ids.len() > text::WORTH_DETACHING { tokens.py().detach(decode) } else { decode() };
            let taken = decoded.map_err(unknown).and_then(|()| take(&bytes));
            bytes.clear();
            bytes.shrink_to(text::KEPT);
            SCRATCH.set(bytes);
            taken
        })
    }
}

impl From<Refused> for PyErr {
    fn from(refusal: Refused) -> Self {
        Python::attach(|py| refused(py, &refusal))
    }
}

fn refused(py: Python<'_>, Refused(name): &Refused) -> PyErr {
    policy::refused(&PyString::new(py, name).into_any())
}

fn unknown(id: u32) -> PyErr {
    PyKeyError::new_err(format!("Invalid token for decoding: {id}"))
}

/// The texts of a batch: any iterable of `str`.
fn strings<'py>(texts: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    texts.try_iter()?.map(|text| Ok(text?.cast_into::<PyString>()?)).collect()
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
    use super::{
        Core, IncrementalEncoder, class_ranges, kernel_implementations, kernel_int8_linear, kernel_linear,
        kernel_moe, kernel_mxfp4_linear, vocabulary,
    };
}
