//! The table of released models.
//!
//! Source: `packages/cosmos-oss/cosmos_oss/checkpoints_predict2.py` of cosmos-transfer2.5@2ff49d0 (files, revisions,
//! experiments), the experiments that it names (sampler flags), and the README of cosmos-predict2.5@23d987f (licence).
//! Differs: an older `auto/multiview` file is left out, because its experiment is not public.

use super::model::{Given, HubFile, ReleasedModel, SamplerPreset, Verification};
use crate::diffusion::{GuidanceFormula, SamplerConfig, SigmaTable, TrigFlow};
use crate::dit::DitConfig;

const REPOSITORY_2B: &str = "nvidia/Cosmos-Predict2.5-2B";
const REPOSITORY_14B: &str = "nvidia/Cosmos-Predict2.5-14B";
const LICENCE: &str = "NVIDIA Open Model License";

/// Stands where no weights are public.
const NO_LICENCE: &str = "no public weights";

/// What the models for one camera can start from.
const BASE_GIVEN: &[Given] = &[Given::Text, Given::Image, Given::Video];

/// Frames per second of the files of the models for one camera.
pub const BASE_FRAME_RATE_HZ: f64 = 16.0;

/// Frames per second of the files of the models for several cameras, where a request does not say.
pub const VIEWS_FRAME_RATE_HZ: f64 = 30.0;

/// Frames per second of the files of the action-conditioned model.
pub const ACTION_FRAME_RATE_HZ: f64 = 20.0;

const BASE_NETWORK: &[&str] = &["dit", "ref_dit"];
const SHIFT: &[&str] = &["ref_sampler/shift5", "scheduler/unipc_shift5_nvidia"];
const KARRAS: &[&str] = &["ref_sampler/karras", "scheduler/unipc_karras"];

/// Given frames have this time in the models that descend from `2b/post-trained`, in thousandths.
const GIVEN_TIME: Option<f64> = Some(0.1);

/// Returns where the VAE of all models is, in the format of Wan2.1.
pub fn vae_weights() -> HubFile {
    HubFile {
        repository: REPOSITORY_2B,
        file: "tokenizer.pth",
        revision: "6787e176",
    }
}

/// Returns the files of the text encoder of all models; the last one is the index that names its shards.
pub fn text_encoder_weights() -> [HubFile; 3] {
    ["config.json", "tokenizer.json", "model.safetensors.index.json"].map(|file| HubFile {
        repository: "nvidia/Cosmos-Reason1-7B",
        file,
        revision: "3210bec0",
    })
}

/// Returns every released Predict2.5 model, the default one first.
pub fn released_models() -> Vec<ReleasedModel> {
    vec![
        base_2b(
            "predict2.5-2b/post-trained",
            "base/post-trained/81edfebe-bd6a-4039-8c1d-737df1a790bf_ema_bf16.pt",
            SamplerConfig {
                sigmas: SigmaTable::Karras,
                conditional_frame_timestep: GIVEN_TIME,
                ..guided(7.0)
            },
            KARRAS,
        ),
        base_2b(
            "predict2.5-2b/pre-trained",
            "base/pre-trained/d20b7120-df3e-4911-919d-db6e08bad31c_ema_bf16.pt",
            guided(7.0),
            SHIFT,
        ),
        distilled_2b(),
        base_14b(
            "predict2.5-14b/post-trained",
            "base/post-trained/e21d2a49-4747-44c8-ba44-9f6f9243715f_ema_bf16.pt",
            "2bc4ca5b",
        ),
        base_14b(
            "predict2.5-14b/pre-trained",
            "base/pre-trained/54937b8c-29de-4f04-862c-e67b04ec41e8_ema_bf16.pt",
            "03eb354f",
        ),
        gr00tdream_gr1(),
        action_cond(),
        action_cond_whole_chunk(),
        streaming_action_gr1(),
        auto_multiview(),
        robot_multiview_agibot(),
    ]
}

/// The released pipelines' 35 steps on the shift-5 table, with guidance.
fn guided(guidance_scale: f64) -> SamplerConfig {
    SamplerConfig {
        guidance_scale,
        ..SamplerConfig::default()
    }
}

fn base_2b(
    name: &'static str,
    file: &'static str,
    sampler: SamplerConfig,
    sampler_vectors: &'static [&'static str],
) -> ReleasedModel {
    ReleasedModel {
        name,
        weights: Some(HubFile {
            repository: REPOSITORY_2B,
            file,
            revision: "15a82a2e",
        }),
        network: DitConfig::predict2_5_2b(),
        sampler: SamplerPreset::Flow(sampler),
        given: BASE_GIVEN,
        latent_frames: 24,
        views: 1,
        size_px: [704, 1280],
        frame_rate_hz: BASE_FRAME_RATE_HZ,
        licence: LICENCE,
        verification: Verification {
            network: BASE_NETWORK,
            sampler: sampler_vectors,
            open: "",
        },
    }
}

fn base_14b(name: &'static str, file: &'static str, revision: &'static str) -> ReleasedModel {
    ReleasedModel {
        weights: Some(HubFile {
            repository: REPOSITORY_14B,
            file,
            revision,
        }),
        network: DitConfig::predict2_5_14b(),
        ..base_2b(name, file, guided(7.0), SHIFT)
    }
}

