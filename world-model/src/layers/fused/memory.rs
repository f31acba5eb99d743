//! How the allocator treats the memory of large tensors.

/// Makes the C library keep freed memory for the next tensor instead of handing it back to the system.
///
/// Every operation on the CPU allocates its output. By default glibc maps each large block anew, and the system then
/// clears and maps it page by page: a third of a DiT's forward pass. The price is that the process keeps the memory of
/// its peak. Call it once before the first tensor; on other C libraries it does nothing.
pub fn reuse_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::reuse_freed_memory();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// Free memory at the top of the heap beyond which it is handed back.
    const M_TRIM_THRESHOLD: c_int = -1;
    /// By how much more than asked for the heap grows.
    const M_TOP_PAD: c_int = -2;
    /// Number of blocks that may be mapped by themselves.
    const M_MMAP_MAX: c_int = -4;

    #[expect(
        unsafe_code,
        reason = "the standard library has no binding of the allocator's options"
    )]
    unsafe extern "C" {
        safe fn mallopt(option: c_int, value: c_int) -> c_int;
    }

    pub(super) fn reuse_freed_memory() {
        for (option, value) in [(M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, c_int::MAX), (M_TOP_PAD, 64 << 20)] {
            // A refused option leaves the default, which is slower and nothing else.
            let _ = mallopt(option, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_blocks_are_still_given_and_taken_back() {
        reuse_freed_memory();
        for value in 0..4_u8 {
            let block = vec![value; 40 << 20];
            assert!(block.iter().step_by(4096).all(|&found| found == value));
        }
    }
}
