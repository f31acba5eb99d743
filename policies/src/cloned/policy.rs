//! The network behind the policy contract.

use std::borrow::Borrow;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use worldloop_envs::{Action, ActionChunk, EnvSpec, Observation};

use super::network::ClonedNetwork;
use crate::error::PolicyError;
use crate::policy::Policy;
use crate::task::Task;

/// The camera that the policy looks through.
pub const CAMERA: &str = "third_person";

/// Acts from one camera image and the instruction, as it was shown by an expert.
///
/// It uses neither the robot's state nor anything privileged and keeps no memory, so it acts in every world that draws
/// the camera `third_person` at the size that it was trained with.
#[derive(Debug)]
pub struct ClonedPolicy {
    name: String,
    network: ClonedNetwork,
    device: Device,
    spec: Option<EnvSpec>,
}

impl ClonedPolicy {
    /// Makes a policy from a network on a device.
    pub fn new(name: impl Into<String>, network: ClonedNetwork, device: &Device) -> Self {
        Self {
            name: name.into(),
            network,
            device: device.clone(),
            spec: None,
        }
    }

    fn check_image(&self, image: &RgbImage) -> Result<(), PolicyError> {
        let side = self.network.image_size as u32;
        if image.dimensions() == (side, side) {
            return Ok(());
        }
        Err(PolicyError::ImageSize {
            policy: self.name.clone(),
            camera: CAMERA.to_owned(),
            expected: format!("{side} x {side}"),
            found: format!("{} x {}", image.width(), image.height()),
        })
    }

    fn camera_missing<'a>(&self, cameras: impl Iterator<Item = &'a str>) -> PolicyError {
        let found: Vec<&str> = cameras.collect();
        PolicyError::CameraMissing {
            policy: self.name.clone(),
            camera: CAMERA.to_owned(),
            found: if found.is_empty() {
                "no camera".to_owned()
            } else {
                found.join(", ")
            },
        }
    }
}

impl Policy for ClonedPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self, spec: &EnvSpec, _seed: u64) -> Result<(), PolicyError> {
        if spec.action_space.len() != self.network.action_size {
            return Err(PolicyError::ActionSpace {
                policy: self.name.clone(),
                env: spec.name.clone(),
                expected: self.network.action_size,
                found: spec.action_space.len(),
                names: spec.action_space.names(),
            });
        }
        let cameras = &spec.observation_space.images;
        if !cameras.iter().any(|image| image.camera == CAMERA) {
            return Err(self.camera_missing(cameras.iter().map(|image| image.camera.as_str())));
        }
        self.spec = Some(spec.clone());
        Ok(())
    }

    fn act(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError> {
        let Some(spec) = &self.spec else {
            return Err(PolicyError::not_reset(&self.name));
        };
        let task = Task::resolve(&self.name, &observation.instruction, spec)?;
        let Some(image) = observation.images.get(CAMERA) else {
            return Err(self.camera_missing(observation.images.keys().map(String::as_str)));
        };
        self.check_image(image)?;
        let actions = self.network.forward(
            images_tensor(&[image], &self.device),
            tasks_tensor(&[task], &self.device),
        );
        let values = actions.into_data();
        let values = values.as_slice::<f32>().unwrap_or_default();
        Ok(values
            .chunks_exact(self.network.action_size)
            .map(|action| Action(action.to_vec()))
            .collect())
    }
}

/// Turns images of one size into the network's input.
///
/// # Shapes
/// - output: `[batch, 3, height, width]`, RGB in `[-1, 1]`
pub fn images_tensor<I: Borrow<RgbImage>>(images: &[I], device: &Device) -> Tensor<4> {
    let (width, height) = images.first().map_or((0, 0), |image| image.borrow().dimensions());
    let (width, height) = (width as usize, height as usize);
    let bytes: Vec<f32> = images
        .iter()
        .flat_map(|image| image.borrow().as_raw())
        .map(|&byte| f32::from(byte))
        .collect();
    let pixels = Tensor::<4>::from_data(TensorData::new(bytes, [images.len(), height, width, 3]), device);
    pixels.permute([0, 3, 1, 2]) / 127.5 - 1.0
}

