//! What a checkpoint holds, from the names and shapes of its tensors.

use burn::tensor::Device;

use super::error::RecognizeError;
use super::model::ReleasedModel;
use super::shapes::{Shapes, StoredNames};
use super::{dit, text_encoder, vae};
use crate::checkpoint::{CheckpointError, CheckpointSource, KeyMap, LoadReport, compare};
use crate::dit::DitConfig;
use crate::judge::JudgeNetworkConfig;
use crate::pipeline::PredictConfig;
use crate::text_encoder::{TextEmbedding, TextEmbeddingHeader, TextEncoderConfig};
use crate::vae::WanVaeConfig;

/// Names that the message about an unknown checkpoint lists.
const LISTED: usize = 3;

/// Metadata under which a world and a judge of Worldloop have their configs.
const CONFIG_KEY: &str = "config";

/// What a checkpoint holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Recognized {
    /// A diffusion transformer.
    Transformer(Box<Transformer>),
    /// A diffusion transformer with, or of, a control branch (Transfer2.5).
    Control(ControlNetwork),
    /// A video VAE.
    Vae(WanVaeConfig),
    /// A text encoder.
    TextEncoder(TextEncoderConfig),
    /// A world model of Worldloop: VAE and transformer in one file.
    World(Box<PredictConfig>),
    /// A judge of Worldloop.
    Judge(Box<JudgeNetworkConfig>),
    /// The embedding of a prompt.
    TextEmbedding(TextEmbeddingHeader),
}

/// A diffusion transformer in a checkpoint.
#[derive(Debug, Clone)]
pub struct Transformer {
    /// The network. What leaves no trace in the weights is that of the first model in `released`, or of the base model.
    pub config: DitConfig,
    /// Released models with weights of these shapes; those trained further have the same ones as their base.
    pub released: Vec<ReleasedModel>,
}

/// What is seen of a control branch. There is no network to compare it with in this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlNetwork {
    /// Columns of the layer that embeds the control: 520 in the general networks, 772 in that for seven cameras of a car,
    /// 72 in that for three cameras of a robot; none where the file has several such layers.
    pub embedder_columns: Option<usize>,
    /// Whether the network reads a reference image.
    pub image_context: bool,
    /// Whether the control passes through further layers before its blocks.
    pub input_hint_block: bool,
    /// Whether cameras attend to each other.
    pub cross_view: bool,
}

impl ControlNetwork {
    /// Returns the folder of Transfer2.5 whose networks have such an embedder; none where no released one has.
    pub fn family(&self) -> Option<&'static str> {
        match self.embedder_columns? {
            520 => Some("general (edge, depth, blur, seg)"),
            772 => Some("auto/multiview"),
            72 => Some("AgiBot (three cameras of a robot)"),
            _ => None,
        }
    }
}

/// Says which network the tensors of a checkpoint make up. Only names and shapes are looked at.
///
/// # Errors
/// [`RecognizeError`] if it is none that is known, or if an essential tensor is missing or of an impossible shape.
///
/// # Example
/// ```no_run
/// use worldloop_world_model::catalog::{Recognized, recognize};
/// use worldloop_world_model::checkpoint::CheckpointSource;
///
/// let source = CheckpointSource::open("model_ema_bf16.pt")?;
/// if let Recognized::Transformer(transformer) = recognize(&source)? {
///     println!("{} blocks", transformer.config.num_blocks);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recognize(source: &CheckpointSource) -> Result<Recognized, RecognizeError> {
    if let Some(recognized) = by_config(source)? {
        return Ok(recognized);
    }
    if let Some(header) = TextEmbedding::header_of(source) {
        return Ok(Recognized::TextEmbedding(header));
    }
    if let Some(control) = control_network(source) {
        return Ok(Recognized::Control(control));
    }
    let shapes = Shapes::new(source, KeyMap::dit(source), "diffusion transformer");
    if dit::is_transformer(&shapes) {
        let config = dit::config(&shapes)?;
        let released = dit::released(&config);
        let config = released.first().map_or(config, |model| model.network.clone());
        return Ok(Recognized::Transformer(Box::new(Transformer { config, released })));
    }
    let shapes = Shapes::new(source, KeyMap::vae(source), "video VAE");
    if vae::is_vae(&shapes) {
        return Ok(Recognized::Vae(vae::config(&shapes)?));
    }
    let shapes = Shapes::new(source, KeyMap::text_encoder(), "text encoder");
    if text_encoder::is_text_encoder(&shapes) {
        return Ok(Recognized::TextEncoder(text_encoder::config(&shapes)?));
    }
    Err(RecognizeError::Unknown {
        location: source.location().to_string(),
        tensors: source.keys().count(),
        found: source.keys().take(LISTED).map(str::to_string).collect(),
    })
}

