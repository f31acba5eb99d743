//! A walk over a module that adds an adapter's factors to its linear layers.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::error::AdapterError;
use super::pairs::{Pair, factor, find_pairs};
use crate::checkpoint::key_map::{KeyMap, ModulePath};
use crate::checkpoint::source::CheckpointSource;
use crate::layers::untracked_cast;

/// Adds an adapter to a module's weights, `weight + scale * up * down`, in float32; returns the number of layers.
///
/// `scale` is alpha over rank: 1 in NVIDIA's recipe. Keys are those of `key_map`, without a prefix or with one of peft's,
/// diffusers' or NVIDIA's, and have `lora_A` and `lora_B` in the place of the weight.
///
/// Tensors `alpha` beside the factors are not used: one that gives another scale is an error that says which.
///
/// # Errors
/// [`AdapterError`]; an adapter that changes nothing is one. The module is unchanged then.
pub fn merge_adapter<M: Module>(
    module: &mut M,
    source: &CheckpointSource,
    key_map: &KeyMap,
    scale: f64,
) -> Result<usize, AdapterError> {
    if !scale.is_finite() {
        return Err(AdapterError::Scale { scale });
    }
    let pairs = find_pairs(source, key_map)?;
    pairs.values().try_for_each(|pair| pair.check_alpha(source, scale))?;
    let layers = pairs.len();
    let mut merger = Merger {
        source,
        scale,
        pairs,
        path: ModulePath::default(),
        changed: false,
        dtype: None,
        error: None,
    };
    let merged = module.clone().map(&mut merger);
    if let Some(error) = merger.error {
        return Err(error);
    }
    if let Some((_, pair)) = merger.pairs.pop_first() {
        return Err(factor(source, &pair.down, "belongs to no linear layer of the network"));
    }
    if !merger.changed {
        return Err(AdapterError::ChangesNothing {
            location: source.location().to_string(),
            layers,
            dtype: merger.dtype.map_or_else(String::new, |dtype| format!("{dtype:?}")),
        });
    }
    *module = merged;
    Ok(layers)
}

/// Walks a module and adds to its linear layers.
struct Merger<'a> {
    source: &'a CheckpointSource,
    scale: f64,
    pairs: BTreeMap<String, Pair>,
    path: ModulePath,
    changed: bool,
    dtype: Option<DType>,
    error: Option<AdapterError>,
}

impl Merger<'_> {
    /// Returns what is added to a layer of `[inputs, outputs]`.
    fn delta(
        &self,
        layer: &str,
        pair: &Pair,
        [inputs, outputs]: [usize; 2],
        device: &Device,
    ) -> Result<Tensor<2>, AdapterError> {
        let shape = |key: &str| self.source.shape(key).unwrap_or_default().to_vec();
        let (down, up) = (shape(&pair.down), shape(&pair.up));
        let fits = matches!((&down[..], &up[..]), ([rank, columns], [rows, other]) if rank == other && *columns == inputs && *rows == outputs);
        if !fits {
            return Err(AdapterError::Shape {
                location: self.source.location().to_string(),
                layer: layer.to_string(),
                layer_shape: [outputs, inputs],
                up,
                down,
            });
        }
        // Linear layers keep their weight turned, inputs first.
        let up = self.factor(&pair.up, up, device)?;
        let product = up.matmul(self.factor(&pair.down, down, device)?).transpose();
        Ok(product.mul_scalar(self.scale))
    }

    fn factor(&self, key: &str, shape: Vec<usize>, device: &Device) -> Result<Tensor<2>, AdapterError> {
        let values = self.source.read(key)?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(self.not_finite(
                format!("`{key}`"),
                "it was saved after its training had failed: use another file",
            ));
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
    }

    fn not_finite(&self, what: String, next: &'static str) -> AdapterError {
        AdapterError::NotFinite {
            location: self.source.location().to_string(),
            what,
            next,
        }
    }

    /// Adds a layer's factors to its weight.
    fn merged<const D: usize>(
        &mut self,
        layer: &str,
        pair: &Pair,
        weight: Tensor<D>,
    ) -> Result<Tensor<D>, AdapterError> {
        let (shape, dtype) = (weight.dims(), weight.dtype());
        self.dtype = Some(dtype);
        let delta = self.delta(layer, pair, [shape[0], shape[1]], &weight.device())?;
        let sum = untracked_cast(weight.clone(), DType::F32) + delta.reshape(shape);
        let sum = untracked_cast(sum, dtype);
        if !sum.clone().is_finite().all().into_scalar::<bool>() {
            let what = format!("the sum of `{layer}` and {} times the factors", self.scale);
            return Err(self.not_finite(what, "use a smaller scale, or another file"));
        }
        self.changed |= !sum.clone().equal(weight).all().into_scalar::<bool>();
        Ok(sum)
    }
}

impl ModuleMapper for Merger<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 || !self.path.is_linear_weight() || self.error.is_some() {
            return param;
        }
        let layer = self.path.parameter();
        let Some(pair) = self.pairs.remove(&layer) else {
            return param;
        };
        param.map(|weight| match self.merged(&layer, &pair, weight.clone()) {
            Ok(sum) => sum,
            Err(error) => {
                self.error = Some(error);
                weight
            }
        })
    }
}
