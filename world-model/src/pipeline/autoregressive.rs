//! Chunk after chunk: the action-conditioned model as a [`WorldModel`].
//!
//! Source: `cosmos_predict2/action_conditioned.py@687da63`.
//! Differs:
//! - the carry between chunks stays in float, unless the config says otherwise
//! - a short last chunk repeats its last action instead of adding zeros, and what it adds is not returned
//! - the frame between two chunks is returned once

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::chunk::{ChunkConstants, ChunkInput, ChunkOutput, predict_chunk};
use super::config::{Feedback, NoiseSeed, PredictConfig, PredictNetworks};
use super::error::PipelineError;
use crate::checkpoint::{CheckpointSource, KeyMap, load_into};
use crate::diffusion::{NumpyRandom, SamplerProgress};
use crate::dit::Context;
use crate::layers::cast_module;
use crate::video::{clips_to_tensor, tensor_to_clips};
use crate::world_model::{
    Frame, Prediction, PredictionRequest, WorldModel, WorldModelError, WorldModelSpec, WorldState,
};

/// Most episodes that go through the networks at once; more are split, to bound the memory.
const MAX_BATCH: usize = 16;

/// Action-conditioned Cosmos-Predict2.5.
#[derive(Debug)]
pub struct Predict {
    config: PredictConfig,
    networks: PredictNetworks,
    constants: ChunkConstants,
    device: Device,
}

impl Predict {
    /// Puts the parts together; `text` and `negative_text` are embeddings, `[1, tokens, channels]`.
    ///
    /// Without `text`, an all-zero embedding stands in. The text is projected here, once. Guidance is skipped where
    /// the negative text is absent or the same.
    ///
    /// # Errors
    /// The [`PipelineError`] of a config whose parts do not fit.
    pub fn new(
        config: PredictConfig,
        networks: PredictNetworks,
        text: Option<Tensor<3>>,
        negative_text: Option<Tensor<3>>,
        device: &Device,
    ) -> Result<Self, PipelineError> {
        config.validate()?;
        let zeros = || Tensor::zeros([1, config.text_tokens, config.dit.text_channels()], device);
        let context = networks.dit.project_context(text.unwrap_or_else(zeros));
        let negative = negative_text
            .map(|text| networks.dit.project_context(text))
            .filter(|negative| !negative.matches(&context));
        let [_, frames, height, width] = config.latent_shape();
        let rope = networks.dit.rotary_table([frames, height, width], device);
        let constants = ChunkConstants {
            context,
            negative,
            rope,
        };
        Ok(Self {
            config,
            networks,
            constants,
            device: device.clone(),
        })
    }

    /// Reads a checkpoint that carries its config under `config` in the metadata, as the trainer writes it.
    ///
    /// # Errors
    /// [`PipelineError`] of the config or the weights.
    pub fn load(source: &CheckpointSource, device: &Device) -> Result<Self, PipelineError> {
        Self::load_as(source, DType::F32, device)
    }

    /// Reads a checkpoint as [`load`](Self::load) does, with the transformer's weights in the given dtype.
    ///
    /// The VAE stays in float32: it is small beside a transformer.
    ///
    /// # Errors
    /// [`PipelineError`] of the config or the weights.
    pub fn load_as(source: &CheckpointSource, dtype: DType, device: &Device) -> Result<Self, PipelineError> {
        let text = source.metadata().get("config").map_or("", String::as_str);
        let config: PredictConfig = serde_json::from_str(text).map_err(|error| PipelineError::Config {
            location: source.location().to_owned(),
            source: error,
        })?;
        config.validate_for(source)?;
        let mut networks = config.init(device).no_grad();
        load_into(&mut networks, source, &KeyMap::identity())?;
        networks.dit = cast_module(networks.dit, dtype);
        Self::new(config, networks, None, None, device)
    }

    /// Returns the config.
    pub fn config(&self) -> &PredictConfig {
        &self.config
    }

    /// Returns the networks.
    pub fn networks(&self) -> &PredictNetworks {
        &self.networks
    }

    /// Returns the projected text.
    pub fn context(&self) -> &Context {
        &self.constants.context
    }

    /// Samples one chunk for a batch, as tensors.
    ///
    /// # Panics
    /// If the shapes do not fit the config.
    pub fn predict_chunk(&self, input: ChunkInput) -> ChunkOutput {
        let output = self.predict_chunk_with(input, |_| ControlFlow::Continue(()));
        output.expect("nothing stops it")
    }

