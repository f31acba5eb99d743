//! Networks to safetensors and back.
//!
//! Matrices are stored as PyTorch does, `[d_output, d_input]`; the configuration travels as JSON in the metadata.

use burn::tensor::{DType, Device};
use burn_store::{
    ApplyResult, BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use safetensors::SafeTensors;

use super::error::ClonedWeightsError;
use super::network::{ClonedNetwork, ClonedNetworkConfig};

/// Key of the configuration in the metadata of a safetensors file.
pub const CONFIG_KEY: &str = "cloned_network_config";

impl ClonedNetwork {
    /// Reads a network from the bytes of a safetensors file, in float32.
    ///
    /// # Errors
    /// [`ClonedWeightsError`] if the bytes are damaged or belong to something else.
    pub fn from_safetensors(bytes: &[u8], device: &Device) -> Result<Self, ClonedWeightsError> {
        let config = read_config(bytes)?;
        let mut network = config.init(device);
        let mut store = SafetensorsStore::from_bytes(Some(bytes.to_vec()))
            .with_from_adapter(PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)))
            .validate(false)
            .allow_partial(true);
        let report = network
            .load_from(&mut store)
            .map_err(|source| ClonedWeightsError::Tensors { what: "read", source })?;
        check(&report)?;
        Ok(network)
    }

    /// Writes the network as the bytes of a safetensors file, with weights in float16 to halve its size.
    ///
    /// # Errors
    /// [`ClonedWeightsError::Tensors`] if a tensor can't be read back from its device.
    pub fn to_safetensors(&self, config: &ClonedNetworkConfig) -> Result<Vec<u8>, ClonedWeightsError> {
        let failed = |source| ClonedWeightsError::Tensors {
            what: "written",
            source,
        };
        let json = serde_json::to_string(config).map_err(|source| ClonedWeightsError::ConfigFormat { source })?;
        let mut store = SafetensorsStore::from_bytes(None)
            .with_to_adapter(BurnToPyTorchAdapter.chain(FloatCastAdapter::to(DType::F16)))
            .clear_metadata()
            .metadata(CONFIG_KEY, json);
        self.save_into(&mut store).map_err(failed)?;
        store.get_bytes().map_err(failed)
    }
}

impl ClonedNetworkConfig {
    /// Checks values that come from outside, so that building the network can't fail or take all memory.
    ///
    /// # Errors
    /// [`ClonedWeightsError::ConfigValue`] naming the first bad field.
    pub fn check(&self) -> Result<(), ClonedWeightsError> {
        let within = |field, found: usize, limit: usize, expected| {
            if (1..=limit).contains(&found) {
                Ok(())
            } else {
                Err(ClonedWeightsError::ConfigValue { field, expected, found })
            }
        };
        within("num_tasks", self.num_tasks, 1024, "1 to 1024")?;
        within("horizon", self.horizon, 256, "1 to 256")?;
        within("action_size", self.action_size.saturating_sub(1), 255, "2 to 256")?;
        within("d_hidden", self.d_hidden, 4096, "1 to 4096")?;
        for channels in self.channels {
            within("channels", channels, 1024, "1 to 1024 each")?;
        }
        let found = self.image_size;
        if found == 0 || found > 1024 || !found.is_multiple_of(4) {
            let expected = "a multiple of 4 up to 1024";
            return Err(ClonedWeightsError::ConfigValue {
                field: "image_size",
                expected,
                found,
            });
        }
        Ok(())
    }
}

/// Reads the configuration from the metadata of a safetensors file.
fn read_config(bytes: &[u8]) -> Result<ClonedNetworkConfig, ClonedWeightsError> {
    // Checks that the header and all tensors are whole.
    SafeTensors::deserialize(bytes).map_err(|source| ClonedWeightsError::Container { source })?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|source| ClonedWeightsError::Container { source })?;
    let json = metadata.metadata().as_ref().and_then(|entries| entries.get(CONFIG_KEY));
    let json = json.ok_or(ClonedWeightsError::ConfigMissing { key: CONFIG_KEY })?;
    let config: ClonedNetworkConfig =
        serde_json::from_str(json).map_err(|source| ClonedWeightsError::ConfigFormat { source })?;
    config.check()?;
    Ok(config)
}

