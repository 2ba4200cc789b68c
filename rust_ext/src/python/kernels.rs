//! The door for tensors: DLPack capsules in, checked here before anything is read.
//!
//! A capsule that came in is used up: what it lends is held until the call is over. Nothing that Python code
//! passes makes a kernel read or write outside of what capsules lend, as long as what made them told the
//! truth, nobody takes the memory away meanwhile, and no file that it maps is cut short.

use crate::kernels::{
    self, BLOCK, BLOCK_BYTES, Bf16, Cells, Chosen, Experts, Implementation, Matrix, Number, Numbers, Plan,
    Weights,
};
use pyo3::{
    exceptions::{PyIndexError, PyTypeError},
    ffi,
    prelude::*,
    types::PyCapsule,
};
use std::{ffi::CStr, ffi::c_void, ops::Range, slice};

use super::policy::HarmonyError;

/// DLPack's `DLTensor`, as its header lays it out.
#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    dimensions: i32,
    kind: Kind,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// DLPack's `DLManagedTensor`.
#[repr(C)]
struct Managed {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

/// DLPack's `DLDataType`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
struct Kind {
    code: u8,
    bits: u8,
    lanes: u16,
}

impl Kind {
    const I64: Self = Self { code: 0, bits: 64, lanes: 1 };
    const I8: Self = Self { code: 0, bits: 8, lanes: 1 };
    const U8: Self = Self { code: 1, bits: 8, lanes: 1 };
    const F32: Self = Self { code: 2, bits: 32, lanes: 1 };
    const BF16: Self = Self { code: 4, bits: 16, lanes: 1 };

    fn name(self) -> String {
        let family = match self.code {
            0 => "int",
            1 => "uint",
            2 => "float",
            4 => "bfloat",
            5 => "complex",
            6 => "bool",
            _ => "kind of number ",
        };
        format!("{family}{}", self.bits)
    }
}

const CPU: i32 = 1;
const NAME: &CStr = c"dltensor";
const USED: &CStr = c"used_dltensor";

/// A tensor that a capsule lent.
pub struct Tensor(*mut Managed);

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: taken from a capsule that is used up, so that nobody else gives it back.
        unsafe {
            if let Some(deleter) = (*self.0).deleter {
                deleter(self.0);
            }
        }
    }
}

impl FromPyObject<'_, '_> for Tensor {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let wanted =
            || PyTypeError::new_err("expected a capsule from torch.utils.dlpack.to_dlpack, used once");
        let capsule = object.cast::<PyCapsule>().map_err(|_| wanted())?.as_ptr();
        // SAFETY: the GIL is held, and the object is a capsule; one of this name holds a `Managed`.
        unsafe {
            if ffi::PyCapsule_IsValid(capsule, NAME.as_ptr()) != 1 {
                return Err(wanted());
            }
            let managed = ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr()).cast::<Managed>();
            if ffi::PyCapsule_SetName(capsule, USED.as_ptr()) != 0 {
                return Err(PyErr::fetch(object.py()));
            }
            Ok(Self(managed))
        }
    }
}

/// A tensor with the name that errors call it by, read as what is asked for.
#[derive(Clone, Copy)]
struct Named<'a>(&'a Tensor, &'static str);

