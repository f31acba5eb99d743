//! Sets of valid observations and actions, with names and units.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::seeding::Rng;

/// One number of a continuous space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// Name, for example `delta_x`.
    pub name: String,
    /// Unit of the physical quantity, for example `m`; empty for pure numbers.
    pub unit: String,
    /// Smallest valid value.
    pub low: f32,
    /// Largest valid value.
    pub high: f32,
    /// Physical quantity, in `unit`, of a value of 1.
    pub scale: f32,
}

/// Numbers with bounds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ContinuousSpace {
    /// The numbers in order.
    pub dimensions: Vec<Dimension>,
}

impl ContinuousSpace {
    /// Returns the number of dimensions.
    pub fn len(&self) -> usize {
        self.dimensions.len()
    }

    /// Returns whether the space has no dimensions.
    pub fn is_empty(&self) -> bool {
        self.dimensions.is_empty()
    }

    /// Returns whether `values` has the right length and every value is finite and within its bounds.
    pub fn contains(&self, values: &[f32]) -> bool {
        values.len() == self.len()
            && self.dimensions.iter().zip(values).all(|(dimension, value)| (dimension.low..=dimension.high).contains(value))
    }

    /// Draws values uniformly within the bounds.
    pub fn sample(&self, rng: &mut Rng) -> Action {
        Action(self.dimensions.iter().map(|dimension| rng.random_range(dimension.low..=dimension.high)).collect())
    }

    /// Returns the names, separated by commas.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
        names.join(", ")
    }
}

/// An RGB image of a fixed size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageSpace {
    /// Name of the camera.
    pub camera: String,
    /// Height in pixels.
    pub height: u32,
    /// Width in pixels.
    pub width: u32,
}

/// What observations of an env look like.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ObservationSpace {
    /// One entry per camera image.
    pub images: Vec<ImageSpace>,
    /// The robot state; empty where the env has none.
    pub proprioception: ContinuousSpace,
}