fn check(report: &ApplyResult) -> Result<(), ClonedWeightsError> {
    if report.missing.is_empty() && report.unused.is_empty() && report.errors.is_empty() {
        return Ok(());
    }
    let missing: Vec<&str> = report.missing.iter().map(|(path, _)| path.as_str()).collect();
    let wrong: Vec<String> = report.errors.iter().map(ToString::to_string).collect();
    Err(ClonedWeightsError::Mismatch {
        missing: missing.join(", "),
        unused: report.unused.join(", "),
        wrong: wrong.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::{Distribution, Int, Tensor};

    use super::*;

    fn small() -> ClonedNetworkConfig {
        ClonedNetworkConfig::new()
            .with_image_size(16)
            .with_channels([4, 6, 8])
            .with_d_hidden(16)
    }

    fn output(network: &ClonedNetwork, device: &Device) -> Tensor<3> {
        let image = Tensor::<1, Int>::arange(0..768, device).float().reshape([1, 3, 16, 16]) / 384.0 - 1.0;
        network.forward(image, Tensor::from_floats([[0.0, 1.0, 0.0]], device))
    }

    #[test]
    fn written_network_acts_the_same_when_read() {
        let device = Device::flex();
        let network = small().init(&device);
        let bytes = network.to_safetensors(&small()).expect("writable");
        let again = ClonedNetwork::from_safetensors(&bytes, &device).expect("readable");
        let difference = output(&network, &device) - output(&again, &device);
        // Weights were rounded to float16.
        assert!(difference.abs().max().into_scalar::<f32>() < 5e-3);
        assert_eq!(again.num_params(), network.num_params());
    }

    #[test]
    fn matrices_are_stored_as_pytorch_stores_them() {
        let device = Device::flex();
        let bytes = small().init(&device).to_safetensors(&small()).expect("writable");
        let file = SafeTensors::deserialize(&bytes).expect("valid");
        assert_eq!(file.tensor("output.weight").expect("present").shape(), [56, 16]);
        assert_eq!(file.tensor("conv1.weight").expect("present").shape(), [6, 4, 3, 3]);
    }

    #[test]
    fn truncated_or_foreign_bytes_are_refused() {
        let device = Device::flex();
        let bytes = small().init(&device).to_safetensors(&small()).expect("writable");
        for length in [0, 7, 100, bytes.len() - 1] {
            let error = ClonedNetwork::from_safetensors(&bytes[..length], &device).expect_err("damaged");
            assert!(
                matches!(error, ClonedWeightsError::Container { .. }),
                "{length}: {error}"
            );
        }
        let mut store = SafetensorsStore::from_bytes(None);
        small().init(&device).save_into(&mut store).expect("writable");
        let foreign = store.get_bytes().expect("bytes");
        let error = ClonedNetwork::from_safetensors(&foreign, &device).expect_err("no configuration");
        assert!(matches!(error, ClonedWeightsError::ConfigMissing { .. }), "{error}");
    }

    #[test]
    fn weights_of_another_shape_are_named() {
        let device = Device::flex();
        let mut network = small().init(&device);
        network.output.weight = Param::from_tensor(Tensor::random([16, 55], Distribution::Default, &device));
        let bytes = network.to_safetensors(&small()).expect("writable");
        let error = ClonedNetwork::from_safetensors(&bytes, &device).expect_err("wrong shape");
        assert!(matches!(error, ClonedWeightsError::Mismatch { .. }));
        assert!(error.to_string().contains("output.weight"), "{error}");
    }

    #[test]
    fn absurd_configurations_are_refused_before_memory_is_taken() {
        let device = Device::flex();
        let absurd = small().with_d_hidden(1 << 40);
        let bytes = small().init(&device).to_safetensors(&absurd).expect("writable");
        let error = ClonedNetwork::from_safetensors(&bytes, &device)
            .expect_err("too large")
            .to_string();
        assert!(error.contains("`d_hidden`"), "{error}");
        assert!(small().with_image_size(30).check().is_err());
    }
}
