//! The action space of a world model, and whether another one says the same.

use worldloop_world_model::{ActionDimension, WorldModelSpec};

use crate::error::EnvError;
use crate::space::{ContinuousSpace, Dimension};

/// Returns the action space that a world model was trained with; the scale of each dimension is 1.
pub fn action_space_of(spec: &WorldModelSpec) -> ContinuousSpace {
    let dimension = |action: &ActionDimension| Dimension {
        name: action.name.clone(),
        unit: action.unit.clone(),
        low: action.low,
        high: action.high,
        scale: 1.0,
    };
    ContinuousSpace {
        dimensions: spec.action.iter().map(dimension).collect(),
    }
}

/// Returns what a world model of this action space is told: values as they are, statistics of which nothing is known.
pub fn model_actions_of(space: &ContinuousSpace) -> Vec<ActionDimension> {
    let action = |dimension: &Dimension| ActionDimension {
        name: dimension.name.clone(),
        unit: dimension.unit.clone(),
        low: dimension.low,
        high: dimension.high,
        mean: 0.0,
        std: 1.0,
        scale: 1.0,
    };
    space.dimensions.iter().map(action).collect()
}

/// Checks that an action space means what the world model was trained with: names, order, units and bounds.
///
/// # Errors
/// [`EnvError::ActionContract`] with the first difference.
pub fn check_action_contract(env: &str, space: &ContinuousSpace, spec: &WorldModelSpec) -> Result<(), EnvError> {
    let differs = |expected: String, found: String| EnvError::ActionContract {
        env: env.to_owned(),
        model: spec.name.clone(),
        expected,
        found,
    };
    if space.len() != spec.action_dim() {
        return Err(differs(
            format!("{} values", spec.action_dim()),
            format!("{} values ({})", space.len(), space.names()),
        ));
    }
    for (index, (found, expected)) in space.dimensions.iter().zip(&spec.action).enumerate() {
        if found.name != expected.name {
            return Err(differs(
                format!("`{}` as value {index}", expected.name),
                format!("`{}`", found.name),
            ));
        }
        if found.unit != expected.unit {
            return Err(differs(
                format!("`{}` in `{}`", expected.name, expected.unit),
                format!("it in `{}`", found.unit),
            ));
        }
        if (found.low, found.high) != (expected.low, expected.high) {
            let bounds = |low: f32, high: f32| format!("`{}` in [{low}, {high}]", expected.name);
            return Err(differs(
                bounds(expected.low, expected.high),
                bounds(found.low, found.high),
            ));
        }
    }
    Ok(())
}
