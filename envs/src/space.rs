//! Sets of valid observations and actions, with names and units.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::observation::Observation;
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
            && self
                .dimensions
                .iter()
                .zip(values)
                .all(|(dimension, value)| (dimension.low..=dimension.high).contains(value))
    }

    /// Draws values uniformly within the bounds.
    pub fn sample(&self, rng: &mut Rng) -> Action {
        Action(
            self.dimensions
                .iter()
                .map(|dimension| rng.random_range(dimension.low..=dimension.high))
                .collect(),
        )
    }

    /// Returns the names, separated by commas.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self
            .dimensions
            .iter()
            .map(|dimension| dimension.name.as_str())
            .collect();
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

impl ObservationSpace {
    /// Returns whether the observation has exactly these images and a robot state within bounds.
    pub fn contains(&self, observation: &Observation) -> bool {
        self.mismatch(observation).is_none()
    }

    /// Says why an observation is not in this space; `None` if it is.
    pub fn mismatch(&self, observation: &Observation) -> Option<String> {
        for space in &self.images {
            let Some(image) = observation.images.get(&space.camera) else {
                return Some(format!("no image of camera `{}`", space.camera));
            };
            if image.dimensions() != (space.width, space.height) {
                let (width, height) = image.dimensions();
                let (camera, expected_width, expected_height) = (&space.camera, space.width, space.height);
                return Some(format!(
                    "the image of camera `{camera}` is {width}x{height}, expected {expected_width}x{expected_height}"
                ));
            }
        }
        if let Some(extra) = observation
            .images
            .keys()
            .find(|name| self.images.iter().all(|space| space.camera != **name))
        {
            return Some(format!("an image of camera `{extra}`, which the space does not have"));
        }
        (!self.proprioception.contains(&observation.proprioception)).then(|| {
            let (found, names) = (&observation.proprioception, self.proprioception.names());
            format!("the robot state {found:?} is not within the bounds of [{names}]")
        })
    }
}
