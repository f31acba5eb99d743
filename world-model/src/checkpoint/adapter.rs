//! Low-rank adapters (LoRA), added to the weights they were trained for.
//!
//! Source: `cosmos_transfer2/_src/predict2/models/text2world_model.py` of cosmos-transfer2.5@2ff49d0 (`add_lora`: rank 32,
//! alpha 32) and the key names of peft and diffusers.
//! Differs: the adapter is merged at once; it can't be switched off or swapped between steps.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::error::CheckpointError;
use super::key_map::{KeyMap, ModulePath};
use super::source::CheckpointSource;
use crate::layers::untracked_cast;

/// What peft and diffusers put before the names of the network.
const PREFIXES: [&str; 3] = ["base_model.model.", "transformer.", "net."];

/// Endings of the two factors; the name of the adapter, where there is one, is `default`.
const DOWN: [&str; 2] = [".lora_A.weight", ".lora_A.default.weight"];
const UP: [&str; 2] = [".lora_B.weight", ".lora_B.default.weight"];

/// Why an adapter was not merged; the module is unchanged then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// There are no factors in the file.
    #[error(
        "{location} is not a low-rank adapter: none of its {tensors} tensors ends in `.lora_A.weight`; pass the file that \
         peft or diffusers saved (adapter_model.safetensors, pytorch_lora_weights.safetensors)"
    )]
    NotAnAdapter {
        /// The file.
        location: String,
        /// Tensors in it.
        tensors: usize,
    },
    /// One factor lacks the other, or belongs to no layer of the network.
    #[error("`{key}` of the adapter {location} {problem}; check that it was trained for this network")]
    Factor {
        /// The file.
        location: String,
        /// The factor.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The factors do not multiply to the shape of the layer.
    #[error(
        "the adapter {location} has factors of {up:?} and {down:?} for `{layer}`, which is {layer_shape:?}; it was trained \
         for another network"
    )]
    Shape {
        /// The file.
        location: String,
        /// The layer.
        layer: String,
        /// Outputs and inputs of the layer.
        layer_shape: [usize; 2],
        /// Shape of the factor on the output side.
        up: Vec<usize>,
        /// Shape of the factor on the input side.
        down: Vec<usize>,
    },
    /// No weight is another one with the adapter.
    #[error(
        "the adapter {location} changes none of the {layers} layers that it names: it was saved before its training, or its \
         changes vanish in {dtype}; try float32 weights or another file"
    )]
    ChangesNothing {
        /// The file.
        location: String,
        /// Layers that it names.
        layers: usize,
        /// Precision of the weights.
        dtype: String,
    },
    /// The file could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Adds an adapter to a module's weights, `weight + scale * up * down`, in float32; returns the number of layers.
