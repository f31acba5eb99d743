//! The last few images of each camera in one observation.

use std::collections::{BTreeMap, VecDeque};

use image::RgbImage;

use super::Wrapper;
use crate::action::ActionChunk;
use crate::env::{Env, EnvSpec, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::space::ImageSpace;
use crate::step::{Info, Step};

/// Adds earlier images to each observation.
///
/// The latest image of a camera keeps its name; the one `k` steps earlier is named `camera@-k`. At the start of an
/// episode the first image stands in for those before it.
#[derive(Debug, Clone)]
pub struct FrameStack {
    frames: usize,
    earlier: VecDeque<BTreeMap<String, RgbImage>>,
}

impl FrameStack {
    /// Makes a stack of `frames` images per camera, the latest included; at least one.
    pub fn new(frames: usize) -> Self {
        Self {
            frames,
            earlier: VecDeque::new(),
        }
    }

    /// Returns the name of the image `age` steps before the latest one.
    pub fn image_name(camera: &str, age: usize) -> String {
        if age == 0 {
            camera.to_owned()
        } else {
            format!("{camera}@-{age}")
        }
    }

    fn stack(&mut self, observation: &mut Observation) {
        let latest = observation.images.clone();
        for (age, images) in self.earlier.iter().enumerate() {
            for (camera, image) in images {
                observation
                    .images
                    .insert(Self::image_name(camera, age + 1), image.clone());
            }
        }
        self.earlier.push_front(latest);
        self.earlier.truncate(self.frames - 1);
    }
}

impl Wrapper for FrameStack {
    fn adapt_spec(&self, inner: &EnvSpec) -> Result<EnvSpec, EnvError> {
        if self.frames == 0 {
            return Err(EnvError::Setting {
                env: inner.name.clone(),
                setting: "frames of FrameStack",
                expected: "at least 1".into(),
                found: "0".into(),
            });
        }
        let mut spec = inner.clone();
        let images = &inner.observation_space.images;
        spec.observation_space.images = (0..self.frames)
            .flat_map(|age| {
                images.iter().map(move |image| ImageSpace {
                    camera: Self::image_name(&image.camera, age),
                    ..image.clone()
                })
            })
            .collect();
        Ok(spec)
    }

    fn reset(
        &mut self,
        env: &mut dyn Env,
        seed: Option<u64>,
        options: &ResetOptions,
    ) -> Result<(Observation, Info), EnvError> {
        let (mut observation, info) = env.reset(seed, options)?;
        self.earlier = std::iter::repeat_n(observation.images.clone(), self.frames - 1).collect();
        self.stack(&mut observation);
        Ok((observation, info))
    }

    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        let mut steps = env.step_chunk(actions)?;
        steps.iter_mut().for_each(|step| self.stack(&mut step.observation));
        Ok(steps)
    }
}
