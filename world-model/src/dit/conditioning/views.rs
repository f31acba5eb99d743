//! Several cameras in one clip, one after the other on the time axis.
//!
//! Source: `cosmos_transfer2/_src/predict2_multiview/networks/multiview_dit.py` (`MultiViewDiT`) and
//! `multiview_cross_dit.py` (`MultiViewCrossDiT`) of cosmos-transfer2.5@2ff49d0.
//! Differs: the two upstream classes are values of one config; cameras are the same for all frames of a view.

use burn::config::Config;
use burn::module::{Initializer, Module};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::super::config::{DitConfigError, check_sizes};
use super::super::modulation::Modulation;
use crate::layers::{linear_f32, untracked_cast};

/// Vectors of a view's modulation: shift, scale and gate of three sub-layers.
const MODULATION_PARTS: usize = 9;

/// Spread of fresh embeddings for the modulation.
const MODULATION_STD: f64 = 0.05;

/// Configuration of [`Views`].
#[derive(Config, Debug)]
pub struct ViewsConfig {
    /// Latent frames of one view.
    pub state_t: usize,
    /// Cameras that the network knows, numbered from zero.
    pub n_cameras_emb: usize,
    /// Width of the camera's embedding that joins the latents as channels; absent where there are no such channels.
    pub view_condition_dim: Option<usize>,
    /// Whether the camera modulates the sub-layers.
    #[config(default = false)]
    pub adaln_view_embedding: bool,
    /// Cameras that each camera attends to, at the same time. Self-attention is then within a view; where this is
    /// absent, it is over all views at once.
    pub cross_view_attn_map: Option<Vec<Vec<usize>>>,
}

/// What tells the views of a clip from each other.
#[derive(Module, Debug)]
pub struct Views {
    /// Embedding of the camera as channels; `view_embeddings` upstream.
    pub channels: Option<Embedding>,
    /// Modulation by the camera.
    pub modulation: Option<ViewModulation>,
    /// Latent frames of one view.
    pub state_t: usize,
    /// Cameras that the network knows.
    pub n_cameras_emb: usize,
    #[module(skip)]
    neighbours: Option<Vec<Vec<usize>>>,
}

/// Embeds a camera as the modulation of three sub-layers.
#[derive(Module, Debug)]
pub struct ViewModulation {
    /// Embedding of the camera; `adaln_view_embedder` upstream.
    pub embedder: Embedding,
    /// Projection to nine vectors, zero at the start of training; `adaln_view_proj` upstream.
    pub proj: Linear,
}

/// What the blocks read of the views of a clip.
#[derive(Debug, Clone)]
pub struct ViewConditions {
    /// Number of views.
    pub count: usize,
    /// Views that each view attends to, for every clip or once for all; empty where views do not attend to others.
    pub neighbours: Vec<Vec<Vec<usize>>>,
    /// Added to the modulation of self-attention, cross-attention and feed-forward layer, in this order.
    pub modulations: Option<[Modulation; 3]>,
}

