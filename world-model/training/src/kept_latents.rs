//! Latents in half precision, kept in a file of the training's folder.

use std::path::Path;

use burn::tensor::Tensor;
use half::f16;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::error::TrainingError;
use crate::parameters::to_vec;
use crate::resume::write_atomically;

/// Name of the array in the file.
const LATENTS: &str = "latents";
/// Key of the fingerprint in the file's metadata.
const FINGERPRINT: &str = "fingerprint";

/// Normalised latents of many clips of one shape.
///
/// The error of half precision is far below the VAE's, and there are many of them.
#[derive(Debug, Default)]
pub(crate) struct KeptLatents {
    /// Shape of one clip's latents: channels, frames, height, width.
    pub(crate) shape: [usize; 4],
    values: Vec<f16>,
}

impl KeptLatents {
    /// Adds a batch of clips, `[batch, channels, frames, height, width]`.
    pub(crate) fn push(&mut self, latents: Tensor<5>) {
        let [_, channels, frames, height, width] = latents.dims();
        self.shape = [channels, frames, height, width];
        self.values.extend(to_vec(latents).into_iter().map(f16::from_f32));
    }

    /// Returns the number of clips.
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.size().max(1)
    }

    /// Returns the latents of the clip at a position, channels first.
    pub(crate) fn clip(&self, position: usize) -> &[f16] {
        &self.values[position * self.size()..][..self.size()]
    }

    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads the latents of a file, if it holds as many clips as expected, of this fingerprint.
    pub(crate) fn read(path: &Path, fingerprint: &str, count: usize) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).ok()?;
        if metadata.metadata().as_ref()?.get(FINGERPRINT)? != fingerprint {
            return None;
        }
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let latents = file.tensor(LATENTS).ok()?;
        let (&found, shape) = latents.shape().split_first()?;
        if found != count || latents.dtype() != Dtype::F16 {
            return None;
        }
        let halves = latents.data().chunks_exact(2);
        Some(Self {
            shape: shape.try_into().ok()?,
            values: halves.map(|pair| f16::from_le_bytes([pair[0], pair[1]])).collect(),
        })
    }

    /// Writes the latents with what they are the latents of.
    pub(crate) fn write(&self, path: &Path, fingerprint: String) -> Result<(), TrainingError> {
        let damaged = |source| TrainingError::State {
            path: path.to_path_buf(),
            source,
        };
        let bytes: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = std::iter::once(self.len()).chain(self.shape).collect();
        let view = TensorView::new(Dtype::F16, shape, &bytes).map_err(damaged)?;
        let metadata = [(FINGERPRINT.to_string(), fingerprint)].into();
        write_atomically(
            path,
            &safetensors::serialize([(LATENTS, view)], Some(metadata)).map_err(damaged)?,
        )
    }
}
