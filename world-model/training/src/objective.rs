//! What is trained: a network, its loss on a step's batch, and how to look at it.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::error::TrainingError;

/// A network and what it should become.
pub trait Objective: Sync {
    /// The network that is trained.
    type Network: Module + Send;

    /// Returns a short name for files and messages, for example `vae`.
    fn name(&self) -> &'static str;

    /// Makes the network; the device's random numbers are seeded before.
    fn network(&self, device: &Device) -> Self::Network;

    /// Returns the number of samples in one batch.
    fn batch_size(&self) -> usize;

    /// Computes the loss of one batch, `[1]`, which depends on its number alone; steps of one batch number them alike.
    fn loss(&self, network: &Self::Network, batch: u64) -> Tensor<1>;

    /// Measures a network without gradients and draws its predictions into `picture`.
    ///
    /// # Errors
    /// [`TrainingError`] if the picture can't be written.
    fn evaluate(&self, network: &Self::Network, picture: &Path) -> Result<Evaluation, TrainingError>;

    /// Writes the weights with what is needed to use them.
    ///
    /// # Errors
    /// [`TrainingError`] if they can't be written.
    fn export(&self, network: &Self::Network, path: &Path) -> Result<(), TrainingError>;
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// Figures by name.
    pub metrics: BTreeMap<String, f64>,
    /// What someone should be told loudly.
    pub warnings: Vec<String>,
}

impl Evaluation {
    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.metrics.insert(name.to_string(), value);
        self
    }
}
