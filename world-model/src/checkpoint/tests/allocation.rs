//! How much memory the tests' own thread holds at most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with the bytes that each thread holds counted.
struct Counting;

fn count(change: isize) {
    // A thread that is ending has no counters left; nobody asks for them either.
    let _ended = HELD.try_with(|held| {
        held.set(held.get() + change);
        PEAK.try_with(|peak| peak.set(peak.get().max(held.get())))
    });
}

#[expect(
    unsafe_code,
    reason = "the trait is unsafe; every call is handed on to the system's allocator unchanged"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs something and returns its result with the most bytes that this thread held meanwhile, beside those before.
pub(super) fn peak_of<R>(run: impl FnOnce() -> R) -> (R, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = run();
    (result, (PEAK.get() - before).max(0) as usize)
}

#[test]
fn what_is_freed_still_counts_for_the_peak() {
    let (len, peak) = peak_of(|| vec![0u8; 1 << 20].len() + vec![0u8; 1 << 10].len());
    assert_eq!(len, (1 << 20) + (1 << 10));
    assert!((1 << 20..(1 << 20) + 4096).contains(&peak), "{peak}");
}
