//! The account that loading gives of every key.

use std::fmt;

/// How many keys of each kind the message of an error lists.
const LISTED: usize = 5;

/// A stored tensor whose shape is not the parameter's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The stored key.
    pub key: String,
    /// The shape that the parameter has, in the file's orientation.
    pub expected: Vec<usize>,
    /// The shape that is stored.
    pub found: Vec<usize>,
}

/// What became of every parameter of the module and of every entry of the checkpoint.
///
/// `missing` and `mismatched` name keys as they would be stored, so that they can be searched for in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Stored keys that were loaded.
    pub loaded: Vec<String>,
    /// Keys that the module needs and the checkpoint lacks.
    pub missing: Vec<String>,
    /// Stored keys that no parameter wants.
    pub unused: Vec<String>,
    /// Stored keys known to carry nothing the module needs: counters, buffers, extra states.
    pub ignored: Vec<String>,
    /// Stored tensors of another shape.
    pub mismatched: Vec<ShapeMismatch>,
}

impl LoadReport {
    /// Returns whether every parameter was loaded and every stored tensor used or knowingly ignored.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tensors loaded, {} missing, {} unused, {} of another shape, {} ignored",
            self.loaded.len(),
            self.missing.len(),
            self.unused.len(),
            self.mismatched.len(),
            self.ignored.len()
        )?;
        list(f, "missing", &self.missing)?;
        list(f, "unused", &self.unused)?;
        let mismatched: Vec<String> = self
            .mismatched
            .iter()
            .map(|entry| format!("{} (expected {:?}, found {:?})", entry.key, entry.expected, entry.found))
            .collect();
        list(f, "another shape", &mismatched)?;
        if self.is_complete() {
            return Ok(());
        }
        if self.mismatched.len() > self.loaded.len() {
            write!(
                f,
                "; the sizes differ throughout: load it with the config that belongs to this checkpoint"
            )
        } else if self.loaded.is_empty() {
            write!(
                f,
                "; no key fits: this is a checkpoint of another architecture, or of another naming scheme"
            )
        } else {
            write!(f, "; compare the model's config with the checkpoint's")
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, label: &str, keys: &[String]) -> fmt::Result {
    if keys.is_empty() {
        return Ok(());
    }
    let rest = keys.len().saturating_sub(LISTED);
    let shown = keys[..keys.len() - rest].join(", ");
    write!(f, "; {label}: {shown}")?;
    if rest > 0 {
        write!(f, " and {rest} more")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_the_first_keys_and_counts_the_rest() {
        let report = LoadReport {
            missing: (0..7).map(|index| format!("blocks.{index}.weight")).collect(),
            ..LoadReport::default()
        };
        let message = report.to_string();
        assert!(message.contains("7 missing"), "{message}");
        assert!(message.contains("blocks.4.weight and 2 more"), "{message}");
        assert!(message.contains("another architecture"), "{message}");
    }

    #[test]
    fn a_report_without_leftovers_is_complete() {
        let report = LoadReport {
            loaded: vec!["a".into()],
            ignored: vec!["b".into()],
            ..LoadReport::default()
        };
        assert!(report.is_complete());
    }
}
