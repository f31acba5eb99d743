//! Family `text_encoder`: the text tower of transformers' `Qwen2_5_VLForConditionalGeneration`.

use std::error::Error;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use serde_json::Value;
use worldloop::world_model::checkpoint::{CheckpointSource, KeyMap, load_matching};
use worldloop::world_model::dit::{Dit, DitConfig};
use worldloop::world_model::text_encoder::{TextEncoder, TextEncoderConfig, concat_standardized};
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::runner::{CaseResult, Outcome};

/// The projection of the text, which belongs to the transformer and is stored beside the text encoder in these cases.
const PROJECTION: [&str; 2] = ["crossattn_proj.0.weight", "crossattn_proj.0.bias"];

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let source = CheckpointSource::open(case.weights("text_encoder")?)?;
    let (encoder, _) = TextEncoder::load(&config(case)?, &source, DType::F32, device)?;
    let ids = input_ids(case.array("in.input_ids")?, device);

    let states = encoder.hidden_states(ids.clone());
    let stacked: Vec<_> = states.iter().map(Array::from_tensor).collect();
    checks.compare("out.hidden_states", &Array::stack(&stacked))?;
    checks.compare("out.embedding", &Array::from_tensor(&encoder.forward(ids)))?;
    if case.has("out.context") {
        let embedding = concat_standardized(&states[1..]);
        let context = transformer(case, &source, device)?.project_context(embedding);
        checks.compare("out.context", &Array::from_tensor(&context.tokens))?;
    }
    Ok(Outcome::Compared)
}

/// Reads a config, flat as in the files of checkpoints or nested as transformers writes it.
fn config(case: &Case) -> Result<TextEncoderConfig, Box<dyn Error>> {
    let json = case.config.get("text_config").unwrap_or(&case.config);
    let size = |name: &str| case.field::<usize>(json, name);
    let config = TextEncoderConfig::new(
        size("vocab_size")?,
        size("hidden_size")?,
        size("intermediate_size")?,
        size("num_hidden_layers")?,
        size("num_attention_heads")?,
        size("num_key_value_heads")?,
    )
    .with_rms_norm_eps(case.field(json, "rms_norm_eps")?)
    .with_rope_theta(rope_theta(case, json)?);
    config.validate()?;
    Ok(config)
}

/// Finds the base of the rotary frequencies, which moved into `rope_parameters` in newer files.
fn rope_theta(case: &Case, json: &Value) -> Result<f64, CaseError> {
    let nested = json.get("rope_parameters").unwrap_or(json);
    case.field(nested, "rope_theta")
        .or_else(|_| case.field(json, "rope_theta"))
}

fn input_ids(stored: &Array, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = stored.values.iter().map(|id| *id as i64).collect();
    Tensor::from_data(TensorData::new(ids, stored.shape.clone()), device)
}

/// Builds a small transformer of which only the projection of the text is the case's.
fn transformer(case: &Case, source: &CheckpointSource, device: &Device) -> Result<Dit, Box<dyn Error>> {
    let shape = source.shape(PROJECTION[0]).unwrap_or_default();
    let &[d_output, d_input] = shape else {
        return Err(format!("case {} has `{}` of shape {shape:?}", case.id, PROJECTION[0]).into());
    };
    let config = DitConfig::tiny()
        .with_crossattn_emb_channels(d_output)
        .with_crossattn_proj_in_channels(d_input);
    config.validate()?;
    let mut dit = config.init(device);
    let report = load_matching(&mut dit, source, &KeyMap::dit_nvidia())?;
    for key in PROJECTION {
        if !report.loaded.iter().any(|loaded| loaded == key) {
            return Err(format!("case {}: `{key}` was not loaded; {report}", case.id).into());
        }
    }
    Ok(dit)
}
