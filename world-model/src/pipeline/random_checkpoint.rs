//! Checkpoints in the released layout with weights that were drawn: for trying commands and for tests.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::checkpoint::{CheckpointError, CheckpointWriter, KeyMap, SaveDtype};
use crate::diffusion::NumpyRandom;
use crate::dit::{ConditioningConfig, DitConfig};
use crate::text_encoder::{NEGATIVE_PROMPT, TextEmbedding};
use crate::vae::WanVaeConfig;

/// File that marks a folder of weights that were drawn, not trained.
pub const RANDOM_MARK: &str = "RANDOM_WEIGHTS.txt";

/// What the mark tells a person.
const MARK_TEXT: &str = "The weights in this folder were drawn at random and trained on nothing. They have the layout of a released \
checkpoint and show that programs run; what they predict means nothing.\n";

/// Spread of what is added to biases and to scales of norms.
const SPREAD: f32 = 0.02;

/// Sizes of a checkpoint to be drawn, and the names of its files.
#[derive(Debug, Clone)]
pub struct RandomCheckpoint {
    /// The transformer.
    pub dit: DitConfig,
    /// The VAE.
    pub vae: WanVaeConfig,
    /// Tokens of each text embedding.
    pub text_tokens: usize,
    /// Files of text embeddings and the prompts that they are of.
    pub prompts: &'static [(&'static str, &'static str)],
    /// Path of the transformer inside the folder.
    pub transformer_file: &'static str,
}

impl RandomCheckpoint {
    /// Returns a checkpoint with all that makes up `robot/action-cond` (7 values per action, four actions and 8x8 pixels
    /// per latent frame, 16 latent channels, patches of 2x2) and so little width that a chunk of 12 frames of 256x320 takes
    /// seconds on a CPU.
    pub fn action_cond_tiny() -> Self {
        let wan = WanVaeConfig::wan2_1();
        Self {
            dit: DitConfig::tiny(),
            vae: WanVaeConfig {
                base_dim: 4,
                num_res_blocks: 1,
                ..wan
            },
            text_tokens: 8,
            prompts: &[("empty_prompt.safetensors", "")],
            transformer_file: "robot/action-cond/random-tiny_ema_bf16.pt",
        }
    }

    /// Returns a checkpoint with all that makes up a base model, which starts from a prompt, an image or a video, and so
    /// little width that a small clip takes seconds on a CPU. There are embeddings of the empty prompt, of the default
    /// negative prompt and of "push the cube".
    pub fn base_tiny() -> Self {
        Self {
            dit: DitConfig::tiny().with_conditioning(ConditioningConfig::new()),
            prompts: &[
                ("empty_prompt.safetensors", ""),
                ("negative_prompt.safetensors", NEGATIVE_PROMPT),
                ("push_the_cube.safetensors", "push the cube"),
            ],
            transformer_file: "base/random-tiny_ema_bf16.pt",
            ..Self::action_cond_tiny()
        }
    }

    /// Returns a checkpoint with all that makes up `auto/multiview`, which makes up to seven views of a drive, and so little
    /// width that small views take seconds on a CPU. There are embeddings of the empty prompt, of the default negative
    /// prompt, of "drive through the rain", and of the single space that views without a prompt read.
    pub fn multiview_tiny() -> Self {
        Self {
            dit: DitConfig::tiny().with_conditioning(
                ConditioningConfig::new().with_views(DitConfig::auto_multiview_2b().conditioning.views),
            ),
            prompts: &[
                ("empty_prompt.safetensors", ""),
                ("negative_prompt.safetensors", NEGATIVE_PROMPT),
                ("drive_through_the_rain.safetensors", "drive through the rain"),
                ("no_prompt.safetensors", " "),
            ],
            transformer_file: "auto/multiview/random-tiny_ema_bf16.pt",
            ..Self::action_cond_tiny()
        }
    }