    /// As [`predict_chunk`](Self::predict_chunk), telling `progress` of every denoising step; where that breaks before the
    /// last one, the work ends with nothing.
    ///
    /// # Panics
    /// If the shapes do not fit the config.
    pub fn predict_chunk_with(
        &self,
        input: ChunkInput,
        progress: impl FnMut(SamplerProgress<'_>) -> ControlFlow<()>,
    ) -> Option<ChunkOutput> {
        predict_chunk(&self.config, &self.networks, &self.constants, input, progress)
    }

    /// Returns the noise of one chunk of one episode.
    fn noise(&self, state: &WorldState) -> Vec<f32> {
        let count = self.config.latent_shape().iter().product();
        let words = |number: u64| [number as u32, (number >> 32) as u32];
        let mut random = match self.config.noise_seed {
            NoiseSeed::EpisodeAndChunk => {
                NumpyRandom::from_words(&[words(state.seed), words(state.chunk_index)].concat())
            }
            NoiseSeed::FirstAction => {
                let first_action = state.chunk_index.wrapping_mul(self.config.spec.chunk_length as u64);
                NumpyRandom::new(first_action as u32)
            }
        };
        random.standard_normals(count)
    }

    fn input(&self, requests: &[PredictionRequest<'_>]) -> ChunkInput {
        let batch = requests.len();
        let [channels, frames, height, width] = self.config.latent_shape();
        let noise = requests.iter().flat_map(|request| self.noise(request.state)).collect();
        let noise = TensorData::new::<f32, _>(noise, [batch, channels, frames, height, width]);
        let chunk = self.config.spec.chunk_length;
        let actions = requests.iter().flat_map(|request| {
            let missing = chunk - request.actions.len();
            let last = request.actions.last().into_iter().cycle().take(missing).cloned();
            let padded: Vec<Vec<f32>> = request.actions.iter().cloned().chain(last).collect();
            self.config.network_actions(&padded, request.state.gripper_pose)
        });
        let actions = TensorData::new::<f32, _>(actions.collect(), [batch, chunk, self.config.network_action_dim()]);
        let contexts: Vec<&[Frame]> = requests
            .iter()
            .map(|request| request.state.context[0].as_slice())
            .collect();
        ChunkInput {
            frames: clips_to_tensor(&contexts, &self.device),
            actions: Tensor::from_data(actions, &self.device),
            noise: Tensor::from_data(noise, &self.device),
        }
    }

    fn predict_batch(&self, requests: &[PredictionRequest<'_>]) -> Result<Vec<Prediction>, WorldModelError> {
        let output = self.predict_chunk(self.input(requests));
        let context_frames = self.config.spec.context_frames;
        let free = self.config.spec.chunk_length;
        let clips = tensor_to_clips(output.video.narrow(2, context_frames, free));
        requests
            .iter()
            .zip(clips)
            .map(|(request, clip)| self.prediction(request, clip))
            .collect()
    }

    fn prediction(&self, request: &PredictionRequest<'_>, clip: Vec<Frame>) -> Result<Prediction, WorldModelError> {
        let state = request.state;
        let frames: Vec<Frame> = clip.into_iter().take(request.actions.len()).collect();
        if frames
            .iter()
            .any(|frame| frame.values.iter().any(|value| !value.is_finite()))
        {
            let model = self.config.spec.name.clone();
            return Err(WorldModelError::PredictionNotFinite {
                model,
                chunk: state.chunk_index,
            });
        }
        let carried = |frame: &Frame| match self.config.feedback {
            Feedback::Float => frame.clone().clamped(),
            Feedback::Rgb8 => frame.clone().through_rgb8(),
        };
        let seen = state.context[0].iter().cloned().chain(frames.iter().map(carried));
        let context = seen.skip(frames.len()).collect();
        let gripper_poses = self.config.poses_after(state.gripper_pose, request.actions);
        let next_state = WorldState {
            context: vec![context],
            gripper_pose: gripper_poses.last().copied().flatten(),
            seed: state.seed,
            chunk_index: state.chunk_index + 1,
        };
        Ok(Prediction {
            frames: vec![frames],
            gripper_poses,
            next_state,
        })
    }
}

impl WorldModel for Predict {
    fn spec(&self) -> &WorldModelSpec {
        &self.config.spec
    }

    fn start(
        &self,
        context: Vec<Vec<Frame>>,
        proprioception: &[f32],
        seed: u64,
    ) -> Result<WorldState, WorldModelError> {
        self.config.spec.check_context(&context)?;
        Ok(WorldState {
            context,
            gripper_pose: self.config.starting_pose(proprioception)?,
            seed,
            chunk_index: 0,
        })
    }

    fn predict(&self, requests: &[PredictionRequest<'_>]) -> Result<Vec<Prediction>, WorldModelError> {
        for request in requests {
            self.config.spec.check_context(&request.state.context)?;
            self.config.spec.check_actions(request.actions)?;
        }
        let mut predictions = Vec::with_capacity(requests.len());
        for batch in requests.chunks(MAX_BATCH) {
            predictions.extend(self.predict_batch(batch)?);
        }
        Ok(predictions)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use burn::module::{Module, ModuleMapper, Param};
    use burn::tensor::Distribution;

    use super::*;
    use crate::diffusion::SigmaTable;
    use crate::gripper_pose::{GripperPose, PoseLimits};
    use crate::pipeline::ActionReference;
    use crate::world_model::ActionDimension;

    fn config() -> PredictConfig {
        let dimension = |index: usize| ActionDimension {
            name: format!("a{index}"),
            unit: "1".into(),
            low: -1.0,
            high: 1.0,
            mean: 0.0,
            std: 1.0,
            scale: 2.0,
        };
        let mut config = PredictConfig::tiny((0..7).map(dimension).collect(), [16, 24]);
        config.sampler.num_steps = 2;
        config
    }

    /// Returns the config of a world that runs in milliseconds, as JSON.
    pub(crate) fn tiny_world() -> String {
        serde_json::to_string(&config()).expect("serialisable")
    }

    fn model() -> Predict {
        let device = Device::flex();
        device.seed(3);
        let config = config();
        let networks = config.init(&device).map(&mut Shaken);
        Predict::new(config, networks, None, None, &device).expect("the config is valid")
    }

    /// Moves every weight off its initial value: a fresh transformer answers zero.
    struct Shaken;

    impl ModuleMapper for Shaken {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|weight| {
                let noise = weight.random_like(Distribution::Normal(0.0, 0.05));
                weight + noise
            })
        }
    }

    fn start(model: &Predict, seed: u64) -> WorldState {
        let pixels: Vec<u8> = (0..16 * 24 * 3)
            .map(|index| (index * 7 + seed as usize * 31) as u8)
            .collect();
        let frame = Frame::from_rgb8(16, 24, &pixels).expect("the size fits");
        model.start(vec![vec![frame]], &[], seed).expect("the context fits")
    }

    fn actions(count: usize, offset: f32) -> Vec<Vec<f32>> {
        (0..count)
            .map(|step| (0..7).map(|index| offset + 0.1 * (step * 7 + index) as f32).collect())
            .collect()
    }

    fn predict_one(model: &Predict, state: &WorldState, actions: &[Vec<f32>]) -> Prediction {
        model
            .predict(&[PredictionRequest { state, actions }])
            .expect("prediction works")
            .remove(0)
    }

    #[test]
    fn batch_equals_singles() {
        let model = model();
        let states = [start(&model, 1), start(&model, 2), start(&model, 3)];
        let chunks = [actions(8, 0.0), actions(3, -1.0), actions(5, 0.5)];
        let requests: Vec<PredictionRequest<'_>> = states
            .iter()
            .zip(&chunks)
            .map(|(state, actions)| PredictionRequest { state, actions })
            .collect();
        let batch = model.predict(&requests).expect("prediction works");
        for ((state, actions), together) in states.iter().zip(&chunks).zip(&batch) {
            assert_eq!(&predict_one(&model, state, actions), together);
        }
    }

    #[test]
    fn one_frame_per_action_and_never_a_padded_one() {
        let model = model();
        let state = start(&model, 1);
        let prediction = predict_one(&model, &state, &actions(5, 0.0));
        assert_eq!(prediction.frames[0].len(), 5);
        assert_eq!(
            prediction.next_state.context[0],
            [prediction.frames[0][4].clone().clamped()]
        );
        assert_eq!(prediction.next_state.chunk_index, 1);
    }

    #[test]
    fn same_seed_same_episode() {
        let model = model();
        let state = start(&model, 1);
        let (first, second) = (
            predict_one(&model, &state, &actions(8, 0.0)),
            predict_one(&model, &state, &actions(8, 0.0)),
        );
        assert_eq!(first, second);
        let other = WorldState {
            seed: 9,
            ..state.clone()
        };
        assert_ne!(first.frames, predict_one(&model, &other, &actions(8, 0.0)).frames);
        let later = WorldState {
            chunk_index: 1,
            ..state
        };
        assert_ne!(first.frames, predict_one(&model, &later, &actions(8, 0.0)).frames);
    }

    #[test]
    fn the_gripper_is_where_the_actions_of_all_chunks_have_brought_it() {
        let mut config = config();
        config.action_reference = ActionReference::World(PoseLimits {
            meters: 0.01,
            radians: 0.2,
            low: [-1.0; 6],
            high: [1.0; 6],
            hand: None,
        });
        if let Some(action) = &mut config.dit.conditioning.action {
            action.action_dim = config.action_reference.network_dimensions(7);
        }
        let device = Device::flex();
        let networks = config.init(&device).map(&mut Shaken);
        let model = Predict::new(config, networks, None, None, &device).expect("the config is valid");
        let frame = start(&model, 1).context[0][0].clone();
        let begin = |proprioception: &[f32]| model.start(vec![vec![frame.clone()]], proprioception, 1);
        let forward = |count: usize| vec![vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]; count];

        let told = begin(&[0.1, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0]).expect("the state fits");
        let first = predict_one(&model, &told, &forward(8));
        let second = predict_one(&model, &first.next_state, &forward(3));
        assert_eq!(second.gripper_poses.len(), 3);
        assert_eq!(second.gripper_poses[2], second.next_state.gripper_pose);
        let GripperPose(pose) = second.next_state.gripper_pose.expect("the start is known");
        let expected = [0.1 + 11.0 * 0.01, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0];
        assert!(
            pose.iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() < 1e-6),
            "{pose:?}"
        );

        let not_told = begin(&[]).expect("it need not be known");
        assert_eq!(
            predict_one(&model, &not_told, &forward(8)).next_state.gripper_pose,
            None
        );
        assert_ne!(predict_one(&model, &not_told, &forward(8)).frames, first.frames);
        for (wrong, found) in [
            (vec![0.0; 3], "3 values"),
            (vec![f32::NAN; 7], "x = NaN"),
            (vec![0.1, 0.0, 20.0, 0.0, 0.0, 0.0, 0.0], "z = 20, not in -1 to 1"),
            (vec![0.1, 0.0, 0.2, 0.0, 0.0, 0.0, 8.0], "opening = 8, not in 0 to 1"),
        ] {
            let message = begin(&wrong).expect_err("no such state").to_string();
            assert!(
                message.contains(found) && message.contains("proprioception"),
                "{message}"
            );
        }
    }

    #[test]
    fn actions_change_the_frames() {
        let model = model();
        let state = start(&model, 1);
        let still = predict_one(&model, &state, &actions(8, 0.0));
        assert_ne!(still.frames, predict_one(&model, &state, &actions(8, 0.5)).frames);
    }

    #[test]
    fn wrong_actions_are_refused() {
        let model = model();
        let state = start(&model, 1);
        for (actions, expected) in [
            (Vec::new(), "1 to 8 actions"),
            (actions(9, 0.0), "9 were given"),
            (vec![vec![0.0; 6]], "6 values"),
            (vec![vec![f32::NAN; 7]], "a0"),
        ] {
            let error = model.predict(&[PredictionRequest {
                state: &state,
                actions: &actions,
            }]);
            let message = error.expect_err("the actions are wrong").to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        type Break = fn(&mut PredictConfig);
        let breaks: [(Break, &str); 5] = [
            (|config| config.spec.chunk_length = 6, "chunk_length is 6"),
            (|config| config.spec.width = 20, "the width is 20"),
            (|config| config.dit.in_channels = 16, "dit.in_channels is 16"),
            (|config| config.sampler.num_steps = 0, "sampler.num_steps is 0"),
            (
                |config| config.sampler.sigmas = SigmaTable::Uniform { shift: 5.0 },
                "starts below 1",
            ),
        ];
        for (breaks, expected) in breaks {
            let mut config = config();
            breaks(&mut config);
            let message = config.validate().expect_err("the config is broken").to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn config_survives_json() {
        let json = serde_json::to_string(&config()).expect("config serialises");
        let parsed: PredictConfig = serde_json::from_str(&json).expect("config parses");
        assert_eq!(serde_json::to_string(&parsed).expect("config serialises"), json);
        let unknown = json.replacen('{', "{\"chunks\": 3,", 1);
        let error = serde_json::from_str::<PredictConfig>(&unknown).expect_err("the key is unknown");
        assert!(error.to_string().contains("chunks"), "{error}");
    }
}