impl ViewsConfig {
    /// Initialises the parts for a network of the given width.
    pub fn init(&self, model_channels: usize, device: &Device) -> Views {
        let cameras = self.n_cameras_emb;
        Views {
            channels: self
                .view_condition_dim
                .map(|width| EmbeddingConfig::new(cameras, width).init(device)),
            modulation: self.adaln_view_embedding.then(|| ViewModulation {
                embedder: EmbeddingConfig::new(cameras, model_channels)
                    .with_initializer(Initializer::Normal {
                        mean: 0.0,
                        std: MODULATION_STD,
                    })
                    .init(device),
                proj: LinearConfig::new(model_channels, MODULATION_PARTS * model_channels)
                    .with_initializer(Initializer::Zeros)
                    .init(device),
            }),
            state_t: self.state_t,
            n_cameras_emb: cameras,
            neighbours: self.cross_view_attn_map.clone(),
        }
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// [`DitConfigError::Zero`] where a size is zero, [`DitConfigError::Neighbours`] where the map does not have an
    /// entry per camera, or names a camera that there is not.
    pub fn validate(&self) -> Result<(), DitConfigError> {
        let cameras = self.n_cameras_emb;
        let sizes = [
            ("state_t", self.state_t),
            ("n_cameras_emb", cameras),
            ("view_condition_dim", self.view_condition_dim.unwrap_or(1)),
        ];
        check_sizes(&sizes)?;
        match &self.cross_view_attn_map {
            Some(map) if map.len() != cameras || map.iter().flatten().any(|camera| *camera >= cameras) => {
                Err(DitConfigError::Neighbours { cameras })
            }
            _ => Ok(()),
        }
    }
}

impl Views {
    /// Returns how many views a clip of so many latent frames has.
    ///
    /// # Panics
    /// If the frames are no whole number of views.
    pub fn count(&self, frames: usize) -> usize {
        let per_view = self.state_t;
        assert!(
            frames > 0 && frames.is_multiple_of(per_view),
            "{frames} latent frames are no whole number of views of {per_view}"
        );
        frames / per_view
    }

    /// Returns the camera of every view, for every clip or once for all: those given, or cameras in their order.
    ///
    /// Cameras beyond the last one count as the last one, as upstream.
    ///
    /// # Panics
    /// If there are neither one list nor `batch` lists, or a list does not have an entry per view.
    pub fn ids(&self, given: Option<&[Vec<usize>]>, batch: usize, frames: usize) -> Vec<Vec<usize>> {
        let count = self.count(frames);
        let known = |id: usize| id.min(self.n_cameras_emb - 1);
        let Some(given) = given else {
            return vec![(0..count).map(known).collect()];
        };
        assert!(
            given.len() == 1 || given.len() == batch,
            "{} lists of views do not fit {batch} clips",
            given.len()
        );
        let complete = |ids: &Vec<usize>| {
            assert_eq!(ids.len(), count, "cameras of a clip with {count} views");
            ids.iter().map(|id| known(*id)).collect()
        };
        given.iter().map(complete).collect()
    }

    /// Embeds the camera of every view as channels of its latents, where the network has them.
    ///
    /// # Shapes
    /// - ids: `[batch or 1][views]`
    /// - output: `[batch, view_condition_dim, frames, height, width]`, the dtype of the weights
    pub fn channels(&self, ids: &[Vec<usize>], [batch, frames, height, width]: [usize; 4]) -> Option<Tensor<5>> {
        let embedded = embed(self.channels.as_ref()?, ids);
        let [lists, count, channels] = embedded.dims();
        let constant = embedded.swap_dims(1, 2).reshape([lists, channels, count, 1, 1, 1]);
        let shape = [batch, channels, count, frames / count, height, width];
        Some(constant.expand(shape).reshape([batch, channels, frames, height, width]))
    }

