//! Large tables that are read at random: kept in huge pages where the system has them, since with small
//! ones most reads would miss the processor's page cache first.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};

const HUGE_PAGE: usize = 2 << 20;

/// Plain values of which all bytes may be zero.
///
/// # Safety
/// A value whose bytes are all zero must be a valid one.
pub unsafe trait Zero: Copy {}

// SAFETY: the number 0.
unsafe impl Zero for u32 {}

/// A boxed slice, zeroed at first. What is not written to takes no memory.
pub struct Table<T: Zero> {
    block: NonNull<u8>,
    layout: Layout,
    start: NonNull<T>,
    length: usize,
}

impl<T: Zero> Table<T> {
    pub fn new(length: usize) -> Self {
        let layout = Layout::array::<T>(length).expect("tables are far smaller than memory");
        assert!(layout.size() > 0, "a table has a size");
        // Asked for with room to align it ourselves: an aligned request would be zeroed by writing to it.
        let alignment = if layout.size() >= HUGE_PAGE { HUGE_PAGE } else { layout.align() };
        let room = Layout::from_size_align(layout.size() + alignment, 16).expect("no larger than memory");
        // SAFETY: the size is not zero.
        let block = unsafe { alloc_zeroed(room) };
        let Some(block) = NonNull::new(block) else { handle_alloc_error(room) };
        // SAFETY: an aligned address is less than `alignment` bytes further on, and that much is room.
        let start = unsafe { block.add(block.align_offset(alignment)) };
        if layout.size() >= HUGE_PAGE {
            // Before the first touch, which decides what kind of page there will be.
            advise_huge_pages(start, layout.size());
        }
        Self { block, layout: room, start: start.cast(), length }
    }
}

#[cfg(target_os = "linux")]
fn advise_huge_pages(start: NonNull<u8>, bytes: usize) {
    // SAFETY: advice about memory just allocated; it changes no content. Whether it is taken is no matter.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_start: NonNull<u8>, _bytes: usize) {}

impl<T: Zero> Deref for Table<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` has made room for `length` values behind `start`, valid as zeros; nothing else owns it.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Zero> DerefMut for Table<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T: Zero> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; the values, being `Copy`, have no destructors.
        unsafe { dealloc(self.block.as_ptr(), self.layout) };
    }
}

// SAFETY: a table owns its values as a boxed slice does.
unsafe impl<T: Zero + Send> Send for Table<T> {}
// SAFETY: as above; shared references give shared access only.
unsafe impl<T: Zero + Sync> Sync for Table<T> {}

/// Calls `put` with each of `items`, and `ask` with those of a whole group before: time for what `put` will
/// touch to reach the cache.
pub fn in_groups<S, T>(
    state: &mut S,
    mut items: impl Iterator<Item = T>,
    ask: impl Fn(&S, &T),
    put: impl Fn(&mut S, T),
) {
    const GROUP: usize = 32;
    let mut group = Vec::with_capacity(GROUP);
    loop {
        group.extend(items.by_ref().take(GROUP));
        if group.is_empty() {
            return;
        }
        group.iter().for_each(|item| ask(state, item));
        group.drain(..).for_each(|item| put(state, item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_zeros_and_what_was_put_in() {
        for length in [1, 1000, HUGE_PAGE / 4 - 1, HUGE_PAGE] {
            let mut table = Table::<u32>::new(length);
            assert_eq!((table.len(), table.iter().max()), (length, Some(&0)));
            table[length - 1] = 8;
            table[0] += 1;
            assert_eq!(table.iter().sum::<u32>(), 9);
            assert!(table.as_ptr().is_aligned());
        }
    }
}
