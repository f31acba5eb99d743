//! What a case computed against what it has to reproduce.

use std::collections::BTreeSet;
use std::fmt;

use crate::array::Array;
use crate::case::{Case, CaseError};

/// Bounds on the difference between a computed tensor and the stored one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Bound on the largest absolute difference.
    pub max_abs: f64,
    /// Bound on the mean absolute difference.
    pub mean_abs: f64,
}

/// The comparison of one tensor.
#[derive(Debug, Clone)]
pub struct Check {
    /// The tensor, or what else was compared.
    pub name: String,
    /// Largest difference found.
    pub max: f64,
    /// Mean difference found.
    pub mean: f64,
    /// Bounds on both.
    pub tolerance: Tolerance,
    /// Why the values could not be compared, if they could not.
    pub problem: Option<String>,
}

impl Check {
    /// Compares two arrays value by value.
    pub fn compare(name: &str, computed: &Array, stored: &Array, tolerance: Tolerance) -> Self {
        let mut check = Self {
            name: name.to_string(),
            max: 0.0,
            mean: 0.0,
            tolerance,
            problem: None,
        };
        if computed.shape != stored.shape {
            check.problem = Some(format!("shape {:?}, expected {:?}", computed.shape, stored.shape));
            return check;
        }
        let mut sum = 0.0;
        for (computed, stored) in computed.values.iter().zip(&stored.values) {
            let difference = (computed - stored).abs();
            if difference.is_nan() {
                check.problem = Some("some values are not numbers".to_string());
                return check;
            }
            sum += difference;
            check.max = check.max.max(difference);
        }
        check.mean = sum / (stored.values.len().max(1) as f64);
        check
    }

    /// Compares bytes with the values in `[-1, 1]` that they were cut off from.
    ///
    /// The difference is how far a value lies outside the interval that its byte stands for: a value at the edge of two
    /// bytes may become either, as far as the tolerance of the value itself reaches.
    pub fn compare_bytes(name: &str, bytes: &Array, stored: &Array, tolerance: Tolerance) -> Self {
        let edge = |byte: f64| 2.0 * byte / 255.0 - 1.0;
        let nearest = bytes.values.iter().zip(&stored.values).map(|(byte, value)| {
            let value = value.clamp(-1.0, 1.0);
            let is_byte = byte.fract() == 0.0 && (0.0..=255.0).contains(byte);
            // The highest byte stands for 1 alone, which is the upper edge of the one below it.
            if is_byte {
                value.clamp(edge(*byte), edge(byte + 1.0))
            } else {
                f64::NAN
            }
        });
        let nearest = Array {
            shape: bytes.shape.clone(),
            values: nearest.collect(),
        };
        let clamped = Array {
            shape: stored.shape.clone(),
            values: stored.values.iter().map(|value| value.clamp(-1.0, 1.0)).collect(),
        };
        Self::compare(name, &nearest, &clamped, tolerance)
    }

    /// Compares one number with a bound.
    pub fn bound(name: &str, found: f64, bound: f64) -> Self {
        let tolerance = Tolerance {
            max_abs: bound,
            mean_abs: bound,
        };
        let problem = found.is_nan().then(|| "computed value is not a number".to_string());
        Self {
            name: name.to_string(),
            max: found,
            mean: found,
            tolerance,
            problem,
        }
    }

    /// Returns whether both bounds hold.
    pub fn passes(&self) -> bool {
        self.problem.is_none() && self.max <= self.tolerance.max_abs && self.mean <= self.tolerance.mean_abs
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            max,
            mean,
            tolerance,
            problem,
        } = self;
        let verdict = if self.passes() { "ok  " } else { "MISS" };
        match problem {
            Some(problem) => write!(f, "{verdict} {name}: {problem}"),
            None => write!(
                f,
                "{verdict} {name}: max {max:.2e} of {:.1e}, mean {mean:.2e} of {:.1e}",
                tolerance.max_abs, tolerance.mean_abs
            ),
        }
    }
}

/// Collects the comparisons of one case and insists that every `out.*` tensor is among them.
#[derive(Debug)]
pub struct Checks<'a> {
    case: &'a Case,
    /// Comparisons that decide whether the case passes.
    pub decisive: Vec<Check>,
    /// Comparisons of intermediate values, in the order of computation.
    pub intermediate: Vec<Check>,
    seen: BTreeSet<String>,
}