impl<'a> Named<'a> {
    fn tensor(self) -> &'a DlTensor {
        // SAFETY: lent until the `Tensor` is dropped.
        unsafe { &(*self.0.0).tensor }
    }

    fn wrong(self, expected: &str, found: &str) -> PyErr {
        HarmonyError::new_err(format!("{}: expected {expected}, found {found}", self.1))
    }

    fn shape(self) -> &'a [i64] {
        let tensor = self.tensor();
        match tensor.dimensions {
            ..=0 => &[],
            // SAFETY: DLPack says that there are as many.
            dimensions => unsafe { slice::from_raw_parts(tensor.shape, dimensions as usize) },
        }
    }

    /// The shape, which has as many dimensions as are asked for, none of them empty.
    fn dimensions<const N: usize>(self) -> PyResult<[usize; N]> {
        let shape = self.shape();
        let sizes = shape.iter().filter_map(|&size| usize::try_from(size).ok().filter(|&size| size > 0));
        let sizes: Vec<usize> = sizes.collect();
        sizes
            .try_into()
            .map_err(|_| self.wrong(&format!("{N} dimensions, none empty"), &format!("{shape:?}")))
    }

    /// Where the numbers are and how many, if they have this kind and shape and lie side by side.
    fn place<T>(self, kind: Kind, shape: &[usize]) -> PyResult<(*mut T, usize)> {
        let tensor = self.tensor();
        if tensor.device_type != CPU {
            return Err(self.wrong("a tensor on the CPU", &format!("device type {}", tensor.device_type)));
        }
        if tensor.kind != kind {
            return Err(self.wrong(&kind.name(), &tensor.kind.name()));
        }
        let found = self.shape();
        if !found.iter().copied().eq(shape.iter().map(|&size| size as i64)) {
            return Err(self.wrong(&format!("shape {shape:?}"), &format!("{found:?}")));
        }
        if !tensor.strides.is_null() {
            // SAFETY: DLPack says that there are as many as there are sizes.
            let strides = unsafe { slice::from_raw_parts(tensor.strides, found.len()) };
            let mut stride = 1;
            for (&size, &found) in found.iter().zip(strides).rev() {
                if size != 1 && found != stride {
                    return Err(self.wrong("a contiguous tensor", &format!("strides {strides:?}")));
                }
                stride *= size;
            }
        }
        let data = tensor.data.cast::<u8>().wrapping_add(tensor.byte_offset as usize).cast::<T>();
        if data.is_null() || !data.is_aligned() {
            return Err(
                self.wrong(&format!("memory aligned to {} bytes", align_of::<T>()), &format!("{data:p}"))
            );
        }
        Ok((data, shape.iter().product()))
    }

    fn slice<T>(self, kind: Kind, shape: &[usize]) -> PyResult<&'a [T]> {
        let (data, len) = self.place(kind, shape)?;
        // SAFETY: there are as many, of this kind, for as long as the tensor is lent.
        Ok(unsafe { slice::from_raw_parts(data, len) })
    }

    fn bytes(self, shape: &[usize]) -> PyResult<&'a [u8]> {
        self.slice(Kind::U8, shape)
    }

    fn numbers(self, shape: &[usize]) -> PyResult<Numbers<'a>> {
        match self.tensor().kind {
            Kind::F32 => Ok(Numbers::F32(self.slice(Kind::F32, shape)?)),
            Kind::BF16 => Ok(Numbers::Bf16(self.slice(Kind::BF16, shape)?)),
            other => Err(self.wrong("float32 or bfloat16", &other.name())),
        }
    }

    /// The same to write to, of the kind that `like` has.
    ///
    /// # Safety
    ///
    /// For as long as the result is used nothing else refers to that memory.
    unsafe fn cells(self, like: Numbers, shape: &[usize]) -> PyResult<Cells<'a>> {
        match like {
            Numbers::F32(_) => {
                let (data, len) = self.place::<f32>(Kind::F32, shape)?;
                // SAFETY: there are as many, and the caller has the only reference.
                Ok(f32::cells(unsafe { slice::from_raw_parts_mut(data, len) }))
            }
            Numbers::Bf16(_) => {
                let (data, len) = self.place::<Bf16>(Kind::BF16, shape)?;
                // SAFETY: as above.
                Ok(Bf16::cells(unsafe { slice::from_raw_parts_mut(data, len) }))
            }
        }
    }

    /// The addresses of its memory, once its shape and strides were found to be in order.
    fn addresses(self) -> Range<usize> {
        let tensor = self.tensor();
        let start = tensor.data as usize + tensor.byte_offset as usize;
        let numbers: i64 = self.shape().iter().product();
        start..start + numbers as usize * usize::from(tensor.kind.bits / 8)
    }

    fn overlaps(self, other: Self) -> bool {
        let (one, two) = (self.addresses(), other.addresses());
        one.start < two.end && two.start < one.end
    }
}

/// Where results go: of x's kind, and apart from everything that is read.
fn output<'a>(out: Named<'a>, x: Numbers, shape: &[usize], read: &[Named]) -> PyResult<Cells<'a>> {
    // Checks shape and strides before the addresses are compared.
    out.numbers(shape)?;
    if let Some(other) = read.iter().find(|tensor| out.overlaps(**tensor)) {
        return Err(out.wrong("memory of its own", &format!("some of {}'s", other.1)));
    }
    // SAFETY: nothing else that this call uses lies there; of other threads the module's head speaks.
    unsafe { out.cells(x, shape) }
}

/// A matrix of packed rows, or several: of `shape` but for the rows' length, which is as it is found.
fn packed<'a>(blocks: Named<'a>, scales: Named<'a>, rows: &[usize]) -> PyResult<Matrix<'a>> {
    let found = blocks.shape();
    let groups = found.get(rows.len()).and_then(|&groups| usize::try_from(groups).ok()).filter(|&n| n > 0);
    let groups = groups.ok_or_else(|| {
        blocks.wrong(&format!("shape {rows:?} and then [columns / 32, 16]"), &format!("{found:?}"))
    })?;
    let blocks = blocks.bytes(&[rows, &[groups, BLOCK_BYTES]].concat())?;
    let scales = scales.bytes(&[rows, &[groups]].concat())?;
    let weights = Weights::Mxfp4 { blocks, scales };
    Ok(Matrix { rows: rows.iter().product(), columns: groups * BLOCK, weights })
}