/// Turns tasks into the network's input.
///
/// # Shapes
/// - output: `[batch, 3]`, one-hot
pub fn tasks_tensor(tasks: &[Task], device: &Device) -> Tensor<2> {
    let rows = tasks
        .iter()
        .flat_map(|task| Task::ALL.map(|other| f32::from(u8::from(other == *task))));
    Tensor::from_data(TensorData::new(rows.collect(), [tasks.len(), Task::ALL.len()]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloned::ClonedNetworkConfig;
    use crate::fixtures::{blank_observation, camera_observation, spec};

    fn policy() -> ClonedPolicy {
        let device = Device::flex();
        ClonedPolicy::new("cloned", ClonedNetworkConfig::new().init(&device), &device)
    }

    #[test]
    fn chunk_is_in_the_action_space() {
        let mut policy = policy();
        policy.reset(&spec("push"), 0).expect("fits");
        let chunk = policy.act(&camera_observation(64, 90)).expect("a chunk");
        assert_eq!(chunk.len(), 8);
        assert!(
            chunk
                .0
                .iter()
                .all(|action| spec("push").action_space.contains(&action.0))
        );
    }

    #[test]
    fn only_image_and_instruction_count() {
        let mut policy = policy();
        policy.reset(&spec("push"), 0).expect("fits");
        let seen = camera_observation(64, 90);
        let mut known = seen.clone();
        known.proprioception = vec![1.0; 7];
        known.privileged.insert("block_position".to_owned(), vec![0.1; 3]);
        assert_eq!(
            policy.act(&seen).expect("a chunk"),
            policy.act(&known).expect("a chunk")
        );
        let mut other = seen.clone();
        other.instruction = "reach the green ball".to_owned();
        assert_ne!(
            policy.act(&seen).expect("a chunk"),
            policy.act(&other).expect("a chunk")
        );
        assert_ne!(
            policy.act(&seen).expect("a chunk"),
            policy.act(&camera_observation(64, 200)).expect("a chunk")
        );
    }

    #[test]
    fn batch_equals_singles() {
        let device = Device::flex();
        let network = ClonedNetworkConfig::new().init(&device);
        let images: Vec<RgbImage> = (0..5_u8)
            .map(|shift| {
                RgbImage::from_fn(64, 64, |x, y| {
                    image::Rgb([x as u8 * 3, y as u8 + shift * 20, (x * y) as u8])
                })
            })
            .collect();
        let tasks = [Task::Push, Task::Reach, Task::PickAndPlace, Task::Reach, Task::Push];
        let all = network
            .forward(images_tensor(&images, &device), tasks_tensor(&tasks, &device))
            .into_data();
        let all = all.as_slice::<f32>().expect("floats");
        for (index, image) in images.iter().enumerate() {
            let one = network.forward(
                images_tensor(&[image], &device),
                tasks_tensor(&tasks[index..=index], &device),
            );
            let one = one.into_data();
            let one = one.as_slice::<f32>().expect("floats");
            assert!(one.iter().zip(&all[index * 56..]).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn pixels_and_tasks_arrive_in_order() {
        let device = Device::flex();
        let image = RgbImage::from_fn(2, 1, |x, _| image::Rgb([x as u8 * 255, 0, 255]));
        let tensor = images_tensor(&[image], &device).into_data();
        assert_eq!(
            tensor.as_slice::<f32>().expect("floats"),
            [-1.0, 1.0, -1.0, -1.0, 1.0, 1.0]
        );
        let tasks = tasks_tensor(&[Task::PickAndPlace], &device).into_data();
        assert_eq!(tasks.as_slice::<f32>().expect("floats"), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn missing_camera_and_other_image_size_are_named() {
        let mut policy = policy();
        policy.reset(&spec("push"), 0).expect("fits");
        let error = policy.act(&blank_observation()).expect_err("blind").to_string();
        assert!(error.contains("`third_person`"), "{error}");
        let error = policy
            .act(&camera_observation(32, 0))
            .expect_err("too small")
            .to_string();
        assert!(error.contains("64 x 64") && error.contains("32 x 32"), "{error}");
        let mut blind = spec("push");
        blind.observation_space.images.clear();
        assert!(matches!(
            policy.reset(&blind, 0),
            Err(PolicyError::CameraMissing { .. })
        ));
    }
}
