//! Findings for people.

use std::io::{self, Write};
use std::path::Path;

use worldloop::world_model::checkpoint::{CheckpointError, CheckpointSource, LoadReport, TensorStatistics};

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
        Err(why) if why.is_damage() => line(out, "damaged", &why.to_string())?,
        Err(why) => line(out, "network", &format!("unknown: {why}"))?,
    }
    if let Some(model) = findings.compared_with {
        line(
            out,
            "compared",
            &format!("with the keys of {model}, the closest released model"),
        )?;
    }
    if let Some(report) = &findings.report {
        print_report(out, report, findings.unloadable.len())?;
    }
    let unloadable = findings.unloadable.iter();
    let unloadable = unloadable.map(|(key, dtype)| format!("{key} is {dtype}, expected f32, f16 or bf16: save it so"));
    print_keys(out, "dtype", &unloadable.collect::<Vec<_>>())
}

/// Says why a file can't be read.
pub(super) fn print_unreadable(out: &mut dyn Write, path: &Path, error: &CheckpointError) -> io::Result<()> {
    line(out, "path", &path.display().to_string())?;
    line(out, "damaged", &error.to_string())
}

fn line(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{name:<9} {}", printable(text))
}

/// Escapes what would move the cursor or colour the terminal: names come from files.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

fn print_report(out: &mut dyn Write, report: &LoadReport, unloadable: usize) -> io::Result<()> {
    let [fit, missing, unused, ignored] =
        [&report.loaded, &report.missing, &report.unused, &report.ignored].map(Vec::len);
    let mismatched = report.mismatched.len();
    let mut counts =
        format!("{fit} fit, {missing} missing, {unused} unused, {mismatched} of another shape, {ignored} ignored");
    if unloadable > 0 {
        counts += &format!(", {unloadable} of a type that can't be loaded");
    }
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
    writeln!(out, "\n{:<64} {:>11}  shape", "tensor", "dtype")?;
    for key in source.keys() {
        let (shape, dtype) = (source.shape(key).unwrap_or_default(), source.dtype(key));
        let dtype = dtype.map(|dtype| dtype.to_string()).unwrap_or_default();
        writeln!(out, "{:<64} {dtype:>11}  {shape:?}", printable(key))?;
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
            "{:<64} {mean:>11.3e} {std:>11.3e} {min:>11.3e} {max:>11.3e} {nan:>6}",
            printable(key)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_write_to_the_terminal() {
        assert_eq!(printable("net.\u{1b}[31mä\n.weight"), "net.\\u{1b}[31mä\\n.weight");
    }
}