impl<'a> Checks<'a> {
    /// Starts with no comparison.
    pub fn new(case: &'a Case) -> Self {
        Self {
            case,
            decisive: Vec::new(),
            intermediate: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Compares a computed tensor with the stored one of the same name, at the case's tolerance.
    ///
    /// # Errors
    /// If the case has no such tensor, or no tolerance for it.
    pub fn compare(&mut self, name: &str, computed: &Array) -> Result<(), CaseError> {
        let tolerance = self.case.tolerance(name)?;
        self.compare_within(name, computed, tolerance)
    }

    /// Compares as [`Checks::compare`], at another tolerance.
    ///
    /// # Errors
    /// If the case has no such tensor.
    pub fn compare_within(&mut self, name: &str, computed: &Array, tolerance: Tolerance) -> Result<(), CaseError> {
        let stored = self.case.array(name)?;
        self.seen.insert(name.to_string());
        self.decisive.push(Check::compare(name, computed, stored, tolerance));
        Ok(())
    }

    /// Compares bytes with the stored values that they were cut off from, see [`Check::compare_bytes`].
    ///
    /// # Errors
    /// If the case has no tolerance for this tensor.
    pub fn compare_bytes(&mut self, name: &str, bytes: &Array, stored: &Array) -> Result<(), CaseError> {
        let tolerance = self.case.tolerance(name)?;
        self.seen.insert(name.to_string());
        self.decisive.push(Check::compare_bytes(name, bytes, stored, tolerance));
        Ok(())
    }

    /// Records a comparison of one number, which stands for the tensor of this name.
    pub fn bound(&mut self, name: &str, found: f64, bound: f64) {
        self.seen.insert(name.to_string());
        self.decisive.push(Check::bound(name, found, bound));
    }

    /// Compares an intermediate value if the case has one; it locates a failure and decides nothing.
    pub fn locate(&mut self, name: &str, computed: &Array) {
        if let (Ok(stored), Ok(tolerance)) = (self.case.array(name), self.case.tolerance(name)) {
            self.intermediate
                .push(Check::compare(name, computed, stored, tolerance));
        }
    }

    /// Adds a failure for every `out.*` tensor that was not compared.
    pub fn require_every_output(&mut self) {
        for rest in self.case.names_after("out.") {
            let name = format!("out.{rest}");
            if !self.seen.contains(&name) {
                let mut check = Check::bound(&name, 0.0, 0.0);
                check.problem = Some("the test does not compute it".to_string());
                self.decisive.push(check);
            }
        }
    }

    /// Returns whether every decisive comparison passes, and there is one.
    pub fn pass(&self) -> bool {
        !self.decisive.is_empty() && self.decisive.iter().all(Check::passes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance {
        max_abs: 0.5,
        mean_abs: 0.2,
    };

    fn array(values: &[f64]) -> Array {
        Array::from_values(values.iter().copied())
    }

    #[test]
    fn both_bounds_must_hold() {
        let stored = array(&[0.0, 0.0, 0.0, 0.0]);
        assert!(Check::compare("x", &array(&[0.5, 0.0, 0.0, 0.0]), &stored, TOLERANCE).passes());
        assert!(!Check::compare("x", &array(&[0.6, 0.0, 0.0, 0.0]), &stored, TOLERANCE).passes());
        assert!(!Check::compare("x", &array(&[0.3, 0.3, 0.3, 0.3]), &stored, TOLERANCE).passes());
    }

    #[test]
    fn a_value_at_the_edge_of_two_bytes_may_be_either() {
        let tolerance = Tolerance {
            max_abs: 1e-6,
            mean_abs: 1e-6,
        };
        let edge = array(&[2.0 * 100.0 / 255.0 - 1.0 - 5e-7]);
        let passes = |byte: f64| Check::compare_bytes("x", &array(&[byte]), &edge, tolerance).passes();
        assert!(passes(99.0) && passes(100.0));
        assert!(!passes(98.0) && !passes(101.0) && !passes(99.5) && !passes(-1.0));
    }

    #[test]
    fn numbers_that_are_none_never_pass() {
        assert!(!Check::compare("x", &array(&[f64::NAN]), &array(&[0.0]), TOLERANCE).passes());
        assert!(!Check::compare("x", &array(&[0.0]), &array(&[f64::NAN]), TOLERANCE).passes());
        assert!(!Check::bound("x", f64::NAN, 1.0).passes());
    }

    #[test]
    fn another_shape_never_passes() {
        assert!(!Check::compare("x", &array(&[0.0]), &array(&[0.0, 0.0]), TOLERANCE).passes());
    }
}
