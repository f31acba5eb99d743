//! Family `rope`: rotary tables over time, height and width.

use burn::tensor::Device;
use worldloop::world_model::dit::{Rope3d, RopeExponents};
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::runner::{CaseResult, Outcome};

/// Names of the axes in tensors that hold one axis.
const AXES: [&str; 3] = ["t", "h", "w"];

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let head_dim: usize = case.field(&case.config, "head_dim")?;
    let ratios: [f64; 3] = case.field(&case.config, "rope_scale")?;
    let grid: [usize; 3] = case.field(&case.description["params"], "grid")?;
    if case.has("out.exponent_t") {
        compare_axes(checks, &Rope3d::new(head_dim, ratios, RopeExponents::Bf16), grid)?;
        return Ok(Outcome::Compared);
    }

    let rope = Rope3d::new(head_dim, ratios, RopeExponents::Exact);
    let table = if case.has("in.positions") {
        let positions = case.array("in.positions")?.values.chunks(3);
        let positions: Vec<[usize; 3]> = positions
            .map(|row| [row[0] as usize, row[1] as usize, row[2] as usize])
            .collect();
        rope.table_at(&positions, device)
    } else {
        rope.table(grid, device)
    };
    for (name, values) in [("out.cos", table.cos()), ("out.sin", table.sin())] {
        let columns = case.array(name)?.shape[1];
        checks.compare(name, &repeated(&Array::from_tensor(&values), columns))?;
    }
    Ok(Outcome::Compared)
}

/// Repeats each row until it has so many columns: some cases store both halves of a head, which are equal.
fn repeated(array: &Array, columns: usize) -> Array {
    let (rows, half) = (array.shape[0], array.shape[1]);
    let row = |row: usize| &array.values[row * half..(row + 1) * half];
    let values = (0..rows)
        .flat_map(|index| row(index).iter().copied().cycle().take(columns))
        .collect();
    Array {
        shape: vec![rows, columns],
        values,
    }
}

fn compare_axes(checks: &mut Checks<'_>, rope: &Rope3d, grid: [usize; 3]) -> Result<(), CaseError> {
    for ((axis, name), length) in rope.axes().iter().zip(AXES).zip(grid) {
        let exponents = axis.exponents();
        checks.compare(
            &format!("out.exponent_{name}"),
            &Array::from_values(exponents.iter().copied()),
        )?;
        let table = |function: fn(f64) -> f64| Array {
            shape: vec![length, exponents.len()],
            values: (0..length)
                .flat_map(|position| axis.phases(position).map(function))
                .collect(),
        };
        checks.compare(&format!("out.cos_{name}"), &table(f64::cos))?;
        checks.compare(&format!("out.sin_{name}"), &table(f64::sin))?;
    }
    Ok(())
}
