//! Findings for people.

use worldloop::world_model::checkpoint::{CheckpointSource, LoadReport, TensorStatistics};

use super::{Findings, Statistics, description};
use crate::table::bytes_text;

/// Keys of each kind that are listed; `--json` has all of them.
const LISTED: usize = 8;

/// Prints the file, the network and the keys that do not fit.
pub(super) fn print_findings(source: &CheckpointSource, findings: &Findings) {
    let dtypes = findings.dtypes.iter().map(|(dtype, count)| format!("{count} {dtype}"));
    let dtypes = dtypes.collect::<Vec<_>>().join(", ");
    let (count, size) = (source.keys().count(), bytes_text(findings.bytes));
    line("path", source.location());
    line("format", source.format().name());
    line("tensors", &format!("{count} ({dtypes}), {size}"));
    if !source.other_keys().is_empty() {
        let others = source.other_keys().len();
        line("others", &format!("{others} entries that are not tensors"));
    }
    if findings.configs.is_empty() {
        line("config", "none found");
    } else {
        line("config", &findings.configs.join(", "));
    }
    match &findings.recognized {
        Ok(recognized) => {
            line("network", &description::network(recognized));
            line("variant", &description::variant(recognized));
        }
        Err(why) => line("network", &format!("unknown: {why}")),
    }
    if let Some(report) = &findings.report {
        print_report(report);
    }
}

fn line(name: &str, text: &str) {
    println!("{name:<9} {text}");
}

fn print_report(report: &LoadReport) {
    let [fit, missing, unused, ignored] =
        [&report.loaded, &report.missing, &report.unused, &report.ignored].map(Vec::len);
    let mismatched = report.mismatched.len();
    let counts =
        format!("{fit} fit, {missing} missing, {unused} unused, {mismatched} of another shape, {ignored} ignored");
    line("keys", &counts);
    print_keys("missing", &report.missing);
    print_keys("unused", &report.unused);
    let shapes = report
        .mismatched
        .iter()
        .map(|entry| format!("{} {:?}, expected {:?}", entry.key, entry.found, entry.expected));
    print_keys("shape", &shapes.collect::<Vec<_>>());
}

fn print_keys(name: &str, keys: &[String]) {
    for key in keys.iter().take(LISTED) {
        line(name, key);
    }
    if keys.len() > LISTED {
        line(name, &format!("and {} more: --json has all", keys.len() - LISTED));
    }
}

/// Prints one line per tensor.
pub(super) fn print_statistics(statistics: &Statistics) {
    println!(
        "\n{:<64} {:>11} {:>11} {:>11} {:>11} {:>6}",
        "tensor", "mean", "std", "min", "max", "NaN"
    );
    for (key, figures) in statistics {
        let TensorStatistics {
            nan,
            mean,
            std,
            min,
            max,
            ..
        } = figures;
        println!("{key:<64} {mean:>11.3e} {std:>11.3e} {min:>11.3e} {max:>11.3e} {nan:>6}");
    }
}
