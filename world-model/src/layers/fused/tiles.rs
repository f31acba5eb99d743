//! The tile registers of x86-64 (AMX): they multiply bfloat16 factors and add up in float32.
//!
//! The compiler offers no stable functions for them, hence the assembly. Everything unsafe of the products is here,
//! behind checked lengths.

#![expect(unsafe_code, reason = "there are no stable functions for these instructions")]

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::ffi::c_long;
use std::sync::OnceLock;

/// Rows of a tile, and columns of a tile of sums.
pub(super) const EDGE: usize = 16;
/// Factors that a tile holds along the axis that is summed over.
pub(super) const DEPTH: usize = 32;
/// Values in a tile of factors.
pub(super) const TILE: usize = EDGE * DEPTH;

/// Bytes in a row of a tile.
const ROW_BYTES: u16 = 64;
/// Registers that [`Tiles::multiply`] uses: all.
const REGISTERS: usize = 8;

/// The tile registers of the current thread, free again when this is dropped.
///
/// It cannot go to another thread: the registers are those of the thread that made it.
#[derive(Debug)]
pub(super) struct Tiles(std::marker::PhantomData<*const ()>);

/// What the `ldtilecfg` instruction reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// Tells whether the machine has the registers and the system lets this process use them.
    pub(super) fn exist() -> bool {
        static USABLE: OnceLock<bool> = OnceLock::new();
        *USABLE.get_or_init(|| are_built_in() && are_granted())
    }

    /// Takes the registers, if they exist.
    pub(super) fn new() -> Option<Self> {
        if !Self::exist() {
            return None;
        }
        let mut configuration = Configuration {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        configuration.row_bytes[..REGISTERS].fill(ROW_BYTES);
        configuration.rows[..REGISTERS].fill(EDGE as u8);
        // SAFETY: the registers exist and are granted; the configuration is one that palette 1 allows.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
        Some(Self(std::marker::PhantomData))
    }

    /// Multiplies two rows of tiles by two columns of tiles: `sums = left × right`, 32 × 32.
    ///
    /// # Shapes
    /// - `left`: `[tiles, 16 rows, 32]`
    /// - `right`: `[tiles, 16 pairs, 16 columns, 2 of a pair]`
    /// - `sums`: 32 rows of 32, `stride` values from one to the next
    ///
    /// # Panics
    /// If the panels are empty or differ in length, or the sums do not hold 32 rows.
    #[inline]
    pub(super) fn multiply(&self, left: [&[u16]; 2], right: [&[u16]; 2], sums: &mut [f32], stride: usize) {
        let depth = left[0].len() / TILE;
        assert!(depth > 0, "an empty product");
        assert!(
            left.iter().chain(&right).all(|panel| panel.len() == depth * TILE),
            "panels of different lengths"
        );
        let edge = 2 * EDGE;
        assert!(
            stride >= edge && sums.len() >= (edge - 1) * stride + edge,
            "too few sums"
        );
        let start = sums.as_mut_ptr();
        // SAFETY: the panels hold `depth` tiles each and the sums 32 rows, as asserted; the registers are configured.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{upper} + {row}*1]",
                "tileloadd tmm6, [{first} + {row}*1]",
                "tileloadd tmm5, [{lower} + {row}*1]",
                "tileloadd tmm7, [{second} + {row}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {upper}, {tile}",
                "add {lower}, {tile}",
                "add {first}, {tile}",
                "add {second}, {tile}",
                "dec {depth}",
                "jnz 2b",
                "tilestored [{sums} + {stride}*1], tmm0",
                "tilestored [{sums} + {stride}*1 + 64], tmm1",
                "tilestored [{lower_sums} + {stride}*1], tmm2",
                "tilestored [{lower_sums} + {stride}*1 + 64], tmm3",
                upper = inout(reg) left[0].as_ptr() => _,
                lower = inout(reg) left[1].as_ptr() => _,
                first = inout(reg) right[0].as_ptr() => _,
                second = inout(reg) right[1].as_ptr() => _,
                depth = inout(reg) depth => _,
                row = in(reg) usize::from(ROW_BYTES),
                tile = const TILE * size_of::<u16>(),
                stride = in(reg) stride * size_of::<f32>(),
                sums = in(reg) start,
                lower_sums = in(reg) start.add(EDGE * stride),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack)
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: this thread configured the registers.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Tells whether the machine has tile registers that multiply bfloat16.
fn are_built_in() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    let has_leaf = __cpuid(0).eax >= 7;
    let features = if has_leaf { __cpuid_count(7, 0).edx } else { 0 };
    features & AMX_BF16 != 0 && features & AMX_TILE != 0
}

/// Asks Linux for the registers: it saves them between threads only for processes that asked.
fn are_granted() -> bool {
    const ARCH_PRCTL: c_long = 158;
    const ARCH_REQ_XCOMP_PERM: c_long = 0x1023;
    const XFEATURE_XTILEDATA: c_long = 18;
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }
    // SAFETY: the request touches no memory of this process; a kernel that does not know it says so.
    unsafe { syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}