fn plan(threads: Option<usize>, implementation: Option<&str>) -> PyResult<Plan> {
    let threads = match threads {
        Some(0) => return Err(HarmonyError::new_err("threads: expected at least 1, found 0")),
        Some(threads) => threads,
        None => kernels::available(),
    };
    let implementation = Implementation::named(implementation).ok_or_else(|| {
        let (name, there) = (implementation.unwrap_or_default(), kernel_implementations().join(", "));
        HarmonyError::new_err(format!("implementation: expected one of {there}, found {name}"))
    })?;
    Ok(Plan { implementation, threads })
}

/// What `x` times `matrix` needs in common, and the call itself.
fn times(
    py: Python<'_>,
    plan: Plan,
    x: Named,
    matrix: Matrix,
    bias: Option<Named>,
    out: Named,
    weights: &[Named],
) -> PyResult<()> {
    let [count, columns] = x.dimensions()?;
    if columns != matrix.columns {
        return Err(x.wrong(&format!("{} columns", matrix.columns), &format!("{columns}")));
    }
    let numbers = x.numbers(&[count, columns])?;
    let bias_numbers = bias.map(|bias| bias.numbers(&[matrix.rows])).transpose()?;
    let read: Vec<Named> = weights.iter().copied().chain([x]).chain(bias).collect();
    let cells = output(out, numbers, &[count, matrix.rows], &read)?;
    py.detach(|| kernels::linear(plan, numbers, matrix, bias_numbers, cells));
    Ok(())
}

/// Writes `x` [m, k] times `weight` [n, k], plus `bias` [n], to `out` [m, n].
///
/// `threads`: at most how many, by default one for each processor. They change no bit of the result.
#[pyfunction]
#[pyo3(signature = (x, weight, bias, out, *, threads=None, implementation=None))]
pub fn kernel_linear(
    py: Python<'_>,
    x: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
    out: Tensor,
    threads: Option<usize>,
    implementation: Option<&str>,
) -> PyResult<()> {
    let weight = Named(&weight, "weight");
    let [rows, columns] = weight.dimensions()?;
    let weights = match weight.numbers(&[rows, columns])? {
        Numbers::F32(values) => Weights::F32(values),
        Numbers::Bf16(values) => Weights::Bf16(values),
    };
    let matrix = Matrix { rows, columns, weights };
    let bias = bias.as_ref().map(|bias| Named(bias, "bias"));
    times(py, plan(threads, implementation)?, Named(&x, "x"), matrix, bias, Named(&out, "out"), &[weight])
}

/// Writes `x` [m, k] times rows in MXFP4 (`blocks` [n, k / 32, 16], `scales` [n, k / 32]), plus `bias` [n],
/// to `out` [m, n].
#[pyfunction]
#[pyo3(signature = (x, blocks, scales, bias, out, *, threads=None, implementation=None))]
#[allow(clippy::too_many_arguments, reason = "the tensors of the operation")]
pub fn kernel_mxfp4_linear(
    py: Python<'_>,
    x: Tensor,
    blocks: Tensor,
    scales: Tensor,
    bias: Option<Tensor>,
    out: Tensor,
    threads: Option<usize>,
    implementation: Option<&str>,
) -> PyResult<()> {
    let (blocks, scales) = (Named(&blocks, "blocks"), Named(&scales, "scales"));
    let [rows, _, _] = blocks.dimensions()?;
    let matrix = packed(blocks, scales, &[rows])?;
    let bias = bias.as_ref().map(|bias| Named(bias, "bias"));
    let weights = [blocks, scales];
    times(py, plan(threads, implementation)?, Named(&x, "x"), matrix, bias, Named(&out, "out"), &weights)
}

