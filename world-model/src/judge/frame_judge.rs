//! A learned [`Judge`] that looks at one frame at a time, and at the one that the episode began with.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use super::judgement::{Judge, JudgeError, JudgeRequest, Judgement};
use super::network::{JudgeNetwork, JudgeNetworkConfig};
use crate::checkpoint::{CheckpointError, CheckpointSource, KeyMap, load_into};
use crate::world_model::Frame;

/// Key of the config in the metadata of a judge's weights.
const CONFIG_KEY: &str = "config";

/// Most frames that go through the network at once, to bound the memory.
const MAX_BATCH: usize = 128;

/// Judges frames with a small convolutional network.
#[derive(Debug, Clone)]
pub struct FrameJudge {
    config: JudgeNetworkConfig,
    network: JudgeNetwork,
    device: Device,
}

/// Why the weights of a judge can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeWeightsError {
    /// The weights are damaged or do not fit the config.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The metadata holds no config.
    #[error("{location} has no valid judge config in its metadata ({source}): train it with `worldloop train judge`")]
    Config {
        /// Where the weights came from.
        location: String,
        /// Why the config can't be parsed.
        #[source]
        source: serde_json::Error,
    },
    /// No network can be built from the config.
    #[error(
        "the judge config in {location} describes no network: tasks, and frame sides of 16 to 1024 pixels in steps of 16, are needed"
    )]
    Sizes {
        /// Where the weights came from.
        location: String,
    },
}

impl FrameJudge {
    /// Puts a network to work.
    pub fn new(config: JudgeNetworkConfig, network: JudgeNetwork, device: &Device) -> Self {
        Self {
            config,
            network,
            device: device.clone(),
        }
    }

    /// Reads a judge from its checkpoint.
    ///
    /// # Errors
    /// [`JudgeWeightsError`] if the checkpoint is damaged or belongs to something else.
    pub fn load(source: &CheckpointSource, device: &Device) -> Result<Self, JudgeWeightsError> {
        let location = source.location().to_string();
        let text = source.metadata().get(CONFIG_KEY).map_or("", String::as_str);
        let config: JudgeNetworkConfig = match serde_json::from_str(text) {
            Ok(config) => config,
            Err(source) => return Err(JudgeWeightsError::Config { location, source }),
        };
        if !config.is_valid() {
            return Err(JudgeWeightsError::Sizes { location });
        }
        let mut network = config.init(device);
        load_into(&mut network, source, &KeyMap::identity())?;
        Ok(Self::new(config, network, device))
    }

    /// Returns the config: tasks and frame size.
    pub fn config(&self) -> &JudgeNetworkConfig {
        &self.config
    }

    fn task_index(&self, task: &str) -> Result<usize, JudgeError> {
        let found = self.config.tasks.iter().position(|known| known == task);
        found.ok_or_else(|| JudgeError::UnknownTask {
            known: self.config.tasks.join(", "),
            found: task.to_string(),
        })
    }

    fn check_size(&self, request: &JudgeRequest<'_>) -> Result<(), JudgeError> {
        let (expected_height, expected_width) = (self.config.height, self.config.width);
        let other = |frame: &&Frame| (frame.height, frame.width) != (expected_height, expected_width);
        match [request.frame, request.first_frame].into_iter().find(other) {
            None => Ok(()),
            Some(frame) => Err(JudgeError::FrameSize {
                expected_height,
                expected_width,
                found_height: frame.height,
                found_width: frame.width,
            }),
        }
    }

