//! Figures on the terminal.

use worldloop::evaluation::SuccessRate;
use worldloop::evaluation::report::Summary;

/// Prints what an evaluation brought.
pub(crate) fn print_summary(summary: &Summary) {
    if !summary.policies.is_empty() {
        println!("{:<14} {:>22} {:>22}", summary.task, "learned", "physics");
        for row in &summary.policies {
            println!(
                "{:<14} {:>22} {:>22}",
                row.policy,
                rate(row.learned.as_ref()),
                rate(row.physics.as_ref())
            );
        }
    }
    if let Some(mmrv) = summary.mmrv {
        let r = summary
            .pearson_r
            .map_or_else(|| "not defined".to_owned(), |r| format!("{r:.3}"));
        println!("agreement      Pearson r {r}, MMRV {mmrv:.3}");
    }
    if let Some(fidelity) = &summary.fidelity {
        println!(
            "{} recorded episodes of {}",
            fidelity.episodes,
            summary.fidelity_tasks.join(", ")
        );
        println!(
            "{:<14} {:>12} {:>12} {:>8}",
            "fidelity", "world model", "still frame", "frames"
        );
        for chunk in fidelity.chunks.iter().filter(|chunk| chunk.frames > 0) {
            let name = format!("chunk {}", chunk.chunk);
            println!(
                "{name:<14} {:>9.2} dB {:>9.2} dB {:>8}",
                chunk.psnr, chunk.baseline_psnr, chunk.frames
            );
        }
        if let Some(gain) = fidelity.gain_moving_db {
            println!("gain over the still frame on moving pixels, chunk 1: {gain:.2} dB");
        }
        if let Some(ratio) = fidelity.shuffled_error_ratio {
            println!("error with another episode's actions over the error with its own: {ratio:.2}");
        }
    }
}

fn rate(rate: Option<&SuccessRate>) -> String {
    rate.map_or_else(String::new, |rate| {
        let percent = |share: f64| (100.0 * share).round() as i64;
        let interval = format!("[{}-{} %]", percent(rate.interval.low), percent(rate.interval.high));
        format!("{:>3}/{:<3} {interval:>12}", rate.successes, rate.episodes)
    })
}

/// Writes a size in the largest decimal unit that leaves a whole number before the point.
pub(crate) fn bytes_text(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.2} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}