    /// Computes what the blocks read, for clips of `frames` token frames.
    pub fn conditions(&self, ids: &[Vec<usize>], batch: usize, frames: usize, dtype: DType) -> ViewConditions {
        let count = ids.first().map_or(1, Vec::len);
        let positions = |ids: &Vec<usize>, neighbours: &[Vec<usize>]| -> Vec<Vec<usize>> {
            let of = |id: &usize| {
                (0..count)
                    .filter(|view| neighbours[*id].contains(&ids[*view]))
                    .collect()
            };
            ids.iter().map(of).collect()
        };
        let modulations = self.modulation.as_ref().map(|modulation| {
            let vectors = untracked_cast(modulation.forward(ids), dtype);
            let [lists, _, width] = vectors.dims();
            let vectors = vectors
                .reshape([lists, count, 1, width])
                .expand([batch, count, frames / count, width])
                .reshape([batch, frames, 1, width]);
            let part = |index: usize| {
                let model_channels = width / MODULATION_PARTS;
                vectors.clone().narrow(3, index * model_channels, model_channels)
            };
            [0, 3, 6].map(|first| Modulation {
                shift: part(first),
                scale: part(first + 1),
                gate: part(first + 2),
            })
        });
        ViewConditions {
            count,
            neighbours: match &self.neighbours {
                Some(neighbours) => ids.iter().map(|ids| positions(ids, neighbours)).collect(),
                None => Vec::new(),
            },
            modulations,
        }
    }
}

impl ViewModulation {
    /// Embeds cameras and projects them to shift, scale and gate of three sub-layers, in float32.
    ///
    /// # Shapes
    /// - ids: `[batch][views]`
    /// - output: `[batch, views, 9 * model_channels]`, float32
    pub fn forward(&self, ids: &[Vec<usize>]) -> Tensor<3> {
        linear_f32(&self.proj, embed(&self.embedder, ids))
    }
}

impl ViewConditions {
    /// Applies a layer to every view as if it were a clip of its own.
    ///
    /// # Shapes
    /// - tokens: `[batch, views * frames, tokens, model_channels]`; the layer gets `[batch * views, frames, ..]`
    /// - output: `[batch, views * frames, tokens, model_channels]`
    pub fn each(&self, tokens: Tensor<4>, layer: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let [batch, frames, per_frame, width] = tokens.dims();
        let apart = tokens.reshape([batch * self.count, frames / self.count, per_frame, width]);
        layer(apart).reshape([batch, frames, per_frame, width])
    }
}

/// Looks cameras up: `[batch][views]` to `[batch, views, width]`.
fn embed(embedding: &Embedding, ids: &[Vec<usize>]) -> Tensor<3> {
    let shape = [ids.len(), ids.first().map_or(0, Vec::len)];
    let ids: Vec<i64> = ids.iter().flatten().map(|id| *id as i64).collect();
    let device = embedding.weight.device();
    embedding.forward(Tensor::<2, Int>::from_data(TensorData::new(ids, shape), &device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ViewsConfig {
        ViewsConfig::new(2, 3).with_view_condition_dim(Some(4))
    }

    #[test]
    fn a_view_has_its_cameras_channels_in_all_its_frames() {
        let views = config().init(8, &Device::flex());
        let ids = views.ids(Some(&[vec![2, 0], vec![1, 1]]), 2, 4);
        let channels = views.channels(&ids, [2, 4, 1, 1]).expect("channels");
        assert_eq!(channels.dims(), [2, 4, 4, 1, 1]);
        let embedding = views.channels.as_ref().expect("channels").weight.val();
        let camera = |index: usize| embedding.clone().narrow(0, index, 1).into_data();
        let of = |clip: usize, frame: usize| {
            let channels = channels.clone().narrow(0, clip, 1).narrow(2, frame, 1);
            channels.reshape([1, 4]).into_data()
        };
        for (clip, frame, index) in [(0, 0, 2), (0, 1, 2), (0, 2, 0), (0, 3, 0), (1, 0, 1), (1, 3, 1)] {
            assert_eq!(of(clip, frame), camera(index), "clip {clip}, frame {frame}");
        }
    }

    #[test]
    fn neighbours_that_are_missing_from_a_clip_are_left_out() {
        let map = vec![vec![1, 2], vec![0], vec![]];
        let views = config().with_cross_view_attn_map(Some(map)).init(8, &Device::flex());
        let ids = views.ids(Some(&[vec![0, 2]]), 1, 4);
        let conditions = views.conditions(&ids, 1, 4, DType::F32);
        assert_eq!(conditions.neighbours, [[vec![1], vec![]]]);
    }

    #[test]
    fn a_map_must_name_known_cameras() {
        let config = config().with_cross_view_attn_map(Some(vec![vec![3], vec![], vec![]]));
        assert_eq!(config.validate(), Err(DitConfigError::Neighbours { cameras: 3 }));
    }

    #[test]
    #[should_panic(expected = "5 latent frames are no whole number of views of 2")]
    fn frames_must_fill_the_views() {
        let _ = config().init(8, &Device::flex()).count(5);
    }
}
