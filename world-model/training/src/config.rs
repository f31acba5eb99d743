//! What every training has in common: optimiser, schedule, how long, how often to look.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::TrainingError;

/// AdamW, its learning rate over time, clipping and the moving average.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from almost zero.
    pub warmup_steps: u64,
    /// Learning rate at the end over the highest one; reached by half a cosine. 1 keeps it constant.
    pub final_factor: f64,
    /// Decoupled weight decay, on every parameter.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Largest L2 norm of the gradient over all parameters; longer ones are shortened.
    pub max_gradient_norm: f64,
    /// What updates the matrices of repeated blocks; all else is updated by AdamW.
    pub hidden_matrices: MatrixUpdate,
    /// Width of the power average of the weights over the training's length, as Karras et al. 2024 define it.
    pub ema_rate: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            warmup_steps: 100,
            final_factor: 0.05,
            weight_decay: 1e-3,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-8,
            max_gradient_norm: 1.0,
            hidden_matrices: MatrixUpdate::Adamw,
            ema_rate: 0.05,
        }
    }
}

/// A precision of matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Products {
    /// Factors as they are.
    Float32,
    /// Factors rounded to bfloat16: twice the speed of a step on CPUs with matrix registers (AMX), slower on others.
    Bfloat16,
}

/// An update rule for matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatrixUpdate {
    /// Each weight by its own gradients.
    Adamw,
    /// All directions of the matrix alike. Fewer steps to the same loss, each a little slower.
    Muon,
}

/// How long to train and how often to save and to look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainerConfig {
    /// Seed of initial weights and batches.
    pub seed: u64,
    /// Steps of the whole training, to which the schedule is stretched.
    pub steps: u64,
    /// Batches of one step, whose gradients are averaged. Several are computed side by side, each on its share of the
    /// cores; the result does not depend on how many cores there are.
    pub batches_per_step: usize,
    /// What the large matrix products of a step are computed in on the CPU, elsewhere float32; weights, sums and all else are float32.
    pub products: Products,
    /// Minutes after which one sitting stops and saves; none trains to the end.
    pub minutes: Option<f64>,
    /// Steps between two lines of the metrics.
    pub log_every: u64,
    /// Steps between two evaluations.
    pub evaluate_every: u64,
    /// Minutes between two saved states.
    pub checkpoint_minutes: f64,
    /// Whether the averaged weights of every evaluation are kept, as `NAME-STEP.safetensors`.
    pub keep_every_evaluation: bool,
    /// Optimiser.
    pub optimizer: OptimizerConfig,
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 10_000,
            batches_per_step: 1,
            products: Products::Float32,
            minutes: None,
            log_every: 20,
            evaluate_every: 1_000,
            checkpoint_minutes: 3.0,
            keep_every_evaluation: false,
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl TrainerConfig {
    /// Checks values that come from outside.
    ///
    /// # Errors
    /// [`TrainingError::Config`] names the first value that makes no sense.
    pub fn validate(&self) -> Result<(), TrainingError> {
        let counts = [
            ("steps", self.steps),
            ("log_every", self.log_every),
            ("evaluate_every", self.evaluate_every),
            ("batches_per_step", self.batches_per_step as u64),
        ];
        for (key, value) in counts {
            require(key, value > 0, || "at least 1".into(), value)?;
        }
        let optimizer = &self.optimizer;
        let positive = [
            ("learning_rate", optimizer.learning_rate),
            ("epsilon", optimizer.epsilon),
            ("max_gradient_norm", optimizer.max_gradient_norm),
            ("checkpoint_minutes", self.checkpoint_minutes),
            ("minutes", self.minutes.unwrap_or(1.0)),
        ];
        for (key, value) in positive {
            require(
                key,
                value.is_finite() && value > 0.0,
                || "a positive number".into(),
                value,
            )?;
        }
        let shares = [
            ("beta_1", optimizer.beta_1),
            ("beta_2", optimizer.beta_2),
            ("final_factor", optimizer.final_factor),
            ("weight_decay", optimizer.weight_decay),
        ];
        for (key, value) in shares {
            require(key, (0.0..=1.0).contains(&value), || "between 0 and 1".into(), value)?;
        }
        // Beyond this the power average has no positive exponent.
        let fits = (0.001..=0.28).contains(&optimizer.ema_rate);
        require("ema_rate", fits, || "between 0.001 and 0.28".into(), optimizer.ema_rate)
    }
}

/// Refuses a config value.
#[expect(
    clippy::needless_pass_by_value,
    reason = "mostly numbers, for which a reference only clutters the calls"
)]
pub(crate) fn require(
    key: &'static str,
    fits: bool,
    expected: impl FnOnce() -> String,
    found: impl ToString,
) -> Result<(), TrainingError> {
    if fits {
        Ok(())
    } else {
        Err(TrainingError::Config {
            key,
            expected: expected(),
            found: found.to_string(),
        })
    }
}

/// Reads a config from a JSON file; missing keys take their defaults, unknown keys are refused.
///
/// # Errors
/// [`TrainingError::Read`] or [`TrainingError::Json`].
pub fn read_config<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T, TrainingError> {
    let path = path.as_ref().to_path_buf();
    let text = std::fs::read(&path).map_err(|source| TrainingError::Read {
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| TrainingError::Json {
        path,
        what: "training config",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        std::fs::write(&path, r#"{"steps": 5, "stepz": 6}"#).expect("written");
        let error = read_config::<TrainerConfig>(&path)
            .expect_err("an unknown key")
            .to_string();
        assert!(error.contains("stepz"), "{error}");
    }

    #[test]
    fn values_without_sense_are_named() {
        let error = TrainerConfig {
            steps: 0,
            ..TrainerConfig::default()
        }
        .validate()
        .expect_err("no steps");
        assert!(error.to_string().contains("`steps`"), "{error}");
        let optimizer = OptimizerConfig {
            learning_rate: f64::NAN,
            ..OptimizerConfig::default()
        };
        let error = TrainerConfig {
            optimizer,
            ..TrainerConfig::default()
        }
        .validate()
        .expect_err("NaN");
        assert!(error.to_string().contains("learning_rate"), "{error}");
        assert!(TrainerConfig::default().validate().is_ok());
    }
}