    /// Returns a checkpoint with all that makes up `robot/multiview-agibot`, which makes the views of three cameras of a
    /// robot from their poses, and so little width that small views take seconds on a CPU. The embeddings are those of
    /// [`base_tiny`](Self::base_tiny).
    pub fn agibot_tiny() -> Self {
        Self {
            dit: DitConfig::tiny().with_conditioning(DitConfig::robot_multiview_agibot_2b().conditioning),
            transformer_file: "robot/multiview-agibot/random-tiny_ema_bf16.pt",
            ..Self::base_tiny()
        }
    }

    /// Writes the checkpoint in bfloat16, and returns its files. The same seed gives the same weights.
    ///
    /// # Errors
    /// [`CheckpointError::Write`].
    pub fn write(&self, folder: &Path, seed: u64, device: &Device) -> Result<Vec<PathBuf>, CheckpointError> {
        let mut drawn = Drawn(NumpyRandom::from_words(&[seed as u32, (seed >> 32) as u32]));
        let transformer = folder.join(self.transformer_file);
        make_folder(transformer.parent().unwrap_or(folder))?;
        // The mark comes first, so that the weights are never there without it.
        let mark = folder.join(RANDOM_MARK);
        std::fs::write(&mark, MARK_TEXT).map_err(|source| CheckpointError::Write {
            path: mark.clone(),
            source,
        })?;
        let dit = self.dit.init(device).map(&mut drawn);
        CheckpointWriter::new(SaveDtype::Bf16)
            .with_module("net.", &dit, &KeyMap::dit_nvidia())
            .save_pytorch(&transformer)?;
        let vae = folder.join("tokenizer.pth");
        CheckpointWriter::new(SaveDtype::Bf16)
            .with_module("", &self.vae.init(device).map(&mut drawn), &KeyMap::vae_original())
            .save_pytorch(&vae)?;
        let mut files = vec![mark, transformer, vae];
        let shape = [self.text_tokens, self.dit.text_channels()];
        for (file, prompt) in self.prompts {
            let text = folder.join(file);
            let embedding = TextEmbedding {
                tokens: drawn.tensor(shape, 1.0, device),
                prompt: (*prompt).to_owned(),
                model_fingerprint: format!("random, seed {seed}"),
            };
            embedding.write(&text, SaveDtype::Bf16)?;
            files.push(text);
        }
        Ok(files)
    }
}

fn make_folder(folder: &Path) -> Result<(), CheckpointError> {
    std::fs::create_dir_all(folder).map_err(|source| CheckpointError::Write {
        path: folder.to_path_buf(),
        source,
    })
}

/// Draws weights from the seed alone, whatever else in the process draws random numbers.
struct Drawn(NumpyRandom);

impl Drawn {
    fn tensor<const D: usize>(&mut self, shape: [usize; D], std: f32, device: &Device) -> Tensor<D> {
        let values = self.0.standard_normals(shape.iter().product());
        let values = values.into_iter().map(|value| value * std).collect();
        Tensor::from_data(TensorData::new::<f32, _>(values, shape), device)
    }
}

impl ModuleMapper for Drawn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().to_vec();
        let inputs = match shape[..] {
            [d_input, _] => d_input,
            _ => shape[1..].iter().product(),
        };
        let device = param.lazy_device();
        if inputs > 1 {
            let sizes: [usize; D] = std::array::from_fn(|axis| shape[axis]);
            let weight = self.tensor(sizes, (inputs as f32).sqrt().recip(), &device);
            let id = param.id;
            return param.transform_for_load(weight, id);
        }
        param.map(|weight| {
            let noise = self.tensor(weight.dims(), SPREAD, &weight.device());
            // Scales of norms start at 1. Biases start at random values, which another thread's draws may change.
            let starts_at_one = weight.clone().equal_elem(1.0).all().into_scalar::<bool>();
            if starts_at_one { weight + noise } else { noise }
        })
    }
}
