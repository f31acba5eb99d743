//! The memory this process has taken.

use std::fs;

/// Forgets the highest memory use so far, where the system allows it (Linux).
pub(super) fn reset_peak() {
    // Without it the peak is that of the whole process so far, which is no worse than not knowing.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Returns the highest resident memory in MiB since the last reset, 0 where the system does not tell.
pub(super) fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<f64>()
            .ok()
    });
    peak.map_or(0.0, |kib| (kib / 102.4).round() / 10.0)
}
