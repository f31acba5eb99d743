//! Where tensors are computed.

pub use burn::tensor::{DType, Device};

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
    /// The device exists, but this build cannot use it.
    #[error("this build has no support for `{found}`: build it with `--features {feature}`")]
    NotBuilt {
        /// The name that was given.
        found: String,
        /// Feature that is needed.
        feature: &'static str,
    },
}

/// Names of the devices of this build, the default first.
pub fn names() -> Vec<&'static str> {
    let mut names = Vec::new();
    if cfg!(feature = "flex") {
        names.push("cpu");
    }
    if cfg!(feature = "cuda") {
        names.push("cuda");
    }
    names
}

/// Returns the device of a name: `cpu`, or `cuda` where it was built in.
///
/// # Errors
/// [`DeviceError`] that says what there is.
pub fn select(name: &str) -> Result<Device, DeviceError> {
    match name {
        #[cfg(feature = "flex")]
        "cpu" => {
            worldloop_world_model::layers::reuse_freed_memory();
            Ok(Device::flex())
        }
        #[cfg(not(feature = "flex"))]
        "cpu" => Err(DeviceError::NotBuilt {
            found: name.to_owned(),
            feature: "flex",
        }),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(not(feature = "cuda"))]
        "cuda" => Err(DeviceError::NotBuilt {
            found: name.to_owned(),
            feature: "cuda",
        }),
        _ => Err(DeviceError::Unknown {
            found: name.to_owned(),
            expected: names().join(", "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_told_with_those_that_exist() {
        let error = select("tpu").unwrap_err().to_string();
        assert!(error.contains("tpu"), "{error}");
        assert!(names().iter().all(|name| error.contains(name)), "{error}");
    }
}
