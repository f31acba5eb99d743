//! The weights in this binary: a small learned world of the physics env, its judge, and cloned policies.
//!
//! They were trained with this project's own trainer on recordings of the physics world.

use std::sync::Arc;

use burn::tensor::Device;
use worldloop_policies::Policy;
use worldloop_world_model::WorldModel;
use worldloop_world_model::judge::Judge;

use crate::policy_source::PolicySource;
use crate::weights::{Weights, WeightsError};

/// Names and contents of the files in `assets/embedded`.
pub(crate) static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded_weights.rs"));

/// Makes the embedded world model.
///
/// # Errors
/// [`WeightsError::Missing`] in a build without weights.
pub fn world_model(device: &Device) -> Result<Arc<dyn WorldModel>, WeightsError> {
    Ok(Weights::embedded().learned(device)?.model)
}

/// Makes the embedded judge.
///
/// # Errors
/// [`WeightsError::Missing`] in a build without weights.
pub fn judge(device: &Device) -> Result<Arc<dyn Judge>, WeightsError> {
    Ok(Weights::embedded().learned(device)?.judge)
}

/// Makes the source of all policies that this binary has weights for.
///
/// # Errors
/// [`WeightsError::Cloned`] if they are damaged.
pub fn policies(device: &Device) -> Result<PolicySource, WeightsError> {
    Weights::embedded().policies(device)
}

/// Makes a policy of a name, for example `cloned` or `cloned:7`.
///
/// # Errors
/// [`WeightsError::Policy`] for a name that this build does not have.
pub fn policy(name: &str, device: &Device) -> Result<Box<dyn Policy>, WeightsError> {
    Ok(policies(device)?.make(name)?)
}
