//! The program's allocator: small blocks from lists of their size, the rest from the C library.
//!
//! Compiling makes and drops hundreds of small blocks for each clause, and so does printing a
//! large map. The C library takes some hundred instructions for each, as it joins neighbours
//! and locks; a list of free blocks for each size takes ten. What a size once got stays with
//! it, which is little: a tracer compiles once and then prints the same things again and again.
//!
//! Each thread has its own lists. A block may be freed by another thread than made it and then
//! belongs to that one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Blocks are multiples of this many bytes and aligned to it.
const GRAIN: usize = 16;

/// Larger blocks are the C library's.
const LARGEST: usize = 1024;

/// Sizes in steps of [`GRAIN`] up to this one, then four for each doubling: what is rounded up
/// wastes a fifth at most.
const FINE: usize = 128;

/// How many sizes there are: 8 fine ones, and four for each of 128–256, –512, –1024.
const CLASSES: usize = 20;

/// Bytes that are asked for at once.
const PIECE: usize = 64 << 10;

/// A free block begins with the address of the next one.
struct Lists {
    free: [*mut u8; CLASSES],
    /// What has not been given out of the piece in hand.
    rest: *mut u8,
    left: usize,
}

thread_local! {
    // Constant and without a destructor, so that reaching it needs no registration, which
    // would allocate.
    static LISTS: UnsafeCell<Lists> = const {
        UnsafeCell::new(Lists {
            free: [ptr::null_mut(); CLASSES],
            rest: ptr::null_mut(),
            left: 0,
        })
    };
}

/// See the head of the file.
struct Small;

#[global_allocator]
static SMALL: Small = Small;

/// The class of a size from 1 to [`LARGEST`].
const fn class_of(size: usize) -> usize {
    let size = if size == 0 { 1 } else { size };
    if size <= FINE {
        return (size - 1) / GRAIN;
    }
    // 128 < size <= 1024: which doubling, and which quarter of it.
    let power = (size - 1).ilog2() as usize;
    let quarter = (size - 1) >> (power - 2) & 3;
    FINE / GRAIN + (power - 7) * 4 + quarter
}

/// Bytes of a block of a class.
const fn size_of_class(class: usize) -> usize {
    if class < FINE / GRAIN {
        return (class + 1) * GRAIN;
    }
    let beyond = class - FINE / GRAIN;
    let power = 7 + beyond / 4;
    (1 << power) + ((beyond % 4 + 1) << (power - 2))
}

fn is_small(layout: Layout) -> bool {
    layout.size() <= LARGEST && layout.align() <= GRAIN
}

/// A block of a class; null if the system has no more.
#[inline]
fn take(class: usize) -> *mut u8 {
    LISTS.with(|lists| {
        // SAFETY: the lists are this thread's, and nothing in here calls anything that would
        // come back to them.
        let lists = unsafe { &mut *lists.get() };
        let first = lists.free[class];
        if !first.is_null() {
            // SAFETY: a block in the list is free, at least `GRAIN` bytes and begins with the
            // next one's address.
            lists.free[class] = unsafe { first.cast::<*mut u8>().read() };
            return first;
        }
        let size = size_of_class(class);
        if lists.left < size && !refill(lists) {
            return ptr::null_mut();
        }
        let block = lists.rest;
        // SAFETY: `left` bytes from `rest` belong to the piece, and `size` are no more.
        lists.rest = unsafe { block.add(size) };
        lists.left -= size;
        block
    })
}

