//! Findings for people.

use std::io::{self, Write};

use worldloop::world_model::checkpoint::{CheckpointSource, LoadReport, TensorStatistics};

use super::{Findings, Statistics, description};
use crate::table::bytes_text;

/// Keys of each kind that are listed; `--json` has all of them.
const LISTED: usize = 8;

/// Prints the file, the network and the keys that do not fit.
pub(super) fn print_findings(out: &mut dyn Write, source: &CheckpointSource, findings: &Findings) -> io::Result<()> {
    let dtypes = findings.dtypes.iter().map(|(dtype, count)| format!("{count} {dtype}"));
    let dtypes = dtypes.collect::<Vec<_>>().join(", ");
    let (count, size) = (source.keys().count(), bytes_text(findings.bytes));
    line(out, "path", source.location())?;
    line(out, "format", source.format().name())?;
    line(out, "tensors", &format!("{count} ({dtypes}), {size}"))?;
    if !source.other_keys().is_empty() {
        let others = source.other_keys().len();
        line(out, "others", &format!("{others} entries that are not tensors"))?;
    }
    if findings.configs.is_empty() {
        line(out, "config", "none found")?;
    } else {
        line(out, "config", &findings.configs.join(", "))?;
    }
    match &findings.recognized {
        Ok(recognized) => {
            line(out, "network", &description::network(recognized))?;
            line(out, "variant", &description::variant(recognized))?;
        }
        Err(why) => line(out, "network", &format!("unknown: {why}"))?,
    }
    match &findings.report {
        Some(report) => print_report(out, report),
        None => Ok(()),
    }
}

fn line(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{name:<9} {text}")
}

fn print_report(out: &mut dyn Write, report: &LoadReport) -> io::Result<()> {
    let [fit, missing, unused, ignored] =
        [&report.loaded, &report.missing, &report.unused, &report.ignored].map(Vec::len);
    let mismatched = report.mismatched.len();
    let counts =
        format!("{fit} fit, {missing} missing, {unused} unused, {mismatched} of another shape, {ignored} ignored");
    line(out, "keys", &counts)?;
    print_keys(out, "missing", &report.missing)?;
    print_keys(out, "unused", &report.unused)?;
    let shapes = report
        .mismatched
        .iter()
        .map(|entry| format!("{} {:?}, expected {:?}", entry.key, entry.found, entry.expected));
    print_keys(out, "shape", &shapes.collect::<Vec<_>>())
}

fn print_keys(out: &mut dyn Write, name: &str, keys: &[String]) -> io::Result<()> {
    for key in keys.iter().take(LISTED) {
        line(out, name, key)?;
    }
    if keys.len() > LISTED {
        line(out, name, &format!("and {} more: --json has all", keys.len() - LISTED))?;
    }
    Ok(())
}

/// Prints one line per tensor: element type and shape.
pub(super) fn print_tensors(out: &mut dyn Write, source: &CheckpointSource) -> io::Result<()> {
    writeln!(out, "\n{:<64} {:>5}  shape", "tensor", "dtype")?;
    for key in source.keys() {
        let (shape, dtype) = (source.shape(key).unwrap_or_default(), source.dtype(key));
        let dtype = dtype.map(|dtype| dtype.to_string()).unwrap_or_default();
        writeln!(out, "{key:<64} {dtype:>5}  {shape:?}")?;
    }
    Ok(())
}

/// Prints one line per tensor: figures of its values.
pub(super) fn print_statistics(out: &mut dyn Write, statistics: &Statistics) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<64} {:>11} {:>11} {:>11} {:>11} {:>6}",
        "tensor", "mean", "std", "min", "max", "NaN"
    )?;
    for (key, figures) in statistics {
        let TensorStatistics {
            nan,
            mean,
            std,
            min,
            max,
            ..
        } = figures;
        writeln!(
            out,
            "{key:<64} {mean:>11.3e} {std:>11.3e} {min:>11.3e} {max:>11.3e} {nan:>6}"
        )?;
    }
    Ok(())
}
