//! Python's `str` seen from Rust, without a copy where it is ASCII.

use crate::utf8::{Text, Units};
use pyo3::{
    prelude::*,
    types::{PyString, PyStringMethods, string::PyStringData},
};
use std::cell::Cell;

/// Letting go of the GIL and taking it back costs as much as encoding some hundred bytes.
pub const WORTH_DETACHING: usize = 1024;
/// Scratch memory kept for the next call, at most, in bytes.
pub const KEPT: usize = 1 << 20;

/// The text of `string`, for as long as that is borrowed.
pub fn of<'a>(string: &'a Bound<'_, PyString>) -> PyResult<Text<'a>> {
    // SAFETY: the supported builds are CPython's on little-endian machines, whose layout of `str` PyO3
    // knows and tests; a `str` never changes, and the borrow keeps it alive.
    Ok(match unsafe { string.data() }? {
        PyStringData::Ucs1(bytes) if bytes.is_ascii() => {
            // SAFETY: ASCII is UTF-8.
            Text::Utf8(unsafe { str::from_utf8_unchecked(bytes) })
        }
        PyStringData::Ucs1(units) => Text::Units(Units::One(units)),
        PyStringData::Ucs2(units) => Text::Units(Units::Two(units)),
        PyStringData::Ucs4(units) => Text::Units(Units::Four(units)),
    })
}

/// Calls `work` with the text of `string` and room for its UTF-8, without the GIL unless the text is short.
pub fn with_text<T: Send>(
    string: &Bound<'_, PyString>,
    work: impl FnOnce(Text, &mut String) -> T + Send,
) -> PyResult<T> {
    let text = of(string)?;
    let whole = || with_string(|scratch| work(text, scratch));
    Ok(if text.len() > WORTH_DETACHING { string.py().detach(whole) } else { whole() })
}

fn with_string<T>(work: impl FnOnce(&mut String) -> T) -> T {
    thread_local!(static SCRATCH: Cell<String> = const { Cell::new(String::new()) });
    SCRATCH.with(|kept| {
        let mut scratch = kept.take();
        let result = work(&mut scratch);
        scratch.shrink_to(KEPT);
        kept.set(scratch);
        result
    })
}
