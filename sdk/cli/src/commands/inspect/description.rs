//! Networks in words.

use worldloop::world_model::catalog::{Recognized, Transformer};

/// Says in a line what a network is and how large.
pub(super) fn network(recognized: &Recognized) -> String {
    match recognized {
        Recognized::Transformer(transformer) => {
            let Transformer { config, .. } = &**transformer;
            format!(
                "diffusion transformer, {} blocks of width {}, {} heads, {} input columns, text of width {}",
                config.num_blocks,
                config.model_channels,
                config.num_heads,
                config.patch_channels() * config.patch_spatial * config.patch_spatial * config.patch_temporal,
                config.text_channels()
            )
        }
        Recognized::Control(control) => format!(
            "Transfer2.5 control network, {}; its keys are not compared",
            control.embedder_columns.map_or_else(
                || "several controls".to_owned(),
                |columns| format!("{columns} control columns")
            )
        ),
        Recognized::Vae(config) => format!(
            "video VAE, {} latent channels, {}x smaller in space and {}x in time, width {}",
            config.z_dim,
            config.spatial_compression(),
            config.temporal_compression(),
            config.base_dim
        ),
        Recognized::TextEncoder(config) => format!(
            "text encoder, {} layers of width {}, {} token ids",
            config.num_hidden_layers, config.hidden_size, config.vocab_size
        ),
        Recognized::World(config) => format!(
            "world of Worldloop, VAE with {} latent channels, transformer of {} blocks of width {}",
            config.vae.z_dim, config.dit.num_blocks, config.dit.model_channels
        ),
        Recognized::Judge(config) => format!("judge of Worldloop, tasks {}", config.tasks.join(", ")),
        Recognized::TextEmbedding(header) => {
            format!("text embedding of {:?}, shape {:?}", header.prompt, header.shape)
        }
        _ => "known to the library, but not to this command".to_owned(),
    }
}

/// Says which conditions a network has, and which released models it may be.
pub(super) fn variant(recognized: &Recognized) -> String {
    match recognized {
        Recognized::Transformer(transformer) => {
            let released: Vec<&str> = transformer.released.iter().map(|model| model.name).collect();
            let released = if released.is_empty() {
                "no released model has these sizes".to_owned()
            } else {
                format!("the sizes of {}", released.join(", "))
            };
            format!("{}; {released}", conditions(transformer))
        }
        Recognized::Control(control) => {
            let family = match control.family() {
                Some(family) => format!("the columns of {family}"),
                None => "no released control network has these columns".to_owned(),
            };
            let parts = [
                ("reference image", control.image_context),
                ("input hint block", control.input_hint_block),
                ("attention between cameras", control.cross_view),
            ];
            let parts: Vec<&str> = parts.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
            let parts = if parts.is_empty() {
                "control alone".to_owned()
            } else {
                parts.join(", ")
            };
            format!("{parts}; {family}")
        }
        Recognized::Vae(config) if config.base_dim == 96 && config.z_dim == 16 => {
            "the sizes of the Wan2.1 VAE".to_owned()
        }
        Recognized::TextEncoder(config) if (config.hidden_size, config.num_hidden_layers) == (3584, 28) => {
            "the sizes of Cosmos-Reason1-7B".to_owned()
        }
        Recognized::World(_) | Recognized::Judge(_) => "trained by Worldloop".to_owned(),
        Recognized::TextEmbedding(header) if header.prompt.is_empty() => "of the empty prompt".to_owned(),
        Recognized::TextEmbedding(_) => "of a prompt".to_owned(),
        _ => "none of the released ones".to_owned(),
    }
}

fn conditions(transformer: &Transformer) -> String {
    let conditioning = &transformer.config.conditioning;
    let mut parts = vec!["text".to_owned()];
    if let Some(action) = &conditioning.action {
        let columns = action.action_dim * action.actions_per_group();
        parts.push(format!("actions ({columns} columns)"));
    }
    if let Some(views) = &conditioning.views {
        parts.push(format!("{} views", views.n_cameras_emb));
    }
    if conditioning.camera.is_some() {
        parts.push("camera rays".to_owned());
    }
    if conditioning.image.is_some() {
        parts.push("reference image".to_owned());
    }
    parts.join(", ")
}
