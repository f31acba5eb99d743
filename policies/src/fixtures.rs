//! A made-up env spec, observations and policies for the tests of this crate.

use image::RgbImage;
use worldloop_envs::{
    Action, ActionChunk, ContinuousSpace, Dimension, EnvSpec, ImageSpace, Observation, ObservationSpace,
};

use crate::error::PolicyError;
use crate::policy::Policy;

/// The spec of an env with the seven Bridge-style values.
pub(crate) fn spec(task: &str) -> EnvSpec {
    let dimension = |name: &str, low: f32, scale: f32| Dimension {
        name: name.to_owned(),
        unit: String::new(),
        low,
        high: 1.0,
        scale,
    };
    let mut dimensions: Vec<Dimension> = ["delta_x", "delta_y", "delta_z"]
        .map(|name| dimension(name, -1.0, 0.03))
        .into();
    dimensions.extend(["delta_roll", "delta_pitch", "delta_yaw"].map(|name| dimension(name, -1.0, 0.2)));
    dimensions.push(dimension("gripper", 0.0, 0.08));
    EnvSpec {
        name: format!("made_up/{task}"),
        task: task.to_owned(),
        observation_space: ObservationSpace {
            images: vec![ImageSpace {
                camera: "third_person".to_owned(),
                height: 64,
                width: 64,
            }],
            proprioception: ContinuousSpace::default(),
        },
        action_space: ContinuousSpace { dimensions },
        control_rate_hz: 5.0,
        max_episode_steps: 40,
        deterministic: true,
    }
}

/// An observation without images, privileged state or instruction.
pub(crate) fn blank_observation() -> Observation {
    Observation::default()
}

/// An observation with a camera image of one colour.
#[cfg_attr(
    not(feature = "cloned"),
    expect(dead_code, reason = "only the cloned policy looks at images")
)]
pub(crate) fn camera_observation(side: u32, gray: u8) -> Observation {
    let mut observation = blank_observation();
    let image = RgbImage::from_pixel(side, side, image::Rgb([gray; 3]));
    observation.images.insert("third_person".to_owned(), image);
    observation
}

/// Counts: call `n` returns a chunk whose action `k` holds `n + k / 100` in all seven values.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) calls: usize,
    pub(crate) chunk_length: usize,
}

impl Counting {
    pub(crate) fn new(chunk_length: usize) -> Self {
        Self { calls: 0, chunk_length }
    }
}

impl Policy for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn reset(&mut self, _spec: &EnvSpec, _seed: u64) -> Result<(), PolicyError> {
        self.calls = 0;
        Ok(())
    }

    fn act(&mut self, _observation: &Observation) -> Result<ActionChunk, PolicyError> {
        self.calls += 1;
        let value = |index: usize| self.calls as f32 + index as f32 / 100.0;
        Ok((0..self.chunk_length)
            .map(|index| Action(vec![value(index); 7]))
            .collect())
    }
}
