//! Token ids across the boundary: lists of Python's ints in and out, and a buffer for numpy.

use pyo3::{
    buffer::{Element, PyUntypedBuffer},
    exceptions::{PyBufferError, PyOverflowError, PyTypeError},
    ffi,
    prelude::*,
    types::{PyInt, PyList, PySequence, PyString, PyTuple},
};
use std::{
    cell::Cell,
    ffi::{c_int, c_void},
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

/// Ids below this share one Python int each. One past the models' last id.
const SHARED: usize = 201_089;
/// Scratch memory kept for the next call, at most, in ids.
const KEPT: usize = 1 << 18;

/// The Python int of each id that has been given out, made at first use and kept for good: at most 8 MB.
/// Handing one out again costs a reference count; making it anew would cost ten times as much.
static INTS: [AtomicPtr<ffi::PyObject>; SHARED] = [const { AtomicPtr::new(ptr::null_mut()) }; SHARED];

/// A new reference to the Python int `id`, or null with a Python error set.
#[inline(always)]
fn new_int(_py: Python<'_>, id: u32) -> *mut ffi::PyObject {
    let Some(slot) = INTS.get(id as usize) else {
        // SAFETY: `_py` shows that the GIL is held.
        return unsafe { ffi::PyLong_FromUnsignedLong(id.into()) };
    };
    let mut int = slot.load(Ordering::Relaxed);
    if int.is_null() {
        // SAFETY: as above.
        int = unsafe { ffi::PyLong_FromUnsignedLong(id.into()) };
        // The GIL is held, so no other thread fills the slot meanwhile. The slot owns this reference.
        slot.store(int, Ordering::Relaxed);
    }
    // SAFETY: an int from the table is alive, since the table holds a reference that is never given up;
    // if making one failed, `int` is null, which `Py_XINCREF` lets pass.
    unsafe { ffi::Py_XINCREF(int) };
    int
}

/// A list of the ids of `slices` in a row.
pub fn list<'py>(py: Python<'py>, slices: &[&[u32]]) -> PyResult<Bound<'py, PyList>> {
    let len = slices.iter().map(|ids| ids.len()).sum::<usize>();
    // SAFETY: the GIL is held. The list is new and seen by nobody else, its `len` slots are null, and each
    // is filled once, in bounds, with a reference that it takes over. No Python code runs meanwhile: ints
    // are not garbage collected objects. If one cannot be made, the rest of the slots stays null, which
    // the list's destructor allows.
    unsafe {
        let list = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(len as ffi::Py_ssize_t))?;
        for (at, &id) in slices.iter().copied().flatten().enumerate() {
            let int = new_int(py, id);
            if int.is_null() {
                return Err(PyErr::fetch(py));
            }
            ffi::PyList_SET_ITEM(list.as_ptr(), at as ffi::Py_ssize_t, int);
        }
        Ok(list.cast_into_unchecked())
    }
}

/// While it lives, Python's garbage collector does not run.
///
/// Making many lists would make it look through each of them several times, for references that ints do
/// not have: a tenth of the time that a batch takes.
pub struct CollectorPause {
    was_on: bool,
}

impl CollectorPause {
    pub fn new(_py: Python<'_>) -> Self {
        // SAFETY: `_py` shows that the GIL is held.
        Self { was_on: unsafe { ffi::PyGC_Disable() } == 1 }
    }
}

impl Drop for CollectorPause {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: made by a thread that holds the GIL, and dropped before that thread lets go of it.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

/// Calls `work` with an empty vector that keeps its memory from call to call.
pub fn with_scratch<T>(work: impl FnOnce(&mut Vec<u32>) -> T) -> T {
    thread_local!(static SCRATCH: Cell<Vec<u32>> = const { Cell::new(Vec::new()) });
    SCRATCH.with(|kept| {
        let mut ids = kept.take();
        ids.clear();
        let result = work(&mut ids);
        ids.clear();
        ids.shrink_to(KEPT);
        kept.set(ids);
        result
    })
}

/// Appends the ids of a list, a tuple, an array of integers or any other sequence.
pub fn read(ids: &Bound<'_, PyAny>, out: &mut Vec<u32>) -> PyResult<()> {
    if let Ok(list) = ids.cast::<PyList>() {
        out.reserve(list.len());
        // By index, and the length asked anew each time: reading an item may run code that changes the list.
        let mut at = 0;
        while at < list.len() {
            // SAFETY: the GIL is held and `at` is in bounds.
            out.push(read_one(&unsafe { list.get_item_unchecked(at) })?);
            at += 1;
        }
        return Ok(());
    }
    if let Ok(tuple) = ids.cast::<PyTuple>() {
        out.reserve(tuple.len());
        for id in tuple.iter_borrowed() {
            out.push(read_one(&id)?);
        }
        return Ok(());
    }
    // SAFETY: the GIL is held; any object may be asked.
    if unsafe { ffi::PyObject_CheckBuffer(ids.as_ptr()) } != 0 {
        return read_buffer(ids, out);
    }
    if ids.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("token ids are integers, not a str"));
    }
    for id in ids.cast::<PySequence>()?.try_iter()? {
        out.push(read_one(&id?)?);
    }
    Ok(())
}