/// Recognises what Worldloop itself saved, with its config.
fn by_config(source: &CheckpointSource) -> Result<Option<Recognized>, RecognizeError> {
    let Some(text) = source.metadata().get(CONFIG_KEY) else {
        return Ok(None);
    };
    if let Ok(config) = serde_json::from_str::<PredictConfig>(text) {
        config.validate_for(source).map_err(|error| RecognizeError::World {
            location: source.location().to_string(),
            source: Box::new(error),
        })?;
        return Ok(Some(Recognized::World(Box::new(config))));
    }
    let judge = serde_json::from_str::<JudgeNetworkConfig>(text).ok();
    Ok(judge
        .filter(JudgeNetworkConfig::is_valid)
        .map(|config| Recognized::Judge(Box::new(config))))
}

fn control_network(source: &CheckpointSource) -> Option<ControlNetwork> {
    let has = |part: &str| source.keys().any(|key| key.contains(part));
    if !has("control_blocks") && !has("control_embedder.") {
        return None;
    }
    // diffusers calls the layer by the name that the transformer's own has elsewhere.
    let embedder = source
        .keys()
        .find(|key| key.ends_with("control_embedder.proj.1.weight") || *key == "patch_embed.proj.weight");
    Some(ControlNetwork {
        embedder_columns: embedder.and_then(|key| source.shape(key)?.get(1).copied()),
        image_context: has("img_context_proj"),
        input_hint_block: has("input_hint_block"),
        cross_view: has("cross_view_attn"),
    })
}

impl Recognized {
    /// Compares the checkpoint with the network that it was recognised as; nothing is read but names and shapes.
    ///
    /// Keys that are missing have the prefix of the others. There is no answer for control networks and text embeddings.
    ///
    /// # Errors
    /// [`CheckpointError::Ambiguous`].
    pub fn compare(&self, source: &CheckpointSource, device: &Device) -> Result<Option<LoadReport>, CheckpointError> {
        let (report, key_map) = match self {
            Self::Transformer(transformer) => {
                let key_map = KeyMap::dit(source);
                (compare(&transformer.config.init(device), source, &key_map)?, key_map)
            }
            Self::Vae(config) => {
                let key_map = KeyMap::vae(source);
                (compare(&config.init(device), source, &key_map)?, key_map)
            }
            Self::TextEncoder(config) => {
                let key_map = KeyMap::text_encoder();
                (compare(&config.init(device), source, &key_map)?, key_map)
            }
            Self::World(config) => {
                let key_map = KeyMap::identity();
                (compare(&config.init(device), source, &key_map)?, key_map)
            }
            Self::Judge(config) => {
                let key_map = KeyMap::identity();
                (compare(&config.init(device), source, &key_map)?, key_map)
            }
            Self::Control(_) | Self::TextEmbedding(_) => return Ok(None),
        };
        Ok(Some(with_prefix(report, source, key_map)))
    }
}

/// Compares a transformer whose sizes could not be read off its tensors with the released model that shares most of them;
/// none where few fit. Nothing is read but names and shapes.
pub fn compare_with_closest(source: &CheckpointSource, device: &Device) -> Option<(ReleasedModel, LoadReport)> {
    let (model, report) = dit::closest(source, device)?;
    Some((model, with_prefix(report, source, KeyMap::dit(source))))
}

fn with_prefix(report: LoadReport, source: &CheckpointSource, key_map: KeyMap) -> LoadReport {
    let names = StoredNames::new(source, key_map);
    let missing = report.missing.iter().map(|key| names.with_prefix(key)).collect();
    LoadReport { missing, ..report }
}