///
/// `scale` is alpha over rank: 1 in NVIDIA's recipe. Keys are those of `key_map`, without a prefix or with one of peft's,
/// diffusers' or NVIDIA's, and have `lora_A` and `lora_B` in the place of the weight.
///
/// # Errors
/// [`AdapterError`]; an adapter that changes nothing is one.
pub fn merge_adapter<M: Module>(
    module: &mut M,
    source: &CheckpointSource,
    key_map: &KeyMap,
    scale: f64,
) -> Result<usize, AdapterError> {
    let pairs = pairs(source, key_map)?;
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
        return Err(factor(source, pair.down, "belongs to no linear layer of the network"));
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

/// The keys of a layer's two factors.
struct Pair {
    down: String,
    up: String,
}

/// Finds the factors of every layer, under the layer's path in the module.
fn pairs(source: &CheckpointSource, key_map: &KeyMap) -> Result<BTreeMap<String, Pair>, AdapterError> {
    let layer_of = |key: &str, endings: [&str; 2]| {
        endings
            .into_iter()
            .find_map(|ending| key.strip_suffix(ending).map(str::to_string))
    };
    let mut ups: BTreeMap<String, String> = source
        .keys()
        .filter_map(|key| Some((layer_of(key, UP)?, key.to_string())))
        .collect();
    let mut pairs = BTreeMap::new();
    for key in source.keys() {
        let Some(layer) = layer_of(key, DOWN) else { continue };
        let up = ups
            .remove(&layer)
            .ok_or_else(|| factor(source, key.to_string(), "has no `lora_B` beside it"))?;
        let mut name = layer.as_str();
        for prefix in PREFIXES {
            name = name.strip_prefix(prefix).unwrap_or(name);
        }
        let parameter = key_map
            .to_module(&format!("{name}.weight"))
            .ok_or_else(|| factor(source, key.to_string(), "belongs to no layer of the network"))?;
        let down = key.to_string();
        pairs.insert(parameter, Pair { down, up });
    }
    if let Some((_, up)) = ups.pop_first() {
        return Err(factor(source, up, "has no `lora_A` beside it"));
    }
    if pairs.is_empty() {
        return Err(AdapterError::NotAnAdapter {
            location: source.location().to_string(),
            tensors: source.keys().count(),
        });
    }
    Ok(pairs)
}

fn factor(source: &CheckpointSource, key: String, problem: &'static str) -> AdapterError {
    AdapterError::Factor {
        location: source.location().to_string(),
        key,
        problem,
    }
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
        let read = |key: &str, shape: Vec<usize>| -> Result<Tensor<2>, CheckpointError> {
            Ok(Tensor::from_data(
                TensorData::new(self.source.read(key)?, shape),
                (device, DType::F32),
            ))
        };
        // Linear layers keep their weight turned, inputs first.
        let product = read(&pair.up, up)?.matmul(read(&pair.down, down)?).transpose();
        Ok(product.mul_scalar(self.scale))
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
        param.map(|weight| {
            let shape = weight.dims();
            let dtype = weight.dtype();
            self.dtype = Some(dtype);
            match self.delta(&layer, &pair, [shape[0], shape[1]], &weight.device()) {
                Ok(delta) => {
                    let sum = untracked_cast(weight.clone(), DType::F32) + delta.reshape(shape);
                    let sum = untracked_cast(sum, dtype);
                    self.changed |= !sum.clone().equal(weight).all().into_scalar::<bool>();
                    sum
                }
                Err(error) => {
                    self.error = Some(error);
                    weight
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};

    use super::*;
    use crate::checkpoint::{CheckpointWriter, SaveDtype};

    #[derive(Module, Debug)]
    struct Network {
        first: Linear,
        second: Linear,
    }

    fn network(device: &Device) -> Network {
        Network {
            first: LinearConfig::new(3, 2).init(device),
            second: LinearConfig::new(2, 4).init(device),
        }
    }

    fn adapter(entries: &[(&str, [usize; 2], f32)]) -> CheckpointSource {
        let device = Device::flex();
        let writer = entries
            .iter()
            .fold(CheckpointWriter::new(SaveDtype::F32), |writer, (key, shape, value)| {
                writer.with_tensor(*key, &Tensor::<2>::full(*shape, *value, &device))
            });
        CheckpointSource::from_bytes("the adapter", writer.to_bytes()).expect("just written")
    }

    fn refused(entries: &[(&str, [usize; 2], f32)]) -> String {
        let mut network = network(&Device::flex());
        merge_adapter(&mut network, &adapter(entries), &KeyMap::identity(), 1.0)
            .expect_err("the adapter is wrong")
            .to_string()
    }

    #[test]
    fn the_product_of_the_factors_is_added_turned() {
        let device = Device::flex();
        let before = network(&device);
        let mut after = before.clone();
        let source = adapter(&[
            ("base_model.model.first.lora_A.default.weight", [1, 3], 2.0),
            ("base_model.model.first.lora_B.default.weight", [2, 1], 3.0),
        ]);
        assert_eq!(
            merge_adapter(&mut after, &source, &KeyMap::identity(), 0.5).expect("it fits"),
            1
        );
        let difference = after.first.weight.val() - before.first.weight.val();
        difference.into_data().assert_approx_eq::<f32>(
            &Tensor::<2>::full([3, 2], 3.0, &device).into_data(),
            burn::tensor::Tolerance::absolute(1e-5),
        );
        assert_eq!(
            after.second.weight.val().into_data(),
            before.second.weight.val().into_data()
        );
    }

    #[test]
    fn an_adapter_that_changes_nothing_is_refused() {
        let message = refused(&[
            ("first.lora_A.weight", [1, 3], 2.0),
            ("first.lora_B.weight", [2, 1], 0.0),
        ]);
        assert!(message.contains("changes none of the 1 layers"), "{message}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = refused(&[("first.weight", [1, 3], 2.0)]);
        assert!(message.contains("not a low-rank adapter"), "{message}");
        let message = refused(&[("first.lora_A.weight", [1, 3], 2.0)]);
        assert!(
            message.contains("first.lora_A.weight") && message.contains("lora_B"),
            "{message}"
        );
        let message = refused(&[
            ("third.lora_A.weight", [1, 3], 2.0),
            ("third.lora_B.weight", [2, 1], 1.0),
        ]);
        assert!(
            message.contains("third.lora_A.weight") && message.contains("no linear layer"),
            "{message}"
        );
        let message = refused(&[
            ("first.lora_A.weight", [1, 9], 2.0),
            ("first.lora_B.weight", [2, 1], 1.0),
        ]);
        assert!(message.contains("[1, 9]") && message.contains("[2, 3]"), "{message}");
    }
}
