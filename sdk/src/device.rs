//! Where tensors are computed, and in which precision.

pub use burn::tensor::{DType, Device};

/// Names of the precisions of weights, with what they stand for.
const DTYPES: [(&str, DType); 3] = [("f32", DType::F32), ("bf16", DType::BF16), ("f16", DType::F16)];

/// A device that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error("there is no device `{found}`, expected one of: {expected}")]
    Unknown {
        /// The name that was given.
        found: String,
        /// Names that this build has.
        expected: String,
    },
    /// The name of a device with something else than its number behind it.
    #[error("`{found}` names no device: expected {expected}")]
    Index {
        /// The name that was given.
        found: String,
        /// How the backend's devices are named.
        expected: &'static str,
    },
    /// The device exists, but this build cannot use it.
    #[error(
        "this build has no support for `{found}`: build it with `cargo run --release --features {feature} -- …`, or take \
         one of: {expected}"
    )]
    NotBuilt {
        /// The name that was given.
        found: String,
        /// Feature that is needed.
        feature: &'static str,
        /// Names that this build has.
        expected: String,
    },
    /// This build can use the device, but this machine does not have it.
    #[error(
        "this machine has {present} {backend} device(s), `{found}` was asked for: check the driver, or take one of: {expected}"
    )]
    Absent {
        /// The name that was given.
        found: String,
        /// Backend of the device.
        backend: &'static str,
        /// Number of its devices.
        present: usize,
        /// Names that this build has.
        expected: String,
    },
    /// The device does not compute in this precision, or there is none of this name.
    #[error("this device has no precision `{found}` for weights, expected one of: {expected}")]
    Precision {
        /// The name that was given.
        found: String,
        /// Names of those that the device has.
        expected: String,
    },
}

/// Names of the devices of this build, the default first.
pub fn names() -> Vec<&'static str> {
    let mut names = Vec::new();
    if cfg!(feature = "flex") {
        names.push("flex");
    }
    if cfg!(feature = "cuda") {
        names.push("cuda[:N]");
    }
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    names
}

/// Returns the device of a name: `flex` (the CPU, also called `cpu`), `cuda`, `cuda:N` or `wgpu`, where it was built in.
///
/// # Errors
/// [`DeviceError`] that says what there is.
///
/// # Example
/// ```
/// let device = worldloop::device::select("flex")?;
/// assert!(worldloop::device::select("tpu").is_err());
/// # drop(device);
/// # Ok::<(), worldloop::device::DeviceError>(())
/// ```
pub fn select(name: &str) -> Result<Device, DeviceError> {
    let (backend, index) = match name.split_once(':') {
        Some((backend @ "cuda", index)) => match index.parse() {
            Ok(index) => (backend, index),
            Err(_) => return Err(wrong_index(name, "cuda, or cuda:N with the number of a device, from 0")),
        },
        Some(("wgpu", _)) => return Err(wrong_index(name, "wgpu alone; the system chooses the device")),
        Some(("flex" | "cpu", _)) => return Err(wrong_index(name, "flex alone, which is the whole CPU")),
        Some(_) => return Err(unknown(name)),
        None => (name, 0),
    };
    match backend {
        "flex" | "cpu" => flex(name),
        "cuda" => cuda(name, index),
        "wgpu" => wgpu(name),
        _ => Err(unknown(name)),
    }
}

/// Returns the precision of weights of a name, `f32`, `bf16` or `f16`, if the device computes in it.
///
/// # Errors
/// [`DeviceError::Precision`].
pub fn precision(name: &str, device: &Device) -> Result<DType, DeviceError> {
    let mut there = DTYPES.into_iter().filter(|(_, dtype)| device.supports_dtype(*dtype));
    let found = there.clone().find(|(known, _)| *known == name);
    found.map(|(_, dtype)| dtype).ok_or_else(|| DeviceError::Precision {
        found: name.to_owned(),
        expected: there.by_ref().map(|(known, _)| known).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(feature = "flex")]
#[expect(clippy::unnecessary_wraps, reason = "the other builds refuse")]
fn flex(_name: &str) -> Result<Device, DeviceError> {
    worldloop_world_model::layers::reuse_freed_memory();
    Ok(Device::flex())
}

#[cfg(not(feature = "flex"))]
fn flex(name: &str) -> Result<Device, DeviceError> {
    Err(not_built(name, "flex"))
}

#[cfg(feature = "cuda")]
fn cuda(name: &str, index: usize) -> Result<Device, DeviceError> {
    let present = Device::enumerate(burn::tensor::DeviceType::Cuda).len();
    if index >= present {
        return Err(absent(name, "CUDA", present));
    }
    Ok(Device::cuda(index))
}

#[cfg(not(feature = "cuda"))]
fn cuda(name: &str, _index: usize) -> Result<Device, DeviceError> {
    Err(not_built(name, "cuda"))
}

#[cfg(feature = "wgpu")]
fn wgpu(name: &str) -> Result<Device, DeviceError> {
    let present = Device::enumerate(burn::tensor::DeviceType::Wgpu).len();
    if present == 0 {
        return Err(absent(name, "WebGPU", present));
    }
    Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(name: &str) -> Result<Device, DeviceError> {
    Err(not_built(name, "wgpu"))
}

fn wrong_index(name: &str, expected: &'static str) -> DeviceError {
    DeviceError::Index {
        found: name.to_owned(),
        expected,
    }
}

fn unknown(name: &str) -> DeviceError {
    DeviceError::Unknown {
        found: name.to_owned(),
        expected: names().join(", "),
    }
}

#[cfg(not(all(feature = "flex", feature = "cuda", feature = "wgpu")))]
fn not_built(name: &str, feature: &'static str) -> DeviceError {
    DeviceError::NotBuilt {
        found: name.to_owned(),
        feature,
        expected: names().join(", "),
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn absent(name: &str, backend: &'static str, present: usize) -> DeviceError {
    DeviceError::Absent {
        found: name.to_owned(),
        backend,
        present,
        expected: names().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_told_with_those_that_exist() {
        for name in ["tpu", "tpu:1", ""] {
            let error = select(name).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
            assert!(names().iter().all(|name| error.contains(name)), "{error}");
        }
    }

    #[test]
    fn a_wrong_number_is_told_with_how_the_devices_are_named() {
        for (name, expected) in [
            ("flex:1", "flex alone"),
            ("cuda:first", "cuda:N"),
            ("cuda:-1", "cuda:N"),
            ("wgpu:0", "wgpu alone"),
        ] {
            let error = select(name).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{name}`")) && error.contains(expected),
                "{error}"
            );
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn an_unknown_precision_is_told_with_those_of_the_device() {
        let device = select("flex").unwrap();
        assert_eq!(precision("bf16", &device), Ok(DType::BF16));
        let error = precision("fp8", &device).unwrap_err().to_string();
        assert!(error.contains("`fp8`") && error.contains("f32, bf16, f16"), "{error}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_built_in_comes_with_the_cargo_command() {
        for name in ["cuda", "cuda:1"] {
            let error = select(name).unwrap_err().to_string();
            assert!(error.contains("--features cuda"), "{error}");
        }
    }
}