fn distilled_2b() -> ReleasedModel {
    let file = "base/distilled/575edf0f-d973-4c74-b52c-69929a08d0a5_ema_bf16.pt";
    ReleasedModel {
        weights: Some(HubFile {
            repository: REPOSITORY_2B,
            file,
            revision: "e26f8a12",
        }),
        network: DitConfig::predict2_5_2b_distilled(),
        sampler: SamplerPreset::TrigFlow(TrigFlow::four_steps()),
        given: &[Given::Text],
        verification: Verification {
            network: &["ref_dit/distilled_timestep_scale_1"],
            sampler: &["ref_sampler/trigflow_4step"],
            open: "what it rounds to bfloat16 follows the published code and was compared with no vectors",
        },
        ..base_2b("predict2.5-2b/distilled", file, SamplerConfig::default(), SHIFT)
    }
}

fn action_cond() -> ReleasedModel {
    let file = "robot/action-cond/38c6c645-7d41-4560-8eeb-6f4ddc0e6574_ema_bf16.pt";
    ReleasedModel {
        weights: Some(HubFile {
            repository: REPOSITORY_2B,
            file,
            revision: "main",
        }),
        network: DitConfig::action_cond_2b(),
        given: &[Given::Image, Given::Actions],
        latent_frames: 4,
        size_px: [256, 320],
        frame_rate_hz: ACTION_FRAME_RATE_HZ,
        verification: Verification {
            network: &["ref_dit_action"],
            sampler: SHIFT,
            open: "guidance is off: the released pipeline compares two equal branches",
        },
        // No frame but the first is given, and its text is the empty prompt in both branches.
        ..base_2b("predict2.5-2b/robot/action-cond", file, guided(0.0), SHIFT)
    }
}

/// The 14B network trained further on a humanoid, without actions.
fn gr00tdream_gr1() -> ReleasedModel {
    ReleasedModel {
        weights: None,
        licence: NO_LICENCE,
        verification: Verification {
            network: BASE_NETWORK,
            sampler: SHIFT,
            open: "its publisher's list of checkpoints names no file; network and sampler are those of its base",
        },
        ..base_14b("predict2.5-14b/robot/gr00tdream-gr1", "", "")
    }
}

/// The older class, which is in the published code beside the released one.
fn action_cond_whole_chunk() -> ReleasedModel {
    ReleasedModel {
        name: "predict2.5-2b/robot/action-cond-whole-chunk",
        weights: None,
        licence: NO_LICENCE,
        network: DitConfig::action_cond_whole_chunk_2b(),
        verification: Verification {
            network: &["ref_dit_action/whole_chunk_class"],
            sampler: SHIFT,
            open: "no released weights are of this class; sampler and sizes are those of robot/action-cond",
        },
        ..action_cond()
    }
}

/// The student that makes one latent frame after the other, for a humanoid of 29 joints.
fn streaming_action_gr1() -> ReleasedModel {
    ReleasedModel {
        name: "predict2.5-2b/robot/action-gr1-streaming",
        weights: None,
        licence: NO_LICENCE,
        network: DitConfig::streaming_action_gr1_2b(),
        sampler: SamplerPreset::Stream(TrigFlow::four_steps_by_frame()),
        size_px: [480, 832],
        frame_rate_hz: 10.0,
        verification: Verification {
            network: &["ref_dit_action/causal_kv_window2", "ref_dit_action/causal_kv_full"],
            sampler: &["ref_dit_action/causal_kv_full"],
            open: "its weights are in a repository that is open to NVIDIA alone",
        },
        ..action_cond()
    }
}

fn auto_multiview() -> ReleasedModel {
    let file = "auto/multiview/524af350-2e43-496c-8590-3646ae1325da_ema_bf16.pt";
    let sampler = SamplerConfig {
        guidance_formula: GuidanceFormula::FromUnconditional,
        ..guided(3.0)
    };
    ReleasedModel {
        weights: Some(HubFile {
            repository: REPOSITORY_2B,
            file,
            revision: "865baf08",
        }),
        network: DitConfig::auto_multiview_2b(),
        latent_frames: 8,
        views: 7,
        size_px: [720, 1280],
        frame_rate_hz: VIEWS_FRAME_RATE_HZ,
        verification: Verification {
            network: &["ref_dit_multiview"],
            sampler: SHIFT,
            open: "its pipeline follows the published code and was compared with no vectors",
        },
        ..base_2b("predict2.5-2b/auto/multiview", file, sampler, SHIFT)
    }
}

fn robot_multiview_agibot() -> ReleasedModel {
    let file = "robot/multiview-agibot/f740321e-2cd6-4370-bbfe-545f4eca2065_ema_bf16.pt";
    // Its config asks for the Karras table, but its pipeline never passes that on.
    let sampler = SamplerConfig {
        conditional_frame_timestep: GIVEN_TIME,
        ..guided(7.0)
    };
    ReleasedModel {
        weights: Some(HubFile {
            repository: REPOSITORY_2B,
            file,
            revision: "fbe72c18",
        }),
        network: DitConfig::robot_multiview_agibot_2b(),
        given: &[Given::Image, Given::CameraPoses],
        views: 3,
        frame_rate_hz: VIEWS_FRAME_RATE_HZ,
        verification: Verification {
            network: &["ref_dit_camera"],
            sampler: SHIFT,
            open: "its pipeline follows the published code and was compared with no vectors",
        },
        ..base_2b("predict2.5-2b/robot/multiview-agibot", file, sampler, SHIFT)
    }
}