    fn judge_batch(&self, requests: &[JudgeRequest<'_>], tasks: &[usize]) -> Vec<Judgement> {
        let batch = requests.len();
        let pixels: Vec<f32> = requests
            .iter()
            .flat_map(|request| [request.frame, request.first_frame])
            .flat_map(|frame| frame.values.iter().copied())
            .collect();
        let offsets: Vec<f32> = tasks
            .iter()
            .flat_map(|&task| [self.config.success_offsets.get(task).copied().unwrap_or(0.0), 0.0])
            .collect();
        let offsets = Tensor::<2>::from_data(TensorData::new(offsets, [batch, 2]), &self.device);
        let conditions: Vec<f32> = requests
            .iter()
            .zip(tasks)
            .flat_map(|(request, &task)| self.config.condition(task, request.gripper_pose))
            .collect();
        let shape = [batch, 6, self.config.height, self.config.width];
        let pictures = Tensor::<4>::from_data(TensorData::new(pixels, shape), &self.device).clamp(-1.0, 1.0);
        let conditions = TensorData::new(conditions, [batch, self.config.conditions()]);
        let conditions = Tensor::<2>::from_data(conditions, &self.device);
        let answers = sigmoid(self.network.forward(pictures, conditions) - offsets).into_data();
        let answers: Vec<f32> = answers.iter::<f32>().collect();
        answers
            .chunks_exact(2)
            .map(|pair| Judgement {
                success_probability: pair[0],
                progress: pair[1],
            })
            .collect()
    }
}

impl Judge for FrameJudge {
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError> {
        let tasks = requests.iter().map(|request| {
            self.check_size(request)?;
            self.task_index(request.task)
        });
        let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
        let batches = requests.chunks(MAX_BATCH).zip(tasks.chunks(MAX_BATCH));
        Ok(batches
            .flat_map(|(requests, tasks)| self.judge_batch(requests, tasks))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{CheckpointWriter, SaveDtype};
    use crate::gripper_pose::{GripperPose, PoseLimits};

    fn config() -> JudgeNetworkConfig {
        JudgeNetworkConfig::new(vec!["push".into(), "reach".into()], 16, 32)
            .with_channels([4, 6, 8])
            .with_d_hidden(12)
    }

    fn judge() -> FrameJudge {
        let device = Device::flex();
        FrameJudge::new(config(), config().init(&device), &device)
    }

    fn frame(width: usize, phase: f32) -> Frame {
        let values = (0..3 * 16 * width)
            .map(|index| (index as f32 * 0.37 + phase).sin())
            .collect();
        Frame {
            height: 16,
            width,
            values,
        }
    }

    fn request<'a>(frame: &'a Frame, task: &'a str) -> JudgeRequest<'a> {
        JudgeRequest {
            frame,
            first_frame: frame,
            gripper_pose: None,
            task,
            instruction: "",
        }
    }

    #[test]
    fn batch_equals_singles() {
        let judge = judge();
        let frames: Vec<Frame> = (0..5).map(|index| frame(32, index as f32)).collect();
        let requests: Vec<JudgeRequest<'_>> = frames.iter().map(|frame| request(frame, "reach")).collect();
        let together = judge.judge(&requests).expect("known task and size");
        for (request, together) in requests.iter().zip(&together) {
            let alone = judge.judge(&[*request]).expect("known task and size")[0];
            assert!((alone.success_probability - together.success_probability).abs() < 1e-6);
            assert!((0.0..=1.0).contains(&together.progress));
        }
    }

    #[test]
    fn a_judge_that_sees_poses_judges_by_them() {
        let limits = PoseLimits {
            meters: 0.1,
            radians: 0.1,
            low: [-1.0; 6],
            high: [1.0; 6],
            hand: None,
        };
        let (plain, device) = (config().with_poses(Some(limits)), Device::flex());
        // With distances between things and the gripper, and without.
        for config in [plain.clone(), plain.with_points(Some(3))] {
            let judge = FrameJudge::new(config.clone(), config.init(&device), &device);
            let frame = frame(32, 0.5);
            let judged = |gripper_pose| {
                let request = JudgeRequest {
                    gripper_pose,
                    ..request(&frame, "push")
                };
                judge.judge(&[request]).expect("known task and size")[0]
            };
            let (here, there) = (Some(GripperPose([0.0; 7])), Some(GripperPose([0.5; 7])));
            assert_ne!(judged(here), judged(there));
            assert_ne!(judged(here), judged(None));
            assert_eq!(judged(here), judged(here));
        }
    }

    #[test]
    fn it_judges_by_the_first_frame_too() {
        let (judge, frame, another) = (judge(), frame(32, 0.5), frame(32, 1.5));
        let judged = |first_frame| {
            let request = JudgeRequest {
                first_frame,
                ..request(&frame, "push")
            };
            judge.judge(&[request]).expect("known task and size")[0]
        };
        assert_ne!(judged(&frame), judged(&another));
        assert_eq!(judged(&another), judged(&another));
    }

    #[test]
    fn an_offset_makes_it_call_fewer_successes_of_its_task() {
        let (plain, device) = (judge(), Device::flex());
        let strict = FrameJudge::new(
            config().with_success_offsets(vec![2.0, 0.0]),
            plain.network.clone(),
            &device,
        );
        let frame = frame(32, 0.5);
        let judged =
            |judge: &FrameJudge, task: &str| judge.judge(&[request(&frame, task)]).expect("known task and size")[0];
        let (before, after) = (judged(&plain, "push"), judged(&strict, "push"));
        assert!(after.success_probability < before.success_probability);
        assert_eq!(after.progress, before.progress);
        assert_eq!(judged(&plain, "reach"), judged(&strict, "reach"));
    }

    #[test]
    fn what_it_was_not_trained_for_is_refused() {
        let judge = judge();
        let (fitting, narrow) = (frame(32, 0.0), frame(16, 0.0));
        let error = judge
            .judge(&[request(&fitting, "juggle")])
            .expect_err("an unknown task");
        assert!(
            error.to_string().contains("juggle") && error.to_string().contains("push, reach"),
            "{error}"
        );
        for (frame, first_frame) in [(&narrow, &fitting), (&fitting, &narrow)] {
            let request = JudgeRequest {
                first_frame,
                ..request(frame, "push")
            };
            let error = judge.judge(&[request]).expect_err("another size");
            let fits = matches!(error, JudgeError::FrameSize { found_width: 16, .. });
            assert!(fits, "{error}");
        }
    }

    #[test]
    fn weights_survive_a_checkpoint() {
        let judge = judge();
        let text = serde_json::to_string(judge.config()).expect("serialisable");
        let bytes = CheckpointWriter::new(SaveDtype::F32)
            .with_module("", &judge.network, &KeyMap::identity())
            .with_metadata(CONFIG_KEY, text)
            .to_bytes();
        let source = CheckpointSource::from_bytes("judge", bytes).expect("readable");
        let read = FrameJudge::load(&source, &Device::flex()).expect("the same judge");
        let frame = frame(32, 0.5);
        let judged = |judge: &FrameJudge| judge.judge(&[request(&frame, "push")]).expect("known task and size");
        assert_eq!(judged(&judge), judged(&read));
    }
}