/// Takes a new piece into hand; what was left of the last one becomes blocks.
#[cold]
#[inline(never)]
fn refill(lists: &mut Lists) -> bool {
    while lists.left >= GRAIN {
        // The largest size that is no larger than what is left.
        let mut class = class_of(lists.left.min(LARGEST));
        if size_of_class(class) > lists.left {
            class -= 1;
        }
        let size = size_of_class(class);
        let block = lists.rest;
        // SAFETY: `left` bytes from `rest` belong to the piece, and `size` are no more; they
        // are nobody's yet.
        unsafe {
            block.cast::<*mut u8>().write(lists.free[class]);
            lists.rest = block.add(size);
        }
        lists.free[class] = block;
        lists.left -= size;
    }
    // SAFETY: the layout has a size, and its alignment is a power of two.
    let piece = unsafe { System.alloc(Layout::from_size_align_unchecked(PIECE, GRAIN)) };
    if piece.is_null() {
        return false;
    }
    lists.rest = piece;
    lists.left = PIECE;
    true
}

/// Puts a block of a class back.
#[inline]
fn put(block: *mut u8, class: usize) {
    LISTS.with(|lists| {
        // SAFETY: the lists are this thread's; the block is at least `GRAIN` bytes and, as its
        // owner gives it back, nobody else's.
        unsafe {
            let lists = &mut *lists.get();
            block.cast::<*mut u8>().write(lists.free[class]);
            lists.free[class] = block;
        }
    });
}

// SAFETY: blocks come from pieces or from `System`, chosen by the layout alone, which is the
// same when they are given back; sizes of a class are at least what was asked for, and each
// block begins at a multiple of `GRAIN`, since all sizes are multiples of it and pieces begin
// at one.
unsafe impl GlobalAlloc for Small {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) {
            take(class_of(layout.size()))
        } else {
            // SAFETY: the caller's promises are `System`'s.
            unsafe { System.alloc(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_small(layout) {
            put(block, class_of(layout.size()));
        } else {
            // SAFETY: a block of this layout came from `System`.
            unsafe { System.dealloc(block, layout) }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_small(layout) {
            // SAFETY: the caller's promises are `System`'s.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let block = take(class_of(layout.size()));
        if !block.is_null() {
            // SAFETY: the block has at least this many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, is a size.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_small(layout), is_small(new)) {
            // SAFETY: the block came from `System`, which is to have the new one as well.
            (false, false) => return unsafe { System.realloc(block, layout, size) },
            (true, true) if class_of(layout.size()) == class_of(size) => return block,
            _ => {}
        }
        // SAFETY: `new` is a layout; both blocks have at least the bytes that are copied, and
        // they do not overlap, as the old one has not been given back.
        unsafe {
            let to = self.alloc(new);
            if !to.is_null() {
                ptr::copy_nonoverlapping(block, to, layout.size().min(size));
                self.dealloc(block, layout);
            }
            to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_asked_for_and_waste_little() {
        for size in 1..=LARGEST {
            let class = class_of(size);
            let got = size_of_class(class);
            assert!(
                class < CLASSES && got >= size && got.is_multiple_of(GRAIN),
                "{size}"
            );
            assert!(got - size < GRAIN.max(got / 5 + 1), "{size} in {got}");
            assert!(class == 0 || size_of_class(class - 1) < size, "{size}");
        }
    }

    #[test]
    fn blocks_keep_their_bytes_as_they_grow_and_shrink() {
        let mut all: Vec<Vec<u8>> = (0..500).map(|n| vec![n as u8; n * 7 % 1500]).collect();
        for round in 0..20usize {
            for (n, block) in all.iter_mut().enumerate() {
                assert!(block.iter().all(|byte| *byte == n as u8));
                block.resize((n * 31 + round * 97) % 1500, n as u8);
                block.shrink_to_fit();
            }
        }
    }

    #[test]
    fn blocks_cross_threads() {
        let made = std::thread::spawn(|| (0..1000).map(|n| vec![n; 9]).collect::<Vec<_>>());
        let made = made.join().expect("it ends");
        assert!(made.iter().enumerate().all(|(n, block)| block == &[n; 9]));
        drop(made);
        let again: Vec<Box<[u64; 9]>> = (0..1000).map(|n| Box::new([n; 9])).collect();
        assert!((0..).zip(&again).all(|(n, block)| **block == [n; 9]));
    }
}