/// Writes `x` [m, k] times rows of eight-bit `numbers` [n, k], of which 32 share one of `scales` [n, k / 32],
/// plus `bias` [n], to `out` [m, n].
#[pyfunction]
#[pyo3(signature = (x, numbers, scales, bias, out, *, threads=None, implementation=None))]
#[allow(clippy::too_many_arguments, reason = "the tensors of the operation")]
pub fn kernel_int8_linear(
    py: Python<'_>,
    x: Tensor,
    numbers: Tensor,
    scales: Tensor,
    bias: Option<Tensor>,
    out: Tensor,
    threads: Option<usize>,
    implementation: Option<&str>,
) -> PyResult<()> {
    let (numbers, scales) = (Named(&numbers, "numbers"), Named(&scales, "scales"));
    let [rows, columns] = numbers.dimensions()?;
    if columns % BLOCK != 0 {
        return Err(numbers.wrong(&format!("a multiple of {BLOCK} columns"), &format!("{columns}")));
    }
    let weights = Weights::Int8 {
        numbers: numbers.slice(Kind::I8, &[rows, columns])?,
        scales: scales.slice(Kind::BF16, &[rows, columns / BLOCK])?,
    };
    let matrix = Matrix { rows, columns, weights };
    let bias = bias.as_ref().map(|bias| Named(bias, "bias"));
    let weights = [numbers, scales];
    times(py, plan(threads, implementation)?, Named(&x, "x"), matrix, bias, Named(&out, "out"), &weights)
}

/// Writes to `out` [m, hidden] what the experts that were chosen for each row of `x` [m, hidden] make of it.
///
/// `IndexError` for an expert that there is not.
#[pyfunction]
#[pyo3(signature = (
    x, experts, shares, gate_up_blocks, gate_up_scales, gate_up_bias, down_blocks, down_scales, down_bias,
    limit, out, *, threads=None, implementation=None
))]
#[allow(clippy::too_many_arguments, reason = "the tensors of the operation")]
pub fn kernel_moe(
    py: Python<'_>,
    x: Tensor,
    experts: Tensor,
    shares: Tensor,
    gate_up_blocks: Tensor,
    gate_up_scales: Tensor,
    gate_up_bias: Tensor,
    down_blocks: Tensor,
    down_scales: Tensor,
    down_bias: Tensor,
    limit: f32,
    out: Tensor,
    threads: Option<usize>,
    implementation: Option<&str>,
) -> PyResult<()> {
    let plan = plan(threads, implementation)?;
    let (x, ids, shares) = (Named(&x, "x"), Named(&experts, "experts"), Named(&shares, "shares"));
    let gate_up = [Named(&gate_up_blocks, "gate_up_blocks"), Named(&gate_up_scales, "gate_up_scales")];
    let down = [Named(&down_blocks, "down_blocks"), Named(&down_scales, "down_scales")];
    let gate_up_bias = Named(&gate_up_bias, "gate_up_bias");
    let down_bias = Named(&down_bias, "down_bias");
    let [tokens, hidden] = x.dimensions()?;
    let [_, top] = ids.dimensions()?;
    let [count, rows, _, _] = gate_up[0].dimensions()?;
    if rows % 2 != 0 {
        return Err(gate_up[0].wrong("an even number of rows", &format!("{rows}")));
    }
    let layer = Experts {
        count,
        gate_up: packed(gate_up[0], gate_up[1], &[count, rows])?,
        gate_up_bias: gate_up_bias.numbers(&[count, rows])?,
        down: packed(down[0], down[1], &[count, hidden])?,
        down_bias: down_bias.numbers(&[count, hidden])?,
        limit,
    };
    for (matrix, blocks, columns) in [(layer.gate_up, gate_up[0], hidden), (layer.down, down[0], rows / 2)] {
        if matrix.columns != columns {
            return Err(blocks.wrong(&format!("{columns} columns"), &format!("{}", matrix.columns)));
        }
    }
    let numbers = x.numbers(&[tokens, hidden])?;
    let chosen_experts = indices(ids.slice(Kind::I64, &[tokens, top])?, count, top)?;
    let chosen = Chosen { experts: &chosen_experts, shares: shares.numbers(&[tokens, top])? };
    let read = [x, ids, shares, gate_up[0], gate_up[1], gate_up_bias, down[0], down[1], down_bias];
    let cells = output(Named(&out, "out"), numbers, &[tokens, hidden], &read)?;
    py.detach(|| kernels::moe(plan, numbers, chosen, layer, cells));
    Ok(())
}

/// Copies of the experts' numbers, each of them one that there is.
fn indices(ids: &[i64], count: usize, top: usize) -> PyResult<Vec<usize>> {
    let checked = ids.iter().enumerate().map(|(at, &id)| {
        let index = usize::try_from(id).ok().filter(|&index| index < count);
        index.ok_or_else(|| {
            let (token, slot) = (at / top, at % top);
            PyIndexError::new_err(format!(
                "experts[{token}, {slot}]: expected 0 to {}, found {id}",
                count - 1
            ))
        })
    });
    checked.collect()
}

/// The implementations that this processor can run, the best first.
#[pyfunction]
pub fn kernel_implementations() -> Vec<&'static str> {
    Implementation::all().map(|implementation| implementation.name).collect()
}