/// One id. `OverflowError` unless it fits 32 bits without a sign.
#[inline(always)]
pub fn read_one(id: &Bound<'_, PyAny>) -> PyResult<u32> {
    if id.is_exact_instance_of::<PyInt>() {
        // SAFETY: the GIL is held and the object is an int, so that no other code runs. On overflow the
        // result is -1, which is out of range, and an error is set that the slow way sets again.
        let value = unsafe { ffi::PyLong_AsLong(id.as_ptr()) };
        if let Ok(id) = u32::try_from(value) {
            return Ok(id);
        }
        drop(PyErr::take(id.py()));
    }
    read_unusual(id)
}

#[cold]
fn read_unusual(id: &Bound<'_, PyAny>) -> PyResult<u32> {
    id.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(id.py()) {
            PyOverflowError::new_err(format!(
                "no token has the id {id}: it does not fit 32 bits without a sign"
            ))
        } else {
            error
        }
    })
}

fn read_buffer(ids: &Bound<'_, PyAny>, out: &mut Vec<u32>) -> PyResult<()> {
    let buffer = PyUntypedBuffer::get(ids)?;
    if buffer.dimensions() != 1 {
        let found = buffer.dimensions();
        return Err(PyTypeError::new_err(format!("token ids come in one dimension, not in {found}")));
    }
    let py = ids.py();
    let known = append::<u32>(py, &buffer, out)
        .or_else(|| append::<i64>(py, &buffer, out))
        .or_else(|| append::<i32>(py, &buffer, out))
        .or_else(|| append::<u64>(py, &buffer, out))
        .or_else(|| append::<u16>(py, &buffer, out))
        .or_else(|| append::<i16>(py, &buffer, out))
        .or_else(|| append::<u8>(py, &buffer, out))
        .or_else(|| append::<i8>(py, &buffer, out));
    known.unwrap_or_else(|| {
        let found = buffer.format().to_string_lossy();
        Err(PyTypeError::new_err(format!("token ids are integers, not an array of format {found:?}")))
    })
}

/// Appends the buffer's items if they are of type `T`.
fn append<T>(py: Python<'_>, buffer: &PyUntypedBuffer, out: &mut Vec<u32>) -> Option<PyResult<()>>
where
    T: Element + TryInto<u32> + std::fmt::Display + Copy,
{
    let items = buffer.as_typed::<T>().ok()?.to_vec(py);
    Some(items.and_then(|items| {
        for item in items {
            out.push(item.try_into().map_err(|_| {
                PyOverflowError::new_err(format!(
                    "no token has the id {item}: ids fit 32 bits without a sign"
                ))
            })?);
        }
        Ok(())
    }))
}

/// Ids in Rust's memory, which a `memoryview` shows without a copy.
#[pyclass(frozen, module = "harmony_py._rust")]
pub struct TokenBuffer {
    ids: Vec<u32>,
    /// Of the one dimension. Buffers that are handed out point here.
    len: ffi::Py_ssize_t,
    stride: ffi::Py_ssize_t,
}

impl TokenBuffer {
    pub fn new(mut ids: Vec<u32>) -> Self {
        ids.shrink_to_fit();
        Self { len: ids.len() as ffi::Py_ssize_t, stride: size_of::<u32>() as ffi::Py_ssize_t, ids }
    }
}

#[pymethods]
impl TokenBuffer {
    /// # Safety
    /// Python calls this, with a `view` to fill.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if flags & ffi::PyBUF_WRITABLE != 0 {
            return Err(PyBufferError::new_err("token buffers are read-only"));
        }
        let asked = |flag: c_int| flags & flag == flag;
        let buffer = slf.get();
        // SAFETY: `view` is valid. What it is made to point at is static or lies in this frozen object,
        // which does not move and which `obj` keeps alive; readers of a read-only view do not write.
        unsafe {
            (*view).buf = buffer.ids.as_ptr() as *mut c_void;
            (*view).len = buffer.len * buffer.stride;
            (*view).readonly = 1;
            (*view).itemsize = buffer.stride;
            (*view).format =
                if asked(ffi::PyBUF_FORMAT) { c"I".as_ptr().cast_mut() } else { ptr::null_mut() };
            (*view).ndim = 1;
            (*view).shape =
                if asked(ffi::PyBUF_ND) { (&raw const buffer.len).cast_mut() } else { ptr::null_mut() };
            (*view).strides = if asked(ffi::PyBUF_STRIDES) {
                (&raw const buffer.stride).cast_mut()
            } else {
                ptr::null_mut()
            };
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.into_ptr();
        }
        Ok(())
    }
}
