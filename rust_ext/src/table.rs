//! Large tables that are read at random: kept in huge pages where the system has them, since with small
//! ones most reads would miss the processor's page cache first.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};

const HUGE_PAGE: usize = 2 << 20;

/// A boxed slice of plain values, aligned to huge pages if it is at least one long.
pub struct Table<T: Copy> {
    start: NonNull<T>,
    length: usize,
}

impl<T: Copy> Table<T> {
    /// `length` times `value`.
    pub fn new(value: T, length: usize) -> Self {
        let layout = Self::layout(length);
        assert!(layout.size() > 0, "a table has a size");
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc(layout) }.cast::<T>();
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        if layout.size() >= HUGE_PAGE {
            // Before the first touch, which decides what kind of page there will be.
            advise_huge_pages(start.as_ptr().cast(), layout.size());
        }
        for i in 0..length {
            // SAFETY: `i` is within the `length` values allocated above.
            unsafe { start.add(i).write(value) };
        }
        Self { start, length }
    }

    fn layout(length: usize) -> Layout {
        let layout = Layout::array::<T>(length).expect("tables are far smaller than memory");
        let align = if layout.size() >= HUGE_PAGE { HUGE_PAGE } else { layout.align() };
        layout.align_to(align).expect("a power of two")
    }
}

#[cfg(target_os = "linux")]
fn advise_huge_pages(start: *mut libc::c_void, bytes: usize) {
    // SAFETY: advice about memory just allocated; it changes no content. Whether it is taken is no matter.
    unsafe { libc::madvise(start, bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages<T>(_start: *mut T, _bytes: usize) {}

impl<T: Copy> Deref for Table<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` has written `length` values behind `start`, which nothing else owns.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Copy> DerefMut for Table<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T: Copy> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; `T: Copy` has no destructor to run.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.length)) };
    }
}

// SAFETY: a table owns its values as a boxed slice does.
unsafe impl<T: Copy + Send> Send for Table<T> {}
// SAFETY: as above; shared references give shared access only.
unsafe impl<T: Copy + Sync> Sync for Table<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        for length in [1, 1000, HUGE_PAGE / 8, HUGE_PAGE] {
            let mut table = Table::new(7u64, length);
            assert!(table.iter().all(|&value| value == 7));
            assert_eq!(table.len(), length);
            table[length - 1] = 8;
            assert_eq!(table.last(), Some(&8));
        }
    }
}
