//! The stages of a run, as `generate` and `rollout` make it: the text encoder is dropped before VAE and transformer are read, and
//! these stay to the end.

use burn::tensor::Device;

use super::dit::DenoiseShape;
use super::plan::{MemoryRequest, Residency};
use super::stage::{Precision, Stage, StageMemory, network_bytes};
use super::text_encoder::text_encoder_memory;
use super::text_projection::TextShape;
use super::vae::{VaeShape, vae_decode_activations, vae_encode_activations};
use crate::catalog::{Given, ReleasedModel, SamplerPreset};
use crate::dit::DitConfig;
use crate::text_encoder::TextEncoderConfig;
use crate::vae::WanVaeConfig;

/// Tokens of a prompt in every release.
const TEXT_TOKENS: usize = 512;

/// A model with what does not depend on the clip.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) model: &'a ReleasedModel,
    vae: WanVaeConfig,
    vae_bytes: u64,
    /// Weights of the transformer in bfloat16.
    dit_bytes: u64,
    text_encoder: StageMemory,
}

impl<'a> Run<'a> {
    pub(super) fn new(model: &'a ReleasedModel, device: &Device) -> Self {
        let vae = WanVaeConfig::wan2_1();
        let encoder = TextEncoderConfig::cosmos_reason1_7b();
        Self {
            model,
            vae_bytes: network_bytes(&vae.init(device), Precision::F32),
            vae,
            dit_bytes: network_bytes(&model.network.init(device), Precision::Bf16),
            // Its weights are in bfloat16, whatever the transformer's are in.
            text_encoder: text_encoder_memory(&encoder, TEXT_TOKENS, Precision::Bf16, device),
        }
    }

    /// Returns the latent frames that the VAE decodes at once, if that is not the whole clip.
    pub(super) fn vae_piece(&self, request: &MemoryRequest) -> Option<usize> {
        let at_once = self.vae.latent_frames_at_once(request.size_px.iter().product());
        (at_once < self.vae.latent_frames(request.frames)).then_some(at_once)
    }

    /// Lists the stages of a clip in their order.
    pub(super) fn stages(
        &self,
        request: &MemoryRequest,
        precision: Precision,
        residency: Residency,
    ) -> Vec<StageMemory> {
        let network = &self.model.network;
        let texts = self.texts(residency);
        let weights = self.vae_bytes + self.dit_bytes / Precision::Bf16.bytes() * precision.bytes();
        let stage = |stage, activations| StageMemory {
            stage,
            weights,
            activations,
        };
        let waiting = texts.waiting_bytes(network);
        let kept = waiting + texts.kept_bytes(network, precision);
        let mut stages = Vec::new();
        if residency == Residency::TextEncoderFirst {
            stages.push(StageMemory {
                activations: self.text_encoder.activations + waiting,
                ..self.text_encoder
            });
        }
        let latent_frames = self.vae.latent_frames(request.frames);
        let denoise = self.denoise(request, texts, latent_frames);
        stages.push(stage(Stage::Load, waiting + loading(network, precision)));
        stages.push(stage(Stage::TextProjection, texts.activations(network, precision)));
        let views = self.model.views;
        let given = self.given_latent_frames().min(latent_frames);
        if given > 0 {
            let shape = self.vae_shape(request, given);
            stages.push(stage(
                Stage::VaeEncode,
                kept + vae_encode_activations(&self.vae, shape, views),
            ));
        }
        stages.push(stage(Stage::Denoise, waiting + denoise.activations(network, precision)));
        let shape = self.vae_shape(request, latent_frames);
        stages.push(stage(
            Stage::VaeDecode,
            kept + vae_decode_activations(&self.vae, shape, views),
        ));
        stages
    }

    fn texts(&self, residency: Residency) -> TextShape {
        // Only a network that knows its views has a text for each.
        let views = self.model.network.conditioning.views.as_ref();
        let texts = views.map_or(1, |_| self.model.views);
        let is_guided = self.model.sampler.is_guided();
        TextShape {
            tokens: TEXT_TOKENS,
            texts,
            is_guided,
            waiting: match residency {
                Residency::TextEncoderFirst => texts + usize::from(is_guided),
                Residency::WithoutTextEncoder => 0,
            },
        }
    }

    fn denoise(&self, request: &MemoryRequest, texts: TextShape, latent_frames: usize) -> DenoiseShape {
        let space = self.vae.spatial_compression();
        let [height, width] = request.size_px;
        let last = usize::from(texts.texts > 1);
        DenoiseShape {
            batch: 1,
            latents: [self.model.views * latent_frames, height / space, width / space],
            text_tokens: (texts.texts + last) * texts.tokens,
            is_guided: texts.is_guided,
            is_streaming: matches!(self.model.sampler, SamplerPreset::Stream(_)),
        }
    }

    fn vae_shape(&self, request: &MemoryRequest, latent_frames: usize) -> VaeShape {
        VaeShape {
            // Views go through the VAE one after the other.
            batch: 1,
            latent_frames,
            latent_frames_at_once: self.vae.latent_frames_at_once(request.size_px.iter().product()),
            size_px: request.size_px,
        }
    }

    /// Only the given frames are encoded: one, or five of a video.
    fn given_latent_frames(&self) -> usize {
        if self.model.given.contains(&Given::Video) {
            2
        } else {
            usize::from(self.model.given.contains(&Given::Image))
        }
    }
}

/// Bytes beside the weights while the widest one of a block is read: as stored in bfloat16, decoded, and turned. Wider ones
/// outside of the blocks are read before these.
fn loading(network: &DitConfig, precision: Precision) -> u64 {
    let widest = (network.model_channels * network.mlp_channels()) as u64;
    widest * (Precision::Bf16.bytes() + 2 * precision.bytes())
}
