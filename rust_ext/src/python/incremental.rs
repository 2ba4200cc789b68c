//! `IncrementalEncoder`: encoding text that only grows.

use super::{Core, ids, text};
use crate::{incremental::Incremental, utf8::Transcoder};
use pyo3::{
    prelude::*,
    types::{PyList, PyString},
};

/// Ids of a text that only grows. However it is cut into chunks, all the ids together are those that
/// `encode_ordinary` gives for the whole.
#[pyclass(module = "harmony_py._rust")]
pub struct IncrementalEncoder {
    core: Py<Core>,
    incremental: Incremental,
    /// A chunk may end between the two surrogates of a character.
    transcoder: Transcoder,
}

#[pymethods]
impl IncrementalEncoder {
    #[new]
    fn new(core: Py<Core>) -> Self {
        Self { core, incremental: Incremental::default(), transcoder: Transcoder::default() }
    }

    /// Adds `text`, and returns the ids that nothing that follows can change any more.
    fn feed<'py>(&mut self, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        let py = text.py();
        let text = text::of(text)?;
        let tokenizer = &self.core.get().tokenizer;
        let (incremental, transcoder) = (&mut self.incremental, &mut self.transcoder);
        ids::with_scratch(|ids| {
            let mut feed = || incremental.feed(tokenizer, |pending| transcoder.push_text(text, pending), ids);
            if text.len() > text::WORTH_DETACHING {
                py.detach(feed)
            } else {
                feed()
            }
            ids::list(py, &[ids])
        })
    }

    /// The text ends here: returns the remaining ids, and can be used for another text.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let tokenizer = &self.core.get().tokenizer;
        let (incremental, transcoder) = (&mut self.incremental, &mut self.transcoder);
        ids::with_scratch(|ids| {
            py.detach(|| {
                incremental.feed(tokenizer, |pending| transcoder.finish(pending), ids);
                incremental.finish(tokenizer, ids);
            });
            ids::list(py, &[ids])
        })
    }
}
